"""The API server as far as checkpoints and journals go: objects by path, with versions."""

import copy
from collections.abc import AsyncIterator
from typing import Any

from trimtab.kube.errors import Conflict, KubeError, NotFound

Json = dict[str, Any]
BASE = "/apis/trimtab.dev/v1alpha1"


class Shelf:
    """`broken` is raised by every request while it is set."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.broken: KubeError | None = None
        self.writes: list[str] = []
        self.pages_read = 0
        self._version = 0

    def _look(self) -> None:
        if self.broken is not None:
            raise self.broken

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> Json:
        self._look()
        if path not in self.objects:
            raise NotFound(404, "NotFound", "not found", request=path)
        return copy.deepcopy(self.objects[path])

    async def apply(self, path: str, body: Json, *, force: bool = False, timeout_seconds: float | None = None) -> Json:
        self._look()
        assert force
        wanted = body["metadata"].get("resourceVersion")
        now = self.objects.get(path, {}).get("metadata", {}).get("resourceVersion", "")
        if wanted is not None and wanted != now:
            raise Conflict(409, "Conflict", "changed", request=path)
        self._version += 1
        stored = copy.deepcopy(body)
        stored["metadata"]["resourceVersion"] = str(self._version)
        self.objects[path] = stored
        self.writes.append(path)
        return stored

    async def pages(self, path: str, limit: int = 500) -> AsyncIterator[Json]:
        self._look()
        plural = path.rsplit("/", 1)[-1]
        inside = path.removesuffix(f"/{plural}")
        found = [
            raw for where, raw in sorted(self.objects.items()) if where.startswith(inside) and f"/{plural}/" in where
        ]
        for start in range(0, max(len(found), 1), limit):
            self._look()
            self.pages_read += 1
            yield {"items": copy.deepcopy(found[start : start + limit])}


def path(plural: str, key: str) -> str:
    namespace, _, name = key.partition("/")
    return f"{BASE}/namespaces/{namespace}/{plural}/{name}"
