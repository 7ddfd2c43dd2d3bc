from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.kube.fakes import VirtualLoop, elapse, run_virtual, until
from tests.unit.kube.lease_world import Network, Server, elector, end
from trimtab.kube.lease import LeaderElector
from trimtab.kube.lease_settings import LeaseSettings

KIND = st.sampled_from(["", "lost", "refused", "late", "hole"])
FAULT = st.tuples(st.floats(0, 3), st.floats(0, 3), KIND)
WINDOW = st.tuples(st.floats(0, 80), st.floats(0, 30), KIND)
CANDIDATE = st.fixed_dictionaries(
    {
        "faults": st.lists(FAULT, max_size=20),
        "windows": st.lists(WINDOW, max_size=3),
        "skew": st.floats(-1e6, 1e6),
        "rate": st.floats(0.9, 1.1),
        "chance": st.floats(0, 0.99),
    }
)
DEATHS = st.lists(st.tuples(st.floats(1, 80), st.booleans()), max_size=2)


@given(st.lists(CANDIDATE, min_size=2, max_size=3), DEATHS, st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_two_candidates_ever_lead_at_once_and_in_the_end_one_does(
    world: list[dict[str, Any]], deaths: list[tuple[float, bool]], fast: bool
) -> None:
    """Delays, lost answers, late writes, black holes, crashes, wrong wall clocks, clocks of different rates."""

    async def main(loop: VirtualLoop) -> None:
        server = Server()
        options = LeaseSettings(5, 3, 1, 2) if fast else LeaseSettings()
        began = loop.now
        networks: list[Network] = []
        candidates: list[LeaderElector] = []
        acting: dict[str, float] = {}
        for at, one in enumerate(world):
            network = Network(server, one["faults"])
            network.windows = [(began + begin, length, kind) for begin, length, kind in one["windows"]]
            networks.append(network)
            candidates.append(elector(loop, network, f"c{at}", options, one["skew"], one["rate"], one["chance"]))

        def work_of(candidate: LeaderElector) -> Callable[[], Awaitable[None]]:
            async def work() -> None:
                try:
                    while True:
                        if candidate.still_leading():
                            acting[candidate.identity] = loop.now
                        await elapse(0.2)
                finally:
                    await elapse(0.5)

            return work

        tasks = [asyncio.create_task(candidate.run(work_of(candidate))) for candidate in candidates]
        waiting = sorted(deaths)
        while loop.now - began < 110:
            await elapse(0.1)
            leading = [at for at, candidate in enumerate(candidates) if candidate.is_leader]
            assert len(leading) <= 1, leading
            assert sum(when == loop.now for when in acting.values()) <= 1
            if waiting and leading and loop.now - began >= waiting[0][0]:
                _, crash = waiting.pop(0)
                if crash:
                    networks[leading[0]].dead.set()
                else:
                    tasks[leading[0]].cancel()
        # The windows are over; faults counted by request may go on for a while. Who still lives finds a leader.
        alive = [
            candidate
            for candidate, network, task in zip(candidates, networks, tasks, strict=True)
            if not task.done() and not network.dead.is_set()
        ]
        if alive:
            await until(lambda: any(candidate.is_leader for candidate in alive), 200)
        for task in tasks:
            await end(task)

    run_virtual(main)
