"""spec.optimization.behavior: how fast moves follow each other."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from trimtab.api.model import ApiModel
from trimtab.api.quantity import Quantity


class PolicyType(StrEnum):
    """Unit of a scaling policy, as in autoscaling/v2."""

    PODS = "Pods"
    PERCENT = "Percent"


class ScalingPolicy(ApiModel):
    """At most value pods or percent within periodSeconds, as in autoscaling/v2."""

    type: PolicyType
    """Pods or Percent."""
    value: Annotated[int, Field(ge=1, le=100_000)]
    """How much may change within the period."""
    period_seconds: Annotated[int, Field(ge=1, le=1800)]
    """Length of the period."""


class SelectPolicy(StrEnum):
    """Which of several policies counts, as in autoscaling/v2."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


class ScalingRules(ApiModel):
    """Rate of change in one direction, as in autoscaling/v2."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] | None
    """Up: the lowest, down: the highest recommendation within this window counts."""
    select_policy: SelectPolicy = SelectPolicy.MAX
    """Max, Min or Disabled."""
    policies: Annotated[list[ScalingPolicy], Field(min_length=1, max_length=4)]
    """Policies; empty is not allowed."""


class ScaleUpRules(ScalingRules):
    """Scale-up defaults of autoscaling/v2: no stabilisation, +4 pods or +100% in 15 s, whichever is more."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] | None = 0
    """The lowest recommendation within this window counts."""
    policies: Annotated[list[ScalingPolicy], Field(min_length=1, max_length=4)] = [
        ScalingPolicy(type=PolicyType.PODS, value=4, period_seconds=15),
        ScalingPolicy(type=PolicyType.PERCENT, value=100, period_seconds=15),
    ]
    """How fast replicas may be added."""


class ScaleDownRules(ScalingRules):
    """Scale-down: the engine's own stabilisation, and the policy of autoscaling/v2, 100% in 15 s: one move takes a
    quarter the first time and half at most later, and is watched before the next."""

    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    """The highest recommendation within this window counts. Absent: 300 s where CPU use decides, as in autoscaling/v2,
    and where the arrival rate does, 60 s of the forecast, which has a hold of its own: with 300 s `trimtab lab
    horizontal` took 9% more pods for no fewer violations."""
    policies: Annotated[list[ScalingPolicy], Field(min_length=1, max_length=4)] = [
        ScalingPolicy(type=PolicyType.PERCENT, value=100, period_seconds=15),
    ]
    """How fast replicas may be removed."""


class Behavior(ApiModel):
    """How fast moves follow each other."""

    scale_up: ScaleUpRules = ScaleUpRules()
    """Adding replicas."""
    scale_down: ScaleDownRules = ScaleDownRules()
    """Removing replicas."""
    target_utilization_percent: Annotated[int, Field(ge=10, le=95)] | None = None
    """Share of a pod's capacity to use when the replica count is chosen. Absent: 70, the usual target of an HPA, from
    where it is learned while a latency target says what pods carry."""
    verify_seconds: Annotated[int, Field(ge=10, le=86_400)] = 300
    """How long a move is watched before it is kept; a move that hurts is rolled back. Default: the window for which
    autoscaling/v2 waits before it scales down; a quarter is left out, so that seven scrapes 30 s apart are judged."""
    min_history_seconds: Annotated[int, Field(ge=0, le=2_592_000)] = 86_400
    """No request is cut before this much history is known; history read from Prometheus counts. Default: a day, which
    shows the daily peak; after it the confidence of the Vertical Pod Autoscaler is 1."""
    trial_seconds: Annotated[int, Field(ge=10, le=86_400)] = 600
    """How long a knob value runs on one pod beside the others before it is judged. Default: ten samples of a minute,
    what a simulated search needed where minutes resemble each other (autocorrelation 0.8)."""
    cpu_overrun_rate: Quantity | None = None
    """Share of minutes in which a container may use more CPU than it requests, 0.001 to 0.2, such as "0.01". Absent: as
    few as there would be under the Vertical Pod Autoscaler, with as little unused as that allows; figures are
    those of `trimtab lab vertical`, where "0.01" came out between 0.0081 and 0.0106."""
    human_hold_seconds: Annotated[int, Field(ge=0, le=86_400)] = 3600
    """How long a replica count set by a person is left alone. Default: a choice, long enough to look into an incident;
    not measured."""
