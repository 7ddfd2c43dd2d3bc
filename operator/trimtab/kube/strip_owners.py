"""Who wrote what last, from managedFields (https://kubernetes.io/docs/reference/using-api/server-side-apply/).

A field belongs to the manager that changed it last. FIELD_MANAGER is ours; what others own is what they set.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from trimtab.kube.client import FIELD_MANAGER
from trimtab.kube.raw import items, mapping, moment, word

Field = tuple[str, str, str]
"""Workload, container, and `cpu`, `memory` or `env/NAME`."""


def resized_by(raw: Mapping[str, Any]) -> tuple[str, float]:
    """Manager of a pod's last resize in place and its Unix time; ("", 0.0): the pod was never resized."""
    found = ("", 0.0)
    for entry in items(raw, "metadata", "managedFields"):
        if word(entry, "subresource") == "resize" and mapping(entry, "fieldsV1", "f:spec"):
            found = max(found, (word(entry, "manager"), moment(entry, "time")), key=lambda writer: writer[1])
    return found


def foreign_fields(raw: Mapping[str, Any]) -> dict[Field, str]:
    """Fields of a TuningProfile's entries that somebody else than Trimtab set last → that manager."""
    entries = [
        (word(entry, "manager"), mapping(entry, "fieldsV1", "f:spec", "f:workloads"))
        for entry in items(raw, "metadata", "managedFields")
    ]
    if all(manager == FIELD_MANAGER for manager, tree in entries if tree):
        return {}
    ours = {field for manager, tree in entries if manager == FIELD_MANAGER for field in _fields(tree)}
    return {
        field: manager
        for manager, tree in entries
        if manager != FIELD_MANAGER
        for field in _fields(tree)
        if field not in ours
    }


def _fields(workloads: Mapping[str, Any]) -> Iterator[Field]:
    for workload in workloads:
        for container, owned in mapping(workloads, workload, "f:containers").items():
            name = _keyed(container)
            if not name or not workload.startswith("f:") or not isinstance(owned, Mapping):
                continue
            amounts = {resource for side in ("f:requests", "f:limits") for resource in mapping(owned, side)}
            for field in (*sorted(amounts), *(f"env/{env[2:]}" for env in mapping(owned, "f:env") if env != ".")):
                if field.startswith("env/") or field in ("f:cpu", "f:memory"):
                    yield workload[2:], name, field.removeprefix("f:")


def _keyed(item: str) -> str:
    """The name in the key of a list entry, `k:{"name":"app"}`; empty when it is another key."""
    start, end = 'k:{"name":"', '"}'
    return item[len(start) : -len(end)] if item.startswith(start) and item.endswith(end) else ""
