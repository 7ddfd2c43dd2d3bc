"""Server-side apply for objects that Trimtab owns, written only when it would change something.

A patch that changes nothing costs the API server four fifths of one that does, so the part of the live
object that we manage (its `managedFields` entry says which, KEP-555) is compared with what we want before
anything is sent. Nothing has to be remembered for that across restarts, and a hand-made edit of one of our
fields is seen.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from trimtab.kube.transport import Json

MAX_REMEMBERED = 50_000
"""Objects whose last write is remembered, about 200 bytes each."""

_IDENTITY = ("apiVersion", "kind")
_ABSENT: Final = object()


class ApplyApi(Protocol):
    """What the applier needs of a client."""

    field_manager: str

    async def apply(
        self, path: str, body: Mapping[str, object], field_manager: str | None = None, force: bool = False
    ) -> Json:
        """Server-side apply; raises KubeError."""
        ...


class Unseen:
    """Type of `UNSEEN`."""


UNSEEN: Final = Unseen()
"""Said instead of a live object by callers that do not watch the kind."""


@dataclass(frozen=True, slots=True)
class _Write:
    sent: bytes
    stored: bytes


class Applier:
    """Applies whole objects. One per process, so that it knows its own last writes."""

    def __init__(self, client: ApplyApi) -> None:
        self._client = client
        self._writes: OrderedDict[str, _Write] = OrderedDict()

    async def apply(
        self,
        path: str,
        body: Mapping[str, object],
        live: Mapping[str, Any] | Unseen | None = UNSEEN,
        *,
        force: bool = True,
    ) -> bool:
        """Make the object at `path` hold `body`, and no other field of ours. True when something was written.

        Args:
            path: an object's path, or that of its status subresource.
            body: everything we want there: apiVersion, kind, metadata.name and our fields.
            live: the object as last read, with `managedFields`; None when it is known not to exist; UNSEEN
                when the caller does not know, and the last write of this process is then taken for what
                stands.
            force: take a field over from another manager. On by default, as the API's documentation advises
                for a controller on objects of its own.

        Raises:
            Conflict: `force` is False and another manager owns a field at another value.
            KubeError: any other refusal; what was remembered of the object is then forgotten.
        """
        subresource = "status" if path.endswith("/status") else ""
        wanted = _digest(_fields(body, subresource))
        last = self._writes.get(path)
        if isinstance(live, Unseen):
            if last is not None and last.sent == wanted:
                return False
        elif live is not None:
            stored = self._stored(live, subresource)
            # The second case: the server stores our values in another form ("1000m" as "1").
            if stored == wanted or (last is not None and last.sent == wanted and last.stored == stored):
                return False
        self._writes.pop(path, None)
        answer = await self._client.apply(path, body, force=force)
        self._writes[path] = _Write(wanted, self._stored(answer, subresource))
        while len(self._writes) > MAX_REMEMBERED:
            self._writes.popitem(last=False)
        return True

    def forget(self, path: str) -> None:
        """Drop what is remembered of an object, after deleting it or seeing it deleted."""
        self._writes.pop(path, None)

    def _stored(self, live: Mapping[str, Any], subresource: str) -> bytes:
        return _digest(_fields(managed_part(live, self._client.field_manager, subresource), subresource))


def managed_part(live: Mapping[str, Any], manager: str, subresource: str = "") -> Json:
    """The fields of `live` that `manager` applied: what it would have to send again to change nothing.

    Reads the FieldsV1 of the manager's Apply entry (structured-merge-diff, "serialize-pe.go"). Empty when
    the manager applied nothing.
    """
    metadata = live.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        if (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and entry.get("subresource", "") == subresource
        ):
            part = _extract(live, entry.get("fieldsV1") or {})
            return part if isinstance(part, dict) else {}
    return {}


def _extract(value: object, fields: Mapping[str, Any]) -> object:
    """The part of `value` that a FieldsV1 tree names. A leaf ({}) is owned whole."""
    children = {key: below for key, below in fields.items() if key != "."}
    if not children:
        # {".": {}} alone owns the list item or map itself, not what others put into it.
        if "." not in fields:
            return value
        return [] if isinstance(value, list) else {} if isinstance(value, dict) else value
    if isinstance(value, dict):
        part: Json = {}
        for key, below in children.items():
            name = key[2:]
            if key.startswith("f:") and (found := value.get(name, _ABSENT)) is not _ABSENT:
                part[name] = _extract(found, below)
        return part
    if isinstance(value, list):
        return _extract_items(value, children)
    return value


def _extract_items(items: list[Any], children: Mapping[str, Any]) -> list[Any]:
    """The items of an associative list or a set that FieldsV1 names, in the order of the list.

    k:{"name":"x"} names an item by its keys, v:"x" by its value. Linear in both, for lists of thousands.
    """
    by_value: dict[str, Any] = {}
    by_keys: dict[tuple[str, ...], dict[str, Any]] = {}
    for key, below in children.items():
        if key.startswith("v:"):
            by_value[_json(json.loads(key[2:]))] = below
        elif key.startswith("k:"):
            keys = json.loads(key[2:])
            by_keys.setdefault(tuple(sorted(keys)), {})[_json(keys)] = below
    found = []
    for item in items:
        if by_value and (below := by_value.get(_json(item))) is not None:
            found.append(_extract(item, below))
        elif isinstance(item, dict):
            for names, table in by_keys.items():
                if (below := table.get(_json({name: item.get(name) for name in names}))) is not None:
                    found.append(_extract(item, below))
    return found


def _fields(body: Mapping[str, object], subresource: str) -> Json:
    """`body` without what names the object; what is left is what managedFields can speak of."""
    if subresource:
        return {subresource: body.get(subresource)}
    fields: Json = {key: value for key, value in body.items() if key not in _IDENTITY}
    metadata = fields.pop("metadata", None)
    if isinstance(metadata, Mapping):
        kept = ("labels", "annotations", "ownerReferences", "finalizers")
        fields["metadata"] = {key: metadata[key] for key in kept if key in metadata}
    return fields


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _digest(value: object) -> bytes:
    return hashlib.sha256(_json(_canonical(value)).encode()).digest()


def _canonical(value: object) -> object:
    """`value` without nulls and empty containers: owning an empty map reads the same as its absence."""
    if isinstance(value, Mapping):
        pairs = ((str(key), _canonical(below)) for key, below in value.items())
        return {key: below for key, below in pairs if below not in (None, {}, [])}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value
