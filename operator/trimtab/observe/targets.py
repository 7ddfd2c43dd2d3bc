"""Where a PerformanceConfig points: its workload, or why there is none to work with."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from trimtab.api.reasons import Reason
from trimtab.kube.errors import Forbidden, KubeError, NotFound, NotServed
from trimtab.kube.records import ContainerSpec, LimitRangeRecord, WorkloadRecord
from trimtab.kube.world import World
from trimtab.observe.config import ConfigRecord

ALWAYS_EXCLUDED = frozenset({"kube-system"})


@dataclass(frozen=True, slots=True)
class Found:
    """The workload, or why there is none."""

    target: WorkloadRecord | None
    reason: Reason
    message: str


def find_target(world: World, config: ConfigRecord, excluded: Collection[str], served: Collection[str]) -> Found:
    """The workload of a resource, with its pod template where knobs need it.

    `excluded` namespaces are left alone; `served`, unless empty, are the only ones that are not.
    """
    reference = config.spec.target_ref
    where = (config.namespace, reference.api_version, reference.kind, reference.name)
    named = f"{reference.kind} {reference.name}"
    if config.namespace in ALWAYS_EXCLUDED or config.namespace in excluded:
        return Found(None, Reason.NAMESPACE_EXCLUDED, f"Workloads of namespace {config.namespace} are never tuned.")
    if served and config.namespace not in served:
        return Found(
            None,
            Reason.NAMESPACE_EXCLUDED,
            f"Namespace {config.namespace} is not served; add it to namespaces in the chart's values.",
        )
    target = world.target(*where, template=bool(config.spec.optimization.constraints.knobs))
    if target is not None:
        return Found(
            _with_defaults(target, world.limit_ranges(config.namespace)), Reason.TARGET_FOUND, f"{named} found."
        )
    if world.watches(reference.api_version, reference.kind):
        return Found(None, Reason.TARGET_NOT_FOUND, f"Namespace {config.namespace} has no {named}; create it.")
    return _missing(named, config.namespace, world.target_error(*where), world.target_scalable(*where))


def _missing(named: str, namespace: str, error: KubeError | ValueError | None, scalable: bool | None) -> Found:
    """Why a workload of a kind that is not watched is not there."""
    if scalable is None:
        return Found(None, Reason.PENDING, f"{named} is being looked up.")
    if scalable is False:
        return Found(
            None,
            Reason.KIND_NOT_SUPPORTED,
            f"{named} has no scale subresource; name a Deployment, StatefulSet, DaemonSet or a kind that has one.",
        )
    if isinstance(error, Forbidden):
        return Found(
            None,
            Reason.TARGET_FORBIDDEN,
            f"The operator may not read {named}; add the kind to rbac.extraScaleTargets in the chart's values.",
        )
    if isinstance(error, NotFound) and not isinstance(error, NotServed):
        return Found(None, Reason.TARGET_NOT_FOUND, f"Namespace {namespace} has no {named}; create it.")
    if isinstance(error, NotFound | ValueError):
        message = error.message if isinstance(error, NotFound) else str(error)
        return Found(None, Reason.KIND_NOT_SUPPORTED, f"{named}: {message}.")
    why = error.reason if error is not None else "no answer yet"
    return Found(None, Reason.PENDING, f"{named} could not be read now ({why}); it is tried again.")


def _with_defaults(target: WorkloadRecord, ranges: Collection[LimitRangeRecord]) -> WorkloadRecord:
    """The workload with what the namespace's LimitRanges add to its pods before any other admission sees them."""
    if not any(one.default_request or one.default_limit for one in ranges):
        return target
    containers = target.containers
    for one in ranges:
        containers = tuple(_defaulted(container, one) for container in containers)
    # With a request or limit from there, a BestEffort pod is none any more.
    return replace(target, containers=containers, qos="Burstable" if target.qos == "BestEffort" else target.qos)


def _defaulted(container: ContainerSpec, limits: LimitRangeRecord) -> ContainerSpec:
    requests, maxima = limits.default_request, limits.default_limit
    return replace(
        container,
        cpu=_or(container.cpu, requests.get("cpu")),
        memory=_or(container.memory, requests.get("memory")),
        cpu_limit=_or(container.cpu_limit, maxima.get("cpu")),
        memory_limit=_or(container.memory_limit, maxima.get("memory")),
    )


def _or(stated: float, default: float | None) -> float:
    return default if default is not None and math.isnan(stated) else stated


def is_rolling_out(target: WorkloadRecord) -> bool:
    """Whether pods of an older template still run, or the newest template was not taken in yet."""
    return target.updated_replicas < target.status_replicas or target.observed_generation < target.generation
