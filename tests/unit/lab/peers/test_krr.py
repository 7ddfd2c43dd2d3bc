"""Conformance of the `krr` peer with KRR's documented defaults, applied once a day."""

import numpy as np
import pytest

from trimtab.lab.peers.krr import Krr, points, recommend
from trimtab.lab.traces import DAY, Usage
from trimtab.lab.vertical.replay import replay_cpu, replay_memory
from trimtab.lab.vertical.score import score

GIB = 2.0**30


@pytest.mark.parametrize(
    ("resource", "known", "expected"),
    [
        ("cpu", list(range(101)), 95.0),
        ("cpu", [0.001] * 200, 0.010),
        ("memory", [1 * GIB] * 199 + [2 * GIB], 2.3 * GIB),
        ("memory", [1e6] * 200, 100e6),
    ],
)
def test_cpu_is_p95_and_memory_the_maximum_with_15_percent(resource: str, known: list[float], expected: float) -> None:
    assert recommend("cpu" if resource == "cpu" else "memory", np.array(known, dtype=float)) == pytest.approx(expected)


def test_points_lie_75_seconds_apart_over_336_hours() -> None:
    times = 60.0 * np.arange(float(20 * 1440))
    found = points(times, times, float(times[-1]))
    assert len(found) == 336 * 3600 / 75 + 1
    assert found.max() - found.min() == pytest.approx(336 * 3600, abs=60)
    assert np.diff(found)[::-1][:4].tolist() == [-60, -60, -60, -120] or len(np.unique(np.diff(found))) == 2


def test_a_gap_gives_no_points_after_five_minutes() -> None:
    times = np.concatenate((60.0 * np.arange(10.0), 7200 + 60.0 * np.arange(10.0)))
    found = points(times, np.ones(20), float(times[-1]))
    assert len(found) == 8 + 4 + 8


def test_it_says_nothing_before_100_points_and_then_once_a_day() -> None:
    times = 60.0 * np.arange(float(5 * 1440))
    usage = Usage("ramp", "cpu", times, 1 + times / DAY, 60.0)
    (done,) = replay_cpu(Krr(), [usage])
    first = int(np.flatnonzero(np.isfinite(done.levels))[0])
    assert first == pytest.approx(99 * 75 / 60 + 1, abs=1)
    assert len(np.unique(done.levels[first:])) == 5
    changes = np.flatnonzero(np.diff(done.levels[first:])) + 1
    assert np.unique(np.diff(changes)).tolist() == [1440]


def test_a_short_recording_is_served_when_scoring_starts() -> None:
    usage = Usage("short", "cpu", 60.0 * np.arange(40.0), np.ones(40), 60.0)
    (done,) = replay_cpu(Krr(), [usage])
    assert np.isfinite(done.levels[usage.scored_from :]).all()
    assert not np.isfinite(done.levels[: usage.scored_from]).any()


def test_nobody_answers_a_kill_before_the_next_run() -> None:
    values = np.concatenate((np.full(1000, 1.0), np.full(300, 1.3))) * GIB
    usage = Usage("step", "memory", 300.0 * np.arange(1300.0), values, 300.0)
    (done,) = replay_memory(Krr(), [usage])
    assert score(done).ooms > 50
    assert done.levels[-1] == pytest.approx(1.15 * 1.15 * GIB)
