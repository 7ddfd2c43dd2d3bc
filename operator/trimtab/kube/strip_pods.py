"""Raw pods and pod templates → records: containers, what the kubelet says of them, resize state."""

import math
from collections.abc import Mapping
from sys import intern
from typing import Any

from trimtab.kube.raw import (
    amount,
    condition,
    controller,
    dig,
    identity,
    integer,
    is_integer_text,
    items,
    mapping,
    moment,
    strings,
    text,
    word,
)
from trimtab.kube.records import ContainerSpec, ContainerState, PodRecord
from trimtab.kube.strip_owners import resized_by

TRIAL_LABEL = "trimtab.dev/trial"
DEADLINE_ANNOTATION = "trimtab.dev/trial-deadline"
KNOB_ANNOTATION = "trimtab.dev/trial-knob"
SWAPPED_ANNOTATION = "trimtab.dev/swapped"
PAUSE_ANNOTATION = "trimtab.dev/pause"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
MAX_CONTAINERS = 64
MAX_VARIABLES = 1024


def strip_pod(raw: Mapping[str, Any]) -> PodRecord | None:
    """A pod, trimmed; None when it has no name or namespace."""
    identified = identity(raw)
    if identified is None:
        return None
    labels, annotations = strings(raw, "metadata", "labels"), strings(raw, "metadata", "annotations")
    _, owner_kind, owner_name, owner_uid = controller(raw)
    spec = mapping(raw, "spec")
    ready = condition(raw, "Ready")
    resize, message, since = _resize(raw)
    resizer, resized_at = resized_by(raw)
    refusal, refused_at = _unschedulable(raw)
    return PodRecord(
        namespace=identified[0],
        name=identified[1],
        uid=text(raw, "metadata", "uid"),
        resource_version=text(raw, "metadata", "resourceVersion"),
        created=moment(raw, "metadata", "creationTimestamp"),
        started=moment(raw, "status", "startTime"),
        owner_kind=owner_kind,
        owner_name=owner_name,
        owner_uid=owner_uid,
        # A trial pod has no controller. A template that carries the label makes none: its pods are the workload's.
        trial_of="" if owner_uid else labels.get(TRIAL_LABEL, ""),
        trial_deadline=_deadline(annotations.get(DEADLINE_ANNOTATION, "")),
        trial_knob=annotations.get(KNOB_ANNOTATION, ""),
        swapped=SWAPPED_ANNOTATION in annotations,
        hash_label=intern(str(labels.get("pod-template-hash") or labels.get("controller-revision-hash") or "")),
        labels={intern(str(key)): intern(str(value)) for key, value in labels.items()},
        phase=word(raw, "status", "phase"),
        ready=ready.get("status") == "True",
        ready_since=moment(ready, "lastTransitionTime") if ready.get("status") == "True" else 0.0,
        deleting=dig(raw, "metadata", "deletionTimestamp") is not None,
        node=word(spec, "nodeName"),
        qos=word(raw, "status", "qosClass") or qos_class(spec),
        os=operating_system(spec),
        containers=containers(spec),
        states=_states(raw),
        resize=resize,
        resize_message=message,
        resize_since=since,
        resized_by=resizer,
        resized_at=resized_at,
        unschedulable=refusal,
        unschedulable_since=refused_at,
        has_resource_claims=bool(items(spec, "resourceClaims")),
        claims=_claims(spec),
    )


def containers(pod_spec: Mapping[str, Any]) -> tuple[ContainerSpec, ...]:
    """Containers of a pod spec, native sidecars (init containers with restartPolicy Always) included.

    Sidecars: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
    """
    sidecars = [entry for entry in items(pod_spec, "initContainers") if entry.get("restartPolicy") == "Always"]
    named = [(entry, False) for entry in items(pod_spec, "containers")] + [(e, True) for e in sidecars]
    return tuple(_container(e, sidecar) for e, sidecar in named[:MAX_CONTAINERS] if text(e, "name"))


def qos_class(pod_spec: Mapping[str, Any]) -> str:
    """QoS class that the API server will give the pod (https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/).

    Init containers count as well. Empty for a spec without containers.
    """
    parts = items(pod_spec, "containers") + items(pod_spec, "initContainers")
    if not parts:
        return ""
    # Pod-level resources, where they are set, decide alone (KEP-2837).
    whole = mapping(pod_spec, "resources")
    sets = (
        [whole] if mapping(whole, "requests") or mapping(whole, "limits") else [mapping(p, "resources") for p in parts]
    )
    stated = [amount(s, side, name) for s in sets for side in ("requests", "limits") for name in ("cpu", "memory")]
    if not any(number > 0 for number in stated):
        return "BestEffort"
    for resources in sets:
        for name in ("cpu", "memory"):
            limit = amount(resources, "limits", name)
            request = amount(resources, "requests", name)
            # A request that is left out is defaulted to the limit.
            if not limit > 0 or not (math.isnan(request) or request == limit):
                return "Burstable"
    return "Guaranteed"


def paused(raw: Mapping[str, Any]) -> bool:
    """Whether an object carries trimtab.dev/pause with anything but `false` or nothing."""
    return strings(raw, "metadata", "annotations").get(PAUSE_ANNOTATION, "false").lower() not in ("false", "")


