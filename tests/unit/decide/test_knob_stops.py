"""Knobs: what keeps a trial from starting, ends it, or takes its value back."""

from typing import Any

import pytest

from tests.unit.decide.simulator import KEY, NAN, START, Simulator, batched, limited, steps
from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide.engine import decide


@pytest.mark.parametrize(
    "frozen",
    [
        {"workload": {"rollout": True}},
        {"workload": {"window_closed": True}},
        {"workload": {"moves_per_day": 0}},
        {"workload": {"acting": False}},
        {"workload": {"allowed": [True, True, True, False]}},
        {"workload": {"ready": 2}},
        {"workload": {"extra_pods": 1}},
        {"workload": {"due": False}},
        {"knob": {"allowed": False}},
        {"knob": {"off_value": 1}},
        {"knob": {"minimum": 8, "maximum": 8}},
        {"target": {"kind": int(AnswerKind.NO_TRAFFIC), "value": NAN}},
        {"target": {"kind": int(AnswerKind.ERROR), "value": NAN}},
        {"target": {"latency": False}},
    ],
)
def test_no_trial_starts_while_frozen_forbidden_or_blind(frozen: dict[str, dict[str, Any]]) -> None:
    sim = batched(8, override=frozen)
    sim.run(300)
    assert not sim.decisions


def test_a_spent_budget_is_said() -> None:
    sim = batched(8, workload={"moves_per_day": 0})
    sim.step()
    assert Reason.BUDGET_SPENT in limited(sim)


def test_no_trial_right_after_scaling() -> None:
    sim = batched(8, workload={"replicas_max": 10}, replicas=1)
    sim.rate = lambda t: 60.0
    sim.run(60, until=lambda s: s.replicas > 1)
    sim.run(120)
    assert Reason.KNOB_TRIAL_STARTED not in {made.reason for made in sim.decisions.values()}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"workload": {"rollout": True}}, "rolled out"),
        ({"workload": {"template": "t2"}}, "rolled out"),
        ({"workload": {"window_closed": True}}, "window"),
        ({"workload": {"acting": False}}, "hands"),
        ({"knob": {"allowed": False}}, "hands"),
        ({"knob": {"value": 3}}, "outside"),
        ({"knob": {"key": f"{KEY}/other"}}, "hands"),
    ],
)
def test_a_trial_ends_as_confounded_when_its_ground_is_gone(event: dict[str, dict[str, Any]], words: str) -> None:
    sim = batched(8)
    sim.run(300)
    sim.override = event
    plan = sim.step()
    made = steps(sim)[0]
    assert made.outcome is OutcomeState.CONFOUNDED
    assert words in made.outcome_message
    assert plan.knobs.trial[0] == -1
    assert not sim.state.trials


def test_a_trial_ends_when_the_other_pods_get_other_limits() -> None:
    sim = batched(8, cpu=1.0, cpu_limit=1.0, tick=15.0)
    sim.run(120)
    sim.burst = 2.0
    sim.run(45)
    assert steps(sim)[0].outcome is OutcomeState.CONFOUNDED
    assert "limits" in steps(sim)[0].outcome_message


def test_a_trial_pod_that_does_not_start_fails_the_trial() -> None:
    sim = batched(8, startup=3600.0)
    sim.run(1000)
    made = steps(sim)[0]
    assert made.outcome is OutcomeState.FAILED
    assert sim.trial == -1


def test_a_trial_pod_that_is_lost_for_good_fails_the_trial() -> None:
    sim = batched(8)
    sim.run(300)
    sim.override["knob"] = {"trial": -1, "trial_ready": False}
    sim.run(1800)
    assert steps(sim)[0].outcome is OutcomeState.FAILED


@pytest.mark.long
def test_a_trial_without_latency_by_pod_says_so_and_rests_a_day() -> None:
    sim = batched(8)
    sim.override["knob"] = {"trial_latency": NAN, "trial_cost": NAN}
    sim.run(2400)
    assert steps(sim)[0].outcome is OutcomeState.CONFOUNDED
    assert Reason.KNOB_METRIC_WITHOUT_PODS in limited(sim)
    sim.run(3600)
    assert len(sim.decisions) == 1


