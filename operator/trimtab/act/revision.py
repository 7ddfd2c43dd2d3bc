"""Facts read fresh from the API server right before a swap, because the mirror may be seconds behind (RULES 7)."""

from collections.abc import Mapping
from typing import Any

from trimtab.act.bounds import Refusal
from trimtab.act.targets import TargetInfo
from trimtab.act.writer import Writer
from trimtab.api.reasons import Reason
from trimtab.kube.errors import NotFound
from trimtab.kube.paths import resource_path
from trimtab.kube.raw import controller, flag, integer, items, mapping, strings, text
from trimtab.kube.selectors import matches
from trimtab.kube.strip import strip_budget
from trimtab.kube.strip_pods import DELETION_COST
from trimtab.kube.strip_workloads import REVISION, template_hash


async def current_replica_set(writer: Writer, info: TargetInfo) -> dict[str, Any] | Refusal:
    """The raw ReplicaSet of a Deployment, if it is still the current one and of the template that was planned for.

    Raises KubeError.
    """
    moved = Refusal(Reason.ROLLOUT_IN_PROGRESS, "the Deployment changed meanwhile; no pod is swapped")
    if info.replicaset is None:
        return moved
    namespace = info.namespace
    try:
        deployment = await writer.get(resource_path("apps", "v1", "deployments", namespace, info.workload.name))
        found = await writer.get(resource_path("apps", "v1", "replicasets", namespace, info.replicaset.name))
    except NotFound:
        return moved
    revisions = [strings(o, "metadata", "annotations").get(REVISION, "") for o in (deployment, found)]
    still = (
        text(deployment, "metadata", "uid") == info.workload.uid
        and text(found, "metadata", "uid") == info.replicaset.uid
        and controller(found)[3] == info.workload.uid
        and revisions[0] == revisions[1] != ""
        and integer(deployment, "status", "observedGeneration") >= integer(deployment, "metadata", "generation")
        and template_hash(mapping(deployment, "spec", "template")) == info.workload.template_hash
        and not flag(deployment, "spec", "paused")
        and integer(found, "spec", "replicas") > 0
    )
    return found if still else moved


async def blocking_budget(writer: Writer, namespace: str, labels: Mapping[str, str]) -> Refusal | None:
    """The first PodDisruptionBudget that covers a pod with these labels and allows no disruption now.

    Raises KubeError.
    """
    listed = await writer.client.list(resource_path("policy", "v1", "poddisruptionbudgets", namespace))
    for raw in items(listed, "items"):
        budget = strip_budget(raw)
        if budget is None or not matches(budget.selector, labels):
            continue
        if not budget.observed or budget.disruptions_allowed < 1:
            message = f"PodDisruptionBudget {budget.name} allows no disruption now; the new pod waits"
            return Refusal(Reason.PDB_BLOCKS, message)
    return None


async def template_cost(writer: Writer, namespace: str, replica_set: str) -> str | None:
    """The deletion cost that a ReplicaSet's own template states; None when it states none. Raises KubeError."""
    try:
        found = await writer.get(resource_path("apps", "v1", "replicasets", namespace, replica_set))
    except NotFound:
        return None
    return strings(found, "spec", "template", "metadata", "annotations").get(DELETION_COST)
