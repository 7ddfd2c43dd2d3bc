"""Knobs: trials beside the others, verdicts, rolls, rollbacks."""

import itertools
import math
from typing import Any

import pytest

from tests.unit.decide.simulator import KEY, NAN, START, Simulator
from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide.engine import decide
from trimtab.decide.plan import Decision

FIXED = {"replicas_max": 0, "min_history_seconds": 1e9}


def batched(value: int, **more: Any) -> Simulator:
    """CPU a request is least at 8: 0.02·(1 + |log2(value/8)|/4); latency grows with the value."""
    given: dict[str, Any] = {
        "service": lambda b: 0.02 * (1 + abs(math.log2(b / 8)) / 4),
        "floor": lambda b: 0.05 + 0.005 * b,
        "replicas": 3,
        **more,
    }
    workload = {**FIXED, **given.pop("workload", {})}
    return Simulator(rate=lambda t: 10.0, knob={"value": value}, workload=workload, **given)


def steps(sim: Simulator) -> list[Decision]:
    return sorted(sim.decisions.values(), key=lambda made: made.time)


def limited(sim: Simulator) -> set[Reason]:
    assert sim.plan is not None
    return {remark.reason for remark in sim.plan.remarks.get(0, ()) if remark.condition == "Limited"}


@pytest.mark.parametrize("start", [1, 64])
def test_a_knob_at_either_end_finds_the_optimum_inside(start: int) -> None:
    sim = batched(start)
    assert sim.run(12 * 3600, until=lambda s: 6 <= s.value <= 10 and s.off == 0)
    sim.run(6 * 3600)
    assert 6 <= sim.value <= 10
    assert Reason.KNOB_TRIAL_ROLLED_BACK in {made.reason for made in sim.decisions.values()}
    values = [made.after for made in steps(sim) if made.reason is Reason.KNOB_TRIAL_KEPT]
    assert all(made.outcome is OutcomeState.KEPT for made in steps(sim) if made.reason is Reason.KNOB_TRIAL_KEPT)
    assert values == sorted(values, reverse=start == 64)


def test_one_step_is_at_most_an_octave() -> None:
    sim = batched(1)
    sim.run(4 * 3600)
    for made in steps(sim):
        assert 0.5 <= made.after / made.before <= 2


def test_a_trial_runs_on_one_pod_while_the_value_of_all_stays() -> None:
    sim = batched(2)
    plan = sim.step()
    assert plan.knobs.value[0] == 2
    assert plan.knobs.trial[0] == 4
    (made,) = plan.decisions
    assert made.reason is Reason.KNOB_TRIAL_STARTED
    for _ in range(20):
        plan = sim.step()
        assert (plan.knobs.value[0], plan.knobs.trial[0]) == (2, 4)


def test_a_better_value_is_kept_by_adopting_the_trial_pod_then_rolled_then_verified() -> None:
    sim = batched(2)
    assert sim.run(900, until=lambda s: s.value == 4)
    assert sim.plan is not None
    assert sim.plan.knobs.keep_trial[0]
    assert sim.plan.workloads.moves_today[0] == 1
    sim.run(15)
    assert steps(sim)[0].outcome is OutcomeState.PENDING
    assert sim.run(120, until=lambda s: steps(s)[0].outcome is OutcomeState.VERIFYING)
    assert sim.off == 0
    assert sim.run(400, until=lambda s: steps(s)[0].outcome is OutcomeState.KEPT)


def test_the_trial_pod_is_adopted_until_the_cluster_shows_it() -> None:
    sim = batched(2)
    sim.run(900, until=lambda s: s.value == 4)
    sim.override["knob"] = {"trial": 4, "trial_ready": True, "trial_since": sim.now - 600}
    plan = sim.step()
    assert plan.knobs.trial[0] == 4
    assert plan.knobs.keep_trial[0]
    sim.override.clear()
    assert sim.step().knobs.trial[0] == -1


def test_a_worse_value_is_removed_the_step_halved_the_direction_turned_and_a_rest_taken() -> None:
    sim = batched(8)
    assert sim.run(900, until=lambda s: steps(s)[-1].outcome is OutcomeState.ROLLED_BACK)
    made = steps(sim)[0]
    assert (made.before, made.after) == (8, 16)
    assert sim.value == 8
    assert sim.state.knobs.direction[0] == -1
    assert sim.state.knobs.step[0] == 0.5
    sim.run(1150)
    assert len(sim.decisions) == 1
    sim.run(120)
    assert steps(sim)[1].after == 6


