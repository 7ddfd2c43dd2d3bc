"""The HorizontalPodAutoscaler (autoscaling/v2): how many replicas a metric asks for, as documented.

Sources: the Kubernetes documentation "Horizontal Pod Autoscaling" (algorithm details, configurable scaling behavior),
KEP-853 (behavior), KEP-4951 (tolerance by direction), and the behaviour of kube-controller-manager 1.35. Every function
is pure: plain numbers and Pod records in, `Replicas` out.

Numbers: Kubernetes calculates in whole milli-units (250m CPU is 250). Integers are taken as such and divided as
integers; floats are taken as units (0.25 cores) and rounded down where Kubernetes would have cut off the rest.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trimtab.lab.peers.hpa_behavior import (
    DEFAULT_DOWN,
    DEFAULT_UP,
    Change,
    Policy,
    Recommendation,
    Rules,
    bounded_without_behavior,
    rate_limited,
    scale_down_limit,
    scale_up_limit,
    stabilized,
)

__all__ = [
    "DEFAULT_DOWN",
    "DEFAULT_UP",
    "TOLERANCE",
    "Change",
    "MetricsMissing",
    "Pod",
    "Policy",
    "Recommendation",
    "Replicas",
    "Rules",
    "Tolerance",
    "bounded_without_behavior",
    "largest",
    "object_average_value_replicas",
    "object_value_replicas",
    "pods_replicas",
    "rate_limited",
    "scale_down_limit",
    "scale_up_limit",
    "stabilized",
    "utilization_replicas",
]

CPU_INITIALIZATION = 300.0
"""Seconds, --horizontal-pod-autoscaler-cpu-initialization-period."""
INITIAL_READINESS = 30.0
"""Seconds, --horizontal-pod-autoscaler-initial-readiness-delay."""
_ROUNDING = 1e-9


class MetricsMissing(Exception):  # noqa: N818 - a state of the world, as Kubernetes names it
    """The metric can't be used: no pods, none with a sample, or none with a request."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the scale target, with its sample of the metric. Times in seconds on one clock."""

    usage: float | None = None
    """Value of the metric; None: the metrics API has none for this pod."""
    request: float | None = None
    """Σ of the containers' requests; None: one of them has none."""
    ready: bool | None = True
    """Status of the Ready condition; None: there is no such condition."""
    started: float | None = 0.0
    """status.startTime; None: not set."""
    ready_changed: float = 0.0
    """lastTransitionTime of the Ready condition."""
    phase: str = "Running"
    deleted: bool = False
    """A deletionTimestamp is set."""
    measured: float = math.inf
    """Timestamp of the sample; the default counts as later than any transition."""
    window: float = 60.0
    """Seconds before `measured` that the sample is a mean of."""


class Tolerance(NamedTuple):
    """Ratios from 1 − down to 1 + up change nothing: the controller's flag, or behavior.scaleUp and .scaleDown."""

    up: float = 0.1
    down: float = 0.1

    def holds(self, ratio: float) -> bool:
        """Whether this ratio of usage to target is close enough to 1."""
        return (1.0 - self.down) <= ratio <= (1.0 + self.up)


TOLERANCE = Tolerance()
"""The controller's default."""


class Replicas(NamedTuple):
    """What one metric asks for."""

    replicas: int
    utilization: float
    """What status.currentMetrics shows: percent of the requests, the mean over the pods, or the object's value."""


class _Groups(NamedTuple):
    measured: list[Pod]
    unready: list[Pod]
    missing: list[Pod]


def _unready(pod: Pod, now: float, cpu_initialization: float, initial_readiness: float) -> bool:
    """Whether a CPU sample must not count yet.

    Within the initialization period: the pod is not ready, or its sample starts before it became ready. After it: the
    pod is not ready and has never been, which shows in a transition right after the start.
    """
    if pod.ready is None or pod.started is None:
        return True
    if pod.started + cpu_initialization > now:
        return not pod.ready or pod.measured < pod.ready_changed + pod.window
    return not pod.ready and pod.started + initial_readiness > pod.ready_changed


def _grouped(
    pods: Sequence[Pod], cpu: bool, now: float, cpu_initialization: float, initial_readiness: float
) -> _Groups:
    groups = _Groups([], [], [])
    for pod in pods:
        if pod.deleted or pod.phase == "Failed":
            continue
        if pod.phase == "Pending":
            groups.unready.append(pod)
        elif pod.usage is None:
            groups.missing.append(pod)
        elif cpu and _unready(pod, now, cpu_initialization, initial_readiness):
            groups.unready.append(pod)
        else:
            groups.measured.append(pod)
    return groups


def _divided(total: float, by: float, unit: float) -> float:
    """total/by without what is left over: whole numbers of integers, multiples of `unit` of floats."""
    if isinstance(total, int) and isinstance(by, int):
        return total // by
    return math.floor(total / by / unit + _ROUNDING) * unit


