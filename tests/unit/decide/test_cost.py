"""Cost: blocks, unit costs, savings with an interval, and what is not claimed."""

import math
from typing import Any

import numpy as np
import pytest

from trimtab.decide import cost
from trimtab.decide.cost import COUNT, MONTH_HOURS, PastCosts
from trimtab.decide.observation import Observation, Workloads
from trimtab.decide.plan import CostPlan, SavingsVerdict
from trimtab.decide.settings import Settings
from trimtab.decide.standing import CostMemory

START = 1_800_000_000.0
HOUR = 3600.0
SETTINGS = Settings()
RNG = np.random.default_rng(7)


class Shop:
    """One workload, measured every two minutes."""

    def __init__(self, **row: Any) -> None:
        self.now, self.held = START, CostMemory.blank(1)
        self.row: dict[str, Any] = {"key": "ns/w", "arrival_rate": 10.0, "cost_per_hour": 1.0} | row
        self.row |= {"cost_cpu": 4.0, "cost_memory": 8e9}

    def seen(self) -> Observation:
        return Observation(self.now, Workloads.of([self.row]))

    def step(self, seconds: float = 120.0, restarted: bool = False, **row: Any) -> None:
        self.now += seconds
        self.row |= row
        with np.errstate(invalid="ignore", divide="ignore"):
            cost.measure(self.seen(), self.held, np.array([restarted]), SETTINGS)

    @property
    def plan(self) -> CostPlan:
        with np.errstate(invalid="ignore", divide="ignore"):
            return cost.plan(self.seen(), self.held, SETTINGS)

    def hours(self, hours: int, price: Any = None, **row: Any) -> CostPlan:
        """`price` gives the cost of each hour."""
        for hour in range(hours):
            if price is not None:
                self.row["cost_per_hour"] = price(hour)
            for _ in range(30):
                self.step(**row)
        return self.plan


def noisy(mean: float, spread: float) -> Any:
    return lambda _hour: mean * (1 + spread * RNG.standard_normal())


@pytest.mark.long
def test_what_is_saved_is_told_with_an_interval_around_the_truth() -> None:
    shop = Shop()
    shop.hours(72, noisy(1.0, 0.05))
    plan = shop.hours(72, noisy(0.6, 0.05), tuned=True)
    assert plan.verdict[0] is SavingsVerdict.SAVES
    assert plan.saved[0] == pytest.approx(0.4 * MONTH_HOURS, rel=0.1)
    assert plan.low[0] < 0.4 * MONTH_HOURS < plan.high[0]
    assert plan.low[0] > 0


@pytest.mark.long
def test_where_the_interval_spans_zero_nothing_is_claimed() -> None:
    shop = Shop()
    shop.hours(48, noisy(1.0, 0.3))
    plan = shop.hours(48, noisy(0.97, 0.3), tuned=True)
    assert plan.verdict[0] is SavingsVerdict.INCONCLUSIVE
    assert plan.saved[0] == 0.0
    assert plan.low[0] < 0 < plan.high[0]


@pytest.mark.long
def test_a_rise_of_the_unit_cost_is_said() -> None:
    shop = Shop()
    shop.hours(30, noisy(1.0, 0.02))
    plan = shop.hours(30, noisy(1.5, 0.02), tuned=True)
    assert plan.verdict[0] is SavingsVerdict.COSTS_MORE
    assert plan.saved[0] < 0


@pytest.mark.long
def test_half_the_load_at_half_the_cost_saves_nothing() -> None:
    shop = Shop()
    shop.hours(30, noisy(1.0, 0.02))
    plan = shop.hours(30, noisy(0.5, 0.02), tuned=True, arrival_rate=5.0)
    assert plan.verdict[0] is SavingsVerdict.INCONCLUSIVE


@pytest.mark.long
def test_without_a_rate_of_requests_the_unit_is_an_hour() -> None:
    shop = Shop(arrival_rate=math.nan)
    shop.hours(30, noisy(1.0, 0.02))
    plan = shop.hours(30, noisy(0.5, 0.02), tuned=True)
    assert not plan.by_requests[0]
    assert plan.saved[0] == pytest.approx(0.5 * MONTH_HOURS, rel=0.05)


