"""What is in force on a container: the profile's values while its template is the one they were learned from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.api.quantity import Quantity
from trimtab.api.tuningprofile import ProfileEntry
from trimtab.kube.inforce import learned_from
from trimtab.kube.loans import NO_LOAN, Lent
from trimtab.kube.records import ContainerSpec, ProfileRecord, WorkloadRecord
from trimtab.observe.config import ConfigRecord


@dataclass(frozen=True, slots=True)
class InForce:
    """Values of one container that new pods get. NaN: not set."""

    cpu: float
    memory: float
    cpu_limit: float
    memory_limit: float
    env: Mapping[str, int] = field(default_factory=dict)
    """Knob variables that the profile sets."""
    applied: bool = False
    """The profile rules; otherwise the template does."""
    lent: Lent = NO_LOAN
    """CPU that running pods have on top."""
    outdated: bool = False
    """The profile has values, but they were learned from another template (RULES 3)."""


def entry_of(profile: ProfileRecord | None, config: ConfigRecord, target: WorkloadRecord) -> ProfileEntry | None:
    """The profile's entry of a workload, if it belongs to this resource."""
    if profile is None:
        return None
    entry = profile.spec.workloads.get(f"{target.kind}/{target.name}")
    return entry if entry is not None and entry.config == config.name else None


def in_force(container: ContainerSpec, entry: ProfileEntry | None) -> InForce:
    """What new pods get for this container of the template."""
    listed = next((one for one in entry.containers if one.name == container.name), None) if entry is not None else None
    template = InForce(container.cpu, container.memory, container.cpu_limit, container.memory_limit)
    if listed is None:
        return template
    requests, limits = (container.cpu, container.memory), (container.cpu_limit, container.memory_limit)
    if not learned_from(listed, requests, limits, container.env):
        return InForce(container.cpu, container.memory, container.cpu_limit, container.memory_limit, outdated=True)
    return InForce(
        cpu=_value(listed.requests, "cpu", container.cpu),
        memory=_value(listed.requests, "memory", container.memory),
        cpu_limit=_value(listed.limits, "cpu", container.cpu_limit),
        memory_limit=_value(listed.limits, "memory", container.memory_limit),
        env=dict(listed.env),
        applied=True,
        lent=Lent.of(listed.lent),
    )


def _value(amounts: Mapping[str, Quantity], name: str, otherwise: float) -> float:
    return float(amounts[name]) if name in amounts else otherwise