def test_a_value_that_can_not_be_told_from_the_other_is_not_kept() -> None:
    sim = batched(8, service=lambda b: 0.02)
    sim.run(900)
    assert steps(sim)[0].outcome is OutcomeState.ROLLED_BACK
    assert "not better for sure" in steps(sim)[0].outcome_message


def test_noise_alone_keeps_nothing() -> None:
    sim = batched(8, service=lambda b: 0.02)
    noise = [0.9, 1.2, 0.8, 1.1, 1.05, 0.85]
    for i in range(200):
        sim.override["knob"] = {"trial_cost": 0.02 * noise[i % 6]} if sim.trial_ready else {}
        sim.step()
    assert sim.value == 8


def test_rests_grow_with_every_failure() -> None:
    sim = batched(8)
    sim.run(6 * 3600)
    times = [made.time for made in steps(sim)]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > 2 * gaps[0]


def test_a_cheaper_value_whose_latency_comes_too_near_the_target_is_not_kept() -> None:
    sim = batched(4, floor=lambda b: 0.45 if b > 4 else 0.2, target=0.5)
    sim.run(900)
    made = steps(sim)[0]
    assert made.outcome is OutcomeState.ROLLED_BACK
    assert "too near the target" in made.outcome_message


def test_a_trial_far_past_the_target_is_ended_at_once() -> None:
    sim = batched(4, floor=lambda b: 2.0 if b > 4 else 0.2)
    assert sim.run(120, until=lambda s: steps(s)[0].outcome is OutcomeState.ROLLED_BACK)
    assert sim.trial == -1
    sim = batched(4, floor=lambda b: 0.9 if b > 4 else 0.2)
    sim.run(180)
    assert steps(sim)[0].outcome is OutcomeState.VERIFYING
    assert sim.run(60, until=lambda s: steps(s)[0].outcome is OutcomeState.ROLLED_BACK)


def test_the_step_upward_keeps_within_the_latency_headroom() -> None:
    sim = batched(16, floor=lambda b: 0.02 * b, service=lambda b: 0.02 / b)
    sim.step()
    assert steps(sim)[0].after == 22  # log2(0.92·0.5/0.33) = 0.47 octaves
    sim = batched(2, floor=lambda b: 0.2 * b, service=lambda b: 0.02)
    sim.step()
    assert steps(sim)[0].after == 1  # no room for 3: the other way


def test_a_missed_target_is_restored_by_a_trial_where_replicas_can_not_help() -> None:
    sim = batched(32, floor=lambda b: 0.1 + 0.02 * b)
    assert sim.run(3 * 3600, until=lambda s: s.value <= 16 and s.off == 0)
    made = steps(sim)[0]
    assert made.inputs["byCost"] == 0.0
    assert made.after == 16
    assert "for less latency" in made.message


def test_a_missed_target_waits_for_replicas_where_they_may_help() -> None:
    sim = batched(32, floor=lambda b: 0.1 + 0.02 * b, workload={"replicas_max": 10, "target_utilization": 0.1})
    sim.run(45)
    assert steps(sim)[0].reason is not Reason.KNOB_TRIAL_STARTED


def test_with_little_cpu_in_use_a_knob_is_tried_before_more_pods() -> None:
    sim = batched(32, floor=lambda b: 0.1 + 0.02 * b, workload={"replicas_max": 10})
    sim.run(15)
    assert steps(sim)[0].reason is Reason.KNOB_TRIAL_STARTED


def test_it_works_with_one_replica() -> None:
    sim = batched(2, replicas=1)
    assert sim.run(1200, until=lambda s: s.value == 4)


@pytest.mark.parametrize("role", ["Concurrency", "Cache", "Pool"])
def test_every_role_starts_upward_while_the_target_is_met(role: str) -> None:
    sim = batched(8)
    assert sim.knob is not None
    sim.knob["role"] = role
    sim.step()
    assert steps(sim)[0].after == 16


def test_without_request_costs_a_batch_goes_up_first_and_is_judged_by_latency() -> None:
    sim = batched(8)
    sim.override["workload"] = {"arrival_rate": NAN}
    sim.step()
    assert steps(sim)[0].after == 16
    assert steps(sim)[0].inputs["byCost"] == 0.0


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
    sim = batched(8, cpu=1.0, cpu_limit=1.0)
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
    sim = batched(1)
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
