"""Every delete of ours is an Eviction, so that PodDisruptionBudgets hold (RULES 7)."""

from trimtab.act.bounds import Refusal
from trimtab.act.writer import Writer
from trimtab.api.reasons import Reason
from trimtab.kube.errors import Conflict, NotFound, TooManyRequests
from trimtab.kube.paths import resource_path
from trimtab.kube.records import PodRecord


async def evict(writer: Writer, pod: PodRecord) -> Refusal | None:
    """Evict exactly this pod; why not, when a budget or the server's load forbids it now.

    Raises:
        HeldError: the gate holds the write.
        KubeError: any other refusal.
    """
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    }
    try:
        await writer.create(resource_path("", "v1", "pods", pod.namespace, pod.name, "eviction"), body)
    except (NotFound, Conflict):
        return None  # gone, or another pod has the name
    except TooManyRequests as error:
        return Refusal(Reason.PDB_BLOCKS, f"pod {pod.name} can't be evicted now: {error.message}")
    return None
