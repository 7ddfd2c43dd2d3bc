from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.kube.fakes import VirtualLoop, elapse, run_virtual
from tests.unit.kube.lease_world import EPOCH, Network, Server, elector, end, forever, leads
from trimtab.kube.lease_settings import LeaseSettings, boot_clock, unique_identity


def test_the_first_candidate_creates_the_lease_and_leads_at_once() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        candidate = elector(loop, Network(server), "a")
        task = asyncio.create_task(candidate.run(forever))
        assert await leads(candidate, 1) < 0.2
        assert server.lease is not None
        assert server.lease["spec"] == {
            "holderIdentity": "a",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-01-01T00:16:40.010000Z",
            "renewTime": "2026-01-01T00:16:40.010000Z",
            "leaseTransitions": 0,
        }
        await elapse(60)
        assert candidate.is_leader
        assert 28 <= len(server.writes) <= 32  # one write every retry_seconds, and no reads
        assert candidate._client.requests <= 33  # type: ignore[attr-defined]
        await end(task)

    run_virtual(main)


def test_a_leader_that_ends_gives_the_lease_back_and_the_next_one_leads_within_a_retry() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        first, second = elector(loop, Network(server), "a"), elector(loop, Network(server), "b")
        done = asyncio.Event()

        async def work() -> None:
            await done.wait()

        one = asyncio.create_task(first.run(work))
        await leads(first, 1)
        two = asyncio.create_task(second.run(forever))
        await elapse(5)
        done.set()
        await one
        assert not first.is_leader
        released = server.writes[-1]["spec"]
        assert released["holderIdentity"] is None
        assert released["leaseDurationSeconds"] == 1
        assert await leads(second, 5) <= 2.5
        assert server.lease is not None
        assert server.lease["spec"]["leaseTransitions"] == 1
        await end(two)

    run_virtual(main)


def test_a_leader_that_dies_is_followed_after_the_lease_expires() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        network = Network(server)
        first, second = elector(loop, network, "a"), elector(loop, Network(server), "b")
        one = asyncio.create_task(first.run(forever))
        await leads(first, 1)
        two = asyncio.create_task(second.run(forever))
        await elapse(30)
        network.dead.set()
        waited = await leads(second, 30)
        assert 13 <= waited <= 17.5
        assert not first.is_leader
        await asyncio.wait_for(one, 30)
        await end(two)

    run_virtual(main)


def test_a_black_hole_ends_the_leaders_work_by_the_renew_deadline() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        network = Network(server)
        candidate = elector(loop, network, "a", LeaseSettings(5, 3, 1, 1))
        last_tick = 0.0

        async def work() -> None:
            nonlocal last_tick
            while True:
                last_tick = loop.now
                await elapse(0.1)

        task = asyncio.create_task(candidate.run(work))
        await leads(candidate, 1)
        await elapse(10)
        network.dead.set()
        cut = loop.now
        await asyncio.wait_for(task, 30)
        assert 1.9 <= last_tick - cut <= 3.1

    run_virtual(main)


def test_an_outage_shorter_than_the_renew_deadline_is_survived() -> None:
    async def main(loop: VirtualLoop) -> None:
        network = Network(Server())
        candidate = elector(loop, network, "a")
        task = asyncio.create_task(candidate.run(forever))
        await leads(candidate, 1)
        network.faults = [(0.0, 0.0, "")] * network.requests + [(0.0, 0.0, "refused")] * 3
        await elapse(60)
        assert candidate.is_leader
        await end(task)

    run_virtual(main)


def test_a_leader_that_sees_another_holder_stops_at_once() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        candidate = elector(loop, Network(server), "a")
        stopped: list[float] = []

        async def work() -> None:
            try:
                await forever()
            finally:
                stopped.append(loop.now)

        task = asyncio.create_task(candidate.run(work))
        await leads(candidate, 1)
        assert server.lease is not None
        spec = {**server.lease["spec"], "holderIdentity": "thief"}
        server.replace({**server.lease, "spec": spec})
        seized = loop.now
        await asyncio.wait_for(task, 5)
        assert stopped[0] - seized <= 2.5
        assert server.holder == "thief"
        assert candidate.holder == "thief"

    run_virtual(main)


