"""Requests and limits: raises for usage, careful cuts, limits and QoS."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.decide.simulator import FIXED, GIB, KEY, MIB, NAN, START, Simulator, cuts, limited, sized
from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide.engine import decide
from trimtab.decide.observation import Containers, Lever, Samples
from trimtab.decide.state import State
from trimtab.decide.tick import Tick

pytestmark = pytest.mark.long


def test_a_mis_sized_request_is_cut_by_a_quarter_first_and_then_in_halves() -> None:
    sim = sized()
    sim.run(2400)
    cpu = [made for made in cuts(sim) if made.lever.name == "CPU"]
    assert cpu[0].before == 1.0
    assert cpu[0].after == pytest.approx(0.75)
    assert all(made.after >= made.before / 2 for made in cpu[1:])
    assert 0.1 * 1.15 <= sim.cpu <= 0.1 * 1.15 * 1.15  # VPA's bucket above 100m ends at 110m
    assert sim.memory == pytest.approx(200 * MIB * 1.15, rel=0.01)
    assert {made.outcome for made in cuts(sim)} == {OutcomeState.KEPT}


def test_a_cut_says_its_numbers_and_what_it_expects() -> None:
    sim = sized()
    sim.step()
    (made,) = sim.decisions.values()
    assert made.id == f"{START:.0f}-cpu-app"
    assert made.workload == KEY
    assert "1 → 750m" in made.message
    assert "750m" in made.predicted
    assert made.inputs["requestBefore"] == 1.0
    assert "limitBefore" not in made.inputs
    assert Reason.FIRST_MOVE_CAPPED in limited(sim)


def test_at_most_one_lever_of_a_workload_moves_in_a_tick_and_savings_wait_for_the_verify() -> None:
    sim = sized(knob={"value": 8})
    sim.run(300)
    assert len(sim.decisions) == 1


@pytest.mark.parametrize(
    "frozen",
    [
        {"workload": {"rollout": True}},
        {"workload": {"window_closed": True}},
        {"workload": {"min_history_seconds": 7 * 86400.0}},
        {"workload": {"resizes_per_day": 0}},
        {"workload": {"acting": False}},
        {"workload": {"allowed": [True, False, False, True]}},
        {"workload": {"due": False}},
        {"container": {"cpu_allowed": False, "memory_allowed": False}},
        {"container": {"cpu_max": NAN, "memory_max": NAN}},
        {"target": {"value": 0.9}},
        {"target": {"kind": int(AnswerKind.STALE), "value": NAN}},
        {"target": {"kind": int(AnswerKind.VALUE), "value": math.inf}},
        {"target": {"limit": NAN}},
    ],
)
def test_rule_11_nothing_is_cut_while_frozen_learning_missed_or_unknown(frozen: dict[str, dict[str, Any]]) -> None:
    sim = sized(override=frozen)
    sim.run(600)
    assert sim.cpu == 1.0
    assert sim.memory == 512 * MIB
    assert not sim.decisions


def test_rule_16_a_spent_budget_and_missing_history_are_said() -> None:
    sim = sized(override={"workload": {"resizes_per_day": 0}})
    sim.step()
    assert Reason.BUDGET_SPENT in limited(sim)
    sim = Simulator(rate=lambda t: 2.0, workload={**FIXED, "min_history_seconds": 86400.0})
    plan = sim.step()
    (remark,) = plan.remarks[0]
    assert (remark.condition, remark.reason) == ("Tuning", Reason.LEARNING_HISTORY)


def test_rule_16_resizes_are_counted_over_the_last_24_hours() -> None:
    sim = sized(workload={"resizes_per_day": 2})
    sim.run(3600)
    assert len(cuts(sim)) == 2
    assert sim.plan is not None
    assert sim.plan.workloads.resizes_today[0] == 2
    sim.now += 86400 - 1800
    sim.run(3600)
    assert len(cuts(sim)) > 2


def test_without_any_target_requests_are_still_right_sized() -> None:
    sim = sized(target=None)
    sim.run(1800)
    assert sim.cpu < 0.2
    assert {made.outcome for made in cuts(sim)} <= {OutcomeState.KEPT, OutcomeState.VERIFYING}


def test_no_samples_and_usage_of_zero_never_cut() -> None:
    sim = Simulator(rate=lambda t: 0.0, memory_need=0.0, workload={**FIXED, "min_history_seconds": 0.0})
    sim.run(1200)
    assert not sim.decisions
    assert sim.plan is not None
    assert np.isnan(sim.plan.containers.recommended_cpu[0])


def test_old_samples_never_cut() -> None:
    sim = sized()
    sim.now += 3600
    seen = sim.observe()
    plan, _ = decide(
        type(seen)(sim.now, seen.workloads, seen.targets, seen.containers, type(seen.samples)()),
        sim.state,
        sim.settings,
    )
    assert not plan.decisions


def test_small_differences_are_left_alone() -> None:
    sim = sized(cpu=0.13, memory=250 * MIB)
    sim.run(600)
    assert not sim.decisions


def test_nothing_is_cut_below_the_least_request_or_the_lower_bound() -> None:
    sim = Simulator(rate=lambda t: 0.01, memory_need=2 * MIB, workload=FIXED, tick=60.0)
    sim.learn_history(24, 0.0005, 2 * MIB)
    sim.run(4 * 3600)
    assert 0.010 <= sim.cpu <= 0.025  # for a day and a half as VPA has it, whose floor is 25m
    assert sim.memory == pytest.approx(100e6, rel=0.02)
    sim = sized(container={"cpu_min": 0.4, "memory_min": 400 * MIB})
    sim.run(3600)
    assert sim.cpu == 0.4
    assert sim.memory == 400 * MIB


def test_a_request_below_usage_is_raised_even_while_frozen_missed_and_without_budget() -> None:
    override = {"workload": {"rollout": True, "resizes_per_day": 0}, "target": {"value": 2.0}}
    sim = sized(cpu=0.05, memory=100 * MIB, override=override)
    sim.run(60)
    assert {made.reason for made in sim.decisions.values()} == {Reason.RAISED_FOR_USAGE}
    assert 0.1 * 1.15 <= sim.cpu <= 0.1 * 1.15 * 1.15
    assert sim.memory == pytest.approx(230 * MIB, rel=0.01)


def test_a_start_up_burst_raises_nothing() -> None:
    sim = Simulator(rate=lambda t: 30.0 if t < START + 120 else 2.0, cpu=0.2, replicas=1, workload=FIXED)
    sim.run(300)
    assert sim.cpu == 0.2


def test_a_raise_stops_at_the_upper_bound_and_at_the_largest_node() -> None:
    sim = sized(cpu=0.05, container={"cpu_max": 0.08})
    sim.run(60)
    assert sim.cpu == 0.08
    sim = sized(cpu=0.05, workload={"node_cpu": 0.07})
    sim.run(60)
    assert sim.cpu == 0.07


def test_bounds_that_were_changed_are_obeyed_up_at_once_and_down_in_steps() -> None:
    sim = sized(cpu=0.05, container={"cpu_min": 0.5})
    sim.step()
    assert sim.cpu == 0.5
    sim = sized(cpu=1.0, container={"cpu_max": 0.2}, override={"target": {"value": 2.0}})
    sim.step()
    assert sim.cpu == 0.75
    assert Reason.CEILING_LOWERED in limited(sim)
    sim.run(600)
    assert sim.cpu == 0.2
    sim = sized(memory=GIB, memory_limit=GIB, container={"memory_max": 64 * MIB, "guaranteed": True})
    sim.container["template_memory_limit"] = 32 * MIB
    sim.run(1800)
    assert sim.memory == pytest.approx(220 * MIB, abs=MIB)  # not below the working set
    assert Reason.MEMORY_AT_MAX in limited(sim)


def test_rule_08_limits_that_are_kept_stay_and_are_only_raised_when_the_request_passes_them() -> None:
    sim = sized(cpu_limit=2.0, memory_limit=GIB)
    sim.run(2400)
    assert (sim.cpu_limit, sim.memory_limit) == (2.0, GIB)
    sim = sized(cpu=0.05, cpu_limit=0.06)
    sim.run(60)
    assert sim.cpu_limit == sim.cpu > 0.1


def test_rule_08_scaled_limits_keep_the_templates_ratio_but_memory_not_below_the_template() -> None:
    container = {"scale_limits": True, "template_cpu_limit": 2.0, "template_memory_limit": GIB}
    sim = sized(cpu_limit=2.0, memory_limit=GIB, container=container)
    sim.run(2400)
    assert sim.cpu_limit == pytest.approx(2 * sim.cpu, abs=0.002)
    assert sim.cpu < 0.2
    assert sim.memory < 300 * MIB
    assert sim.memory_limit == GIB
    sim = sized(cpu_limit=2.0, memory_limit=GIB, container={**container, "limit_below_template": True})
    sim.run(2400)
    assert sim.memory_limit == pytest.approx(2 * sim.memory, abs=2 * MIB)


def test_rule_08_guaranteed_containers_keep_limits_equal_to_requests() -> None:
    container = {
        "guaranteed": True,
        "template_cpu_limit": 1.0,
        "template_memory_limit": 512 * MIB,
        "limit_below_template": True,
    }
    sim = sized(cpu_limit=1.0, memory_limit=512 * MIB, container=container, target=None)
    sim.run(2400)
    assert sim.cpu == sim.cpu_limit < 0.2
    assert sim.memory == sim.memory_limit < 300 * MIB


def test_rule_08_guaranteed_memory_is_not_cut_without_the_opt_in_and_says_so() -> None:
    container = {"guaranteed": True, "template_cpu_limit": 1.0, "template_memory_limit": 512 * MIB}
    sim = sized(cpu_limit=1.0, memory_limit=512 * MIB, container=container, target=None)
    sim.run(2400)
    assert sim.memory == sim.memory_limit == 512 * MIB
    assert Reason.MEMORY_LIMIT_BELOW_TEMPLATE in limited(sim)


def test_a_saving_inside_the_dead_band_is_not_worth_a_word() -> None:
    for container in ({}, {"guaranteed": True, "template_cpu_limit": 1.0, "template_memory_limit": 32 * MIB}):
        sim = Simulator(
            rate=lambda t: 2.0,
            replicas=1,
            workload=FIXED,
            container=container,
            cpu=0.13,
            memory=128 * MIB,
            memory_need=98 * MIB,
            cpu_limit=0.13 if container else NAN,
            memory_limit=128 * MIB if container else NAN,
        )
        sim.learn_history(24, 0.1, 98 * MIB)
        for _ in range(10):
            sim.step()
            assert not limited(sim)
        assert sim.plan is not None
        assert sim.plan.containers.recommended_memory[0] == 113 * MIB  # a tenth less and more, but not 16 MiB
        assert not sim.decisions


def test_burstable_memory_is_never_said_to_be_held_by_the_template() -> None:
    sim = sized(cpu_limit=2.0, memory_limit=GIB, container={"template_memory_limit": GIB, "scale_limits": True})
    said = set()
    for _ in range(160):
        sim.step()
        said |= limited(sim)
    assert Reason.MEMORY_LIMIT_BELOW_TEMPLATE not in said


def test_of_a_large_fleet_in_its_dead_band_no_container_is_looked_at_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sim, count = sized(), 1000
    one = sim.observe()
    names = [f"c{n}" for n in range(count)]
    rows = [
        {"key": f"{KEY}/{name}", "name": name, "cpu": 0.027, "memory": 128 * MIB, "cpu_max": 4.0, "memory_max": GIB}
        for name in names
    ]
    samples = [
        {"container": n, "time": START - 300.0 * i, "cpu": 0.01, "memory": 98.2 * MIB, "span": 300.0}
        for i in range(30)
        for n in range(count)
    ]
    seen = replace(one, containers=Containers.of(rows), samples=Samples.of(samples))
    words: list[str] = []
    monkeypatch.setattr(Tick, "limit", lambda _tick, _w, reason, _message: words.append(reason))
    plan, _ = decide(seen, State(), sim.settings)
    assert (plan.containers.recommended_memory < 0.9 * 128 * MIB).all()
    assert words == []
    assert not plan.decisions


def test_a_container_without_a_request_is_never_given_one() -> None:
    sim = sized(cpu=NAN, memory=NAN)
    sim.run(600)
    assert not sim.decisions
    assert sim.plan is not None
    assert sim.plan.containers.recommended_cpu[0] > 0


def test_a_burstable_pod_never_becomes_guaranteed() -> None:
    sim = sized(cpu=0.05, cpu_limit=0.06, memory=64 * MIB, memory_limit=64 * MIB)
    for _ in range(20):
        sim.step()
        assert not (sim.cpu == sim.cpu_limit and sim.memory == sim.memory_limit)


def test_a_request_that_was_cut_early_follows_usage_up_again_as_early() -> None:
    load = [0.2]
    workload = {**FIXED, "min_history_seconds": 30.0, "verify_seconds": 15.0}
    sim = Simulator(rate=lambda t: load[0], replicas=1, workload=workload)
    assert sim.run(400, until=lambda s: s.cpu <= 0.2), "the user asked for 30 s of history, which is there"
    low = sim.cpu
    load[0] = 40.0
    sim.run(150)
    assert sim.cpu > 2 * low


def test_a_request_below_a_minimum_that_was_raised_is_told_as_the_constraint_not_as_usage() -> None:
    sim = sized(container={"memory_min": 300 * MIB})
    sim.cpu, sim.memory = 0.12, 240 * MIB
    sim.run(60)
    (made,) = (made for made in sim.decisions.values() if made.lever is Lever.MEMORY)
    assert (made.reason, made.after) == (Reason.OBEYED_CONSTRAINT, 300 * MIB)
    assert "below its smallest memory request" in made.message
