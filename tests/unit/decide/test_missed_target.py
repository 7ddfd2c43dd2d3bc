"""Replicas for a target that is missed: trims, futile raises and their rollback, scale-downs that hurt."""

import itertools
from typing import Any

import pytest

from tests.unit.decide.simulator import Simulator, limited
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState


def steady(rate: float, **more: Any) -> Simulator:
    return Simulator(rate=lambda t: rate, **more)


def reasons(sim: Simulator) -> list[Reason]:
    return [made.reason for made in sorted(sim.decisions.values(), key=lambda made: made.time)]


class InputBound(Simulator):
    """Latency depends on requests a pod, not on CPU: 20/s a pod."""

    def latency(self, value: int) -> float:
        return 0.1 / max(1 - self.rate(self.now) / max(self.ready, 1) / 20, 0.02)


def bound(rate: float, **more: Any) -> InputBound:
    return InputBound(rate=lambda t: rate, service=lambda knob: 0.005, **more)


def test_latency_that_load_does_not_explain_is_trimmed_a_pod_a_minute_until_met() -> None:
    sim = bound(60.0, replicas=3)
    assert sim.run(1800, until=lambda s: s.latency(0) < 0.5 and s.ready == s.replicas)
    assert set(reasons(sim)) == {Reason.RAISED_FOR_TARGET}
    times = [made.time for made in sim.decisions.values()]
    assert all(after - before >= 60 for before, after in itertools.pairwise(times))
    assert sim.replicas <= 5


def test_what_a_trim_taught_is_kept_so_the_pods_are_not_taken_away_again() -> None:
    sim = bound(60.0, replicas=3)
    sim.run(2 * 3600)
    assert sim.latency(0) < 0.5
    assert Reason.SCALED_DOWN not in reasons(sim)


def test_a_single_missed_sample_moves_nothing() -> None:
    sim = bound(10.0, replicas=2)
    sim.run(60)
    sim.override["target"] = {"value": 2.0}
    sim.step()
    del sim.override["target"]
    sim.run(240)
    assert not sim.decisions


def test_the_same_sample_seen_twice_counts_once() -> None:
    sim = bound(10.0, replicas=2)
    sim.tick = 15.0
    for i in range(8):
        sim.override["target"] = {"value": 2.0, "age": 15.0 * i}
        sim.step()
    assert not sim.decisions


@pytest.mark.long
def test_rule_12_three_futile_raises_are_taken_back_and_the_target_is_called_unreachable() -> None:
    sim = steady(10.0, floor=lambda k: 0.8, service=lambda k: 0.02)
    assert sim.run(3600, until=lambda s: Reason.TARGET_UNREACHABLE in limited(s))
    sim.run(180)
    assert sim.replicas == 2
    assert reasons(sim) == [Reason.RAISED_FOR_TARGET] * 3 + [Reason.MOVE_ROLLED_BACK]
    assert max(replicas for _, replicas, _ in sim.log) == 5
    held = sim.now
    sim.run(3000)
    assert len(sim.decisions) == 4
    sim.tick = 60.0
    sim.run(4 * 3600)
    later = [m.time for m in sim.decisions.values() if m.time > held and m.reason is Reason.MOVE_ROLLED_BACK]
    assert len(later) == 2
    assert later[1] - later[0] > 2 * 3600  # the hold doubles: 1 h, then 2 h


def test_a_missed_target_at_the_most_replicas_says_so() -> None:
    sim = steady(10.0, floor=lambda k: 0.8, replicas=2, override={"workload": {"replicas_max": 2}})
    sim.run(60)
    assert not sim.decisions
    assert Reason.REPLICAS_AT_MAX in limited(sim)


def test_futile_raises_are_forgotten_when_the_load_grows_so_no_rollback_goes_below_it() -> None:
    sim = steady(10.0, floor=lambda k: 0.8, service=lambda k: 0.02)
    assert sim.run(1800, until=lambda s: s.state.workloads.futile[0] == 2)
    sim.rate = lambda t: 400.0
    sim.run(3600)
    assert min(replicas for time, replicas, _ in sim.log if time > sim.now - 3000) >= 8


def test_a_trim_waits_for_pods_that_are_still_starting_and_for_rollouts() -> None:
    sim = bound(60.0, replicas=3, override={"workload": {"rollout": True}})
    sim.run(600)
    assert not sim.decisions
    sim = bound(60.0, replicas=3, override={"workload": {"ready": 2}})
    sim.run(600)
    assert not sim.decisions


@pytest.mark.long
def test_a_scale_down_that_hurts_is_rolled_back_and_not_tried_again_soon() -> None:
    sim = bound(17.0, replicas=2)
    sim.run(3600)
    assert sim.replicas == 2
    assert reasons(sim)[:2] == [Reason.SCALED_DOWN, Reason.MOVE_ROLLED_BACK]
    outcomes = [made.outcome for made in sim.decisions.values()][:2]
    assert outcomes == [OutcomeState.ROLLED_BACK, OutcomeState.KEPT]
    assert reasons(sim).count(Reason.SCALED_DOWN) == 1


def test_no_scale_down_where_the_target_is_nearly_missed() -> None:
    sim = steady(1.0, replicas=4, floor=lambda k: 0.47)
    sim.run(1800)
    assert sim.replicas == 4


def test_a_higher_is_better_target_is_met_from_above() -> None:
    sim = steady(1.0, replicas=2)
    sim.override["target"] = {"higher_is_better": True, "latency": False, "value": 0.2, "limit": 0.5}
    plan = sim.step()
    assert plan.workloads.missed[0]
    sim.override["target"]["value"] = 0.8
    assert sim.step().workloads.met[0]
