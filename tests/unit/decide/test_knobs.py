"""Knobs: trials beside the others, verdicts, rolls, rollbacks."""

import itertools

import pytest

from tests.unit.decide.simulator import NAN, batched, steps
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState


@pytest.mark.long
@pytest.mark.parametrize("start", [1, 64])
def test_a_knob_at_either_end_finds_the_optimum_inside(start: int) -> None:
    sim = batched(start, tick=30.0)
    assert sim.run(12 * 3600, until=lambda s: 6 <= s.value <= 10 and s.off == 0)
    sim.run(6 * 3600)
    assert 6 <= sim.value <= 10
    assert Reason.KNOB_TRIAL_ROLLED_BACK in {made.reason for made in sim.decisions.values()}
    values = [made.after for made in steps(sim) if made.reason is Reason.KNOB_TRIAL_KEPT]
    assert all(made.outcome is OutcomeState.KEPT for made in steps(sim) if made.reason is Reason.KNOB_TRIAL_KEPT)
    assert values == sorted(values, reverse=start == 64)


@pytest.mark.long
def test_one_step_is_at_most_an_octave() -> None:
    sim = batched(1, tick=30.0)
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


def test_a_value_that_is_probably_better_is_watched_for_longer_and_then_kept() -> None:
    sim = batched(8, service=lambda b: 0.02, tick=15.0)
    noise, looks = [0.62, 1.15, 0.7, 1.1], set()
    for _ in range(200):
        block = int(sim.now // 60)
        sim.override["knob"] = {"trial_cost": 0.02 * noise[block % 4]} if sim.trial_ready else {}
        sim.step()
        looks |= {trial.looks for trial in sim.state.trials.values()}
        if sim.value != 8:
            break
    assert sim.value == 16
    assert looks >= {0, 1}


def test_a_trial_needs_enough_requests_on_its_pod_to_say_anything() -> None:
    sim = batched(8)
    sim.rate = lambda t: 0.1
    sim.run(900)
    assert not sim.decisions
    sim.rate = lambda t: 10.0
    sim.run(300)
    assert [made.reason for made in steps(sim)] == [Reason.KNOB_TRIAL_STARTED]


@pytest.mark.long
def test_noise_alone_keeps_nothing() -> None:
    sim = batched(8, service=lambda b: 0.02)
    noise = [0.9, 1.2, 0.8, 1.1, 1.05, 0.85]
    for i in range(200):
        sim.override["knob"] = {"trial_cost": 0.02 * noise[i % 6]} if sim.trial_ready else {}
        sim.step()
    assert sim.value == 8


def test_a_shorter_trial_has_shorter_samples_and_a_shorter_rest() -> None:
    sim = batched(8)
    sim.tick, sim.workload = 5.0, {**sim.workload, "trial_seconds": 60.0}
    assert sim.run(200, until=lambda s: bool(s.decisions) and steps(s)[-1].outcome is OutcomeState.ROLLED_BACK)
    ended = sim.now
    assert sim.run(200, until=lambda s: len(s.decisions) > 1)
    assert 110 <= sim.now - ended <= 140


@pytest.mark.long
def test_rests_grow_with_every_failure() -> None:
    sim = batched(8, tick=30.0)
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
    sim.run(90)
    assert steps(sim)[0].reason is not Reason.KNOB_TRIAL_STARTED


def test_with_little_cpu_in_use_a_knob_is_tried_before_more_pods() -> None:
    sim = batched(32, floor=lambda b: 0.1 + 0.02 * b, workload={"replicas_max": 10})
    sim.run(30)
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


@pytest.mark.parametrize(("left", "seconds"), [(6.0, 900), (4.0, 30)])
def test_a_trial_whose_load_falls_away_is_ended_without_a_verdict(left: float, seconds: float) -> None:
    """At once where the load is more than halved: pods that the peak needed would wait for it."""
    sim = batched(8, service=lambda b: 0.02)
    sim.run(120, until=lambda s: s.trial_ready)
    sim.rate = lambda t: left
    sim.override["knob"] = {"trial_cost": 0.01}
    assert sim.run(seconds, until=lambda s: steps(s)[0].outcome is OutcomeState.CONFOUNDED)
    assert f"The load fell from 10 to {left:.0f} requests/s" in steps(sim)[0].outcome_message
    assert (sim.value, sim.trial) == (8, -1)
    assert sim.state.knobs.failures[0] == 0


def test_what_is_seen_of_a_trial_while_the_load_is_away_does_not_count() -> None:
    sim = batched(8, service=lambda b: 0.02, tick=15.0)
    sim.run(120, until=lambda s: s.trial_ready)
    rate = [10.0]
    sim.rate = lambda t: rate[0]
    for step in range(60):
        idle = 8 <= step < 24
        rate[0] = 6.0 if idle else 10.0
        sim.override["knob"] = {"trial_cost": 0.01 if idle else 0.02} if sim.trial_ready else {}
        sim.step()
    assert steps(sim)[0].outcome is OutcomeState.ROLLED_BACK
    assert "+0%" in steps(sim)[0].outcome_message


def test_after_a_larger_value_lowered_latency_the_next_step_up_is_not_bound_by_headroom() -> None:
    sim = batched(1, service=lambda b: 0.02, floor=lambda b: 0.5 / b, target=0.36)
    assert sim.run(3600, until=lambda s: s.value == 2), "0.5 s of 0.36 s is too much"
    count = len(sim.decisions)
    assert sim.run(7200, until=lambda s: len(s.decisions) > count), "0.27 s of 0.36 s would leave no room for a step up"
    assert (steps(sim)[-1].before, steps(sim)[-1].after > 2) == (2, True)


def test_a_trial_waits_for_the_cpu_of_its_pod_without_what_its_start_used() -> None:
    sim = batched(8, service=lambda b: 0.02, workload={"trial_seconds": 60.0})
    sim.tick = 5.0
    for _ in range(60):
        young = sim.now - sim.trial_since < 60
        sim.override["knob"] = {"trial_cost": NAN if young else 0.01} if sim.trial_ready else {}
        sim.step()
    assert steps(sim)[0].reason is Reason.KNOB_TRIAL_KEPT
    assert "CPU a request −50%" in steps(sim)[0].message


def test_a_value_that_looks_better_is_looked_at_three_times_however_ticks_fall() -> None:
    sim = batched(8, service=lambda b: 0.02)
    sim.tick = 14.0
    noise, looks = [0.4, 1.6], set()
    while not sim.decisions or steps(sim)[0].outcome in (OutcomeState.PENDING, OutcomeState.VERIFYING):
        block = int(sim.now // 60)
        sim.override["knob"] = {"trial_cost": 0.02 * noise[block % 2]} if sim.trial_ready else {}
        sim.step()
        looks |= {trial.looks for trial in sim.state.trials.values()}
    assert looks == {0, 1, 2}


@pytest.mark.parametrize(
    ("latency", "cost", "limit", "kept"),
    [(0.95, 0.7, 0.5, True), (1.05, 0.7, 0.5, False), (0.95, 0.99, 0.5, False), (0.95, 0.7, 0.15, False)],
)
def test_a_trial_that_outlives_the_miss_it_was_for_is_judged_by_cpu_a_request_too(
    latency: float, cost: float, limit: float, kept: bool
) -> None:
    """Neither a value with more latency, nor one as dear, nor one near the target is kept for it."""
    sim = batched(8, service=lambda b: 0.02, floor=lambda b: 0.1)
    sim.override["target"] = {"value": 0.9}
    sim.run(60)
    assert steps(sim)[0].inputs["byCost"] == 0.0
    sim.override, noise = {"target": {"limit": limit}}, [0.8, 1.25]
    for _ in range(150):
        block = int(sim.now // 60)
        seen = {"trial_latency": 0.15 * latency * noise[block % 2], "base_latency": 0.15, "trial_cost": 0.02 * cost}
        sim.override["knob"] = seen if sim.trial_ready else {}
        sim.step()
        if steps(sim)[0].outcome is OutcomeState.ROLLED_BACK or sim.value != 8:
            break
    assert (sim.value != 8) is kept
    if kept:
        assert "CPU a request −30%" in steps(sim)[0].message