def operating_system(pod_spec: Mapping[str, Any]) -> str:
    """`linux` or `windows` where the pod spec says so, by its os field or its node selector."""
    return word(pod_spec, "os", "name") or word(pod_spec, "nodeSelector", "kubernetes.io/os")


def _container(raw: Mapping[str, Any], sidecar: bool) -> ContainerSpec:
    resources = mapping(raw, "resources")
    cpu_limit, memory_limit = amount(resources, "limits", "cpu"), amount(resources, "limits", "memory")
    literal, opaque, elsewhere, repeated = _variables(raw)
    policies = {text(p, "resourceName"): text(p, "restartPolicy") for p in items(raw, "resizePolicy")}
    return ContainerSpec(
        name=word(raw, "name"),
        # The API server does this when a pod is created, but not in a template.
        cpu=_or(amount(resources, "requests", "cpu"), cpu_limit),
        memory=_or(amount(resources, "requests", "memory"), memory_limit),
        cpu_limit=cpu_limit,
        memory_limit=memory_limit,
        env=literal,
        env_opaque=opaque,
        env_from=elsewhere,
        env_repeated=repeated,
        restart_on_cpu=policies.get("cpu") == "RestartContainer",
        restart_on_memory=policies.get("memory") == "RestartContainer",
        sidecar=sidecar,
        gpus=sum(
            number
            for name in mapping(resources, "limits")
            if name.endswith("/gpu") and (number := amount(resources, "limits", name)) > 0
        ),
    )


def _claims(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the PersistentVolumeClaims that a pod mounts."""
    named = (text(volume, "persistentVolumeClaim", "claimName") for volume in items(spec, "volumes")[:MAX_VARIABLES])
    return tuple(intern(name) for name in named if name)


def _variables(raw: Mapping[str, Any]) -> tuple[dict[str, str], frozenset[str], frozenset[str], frozenset[str]]:
    """(plain integers, names of the others, names set by valueFrom, names of twins). Of twins the last counts."""
    literal: dict[str, str] = {}
    opaque: set[str] = set()
    elsewhere: set[str] = set()
    repeated: set[str] = set()
    for entry in items(raw, "env")[:MAX_VARIABLES]:
        name, value = word(entry, "name"), text(entry, "value")
        if not name:
            continue
        if name in literal or name in opaque or name in elsewhere:
            repeated.add(name)
        literal.pop(name, None)
        opaque.discard(name)
        elsewhere.discard(name)
        if "valueFrom" in entry:
            elsewhere.add(name)
        elif is_integer_text(value):
            literal[name] = value
        else:
            opaque.add(name)
    return literal, frozenset(opaque | elsewhere), frozenset(elsewhere), frozenset(repeated)


def _states(raw: Mapping[str, Any]) -> tuple[ContainerState, ...]:
    reported = items(raw, "status", "containerStatuses") + items(raw, "status", "initContainerStatuses")
    return tuple(_state(entry) for entry in reported[: 2 * MAX_CONTAINERS] if text(entry, "name"))


def _state(raw: Mapping[str, Any]) -> ContainerState:
    ends = [mapping(raw, "state", "terminated"), mapping(raw, "lastState", "terminated")]
    kills = [moment(end, "finishedAt") for end in ends if end.get("reason") == "OOMKilled"]
    resources = mapping(raw, "resources")
    return ContainerState(
        name=word(raw, "name"),
        restarts=max(0, integer(raw, "restartCount")),
        oom_killed_at=max(kills, default=0.0),
        cpu=amount(resources, "requests", "cpu"),
        memory=amount(resources, "requests", "memory"),
        cpu_limit=amount(resources, "limits", "cpu"),
        memory_limit=amount(resources, "limits", "memory"),
    )


def _resize(raw: Mapping[str, Any]) -> tuple[str, str, float]:
    """State of an in-place resize from the pod's conditions (KEP-1287): state, message, since when."""
    pending = condition(raw, "PodResizePending")
    if pending.get("status") == "True":
        reason = text(pending, "reason")
        state = reason if reason in ("Deferred", "Infeasible") else "Deferred"
        return state, text(pending, "message")[:512], moment(pending, "lastTransitionTime")
    running = condition(raw, "PodResizeInProgress")
    if running.get("status") == "True":
        return "InProgress", text(running, "message")[:512], moment(running, "lastTransitionTime")
    return "", "", 0.0


def _unschedulable(raw: Mapping[str, Any]) -> tuple[str, float]:
    """Why no node takes a pod, up to what was tried by preemption, and since when."""
    placed = condition(raw, "PodScheduled")
    if placed.get("status") != "False" or placed.get("reason") != "Unschedulable":
        return "", 0.0
    return text(placed, "message").partition(". ")[0].rstrip(".")[:256], moment(placed, "lastTransitionTime")


def _deadline(raw: str) -> float:
    """A deadline as RFC 3339 or as Unix seconds; 0.0 when it is neither."""
    if raw[:20].isascii() and raw[:20].replace(".", "", 1).isdecimal():
        return float(raw[:20])
    return moment(raw)


def _or(first: float, second: float) -> float:
    return second if math.isnan(first) else first
