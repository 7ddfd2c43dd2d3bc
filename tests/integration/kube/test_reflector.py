from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.processes import records
from trimtab.kube import errors
from trimtab.kube.client import IDLE_SECONDS, KubeClient
from trimtab.kube.paths import resource_path
from trimtab.kube.reflector import Reflector
from trimtab.kube.transport import Json

pytestmark = pytest.mark.cluster


def strip(raw: Json) -> tuple[str, str] | None:
    if raw["metadata"]["name"] == "kube-root-ca.crt":
        return None
    return raw["metadata"]["name"], raw.get("data", {}).get("x", "")


def config_map(name: str, x: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"x": x}}


class Mirror:
    """A running reflector of a namespace's ConfigMaps, and a way to wait for what it shows."""

    def __init__(self, api: Any, namespace: str) -> None:
        self.changed = asyncio.Event()
        self.sizes: list[int] = []
        path = resource_path("", "v1", "configmaps", namespace)
        self.reflector: Reflector[tuple[str, str]] = Reflector(api, path, strip, index=lambda record: [record[1]])
        self._put = self.reflector._records.put
        self.reflector._records.put = self._noticed  # type: ignore[method-assign]

    def _noticed(self, key: str, record: tuple[str, str] | None) -> None:
        self._put(key, record)
        # When the reflector gives way: what others see.
        asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self.sizes.append(len(self.reflector.store))
        self.changed.set()

    async def until(self, condition: Callable[[dict[str, str]], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not condition(dict(self.reflector.store.values())):
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def mirror(api: Any, namespace: str) -> AsyncIterator[Mirror]:
    one = Mirror(api, namespace)
    task = asyncio.create_task(one.reflector.run())
    try:
        async with asyncio.timeout(30):
            await one.reflector.synced.wait()
        yield one
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class WithoutStreamingLists(KubeClient):
    """Answers as an API server before 1.27 does."""

    refused = 0

    async def stream_watch(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        idle_timeout: float = IDLE_SECONDS,
        **more: Any,
    ) -> AsyncIterator[Json]:
        if "sendInitialEvents" in (params or {}):
            self.refused += 1
            raise errors.Invalid(422, "Invalid", "sendInitialEvents is forbidden for watch")
        async for event in super().stream_watch(path, params, idle_timeout=idle_timeout, **more):
            yield event


@pytest.mark.parametrize("kind", [KubeClient, WithoutStreamingLists])
async def test_what_is_there_and_each_change_is_mirrored(
    kind: type[KubeClient], client: KubeClient, namespace: str, cluster: Bed
) -> None:
    path = resource_path("", "v1", "configmaps", namespace)
    await client.create(path, config_map("before", "1"))
    async with await kind.connect(cluster.kubeconfig) as api, mirror(api, namespace) as one:
        assert dict(one.reflector.store.values()) == {"before": "1"}
        assert one.reflector.staleness() < 30
        await client.create(path, config_map("later", "1"))
        await one.until(lambda store: store == {"before": "1", "later": "1"})
        assert len(one.reflector.by_index("1")) == 2
        await client.merge_patch(f"{path}/before", {"data": {"x": "2"}})
        await one.until(lambda store: store["before"] == "2")
        await client.delete(f"{path}/later")
        await one.until(lambda store: store == {"before": "2"})
        assert one.reflector.by_index("1") == []
        if isinstance(api, WithoutStreamingLists):
            assert api.refused == 1


async def test_a_restart_of_the_api_server_is_survived_without_an_empty_store(
    client: KubeClient, namespace: str, cluster: Bed
) -> None:
    path = resource_path("", "v1", "configmaps", namespace)
    for at in range(20):
        await client.create(path, config_map(f"m{at}", "1"))
    async with mirror(client, namespace) as one:
        one.sizes.clear()
        await restart_api_server(cluster)
        await client.create(path, config_map("after", "1"))
        await client.delete(f"{path}/m0")
        await one.until(lambda store: "after" in store and "m0" not in store, seconds=90)
        assert min(one.sizes) >= 20
        assert one.reflector.last_error is None
        assert one.reflector.staleness() < 30
    # The new server's watch cache begins after its start: what is older is gone.
    with pytest.raises(errors.Gone):
        async for _ in client.stream_watch(path, {"resourceVersion": "1"}):
            pass


async def restart_api_server(bed: Bed) -> None:
    """Kill the bed's API server and start it again, over the same etcd. Returns when it is ready."""
    server = next(record for record in records(bed.state) if record.name == "kube-apiserver")
    assert server.alive
    handle = os.pidfd_open(server.pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(handle, ended.set)
        async with asyncio.timeout(30):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
    # In a process of its own: what it starts must not be a child of pytest.
    code = "import sys; from testbed import bed, control_plane; control_plane.start_api(bed.load(sys.argv[1]))"
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, bed.name, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, said = await asyncio.wait_for(starter.communicate(), 120)
    assert starter.returncode == 0, said.decode()
