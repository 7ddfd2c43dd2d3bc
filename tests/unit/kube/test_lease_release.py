from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.unit.kube.fakes import VirtualLoop, elapse, run_virtual, until
from tests.unit.kube.lease_world import Network, Server, elector, end, forever, leads
from trimtab.kube.lease_settings import LeaseSettings


def test_work_that_fails_gives_the_lease_back_and_its_exception_comes_out() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()

        async def work() -> None:
            raise RuntimeError("the work failed")

        with pytest.raises(RuntimeError, match="the work failed"):
            await elector(loop, Network(server), "a").run(work)
        assert server.holder is None

    run_virtual(main)


def test_cancelling_stops_the_work_awaits_it_and_then_releases() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        candidate = elector(loop, Network(server), "a")
        order: list[str] = []

        async def work() -> None:
            try:
                await forever()
            finally:
                await elapse(1)
                order.append(f"work ended while {server.holder} holds, leading {candidate.is_leader}")

        task = asyncio.create_task(candidate.run(work))
        await leads(candidate, 1)
        await end(task)
        assert order == ["work ended while a holds, leading True"]
        assert server.holder is None
        assert not candidate.is_leader

    run_virtual(main)


def test_work_that_does_not_stop_keeps_the_lease_from_being_released(caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        candidate = elector(loop, Network(server), "a", LeaseSettings(stop_seconds=3))
        let_go = asyncio.Event()

        async def work() -> None:
            while not let_go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await let_go.wait()

        task = asyncio.create_task(candidate.run(work))
        await leads(candidate, 1)
        await end(task)
        assert server.holder == "a"
        assert not candidate.is_leader
        let_go.set()
        await asyncio.sleep(0)

    run_virtual(main)
    assert "left to expire" in caplog.text


def test_an_acquisition_whose_answer_was_lost_is_released_when_cancelled() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        network = Network(server, [(0, 0, ""), (0, 0, "lost")])
        candidate = elector(loop, network, "a")
        task = asyncio.create_task(candidate.run(forever))
        await until(lambda: server.holder is not None, 5)
        assert not candidate.is_leader
        await end(task)
        assert server.holder is None

    run_virtual(main)


def test_a_candidate_that_never_wrote_writes_nothing_when_it_is_cancelled() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        first, network = elector(loop, Network(server), "a"), Network(server)
        one = asyncio.create_task(first.run(forever))
        await leads(first, 1)
        two = asyncio.create_task(elector(loop, network, "b").run(forever))
        await elapse(5)
        asked = network.requests
        await end(two)
        assert network.requests == asked
        assert server.holder == "a"
        await end(one)

    run_virtual(main)


def test_a_release_that_cannot_be_sent_does_not_hang() -> None:
    async def main(loop: VirtualLoop) -> None:
        network = Network(Server())
        candidate = elector(loop, network, "a")
        task = asyncio.create_task(candidate.run(forever))
        await leads(candidate, 1)
        network.dead.set()
        began = loop.now
        await end(task)
        assert loop.now - began <= 2.1

    run_virtual(main)


def test_work_that_fails_while_it_is_stopped_is_logged_and_the_lease_released(caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        candidate = elector(loop, Network(server), "a")

        async def work() -> None:
            try:
                await forever()
            finally:
                raise RuntimeError("a fault while cleaning up")

        task = asyncio.create_task(candidate.run(work))
        await leads(candidate, 1)
        await end(task)
        assert server.holder is None

    run_virtual(main)
    assert "a fault while cleaning up" in caplog.text


def test_from_the_moment_of_release_the_process_does_not_lead() -> None:
    async def main(loop: VirtualLoop) -> None:
        server = Server()
        network = Network(server)
        candidate = elector(loop, network, "a")
        task = asyncio.create_task(candidate.run(forever))
        await leads(candidate, 1)
        # Each request takes a second now, so that the release is under way for two.
        network.faults = [(0.0, 0.0, "")] * network.requests + [(0.5, 0.4, "")] * 2
        task.cancel()
        await until(lambda: server.holder is None, 5)
        assert not task.done()
        assert not candidate.is_leader
        await end(task)

    run_virtual(main)
