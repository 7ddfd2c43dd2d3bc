"""What a pod carries: cost of a request, learned utilisation, and the replicas that follow."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.decide.simulator import NAN, START, Simulator
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide import capacity
from trimtab.decide.observation import Workloads
from trimtab.decide.settings import Settings
from trimtab.decide.standing import LoadMemory
from trimtab.decide.state import WorkloadState

pytestmark = pytest.mark.long

SETTINGS = Settings()
OWN = {"down_window": NAN}
"""No stabilisation window is set: the engine's own."""


FIXED = {"cpu_max": NAN, "memory_max": NAN}
"""Requests are not tuned: replicas alone move."""


def steady(rate: float, **more: Any) -> Simulator:
    return Simulator(rate=lambda t: rate, workload={"startup_seconds": 45.0, **OWN}, container=FIXED, **more)


def carries(sim: Simulator) -> float:
    return float(sim.state.standing.loads.carries[0])


def test_a_workload_begins_at_the_utilisation_that_was_wished_for_once_its_load_is_known_to_be_calm() -> None:
    w, held = Workloads.blank(1), LoadMemory.blank(1)
    capacity.begin(w, held, SETTINGS)
    known = np.ones(1, dtype=bool)
    calm = capacity.utilization(w, held, np.array([SETTINGS.carry_margin]), known, SETTINGS)
    assert calm[0] == pytest.approx(0.7)
    wild = capacity.utilization(w, held, np.array([0.9]), known, SETTINGS)
    assert wild[0] == pytest.approx(0.7 * SETTINGS.young_least)
    held.errors[:] = 10.0
    assert capacity.utilization(w, held, np.array([0.9]), known, SETTINGS)[0] < wild[0]


def test_while_pods_meet_the_target_with_room_they_are_given_more() -> None:
    sim = steady(200.0, replicas=15, tick=30.0, floor=lambda knob: 0.03)  # ten cores' worth
    sim.run(3 * 3600)
    assert sim.replicas <= 13
    assert sim.latency(0) < 0.5


def test_idle_pods_prove_nothing_about_what_a_pod_carries() -> None:
    sim = Simulator(rate=lambda t: 20.0, replicas=4, workload={"replicas_min": 4, "startup_seconds": 45.0, **OWN})
    sim.run(60)
    before = carries(sim)
    sim.run(1800)
    assert carries(sim) == before


def test_without_a_latency_target_no_pod_is_planned_beyond_the_wish() -> None:
    sim = steady(200.0, replicas=15, tick=30.0, target=None)
    sim.run(3 * 3600)
    assert sim.replicas >= 10.0 / 0.7 - 1


def test_a_utilisation_that_a_person_set_is_the_most() -> None:
    sim = steady(200.0, replicas=15, tick=30.0)
    sim.workload["utilization_fixed"] = True
    sim.run(3 * 3600)
    assert sim.replicas >= 10.0 / 0.7 - 1


class Queued(Simulator):
    """Latency is missed from 60% of the CPU on, whatever the margin says."""

    def latency(self, value: int) -> float:
        load = self.rate(self.now) / max(self.ready, 1) * self.service(value)
        return 0.1 if load < 0.5 else 0.42 if load < 0.6 else 0.6


def test_pods_that_come_near_the_target_at_what_was_planned_are_given_less_in_bounded_steps() -> None:
    sim = Queued(rate=lambda t: 200.0, replicas=15, workload={"startup_seconds": 45.0, **OWN}, container=FIXED)
    sim.run(60)
    before = carries(sim)
    sim.run(2 * 3600)
    assert carries(sim) < before
    assert carries(sim) >= SETTINGS.carry_least * before
    assert sim.latency(0) < 0.5


def test_pods_that_are_too_few_say_nothing_about_what_a_pod_carries() -> None:
    sim = steady(50.0, replicas=4, startup=600.0)
    sim.run(900)
    known = carries(sim)
    sim.rate = lambda t: 250.0
    sim.run(300)
    assert sim.latency(0) > 0.5
    assert carries(sim) >= known - 1e-9


