"""A restart in the middle of things: clocks, budgets, watched moves and trials go on."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.decide.simulator import KEY, MIB, START, Simulator
from trimtab.api.reasons import Reason
from trimtab.api.status import AlertState, OutcomeState
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision
from trimtab.decide.restore import Prior, PriorAlert, restore
from trimtab.decide.state import State

FIXED = {"replicas_max": 0}


def restart(sim: Simulator, **more: Any) -> None:
    """All that is left is what the status holds."""
    prior = Prior(**{"template": "t1", "decisions": tuple(sim.decisions.values()), **more})
    seen = sim.observe()
    sim.log.pop()
    sim.state = restore(State(), seen, {KEY: prior, "shop/gone": Prior(template="x")}, sim.settings)


def sized(**more: Any) -> Simulator:
    sim = Simulator(rate=lambda t: 2.0, replicas=1, workload={**FIXED, **more.pop("workload", {})}, **more)
    sim.learn_history(24, 0.1, 200 * MIB)
    return sim


def first(sim: Simulator) -> Decision:
    return min(sim.decisions.values(), key=lambda made: made.time)


def test_a_verify_goes_on_with_its_own_clock() -> None:
    sim = sized(tick=15.0)
    sim.run(165)
    restart(sim)
    assert sim.run(300, until=lambda s: first(s).outcome is OutcomeState.KEPT)
    assert START + 315 <= sim.now <= START + 345


def test_a_move_that_hurts_is_rolled_back_after_a_restart() -> None:
    sim = sized()
    sim.run(60)
    restart(sim)
    sim.floor = lambda k: 0.9 if sim.cpu < 1.0 else 0.1
    assert sim.run(120, until=lambda s: s.cpu == 1.0)
    assert first(sim).outcome is OutcomeState.ROLLED_BACK


def test_a_move_that_was_not_in_force_yet_is_carried_on() -> None:
    sim = sized(tick=15.0)
    sim.run(15)
    sim.cpu = 1.0
    restart(sim)
    plan = sim.step()
    assert plan.containers.cpu[0] == 0.75
    assert len(sim.decisions) == 1


def test_a_restart_with_another_template_ends_what_was_watched() -> None:
    sim = sized()
    sim.run(60)
    restart(sim, template="t0")
    plan = sim.step()
    assert first(sim).outcome is OutcomeState.CONFOUNDED
    assert plan.remarks[0][0].reason is Reason.TEMPLATE_CHANGED


def test_a_first_cut_that_was_made_before_is_known_from_the_values_in_force() -> None:
    sim = sized(cpu=0.75)
    sim.step()
    assert first(sim).after == pytest.approx(0.375)


def test_budgets_go_on_counting() -> None:
    sim = sized(workload={"resizes_per_day": 5, "moves_per_day": 3})
    restart(sim, moves_today=3, resizes_today=5)
    plan = sim.step()
    assert plan.workloads.moves_today[0] == 3
    assert plan.workloads.resizes_today[0] == 5
    assert not sim.decisions


def trying() -> Simulator:
    workload = {**FIXED, "min_history_seconds": 1e9}
    return Simulator(rate=lambda t: 10.0, knob={"value": 4}, service=lambda b: 0.1 / b, replicas=3, workload=workload)


def test_a_trial_goes_on_and_is_judged_from_fresh_samples() -> None:
    sim = trying()
    sim.run(500)
    restart(sim)
    plan = sim.step()
    assert plan.knobs.trial[0] == 8
    assert sim.run(600, until=lambda s: s.value == 8)
    assert len(sim.decisions) == 1


def test_a_roll_and_its_verify_go_on() -> None:
    sim = trying()
    assert sim.run(900, until=lambda s: s.value == 8)
    restart(sim)
    sim.run(15)
    assert first(sim).outcome is OutcomeState.PENDING
    assert sim.run(120, until=lambda s: first(s).outcome is OutcomeState.VERIFYING)
    restart(sim)
    sim.floor = lambda b: 0.9
    assert sim.run(120, until=lambda s: s.value == 4)


def test_a_value_that_was_kept_just_before_the_restart_is_watched_on() -> None:
    sim = trying()
    sim.run(600)
    trial = dict(sim.decisions)
    assert sim.run(300, until=lambda s: s.value == 8)
    sim.decisions = trial
    restart(sim)
    assert sim.run(600, until=lambda s: first(s).outcome is OutcomeState.KEPT)
    assert first(sim).reason is Reason.KNOB_TRIAL_KEPT


def test_a_failed_trial_is_remembered_with_its_direction_and_rest() -> None:
    sim = trying()
    sim.service = lambda b: 0.02
    assert sim.run(900, until=lambda s: first(s).outcome is OutcomeState.ROLLED_BACK)
    restart(sim)
    sim.run(450)
    assert len(sim.decisions) == 1
    sim.run(1200)
    assert [made.after for made in sim.decisions.values()][1] < 4


def decision(**more: Any) -> Decision:
    given: dict[str, Any] = {
        "id": "1",
        "workload": KEY,
        "time": START - 30,
        "lever": Lever.REPLICAS,
        "subject": "",
        "before": 4.0,
        "after": 2.0,
        "reason": Reason.SCALED_DOWN,
        "message": "",
    }
    return Decision(**{**given, **more})


def test_scale_events_and_waits_are_remembered() -> None:
    sim = Simulator(rate=lambda t: 2.0, replicas=4)
    made = decision(outcome=OutcomeState.ROLLED_BACK)
    up = decision(id="2", before=2.0, after=4.0, time=START - 10, reason=Reason.SCALED_UP, outcome=OutcomeState.KEPT)
    futile = decision(id="3", before=3.0, after=4.0, reason=Reason.RAISED_FOR_TARGET, outcome=OutcomeState.ROLLED_BACK)
    sim.decisions = {one.id: one for one in (made, up, futile)}
    restart(sim)
    held = sim.state.workloads
    assert held.down_hold_until[0] == START - 30 + 3600
    assert held.unreachable_until[0] > START
    assert held.down_moved[0]
    assert held.added[0][~(held.added_time[0] != held.added_time[0])].sum() == 3
    sim.run(3500)
    assert sim.replicas == 4


def test_a_rolled_back_cut_and_a_throttled_limit_are_remembered() -> None:
    sim = sized(cpu_limit=1.0, container={"guaranteed": True, "template_cpu_limit": 1.0, "memory_max": math.nan})
    cut = decision(lever=Lever.CPU, subject="app", reason=Reason.CUT_UNUSED, outcome=OutcomeState.ROLLED_BACK)
    raised = decision(
        id="2",
        lever=Lever.CPU,
        subject="app",
        reason=Reason.RAISED_FOR_THROTTLING,
        outcome=OutcomeState.KEPT,
        inputs={"limitAfter": 0.9},
    )
    memory = replace(cut, id="3", lever=Lever.MEMORY)
    sim.decisions = {one.id: one for one in (cut, raised, memory)}
    state = sim.state
    restart(sim)
    held = sim.state.containers
    assert held.cpu_hold_until[0] == held.memory_hold_until[0] == START - 30 + 6 * 3600
    assert held.throttle_floor[0] == 0.9
    assert state.containers.throttle_floor[0] == 0.0


def alerting(value: float) -> Simulator:
    rule = {"name": "slow", "kind": 0, "value": value, "threshold": 0.5, "for_seconds": 300.0, "keep_seconds": 300.0}
    return Simulator(alerts=[rule])


def test_a_pending_alert_keeps_its_clock() -> None:
    sim = alerting(0.9)
    restart(sim, alerts={"slow": PriorAlert(AlertState.PENDING, since=START - 290)})
    assert sim.step().alerts.state[0] is AlertState.PENDING
    plan = sim.step()
    assert plan.alerts.state[0] is AlertState.FIRING


def test_a_firing_alert_stays_firing_and_keeps_the_clock_of_its_end() -> None:
    sim = alerting(0.1)
    restart(sim, alerts={"slow": PriorAlert(AlertState.FIRING, True, START - 900, START - 290)})
    plan = sim.step()
    assert plan.alerts.state[0] is AlertState.FIRING
    assert not plan.alerts.changed[0]
    assert sim.step().alerts.state[0] is AlertState.INACTIVE


def test_an_alert_that_the_status_does_not_know_starts_blank() -> None:
    sim = alerting(0.9)
    restart(sim, alerts={"other": PriorAlert(AlertState.FIRING, True)})
    assert sim.step().alerts.state[0] is AlertState.PENDING