def utilization_replicas(
    current: int,
    target: int,
    pods: Sequence[Pod],
    *,
    now: float = math.inf,
    resource: str = "cpu",
    tolerance: Tolerance = TOLERANCE,
    cpu_initialization: float = CPU_INITIALIZATION,
    initial_readiness: float = INITIAL_READINESS,
) -> Replicas:
    """Replicas for a Resource metric with a target of type Utilization.

    `current` is spec.replicas, `target` a percentage of the requests. Utilization is Σ usage·100/Σ request, cut off to
    a whole percent. When going down, pods without a sample count with their whole request (or the target, if that
    is above 100%); when going up they count with nothing, and so do unready ones.

    Raises:
        MetricsMissing: no pods, no sample of a pod that counts, or a pod without a request.
    """
    if any(pod.request is None for pod in pods):
        raise MetricsMissing(f"a pod has no request for {resource}; set one in every container")

    def ratio_of(counted: Sequence[tuple[float, Pod]]) -> tuple[float, float]:
        requests = sum(pod.request or 0 for _, pod in counted)
        if not requests:
            raise MetricsMissing(f"the requests for {resource} add up to nothing; set one in every container")
        percent = int(_divided(100 * sum(value for value, _ in counted), requests, 1.0))
        return percent / target, percent

    def whole(pod: Pod) -> float:
        request = pod.request or 0
        full = max(100, target)
        return request * full // 100 if isinstance(request, int) else request * full / 100

    groups = _grouped(pods, resource == "cpu", now, cpu_initialization, initial_readiness)
    return _replicas(current, pods, groups, ratio_of, whole, tolerance)


def pods_replicas(
    current: int,
    target: float,
    pods: Sequence[Pod],
    *,
    now: float = math.inf,
    resource: str = "",
    tolerance: Tolerance = TOLERANCE,
    cpu_initialization: float = CPU_INITIALIZATION,
    initial_readiness: float = INITIAL_READINESS,
) -> Replicas:
    """Replicas for a Pods metric, or for a Resource metric with a target of type AverageValue (`resource` "cpu").

    The mean over the pods stands against `target`, in the metric's unit. When going down, pods without a sample count
    with the target; when going up with nothing, and so do unready ones. Only for CPU are running pods checked for
    readiness.

    Raises:
        MetricsMissing: no pods, or no sample of a pod that counts.
    """

    def ratio_of(counted: Sequence[tuple[float, Pod]]) -> tuple[float, float]:
        mean = _divided(sum(value for value, _ in counted), len(counted), 0.001)
        return mean / target, mean

    groups = _grouped(pods, resource == "cpu", now, cpu_initialization, initial_readiness)
    return _replicas(current, pods, groups, ratio_of, lambda _: target, tolerance)


def _replicas(
    current: int,
    pods: Sequence[Pod],
    groups: _Groups,
    ratio_of: Callable[[Sequence[tuple[float, Pod]]], tuple[float, float]],
    assumed: Callable[[Pod], float],
    tolerance: Tolerance,
) -> Replicas:
    """The part that both metrics by pod share. `assumed`: what a pod without a sample counts with on the way down."""
    if not pods:
        raise MetricsMissing("the selector matches no pods")
    counted = [(pod.usage or 0, pod) for pod in groups.measured]
    if not counted:
        raise MetricsMissing("no metrics for any pod that counts (pods might be unready)")
    ratio, shown = ratio_of(counted)
    add_unready = bool(groups.unready) and ratio > 1.0
    if not groups.missing and not add_unready:
        if tolerance.holds(ratio):
            return Replicas(current, shown)
        return Replicas(math.ceil(ratio * len(counted)), shown)
    if ratio < 1.0:
        counted += [(assumed(pod), pod) for pod in groups.missing]
    elif ratio > 1.0:
        counted += [(0, pod) for pod in groups.missing]
    if add_unready:
        counted += [(0, pod) for pod in groups.unready]
    again, _ = ratio_of(counted)
    turned = (ratio < 1.0 < again) or (ratio > 1.0 > again)
    if tolerance.holds(again) or turned:
        return Replicas(current, shown)
    wanted = math.ceil(again * len(counted))
    if (again < 1.0 and wanted > current) or (again > 1.0 and wanted < current):
        return Replicas(current, shown)
    return Replicas(wanted, shown)


def object_value_replicas(
    current: int, target: float, value: float, pods: Sequence[Pod], *, tolerance: Tolerance = TOLERANCE
) -> Replicas:
    """Replicas for an Object or External metric with a target of type Value: ratio times the ready pods.

    `value` is the metric (of an External one the sum over its series). From 0 replicas the ratio alone counts.

    Raises:
        MetricsMissing: no pods.
    """
    ratio = value / target
    if current == 0:
        return Replicas(math.ceil(ratio), value)
    if tolerance.holds(ratio):
        return Replicas(current, value)
    if not pods:
        raise MetricsMissing("the selector matches no pods")
    ready = sum(pod.phase == "Running" and pod.ready is True for pod in pods)
    return Replicas(math.ceil(ratio * ready), value)


def object_average_value_replicas(
    current: int, target: float, value: float, *, tolerance: Tolerance = TOLERANCE
) -> Replicas:
    """Replicas for an Object or External metric with a target of type AverageValue: value over target.

    `current` is status.replicas; it only serves the tolerance and the value shown, which is a pod's share. At 0 the
    ratio is infinite (or no number, at value 0), so the quotient counts.
    """
    wanted = math.ceil(value / target)
    if current == 0:
        return Replicas(wanted, math.inf if value else math.nan)
    shown = math.ceil(value / current)
    held = tolerance.holds(value / (target * current))
    return Replicas(current if held else wanted, shown)


def largest(current: int, proposals: Sequence[Replicas | None]) -> int | None:
    """Replicas that several metrics ask for: the most. None stands for a metric that could not be read.

    With one of them missing nothing goes down. None: all are missing, so nothing is known.
    """
    known = [proposal.replicas for proposal in proposals if proposal is not None]
    if not known:
        return None
    most = max(known)
    return current if len(known) < len(proposals) and most < current else most