def test_a_deleted_lease_is_made_anew_by_its_holder_and_not_taken_by_a_candidate() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        holes = Network(server)
        first, second = elector(loop, holes, "a"), elector(loop, Network(server), "b")
        one = asyncio.create_task(first.run(forever))
        await leads(first, 1)
        two = asyncio.create_task(second.run(forever))
        await elapse(3)
        server.lease = None
        await elapse(5)
        assert server.holder == "a"
        assert first.is_leader
        assert not second.is_leader
        holes.dead.set()
        server.lease = None
        assert await leads(second, 30) > 10
        await end(one)
        await end(two)

    run_virtual(main)


def test_a_stalled_or_suspended_process_no_longer_leads_before_any_code_of_its_own_runs() -> None:
    async def main(loop: VirtualLoop) -> None:
        candidate = elector(loop, Network(Server()), "a")
        task = asyncio.create_task(candidate.run(forever))
        await leads(candidate, 1)
        assert candidate.still_leading(margin=7)
        assert not candidate.still_leading(margin=11)
        loop.now += 11  # nothing else of this process has run
        assert not candidate.still_leading()
        assert not candidate.is_leader
        await end(task)

    run_virtual(main)


def test_an_answer_of_the_api_server_is_told_by_followers_too_and_its_absence_is_not() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        first, holes = elector(loop, Network(server), "a"), Network(server)
        one = asyncio.create_task(first.run(forever))
        await leads(first, 1)
        second, answers = elector(loop, holes, "b"), []
        second._answered = lambda: answers.append(loop.now)
        holes.dead.set()
        two = asyncio.create_task(second.run(forever))
        await elapse(10)
        assert answers == []
        holes.dead.clear()
        await elapse(10)
        assert answers
        assert not second.is_leader
        await end(one)
        await end(two)

    run_virtual(main)


def test_a_wall_clock_that_stands_still_does_not_let_the_lease_seem_expired() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        first, second = elector(loop, Network(server), "a"), elector(loop, Network(server), "b")
        first._wall = lambda: EPOCH
        one = asyncio.create_task(first.run(forever))
        await leads(first, 1)
        two = asyncio.create_task(second.run(forever))
        await elapse(120)
        assert first.is_leader
        assert not second.is_leader
        await end(one)
        await end(two)

    run_virtual(main)


def test_the_holders_own_duration_is_waited_for_also_when_ours_is_shorter() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        network = Network(server)
        first = elector(loop, network, "a", LeaseSettings(60, 40, 2))
        second = elector(loop, Network(server), "b", LeaseSettings(5, 3, 1))
        one = asyncio.create_task(first.run(forever))
        await leads(first, 1)
        two = asyncio.create_task(second.run(forever))
        await elapse(3)
        network.dead.set()
        assert 55 <= await leads(second, 90) <= 62
        await end(one)
        await end(two)

    run_virtual(main)


@pytest.mark.parametrize(
    "spec",
    [None, {}, {"holderIdentity": ""}, {"holderIdentity": None, "leaseTransitions": "x", "renewTime": 5}],
)
def test_a_lease_without_a_holder_is_taken(spec: dict[str, Any] | None) -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        server.create({"metadata": {"name": "leader", "managedFields": []}, "spec": spec or {}})
        assert server.lease is not None
        if spec is None:
            server.lease["spec"] = {}
        candidate = elector(loop, Network(server), "a")
        task = asyncio.create_task(candidate.run(forever))
        await leads(candidate, 1)
        assert "managedFields" not in server.lease["metadata"]
        await end(task)

    run_virtual(main)


def test_an_outage_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: VirtualLoop) -> None:
        network = Network(Server(), [(0, 0, "refused")] * 50)
        task = asyncio.create_task(elector(loop, network, "a").run(forever))
        await elapse(60)
        await end(task)

    run_virtual(main)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "numbers",
    [
        (10, 10, 2),
        (10, 15, 2),
        (15, 2, 2),
        (15, 10, 0),
        (float("inf"), 10, 2),
        (float("nan"), 1, 0.1),
        (15, 10, 2, -1),
    ],
)
def test_settings_under_which_two_could_lead_are_refused(numbers: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must"):
        LeaseSettings(*numbers)


def test_identities_are_never_the_same_twice() -> None:
    assert unique_identity("pod-0") != unique_identity("pod-0")
    assert unique_identity("pod-0").startswith("pod-0_")


def test_the_clock_goes_forward_and_counts_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < boot_clock() <= boot_clock()
    monkeypatch.delattr("time.CLOCK_BOOTTIME", raising=False)
    assert 0 < boot_clock() <= boot_clock()
