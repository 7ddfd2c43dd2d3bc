"""Raw Deployments, StatefulSets, DaemonSets, ReplicaSets and other scalable kinds → records."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from trimtab.api.reasons import Reason
from trimtab.kube.raw import (
    controller,
    dig,
    flag,
    identity,
    integer,
    items,
    mapping,
    moment,
    strings,
    text,
    word,
)
from trimtab.kube.records import ReplicaSetRecord, WorkloadRecord
from trimtab.kube.selectors import parse_selector
from trimtab.kube.strip_pods import containers, operating_system, paused, qos_class

REVISION = "deployment.kubernetes.io/revision"
APPS = "apps/v1"
# Volume sources that only one pod, or one node, can have read-write at a time.
_EXCLUSIVE_VOLUMES = (
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "azureDisk",
    "cinder",
    "vsphereVolume",
    "rbd",
    "iscsi",
    "fc",
)


@dataclass(frozen=True, slots=True)
class StoredWorkload:
    """A workload as the cache keeps it: its record without the template, and the template packed small."""

    record: WorkloadRecord
    packed: bytes = b""

    def template(self) -> dict[str, Any]:
        """The raw pod template; empty when the kind has none."""
        if not self.packed:
            return {}
        unpacked = json.loads(zlib.decompress(self.packed))
        return unpacked if isinstance(unpacked, dict) else {}


def strip_deployment(raw: Mapping[str, Any]) -> StoredWorkload | None:
    """A Deployment; None when it has no name or namespace."""
    return _workload(raw, "Deployment", text(raw, "spec", "strategy", "type") or "RollingUpdate")


def strip_stateful_set(raw: Mapping[str, Any]) -> StoredWorkload | None:
    """A StatefulSet; None when it has no name or namespace."""
    return _workload(raw, "StatefulSet", text(raw, "spec", "updateStrategy", "type") or "RollingUpdate")


def strip_daemon_set(raw: Mapping[str, Any]) -> StoredWorkload | None:
    """A DaemonSet; None when it has no name or namespace. Replicas: the pods that its nodes ask for."""
    return _workload(raw, "DaemonSet", text(raw, "spec", "updateStrategy", "type") or "RollingUpdate")


def strip_replica_set(raw: Mapping[str, Any]) -> ReplicaSetRecord | None:
    """A ReplicaSet; None when it has no name or namespace."""
    identified = identity(raw)
    if identified is None:
        return None
    revision = strings(raw, "metadata", "annotations").get(REVISION, "")
    _, _, owner_name, owner_uid = controller(raw)
    return ReplicaSetRecord(
        namespace=identified[0],
        name=identified[1],
        uid=text(raw, "metadata", "uid"),
        owner_name=owner_name,
        owner_uid=owner_uid,
        revision=int(revision) if revision.isascii() and revision.isdecimal() and len(revision) < 16 else 0,
        hash=strings(raw, "metadata", "labels").get("pod-template-hash", ""),
        replicas=max(0, integer(raw, "spec", "replicas")),
    )


def scaled_workload(
    api_version: str, kind: str, raw: Mapping[str, Any], scale: Mapping[str, Any]
) -> WorkloadRecord | None:
    """A workload of any other kind, from the object and its scale subresource (autoscaling/v1 Scale)."""
    identified = identity(raw)
    if identified is None:
        return None
    manager, operation, written = replicas_owner(raw)
    ready = integer(raw, "status", "readyReplicas", default=integer(scale, "status", "replicas"))
    template = mapping(raw, "spec", "template")
    return WorkloadRecord(
        api_version=api_version,
        kind=kind,
        namespace=identified[0],
        name=identified[1],
        uid=text(raw, "metadata", "uid"),
        resource_version=text(raw, "metadata", "resourceVersion"),
        generation=integer(raw, "metadata", "generation"),
        observed_generation=_observed(raw),
        replicas=max(0, integer(scale, "spec", "replicas")),
        replicas_manager=manager,
        replicas_manager_operation=operation,
        replicas_set_at=written,
        status_replicas=max(0, integer(scale, "status", "replicas")),
        ready_replicas=max(0, ready),
        updated_replicas=max(
            0, integer(raw, "status", "updatedReplicas", default=integer(scale, "status", "replicas"))
        ),
        selector=parse_selector(text(scale, "status", "selector")),
        owner_kind=controller(raw)[1],
        owner_name=controller(raw)[2],
        annotations_paused=paused(raw),
        template_hash=template_hash(template),
        containers=containers(mapping(template, "spec")),
        qos=qos_class(mapping(template, "spec")),
        os=operating_system(mapping(template, "spec")),
    )


def template_hash(template: Mapping[str, Any]) -> str:
    """16 hex digits over the requests and limits of the template's containers; empty for an empty template.

    What was learned belongs to these values (RULES 3). A new image or a restart changes none of them: learning goes
    on, or a workload that is deployed daily would never have a day of history.
    """
    if not template:
        return ""
    values = [
        (one.name, one.cpu, one.memory, one.cpu_limit, one.memory_limit)
        for one in containers(mapping(template, "spec"))
    ]
    return blake2b(repr(sorted(values)).encode(), digest_size=8).hexdigest()


def swap_refusals(kind: str, strategy: str, template: Mapping[str, Any]) -> tuple[str, ...]:
    """What in this template forbids one pod more beside the others, as `<Reason>: <phrase>` (RULES 6)."""
    if kind != "Deployment":
        return ()
    found = [f"{Reason.STRATEGY_RECREATE}: its strategy is Recreate"] if strategy == "Recreate" else []
    volume_refused = Reason.SWAP_REFUSED_VOLUME
    spec = mapping(template, "spec")
    for volume in items(spec, "volumes"):
        if claim := text(volume, "persistentVolumeClaim", "claimName"):
            found.append(f"{volume_refused}: all its pods share the volume claim {claim[:63]}")
        exclusive = next((source for source in _EXCLUSIVE_VOLUMES if isinstance(volume.get(source), Mapping)), "")
        if exclusive:
            name = text(volume, "name")[:63]
            found.append(f"{volume_refused}: its volume {name} ({exclusive}) can be attached once")
    if flag(spec, "hostNetwork"):
        found.append(f"{Reason.SWAP_REFUSED_HOST_PORT}: its pods use the host's network")
    ports = [p for c in items(spec, "containers") + items(spec, "initContainers") for p in items(c, "ports")]
    if any(integer(port, "hostPort") for port in ports):
        found.append(f"{Reason.SWAP_REFUSED_HOST_PORT}: one of its containers has a hostPort")
    apart = items(spec, "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    if any(term.get("topologyKey") == "kubernetes.io/hostname" for term in apart):
        found.append(f"{Reason.SWAP_REFUSED_ANTI_AFFINITY}: it requires pod anti-affinity by hostname")
    return tuple(found)


def replicas_owner(raw: Mapping[str, Any]) -> tuple[str, str, float]:
    """Who wrote spec.replicas last, from managedFields: manager, operation (or `scale`), Unix time.

    An entry of the scale subresource carries no time (seen on 1.36). Then it is that of the last write of the status,
    which came after it once the controller has observed this generation; until then 0.0.
    """
    best, status_at = ("", "", -1.0), 0.0
    for entry in items(raw, "metadata", "managedFields"):
        when, part = moment(entry, "time"), word(entry, "subresource")
        if part == "status":
            status_at = max(status_at, when)
        if "f:replicas" in mapping(entry, "fieldsV1", "f:spec"):
            # Without a time: it took the field from those that have one.
            rank = when if part != "scale" or when > 0 else float("inf")
            if rank >= best[2]:
                best = (word(entry, "manager"), part or word(entry, "operation"), rank)
    manager, operation, written = best
    if written == float("inf"):
        written = status_at if _observed(raw) >= integer(raw, "metadata", "generation") else 0.0
    return manager, operation, max(0.0, written)


def _workload(raw: Mapping[str, Any], kind: str, strategy: str) -> StoredWorkload | None:
    identified = identity(raw)
    if identified is None:
        return None
    template = mapping(raw, "spec", "template")
    pod_spec = mapping(template, "spec")
    manager, operation, written = replicas_owner(raw)
    _, owner_kind, owner_name, _ = controller(raw)
    status, daemon = mapping(raw, "status"), kind == "DaemonSet"
    replicas = integer(status, "desiredNumberScheduled") if daemon else integer(raw, "spec", "replicas", default=1)
    record = WorkloadRecord(
        api_version=APPS,
        kind=kind,
        namespace=identified[0],
        name=identified[1],
        uid=text(raw, "metadata", "uid"),
        resource_version=text(raw, "metadata", "resourceVersion"),
        generation=integer(raw, "metadata", "generation"),
        observed_generation=integer(status, "observedGeneration"),
        replicas=max(0, replicas),
        replicas_manager=manager,
        replicas_manager_operation=operation,
        replicas_set_at=written,
        status_replicas=max(0, integer(status, "currentNumberScheduled" if daemon else "replicas")),
        ready_replicas=max(0, integer(status, "numberReady" if daemon else "readyReplicas")),
        updated_replicas=max(0, integer(status, "updatedNumberScheduled" if daemon else "updatedReplicas")),
        selector=dict(mapping(raw, "spec", "selector")),
        owner_kind=owner_kind,
        owner_name=owner_name,
        annotations_paused=paused(raw),
        strategy=word({"strategy": strategy}, "strategy"),
        template_hash=template_hash(template),
        containers=containers(pod_spec),
        swap_refusals=swap_refusals(kind, strategy, template),
        paused=flag(raw, "spec", "paused"),
        qos=qos_class(pod_spec),
        os=operating_system(pod_spec),
    )
    # Only a Deployment's pods are cloned; its template is kept for that.
    return StoredWorkload(record, _pack(template) if kind == "Deployment" else b"")


def _pack(template: Mapping[str, Any]) -> bytes:
    try:
        return zlib.compress(json.dumps(template, separators=(",", ":")).encode(), 1)
    except (ValueError, TypeError, RecursionError):
        return b""


def _observed(raw: Mapping[str, Any]) -> int:
    """status.observedGeneration; some kinds write it as a string (Argo Rollouts), some leave it out."""
    found = dig(raw, "status", "observedGeneration")
    if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) < 16:
        return int(found)
    return integer(raw, "status", "observedGeneration", default=integer(raw, "metadata", "generation"))
