"""An API server with one Lease, faulty ways to it, and candidates, all in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.kube.fakes import VirtualLoop, elapse, until
from trimtab.kube import errors
from trimtab.kube.lease import LeaderElector
from trimtab.kube.lease_settings import LeaseSettings

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Server:
    """Leases with resourceVersions, as the API server keeps them.

    A write that changes nothing is no change.
    """

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.writes: list[dict[str, Any]] = []

    def get(self) -> dict[str, Any]:
        if self.lease is None:
            raise errors.NotFound(404, "NotFound")
        return self._copy(self.lease)

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.lease is not None:
            raise errors.AlreadyExists(409, "AlreadyExists")
        return self._store(body)

    def replace(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.lease is None:
            raise errors.NotFound(404, "NotFound")
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise errors.Conflict(409, "Conflict")
        if body["spec"] == self.lease["spec"]:
            return self._copy(self.lease)
        return self._store(body)

    def _store(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.lease = self._copy(body)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        self.writes.append(self._copy(self.lease))
        return self._copy(self.lease)

    @staticmethod
    def _copy(lease: Mapping[str, Any]) -> dict[str, Any]:
        return {**lease, "metadata": dict(lease["metadata"]), "spec": dict(lease["spec"])}

    @property
    def holder(self) -> str | None:
        return None if self.lease is None else self.lease["spec"]["holderIdentity"]


class Network:
    """One candidate's way to the server, with faults.

    Seconds to and fro, a lost answer, a refusal, a black hole.
    """

    def __init__(self, server: Server, faults: list[tuple[float, float, str]] | None = None) -> None:
        self.server = server
        self.faults = faults or []
        self.windows: list[tuple[float, float, str]] = []
        """(begin, length, kind of fault), loop time."""
        self.dead = asyncio.Event()
        self.requests = 0

    async def _call(self, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        there, back, kind = self.faults[self.requests] if self.requests < len(self.faults) else (0.01, 0.01, "")
        self.requests += 1
        now = asyncio.get_running_loop().time()
        kind = next((fault for begin, length, fault in self.windows if begin <= now < begin + length), kind)
        if self.dead.is_set() or kind == "hole":
            await elapse(1e6)
        if kind == "refused":
            raise errors.Unavailable(0, "ConnectionFailed")
        if kind == "late":
            # The caller gives up, the request arrives all the same.
            asyncio.get_running_loop().call_later(there, self._late, act)
            await elapse(1e6)
        await elapse(there)
        answer = act()
        if kind == "lost":
            raise errors.Unavailable(0, "ConnectionFailed")
        await elapse(back)
        return answer

    def _late(self, act: Callable[[], dict[str, Any]]) -> None:
        with contextlib.suppress(errors.KubeError):
            act()

    async def get(self, path: str) -> dict[str, Any]:
        return await self._call(self.server.get)

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call(lambda: self.server.create(body))

    async def replace(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call(lambda: self.server.replace(body))


def elector(
    loop: VirtualLoop,
    network: Network,
    identity: str,
    options: LeaseSettings | None = None,
    skew: float = 0.0,
    rate: float = 1.0,
    chance: float = 0.0,
) -> LeaderElector:
    """A candidate whose wall clock is `skew` seconds wrong and whose monotonic clock runs at `rate`."""
    return LeaderElector(
        network,
        "trimtab",
        "leader",
        identity,
        options,
        clock=lambda: loop.now * rate + 12345.0 * rate,
        wall=lambda: EPOCH + timedelta(seconds=loop.now + skew),
        chance=lambda: chance,
    )


async def forever() -> None:
    await asyncio.Event().wait()


async def leads(candidate: LeaderElector, seconds: float) -> float:
    """Virtual seconds until `candidate` leads, at most `seconds`."""
    return await until(lambda: candidate.is_leader, seconds)


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
