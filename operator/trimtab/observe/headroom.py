"""What nodes have left for the pods that run, and whether pods have the sizes in force."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trimtab.kube.records import NodeRecord, PodRecord
from trimtab.observe.inforce import InForce

AMOUNTS = ("cpu", "memory", "cpu_limit", "memory_limit")


@dataclass(frozen=True, slots=True)
class Room:
    """What the cluster's nodes have."""

    cpu: float = math.inf
    memory: float = math.inf
    """Largest allocatable of one schedulable node, cores and bytes; infinite when nodes can't be seen."""
    free: Mapping[str, float] = field(default_factory=dict)
    """Cores that requests leave, by node; empty when not all pods can be seen."""


def room(nodes: Iterable[NodeRecord], pods: Iterable[PodRecord] | None) -> Room:
    """The room on these nodes; `pods` are all of the cluster's, None where not all can be seen."""
    known = list(nodes)
    usable = [node for node in known if node.schedulable]
    return Room(
        max((node.cpu for node in usable if node.cpu > 0), default=math.inf),
        max((node.memory for node in usable if node.memory > 0), default=math.inf),
        free_cpu(known, pods) if pods is not None else {},
    )


def free_cpu(nodes: Iterable[NodeRecord], pods: Iterable[PodRecord]) -> dict[str, float]:
    """Cores of each node's allocatable that the requests of its pods leave, by node name.

    As the scheduler counts (pkg/scheduler NodeInfo): of a container that is being resized the larger of what is asked
    for and what it has. Pods that ended take nothing. Init containers and overhead are not known here; callers lend
    only a share of the rest.
    """
    taken: dict[str, float] = defaultdict(float)
    for pod in pods:
        if pod.node and pod.phase not in ("Succeeded", "Failed"):
            taken[pod.node] += requested_cpu(pod)
    return {node.name: node.cpu - taken[node.name] for node in nodes if node.cpu > 0}


def requested_cpu(pod: PodRecord) -> float:
    """Cores that a pod's containers request, or still have while a resize is under way."""
    total = 0.0
    for one in pod.containers:  # plain loops: this runs for every pod of the cluster in every tick
        largest = one.cpu if one.cpu > 0 else 0.0
        for state in pod.states:
            if state.cpu > largest and state.name == one.name:
                largest = state.cpu
        total += largest
    return total


def node_free_cpu(pods: Iterable[PodRecord], free: Mapping[str, float]) -> float:
    """Cores by which every one of these pods that is ready could grow at once; NaN when a node of theirs is not known.

    Pods that start count among those that share a node: they may get the same later.
    """
    here: dict[str, int] = defaultdict(int)
    busy: set[str] = set()
    for pod in pods:
        if pod.node:
            here[pod.node] += 1
        if pod.ready:
            busy.add(pod.node)
    if not busy or not busy <= free.keys():
        return math.nan
    return max(0.0, min(free[node] / here[node] for node in busy))


def has_sizes(pod: PodRecord, name: str, force: InForce) -> bool:
    """Whether a pod's container has what is in force, a loan included, and the kubelet says so.

    What is not stated counts as had. Of a pod that borrows and is not ready the CPU is not looked at.
    """
    stated = next((container for container in pod.containers if container.name == name), None)
    had = next((state for state in pod.states if state.name == name), None)
    lent = force.lent.cpu if force.lent.reaches(pod) else 0.0
    looked_at = AMOUNTS if pod.ready or not lent else ("memory", "memory_limit")
    wanted = {amount: getattr(force, amount) + (lent if amount.startswith("cpu") else 0.0) for amount in looked_at}
    return not pod.resize and all(
        math.isnan(value)
        or math.isnan(getattr(found, amount))
        or math.isclose(getattr(found, amount), value, rel_tol=1e-9, abs_tol=1e-4)
        for found in (stated, had)
        if found is not None
        for amount, value in wanted.items()
    )