def test_a_rate_that_becomes_known_starts_the_comparison_anew() -> None:
    shop = Shop(arrival_rate=math.nan)
    shop.hours(30)
    shop.hours(2, arrival_rate=10.0)
    assert shop.held.baseline[0, COUNT] <= 2


@pytest.mark.long
def test_before_a_day_of_both_nothing_is_said() -> None:
    shop = Shop()
    shop.step()
    assert shop.plan.verdict[0] is SavingsVerdict.NO_BASELINE
    shop.hours(30)
    assert shop.hours(12, tuned=True, cost_per_hour=0.5).verdict[0] is SavingsVerdict.LEARNING
    assert math.isnan(shop.plan.saved[0])


@pytest.mark.long
def test_a_workload_that_was_tuned_from_the_first_look_has_no_baseline() -> None:
    plan = Shop().hours(60, tuned=True)
    assert plan.verdict[0] is SavingsVerdict.NO_BASELINE
    assert math.isnan(plan.saved[0])


@pytest.mark.long
def test_capacity_freed_and_the_bill_are_two_figures() -> None:
    shop = Shop(nodes_cost=3.0)
    shop.hours(30, noisy(1.0, 0.02))
    plan = shop.hours(30, noisy(0.5, 0.02), tuned=True, cost_cpu=1.0, cost_memory=4e9)
    assert plan.freed_cpu[0] == pytest.approx(3.0, rel=0.05)
    assert plan.freed_memory[0] == pytest.approx(4e9, rel=0.05)
    assert plan.bill_reduced[0] == pytest.approx(0.0, abs=1.0), "no node went away"


def test_hours_that_are_mostly_unknown_do_not_count() -> None:
    shop = Shop()
    for hour in range(10):
        for part in range(30):
            shop.step(cost_per_hour=1.0 if hour % 2 and part < 10 else math.nan)
    assert shop.held.baseline[0, COUNT] == 0


def test_a_new_template_is_another_baseline() -> None:
    shop = Shop()
    shop.hours(30)
    shop.step(restarted=True)
    assert shop.held.baseline[0, COUNT] == 0


def test_history_is_a_baseline_only_where_there_is_none() -> None:
    shop = Shop()
    cells = np.arange(48, dtype=np.float64)
    past = PastCosts(
        ("ns/w",), np.zeros(48, dtype=np.int64), 1.0 + cells / 1e3, np.full(48, 36e3), np.full(48, 4.0), np.zeros(48)
    )
    cost.learn(shop.seen(), shop.held, past)
    assert shop.held.baseline[0, COUNT] == 48
    cost.learn(shop.seen(), shop.held, past)
    assert shop.held.baseline[0, COUNT] == 48
    plan = shop.hours(30, tuned=True, cost_per_hour=0.5)
    assert plan.verdict[0] is SavingsVerdict.SAVES
    late = Shop()
    late.hours(3, tuned=True)
    cost.learn(late.seen(), late.held, past)
    assert late.held.baseline[0, COUNT] == 0


def test_after_a_restart_the_figures_are_as_they_were() -> None:
    shop = Shop()
    shop.hours(48, noisy(1.0, 0.1))
    before = shop.hours(48, noisy(0.7, 0.1), tuned=True)
    again = Shop(tuned=True)
    again.now = shop.now
    cost.restore(again.held, 0, before.baseline[0], before.actual[0], bool(before.by_requests[0]), SETTINGS)
    after = cost.plan(again.seen(), again.held, SETTINGS)
    for name in ("saved", "low", "high", "freed_cpu"):
        assert getattr(after, name)[0] == pytest.approx(getattr(before, name)[0], rel=1e-6), name
    assert after.verdict[0] is before.verdict[0]


