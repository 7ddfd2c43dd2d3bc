"""Rate policies and stabilisation windows as in HPA v2."""

import math
from typing import Any

import pytest

from tests.unit.decide.simulator import DOWN, NAN, START, UP, Simulator
from trimtab.decide import horizontal, signals
from trimtab.decide.observation import Observation, Workloads
from trimtab.decide.settings import Settings
from trimtab.decide.state import State, align


def row(**more: Any) -> Observation:
    return Observation(START, Workloads.of([{"key": "ns/w", "replicas": 10, "ready": 10, **more}]))


def limits(current: int, events: list[tuple[float, int]], **policy: Any) -> tuple[int, int]:
    """Rate limits at START after scale events (seconds ago, pods)."""
    merged = {**UP, **DOWN, **policy}
    state = align(State(), row(**merged), Settings())
    replicas = current - sum(change for _, change in events)
    state.workloads.seen_replicas[0] = replicas
    for ago, change in sorted(events, reverse=True):
        replicas += change
        seen = Observation(START - ago, Workloads.of([{"key": "ns/w", "replicas": replicas, **merged}]))
        horizontal.learn(seen, state, signals.read(seen, state, Settings()), Settings())
    seen = row(**{**merged, "replicas": current})
    up, down = horizontal.rate_limits(seen, state)
    return int(up[0]), int(down[0])


@pytest.mark.parametrize(
    ("current", "events", "policy", "expected"),
    [
        (10, [], {}, (20, 9)),
        (2, [], {}, (6, 1)),
        (25, [], {}, (50, 22)),
        (10, [(10, 4)], {}, (12, 5)),  # started the period at 6: 6 + max(4, 100%)
        (10, [(20, 4)], {}, (20, 5)),  # up: outside 15 s; down: the period began at 6
        (10, [(30, -1)], {}, (20, 9)),  # 11 a minute ago, one or 10% = floor(9.9) → 9
        (10, [(61, -1)], {}, (20, 9)),
        (9, [(30, -1)], {}, (18, 9)),
        (10, [], {"up_select": 1, "down_select": 1}, (14, 9)),
        (50, [], {"up_select": 1, "down_select": 1}, (54, 49)),
        (10, [], {"up_select": 2, "down_select": 2}, (10, 10)),
        (10, [], {"up_period": [], "down_period": []}, (10, 10)),
        (15, [], {"up_value": [10], "up_percent": [True], "up_period": [60]}, (17, 13)),
        (1, [], {}, (5, 1)),
        (10, [], {"up_value": [NAN, math.inf], "down_value": [NAN, -5]}, (100_010, 10)),
    ],
)
def test_rate_limits_are_those_of_hpa_v2(
    current: int, events: list[tuple[float, int]], policy: dict[str, Any], expected: tuple[int, int]
) -> None:
    assert limits(current, events, **policy) == expected


def test_the_scale_up_window_takes_the_lowest_recommendation() -> None:
    sim = Simulator(rate=lambda t: 10.0 if t < START + 600 else 50.0, workload={"up_window": 120.0})
    sim.run(600)
    sim.run(105)
    assert sim.replicas == 2
    sim.run(60)
    assert sim.replicas > 2


@pytest.mark.long
def test_long_windows_keep_their_length() -> None:
    sim = Simulator(rate=lambda t: 50.0 if t < START + 600 else 1.0, replicas=4, workload={"down_window": 3600.0})
    sim.container = {"cpu_max": NAN, "memory_max": NAN}
    sim.run(600)
    before = sim.replicas
    sim.run(3480)
    assert sim.replicas >= before
    sim.run(300)
    assert sim.replicas < before


def test_pods_at_their_limit_that_miss_the_target_are_doubled_as_their_real_demand_is_not_known() -> None:
    sim = Simulator(rate=lambda t: 5.0 if t < START + 300 else 200.0, cpu_limit=0.5, replicas=2)
    sim.run(300)
    before = sim.replicas
    sim.run(45)
    assert sim.replicas >= 2 * before