@pytest.mark.parametrize("ratio", [NAN, 0.0])
def test_a_latency_that_is_not_known_teaches_nothing(ratio: float) -> None:
    sim = steady(200.0, replicas=15)
    sim.run(300)
    sim.override["target"] = {"value": ratio, "age": 1e4}
    sim.step()
    before = carries(sim)
    sim.run(900)
    assert carries(sim) == before


def test_the_cost_of_a_request_that_rises_counts_at_once() -> None:
    sim = steady(60.0, replicas=6)
    sim.run(1800)
    before = sim.replicas
    sim.service = lambda knob: 0.10
    sim.run(120)
    assert sim.replicas > before


def test_the_cost_is_the_mean_of_cpu_over_requests_and_falls_slowly() -> None:
    w, held = Workloads.blank(1), WorkloadState.blank(1)
    held.cost_cpu[:], held.cost_rate[:], held.cost_count[:] = 50.0, 1000.0, 20.0
    w.arrival_rate[:], w.cpu_usage[:] = 100.0, 1.0
    assert capacity.cost(w, held, SETTINGS)[0] == pytest.approx(0.05)
    w.cpu_usage[:] = 6.0
    assert capacity.cost(w, held, SETTINGS)[0] == pytest.approx(0.06)
    held.cost_count[:] = 1.0
    assert np.isnan(capacity.cost(w, held, SETTINGS)[0])


def test_a_load_that_falls_for_seconds_only_removes_nothing() -> None:
    sim = steady(100.0, replicas=8)
    sim.run(2 * 3600)
    before = sim.replicas
    sim.rate = lambda t: 60.0 if (t // 30) % 8 == 0 else 100.0
    start = sim.now
    sim.run(3600)
    assert min(replicas for time, replicas, _ in sim.log if time >= start) >= before - 1


def test_a_large_fall_is_followed_sooner_than_a_small_one() -> None:
    def waited(rate: float) -> float:
        sim = steady(200.0, replicas=14, tick=15.0)
        sim.run(3600)
        before, start = sim.replicas, sim.now
        sim.rate = lambda t: rate
        assert sim.run(3600, until=lambda s: s.replicas < before)
        return sim.now - start

    assert waited(60.0) < waited(160.0)


def test_a_raise_for_load_that_is_in_force_does_not_hold_back_the_next_fall() -> None:
    sim = steady(60.0, replicas=4)
    sim.run(3600)
    sim.rate = lambda t: 200.0
    assert sim.run(600, until=lambda s: s.replicas >= 10 and s.ready == s.replicas)
    sim.run(30)
    sim.rate = lambda t: 60.0
    top = sim.replicas
    assert sim.run(240, until=lambda s: s.replicas < top)
    ended = [m for m in sim.decisions.values() if m.reason is Reason.SCALED_UP]
    assert ended[-1].outcome in (OutcomeState.CONFOUNDED, OutcomeState.KEPT)


def test_pods_are_asked_for_before_the_load_that_needs_them() -> None:
    sim = Simulator(
        rate=lambda t: 100.0 * (1.0 + 0.5 * math.sin((t - START) / 1200.0)),
        replicas=8,
        startup=150.0,
        workload={"startup_seconds": 150.0, **OWN},
        container=FIXED,
    )
    sim.run(3600)
    busy = []
    for _ in range(240):
        sim.step()
        busy.append(sim.rate(sim.now) * 0.05 / max(sim.ready, 1))
    assert max(busy) < 0.95
    assert np.mean(busy) > 0.5


@settings(max_examples=15, deadline=None)
@given(st.floats(5, 300), st.floats(1.05, 3.0), st.floats(0.01, 0.2))
def test_more_load_never_asks_for_fewer_pods(rate: float, more: float, cost: float) -> None:
    wanted = []
    for load in (rate, rate * more):
        sim = steady(load, replicas=10, service=lambda knob: cost)
        sim.override["workload"] = {"acting": False, "replicas_max": 1000}
        for _ in range(20):
            plan = sim.step()
        wanted.append(int(plan.workloads.recommended_replicas[0]))
    assert wanted[0] <= wanted[1]
