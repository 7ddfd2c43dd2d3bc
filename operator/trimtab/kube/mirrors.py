"""One kind of object over several namespaces, or over all: reflectors that look like one."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from trimtab.kube.errors import Forbidden, KubeError, NotFound
from trimtab.kube.paths import resource_path
from trimtab.kube.reflector import Reflector, WatchApi
from trimtab.kube.transport import Json

T = TypeVar("T")


class Mirror(Generic[T]):
    """A collection, mirrored by one reflector for the cluster or one for each namespace."""

    def __init__(
        self,
        client: WatchApi,
        plural: str,
        strip: Callable[[Json], T | None],
        *,
        group: str = "",
        version: str = "v1",
        namespaces: Sequence[str] = (),
        index: Callable[[T], Iterable[str]] | None = None,
        clock: Callable[[], float],
    ) -> None:
        self.name = f"{plural}.{group}" if group else plural
        self._tasks: list[asyncio.Task[None]] = []
        scopes: Sequence[str | None] = list(namespaces) or [None]
        self._parts = [
            Reflector(client, resource_path(group, version, plural, scope), strip, index=index, clock=clock)
            for scope in scopes
        ]

    @property
    def running(self) -> bool:
        """Whether `start` was called and `stop` was not."""
        return bool(self._tasks)

    def start(self) -> None:
        """Begin mirroring in background tasks; calling it again does nothing."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(part.run(), name=f"mirror {part.path}") for part in self._parts]

    async def stop(self) -> None:
        """End the background tasks."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def get(self, namespace: str, name: str) -> T | None:
        """The record of that name, namespace empty for cluster scope."""
        key = f"{namespace}/{name}" if namespace else name
        for part in self._parts:
            if (record := part.store.get(key)) is not None:
                return record
        return None

    def find(self, value: str) -> list[T]:
        """Records whose index names `value`."""
        if len(self._parts) == 1:
            return self._parts[0].by_index(value)
        return [record for part in self._parts for record in part.by_index(value)]

    def __iter__(self) -> Iterator[T]:
        for part in self._parts:
            yield from part.store.values()

    def __len__(self) -> int:
        return sum(len(part.store) for part in self._parts)

    @property
    def synced(self) -> bool:
        """Whether every part has listed once."""
        return all(part.synced.is_set() for part in self._parts)

    @property
    def settled(self) -> bool:
        """Synced, or not to be had: waiting longer would not help."""
        return all(part.synced.is_set() or refused(part.last_error) for part in self._parts)

    @property
    def staleness(self) -> float:
        """Seconds since the oldest part heard from the server; infinite before the first list."""
        return max(part.staleness() for part in self._parts)

    @property
    def problem(self) -> str:
        """Why this is not mirrored now; empty while all is well."""
        for part in self._parts:
            if isinstance(part.last_error, Forbidden):
                return f"{self.name} cannot be watched: grant list and watch on it to the operator ({part.path})"
            if part.last_error is not None:
                return f"{self.name} cannot be watched now: {part.last_error}"
        return ""


def refused(error: KubeError | None) -> bool:
    """Whether the server said no for good: no permission, or no such collection."""
    return isinstance(error, Forbidden | NotFound)
