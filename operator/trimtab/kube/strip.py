"""Raw autoscalers, budgets, nodes, namespaces, their bounds and TuningProfiles → records."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from trimtab.api.tuningprofile import PROFILE_NAME, TuningProfileSpec
from trimtab.kube.raw import (
    amount,
    amounts,
    dig,
    flag,
    identity,
    integer,
    items,
    mapping,
    text,
    word,
)
from trimtab.kube.records import (
    BudgetRecord,
    LimitRangeRecord,
    NamespaceRecord,
    NodeRecord,
    ProfileRecord,
    QuotaRecord,
    RivalRecord,
)
from trimtab.kube.strip_owners import foreign_fields
from trimtab.kube.strip_pods import paused, strip_pod
from trimtab.kube.strip_workloads import (
    StoredWorkload,
    scaled_workload,
    strip_daemon_set,
    strip_deployment,
    strip_replica_set,
    strip_stateful_set,
)

HPA, SCALED_OBJECT, VPA = "HorizontalPodAutoscaler", "ScaledObject", "VerticalPodAutoscaler"


def strip_hpa(raw: Mapping[str, Any]) -> RivalRecord | None:
    """A HorizontalPodAutoscaler (autoscaling/v2)."""
    identified = identity(raw)
    if identified is None:
        return None
    spec = mapping(raw, "spec")
    scaled_on = set()
    for metric in items(spec, "metrics"):
        source = mapping(metric, "resource") or mapping(metric, "containerResource")
        # Only Utilization is relative to the request; beside AverageValue the request may move.
        if text(source, "target", "type") == "Utilization":
            scaled_on.add(text(source, "name"))
    if not items(spec, "metrics"):
        scaled_on.add("cpu")  # the API's default: 80% of the CPU request
    return RivalRecord(
        kind=HPA,
        namespace=identified[0],
        name=identified[1],
        target_kind=word(spec, "scaleTargetRef", "kind"),
        target_name=text(spec, "scaleTargetRef", "name"),
        min_replicas=integer(spec, "minReplicas", default=1),
        max_replicas=integer(spec, "maxReplicas"),
        scales_on_cpu="cpu" in scaled_on,
        scales_on_memory="memory" in scaled_on,
    )


def strip_scaled_object(raw: Mapping[str, Any]) -> RivalRecord | None:
    """A KEDA ScaledObject (keda.sh/v1alpha1). Its target's kind defaults to Deployment."""
    identified = identity(raw)
    if identified is None:
        return None
    spec = mapping(raw, "spec")
    relative = [
        text(trigger, "type")
        for trigger in items(spec, "triggers")
        if (text(trigger, "metricType") or text(trigger, "metadata", "type") or "Utilization") == "Utilization"
    ]
    return RivalRecord(
        kind=SCALED_OBJECT,
        namespace=identified[0],
        name=identified[1],
        target_kind=word(spec, "scaleTargetRef", "kind") or "Deployment",
        target_name=text(spec, "scaleTargetRef", "name"),
        min_replicas=integer(spec, "minReplicaCount"),
        max_replicas=integer(spec, "maxReplicaCount", default=100),
        scales_on_cpu="cpu" in relative,
        scales_on_memory="memory" in relative,
    )


def strip_vpa(raw: Mapping[str, Any]) -> RivalRecord | None:
    """A VerticalPodAutoscaler (autoscaling.k8s.io/v1). Its mode defaults to Auto."""
    identified = identity(raw)
    if identified is None:
        return None
    spec = mapping(raw, "spec")
    return RivalRecord(
        kind=VPA,
        namespace=identified[0],
        name=identified[1],
        target_kind=word(spec, "targetRef", "kind"),
        target_name=text(spec, "targetRef", "name"),
        update_mode=word(spec, "updatePolicy", "updateMode") or "Auto",
    )


def strip_budget(raw: Mapping[str, Any]) -> BudgetRecord | None:
    """A PodDisruptionBudget (policy/v1). Without a selector it covers no pod and is left out."""
    identified = identity(raw)
    selector = dig(raw, "spec", "selector")
    if identified is None or not isinstance(selector, Mapping):
        return None
    return BudgetRecord(
        namespace=identified[0],
        name=identified[1],
        selector=dict(selector),
        disruptions_allowed=max(0, integer(raw, "status", "disruptionsAllowed")),
        observed=integer(raw, "status", "observedGeneration", default=-1) >= integer(raw, "metadata", "generation"),
    )


