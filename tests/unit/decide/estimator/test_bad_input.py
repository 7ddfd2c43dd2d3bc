"""Gaps, repeats, nonsense and changes of unit: what happens, and that none of it lowers a level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decide.estimator.playing import MIDNIGHT, noisy, play, samples
from trimtab.decide.estimator.step import step
from trimtab.decide.estimator.table import Levels
from trimtab.decide.settings import Settings

pytestmark = pytest.mark.long
SETTINGS = Settings()
STEADY = noisy(200, 0.5)


def test_nothing_is_learned_in_a_gap_and_the_level_stays() -> None:
    table = play(STEADY)
    before = table.wanted.copy()
    samples(table, [], [], now=MIDNIGHT + 30 * 86400.0)
    np.testing.assert_array_equal(table.wanted, before)


def test_the_level_after_a_gap_is_no_lower_than_what_the_next_samples_show() -> None:
    table = play(STEADY)
    back = MIDNIGHT + 5 * 86400.0
    samples(table, [back + 60 * i for i in range(5)], [0.5] * 5, now=back + 400)
    assert table.wanted[0] >= 0.5


def test_samples_that_come_twice_count_once() -> None:
    times = [MIDNIGHT + 60 * i for i in range(len(STEADY))]
    once, twice = Levels.blank(1), Levels.blank(1)
    samples(once, times, STEADY.tolist())
    samples(twice, times, STEADY.tolist())
    samples(twice, times, STEADY.tolist())
    samples(twice, times[:50] * 3, STEADY.tolist()[:50] * 3)
    for name, _ in Levels.columns():
        np.testing.assert_array_equal(getattr(once, name), getattr(twice, name), err_msg=name)


def test_samples_in_any_order_are_learned_by_their_times() -> None:
    times = np.array([MIDNIGHT + 60.0 * i for i in range(len(STEADY))])
    mixed = np.random.default_rng(1).permutation(len(STEADY))
    straight, shuffled = Levels.blank(1), Levels.blank(1)
    samples(straight, times.tolist(), STEADY.tolist())
    samples(shuffled, times[mixed].tolist(), STEADY[mixed].tolist())
    assert straight.wanted[0] == shuffled.wanted[0]


def test_a_sample_older_than_the_newest_finished_one_changes_nothing() -> None:
    table = play(STEADY)
    before = table.wanted.copy()
    samples(table, [MIDNIGHT + 60.0], [9.0])
    np.testing.assert_array_equal(table.wanted, before)
    assert table.filling[0] == -1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0])
def test_what_is_no_amount_is_left_out(bad: float) -> None:
    table = play(STEADY)
    before = table.wanted.copy()
    end = MIDNIGHT + 60.0 * len(STEADY)
    samples(table, [end + 60 * i for i in range(10)], [bad] * 10, now=end + 900)
    np.testing.assert_array_equal(table.wanted, before)


def test_a_counter_that_starts_over_gives_a_negative_rate_which_is_left_out_and_a_spike_only_raises() -> None:
    table = play(STEADY)
    before = float(table.wanted[0])
    end = MIDNIGHT + 60.0 * len(STEADY)
    samples(table, [end, end + 60], [-3.0, 2.0], now=end + 130)
    assert table.wanted[0] > before


def test_a_constant_series_is_covered_closely_and_never_overrun() -> None:
    table, levels = Levels.blank(1), []
    for i in range(600):
        levels.append(float(table.wanted[0]))
        step(table, np.array([0]), np.array([MIDNIGHT + 300.0 * i]), np.full(1, 0.7, np.float32), _NONE, SETTINGS)
    assert min(levels[1:]) >= 0.7
    assert 0.7 <= table.wanted[0] <= 0.7 * 1.25


def test_one_sample_asks_for_fifteen_percent_on_top_of_it() -> None:
    table = play(np.array([0.4]))
    assert 0.4 * 1.149 <= table.wanted[0] <= 0.4 * 1.15 * 1.08


def test_before_any_sample_nothing_is_asked_for() -> None:
    assert np.isnan(play(np.array([])).wanted[0])


def test_ten_years_of_samples_leave_finite_numbers_everywhere() -> None:
    table = Levels.blank(1)
    for i in range(300):
        usage = np.array([0.5 + 0.3 * np.sin(i)], dtype=np.float32)
        step(table, np.array([0]), np.array([MIDNIGHT + i * 12 * 86400.0 + 977.0 * i]), usage, _NONE, SETTINGS)
    for name, _ in Levels.columns():
        values = getattr(table, name)
        assert name in {"day_peak", "day_mean", "memory"} or np.isfinite(values).all(), name
    assert table.wanted[0] > 0.2


def test_usage_that_falls_a_thousandfold_at_once_is_doubted_for_six_hours() -> None:
    table = play(noisy(500, 0.5), every=60.0)
    before = float(table.wanted[0])
    end = MIDNIGHT + 500 * 60.0
    for i in range(70):
        step(table, np.array([0]), np.array([end + 300.0 * i]), np.full(1, 0.0005, np.float32), _NONE, SETTINGS)
        assert table.wanted[0] == before
    for i in range(70, 75):
        step(table, np.array([0]), np.array([end + 300.0 * i]), np.full(1, 0.0005, np.float32), _NONE, SETTINGS)
    assert table.lowest[0] < 0.001
    assert table.mean15[0] < before / 2


def test_usage_that_rises_a_thousandfold_is_followed_at_once() -> None:
    table = play(STEADY)
    end = MIDNIGHT + 60.0 * len(STEADY)
    samples(table, [end], [500.0], now=end + 61)
    assert table.wanted[0] >= 500.0


@pytest.mark.parametrize("hours", [0.25, 5.5])
def test_an_exporter_that_says_zero_lowers_nothing_of_a_container_that_never_rested(hours: float) -> None:
    table = play(STEADY)
    before = {name: getattr(table, name).copy() for name in ("wanted", "mean_day", "margin", "steps", "blocks")}
    end = MIDNIGHT + 60.0 * len(STEADY)
    count = int(60 * hours)
    samples(table, [end + 60.0 * i for i in range(count)], [0.0] * count)
    for name, held in before.items():
        np.testing.assert_array_equal(getattr(table, name), held, err_msg=name)


def test_a_container_that_came_back_from_zero_three_times_rests_and_zero_is_learned_from_then_on() -> None:
    table = Levels.blank(1)
    learned = []
    for i in range(40):
        before = float(table.steps[0])
        samples(table, [MIDNIGHT + 60.0 * i], [0.0 if i % 4 == 3 else 0.5], now=MIDNIGHT + 60.0 * (i + 1))
        if i % 4 == 3:
            learned.append(bool(table.steps[0] > before))
    assert learned == [False, False, False] + [True] * 7


def test_a_container_that_never_used_anything_has_no_level_however_long_that_lasts() -> None:
    table = Levels.blank(1)
    samples(table, [MIDNIGHT + 300.0 * i for i in range(300)], [0.0] * 300)
    assert np.isnan(table.wanted[0])
    assert table.steps[0] == 0


def test_a_row_that_comes_back_without_a_part_of_what_it_knew_begins_anew() -> None:
    table = play(STEADY)
    table.histogram[:] = 0
    end = MIDNIGHT + 60.0 * len(STEADY)
    samples(table, [end], [0.5], now=end + 61)
    assert table.steps[0] == 1
    assert table.wanted[0] >= 0.5 * 1.14


@given(st.lists(st.one_of(st.floats(0, 1e6), st.sampled_from([0.0, np.nan, -1.0, np.inf, 1e-9])), max_size=25))
def test_whatever_comes_no_level_is_ever_nan_once_known_negative_or_infinite(values: list[float]) -> None:
    table = Levels.blank(1)
    known = False
    for i, value in enumerate(values):
        samples(table, [MIDNIGHT + 60.0 * i], [value], now=MIDNIGHT + 60.0 * (i + 1))
        known |= bool(np.isfinite(value) and np.float32(value) > 0)
        assert np.isfinite(table.wanted[0]) == known
        assert not known or table.wanted[0] >= 0


_NONE = np.full(1, np.nan, dtype=np.float32)