def test_a_pause_in_traffic_pauses_the_trial() -> None:
    sim = batched(4)
    sim.run(300)
    sim.metric = AnswerKind.NO_TRAFFIC
    sim.run(600)
    assert steps(sim)[0].outcome is OutcomeState.VERIFYING
    sim.metric = AnswerKind.VALUE
    assert sim.run(600, until=lambda s: s.value == 8)


def test_a_value_that_hurts_the_whole_workload_is_rolled_back() -> None:
    sim = batched(4)
    assert sim.run(900, until=lambda s: s.value == 8)
    sim.floor = lambda b: 0.9 if b == 8 else 0.1
    assert sim.run(300, until=lambda s: s.value == 4)
    first, second = steps(sim)[:2]
    assert first.outcome is OutcomeState.ROLLED_BACK
    assert second.reason is Reason.MOVE_ROLLED_BACK
    assert "8 → 4" in second.message
    sim.run(300)
    assert sim.decisions[second.id].outcome is OutcomeState.KEPT
    assert sim.plan is not None
    assert sim.plan.workloads.moves_today[0] == 2


def test_a_value_that_costs_more_over_all_pods_than_before_is_rolled_back() -> None:
    sim = batched(4)
    assert sim.run(900, until=lambda s: s.value == 8)
    sim.service = lambda b: 0.05
    assert sim.run(600, until=lambda s: s.value == 4)
    assert "CPU a request" in steps(sim)[0].outcome_message


def test_latency_that_got_worse_under_a_missed_target_rolls_a_value_back() -> None:
    sim = batched(32, floor=lambda b: 0.1 + 0.02 * b)
    assert sim.run(900, until=lambda s: s.value == 16)
    sim.floor = lambda b: 2.0
    assert sim.run(900, until=lambda s: s.value == 32)
    assert "latency is" in steps(sim)[0].outcome_message


def test_a_roll_that_never_ends_fails_at_last() -> None:
    sim = batched(4)
    assert sim.run(900, until=lambda s: s.value == 8)
    sim.tick = 900.0
    sim.override["knob"] = {"off_value": 1}
    sim.run(14 * 3600)
    assert steps(sim)[0].outcome is OutcomeState.FAILED


def test_a_verdict_waits_for_a_raise_that_is_being_watched() -> None:
    sim = batched(4, workload={"replicas_max": 10})
    sim.run(600)
    sim.rate = lambda t: 120.0
    assert sim.run(120, until=lambda s: s.replicas > 3)
    assert sim.value == 4
    assert sim.run(900, until=lambda s: s.value == 8)


@pytest.mark.long
def test_a_knob_never_passes_its_ceiling() -> None:
    sim = batched(16, service=lambda b: 0.02 / b)
    sim.override["knob"] = {"ceiling": 16.0, "minimum": 16}
    sim.run(300)
    assert not sim.decisions
    sim.override["knob"] = {"ceiling": 16.0}
    sim.run(3600)
    assert steps(sim)
    assert all(made.after <= 16 for made in steps(sim))


@pytest.mark.parametrize(("role", "said"), [("Batch", {Reason.BATCH_CEILING}), ("Pool", {Reason.CONCURRENCY_CEILING})])
def test_a_ceiling_that_leaves_no_step_is_said(role: str, said: set[Reason]) -> None:
    sim = batched(2)
    sim.override["knob"] = {"minimum": 2, "ceiling": 2.0, "role": role}
    sim.run(60)
    assert not sim.decisions
    assert limited(sim) == said


def test_latency_that_leaves_no_room_for_a_step_starts_no_trial() -> None:
    sim = batched(2, floor=lambda b: 0.2 * b)
    sim.override["knob"] = {"minimum": 2}
    sim.run(60)
    assert not sim.decisions
    assert not limited(sim)


def test_a_lowered_ceiling_is_obeyed_an_octave_a_step() -> None:
    sim = batched(64)
    sim.override["knob"] = {"ceiling": 10.0}
    sim.step()
    assert sim.value == 32
    assert Reason.CEILING_LOWERED in limited(sim)
    sim.run(1800)
    assert sim.value <= 10
    assert [made.after for made in steps(sim) if made.reason is Reason.OBEYED_CONSTRAINT] == [32, 16, 10]


def test_a_value_below_its_minimum_is_raised_to_it() -> None:
    sim = batched(1, tick=15.0)
    sim.override["knob"] = {"minimum": 4}
    sim.run(120)
    assert sim.value >= 4


