"""The past that is read between ticks: learned at the next one, never fatal, given up at the end."""

import asyncio
from typing import Any, cast

import numpy as np

from trimtab.backfill import Backfill
from trimtab.decide.cost import COUNT, PastCosts
from trimtab.decide.observation import Objectives, Observation, Workloads
from trimtab.decide.settings import Settings
from trimtab.decide.slo import PastObjectives
from trimtab.decide.state import State
from trimtab.observe.facts import Seen

NOW = 1_800_000_000.0
SEEN = Seen(
    Observation(NOW, Workloads.of([{"key": "shop/web"}]), objectives=Objectives.of([{"key": "shop/web/fast/1"}])), {}
)


class Reader:
    """Reads what the test says, when it says."""

    def __init__(self, past: Any) -> None:
        self.past = past
        self.left = 1
        self.may_end = asyncio.Event()
        self.kept: set[str] = set()

    def wanted(self, _seen: Seen, _now: float) -> list[str]:
        return ["key"] * self.left

    def forget(self, keys: Any) -> None:
        self.kept = set(keys)

    async def read(self, _seen: Seen, _keys: list[str], _now: float) -> Any:
        self.left = 0
        await self.may_end.wait()
        if isinstance(self.past, Exception):
            raise self.past
        return self.past


def objectives(good: float = 0.9) -> PastObjectives:
    times = NOW - 300.0 * np.arange(12, dtype=np.float64)
    return PastObjectives(
        ("shop/web/fast/1",), np.zeros(12, dtype=np.int64), times, np.full(12, good), np.ones(12), 300.0
    )


def costs() -> PastCosts:
    ones = np.ones(48)
    return PastCosts(("shop/web",), np.zeros(48, dtype=np.int64), ones, ones, ones, ones)


async def settle(*readers: Reader) -> None:
    for reader in readers:
        reader.may_end.set()
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_was_read_is_learned_at_the_next_tick() -> None:
    goals, money = Reader(objectives()), Reader(costs())
    backfill = Backfill(cast(Any, goals), cast(Any, money))
    state = backfill.go_on(State(), SEEN, NOW, Settings())
    assert not len(state.standing.costs), "nothing is learned before it was read"
    await settle(goals, money)
    state = backfill.go_on(state, SEEN, NOW, Settings())
    assert abs(state.standing.objectives.attainment[0] - 0.9) < 1e-6
    assert state.standing.costs.baseline[0, COUNT] == 48
    assert goals.kept == {"shop/web/fast/1"}
    await backfill.close()


async def test_a_reading_that_fails_leaves_the_tick_and_the_other_one_alone() -> None:
    goals, money = Reader(RuntimeError("bad day")), Reader(costs())
    backfill = Backfill(cast(Any, goals), cast(Any, money))
    state = backfill.go_on(State(), SEEN, NOW, Settings())
    await settle(goals, money)
    state = backfill.go_on(state, SEEN, NOW, Settings())
    assert state.standing.costs.baseline[0, COUNT] == 48
    goals.past, goals.left = objectives(), 1
    state = backfill.go_on(state, SEEN, NOW, Settings())
    await settle(goals)
    state = backfill.go_on(state, SEEN, NOW, Settings())
    assert abs(state.standing.objectives.attainment[0] - 0.9) < 1e-6
    await backfill.close()


async def test_one_reading_at_a_time_and_none_is_left_at_the_end() -> None:
    goals, money = Reader(objectives()), Reader(costs())
    backfill = Backfill(cast(Any, goals), cast(Any, money))
    backfill.go_on(State(), SEEN, NOW, Settings())
    await asyncio.sleep(0)
    goals.left = money.left = 1
    backfill.go_on(State(), SEEN, NOW, Settings())
    await asyncio.sleep(0)
    assert goals.left == 1, "the second waits for the first"
    await backfill.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "Reader"]
