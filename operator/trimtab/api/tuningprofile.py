"""TuningProfile (v1alpha1): what new pods of a namespace get, read by the admission policy in the API server.

One object a namespace, named `trimtab`; a parameter object per workload makes pod creation linear in
their number.
"""

from typing import Annotated

from pydantic import AwareDatetime, Field

from trimtab.api.quantity import Quantity
from trimtab.api.spec import ApiModel, OnDelete

PROFILE_NAME = "trimtab"
Moment = Annotated[AwareDatetime, Field(json_schema_extra={"maxLength": 32})]
"""RFC 3339."""
KnobInt = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Loan(ApiModel):
    """CPU that running pods have for a while, on top of the entry's, to bridge a surge until new pods are ready."""

    cpu: Quantity
    """Cores on top of the CPU request and of the CPU limit."""
    created_before: Moment
    """Pods created before this have it; new pods start without it."""
    until: Moment
    """When it is taken back at the latest."""


class ProfileContainer(ApiModel):
    """A complete valid set for one container, and the template values it was learned from."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the container."""
    requests: Annotated[dict[str, Quantity], Field(max_length=2)] = {}
    """Requests to set: cpu, memory."""
    limits: Annotated[dict[str, Quantity], Field(max_length=2)] = {}
    """Limits to set: cpu, memory."""
    env: Annotated[dict[str, KnobInt], Field(max_length=8)] = {}
    """Knob variables to set; whole numbers only, so that no code can come in through a variable."""
    template_requests: Annotated[dict[str, Quantity], Field(max_length=2)] = {}
    """Requests of the template that this was learned from; with any other the entry is not applied."""
    template_limits: Annotated[dict[str, Quantity], Field(max_length=2)] = {}
    """Limits of the template that this was learned from."""
    template_env: Annotated[dict[str, Annotated[str, Field(max_length=32)]], Field(max_length=8)] = {}
    """Knob variables of the template that this was learned from; a variable absent there is absent here."""
    lent: Loan | None = None
    """CPU lent to the pods that run; the admission policy does not read it, so new pods start without it."""


class ProfileEntry(ApiModel):
    """What new pods of one workload get."""

    config: Annotated[str, Field(max_length=253)]
    """Name of the PerformanceConfig this belongs to."""
    on_delete: OnDelete = OnDelete.KEEP
    """What to do with running pods when that is deleted."""
    containers: Annotated[list[ProfileContainer], Field(max_length=16)] = []
    """Containers; only those that an incoming pod has are touched."""


class TuningProfileSpec(ApiModel):
    """Workloads of the namespace, keyed `Kind/name` such as `Deployment/rag-api`."""

    workloads: Annotated[dict[str, ProfileEntry], Field(max_length=1000)] = {}
    """Entries by workload."""
