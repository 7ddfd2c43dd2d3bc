"""Service level objectives: attainment, unknown time, budgets, burn rates, and what a fast burn holds back."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.unit.decide.simulator import MIB, Simulator
from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.api.status import AlertState
from trimtab.decide import slo
from trimtab.decide.engine import decide, learn_objectives
from trimtab.decide.observation import Objectives, Observation, Workloads
from trimtab.decide.plan import DerivedAlerts, ObjectivePlan, Plan
from trimtab.decide.restore import Prior, PriorAlert, restore
from trimtab.decide.settings import Settings
from trimtab.decide.slo import WINDOWS, PastObjectives, slot_seconds, week_number, week_start
from trimtab.decide.standing import ObjectiveMemory
from trimtab.decide.state import State

HOUR, DAY = 3600.0, 86_400.0
START = 1_800_000_000.0 - 1_800_000_000.0 % DAY
KEY = "ns/w/fast/1"
Rate = Callable[[float], float | None]
"""Share of good ones by time; None: not known."""


@dataclass(frozen=True)
class Told:
    objectives: ObjectivePlan
    derived: DerivedAlerts


class Watch:
    """One objective, ticked once a minute. `good` gives the share that is good; NaN: no traffic."""

    def __init__(self, target: float = 0.99, days: int = 30, key: str = KEY) -> None:
        self.now, self.held, self.key = START, ObjectiveMemory.blank(1), key
        self.target, self.days = target, days

    def seen(self, good: float | None = None, total: float = 1.0, span: float = 60.0) -> Observation:
        kind = AnswerKind.VALUE if good is not None else AnswerKind.EMPTY
        if good is not None and math.isnan(good):
            kind = AnswerKind.NO_TRAFFIC
        row: dict[str, Any] = {"key": self.key, "name": "fast", "target": self.target, "window_days": self.days}
        row |= {"kind": int(kind), "span": span}
        if kind is AnswerKind.VALUE and good is not None:
            row |= {"good": good * total, "total": total}
        return Observation(self.now, Workloads.of([{"key": "ns/w"}]), objectives=Objectives.of([row]))

    def step(self, good: float | None, total: float = 1.0, seconds: float = 60.0) -> Told:
        self.now += seconds
        seen = self.seen(good, total, seconds)
        with np.errstate(invalid="ignore", divide="ignore"):
            slo.measure(seen, self.held)
        return Told(slo.plan(self.held), slo.judge(seen, self.held))

    def plan(self) -> ObjectivePlan:
        return slo.plan(self.held)

    def run(self, hours: float, good: Rate = lambda t: 1.0, seconds: float = 60.0) -> Told:
        for _ in range(int(hours * HOUR / seconds)):
            plan = self.step(good(self.now + seconds), seconds=seconds)
        return plan

    def backfill(self, days: float, good: Rate = lambda t: 1.0) -> None:
        times = np.arange(self.now - days * DAY + 300, self.now + 1, 300.0)
        shares = np.array([math.nan if (share := good(t)) is None else share for t in times])
        known = np.isfinite(shares)
        past = PastObjectives(
            (self.key,), np.zeros(known.sum(), dtype=np.int64), times[known], shares[known], np.ones(known.sum()), 300.0
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            slo.learn(self.seen(span=0.0), self.held, past)


def burn(plan: Told) -> dict[float, float]:
    return dict(zip(WINDOWS, plan.objectives.burn[0].tolist(), strict=True))


def told(plan: Told) -> dict[str, AlertState]:
    return dict(zip(plan.derived.name, plan.derived.state, strict=True))


def test_attainment_is_good_time_over_known_time_and_unknown_time_stands_apart() -> None:
    watch = Watch(days=1)
    watch.run(6, seconds=300.0)
    watch.run(6, lambda t: 0.5, seconds=300.0)
    plan = watch.run(6, lambda t: None, seconds=300.0)
    assert plan.objectives.attainment[0] == pytest.approx(0.75, abs=1e-3)
    assert plan.objectives.known[0] == pytest.approx(0.5, abs=0.05)


@pytest.mark.long
@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_jumps_an_hour_ends_no_page_at_once_and_makes_no_hour_of_errors(jump: float) -> None:
    watch = Watch()
    watch.run(6)
    quiet = watch.plan()
    watch.now += jump
    assert not watch.step(0.0).derived.firing.any(), "a minute of errors is no hour of them"
    assert watch.step(1.0).objectives.attainment[0] == pytest.approx(quiet.attainment[0], abs=5e-3)
    watch = Watch()
    watch.run(2, lambda t: 0.0)
    watch.now += jump
    plan = watch.step(1.0)
    assert plan.derived.firing[plan.derived.name == "fast/page-14.4x"].all()
    assert len(plan.derived.firing)


def test_events_weigh_as_many_as_they_are() -> None:
    watch = Watch()
    for _ in range(60):
        watch.step(1.0, total=90.0)
    for _ in range(60):
        plan = watch.step(0.0, total=10.0)
    assert plan.objectives.attainment[0] == pytest.approx(0.9, abs=2e-3)


def test_time_without_traffic_is_known_and_neither_good_nor_bad() -> None:
    watch = Watch(days=1)
    watch.run(3, lambda t: 0.9, seconds=300.0)
    plan = watch.run(21, lambda t: math.nan, seconds=300.0)
    assert plan.objectives.attainment[0] == pytest.approx(0.9)
    assert plan.objectives.known[0] == pytest.approx(1.0, abs=0.05)


@pytest.mark.long
def test_what_is_older_than_the_window_is_forgotten() -> None:
    watch = Watch(days=1)
    watch.run(12, lambda t: 0.0, seconds=300.0)
    assert watch.run(40, seconds=300.0).objectives.attainment[0] == 1.0


def test_a_steady_error_share_burns_at_its_ratio_to_the_budget_in_every_window() -> None:
    watch = Watch(target=0.99)
    watch.backfill(30, lambda t: 0.98)
    plan = watch.step(0.98)
    assert burn(plan) == pytest.approx(dict.fromkeys(WINDOWS, 2.0), rel=0.02)
    assert plan.objectives.attainment[0] == pytest.approx(0.98)


def test_an_outage_counts_in_each_window_by_its_length() -> None:
    watch = Watch(target=0.99)
    watch.backfill(30)
    plan = watch.run(0.5, lambda t: 0.0)
    rates = burn(plan)
    assert rates[300.0] == pytest.approx(100.0)
    assert rates[HOUR] == pytest.approx(50.0, rel=0.05)
    assert rates[6 * HOUR] == pytest.approx(100 / 12, rel=0.05)
    assert rates[3 * DAY] == pytest.approx(100 / 144, rel=0.1)


@pytest.mark.parametrize(("errors", "fires"), [(0.20, {"page-14.4x"}), (0.05, set()), (0.0, set())])
def test_a_page_needs_both_the_short_and_the_long_window(errors: float, fires: set[str]) -> None:
    watch = Watch(target=0.99)
    watch.backfill(30)
    plan = watch.run(1, lambda t: 1 - errors)
    pages = {name.removeprefix("fast/") for name, state in told(plan).items() if state is AlertState.FIRING}
    assert {name for name in pages if name.startswith("page-14")} == fires


@pytest.mark.long
@pytest.mark.parametrize(
    ("errors", "hours", "expected"),
    [(0.15, 1.0, "page-14.4x"), (0.07, 6.0, "page-6x"), (0.035, 24.0, "ticket-3x"), (0.012, 72.0, "ticket-1x")],
)
def test_each_of_the_four_rules_fires_at_its_own_pace(errors: float, hours: float, expected: str) -> None:
    watch = Watch(target=0.99)
    watch.backfill(40)
    plan = watch.run(hours, lambda t: 1 - errors, seconds=300.0)
    firing = [name.removeprefix("fast/") for name, state in told(plan).items() if state is AlertState.FIRING]
    assert firing[0] == expected


def test_a_page_ends_soon_after_the_errors_do_and_no_data_never_ends_it() -> None:
    watch = Watch(target=0.99)
    watch.backfill(30)
    watch.run(1, lambda t: 0.5)
    assert told(watch.run(1, lambda t: None))["fast/page-14.4x"] is AlertState.UNKNOWN
    assert "fast/page-14.4x" not in told(watch.run(0.3))


def test_a_minute_of_errors_after_a_start_without_history_is_not_taken_for_an_hour() -> None:
    watch = Watch(target=0.99)
    watch.step(0.0)
    assert burn(watch.step(1.0))[HOUR] == pytest.approx(100 * 60 / 1800, rel=0.01)


def test_history_goes_only_before_what_was_measured_and_gives_the_same_figures() -> None:
    def good(t: float) -> float:
        return 0.97 if t % DAY < 6 * HOUR else 1.0

    live, filled = Watch(days=2), Watch(days=2)
    live.run(60, good, seconds=300.0)
    filled.now = live.now
    filled.backfill(2.5, good)
    one, two = live.step(1.0), filled.step(1.0)
    assert two.objectives.attainment[0] == pytest.approx(one.objectives.attainment[0], abs=2e-3)
    np.testing.assert_allclose(two.objectives.burn[0], one.objectives.burn[0], atol=0.1)
    live.backfill(1, lambda t: 0.0)
    assert live.step(1.0).objectives.attainment[0] == pytest.approx(one.objectives.attainment[0], abs=2e-3)


def test_weeks_begin_on_monday_and_hold_what_was_measured_in_them() -> None:
    assert week_start(0) == 4 * DAY
    monday = week_start(week_number(START)) + 7 * DAY
    watch = Watch(days=30)
    watch.now = monday
    watch.backfill(14, lambda t: 0.9 if t <= monday - 7 * DAY else 0.8)
    plan = watch.run(2, lambda t: 1.0)
    assert plan.objectives.week_attainment[0, :3] == pytest.approx([1.0, 0.8, 0.9], abs=2e-3)
    assert math.isnan(plan.objectives.week_attainment[0, 4])
    assert plan.objectives.week_known[0, 1] == pytest.approx(7 * DAY, rel=0.02)


def test_an_edited_objective_starts_anew_and_its_history_can_be_read_again() -> None:
    watch = Watch()
    watch.now += 60.0
    state = decide(watch.seen(0.0), State(), Settings())[1]
    watch.key = "ns/w/fast/2"
    past = PastObjectives((watch.key,), np.array([0]), np.array([watch.now]), np.ones(1), np.ones(1), 300.0)
    state = learn_objectives(state, watch.seen(span=0.0), past, Settings())
    watch.now += 60.0
    plan, _ = decide(watch.seen(1.0), state, Settings())
    assert plan.objectives.attainment[0] == 1.0


@pytest.mark.parametrize("days", [1, 7, 15, 16, 30, 45, 60, 90])
def test_the_ring_holds_every_window(days: int) -> None:
    slot = slot_seconds(np.array([days]))[0]
    assert slot * 360 >= days * DAY
    assert DAY % slot == 0


def test_a_gap_in_the_ticks_is_unknown_time() -> None:
    watch = Watch(days=1)
    watch.run(1)
    watch.now += 20 * HOUR
    plan = watch.step(1.0)
    assert plan.objectives.known[0] == pytest.approx(1 / 24, abs=0.01)
    assert math.isnan(burn(plan)[300.0])


@pytest.mark.long
def test_capacity_is_not_cut_while_a_page_fires_and_is_cut_again_after_it() -> None:
    sim = Simulator(
        rate=lambda t: 2.0, memory_need=100 * MIB, cpu=2.0, replicas=2, workload={"replicas_min": 2, "replicas_max": 2}
    )
    sim.learn_history(30, 0.1, 100 * MIB)
    burning = {"on": True}
    watch = Watch(target=0.99)

    def step() -> Plan:
        watch.now = sim.now
        errors = 0.5 if burning["on"] else 0.0
        rows = watch.seen(1 - errors, span=15.0).objectives
        base = sim.observe
        sim.observe = lambda: _with(base(), rows)  # type: ignore[method-assign]
        try:
            return sim.step()
        finally:
            sim.observe = base  # type: ignore[method-assign]

    watch.now = sim.now
    times = sim.now - 300.0 * np.arange(12, dtype=np.float64)
    past = PastObjectives((KEY,), np.zeros(12, dtype=np.int64), times, np.full(12, 0.5), np.ones(12), 300.0)
    seen = _with(sim.observe(), watch.seen(span=0.0).objectives)
    sim.state = learn_objectives(sim.state, seen, past, sim.settings)
    plans = [step() for _ in range(200)]
    assert not [d for d in sim.decisions.values() if d.reason is Reason.CUT_UNUSED]
    assert plans[-1].remarks[0][0].reason is Reason.BUDGET_BURNING
    burning["on"] = False
    for _ in range(400):
        step()
    assert [d for d in sim.decisions.values() if d.reason is Reason.CUT_UNUSED]


def _with(seen: Observation, rows: Objectives) -> Observation:
    return Observation(
        **{name: getattr(seen, name) for name in Observation.__slots__ if name != "objectives"}, objectives=rows
    )


def test_a_page_goes_on_firing_over_a_restart() -> None:
    watch = Watch(target=0.99)
    watch.backfill(30)
    plan = watch.run(1, lambda t: 0.5)
    known = {
        name: PriorAlert(state, True, since)
        for name, state, since in zip(plan.derived.name, plan.derived.state, plan.derived.since, strict=True)
    }
    state = restore(State(), watch.seen(), {"ns/w": Prior(alerts=known)}, Settings())
    again, _ = decide(watch.seen(None), state, Settings())
    assert dict(zip(again.derived.name, again.derived.state, strict=True))["fast/page-14.4x"] is AlertState.UNKNOWN
    assert again.derived.firing.all()