@pytest.mark.long
@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_jumps_an_hour_costs_no_hour(jump: float) -> None:
    shop = Shop()
    shop.hours(30)
    paid, mean = shop.held.baseline[0, COUNT], shop.held.mean[0]
    shop.step(jump, cost_per_hour=100.0)
    assert shop.held.block_seconds[0] <= SETTINGS.cost_gap
    assert mean <= shop.held.mean[0] < 1.2, "one look stands for two minutes at most"
    shop.hours(3, cost_per_hour=1.0)
    assert paid + 2 <= shop.held.baseline[0, COUNT] <= paid + 4
    assert np.isfinite(shop.held.baseline).all()


OPENCOST, STATIC = 1, 2


@pytest.mark.long
def test_prices_of_another_source_are_no_saving() -> None:
    shop = Shop(prices=OPENCOST)
    shop.hours(30, noisy(1.0, 0.02))
    shop.hours(30, noisy(1.0, 0.02), tuned=True)
    mean = shop.held.mean[0]
    plan = shop.hours(6, cost_per_hour=0.2, prices=STATIC)
    assert plan.verdict[0] is SavingsVerdict.INCONCLUSIVE
    assert plan.saved[0] == 0.0
    assert shop.held.mean[0] == mean, "and nothing for the monthly budget"
    plan = shop.hours(30, noisy(1.0, 0.02), prices=OPENCOST)
    assert plan.verdict[0] is SavingsVerdict.INCONCLUSIVE
    assert shop.held.baseline[0, COUNT] == 30, "the source came back: the comparison goes on"


@pytest.mark.long
def test_a_source_of_prices_that_changed_for_good_begins_the_comparison_anew() -> None:
    shop = Shop(prices=STATIC)
    shop.hours(30, noisy(1.0, 0.02))
    shop.hours(30, noisy(1.0, 0.02), tuned=True)
    plan = shop.hours(26, cost_per_hour=4.0, prices=OPENCOST)
    assert plan.verdict[0] is SavingsVerdict.NO_BASELINE
    assert math.isnan(plan.saved[0])
    assert shop.held.mean[0] == pytest.approx(4.0), "no mean of two prices"


@pytest.mark.long
def test_a_baseline_is_begun_anew_when_prices_change_before_the_first_move() -> None:
    shop = Shop(prices=STATIC)
    shop.hours(30, noisy(1.0, 0.02))
    shop.hours(25 + 30, noisy(4.0, 0.02), prices=OPENCOST)
    plan = shop.hours(30, noisy(4.0, 0.02), tuned=True)
    assert plan.verdict[0] is SavingsVerdict.INCONCLUSIVE
    assert plan.saved[0] == 0.0


def test_the_budget_is_set_against_the_mean_of_the_last_day() -> None:
    shop = Shop(monthly_budget=MONTH_HOURS)
    assert shop.hours(24).budget_used[0] == pytest.approx(1.0)
    spike = shop.hours(1, cost_per_hour=10.0)
    assert 1.2 < spike.budget_used[0] < 1.6, "one dear hour is no dear month"
    assert Shop().hours(1).budget_used[0] == 0.0
    assert math.isnan(Shop(monthly_budget=1.0, cost_per_hour=math.nan).hours(1).budget_used[0])


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_covers_the_truth_about_as_often_as_it_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(60):
        held = CostMemory.blank(1)
        held.by_requests[:] = True
        for name, ratio in (("baseline", 2e-5), ("actual", 1.5e-5)):
            units = 36e3 * (1 + 0.3 * np.sin(np.arange(96) * 2 * np.pi / 24))
            noise = np.zeros(96)
            for hour in range(1, 96):
                noise[hour] = 0.5 * noise[hour - 1] + 0.1 * rng.standard_normal()
            blocks = cost._block(units * ratio * (1 + noise), units, units * 0, units * 0, units * 0)
            getattr(held, name)[0] = blocks.sum(axis=0)
        plan = cost.plan(Shop().seen(), held, SETTINGS)
        truth = MONTH_HOURS * 36e3 * 0.5e-5
        hits += bool(plan.low[0] <= truth <= plan.high[0])
    assert hits >= 51
