from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trimtab.kube.client import KubeClient
from trimtab.kube.lease import LeaderElector
from trimtab.kube.lease_settings import LeaseSettings
from trimtab.kube.transport import Json

pytestmark = pytest.mark.cluster

FAST = LeaseSettings(lease_seconds=3, renew_seconds=2, retry_seconds=0.5, stop_seconds=5)


class Line:
    """The way to the API server, which can be cut: requests then never end."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._cut = False

    def cut(self) -> None:
        self._cut = True

    async def _pass(self) -> None:
        if self._cut:
            await asyncio.Event().wait()

    async def get(self, path: str) -> Json:
        await self._pass()
        return await self._client.get(path)

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        await self._pass()
        return await self._client.create(path, body)

    async def replace(self, path: str, body: Mapping[str, Any]) -> Json:
        await self._pass()
        return await self._client.replace(path, body)


class Candidate:
    """An elector, running, with events for the begin and the end of its work."""

    def __init__(self, client: KubeClient, namespace: str, name: str, skew: timedelta = timedelta()) -> None:
        self.line = Line(client)
        self.elector = LeaderElector(self.line, namespace, "leader", name, FAST, wall=lambda: datetime.now(UTC) + skew)
        self.began = asyncio.Event()
        self.ended_at = 0.0
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self.elector.run(self._work))

    async def _work(self) -> None:
        self.began.set()
        try:
            await self.leave.wait()
        finally:
            self.ended_at = time.monotonic()

    async def leads(self) -> float:
        """Wait until the work has begun; returns the moment."""
        async with asyncio.timeout(30):
            await self.began.wait()
        return time.monotonic()


async def test_a_lease_passes_on_at_once_by_release_and_by_expiry_after_a_black_hole(
    client: KubeClient, namespace: str
) -> None:
    first = Candidate(client, namespace, "first", timedelta(days=-400))
    await first.leads()
    second = Candidate(client, namespace, "second", timedelta(days=3))
    assert not second.began.is_set()

    first.leave.set()
    await first.task
    released = time.monotonic()
    lead = await second.leads()
    assert lead - released < 2
    assert first.ended_at < lead
    assert not first.elector.is_leader

    third = Candidate(client, namespace, "third")
    lease = await client.get(second.elector.path)
    assert lease["spec"]["holderIdentity"] == "second"
    assert lease["spec"]["leaseTransitions"] == 1

    second.line.cut()
    cut = time.monotonic()
    lead = await third.leads()
    assert 1.5 < lead - cut < 8
    await second.task
    assert second.ended_at < lead
    assert not second.elector.is_leader
    third.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await third.task
    lease = await client.get(third.elector.path)
    assert "holderIdentity" not in lease["spec"]


async def test_rule_15_a_persons_annotation_of_the_lease_is_seen_and_outlives_renewals_and_leaders(
    client: KubeClient, namespace: str
) -> None:
    first = Candidate(client, namespace, "first")
    await first.leads()
    assert first.elector.annotation("trimtab.dev/resume") == ""
    body = {"metadata": {"annotations": {"trimtab.dev/resume": "2026-11-22T20:00:00Z"}}}
    renewed = (await client.merge_patch(first.elector.path, body))["spec"]["renewTime"]
    async with asyncio.timeout(30):
        async for event in client.stream_watch(first.elector.path.rpartition("/")[0]):
            if event["type"] == "MODIFIED" and event["object"]["spec"]["renewTime"] != renewed:
                break
    first.leave.set()
    await first.task
    assert first.elector.annotation("trimtab.dev/resume") == "2026-11-22T20:00:00Z"
    second = Candidate(client, namespace, "second")
    await second.leads()
    assert second.elector.annotation("trimtab.dev/resume") == "2026-11-22T20:00:00Z"
    second.leave.set()
    await second.task


async def test_of_many_that_start_at_once_one_leads(client: KubeClient, namespace: str) -> None:
    many = [Candidate(client, namespace, f"c{at}") for at in range(8)]
    async with asyncio.timeout(30):
        waits = [asyncio.create_task(one.began.wait()) for one in many]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    assert sum(one.elector.is_leader for one in many) == 1
    for one in many:
        one.task.cancel()
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*(one.task for one in many), *waits, return_exceptions=True)
    # Cancelled one after the other, some may have led in between; none holds it now.
    lease = await client.get(many[0].elector.path)
    assert "holderIdentity" not in lease["spec"]