def strip_node(raw: Mapping[str, Any]) -> NodeRecord | None:
    """A Node: what its pods can have."""
    identified = identity(raw, namespaced=False)
    if identified is None:
        return None
    cpu, memory = amount(raw, "status", "allocatable", "cpu"), amount(raw, "status", "allocatable", "memory")
    return NodeRecord(
        name=identified[1],
        cpu=cpu if cpu >= 0 else 0.0,
        memory=memory if memory >= 0 else 0.0,
        schedulable=not flag(raw, "spec", "unschedulable"),
        os=word(raw, "status", "nodeInfo", "operatingSystem") or word(raw, "metadata", "labels", "kubernetes.io/os"),
    )


def strip_limit_range(raw: Mapping[str, Any]) -> LimitRangeRecord | None:
    """A LimitRange: its rules for containers and pods. Of two rules of one type the narrower counts."""
    identified = identity(raw)
    if identified is None:
        return None
    found: dict[str, dict[str, float]] = {}
    for rule in items(raw, "spec", "limits"):
        kind = text(rule, "type")
        for side in ("min", "max", "maxLimitRequestRatio", "default", "defaultRequest"):
            known = found.setdefault(f"{kind} {side}", {})
            for name, number in amounts(rule, side).items():
                narrower = max if side == "min" else min
                known[name] = narrower(known.get(name, number), number)
    return LimitRangeRecord(
        namespace=identified[0],
        name=identified[1],
        container_min=found.get("Container min", {}),
        container_max=found.get("Container max", {}),
        container_ratio=found.get("Container maxLimitRequestRatio", {}),
        default_request=found.get("Container default", {}) | found.get("Container defaultRequest", {}),
        default_limit=found.get("Container default", {}),
        pod_min=found.get("Pod min", {}),
        pod_max=found.get("Pod max", {}),
    )


def strip_quota(raw: Mapping[str, Any]) -> QuotaRecord | None:
    """A ResourceQuota. `cpu` and `memory` mean requests (https://kubernetes.io/docs/concepts/policy/resource-quotas/)."""
    identified = identity(raw)
    if identified is None:
        return None
    hard = amounts(raw, "status", "hard") or amounts(raw, "spec", "hard")
    used = amounts(raw, "status", "used")
    return QuotaRecord(
        namespace=identified[0],
        name=identified[1],
        hard=_as_requests(hard, min),
        used=_as_requests(used, max),
    )


def strip_namespace(raw: Mapping[str, Any]) -> NamespaceRecord | None:
    """A Namespace: whether it is paused or going."""
    identified = identity(raw, namespaced=False)
    if identified is None:
        return None
    return NamespaceRecord(
        name=identified[1],
        paused=paused(raw),
        deleting=dig(raw, "metadata", "deletionTimestamp") is not None,
    )


def strip_profile(raw: Mapping[str, Any]) -> ProfileRecord | None:
    """A TuningProfile. Other names than `trimtab` are nobody's and left out; an unreadable one says why."""
    identified = identity(raw)
    if identified is None or identified[1] != PROFILE_NAME:
        return None
    spec, problem = TuningProfileSpec(), ""
    try:
        spec = TuningProfileSpec.model_validate(dig(raw, "spec") or {})
    except (ValidationError, RecursionError) as error:
        problem = _why(error)
    return ProfileRecord(
        namespace=identified[0],
        name=identified[1],
        uid=text(raw, "metadata", "uid"),
        resource_version=text(raw, "metadata", "resourceVersion"),
        spec=spec,
        problem=problem,
        generation=integer(raw, "metadata", "generation"),
        foreign=foreign_fields(raw),
    )


def _as_requests(amounts_: Mapping[str, float], join: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, number in amounts_.items():
        key = f"requests.{name}" if name in ("cpu", "memory") else name
        found[key] = join(found[key], number) if key in found else number
    return found


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"spec.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"[:256]
    return "spec is nested too deeply"


__all__ = [
    "HPA",
    "SCALED_OBJECT",
    "VPA",
    "StoredWorkload",
    "scaled_workload",
    "strip_budget",
    "strip_daemon_set",
    "strip_deployment",
    "strip_hpa",
    "strip_limit_range",
    "strip_namespace",
    "strip_node",
    "strip_pod",
    "strip_profile",
    "strip_quota",
    "strip_replica_set",
    "strip_scaled_object",
    "strip_stateful_set",
    "strip_vpa",
]
