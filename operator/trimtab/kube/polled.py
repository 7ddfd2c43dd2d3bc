"""What is asked for now and then instead of watched: workloads of other kinds, a few namespaces."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from trimtab.kube.client import KubeClient
from trimtab.kube.discovery import Discovery
from trimtab.kube.errors import Forbidden, KubeError, NotFound
from trimtab.kube.paths import resource_path
from trimtab.kube.records import NamespaceRecord, WorkloadRecord
from trimtab.kube.strip import scaled_workload, strip_namespace

CONCURRENT = 8


@dataclass(frozen=True, slots=True)
class TargetKey:
    """A workload by what a targetRef says of it."""

    namespace: str
    api_version: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Polled:
    """The last answer about one workload: its record, or why there is none."""

    record: WorkloadRecord | None = None
    error: KubeError | ValueError | None = None
    scalable: bool = True


class PolledTargets:
    """Workloads of kinds that are not watched: read one by one through their scale subresource."""

    def __init__(self, client: KubeClient, discovery: Discovery) -> None:
        self._client = client
        self._discovery = discovery
        self._wanted: frozenset[TargetKey] = frozenset()
        self._known: dict[TargetKey, Polled] = {}

    def follow(self, keys: Iterable[TargetKey]) -> None:
        """Say which workloads to read from now on; others are forgotten."""
        self._wanted = frozenset(keys)
        self._known = {key: found for key, found in self._known.items() if key in self._wanted}

    def get(self, key: TargetKey) -> Polled | None:
        """The last answer; None before the first."""
        return self._known.get(key)

    async def refresh(self) -> None:
        """Read all of them once, a few at a time. Never raises KubeError."""
        gate = asyncio.Semaphore(CONCURRENT)

        async def one(key: TargetKey) -> None:
            async with gate:
                found = await self._read(key)
            if key in self._wanted:
                self._known[key] = found

        await asyncio.gather(*(one(key) for key in self._wanted))

    async def _read(self, key: TargetKey) -> Polled:
        before = self._known.get(key, Polled())
        try:
            resource = await self._discovery.resource_for(key.api_version, key.kind)
            if not resource.scalable or not resource.namespaced:
                return Polled(scalable=False)
            raw = await self._client.get(resource.path(key.namespace, key.name))
            scale = await self._client.get(resource.path(key.namespace, key.name, "scale"))
        except (NotFound, Forbidden, ValueError) as error:
            return Polled(error=error)
        except KubeError as error:
            # No answer is not an answer: what was known stays.
            return Polled(record=before.record, error=error)
        return Polled(record=scaled_workload(key.api_version, key.kind, raw, scale))


class PolledNamespaces:
    """Namespaces by name, for an operator that may read its own few and list none."""

    def __init__(self, client: KubeClient, names: Iterable[str]) -> None:
        self._client = client
        self._names = tuple(names)
        self.records: dict[str, NamespaceRecord] = {}
        self.problem = ""

    async def refresh(self) -> None:
        """Read all of them once. Never raises KubeError."""
        self.problem = ""
        for name in self._names:
            try:
                raw = await self._client.get(resource_path("", "v1", "namespaces", None, name))
            except NotFound:
                self.records.pop(name, None)
            except KubeError as error:
                self.problem = f"the annotation trimtab.dev/pause of the namespace {name} cannot be read: {error}"
            else:
                if (record := strip_namespace(raw)) is not None:
                    self.records[name] = record
