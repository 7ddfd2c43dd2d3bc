"""Whose pod a pod was: from kube-state-metrics where it runs, otherwise from the shape of its name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trimtab.api.privacy import Privacy
from trimtab.observe.source import Series

# The alphabet of pod-template hashes and generated suffixes (apimachinery util/rand: no vowels, no 0, 1, 3).
_SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]"
_SHAPES = (
    ("CronJob", re.compile(rf"^(.+)-[0-9]{{8,10}}-{_SUFFIX}{{5}}$")),
    ("Deployment", re.compile(rf"^(.+)-{_SUFFIX}{{6,10}}-{_SUFFIX}{{5}}$")),
    ("StatefulSet", re.compile(r"^(.+)-[0-9]{1,5}$")),
    ("DaemonSet", re.compile(rf"^(.+)-{_SUFFIX}{{5}}$")),
)
_OF_A_CRON_JOB = re.compile(r"^(.+)-[0-9]{8,10}$")


def shown(text: str) -> str:
    """What may be shown of a label's value: names that Kubernetes would not allow may hold anything."""
    return Privacy().clean(text)


@dataclass(frozen=True, slots=True, order=True)
class Workload:
    """What owns a pod."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        """Namespace and name, as they may be shown."""
        return f"{shown(self.namespace)}/{shown(self.name)}"


def by_name(namespace: str, pod: str) -> Workload:
    """The owner that the pod's name tells of; a name of no known shape is a workload of its own.

    A ReplicaSet without a Deployment and a Job look like a DaemonSet: their pods are grouped alike.
    """
    for kind, shape in _SHAPES:
        found = shape.match(pod)
        if found:
            return Workload(namespace, kind, found[1])
    return Workload(namespace, "Pod", pod)


def by_metrics(namespace: str, pods: Iterable[Series], replica_sets: Iterable[Series]) -> dict[str, Workload]:
    """Pod → owner, from kube_pod_owner and kube_replicaset_owner; pods without an owner are left out."""
    deployments = {
        one.labels.get("replicaset", ""): one.labels.get("owner_name", "")
        for one in replica_sets
        if one.labels.get("owner_kind") == "Deployment"
    }
    found: dict[str, Workload] = {}
    for one in pods:
        pod, kind, name = (one.labels.get(label, "") for label in ("pod", "owner_kind", "owner_name"))
        if not pod or not name or kind in {"", "<none>", "Node"}:
            continue
        if kind == "ReplicaSet" and deployments.get(name):
            kind, name = "Deployment", deployments[name]
        elif kind == "Job" and (cron := _OF_A_CRON_JOB.match(name)):
            kind, name = "CronJob", cron[1]
        found[pod] = Workload(namespace, kind, name)
    return found


def owner(namespace: str, pod: str, known: Mapping[str, Workload]) -> Workload:
    """The pod's owner, told or guessed from its name."""
    return known.get(pod) or by_name(namespace, pod)
