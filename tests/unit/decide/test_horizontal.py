"""Replica counts: load, windows, policies, holds."""

import itertools
from typing import Any

import numpy as np
import pytest

from tests.unit.decide.simulator import NAN, START, Simulator, limited
from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState

pytestmark = pytest.mark.long


def steady(rate: float, **more: Any) -> Simulator:
    return Simulator(rate=lambda t: rate, **more)


def reasons(sim: Simulator) -> list[Reason]:
    return [made.reason for made in sorted(sim.decisions.values(), key=lambda made: made.time)]


def peak(sim: Simulator, seconds: float) -> int:
    """Most replicas within the last seconds."""
    return max(replicas for time, replicas, _ in sim.log if time >= sim.now - seconds)


def test_a_surge_is_answered_in_the_same_tick_by_what_the_load_needs() -> None:
    sim = Simulator(rate=lambda t: 10.0 if t < START + 60 else 50.0)
    sim.run(60)
    assert sim.replicas == 2
    plan = sim.step()
    assert plan.workloads.replicas[0] == 4  # both pods use all of their core, and who knows how much they lack
    assert sim.run(300, until=lambda s: s.latency(0) < 0.5)


def test_a_surge_goes_no_faster_than_the_rate_policies_allow() -> None:
    sim = steady(1000.0, replicas=1, startup=0.0)
    seen = [sim.step().workloads.replicas[0] for _ in range(3)]
    assert seen[0] <= 5
    assert seen[1] <= 10
    assert all(after - before <= max(4, before) for before, after in itertools.pairwise(seen))


def test_calm_scales_down_only_after_the_stabilisation_window() -> None:
    sim = Simulator(rate=lambda t: 50.0 if t < START + 600 else 14.0, replicas=4)
    sim.override["workload"] = {"arrival_rate": NAN}
    sim.run(600)
    assert sim.replicas == 4
    sim.run(285)
    assert sim.replicas == 4
    sim.run(60)
    assert sim.replicas < 4
    sim.run(1800)
    assert sim.replicas == 1
    assert Reason.SCALED_DOWN in reasons(sim)


def test_a_window_that_is_set_holds_a_fall_of_the_arrival_rate_too() -> None:
    sim = Simulator(rate=lambda t: 60.0 if t < START + 600 else 14.0, replicas=5, workload={"down_window": 900.0})
    sim.run(600)
    before = sim.replicas
    sim.run(840)
    assert sim.replicas >= before
    sim.run(330)
    assert sim.replicas < before


def test_rule_14_the_first_scale_down_is_at_most_a_quarter_and_later_ones_at_most_half() -> None:
    sim = steady(1.0, replicas=16)
    sim.run(3600)
    cuts = [made for made in sim.decisions.values() if made.reason is Reason.SCALED_DOWN]
    assert cuts[0].before == 16
    assert cuts[0].after == 12
    assert all(made.after >= made.before / 2 for made in cuts[1:])
    assert sim.replicas == 1


def test_one_scale_down_walks_within_the_rate_policy_and_is_watched_as_one_move() -> None:
    sim = steady(1.0, replicas=16)
    sim.run(900, until=lambda s: s.replicas < 16)
    start = sim.now
    assert sim.run(600, until=lambda s: s.replicas == 12)
    assert sim.now - start >= 60
    removed = [before - after for (_, before, _), (_, after, _) in zip(sim.log, sim.log[1:], strict=False)]
    assert max(removed) <= 2  # 10% of 16, rounded as HPA v2 does, or one pod
    sim.run(60)
    assert [m.outcome for m in sim.decisions.values() if m.reason is Reason.SCALED_DOWN] == [OutcomeState.VERIFYING]


def test_a_scale_down_stops_where_it_stands_when_a_rollout_begins() -> None:
    sim = steady(1.0, replicas=16)
    sim.run(900, until=lambda s: s.replicas == 14)
    sim.override["workload"] = {"rollout": True}
    sim.run(600)
    assert sim.replicas == 14
    (made,) = [m for m in sim.decisions.values() if m.reason is Reason.SCALED_DOWN]
    assert made.after == 14
    assert made.outcome is OutcomeState.KEPT


def test_load_within_ten_percent_of_the_wanted_utilisation_changes_nothing() -> None:
    sim = steady(2 * 0.7 / 0.05 * 1.09, override={"workload": {"arrival_rate": NAN}})
    sim.run(1200)
    assert sim.replicas == 2
    sim = steady(2 * 0.7 / 0.05 * 1.12, override={"workload": {"arrival_rate": NAN}})
    sim.run(30)
    assert sim.replicas == 3


def test_rule_19_no_traffic_counts_as_met_so_idle_pods_are_removed() -> None:
    sim = steady(0.0, replicas=3, metric=AnswerKind.NO_TRAFFIC)
    sim.override["workload"] = {"cpu_usage": 0.01}
    sim.run(1800)
    assert sim.replicas == 1


@pytest.mark.parametrize("kind", [k for k in AnswerKind if k not in (AnswerKind.VALUE, AnswerKind.NO_TRAFFIC)])
def test_a_target_without_a_number_holds_the_capacity(kind: AnswerKind) -> None:
    sim = steady(1.0, replicas=5, metric=kind)
    sim.run(1800)
    assert sim.replicas == 5
    assert not sim.decisions


