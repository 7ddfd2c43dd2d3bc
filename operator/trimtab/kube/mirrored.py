"""Which collections of the API server are mirrored, what is kept of their objects, and how they are looked up."""

from collections.abc import Callable, Sequence
from typing import Any

from trimtab.api.group import GROUP, PROFILE_PLURAL, VERSION
from trimtab.kube.client import KubeClient
from trimtab.kube.mirrors import Mirror
from trimtab.kube.records import (
    BudgetRecord,
    LimitRangeRecord,
    NamespaceRecord,
    NodeRecord,
    PodRecord,
    ProfileRecord,
    QuotaRecord,
    ReplicaSetRecord,
    RivalRecord,
)
from trimtab.kube.strip import (
    StoredWorkload,
    strip_budget,
    strip_daemon_set,
    strip_deployment,
    strip_hpa,
    strip_limit_range,
    strip_namespace,
    strip_node,
    strip_pod,
    strip_profile,
    strip_quota,
    strip_replica_set,
    strip_scaled_object,
    strip_stateful_set,
    strip_vpa,
)


class Mirrored:
    """Every mirror of the operator, none of them started; `namespaces` empty: of the whole cluster.

    `always` are those that every cluster has, `optional` those of CRDs that may be missing, `rivals` those of other
    autoscalers.
    """

    def __init__(self, client: KubeClient, namespaces: Sequence[str], clock: Callable[[], float]) -> None:
        where: dict[str, Any] = {"namespaces": namespaces, "clock": clock}
        apps: dict[str, Any] = where | {"group": "apps"}
        self.workloads: dict[str, Mirror[StoredWorkload]] = {
            "Deployment": Mirror(client, "deployments", strip_deployment, **apps),
            "StatefulSet": Mirror(client, "statefulsets", strip_stateful_set, **apps),
            "DaemonSet": Mirror(client, "daemonsets", strip_daemon_set, **apps),
        }
        self.replica_sets: Mirror[ReplicaSetRecord] = Mirror(
            client, "replicasets", strip_replica_set, index=lambda r: (r.owner_uid,), **apps
        )
        self.pods: Mirror[PodRecord] = Mirror(client, "pods", strip_pod, index=_pod_index, **where)
        self.hpas: Mirror[RivalRecord] = Mirror(
            client,
            "horizontalpodautoscalers",
            strip_hpa,
            group="autoscaling",
            version="v2",
            index=_rival_index,
            **where,
        )
        self.budgets: Mirror[BudgetRecord] = Mirror(
            client, "poddisruptionbudgets", strip_budget, group="policy", index=_by_namespace, **where
        )
        self.ranges: Mirror[LimitRangeRecord] = Mirror(
            client, "limitranges", strip_limit_range, index=_by_namespace, **where
        )
        self.quotas: Mirror[QuotaRecord] = Mirror(client, "resourcequotas", strip_quota, index=_by_namespace, **where)
        self.nodes: Mirror[NodeRecord] = Mirror(client, "nodes", strip_node, clock=clock)
        self.spaces: Mirror[NamespaceRecord] = Mirror(client, "namespaces", strip_namespace, clock=clock)
        # Only where their CRDs are installed:
        self.scaled: Mirror[RivalRecord] = Mirror(
            client,
            "scaledobjects",
            strip_scaled_object,
            group="keda.sh",
            version="v1alpha1",
            index=_rival_index,
            **where,
        )
        self.vpas: Mirror[RivalRecord] = Mirror(
            client,
            "verticalpodautoscalers",
            strip_vpa,
            group="autoscaling.k8s.io",
            index=_rival_index,
            **where,
        )
        self.profiles: Mirror[ProfileRecord] = Mirror(
            client, PROFILE_PLURAL, strip_profile, group=GROUP, version=VERSION, **where
        )
        self.always: tuple[Mirror[Any], ...] = (
            *self.workloads.values(),
            self.replica_sets,
            self.pods,
            self.hpas,
            self.budgets,
            self.ranges,
            self.quotas,
            self.nodes,
            *(() if namespaces else (self.spaces,)),
        )
        self.optional: tuple[Mirror[Any], ...] = (self.scaled, self.vpas, self.profiles)
        self.rivals = (self.scaled, self.hpas, self.vpas)


def _pod_index(pod: PodRecord) -> tuple[str, ...]:
    trial = (f"trial {pod.namespace}/{pod.trial_of}",) if pod.trial_of else ()
    owner = (f"owner {pod.owner_uid}",) if pod.owner_uid else ()
    marked = ("marked",) if pod.trial_of or pod.swapped else ()
    return (f"namespace {pod.namespace}", *owner, *trial, *marked)


def _rival_index(rival: RivalRecord) -> tuple[str, ...]:
    return (f"{rival.namespace}/{rival.target_kind}/{rival.target_name}",)


def _by_namespace(record: BudgetRecord | LimitRangeRecord | QuotaRecord) -> tuple[str, ...]:
    return (record.namespace,)
