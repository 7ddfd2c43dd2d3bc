"""PerformanceConfig.spec (v1alpha1) as pydantic models: one source of the CRD, the defaults and the docs."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from trimtab.api.behavior import (
    Behavior,
    PolicyType,
    ScaleDownRules,
    ScaleUpRules,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
)
from trimtab.api.constraints import (
    BesideHpa,
    Bounds,
    Constraints,
    ContainerBounds,
    Disruption,
    Knob,
    KnobRole,
    LimitsPolicy,
    ReplicaBounds,
    Window,
    WindowEffect,
)
from trimtab.api.cost import ApiPrices, Cost, ModelPrice, PriceSource
from trimtab.api.model import API_VERSION, DNS_LABEL, DNS_SUBDOMAIN, ENV_NAME, NAME, ApiModel, Name, Seconds
from trimtab.api.monitoring import Alert, Better, Metric, Monitoring, Objective, Scope, Severity
from trimtab.api.quantity import Quantity

__all__ = [
    "DNS_LABEL",
    "DNS_SUBDOMAIN",
    "ENV_NAME",
    "NAME",
    "Alert",
    "ApiModel",
    "ApiPrices",
    "Behavior",
    "BesideHpa",
    "Better",
    "Bounds",
    "Constraints",
    "ContainerBounds",
    "Cost",
    "Disruption",
    "Knob",
    "KnobRole",
    "LimitsPolicy",
    "Metric",
    "ModelPrice",
    "Monitoring",
    "Name",
    "Objective",
    "OnDelete",
    "Optimization",
    "PerformanceConfigSpec",
    "PolicyType",
    "Prefer",
    "PriceSource",
    "ReplicaBounds",
    "ResourceCeilings",
    "ScaleDownRules",
    "ScaleUpRules",
    "ScalingPolicy",
    "ScalingRules",
    "Scope",
    "Seconds",
    "SelectPolicy",
    "Severity",
    "TargetRef",
    "Window",
    "WindowEffect",
]


class TargetRef(ApiModel):
    """The workload that is tuned, in the PerformanceConfig's own namespace."""

    api_version: Annotated[str, Field(min_length=1, max_length=253, pattern=API_VERSION)] = "apps/v1"
    """API version of the workload, such as apps/v1."""
    kind: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")] = "Deployment"
    """Kind of the workload: Deployment, StatefulSet, DaemonSet, or any kind with a scale subresource."""
    name: Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
    """Name of the workload."""


class Prefer(StrEnum):
    """What to give way where cost and latency pull apart, the target being met."""

    COST = "Cost"
    LATENCY = "Latency"
    BALANCED = "Balanced"


class Optimization(ApiModel):
    """What may be changed, and towards what."""

    auto_tune: bool = False
    """true acts; false only recommends and never writes to the workload."""
    target_metrics: Annotated[dict[str, Quantity], Field(max_length=16)] = {}
    """Targets: metric name to the value it must not pass (latency at most; at least where better is
    Higher)."""
    constraints: Constraints = Constraints()
    """What may be moved, and how far."""
    prefer: Prefer = Prefer.BALANCED
    """How much is kept in hand within the target. Balanced: capacity is cut while latency is at least 8% below its
    target. Cost: 2% below is enough, and pods are used 10 points more than targetUtilizationPercent. Latency: 25%
    below, and 15 points less."""
    behavior: Behavior = Behavior()
    """How fast."""


class ResourceCeilings(ApiModel):
    """Ceilings that hold whatever anything else says."""

    max_memory: Quantity | None = None
    """Most memory of the whole workload: sum over its pods of the larger of request and limit of the
    tuned containers."""
    max_concurrency: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None
    """Largest value of a Concurrency or Pool knob in any pod."""
    max_batch_size: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None
    """Largest value of a Batch knob in any pod."""


class OnDelete(StrEnum):
    """What happens to running pods when the PerformanceConfig is deleted."""

    KEEP = "Keep"
    REVERT = "Revert"


class PerformanceConfigSpec(ApiModel):
    """What to tune, what to measure, what to reach, and within which limits."""

    target_ref: TargetRef
    """The workload."""
    monitoring: Monitoring = Monitoring()
    """What is measured and alerted on."""
    optimization: Optimization = Optimization()
    """What may be changed, and towards what."""
    resources: ResourceCeilings = ResourceCeilings()
    """Ceilings of the whole workload."""
    cost: Cost = Cost()
    """What the workload costs."""
    on_delete: OnDelete = OnDelete.KEEP
    """Keep leaves running pods as they are; Revert resizes them back to the template's values. New
    pods follow the template either way."""
