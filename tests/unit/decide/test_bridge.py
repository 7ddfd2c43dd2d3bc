"""CPU lent to running pods while new ones start: when, how much, and that it always comes back."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.decide.engine import decide
from trimtab.decide.observation import Containers, Observation, Targets, Workloads
from trimtab.decide.plan import Plan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State

pytestmark = pytest.mark.long

NOW = 1_800_000_000.0
NAN, INF = math.nan, math.inf
GIB = 2.0**30
UP = {"up_value": [4, 100], "up_percent": [False, True], "up_period": [15, 15]}

WORKLOAD: dict[str, Any] = {
    "key": "shop/api",
    "template": "t1",
    "acting": True,
    "allowed": [True] * 4,
    "replicas": 4,
    "ready": 4,
    "replicas_min": 1,
    "replicas_max": 20,
    "cpu_usage": 5.6,
    "cpu_per_pod": 1.0,
    "node_cpu": 16.0,
    "node_free_cpu": 2.0,
    **UP,
}
CONTAINER: dict[str, Any] = {
    "key": "shop/api/app",
    "name": "app",
    "template_cpu": 1.0,
    "template_cpu_limit": 1.0,
    "template_memory": GIB,
    "template_memory_limit": 2 * GIB,
    "cpu": 1.0,
    "cpu_limit": 1.0,
    "memory": GIB,
    "memory_limit": 2 * GIB,
    "cpu_max": 4.0,
    "memory_max": 8 * GIB,
}
TARGET: dict[str, Any] = {
    "name": "p95",
    "kind": int(AnswerKind.VALUE),
    "value": 0.4,
    "age": 0.0,
    "limit": 0.5,
}


def seen(now: float = NOW, workload: Any = None, container: Any = None, target: Any = None) -> Observation:
    return Observation(
        now=now,
        workloads=Workloads.of([WORKLOAD | (workload or {})]),
        containers=Containers.of([CONTAINER | (container or {})]),
        targets=Targets.of([TARGET | (target or {})]),
    )


def plan_of(observation: Observation, settings: Settings | None = None, state: State | None = None) -> Plan:
    return decide(observation, state or State(), settings or Settings())[0]


def lent(plan: Plan) -> float:
    return float(plan.containers.lent[0])


def on_loan(cores: float, *, since: float = 100.0, left: float = 500.0, borrowers: int = 4) -> dict[str, Any]:
    """Columns of a container whose pods have a loan."""
    return {"lent": cores, "lent_before": NOW - since, "lent_until": NOW + left, "borrowers": borrowers}


def test_a_surge_lends_what_the_missing_pods_would_carry_to_each_pod_that_is_ready() -> None:
    plan = plan_of(seen())
    assert plan.workloads.replicas[0] == 8
    assert lent(plan) == pytest.approx(1.0)  # 8 pods' worth of load on 4 pods of 1 core
    assert plan.containers.lent_before[0] == math.floor(NOW)
    assert plan.containers.lent_until[0] == NOW + Settings().bridge_seconds
    assert Reason.SURGE_BRIDGED in {d.reason for d in plan.decisions}


def test_the_set_points_of_new_pods_stay_as_they_are() -> None:
    plan = plan_of(seen())
    assert np.isnan(plan.containers.cpu[0])
    assert np.isnan(plan.containers.cpu_limit[0])


def test_no_more_than_half_of_what_the_fullest_node_has_free_is_lent() -> None:
    assert lent(plan_of(seen(workload={"node_free_cpu": 0.5}))) == pytest.approx(0.25)


def test_no_container_is_lent_more_than_its_largest_request_allows() -> None:
    assert lent(plan_of(seen(container={"cpu_max": 1.3}))) == pytest.approx(0.3)


@pytest.mark.parametrize("free", [NAN, 0.0, -1.0, INF])
def test_nothing_is_lent_while_the_room_on_the_nodes_is_not_known(free: float) -> None:
    assert np.isnan(lent(plan_of(seen(workload={"node_free_cpu": free}))))


@pytest.mark.parametrize(
    "columns",
    [
        {"acting": False},
        {"allowed": [True, False, True, True]},
        {"cpu_usage": NAN},
        {"ready": 0},
        {"cpu_usage": 2.8},
    ],
    ids=["paused", "another controller has the CPU", "no metric", "no pod is ready", "no surge"],
)
def test_nothing_is_lent(columns: dict[str, Any]) -> None:
    plan = plan_of(seen(workload=columns))
    assert np.isnan(lent(plan))
    assert Reason.SURGE_BRIDGED not in {d.reason for d in plan.decisions}


def test_nothing_is_lent_where_no_new_pod_may_come() -> None:
    assert np.isnan(lent(plan_of(seen(workload={"replicas_max": 4}))))


def test_a_container_without_a_cpu_limit_needs_no_loan() -> None:
    none = {"cpu_limit": NAN, "template_cpu_limit": NAN}
    assert np.isnan(lent(plan_of(seen(container=none))))


def test_the_loan_goes_back_in_step_with_the_new_pods_readiness() -> None:
    on_the_way = {"replicas": 8, "cpu_usage": 5.6}
    amounts = []
    for ready in (4, 5, 6, 7, 8):
        plan = plan_of(seen(workload={**on_the_way, "ready": ready}, container=on_loan(1.0)))
        amounts.append(1.0 if np.isnan(lent(plan)) else lent(plan))
    assert amounts == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0])


def test_a_loan_that_has_just_grown_is_left_alone_for_a_moment() -> None:
    plan = plan_of(seen(workload={"replicas": 8, "ready": 6}, container=on_loan(1.0, since=10.0)))
    assert np.isnan(lent(plan))


def test_the_return_is_told() -> None:
    plan = plan_of(seen(workload={"replicas": 8, "ready": 8}, container=on_loan(1.0)))
    (made,) = [d for d in plan.decisions if d.reason is Reason.BRIDGE_RETURNED]
    assert lent(plan) == 0.0
    assert (made.before, made.after) == (2.0, 1.0)


@pytest.mark.parametrize("usage", [5.6, NAN, 0.0], ids=["surge goes on", "metrics lost", "metrics wrong"])
def test_a_loan_ends_when_its_time_is_over_whatever_is_known(usage: float) -> None:
    over = on_loan(1.0, since=700.0, left=-1.0)
    plan, state = decide(
        seen(workload={"replicas": 8, "ready": 4, "cpu_usage": usage}, container=over), State(), Settings()
    )
    assert lent(plan) == 0.0
    later = seen(now=NOW + 15, workload={"replicas": 8, "ready": 4})
    assert np.isnan(lent(plan_of(later, state=state)))  # and does not begin anew at once


@pytest.mark.parametrize("usage", [NAN, 0.0], ids=["lost", "wrong"])
def test_missing_numbers_take_nothing_back_before_its_time(usage: float) -> None:
    plan = plan_of(
        seen(workload={"replicas": 8, "ready": 6, "cpu_usage": usage, "node_free_cpu": NAN}, container=on_loan(1.0))
    )
    assert np.isnan(lent(plan))


def test_a_restart_finds_the_loan_in_what_is_seen_and_hands_it_back() -> None:
    fresh = State()
    plan, fresh = decide(seen(workload={"replicas": 8, "ready": 4}, container=on_loan(1.0)), fresh, Settings())
    assert np.isnan(lent(plan))
    plan, _ = decide(
        seen(now=NOW + 15, workload={"replicas": 8, "ready": 8}, container=on_loan(1.0)), fresh, Settings()
    )
    assert lent(plan) == 0.0


def test_savings_wait_while_something_is_lent() -> None:
    calm = {"replicas": 8, "ready": 8, "cpu_usage": 1.0}
    with_loan = seen(workload=calm, container=on_loan(0.5, since=5.0))
    assert plan_of(with_loan).workloads.replicas[0] == 8


def test_saturated_pods_that_miss_the_target_are_doubled() -> None:
    plan = plan_of(seen(workload={"cpu_usage": 3.96, "replicas": 5}, target={"value": 2.0}))
    assert lent(plan) == pytest.approx(1.0)


def test_throttling_that_the_surge_explains_asks_for_no_lasting_limit() -> None:
    state = State()
    for tick in range(6):
        surge = seen(now=NOW + 15 * tick, workload={"node_free_cpu": 4.0}, container={"throttled": 0.4})
        plan, state = decide(surge, state, Settings())
        assert Reason.RAISED_FOR_THROTTLING not in {d.reason for d in plan.decisions}


def test_a_bridge_of_no_seconds_is_none() -> None:
    assert np.isnan(lent(plan_of(seen(), replace(Settings(), bridge_seconds=0.0))))


def test_containers_of_one_pod_share_the_room_by_their_limits() -> None:
    both = [CONTAINER, CONTAINER | {"key": "shop/api/side", "name": "side", "cpu": 0.5, "cpu_limit": 0.5}]
    observation = replace(seen(workload={"node_free_cpu": 0.6, "cpu_per_pod": 1.5}), containers=Containers.of(both))
    assert plan_of(observation).containers.lent.tolist() == pytest.approx([0.2, 0.1])


amount = st.one_of(st.just(NAN), st.just(INF), st.just(0.0), st.floats(-1.0, 64.0))


@examples(deadline=None)
@given(
    workload=st.fixed_dictionaries(
        {
            "replicas": st.integers(1, 12),
            "ready": st.integers(0, 12),
            "replicas_max": st.integers(0, 12),
            "cpu_usage": amount,
            "arrival_rate": amount,
            "cpu_per_pod": amount,
            "node_free_cpu": amount,
            "node_cpu": st.sampled_from([INF, 0.0, 2.0, 16.0]),
            "acting": st.booleans(),
            "allowed": st.lists(st.booleans(), min_size=4, max_size=4),
        }
    ),
    container=st.fixed_dictionaries(
        {
            "cpu": amount,
            "cpu_limit": amount,
            "cpu_max": amount,
            "throttled": st.one_of(st.just(NAN), st.floats(0.0, 1.0)),
            "lent": st.sampled_from([0.0, 0.25, 1.0]),
            "lent_before": st.sampled_from([NOW - 300.0, NOW - 5.0]),
            "lent_until": st.sampled_from([NOW - 1.0, NOW + 300.0]),
            "borrowers": st.integers(0, 12),
            "cpu_allowed": st.booleans(),
            "guaranteed": st.booleans(),
            "scale_limits": st.booleans(),
        }
    ),
    latency=st.sampled_from([0.1, 2.0, NAN, 0.0]),
)
def test_whatever_is_seen_a_loan_stays_inside_room_bounds_and_time(
    workload: dict[str, Any], container: dict[str, Any], latency: float
) -> None:
    observation = seen(workload=workload, container=container, target={"value": latency})
    plan = plan_of(observation)
    without = plan_of(observation, replace(Settings(), bridge_seconds=0.0))
    had, new = container["lent"], lent(plan)
    movable = workload["acting"] and workload["allowed"][1] and container["cpu_allowed"]
    assert plan.containers.memory.tolist() == pytest.approx(without.containers.memory.tolist(), nan_ok=True)
    assert plan.workloads.replicas.tolist() == without.workloads.replicas.tolist()
    if np.isnan(new):
        return
    assert movable
    assert new >= 0.0
    if had > 0 and container["lent_until"] <= NOW:
        assert new == 0.0
    if new <= had:
        return
    room = workload["node_free_cpu"]
    assert math.isfinite(room)
    assert room > 0
    assert new <= had + room + 1e-9
    request = container["cpu"] if np.isnan(plan.containers.cpu[0]) else float(plan.containers.cpu[0])
    assert request + new <= container["cpu_max"] + 1e-9
    if workload["node_cpu"] > 0:
        assert request + new <= workload["node_cpu"] + 1e-9
    assert plan.containers.lent_until[0] <= NOW + Settings().bridge_seconds


@examples(deadline=None, max_examples=25)
@given(st.data())
def test_every_loan_is_handed_back_within_its_time(data: st.DataObject) -> None:
    settings, state = Settings(), State()
    cores, before, until, since = 0.0, 0.0, 0.0, NAN
    ready, replicas = 4, 4
    for tick in range(60):
        now = NOW + 15.0 * tick
        ready = data.draw(st.integers(min(ready, replicas), replicas))
        usage = data.draw(st.sampled_from([NAN, 2.0, 5.6, 9.0]))
        free = data.draw(st.sampled_from([NAN, 0.0, 1.0, 4.0]))
        columns = {"replicas": replicas, "ready": ready, "cpu_usage": usage, "node_free_cpu": free}
        loan = {"lent": cores, "lent_before": before, "lent_until": until, "borrowers": min(4, ready) if cores else 0}
        plan, state = decide(seen(now, columns, loan), state, settings)
        replicas = max(int(plan.workloads.replicas[0]), 1)
        if not np.isnan(lent(plan)):
            cores = lent(plan)
            before, until = float(plan.containers.lent_before[0]), float(plan.containers.lent_until[0])
        since = NAN if cores <= 0 else (now if math.isnan(since) else since)
        assert math.isnan(since) or now - since <= settings.bridge_seconds + 15.0
