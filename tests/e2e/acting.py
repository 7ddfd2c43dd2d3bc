"""Acting on real pods: a namespace with a workload `web`, the real mirror, and one tick at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from testbed.bed import Bed
from tests.integration.act.policy import make_namespace
from tests.unit.act.fake import Crash
from tests.unit.act.shop import planned, spec
from trimtab.act.actuator import Actuator
from trimtab.act.gate import Gate
from trimtab.act.targets import TargetInfo
from trimtab.decide.plan import Outcome
from trimtab.kube.client import KubeClient
from trimtab.kube.paths import resource_path
from trimtab.kube.world import World

WAIT_SECONDS = 120.0
MOMENT_SECONDS = 0.1
MI = float(1 << 20)


class Dying:
    """A KubeClient whose process dies right after its n-th write."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self.left: int | None = None
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name in ("get", "list"):
            return call

        async def write(*args: Any, **kwargs: Any) -> Any:
            answer = await call(*args, **kwargs)
            self.writes += 1
            if self.left is not None:
                self.left -= 1
                if self.left <= 0:
                    self.left = None
                    raise Crash
            return answer

        return write


class Stage:
    """The workload `web` of one namespace, acted on."""

    def __init__(self, bed: Bed, client: KubeClient, world: World, namespace: str, kind: str) -> None:
        self.bed, self.client, self.world = bed, client, world
        self.namespace, self.kind = namespace, kind
        self.key = f"{namespace}/tune"
        self.configs = {self.key: spec(kind)}
        self.later = 0.0
        """Seconds that the actuator's clock is ahead."""
        self.dying = Dying(client)
        self.actuator = self.new_actuator()
        self.last: list[Outcome] = []
        self.stirred = asyncio.Event()
        """A pod of the namespace has changed."""

    def new_actuator(self) -> Actuator:
        return Actuator(self.dying, self.world, Gate(), lambda: time.time() + self.later)

    def info(self) -> TargetInfo:
        work = self.world.target(self.namespace, "apps/v1", self.kind, "web")
        assert work is not None
        current = self.world.current_replicaset(work) if self.kind == "Deployment" else None
        trials = self.world.trial_pods(self.namespace, "tune")
        return TargetInfo(
            self.key, self.configs[self.key], work, tuple(self.world.pods_of(work)), tuple(trials), current
        )

    async def tick(self, **wish: Any) -> list[Outcome]:
        if self.configs:
            info = self.info()
            plan, seen = planned(info, time.time(), 1 * MI, **wish)
            targets = {self.key: info}
        else:
            info = TargetInfo(self.key, spec(self.kind), self.world.target(self.namespace, "apps/v1", self.kind, "web"))  # type: ignore[arg-type]
            plan, seen = planned(info, time.time(), 1 * MI)
            targets = {}
        self.last = await self.actuator.act(plan, seen, targets, self.configs)
        return self.last

    async def until(self, check: Callable[[], bool | Awaitable[bool]], what: str, **wish: Any) -> None:
        """Tick with this wish until it is so."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            with suppress(Crash):
                await self.tick(**wish)
            found = check()
            if await found if isinstance(found, Awaitable) else found:
                return
            assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}; last {self.last}"
            await self.moment()

    async def moment(self) -> None:
        """Until a pod changes; not for long, as what else may be waited for changes without one."""
        self.stirred.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(MOMENT_SECONDS):
                await self.stirred.wait()

    async def watch(self) -> None:
        """Say whenever a pod changes."""
        async for _ in self.client.stream_watch(resource_path("", "v1", "pods", self.namespace)):
            self.stirred.set()

    async def pods(self) -> list[dict[str, Any]]:
        listed = await self.client.list(resource_path("", "v1", "pods", self.namespace))
        return [p for p in listed["items"] if "deletionTimestamp" not in p["metadata"]]

    async def ready(self, count: int) -> None:
        """Wait until so many pods are Ready, and the mirror and the workload's status know."""
        await self.until(
            lambda: (
                sum(p.ready and not p.deleting for p in self.info().pods) == count
                and self.info().workload.ready_replicas == count
            ),
            f"{count} pods are ready",
            acting=False,
        )

    async def batches(self) -> list[str]:
        return sorted(p["spec"]["containers"][0]["env"][0]["value"] for p in await self.pods())

    @asynccontextmanager
    async def lowest(self) -> AsyncIterator[list[int]]:
        """Counts of Ready pods of the workload (trial pods left out) as they change."""
        seen: dict[str, bool] = {}
        counts: list[int] = []
        started = asyncio.Event()

        async def watch() -> None:
            path = resource_path("", "v1", "pods", self.namespace)
            params = {
                "sendInitialEvents": "true",
                "resourceVersionMatch": "NotOlderThan",
                "allowWatchBookmarks": "true",
            }
            async for event in self.client.stream_watch(path, params):
                body = event["object"]
                if event["type"] == "BOOKMARK":
                    started.set()
                    continue
                meta = body["metadata"]
                ready = any(
                    c["type"] == "Ready" and c["status"] == "True" for c in body["status"].get("conditions", [])
                )
                seen[meta["name"]] = ready and "deletionTimestamp" not in meta and event["type"] != "DELETED"
                if started.is_set():
                    counts.append(sum(seen.values()))

        task = asyncio.create_task(watch())
        await started.wait()
        try:
            yield counts
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def workload(kind: str, replicas: int, resources: Mapping[str, Any] | None = None) -> dict[str, Any]:
    container = {
        "name": "app",
        "image": "trimtab/pause:dev",
        "imagePullPolicy": "Never",
        "env": [{"name": "BATCH", "value": "8"}],
        "resources": resources or {"requests": {"cpu": "20m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    }
    labels = {"app": "web"}
    pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        | ({"serviceName": "web"} if kind == "StatefulSet" else {}),
    }


@asynccontextmanager
async def stage(
    bed: Bed, kind: str = "Deployment", replicas: int = 3, resources: Mapping[str, Any] | None = None
) -> AsyncIterator[Stage]:
    """A namespace with the workload running, and everything mirrored."""
    async with await KubeClient.connect(bed.kubeconfig) as client:
        namespace = await make_namespace(client, "act")
        world = World(client, namespaces=[namespace])
        await world.start()
        try:
            plural = f"{kind.lower()}s"
            await client.create(resource_path("apps", "v1", plural, namespace), workload(kind, replicas, resources))
            async with asyncio.timeout(WAIT_SECONDS):
                await world.wait_synced()
                while world.target(namespace, "apps/v1", kind, "web") is None:
                    await client.get("/version")
            made = Stage(bed, client, world, namespace, kind)
            watching = asyncio.create_task(made.watch())
            try:
                await made.ready(replicas)
                yield made
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        finally:
            await world.stop()
            await client.delete(resource_path("", "v1", "namespaces", None, namespace))
