"""spec.optimization.constraints: limits that no decision ever leaves."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from trimtab.api.model import DNS_LABEL, ENV_NAME, NAME, ApiModel
from trimtab.api.quantity import Quantity

MAX_CONTAINERS = 16
"""Containers of one workload that can be tuned."""


class ReplicaBounds(ApiModel):
    """Limits of the replica count. Scale to zero is never done."""

    min: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Fewest replicas."""
    max: Annotated[int, Field(ge=1, le=10_000)]
    """Most replicas."""
    stateful_set_opt_in: bool = False
    """true lets Trimtab change the replicas of a StatefulSet."""


class Bounds(ApiModel):
    """Limits of one resource of one container."""

    min: Quantity | None = None
    """Smallest request."""
    max: Quantity
    """Largest request."""


class LimitsPolicy(StrEnum):
    """What happens to limits when requests move."""

    KEEP = "Keep"
    SCALE = "Scale"


class ContainerBounds(ApiModel):
    """A container whose requests are tuned. Containers not listed are observed, never changed."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
    """Name of a container of the pod template."""
    cpu: Bounds | None = None
    """Bounds of the CPU request; left out, CPU is not tuned."""
    memory: Bounds | None = None
    """Bounds of the memory request; left out, memory is not tuned."""
    limits: LimitsPolicy = LimitsPolicy.KEEP
    """Keep leaves limits (raised only when a request needs it); Scale keeps the template's ratio of
    limit to request."""
    allow_memory_limit_below_template: bool = False
    """true lets Scale lower the memory limit below the template's."""


class KnobRole(StrEnum):
    """What a knob does to a service."""

    BATCH = "Batch"
    CONCURRENCY = "Concurrency"
    CACHE = "Cache"
    POOL = "Pool"


class Knob(ApiModel):
    """An environment variable with an integer value that is tuned by trials."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=NAME)]
    """Name of the knob, unique in the resource."""
    container: Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
    """Container that reads the variable."""
    env: Annotated[str, Field(min_length=1, max_length=128, pattern=ENV_NAME)]
    """Name of the variable; the pod template must set it to a plain integer, unless the administrator
    allow-listed it."""
    role: KnobRole
    """Batch, Concurrency, Cache or Pool."""
    min: Annotated[int, Field(ge=0, le=2**31 - 1)]
    """Smallest value."""
    max: Annotated[int, Field(ge=1, le=2**31 - 1)]
    """Largest value."""
    default: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None
    """Value to start from where the template leaves an allow-listed variable out."""


class WindowEffect(StrEnum):
    """What a window does."""

    ALLOW = "Allow"
    DENY = "Deny"


class Window(ApiModel):
    """A span of time in which cuts, trials and knob steps are allowed (Allow) or not (Deny).
    Emergencies are never blocked."""

    effect: WindowEffect
    """Deny: not inside it. Allow: only inside it."""
    cron: Annotated[str, Field(min_length=9, max_length=128)]
    """When the window opens: five cron fields, such as 0 9 * * 1-5."""
    duration_seconds: Annotated[int, Field(ge=60, le=604_800)]
    """How long it stays open."""
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    """IANA time zone of the cron fields, such as Europe/Paris."""


class Disruption(ApiModel):
    """How often and when running pods may be moved."""

    max_moves_per_day: Annotated[int, Field(ge=0, le=10_000)] = 24
    """Moves a day that replace pods. Emergencies count and are never blocked. Default: a choice, one an hour; not
    measured. The Vertical Pod Autoscaler replaces a pod at most once in 12 hours for a difference within its bounds."""
    max_resizes_per_day: Annotated[int, Field(ge=0, le=10_000)] = 48
    """In-place resizes a day of one container. Emergencies count and are never blocked. Default: two an hour, from
    `trimtab lab vertical`, where a request that follows the day makes at most 50 changes a day; without a ration slack
    was 3% of the Vertical Pod Autoscaler's lower."""
    windows: Annotated[list[Window], Field(max_length=16)] = []
    """Maintenance windows."""


class BesideHpa(ApiModel):
    """What may be moved although an HPA or a KEDA ScaledObject scales the workload; off by default."""

    knobs: bool = False
    """true lets Trimtab try and roll knobs: the HPA counts each trial pod as one more until it ends."""
    requests: bool = False
    """true lets Trimtab change requests that the HPA divides by: after a cut it scales up sooner, after a raise
    later."""


class Constraints(ApiModel):
    """Limits that no decision ever leaves. A lever that is not listed is not moved."""

    replicas: ReplicaBounds | None = None
    """Bounds of the replica count; left out, replicas are not changed."""
    containers: Annotated[list[ContainerBounds], Field(max_length=MAX_CONTAINERS)] = []
    """Containers to tune."""
    knobs: Annotated[list[Knob], Field(max_length=8)] = []
    """Environment variables to tune."""
    disruption: Disruption = Disruption()
    """How often and when pods may be moved."""
    beside_hpa: BesideHpa = BesideHpa()
    """What may be moved beside an HPA or a KEDA ScaledObject; replicas never are."""
