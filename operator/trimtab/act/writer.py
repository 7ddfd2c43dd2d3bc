"""The one way in which `act` writes: through the gate, bounded in time, dry when told so."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from trimtab.act.gate import Gate, Priority
from trimtab.kube.transport import Json


class WriteApi(Protocol):
    """What acting needs of a client; `KubeClient` has it. All raise KubeError."""

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> Json:
        """The object."""
        ...

    async def list(self, path: str, label_selector: str | None = None) -> Json:
        """The collection."""
        ...

    async def create(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """POST."""
        ...

    async def replace(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """PUT."""
        ...

    async def merge_patch(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """RFC 7396."""
        ...

    async def strategic_patch(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """Kubernetes' own patch."""
        ...

    async def json_patch(
        self,
        path: str,
        operations: Sequence[Mapping[str, object]],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """RFC 6902."""
        ...

    async def delete(
        self,
        path: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """DELETE with preconditions."""
        ...


class Writer:
    """A client whose writes pass the gate. `at` gives the same with another priority."""

    def __init__(self, client: WriteApi, gate: Gate, priority: Priority = Priority.CUT, *, tidy: bool = False) -> None:
        self.client = client
        self.gate = gate
        self._priority = priority
        self._tidy = tidy

    def at(self, priority: Priority, *, tidy: bool = False) -> "Writer":
        """The same writer for writes of this priority; `tidy` for the removal of leftovers."""
        return Writer(self.client, self.gate, priority, tidy=tidy)

    async def get(self, path: str) -> Json:
        """Read, fresh from the API server. Raises KubeError."""
        return await self.client.get(path, timeout_seconds=self.gate.write_seconds)

    async def create(self, path: str, body: Mapping[str, object]) -> Json:
        """POST. Raises HeldError, KubeError."""
        return await self._write(self.client.create, path, body)

    async def replace(self, path: str, body: Mapping[str, object]) -> Json:
        """PUT. Raises HeldError, KubeError."""
        return await self._write(self.client.replace, path, body)

    async def merge_patch(self, path: str, body: Mapping[str, object]) -> Json:
        """RFC 7396. Raises HeldError, KubeError."""
        return await self._write(self.client.merge_patch, path, body)

    async def strategic_patch(self, path: str, body: Mapping[str, object]) -> Json:
        """Kubernetes' own patch. Raises HeldError, KubeError."""
        return await self._write(self.client.strategic_patch, path, body)

    async def json_patch(self, path: str, operations: Sequence[Mapping[str, object]]) -> Json:
        """RFC 6902. Raises HeldError, KubeError."""
        return await self._write(self.client.json_patch, path, operations)

    async def delete(self, path: str, *, uid: str, resource_version: str) -> Json:
        """DELETE of exactly this version. Raises HeldError, KubeError."""
        await self.gate.enter(self._priority, tidy=self._tidy)
        return await self.client.delete(
            path,
            uid=uid,
            resource_version=resource_version,
            dry_run=self.gate.dry_run,
            timeout_seconds=self.gate.write_seconds,
        )

    async def _write(self, call: Callable[..., Awaitable[Json]], path: str, body: Any) -> Json:
        await self.gate.enter(self._priority, tidy=self._tidy)
        return await call(path, body, dry_run=self.gate.dry_run, timeout_seconds=self.gate.write_seconds)
