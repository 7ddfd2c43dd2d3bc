"""The forecast of the arrival rate: level, trend, margin; gaps, cold starts and slow starts."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.decide import forecast
from trimtab.decide.forecast import Forecast
from trimtab.decide.observation import Workloads
from trimtab.decide.settings import Settings
from trimtab.decide.standing import LoadMemory

pytestmark = pytest.mark.long

NOW, TICK = 1_800_000_000.0, 15.0
NAN = float("nan")
SETTINGS = Settings()


def row(rate: float, **more: Any) -> dict[str, Any]:
    return {"key": "shop/api", "ready": 3, "replicas": 3, "arrival_rate": rate, "startup_seconds": 45.0, **more}


def replay(
    rates: list[float], held: LoadMemory | None = None, *, start: float = NOW, **more: Any
) -> tuple[list[Forecast], LoadMemory]:
    """One workload through these rates, one a tick."""
    held = held if held is not None else LoadMemory.blank(1)
    seen = [
        forecast.update(Workloads.of([row(rate, **more)]), held, start + i * TICK, np.zeros(1), SETTINGS)
        for i, rate in enumerate(rates)
    ]
    return seen, held


def noisy(mean: Callable[[int], float], ticks: int, spread: float, seed: int = 1) -> list[float]:
    rng = np.random.default_rng(seed)
    return [mean(i) * float(np.exp(spread * rng.normal())) for i in range(ticks)]


def test_a_steady_rate_is_expected_to_stay_and_its_margin_shrinks() -> None:
    seen, _ = replay([50.0] * 240)
    assert seen[-1].rate[0] == pytest.approx(50.0, rel=1e-6)
    assert seen[0].margin[0] > 0.3
    assert seen[-1].margin[0] < 0.1
    margins = [float(one.margin[0]) for one in seen]
    assert all(later <= before + 1e-9 for before, later in itertools.pairwise(margins))


def test_a_new_workload_whose_pods_start_slowly_is_assumed_to_need_more_margin() -> None:
    fast, slow = (replay([50.0], startup_seconds=s)[0][0].margin[0] for s in (45.0, 150.0))
    assert slow > fast * 1.2


def test_a_ramp_is_followed_ahead_of_itself() -> None:
    seen, _ = replay([20.0 + i for i in range(60)], startup_seconds=150.0)
    ahead = 195.0 / TICK
    assert seen[-1].rate[0] == pytest.approx(79.0 + ahead, rel=0.1)


def test_a_trend_that_misled_is_not_trusted_again() -> None:
    shark = [20.0 + 3.0 * i if i < 16 else 20.0 for _ in range(6) for i in range(40)]
    seen, held = replay(shark, startup_seconds=150.0)
    assert held.trend_gain[0] < 0
    top = max(float(one.rate[0]) for one in seen[-40:])
    assert top < max(float(one.rate[0]) for one in seen[:40])


def test_noise_that_always_returns_is_not_taken_for_a_level() -> None:
    flips = [50.0 if i % 8 < 7 else 70.0 for i in range(480)]
    seen, _ = replay(flips)
    after_a_spike = [float(one.rate[0]) for rate, one in zip(flips[400:], seen[400:], strict=True) if rate > 60]
    assert max(after_a_spike) < 68.0


def test_surprises_of_the_past_widen_the_margin_and_are_forgotten_slowly() -> None:
    calm, _ = replay(noisy(lambda i: 50.0, 400, 0.02))
    jumpy, held = replay(noisy(lambda i: 50.0 if (i // 40) % 2 else 80.0, 400, 0.02))
    assert jumpy[-1].margin[0] > 2 * calm[-1].margin[0]
    later, _ = replay(noisy(lambda i: 50.0, 400, 0.02, seed=2), held, start=NOW + 400 * TICK)
    assert calm[-1].margin[0] < later[-1].margin[0] < jumpy[-1].margin[0]


def test_the_declared_share_of_the_load_at_most_is_beyond_the_margin_on_average() -> None:
    rates = noisy(lambda i: 100.0, 1600, 0.1)
    seen, _ = replay(rates)
    lead = int(forecast.lead_seconds(np.array([45.0]), SETTINGS)[0] / TICK)
    beyond = [
        max(later / (float(one.rate[0]) * float(np.exp(one.margin[0]))) - 1, 0.0)
        for one, later in zip(seen[500:], rates[500 + lead :], strict=False)
    ]
    assert np.mean(beyond) < 1.5 * SETTINGS.load_shortfall


def test_replicas_are_raised_at_a_smaller_margin_than_they_are_raised_to() -> None:
    seen, _ = replay(noisy(lambda i: 50.0, 200, 0.05))
    assert all(0 <= one.least_margin[0] < one.margin[0] for one in seen)


@pytest.mark.parametrize("rate", [NAN, float("inf"), -1.0])
def test_a_rate_that_is_no_number_gives_no_forecast_and_teaches_nothing(rate: float) -> None:
    _, held = replay([50.0] * 60)
    before = held.copy()
    seen, held = replay([rate] * 10, held, start=NOW + 60 * TICK)
    assert all(np.isnan(one.rate[0]) for one in seen)
    for name, _ in held.columns():
        np.testing.assert_array_equal(getattr(held, name), getattr(before, name))


def test_a_row_that_is_not_due_gives_no_forecast() -> None:
    seen, _ = replay([50.0] * 5, due=False)
    assert np.isnan(seen[-1].rate[0])


def test_after_a_long_gap_the_level_starts_anew_and_the_margin_stays() -> None:
    first, held = replay(noisy(lambda i: 50.0, 200, 0.1))
    seen, _ = replay([500.0], held, start=NOW + 1e5)
    assert seen[0].rate[0] == pytest.approx(500.0, rel=0.01)
    assert seen[0].margin[0] == pytest.approx(first[-1].margin[0])


def test_the_same_tick_twice_teaches_once() -> None:
    _, held = replay([50.0] * 60)
    before = held.errors.sum()
    forecast.update(Workloads.of([row(50.0)]), held, NOW + 59 * TICK + 1, np.zeros(1), SETTINGS)
    assert held.errors.sum() == before


def test_one_sample_a_minute_is_learned_from_as_well() -> None:
    held = LoadMemory.blank(1)
    for i in range(240):
        w = Workloads.of([row(50.0 + i, due=i % 4 == 0)])
        seen = forecast.update(w, held, NOW + i * TICK, np.zeros(1), SETTINGS)
    assert held.errors.sum() > 20
    assert np.isfinite(seen.margin[0])


def test_pods_that_start_in_twenty_minutes_have_slots_of_a_minute() -> None:
    seen, held = replay([50.0 + 0.1 * i for i in range(600)], startup_seconds=1200.0)
    assert held.width[0] == 60.0
    assert held.errors.sum() > 10
    assert seen[-1].rate[0] > 110.0 + 0.1 * 1200 / TICK * 0.5


def test_when_the_start_up_changes_a_lot_the_past_is_dropped() -> None:
    _, held = replay([50.0] * 100)
    replay([50.0], held, start=NOW + 100 * TICK, startup_seconds=1200.0)
    assert held.errors.sum() == 0


def test_a_load_that_one_pod_carries_anyway_teaches_no_margin() -> None:
    held = LoadMemory.blank(1)
    for i in range(100):
        w = Workloads.of([row(0.01 if i % 2 else 0.3)])
        forecast.update(w, held, NOW + i * TICK, np.ones(1), SETTINGS)
    assert held.errors.sum() == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.floats(0, 1e6), st.sampled_from([NAN, float("inf"), -5.0])), min_size=1, max_size=60),
    st.sampled_from([NAN, 0.0, 20.0, 150.0, 4000.0]),
)
def test_whatever_comes_a_forecast_is_a_number_within_bounds_or_none(rates: list[float], startup: float) -> None:
    seen, held = replay(rates, startup_seconds=startup)
    for rate, one in zip(rates, seen, strict=True):
        known = np.isfinite(rate) and rate >= 0
        assert np.isfinite(one.rate[0]) == known
        assert 0 <= one.least_margin[0] <= one.margin[0] <= forecast.ERRORS[-1]
        assert not known or one.rate[0] >= 0
    assert all(np.isfinite(getattr(held, name)).all() for name in ("moments", "cross", "weights", "errors"))


def test_rows_do_not_touch_each_other() -> None:
    both, alone = LoadMemory.blank(2), LoadMemory.blank(1)
    for i, (one, other) in enumerate(zip(noisy(lambda i: 50, 80, 0.1), noisy(lambda i: 9, 80, 0.3, 5), strict=True)):
        now = NOW + i * TICK
        pair = forecast.update(Workloads.of([row(one), row(other, key="shop/b")]), both, now, np.zeros(2), SETTINGS)
        single = forecast.update(Workloads.of([row(one)]), alone, now, np.zeros(1), SETTINGS)
        assert pair.rate[0] == single.rate[0]
        assert pair.margin[0] == single.margin[0]