def test_a_stale_target_holds_the_capacity() -> None:
    sim = steady(1.0, replicas=5)
    sim.override["target"] = {"age": 1000.0}
    sim.run(1800)
    assert sim.replicas == 5


@pytest.mark.parametrize("missing", ["cpu_usage", "arrival_rate"])
def test_missing_load_never_scales_down_once_it_was_known(missing: str) -> None:
    sim = steady(30.0, replicas=4, startup=0.0)
    sim.run(285)
    sim.rate = lambda t: 1.0
    sim.override["workload"] = {missing: NAN}
    sim.run(3600)
    assert sim.replicas == 4


def test_everything_missing_holds_everything() -> None:
    sim = steady(30.0, replicas=4, metric=AnswerKind.ERROR)
    sim.override["workload"] = {"cpu_usage": NAN, "arrival_rate": NAN, "cpu_per_pod": NAN}
    sim.run(600)
    assert sim.replicas == 4
    assert sim.plan is not None
    assert sim.plan.workloads.recommended_replicas[0] == -1


def test_after_a_gap_in_the_data_the_window_starts_anew() -> None:
    sim = steady(28.0, replicas=4)
    sim.run(600)
    before = sim.replicas
    sim.metric = AnswerKind.ERROR
    sim.rate = lambda t: 1.0
    sim.run(900)
    assert sim.replicas == before
    sim.metric = AnswerKind.VALUE
    sim.run(270)
    assert sim.replicas == before
    sim.run(90)
    assert sim.replicas < before


def test_rule_14_a_replica_count_set_by_a_person_is_left_alone_and_said() -> None:
    sim = steady(25.0, replicas=1, override={"workload": {"human_hold_until": START + 3600, "cpu_usage": 0.9}})
    sim.run(600)
    assert sim.replicas == 1
    assert Reason.HUMAN_HOLD in limited(sim)


def test_saturation_is_answered_even_where_a_person_set_the_replicas() -> None:
    sim = steady(100.0, replicas=1, override={"workload": {"human_hold_until": START + 3600}})
    plan = sim.step()
    assert plan.workloads.replicas[0] > 1
    assert next(iter(sim.decisions.values())).emergency


def test_a_scale_down_under_way_ends_when_a_person_sets_the_replicas() -> None:
    sim = steady(1.0, replicas=16)
    sim.run(900, until=lambda s: s.replicas == 14)
    sim.replicas = 10
    sim.override["workload"] = {"human_hold_until": sim.now + 3600}
    sim.run(1200)
    assert sim.replicas == 10
    assert OutcomeState.CONFOUNDED in {made.outcome for made in sim.decisions.values()}


def test_rule_12_a_lowered_ceiling_is_obeyed_in_steps_even_while_the_target_is_missed() -> None:
    sim = steady(100.0, replicas=8, override={"workload": {"replicas_max": 4}}, floor=lambda k: 0.9)
    sim.step()
    assert sim.replicas >= 6
    assert Reason.CEILING_LOWERED in limited(sim)
    assert sim.run(900, until=lambda s: s.replicas == 4)
    sim.run(120)
    made = next(m for m in sim.decisions.values() if m.reason is Reason.OBEYED_CONSTRAINT)
    assert made.outcome is OutcomeState.KEPT


def test_fewer_replicas_than_the_lower_bound_are_raised_to_it() -> None:
    sim = steady(1.0, replicas=1, override={"workload": {"replicas_min": 3, "cpu_usage": NAN, "arrival_rate": NAN}})
    sim.run(60)
    assert sim.replicas == 3
    assert reasons(sim)[0] is Reason.OBEYED_CONSTRAINT


def test_scaled_to_zero_stays_at_zero() -> None:
    sim = steady(100.0)
    sim.override["workload"] = {"replicas": 0, "ready": 0}
    assert sim.step().workloads.replicas[0] == 0
    assert not sim.decisions


def test_replicas_that_are_not_tuned_are_left_out_of_the_plan() -> None:
    sim = steady(100.0, override={"workload": {"replicas_max": 0}})
    assert sim.step().workloads.replicas[0] == -1


def test_without_auto_tune_nothing_moves_and_the_recommendation_stands() -> None:
    sim = steady(100.0, override={"workload": {"acting": False}})
    sim.run(300)
    assert sim.replicas == 2
    assert not sim.decisions
    assert sim.plan is not None
    assert sim.plan.workloads.recommended_replicas[0] >= 3


def test_load_beyond_the_most_replicas_says_so() -> None:
    sim = steady(100.0, override={"workload": {"replicas_max": 2}})
    sim.step()
    assert Reason.REPLICAS_AT_MAX in limited(sim)


def test_pods_that_never_start_do_not_keep_the_others() -> None:
    sim = steady(2.0, replicas=8, override={"workload": {"ready": 5}})
    sim.run(1200)
    assert sim.replicas < 8


def test_a_row_that_is_not_due_is_not_judged_anew() -> None:
    sim = steady(100.0, override={"workload": {"due": False}})
    sim.run(120)
    assert sim.replicas == 2
    assert np.isfinite(sim.log[-1][2])
