"""OOM kills and throttling."""

import itertools
from typing import Any

import pytest

from tests.unit.decide.simulator import GIB, MIB, NAN, START, Simulator, limited
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide.engine import decide

pytestmark = pytest.mark.long

FIXED = {"replicas_max": 0, "min_history_seconds": 1e9}


def starved(need: float, have: float, **more: Any) -> Simulator:
    workload = {**FIXED, **more.pop("workload", {})}
    return Simulator(memory=have, memory_limit=have, memory_need=need, workload=workload, **more)


def test_an_oom_kill_raises_memory_in_the_tick_that_sees_it() -> None:
    sim = starved(1.1 * GIB, GIB)
    plan = sim.step()
    assert plan.containers.memory_limit[0] == pytest.approx(1.2 * GIB, abs=MIB)
    assert plan.containers.memory[0] == pytest.approx(1.2 * GIB, abs=MIB)
    (made,) = plan.decisions
    assert made.reason is Reason.RAISED_AFTER_OOM
    assert made.emergency
    assert "1Gi" in made.message


def test_a_small_container_gets_at_least_a_hundred_mebibytes_more() -> None:
    plan = starved(65 * MIB, 64 * MIB).step()
    assert plan.containers.memory_limit[0] == 164 * MIB


def test_a_container_four_times_too_small_is_killed_three_times_at_most() -> None:
    for have in (128 * MIB, GIB):
        sim = starved(4 * have * 0.99, have)
        sim.run(300)
        assert sim.ooms <= 3
        assert sim.memory_limit >= 4 * have * 0.99


def test_kills_of_pods_that_did_not_have_the_raised_limit_yet_do_not_raise_it_further() -> None:
    sim = starved(1.1 * GIB, GIB)
    sim.step()
    limit = sim.memory_limit
    sim.oom_at, sim.oom_limit = sim.now - 1, GIB
    sim.step()
    assert sim.memory_limit == limit


def test_an_oom_raise_ignores_freezes_budgets_and_missed_or_unknown_targets() -> None:
    sim = starved(1.1 * GIB, GIB)
    sim.override["workload"] = {"rollout": True, "window_closed": True, "resizes_per_day": 0, "due": False}
    sim.override["target"] = {"value": NAN, "kind": 7}
    plan = sim.step()
    assert plan.containers.memory_limit[0] > GIB
    assert plan.workloads.resizes_today[0] == 1


def test_memory_never_goes_below_the_last_oom_level_for_seven_days() -> None:
    sim = starved(1.1 * GIB, GIB, container={"limit_below_template": True, "scale_limits": True})
    sim.step()
    level = sim.memory
    sim.memory_need = 100 * MIB
    sim.tick = 900.0
    sim.override["workload"] = {"verify_seconds": 900.0, "min_history_seconds": 0.0}
    sim.run(6 * 86400)
    assert sim.memory == level
    sim.run(3 * 86400)
    assert sim.memory < level / 2


def test_an_oom_raise_stops_at_the_largest_request_and_says_so() -> None:
    sim = starved(8 * GIB, GIB, container={"memory_max": 1.1 * GIB})
    sim.run(300)
    assert sim.memory_limit <= 1.1 * GIB
    assert Reason.MEMORY_AT_MAX in limited(sim)


def test_an_oom_raise_stops_at_max_memory_and_says_so() -> None:
    sim = starved(8 * GIB, GIB, workload={"max_memory": 2.2 * GIB})
    sim.run(300)
    assert 2 * sim.memory_limit <= 2.2 * GIB
    assert sim.memory_limit > GIB
    assert Reason.MEMORY_CEILING in limited(sim)
    made = next(iter(sim.decisions.values()))
    assert made.after == sim.memory
    assert "held back" in made.message


def test_a_container_without_a_limit_gets_a_larger_request() -> None:
    sim = starved(GIB, 512 * MIB)
    sim.memory_limit = NAN
    sim.override["container"] = {"oom_at": START - 5, "oom_limit": NAN, "working_set": 900 * MIB}
    plan = sim.step()
    assert plan.containers.memory[0] > 1000 * MIB
    assert plan.containers.memory_limit[0] != plan.containers.memory_limit[0]


def test_guaranteed_and_scaled_limits_move_with_the_request() -> None:
    sim = starved(1.1 * GIB, GIB, container={"guaranteed": True})
    sim.step()
    assert sim.memory == sim.memory_limit > GIB
    container = {"scale_limits": True, "template_memory": 512 * MIB, "template_memory_limit": GIB}
    sim = Simulator(memory=512 * MIB, memory_limit=GIB, memory_need=1.1 * GIB, container=container, workload=FIXED)
    sim.step()
    assert sim.memory_limit == pytest.approx(2 * sim.memory)
    assert sim.memory_limit >= 1.2 * GIB


def test_a_kill_from_long_ago_or_of_another_template_raises_nothing() -> None:
    for when in (START - 8 * 86400, 0.0, START + 3600, NAN):
        sim = starved(512 * MIB, GIB)
        sim.override["container"] = {"oom_at": when, "oom_limit": GIB}
        assert not sim.step().decisions
    sim = starved(512 * MIB, GIB)
    sim.step()
    sim.override = {"workload": {"template": "t2"}, "container": {"oom_at": sim.now - 5, "oom_limit": GIB}}
    sim.step()
    assert not sim.decisions


