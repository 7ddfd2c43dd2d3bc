"""What throttling asked for is not counted as capacity, and what can't be is not known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.decide.simulator import NAN, START, Simulator
from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.decide.burst import sustained, without_bursts
from trimtab.decide.engine import decide
from trimtab.decide.observation import Containers, Observation, Targets, Workloads
from trimtab.decide.plausible import plausible
from trimtab.decide.settings import Settings
from trimtab.decide.state import State, align


def seen(container: dict[str, Any] | None = None, **workload: Any) -> Observation:
    row = {"key": "shop/api", "ready": 3, "replicas": 3, "cpu_per_pod": 4.0} | workload
    held = {"key": "shop/api/app", "name": "app", "cpu": 1.0, "cpu_limit": 4.0} | (container or {})
    return Observation(START, workloads=Workloads.of([row]), containers=Containers.of([held]))


def state_of(observation: Observation, base: float, until: float = START + 60.0) -> State:
    state = align(State(), observation, Settings())
    state.containers.burst_base[0], state.containers.throttle_until[0] = base, until
    return state


def test_a_pod_carries_what_it_did_before_throttling_was_answered() -> None:
    observation = seen()
    assert without_bursts(observation, state_of(observation, 2.0)).workloads.cpu_per_pod[0] == 2.0


def test_a_pod_carries_at_least_what_it_requests_where_the_limit_alone_was_raised() -> None:
    observation = seen({"cpu": 3.0})
    assert without_bursts(observation, state_of(observation, 2.0)).workloads.cpu_per_pod[0] == 3.0


def test_where_request_and_limit_are_linked_both_hold_room_for_bursts() -> None:
    observation = seen({"cpu": 4.0, "guaranteed": True})
    assert without_bursts(observation, state_of(observation, 2.0)).workloads.cpu_per_pod[0] == 2.0


def test_other_containers_of_the_pod_count_whole() -> None:
    observation = seen(cpu_per_pod=4.5)
    assert without_bursts(observation, state_of(observation, 2.0)).workloads.cpu_per_pod[0] == 2.5


def test_when_the_floor_of_throttling_is_over_the_limit_counts_again() -> None:
    observation = seen()
    state = state_of(observation, 2.0, until=START - 1.0)
    assert without_bursts(observation, state).workloads.cpu_per_pod[0] == 4.0


def test_a_container_without_a_limit_has_no_sustained_size() -> None:
    observation = seen({"cpu_limit": NAN})
    assert np.isnan(sustained(observation, state_of(observation, NAN))[0])


def test_the_first_raise_against_throttling_is_remembered_and_replicas_do_not_fall_for_it() -> None:
    simulator = Simulator(
        replicas=6,
        cpu=1.0,
        cpu_limit=1.0,
        burst=2.0,
        rate=lambda t: 84.0,
        service=lambda knob: 0.05,
        container={"cpu_max": 8.0, "template_cpu_limit": 1.0},
    )
    simulator.run(1800)
    raised = [d for d in simulator.decisions.values() if d.reason is Reason.RAISED_FOR_THROTTLING]
    assert raised
    assert simulator.cpu_limit > 1.5
    assert simulator.state.containers.burst_base[0] == 1.0
    assert simulator.replicas >= 5


def test_after_a_restart_the_first_raise_in_the_journal_says_what_a_pod_carries() -> None:
    simulator = Simulator(cpu=1.0, cpu_limit=1.0, burst=2.0, container={"template_cpu_limit": 1.0})
    simulator.run(300)
    raised = [d for d in simulator.decisions.values() if d.reason is Reason.RAISED_FOR_THROTTLING]
    assert min(d.inputs["limitBefore"] for d in raised) == 1.0


@pytest.mark.parametrize(("usage", "known"), [(0.0, False), (-1.0, False), (0.001, True), (2.0, True)])
def test_ready_pods_that_use_no_cpu_at_all_are_a_broken_metric(usage: float, known: bool) -> None:
    assert np.isfinite(plausible(seen(cpu_usage=usage)).workloads.cpu_usage[0]) == known


def test_without_ready_pods_no_cpu_is_used() -> None:
    assert plausible(seen(cpu_usage=0.0, ready=0)).workloads.cpu_usage[0] == 0.0


def test_a_rate_of_nothing_is_no_traffic_and_a_negative_one_is_not_known() -> None:
    assert plausible(seen(arrival_rate=0.0, cpu_usage=0.1)).workloads.arrival_rate[0] == 0.0
    assert np.isnan(plausible(seen(arrival_rate=-5.0, cpu_usage=0.1)).workloads.arrival_rate[0])


@pytest.mark.parametrize(("latency", "kind"), [(True, AnswerKind.NAN), (False, AnswerKind.VALUE)])
def test_an_answer_that_took_no_time_is_not_known(latency: bool, kind: AnswerKind) -> None:
    target = {"name": "p95", "kind": int(AnswerKind.VALUE), "value": 0.0, "limit": 1.0, "latency": latency}
    observation = replace(seen(), targets=Targets.of([target]))
    assert plausible(observation).targets.kind[0] == int(kind)


def test_what_is_plausible_is_handed_through_as_it_is() -> None:
    observation = seen(cpu_usage=1.0, arrival_rate=3.0)
    assert plausible(observation) is observation


def test_a_series_of_zeros_does_not_scale_down() -> None:
    state, settings = State(), Settings()
    row: dict[str, Any] = {
        "acting": True,
        "allowed": [True] * 4,
        "replicas_min": 1,
        "replicas_max": 9,
        "down_window": 0.0,
    }
    row |= {"down_value": [100], "down_percent": [True], "down_period": [15], "cpu_usage": 0.0, "arrival_rate": 0.0}
    for tick in range(40):
        observation = replace(seen(**row), now=START + 15.0 * tick)
        plan, state = decide(observation, state, settings)
        assert plan.workloads.replicas[0] == 3
