"""Watching moves: one that hurts is taken back, one that can't be judged says so, one not in force is pursued."""

from typing import Any

import pytest

from tests.unit.decide.simulator import KEY, NAN, cuts, sized
from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState


@pytest.mark.long
def test_a_cut_that_makes_a_target_missed_is_rolled_back_and_held_off() -> None:
    sim = sized()
    sim.run(60)
    assert sim.cpu == 0.75
    sim.floor = lambda k: 0.7 if sim.cpu < 1.0 else 0.1
    sim.run(120)
    assert sim.cpu == 1.0
    cut, rollback, *_ = sim.decisions.values()
    assert cut.outcome is OutcomeState.ROLLED_BACK
    assert "missed now" in cut.outcome_message
    assert rollback.reason is Reason.MOVE_ROLLED_BACK
    assert rollback.emergency
    sim.run(2 * 3600)
    assert not [made for made in cuts(sim)[1:] if made.lever.name == "CPU"]


def test_a_target_missed_for_more_load_is_not_blamed_on_the_cut() -> None:
    sim = sized()
    sim.rate = lambda t: 2.0
    sim.run(60)
    assert sim.cpu == 0.75
    sim.rate = lambda t: 6.0
    sim.floor = lambda k: 0.7
    sim.run(60)
    cut = next(iter(sim.decisions.values()))
    assert cut.outcome is OutcomeState.CONFOUNDED
    assert "rose from 2 to 6 requests/s" in cut.outcome_message
    assert sim.cpu == 0.75


def test_a_cut_that_brings_throttling_is_rolled_back() -> None:
    container = {"scale_limits": True, "template_cpu_limit": 2.0}
    sim = sized(cpu_limit=2.0, burst=1.8, container={**container, "memory_max": NAN})
    sim.run(30)
    assert sim.cpu_limit == 1.5
    sim.run(60)
    assert sim.cpu_limit == 2.0
    assert next(iter(sim.decisions.values())).outcome is OutcomeState.ROLLED_BACK


def test_a_cut_that_never_comes_into_force_fails_and_is_said() -> None:
    sim = sized()
    sim.run(15)
    for _ in range(60):
        sim.cpu = 1.0
        sim.step()
    first = next(iter(sim.decisions.values()))
    assert first.outcome is OutcomeState.FAILED
    assert "not in force" in first.outcome_message


def test_a_move_is_asked_for_again_until_it_is_in_force_without_a_second_decision() -> None:
    sim = sized()
    sim.run(15)
    sim.cpu = 1.0
    plan = sim.step()
    assert plan.containers.cpu[0] == 0.75
    assert len(sim.decisions) == 1


def test_a_value_changed_from_outside_confounds_the_verify() -> None:
    sim = sized()
    sim.run(60)
    sim.cpu = 0.9
    sim.step()
    assert next(iter(sim.decisions.values())).outcome is OutcomeState.CONFOUNDED


def test_a_verify_without_any_latency_ends_as_confounded() -> None:
    sim = sized()
    sim.run(30)
    sim.metric = AnswerKind.ERROR
    sim.run(1000)
    assert next(iter(sim.decisions.values())).outcome is OutcomeState.CONFOUNDED


@pytest.mark.parametrize(
    "lost",
    [
        {"workload": {"acting": False}},
        {"workload": {"allowed": [True, False, True, True]}},
        {"workload": {"template": "t2"}},
        {"container": {"key": f"{KEY}/other", "name": "other"}},
    ],
)
def test_a_move_whose_lever_is_lost_ends_as_confounded(lost: dict[str, dict[str, Any]]) -> None:
    sim = sized()
    sim.run(60)
    sim.override = lost
    sim.step()
    assert next(iter(sim.decisions.values())).outcome is OutcomeState.CONFOUNDED


def test_a_new_template_restarts_learning() -> None:
    sim = sized()
    sim.run(60)
    sim.override = {"workload": {"template": "t2"}}
    sim.cpu = 1.0
    plan = sim.step()
    assert plan.remarks[0][0].reason is Reason.TEMPLATE_CHANGED
    assert plan.workloads.history_seconds[0] < 60
    sim.run(1800)
    assert sim.cpu == 1.0


def test_a_cut_that_no_pod_has_yet_is_pending_whatever_the_profile_says() -> None:
    sim = sized()
    sim.run(15)
    sim.override = {"container": {"off": 2}}
    sim.run(240)
    first = next(iter(sim.decisions.values()))
    assert first.outcome is OutcomeState.PENDING
    sim.override = {}
    sim.run(600)
    assert next(iter(sim.decisions.values())).outcome is OutcomeState.KEPT
