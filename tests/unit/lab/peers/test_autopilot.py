"""Conformance of the `autopilot` peer with the paper's formulas."""

import numpy as np
import pytest

from trimtab.decide.histogram import Buckets
from trimtab.lab.peers import autopilot
from trimtab.lab.peers.autopilot import Autopilot, AutopilotRun, choose, costs
from trimtab.lab.traces import Usage
from trimtab.lab.vertical.replay import Grid, grid_of, replay_cpu, replay_memory
from trimtab.lab.vertical.score import score

GIB = 2.0**30
BUCKETS = Buckets(1.0, 4.0, 1.0001)
"""Five buckets of nearly one core each."""


def grid(values: list[float], step: float) -> Grid:
    array = np.array(values)
    return grid_of([Usage("a", "cpu", step * np.arange(float(len(array))), array, step)])


def run_through(values: list[float], step: float) -> AutopilotRun:
    table = grid(values, step)
    run = AutopilotRun(table, "cpu")
    for k in range(len(values) + 1):
        seen = np.array([values[k - 1]]) if k else np.array([np.nan])
        run.step(k * step, seen, np.array([False]))
    return run


def test_cost_is_weighted_overrun_and_unused_capacity() -> None:
    weights = np.array([[0.5, 0.25, 0.25, 0.0, 0.0]])
    mean = 0.5 * 0.5 + 0.25 * 1.5 + 0.25 * 2.5
    overrun = [0.5, 0.25, 0.0, 0.0, 0.0]
    unused = [0.5 * 0.5, 0.5 * 1.5 + 0.25 * 0.5, 3 - mean, 4 - mean, 5 - mean]
    expected = [10 * o + u / mean for o, u in zip(overrun, unused, strict=True)]
    assert costs(weights, BUCKETS, 10.0)[0] == pytest.approx(expected, rel=1e-3)


def test_a_limit_changes_only_when_it_pays_for_the_change() -> None:
    cost = np.array([[1.0, 1.005, 2.0]] * 3)
    assert choose(cost, np.array([-1, 1, 2])).tolist() == [0, 1, 0]


@pytest.mark.parametrize(("resource", "hours"), [("cpu", 12), ("memory", 48)])
def test_weights_halve_in_12_hours_for_cpu_and_48_for_memory(resource: str, hours: int) -> None:
    windows = hours * 3600 / autopilot.WINDOW
    run = AutopilotRun(grid([1.0] * 4, 300.0), "cpu" if resource == "cpu" else "memory")
    assert run._decay**windows == pytest.approx(0.5)


def test_samples_are_gathered_into_windows_of_five_minutes() -> None:
    run = run_through([1.0, 2.0, 1.0, 1.0, 1.0], 60.0)
    assert np.sort(run._weights[0])[-2:].tolist() == pytest.approx([0.2, 0.8])


def test_a_window_of_memory_is_its_peak() -> None:
    values = np.array([1.0, 5.0, 1.0, 1.0, 1.0]) * GIB
    run = AutopilotRun(grid(values.tolist(), 60.0), "memory")
    for k in range(6):
        run.step(60.0 * k, np.array([values[k - 1] if k else np.nan]), np.array([False]))
    at = autopilot.BUCKETS["memory"].index(np.array([5.0 * GIB]))
    assert run._weights[0, at[0]] == pytest.approx(1.0)
    assert run._weights.sum() == pytest.approx(1.0)


def test_the_limit_has_a_margin_of_ten_percent() -> None:
    usage = Usage("flat", "cpu", 300.0 * np.arange(1000.0), np.ones(1000), 300.0)
    (done,) = replay_cpu(Autopilot(), [usage])
    ends = autopilot.BUCKETS["cpu"].ends
    assert done.levels[-1] == pytest.approx(1.10 * ends[ends > 1.0][0])


def test_the_largest_recommendation_of_the_last_hour_holds() -> None:
    run = AutopilotRun(grid([1.0] * 40, 300.0), "cpu")
    limits = []
    for k in range(40):
        cores = 8.0 if k == 1 else 1.0
        limits.append(float(run.step(300.0 * k, np.array([cores if k else np.nan]), np.array([False]))[0]))
    high = [k for k, limit in enumerate(limits) if limit > 8.0]
    assert high[0] == 1
    assert len(high) >= autopilot.HOLD
    assert limits[-1] < limits[1]


def test_a_kill_raises_the_limit_at_once() -> None:
    values = np.concatenate((np.full(700, 1.0), np.full(300, 1.2))) * GIB
    (done,) = replay_memory(Autopilot(), [Usage("step", "memory", 300.0 * np.arange(1000.0), values, 300.0)])
    assert 1 <= score(done).ooms <= 3