def test_a_kill_that_was_answered_before_a_restart_is_not_answered_again() -> None:
    sim = starved(1.1 * GIB, GIB)
    sim.run(60)
    sim.restart()
    sim.run(60)
    assert len(sim.decisions) == 1


def test_a_kill_after_a_memory_cut_ends_that_cut_as_rolled_back() -> None:
    container = {"scale_limits": True, "limit_below_template": True, "cpu_max": NAN, "template_memory_limit": 512 * MIB}
    sim = Simulator(
        memory=512 * MIB, memory_limit=512 * MIB, container=container, workload={"replicas_max": 0}, tick=15.0
    )
    sim.learn_history(24, 0.1, 200 * MIB)
    sim.run(30)
    assert sim.memory_limit < 512 * MIB
    sim.memory_need = 500 * MIB
    sim.run(30)
    cut, raised, *_ = sim.decisions.values()
    assert cut.outcome is OutcomeState.ROLLED_BACK
    assert raised.reason is Reason.RAISED_AFTER_OOM
    assert sim.memory_limit >= 500 * MIB


def throttled(**more: Any) -> Simulator:
    given: dict[str, Any] = {"cpu": 0.5, "cpu_limit": 0.5, "burst": 1.5, "workload": FIXED, **more}
    return Simulator(rate=lambda t: 2.0, **given)


def test_throttling_raises_the_limit_until_it_is_gone_within_cpu_max() -> None:
    sim = throttled()
    sim.run(600)
    assert sim.cpu_limit >= 1.5 * 0.99
    assert sim.cpu == 0.5  # the request of a kept limit follows usage, not the limit
    raises = [made for made in sim.decisions.values() if made.reason is Reason.RAISED_FOR_THROTTLING]
    assert all(made.emergency for made in raises)
    assert all(b.time - a.time >= 60 for a, b in itertools.pairwise(raises))
    assert raises[0].before == 0.5
    assert raises[0].after == raises[0].inputs["limitAfter"]


def test_throttling_under_one_percent_of_the_periods_raises_no_further() -> None:
    sim = throttled()
    sim.run(600)
    throttle = 1 - sim.cpu_limit / sim.burst
    assert throttle < 0.01
    assert sim.cpu_limit <= 1.5 * sim.settings.throttle_min, "the last step was the smallest one"
    limit, known = sim.cpu_limit, set(sim.decisions)
    sim.run(600)
    assert sim.cpu_limit == limit
    assert set(sim.decisions) == known


def test_throttling_stops_at_cpu_max_and_says_so() -> None:
    for container in ({"cpu_max": 0.8}, {"cpu_max": 0.8, "guaranteed": True}):
        sim = throttled(container=container)
        sim.run(600)
        assert sim.cpu_limit == 0.8
        assert Reason.CPU_AT_MAX in limited(sim)


def test_throttled_guaranteed_and_scaled_containers_move_request_and_limit() -> None:
    sim = throttled(container={"guaranteed": True})
    sim.run(300)
    assert sim.cpu == sim.cpu_limit > 1.4
    sim = throttled(cpu=0.25, container={"scale_limits": True, "template_cpu": 0.5, "template_cpu_limit": 1.0})
    sim.run(300)
    assert sim.cpu_limit == pytest.approx(2 * sim.cpu)
    assert sim.cpu_limit > 1.4


def test_a_limit_that_throttling_asked_for_is_not_cut_again() -> None:
    sim = throttled(container={"guaranteed": True, "template_cpu_limit": 0.5, "memory_max": NAN})
    sim.run(600)
    sim.workload = {"replicas_max": 0, "min_history_seconds": 0.0}
    limit = sim.cpu_limit
    sim.tick = 60.0
    sim.run(3 * 3600)
    assert sim.cpu_limit >= limit * 0.99
    assert Reason.CUT_UNUSED not in {made.reason for made in sim.decisions.values()}


def test_one_throttled_sample_or_no_limit_raises_nothing() -> None:
    sim = throttled()
    sim.step()
    sim.burst = 0.1
    sim.run(300)
    assert not sim.decisions
    sim = throttled(cpu_limit=NAN)
    sim.override["container"] = {"throttled": 0.5}
    sim.run(300)
    assert not sim.decisions


def test_emergencies_of_several_containers_are_answered_together_and_before_anything_else() -> None:
    sim = starved(1.1 * GIB, GIB, workload={"replicas_max": 10}, rate=lambda t: 100.0)
    seen = sim.observe()
    both = type(seen.containers).of(
        [
            {
                "key": f"shop/api/{name}",
                "name": name,
                "template_memory": GIB,
                "memory": GIB,
                "memory_limit": GIB,
                "memory_max": 4 * GIB,
                "oom_at": START - 1,
                "oom_limit": GIB,
            }
            for name in ("app", "proxy")
        ]
    )
    seen = type(seen)(seen.now, seen.workloads, seen.targets, both)
    plan, state = decide(seen, sim.state, sim.settings)
    assert [made.subject for made in plan.decisions] == ["app", "proxy"]
    assert plan.workloads.replicas[0] == seen.workloads.replicas[0]
    assert len(state.pending["shop/api"]) == 2
