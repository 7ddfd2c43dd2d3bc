"""Trimtab's own policies in the vertical lab."""

import numpy as np
import pytest

from trimtab.lab.traces import Usage
from trimtab.lab.vertical.replay import grid_of, replay_cpu, replay_memory
from trimtab.lab.vertical.trimtab import POLICIES, Trimtab

GIB = 2.0**30
START = 1_767_571_200.0


def usage(values: np.ndarray, resource: str = "cpu", step: float = 300.0, name: str = "made") -> Usage:
    return Usage(name, resource, START + step * np.arange(len(values)), values.astype(float), step)  # type: ignore[arg-type]


def noisy(count: int, seed: int = 1) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, 0.2, count))


@pytest.mark.parametrize("name", POLICIES)
def test_a_level_depends_on_earlier_samples_only(name: str) -> None:
    values = noisy(400)
    changed = values.copy()
    changed[300:] *= 5
    before, after = (POLICIES[name]().cpu([usage(one)])[0] for one in (values, changed))
    np.testing.assert_array_equal(before[:301], after[:301])
    assert (before[301:] != after[301:]).any()


def test_recordings_do_not_influence_each_other() -> None:
    one, two = usage(noisy(300)), usage(noisy(200, 2) * 7, step=60.0)
    together = Trimtab().cpu([one, two])
    for alone, among in zip((Trimtab().cpu([one])[0], Trimtab().cpu([two])[0]), together, strict=True):
        np.testing.assert_allclose(alone, among, rtol=1e-5)


def test_a_recording_of_nothing_but_zeros_has_a_level() -> None:
    (replay,) = replay_cpu(Trimtab(), [usage(np.zeros(300))])
    assert (replay.levels[1:] > 0).all()


def test_from_a_start_four_times_too_small_three_kills_are_enough() -> None:
    values = np.concatenate((np.full(200, 1.0), np.full(400, 4.0))) * GIB
    (replay,) = replay_memory(Trimtab(), [usage(values, "memory")])
    assert 1 <= replay.killed.sum() <= 3
    assert replay.levels[-1] >= 4 * GIB


def test_a_kill_is_answered_in_the_next_slot_and_kept_for_seven_days() -> None:
    values = np.full(12 * 288, 1.0) * GIB
    values[4 * 288] = 2 * GIB
    (replay,) = replay_memory(Trimtab(), [usage(values, "memory")])
    (at,) = np.flatnonzero(replay.killed)
    floor = replay.levels[at] * 1.2
    assert (replay.levels[at + 1 : at + 6 * 288] >= floor * 0.999).all()
    assert replay.levels[-1] < floor


def test_memory_asks_for_next_to_nothing_before_its_first_sample() -> None:
    run = Trimtab().memory(grid_of([usage(np.ones(10) * GIB, "memory")]))
    assert 0 < run.step(0.0, np.array([np.nan]), np.array([False]))[0] < 1