def test_a_trial_pod_that_nobody_knows_of_is_removed() -> None:
    sim = batched(8)
    sim.trial = 32
    sim.trial_since = START - 100
    assert sim.step().knobs.trial[0] == -1


def test_the_knob_that_waited_longest_is_tried_first() -> None:
    sim = batched(8)
    seen = sim.observe()
    knobs = type(seen.knobs).of(
        [
            {"key": f"{KEY}/{name}", "name": name, "value": 8, "minimum": 1, "maximum": 64, "base_latency": 0.1}
            for name in ("a", "b")
        ]
    )
    seen = type(seen)(seen.now, seen.workloads, seen.targets, seen.containers, seen.samples, knobs)
    plan, state = decide(seen, sim.state, sim.settings)
    assert [made.subject for made in plan.decisions] == ["a"]
    assert plan.knobs.trial.tolist() == [16, -1]
    assert set(state.trials) == {KEY}


def test_rule_06_where_no_trial_pod_can_stand_the_step_goes_to_all_pods_and_is_undone_when_it_hurts() -> None:
    sim = batched(8)
    assert sim.knob is not None
    sim.knob["trials"] = False
    assert sim.run(120, until=lambda s: bool(s.decisions))
    first = next(iter(sim.decisions.values()))
    assert (first.reason, first.before, first.after) == (Reason.KNOB_STEPPED, 8, 16)
    assert sim.trial == -1
    assert sim.run(3600, until=lambda s: s.value == 8 and s.off == 0)
    made = next(iter(sim.decisions.values()))
    assert made.outcome is OutcomeState.ROLLED_BACK
    assert "against before" in made.outcome_message
    assert sim.state.knobs.direction[0] == -1


def test_rule_06_a_step_on_all_pods_that_helps_is_kept() -> None:
    sim = batched(2)
    assert sim.knob is not None
    sim.knob["trials"] = False
    sim.run(1800)
    assert next(iter(sim.decisions.values())).outcome is OutcomeState.KEPT
    assert sim.value >= 4


def test_a_rolled_value_is_not_judged_against_another_load() -> None:
    sim = batched(2)
    assert sim.run(1800, until=lambda s: s.value == 4 and s.off == 0)
    sim.rate = lambda t: 2.0
    sim.service = lambda b: 0.08
    sim.run(600)
    made = next(iter(sim.decisions.values()))
    assert made.outcome is OutcomeState.CONFOUNDED
    assert "from 10 to 2 requests/s" in made.outcome_message
    assert sim.value == 4


def by_latency() -> Simulator:
    """A knob that is tried for less latency: the rate of requests is not known, and latency falls with its value."""
    sim = batched(2, floor=lambda b: 0.2 / b)
    sim.override = {"workload": {"arrival_rate": NAN}}
    assert sim.run(1800, until=lambda s: s.value == 4 and s.off == 0)
    return sim


def test_more_latency_after_a_trial_is_no_harm_well_within_the_target_since_the_trial_had_a_pod_more() -> None:
    sim = by_latency()
    sim.floor = lambda b: 0.2
    sim.run(600)
    made = next(iter(sim.decisions.values()))
    assert (made.after, made.outcome) == (4, OutcomeState.KEPT)


def test_more_latency_after_a_trial_that_comes_near_the_target_takes_the_value_back() -> None:
    sim = by_latency()
    sim.floor = lambda b: 0.47
    sim.run(600)
    made = next(iter(sim.decisions.values()))
    assert (made.after, made.outcome) == (4, OutcomeState.ROLLED_BACK)


def test_a_trial_pod_that_was_made_anew_begins_its_comparison_anew() -> None:
    sim = batched(2)
    assert sim.run(600, until=lambda s: any(trial.latency.count for trial in s.state.trials.values()))
    sim.trial_since = sim.now
    sim.step()
    (trial,) = sim.state.trials.values()
    assert (trial.ready_at, trial.latency.count) == (sim.trial_since, 0)


def test_a_trial_pod_that_is_lost_again_and_again_ends_the_trial() -> None:
    sim = batched(2)
    sim.run(120, until=lambda s: s.trial_ready)
    for _ in range(300):
        sim.trial_since = sim.now
        sim.step()
        if steps(sim)[0].outcome is OutcomeState.FAILED:
            break
    assert "lost again and again" in steps(sim)[0].outcome_message
