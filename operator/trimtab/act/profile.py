"""Writes TuningProfile/trimtab of a namespace: one write a tick, only what changed, never over another one's write."""

import json
from collections.abc import Mapping
from typing import Any

from trimtab.act.bounds import Refusal
from trimtab.act.writer import Writer
from trimtab.api.group import API_VERSION, GROUP, PROFILE_PLURAL, VERSION
from trimtab.api.reasons import Reason
from trimtab.api.tuningprofile import PROFILE_NAME, ProfileEntry
from trimtab.kube.errors import NotFound
from trimtab.kube.paths import resource_path
from trimtab.kube.records import ProfileRecord

MAX_WORKLOADS = 1000
MAX_BYTES = 900 * 1024
"""Of the spec as JSON; etcd refuses objects over 1.5 MiB, managedFields included."""


def fitting(
    record: ProfileRecord | None, changes: Mapping[str, ProfileEntry | None]
) -> tuple[dict[str, ProfileEntry | None], dict[str, Refusal]]:
    """The changes that fit into the profile's bounds, and why the others do not.

    Removals and changes of what is there come before new entries.
    """
    entries = dict(record.spec.workloads) if record is not None else {}
    sizes = {key: len(json.dumps(as_json(e))) + len(key) for key, e in entries.items()}
    kept: dict[str, ProfileEntry | None] = {}
    refused: dict[str, Refusal] = {}
    for key, entry in sorted(changes.items(), key=lambda c: (c[1] is not None, c[0] not in entries, c[0])):
        if entry is None:
            sizes.pop(key, None)
            kept[key] = None
            continue
        size = len(json.dumps(as_json(entry))) + len(key)
        others = sum(sizes.values()) - sizes.get(key, 0)
        if others + size > MAX_BYTES or (key not in sizes and len(sizes) >= MAX_WORKLOADS):
            refused[key] = Refusal(
                Reason.MOVE_FAILED,
                f"TuningProfile {PROFILE_NAME} is full ({len(sizes)} workloads); tune fewer workloads in a namespace",
            )
        else:
            sizes[key] = size
            kept[key] = entry
    return kept, refused


async def write(
    writer: Writer, namespace: str, record: ProfileRecord | None, changes: Mapping[str, ProfileEntry | None]
) -> None:
    """Bring these entries into the profile, None removing one; an empty profile is deleted.

    Raises:
        HeldError: the gate holds the write.
        Conflict, AlreadyExists: the profile is not what the mirror showed; nothing was written.
        KubeError: any other refusal.
    """
    path = resource_path(GROUP, VERSION, PROFILE_PLURAL, namespace)
    body: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "TuningProfile",
        "metadata": {"name": PROFILE_NAME, "namespace": namespace},
    }
    stated = {key: as_json(entry) for key, entry in changes.items() if entry is not None}
    if record is None:
        if stated:
            await writer.create(path, body | {"spec": {"workloads": stated}})
        return
    path = resource_path(GROUP, VERSION, PROFILE_PLURAL, namespace, PROFILE_NAME)
    body["metadata"] |= {"resourceVersion": record.resource_version, "uid": record.uid}
    left = {key: entry for key, entry in record.spec.workloads.items() if key not in changes}
    if not left and not stated:
        try:
            await writer.delete(path, uid=record.uid, resource_version=record.resource_version)
        except NotFound:
            return
    elif record.problem:
        # What stands can't be read, so there is nothing to merge into.
        await writer.replace(path, body | {"spec": {"workloads": stated}})
    else:
        gone = {key: None for key, entry in changes.items() if entry is None and key in record.spec.workloads}
        if stated or gone:
            await writer.merge_patch(path, body | {"spec": {"workloads": stated | gone}})


def as_json(entry: ProfileEntry) -> dict[str, Any]:
    """An entry as the API server stores it. Lists and maps are always there, so that a merge patch replaces them."""
    return entry.model_dump(mode="json", by_alias=True, exclude_none=True)
