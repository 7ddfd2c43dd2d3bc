"""A metric that changes its unit: what comes of it, metric by metric. None of it lowers capacity."""

import numpy as np
import pytest

from tests.unit.decide.estimator.playing import MIDNIGHT
from tests.unit.decide.simulator import MIB, Simulator, cuts, sized
from trimtab.api.reasons import Reason
from trimtab.decide.estimator import memory
from trimtab.decide.estimator.table import Levels
from trimtab.decide.settings import Settings

pytestmark = pytest.mark.long

HOUR = 3600.0


def test_seconds_that_are_told_where_milliseconds_were_are_doubted_and_cut_nothing_for_six_hours() -> None:
    sim = Simulator(rate=lambda t: 30.0, tick=60.0, replicas=4, target=500.0, override={"target": {"value": 400.0}})
    sim.run(2 * HOUR)
    sim.cpu, size = 1.0, sim.replicas
    before = len(cuts(sim))
    sim.override["target"] = {"value": 0.4}
    sim.run(5.9 * HOUR)
    assert sim.replicas >= size
    assert sim.cpu == 1.0
    assert len(cuts(sim)) == before
    assert sim.plan is not None
    assert not sim.plan.workloads.met[0]
    assert Reason.LATENCY_UNKNOWN in {remark.reason for remark in sim.plan.remarks[0]}
    sim.run(0.5 * HOUR)
    assert sim.plan.workloads.met[0], "what lasts is believed"


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_a_missed_target_is_told_in_the_unit_of_its_metric(unit: str) -> None:
    target = {"value": 900.0, "unit": unit}
    sim = Simulator(rate=lambda t: 2.0, replicas=2, target=500.0, override={"target": target})
    sim.run(600)
    assert any(f"900 {unit} is above its target 500 {unit}" in made.message for made in sim.decisions.values())


def test_a_latency_that_comes_down_from_a_jam_is_believed_at_once() -> None:
    sim = Simulator(rate=lambda t: 2.0, override={"target": {"value": 60.0}})
    sim.run(300)
    sim.override["target"] = {"value": 0.02}
    plan = sim.step()
    assert plan.workloads.met[0]


def test_milliseconds_that_are_told_where_seconds_were_are_a_missed_target_and_lower_nothing() -> None:
    sim = sized(workload={"replicas_max": 6}, override={"target": {"value": 0.3}})
    sim.run(60)
    sim.override["target"] = {"value": 300.0}
    cpu, size, memory_ = sim.cpu, sim.replicas, sim.memory
    for _ in range(480):
        sim.step()
        assert sim.replicas >= size
        assert sim.replicas <= 6
        assert sim.cpu >= cpu
        assert sim.memory >= memory_


def test_bytes_that_are_told_as_kibibytes_lower_no_level_of_memory_for_a_week() -> None:
    table, rows = Levels.blank(1), np.array([0])
    for i in range(24):
        memory.learn(table, rows, np.array([MIDNIGHT + 8 * HOUR * i]), np.array([200.0 * MIB]), Settings())
    before = float(table.memory[0])
    for i in range(24, 24 + 21):
        memory.learn(table, rows, np.array([MIDNIGHT + 8 * HOUR * i]), np.array([0.2 * MIB]), Settings())
        assert table.memory[0] >= before


def test_kibibytes_that_are_told_as_bytes_raise_no_request_past_its_bound() -> None:
    sim = sized(container={"memory_max": 1024.0 * MIB})
    sim.memory_need = 200 * 1024 * MIB
    sim.run(600)
    assert 512 * MIB <= sim.memory <= 1024 * MIB


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_an_arrival_rate_in_another_unit_takes_no_pods_that_cpu_shows_to_be_needed(factor: float) -> None:
    sim = Simulator(rate=lambda t: 60.0, replicas=5)
    sim.run(HOUR)
    needed = sim.replicas
    sim.override["workload"] = {"arrival_rate": 60.0 * factor}
    sim.tick = 30.0
    for _ in range(240):
        sim.step()
        assert sim.replicas >= min(needed, 4)
        assert sim.replicas <= 20


def test_millicores_that_are_told_as_cores_raise_no_request_past_its_bound() -> None:
    sim = sized()
    observe = sim.observe

    def wrong() -> object:
        seen = observe()
        seen.samples.cpu[:] *= 1000.0
        return seen

    sim.observe = wrong  # type: ignore[method-assign, assignment]
    sim.run(600)
    assert 1.0 <= sim.cpu <= 4.0
