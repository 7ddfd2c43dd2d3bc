"""Levels of memory: eight days of peaks, and a margin for how much they differ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decide.estimator.playing import MIDNIGHT
from trimtab.decide.estimator import memory
from trimtab.decide.estimator.table import Levels
from trimtab.decide.settings import Settings

SETTINGS = Settings()
DAY = 86400.0
MB = 1e6


def after(*peaks: tuple[float, float]) -> Levels:
    """One row after samples (day, megabytes)."""
    table = Levels.blank(1)
    for day, size in peaks:
        add(table, day, size)
    return table


def add(table: Levels, day: float, size: float) -> None:
    memory.learn(table, np.array([0]), np.array([MIDNIGHT + day * DAY]), np.array([size * MB]), SETTINGS)


def test_in_the_first_days_the_largest_peak_has_fifteen_percent_on_top() -> None:
    assert after((0, 100), (1, 80)).memory[0] == pytest.approx(115 * MB)


def test_steady_peaks_need_five_percent_and_changing_ones_more() -> None:
    assert after(*((day, 100) for day in range(8))).memory[0] == pytest.approx(105 * MB, rel=0.08)
    table = after(*((day, 100 if day % 2 else 180) for day in range(8)))
    assert 180 * 1.08 * MB <= table.memory[0] <= 180 * 1.15 * MB * 1.001


def test_a_peak_is_kept_for_eight_days_and_not_for_longer() -> None:
    table = after((0, 900), *((day, 100) for day in range(1, 8)))
    assert table.memory[0] > 900 * MB
    add(table, 8.5, 100)
    assert table.memory[0] < 200 * MB


def test_a_raise_comes_with_the_sample_and_a_small_fall_is_not_worth_a_change() -> None:
    table = after(*((day, 100) for day in range(4)))
    before = float(table.memory[0])
    add(table, 4, 300)
    assert table.memory[0] > 300 * MB
    steady = after(*((day, 100 if day < 6 else 98) for day in range(9)))
    assert steady.memory[0] == pytest.approx(before, rel=0.1)


def test_peaks_may_come_in_any_order_and_very_old_ones_are_left_out() -> None:
    straight = after((0, 300), (1, 100), (2, 200))
    mixed = after((2, 200), (0, 300), (1, 100))
    np.testing.assert_array_equal(straight.peaks, mixed.peaks)
    late = after((10, 100), (1, 900))
    assert late.memory[0] < 200 * MB


def test_the_peak_of_a_day_forgets_what_is_older() -> None:
    table = after((0, 900), (3, 100))
    assert memory.day_peak(table, MIDNIGHT + 3.1 * DAY)[0] == 100 * MB
    assert np.isnan(memory.day_peak(table, MIDNIGHT + 9 * DAY)[0])
    assert np.isnan(memory.day_peak(Levels.blank(1), MIDNIGHT)[0])


def test_rows_without_a_sample_keep_what_they_have() -> None:
    table = Levels.blank(3)
    memory.learn(table, np.array([1]), np.array([MIDNIGHT]), np.array([100 * MB]), SETTINGS)
    assert np.isnan(table.memory[[0, 2]]).all()
    before = table.memory.copy()
    memory.learn(table, np.array([], dtype=np.int64), np.array([]), np.array([]), SETTINGS)
    np.testing.assert_array_equal(table.memory, before)


@given(st.lists(st.tuples(st.floats(0, 40), st.floats(1, 1e6)), min_size=1, max_size=30))
def test_the_level_is_never_below_the_newest_peak_nor_above_the_largest_with_the_margin(
    peaks: list[tuple[float, float]],
) -> None:
    table = after(*peaks)
    newest = max(peaks)[1]
    assert newest * MB * 0.999 <= table.memory[0] <= max(size for _, size in peaks) * MB * 1.151
