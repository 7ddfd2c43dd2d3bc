"""The pod of a swap: built from a ReplicaSet's template, outside the ReplicaSet until it is Ready (RULES 7). Pure.

Created with the pod-template-hash label it would be adopted at once and, not being Ready, be the first to be deleted
(controller_utils.go, ActivePodsWithRanks); without it the ReplicaSet does not see it.
"""

import copy
import hashlib
import math
from collections.abc import Mapping
from typing import Any, cast

from trimtab.act.entries import SIDES, Wanted, quantity
from trimtab.kube.raw import items, mapping, strings, text
from trimtab.kube.strip_pods import (
    DEADLINE_ANNOTATION,
    DELETION_COST,
    KNOB_ANNOTATION,
    SWAPPED_ANNOTATION,
    TRIAL_LABEL,
)

HASH_LABEL = "pod-template-hash"
CLONE_COST = "1000"
"""Deletion cost of swapped pods: the ReplicaSet deletes others first."""
MAX_DEPLOYMENT = 40
"""Characters kept of a Deployment's name, so that a clone's name stays under 63 and is no cut host name."""


def clone(
    replica_set: Mapping[str, Any],
    config: str,
    wanted: Mapping[str, Wanted],
    env: Mapping[str, Mapping[str, int]],
    *,
    serial: str,
    deadline: float,
    knob: str = "",
) -> dict[str, Any]:
    """A pod from a ReplicaSet's template, with these sizes and variables.

    Args:
        replica_set: the raw ReplicaSet, fresh from the API server.
        config: name of the PerformanceConfig, for the trial label.
        wanted: sizes by container.
        env: knob variables by container; they replace literals of the template, or are added.
        serial: makes the name unique; the same serial gives the same name, so that a create that is
            repeated after a crash collides instead of making a second pod.
        deadline: Unix time after which anybody may remove the pod.
        knob: what is tried, `knob=value`; empty for a pod of a roll.
    """
    template = mapping(replica_set, "spec", "template")
    labels = {k: v for k, v in strings(template, "metadata", "labels").items() if k != HASH_LABEL}
    annotations = strings(template, "metadata", "annotations")
    annotations |= {DELETION_COST: CLONE_COST, DEADLINE_ANNOTATION: str(int(deadline))}
    if knob:
        annotations[KNOB_ANNOTATION] = knob
    name = text(replica_set, "metadata", "name")
    spec = copy.deepcopy(dict(mapping(template, "spec")))
    for container in items(spec, "containers") + items(spec, "initContainers"):
        _shape(cast(dict[str, Any], container), wanted, env)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": clone_name(name, strings(replica_set, "metadata", "labels").get(HASH_LABEL, ""), serial),
            "namespace": text(replica_set, "metadata", "namespace"),
            "labels": labels | {TRIAL_LABEL: config},
            "annotations": annotations,
            # Not a controller: the garbage collector removes the pod with the ReplicaSet, nobody adopts it.
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": name,
                    "uid": text(replica_set, "metadata", "uid"),
                    "controller": False,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": spec,
    }


def name_prefix(replica_set: str, pod_hash: str) -> str:
    """How the names of all clones of a ReplicaSet begin; it tells those of other revisions apart."""
    return f"{replica_set.removesuffix(f'-{pod_hash}')[:MAX_DEPLOYMENT].rstrip('-.')}-{pod_hash}-t"


def clone_name(replica_set: str, pod_hash: str, serial: str) -> str:
    """Name of the clone with this serial."""
    digest = hashlib.blake2b(f"{replica_set}\n{serial}".encode(), digest_size=4).hexdigest()
    return name_prefix(replica_set, pod_hash) + digest


def adoption(pod: Mapping[str, Any], config: str, pod_hash: str) -> list[dict[str, Any]]:
    """The JSON patch that hands a clone to its ReplicaSet, only while it is still that clone.

    `pod` is the raw pod, fresh. The trial label goes, the hash label comes; the deletion cost stays until the roll
    ends.
    """
    label, annotation = "/metadata/labels/", "/metadata/annotations/"
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/uid", "value": text(pod, "metadata", "uid")},
        {"op": "test", "path": label + escape(TRIAL_LABEL), "value": config},
        {"op": "remove", "path": label + escape(TRIAL_LABEL)},
        {"op": "add", "path": label + HASH_LABEL, "value": pod_hash},
        {"op": "add", "path": annotation + escape(SWAPPED_ANNOTATION), "value": "true"},
        {"op": "add", "path": annotation + escape(DELETION_COST), "value": CLONE_COST},
    ]
    stated = strings(pod, "metadata", "annotations")
    operations += [
        {"op": "remove", "path": annotation + escape(key)}
        for key in (DEADLINE_ANNOTATION, KNOB_ANNOTATION)
        if key in stated
    ]
    return operations


def release(uid: str, cost: str | None) -> list[dict[str, Any]]:
    """The JSON patch that ends a swapped pod's special treatment; `cost` is the template's own deletion cost."""
    annotation = "/metadata/annotations/"
    operations: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "remove", "path": annotation + escape(SWAPPED_ANNOTATION)},
    ]
    path = annotation + escape(DELETION_COST)
    # `add` replaces what is there, and is no error when somebody removed it meanwhile.
    operations.append({"op": "add", "path": path, "value": cost or "0"})
    if cost is None:
        operations.append({"op": "remove", "path": path})
    return operations


def escape(key: str) -> str:
    """A key as one token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _shape(container: dict[str, Any], wanted: Mapping[str, Wanted], env: Mapping[str, Mapping[str, int]]) -> None:
    name = text(container, "name")
    if name in wanted:
        resources = copy.deepcopy(dict(mapping(container, "resources")))
        for attribute, side, resource in SIDES:
            value = getattr(wanted[name].sizes, attribute)
            if not math.isnan(value):
                resources.setdefault(side, {})[resource] = str(quantity(resource, value))
        if resources:
            container["resources"] = resources
    for key, value in env.get(name, {}).items():
        variables = container.setdefault("env", [])
        literal = {"name": key, "value": str(value)}
        places = [i for i, v in enumerate(variables) if text(v, "name") == key]
        if places:
            variables[places[-1]] = literal  # of a name given twice the last counts
        else:
            variables.append(literal)
