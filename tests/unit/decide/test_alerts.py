"""Alerts: for, keep firing, unknown."""

import math
from typing import Any

import pytest

from trimtab.api.answers import AnswerKind
from trimtab.api.status import AlertState
from trimtab.decide.engine import decide
from trimtab.decide.observation import Alerts, Observation, Workloads
from trimtab.decide.plan import AlertPlan
from trimtab.decide.restore import Prior, PriorAlert, restore
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

    def restart(self, plan: AlertPlan | None) -> None:
        """A new process knows what the status said."""
        assert plan is not None
        times = (float(plan.since[0]), float(plan.cleared_since[0]), float(plan.breach_since[0]))
        cells = (plan.state[0], bool(plan.firing[0]), *times)
        prior = {"ns/w": Prior(alerts={self.rule["name"]: PriorAlert(*cells)})}
        alerts = Alerts.of([{**self.rule, "kind": int(AnswerKind.ERROR)}])
        self.state = restore(
            State(), Observation(self.now, Workloads.of([{"key": "ns/w"}]), alerts=alerts), prior, Settings()
        )

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


TRUTH_TABLE = {
    # Steps a minute apart, each a value and the state that follows: values 1, 9 and X are 0.1, 0.9 and 1.5, - is no
    # data, N is NaN. R is a restart. Edits: E raises the threshold from 0.5 to 1, G and S make `for` ten minutes and
    # none, L and K keep-firing. Both times are two minutes at first.
    "inside is inactive": "1i 1i",
    "past is pending, then firing": "9p 9p 9F",
    "inside ends a pending one at once": "9p 1i 9p",
    "firing is kept, then resolved": "9p 9p 9F 1F 1F 1i",
    "no data from the start is unknown": "-? 1i",
    "no data while pending lets the clock go on": "9p -? 9F",
    "no data while firing never resolves": "9p 9p 9F -? -? -? -? 9F",
    "no data while it clears starts the end anew": "9p 9p 9F 1F -? 1F 1F 1i",
    "NaN is no data": "9p N? 9F N? 9F",
    "a restart keeps the clock of a pending one": "9p R 9p 9F",
    "a restart keeps a firing one": "9p 9p 9F R 9F",
    "a restart keeps the clock of the end": "9p 9p 9F 1F R 1F 1i",
    "a restart without data keeps a firing one": "9p 9p 9F -? R -? 9F",
    "a restart without data keeps the clock of a pending one": "9p -? R 9F",
    "a restart in a gap keeps the clock of a pending one": "9p -? R -? 9F",
    "a longer for changes nothing for one that fires": "9p 9p 9F G 9F 9F 1F 1F 1i",
    "a longer for holds a pending one": "9p 9p G 9p 9p",
    "a shorter for lets a pending one fire": "9p S 9F",
    "a longer keep-firing holds the end": "9p 9p 9F 1F L 1F 1F 1F",
    "a shorter keep-firing ends it at the next look": "9p 9p 9F 1F K 1i",
    "a threshold raised past the value ends a firing one after its time": "9p 9p 9F E 9F 9F 9i",
    "a threshold raised below the value changes nothing": "Xp Xp XF E XF XF XF",
    "a threshold raised while pending ends it": "9p E 9i",
}
EDITS = {
    "E": {"threshold": 1.0},
    "G": {"for_seconds": 600.0},
    "S": {"for_seconds": 0.0},
    "L": {"keep_seconds": 600.0},
    "K": {"keep_seconds": 0.0},
}
VALUES = {"1": 0.1, "9": 0.9, "X": 1.5, "-": None, "N": math.nan}
STATES = {"i": INACTIVE, "p": PENDING, "F": FIRING, "?": UNKNOWN}


@pytest.mark.parametrize("steps", TRUTH_TABLE.values(), ids=TRUTH_TABLE.keys())
def test_the_truth_table_of_alerts(steps: str) -> None:
    watch, plan = Watch(), None
    for place, step in enumerate(steps.split()):
        if step == "R":
            watch.restart(plan)
        elif step in EDITS:
            watch.rule |= EDITS[step]
        else:
            plan = watch.step(VALUES[step[0]])
            assert plan.state[0] is STATES[step[1]], f"step {place}"


def test_a_clock_that_jumps_an_hour_ahead_satisfies_no_for_at_once() -> None:
    watch = Watch(for_seconds=600.0, keep_seconds=600.0)
    watch.run(0.9, 0.9)
    watch.now += 3600
    assert watch.run(*[0.9] * 8) == [PENDING] * 7 + [FIRING], "one look stands for two minutes at most"
    watch.run(0.1, 0.1)
    watch.now += 3600
    assert watch.run(*[0.1] * 8) == [FIRING] * 7 + [INACTIVE]


def test_looks_that_are_rarer_than_two_minutes_count_in_full() -> None:
    watch, states = Watch(for_seconds=900.0), []
    for _ in range(6):
        states += watch.run(0.9)
        watch.now += 240
    assert states[-1] is FIRING


def test_a_clock_that_is_set_back_an_hour_delays_nothing() -> None:
    watch = Watch()
    watch.run(0.9, 0.9)
    watch.now -= 3600
    plan = watch.step(0.9)
    assert plan.since[0] <= watch.now, "nothing is told to be of the future"
    assert watch.run(0.9, 0.9)[-1] is FIRING
    watch.run(0.1)
    watch.now -= 3600
    assert watch.run(0.1, 0.1, 0.1, 0.1)[-1] is INACTIVE


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
    for now in (START + 100, START + 200, START + 300):
        plan, state = decide(seen([1, 0], now), state, Settings())
    assert plan.alerts.state.tolist() == [FIRING, INACTIVE]
