"""Whether pods that get an entry's values still start, and keep their QoS class (RULES 2). Pure.

Validation in the API server runs after mutation, so a wrong set would keep every new pod of the workload away.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trimtab.act.entries import SIDES, Wanted
from trimtab.act.targets import Sizes
from trimtab.api.reasons import Reason
from trimtab.kube.inforce import same
from trimtab.kube.records import LimitRangeRecord, PodRecord, QuotaRecord

RESOURCES = (("cpu", "cpu", "cpu_limit"), ("memory", "memory", "memory_limit"))
"""Resource, fields of Sizes with its request and its limit."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not done: a documented reason and one sentence."""

    reason: Reason
    message: str


def applied(sizes: Mapping[str, Sizes], wanted: Mapping[str, Wanted]) -> dict[str, Sizes]:
    """Sizes of every container of a pod once the wanted ones have taken effect."""
    return {name: wanted[name].sizes.over(s) if name in wanted else s for name, s in sizes.items()}


def qos(sizes: Iterable[Sizes]) -> str:
    """QoS class of a pod with these containers (https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/)."""
    rows = list(sizes)
    stated = [v for s in rows for v in (s.cpu, s.memory, s.cpu_limit, s.memory_limit)]
    if not any(v > 0 for v in stated):
        return "BestEffort"
    for s in rows:
        for _, request, limit in RESOURCES:
            bound = getattr(s, limit)
            if not bound > 0 or not same(getattr(s, request), bound):
                return "Burstable"
    return "Guaranteed"


def invalid(after: Mapping[str, Sizes]) -> Refusal | None:
    """The first container whose requests and limits the API server would not take."""
    for name, s in after.items():
        for resource, request, limit in RESOURCES:
            asked, bound = getattr(s, request), getattr(s, limit)
            if asked > bound and not same(asked, bound):
                return Refusal(
                    Reason.MOVE_FAILED,
                    f"container {name}: a {resource} request of {asked:g} is above its limit of {bound:g}; "
                    "raise the limit, or set limits: Scale",
                )
    return None


def qos_changes(before: Mapping[str, Sizes], after: Mapping[str, Sizes]) -> Refusal | None:
    """Whether new pods would be of another QoS class. BestEffort may become Burstable: new pods only (RULES 8)."""
    old, new = qos(before.values()), qos(after.values())
    if old in (new, "BestEffort"):
        return None
    return Refusal(
        Reason.MOVE_FAILED,
        f"the pods' QoS class would change from {old} to {new}; set limits: Scale on all containers",
    )


def outside_ranges(
    after: Mapping[str, Sizes], touched: Iterable[str], ranges: Iterable[LimitRangeRecord]
) -> Refusal | None:
    """The first LimitRange that would refuse the pod for a container that we touch, or for the pod as a whole."""
    total = Sizes(
        *(sum(v for v in (getattr(s, field) for s in after.values()) if not math.isnan(v)) for field, _, _ in SIDES)
    )
    for limits in ranges:
        subjects = [(name, after[name]) for name in touched if name in after]
        checks = [
            *((f"container {name}", s, limits.container_min, limits.container_max) for name, s in subjects),
            ("the pod", total, limits.pod_min, limits.pod_max),
        ]
        for what, s, low, high in checks:
            for resource, request, limit in RESOURCES:
                asked, bound = getattr(s, request), getattr(s, limit)
                least, most = low.get(resource, -math.inf), high.get(resource, math.inf)
                if min(asked, bound) < least or asked < least or max(asked, bound) > most or bound > most:
                    return Refusal(
                        Reason.LIMIT_RANGE,
                        f"{what}: {resource} {asked:g} (limit {bound:g}) is outside LimitRange {limits.name}, "
                        f"{least:g} to {most:g}; widen it or narrow the bounds",
                    )
        for name, s in subjects:
            for resource, request, limit in RESOURCES:
                ratio = limits.container_ratio.get(resource, math.inf)
                if getattr(s, limit) / getattr(s, request) > ratio if getattr(s, request) > 0 else False:
                    return Refusal(
                        Reason.LIMIT_RANGE,
                        f"container {name}: its {resource} limit is more than {ratio:g} times its request, which "
                        f"LimitRange {limits.name} forbids; set limits: Scale",
                    )
    return None


def over_quota(pods: Sequence[PodRecord], after: Mapping[str, Sizes], quotas: Iterable[QuotaRecord]) -> Refusal | None:
    """Whether moving these pods to `after` would pass what is left of a ResourceQuota.

    Quotas with scopes count as well: whether they cover these pods is not known, and a full one keeps pods away.
    """
    growth: dict[str, float] = {}
    for field, side, resource in SIDES:
        grown = 0.0
        for pod in pods:
            for container in pod.containers:
                wanted, has = getattr(after.get(container.name, Sizes()), field), getattr(container, field)
                if not math.isnan(wanted):
                    grown += wanted - (0.0 if math.isnan(has) else has)
        growth[f"{side}.{resource}"] = grown
    for quota in quotas:
        for name, grown in growth.items():
            left = quota.hard.get(name, math.inf) - quota.used.get(name, 0.0)
            if grown > 0 and grown > left and not same(grown, left):
                return Refusal(
                    Reason.QUOTA_EXCEEDED,
                    f"{len(pods)} pods would need {grown:g} more of {name}, ResourceQuota {quota.name} has "
                    f"{max(left, 0.0):g} left; raise the quota",
                )
    return None
