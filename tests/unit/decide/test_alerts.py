"""Alerts: for, keep firing, unknown."""

import math
from typing import Any

import pytest

from trimtab.api.answers import AnswerKind
from trimtab.api.status import AlertState
from trimtab.decide.engine import decide
from trimtab.decide.observation import Alerts, Observation, Workloads
from trimtab.decide.plan import AlertPlan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State

START = 1_800_000_000.0
INACTIVE, PENDING, FIRING, UNKNOWN = AlertState.INACTIVE, AlertState.PENDING, AlertState.FIRING, AlertState.UNKNOWN


class Watch:
    """One alert ticked once a minute; None means that there is no data."""

    def __init__(self, **rule: Any) -> None:
        self.rule = {"name": "slow", "threshold": 0.5, "for_seconds": 120.0, "keep_seconds": 120.0, **rule}
        self.state, self.now = State(), START

    def step(self, value: float | None) -> AlertPlan:
        kind = AnswerKind.ERROR if value is None else AnswerKind.VALUE
        row = {**self.rule, "kind": int(kind), "value": math.nan if value is None else value}
        seen = Observation(self.now, Workloads.of([{"key": "ns/w"}]), alerts=Alerts.of([row]))
        plan, self.state = decide(seen, self.state, Settings())
        self.now += 60.0
        return plan.alerts

    def run(self, *values: float | None) -> list[AlertState]:
        return [self.step(value).state[0] for value in values]


def test_an_alert_is_pending_then_fires_then_resolves_after_it_was_kept_firing() -> None:
    states = Watch().run(0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1)
    assert states == [INACTIVE, PENDING, PENDING, FIRING, FIRING, FIRING, INACTIVE, INACTIVE]


def test_a_short_breach_never_fires_and_its_clock_starts_anew() -> None:
    assert Watch().run(0.9, 0.9, 0.1, 0.9, 0.9) == [PENDING, PENDING, INACTIVE, PENDING, PENDING]


def test_a_firing_alert_that_is_back_only_briefly_goes_on_firing() -> None:
    watch = Watch()
    watch.run(0.9, 0.9, 0.9)
    assert watch.run(0.1, 0.9, 0.1, 0.1) == [FIRING] * 4
    assert watch.run(0.1) == [INACTIVE]


def test_no_data_is_unknown_and_never_resolves_a_firing_alert() -> None:
    watch = Watch()
    watch.run(0.9, 0.9, 0.9)
    plan = watch.step(None)
    assert plan.state[0] is UNKNOWN
    assert plan.firing[0]
    assert watch.run(None, None, None, None) == [UNKNOWN] * 4
    assert watch.step(0.1).state[0] is FIRING
    assert watch.run(0.1, 0.1) == [FIRING, INACTIVE]


def test_the_clock_of_a_breach_goes_on_through_a_gap_and_the_clock_of_its_end_does_not() -> None:
    assert Watch().run(0.9, None, 0.9) == [PENDING, UNKNOWN, FIRING]
    watch = Watch()
    watch.run(0.9, 0.9, 0.9)
    assert watch.run(0.1, None, 0.1, 0.1, 0.1) == [FIRING, UNKNOWN, FIRING, FIRING, INACTIVE]


def test_an_alert_below_its_threshold_fires_when_below() -> None:
    assert Watch(below=True).run(0.9, 0.1, 0.1, 0.1) == [INACTIVE, PENDING, PENDING, FIRING]


def test_without_a_wait_it_fires_at_once() -> None:
    assert Watch(for_seconds=0.0, keep_seconds=0.0).run(0.9, 0.1) == [FIRING, INACTIVE]


def test_firing_losing_data_and_resolving_are_told_once_and_nothing_before_is_news() -> None:
    watch = Watch()
    values = (0.1, 0.1, 0.9, 0.9, 0.9, 0.9, None, 0.1, 0.1, 0.1, 0.1)
    plans = [watch.step(value) for value in values]
    told = [plan.state[0] for plan in plans if plan.changed[0]]
    assert told == [FIRING, UNKNOWN, FIRING, INACTIVE]
    assert plans[3].since[0] == START + 120
    assert math.isnan(plans[3].cleared_since[0])


def test_when_an_alert_is_back_inside_is_told() -> None:
    watch = Watch()
    watch.run(0.9, 0.9, 0.9)
    assert watch.step(0.1).cleared_since[0] == START + 180


@pytest.mark.parametrize(("value", "threshold"), [(math.nan, 0.5), (math.inf, 0.5), (0.9, math.nan)])
def test_a_number_that_is_none_is_unknown(value: float, threshold: float) -> None:
    assert Watch(threshold=threshold).run(value) == [UNKNOWN]


def test_alerts_of_the_same_name_in_two_workloads_do_not_mix_when_rows_move() -> None:
    def seen(order: list[int], now: float) -> Observation:
        workloads = Workloads.of([{"key": f"ns/{w}"} for w in order])
        rows = [
            {"workload": i, "name": "slow", "kind": 0, "value": 0.9 if w else 0.1, "threshold": 0.5}
            for i, w in enumerate(order)
        ]
        return Observation(now, workloads, alerts=Alerts.of(rows))

    plan, state = decide(seen([0, 1], START), State(), Settings())
    assert plan.alerts.state.tolist() == [INACTIVE, PENDING]
    plan, _ = decide(seen([1, 0], START + 400), state, Settings())
    assert plan.alerts.state.tolist() == [FIRING, INACTIVE]
