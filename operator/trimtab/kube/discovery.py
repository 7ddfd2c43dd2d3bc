"""Which URL serves an apiVersion and kind: cached discovery of the API server's resources.

https://kubernetes.io/docs/reference/using-api/api-concepts/#discovery-api
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from trimtab.kube.errors import NotFound, NotServed
from trimtab.kube.paths import resource_path, split_api_version, version_path

FRESH_SECONDS = 600.0
ABSENT_SECONDS = 30.0
"""How long "not served" is believed: a CRD may be installed at any time."""
MAX_VERSIONS = 256
"""Group versions remembered. A targetRef can name any, so the memory needs a bound."""


@dataclass(frozen=True, slots=True)
class ResourceInfo:
    """How one kind is served."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    subresources: frozenset[str]
    """Names without the plural, as "scale", "status", "resize"."""

    @property
    def scalable(self) -> bool:
        """True when the kind has /scale."""
        return "scale" in self.subresources

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path of the collection, an object or a subresource. A cluster-wide kind ignores `namespace`."""
        scope = namespace if self.namespaced else None
        return resource_path(self.group, self.version, self.plural, scope, name, subresource)


class Reader(Protocol):
    """What discovery needs of a client."""

    async def get(self, path: str) -> Mapping[str, Any]:
        """The object at `path`; raises KubeError."""
        ...


class Discovery:
    """Answers from memory; asks the server once a group version every ten minutes."""

    def __init__(self, client: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, dict[str, ResourceInfo]]] = OrderedDict()
        self._asking: dict[str, asyncio.Lock] = {}

    async def resource_for(self, api_version: str, kind: str) -> ResourceInfo:
        """How the server serves `kind` of `api_version` ("apps/v1", "v1").

        Raises:
            NotServed: it does not; the message says what to check.
            ValueError: `api_version` is malformed.
            KubeError: the server could not be asked. A failure is not remembered.
        """
        group, version = split_api_version(api_version)
        resources = self._remembered(api_version)
        if resources is None or kind not in resources:
            # One request for all who ask at the same time.
            lock = self._asking.setdefault(api_version, asyncio.Lock())
            try:
                async with lock:
                    resources = self._remembered(api_version, wanted=kind)
                    if resources is None:
                        resources = await self._ask(api_version, group, version)
            finally:
                if not lock.locked():
                    self._asking.pop(api_version, None)
        if kind not in resources:
            text = f"the cluster does not serve {kind} of {api_version}; check its spelling or install its CRD"
            raise NotServed(404, "NotFound", text, request=f"GET {version_path(group, version)}")
        return resources[kind]

    def _remembered(self, api_version: str, wanted: str | None = None) -> dict[str, ResourceInfo] | None:
        """What is known, unless it is too old; a missing `wanted` makes it old sooner."""
        known = self._known.get(api_version)
        if known is None:
            return None
        asked_at, resources = known
        limit = FRESH_SECONDS if wanted is None or wanted in resources else ABSENT_SECONDS
        if self._clock() - asked_at >= limit:
            return None
        self._known.move_to_end(api_version)
        return resources

    async def _ask(self, api_version: str, group: str, version: str) -> dict[str, ResourceInfo]:
        try:
            answer = await self._client.get(version_path(group, version))
        except NotFound:
            answer = {}
        resources = _parse(group, version, answer)
        self._known[api_version] = (self._clock(), resources)
        while len(self._known) > MAX_VERSIONS:
            self._known.popitem(last=False)
        return resources


def _parse(group: str, version: str, answer: Mapping[str, Any]) -> dict[str, ResourceInfo]:
    """The kinds of an APIResourceList by kind.

    Entries that are not as the API documents them are left out.
    """
    listed = answer.get("resources")
    entries = [
        entry
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    ]
    subresources: dict[str, set[str]] = {}
    for entry in entries:
        plural, slash, subresource = entry["name"].partition("/")
        if slash:
            subresources.setdefault(plural, set()).add(subresource)
    found: dict[str, ResourceInfo] = {}
    for entry in entries:
        plural, kind = entry["name"], entry.get("kind")
        if "/" in plural or not plural or not isinstance(kind, str):
            continue
        # Two resources of one kind are rare; the first is what kubectl uses too.
        found.setdefault(
            kind,
            ResourceInfo(
                group=group,
                version=version,
                kind=kind,
                plural=plural,
                namespaced=entry.get("namespaced") is True,
                subresources=frozenset(subresources.get(plural, ())),
            ),
        )
    return found
