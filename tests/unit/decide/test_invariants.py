"""No plan ever leaves the constraints, whatever goes in."""

import copy
import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.decide.sameness import same
from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.decide.columns import Table
from trimtab.decide.engine import decide
from trimtab.decide.observation import Alerts, Containers, Knobs, Observation, Samples, Targets, Workloads
from trimtab.decide.plan import Plan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State

NAN, INF = math.nan, math.inf
MIB = 2.0**20
SETTINGS = Settings(raise_history=0.0, service_samples=1.0, throttle_samples=1)


def amounts(*usual: float) -> st.SearchStrategy[float]:
    """Mostly sensible numbers, sometimes nonsense."""
    return st.one_of(st.sampled_from(usual), st.sampled_from([NAN, INF, -INF, -1.0, 0.0, 1e-12, 1e18]))


kinds = st.sampled_from([int(kind) for kind in AnswerKind])
cores = amounts(0.05, 0.1, 0.5, 1.0, 2.0, 4.0)
sizes = amounts(64 * MIB, 128 * MIB, 200 * MIB + 1, 512 * MIB, 1024 * MIB, 4096 * MIB)
counts = st.integers(-1, 30)
flags = st.booleans()
policies = {
    "value": st.lists(amounts(1, 4, 10, 100), min_size=0, max_size=4),
    "percent": st.lists(flags, min_size=0, max_size=4),
    "period": st.lists(amounts(15, 60, 300), min_size=0, max_size=4),
}

workload = st.fixed_dictionaries(
    {
        "acting": st.sampled_from([True, True, True, False]),
        "due": st.sampled_from([True, True, False]),
        "rollout": st.sampled_from([False, False, False, True]),
        "window_closed": st.sampled_from([False, False, False, True]),
        "allowed": st.one_of(st.just([True] * 4), st.lists(flags, min_size=4, max_size=4)),
        "template": st.sampled_from(["", "a", "a", "a", "b"]),
        "replicas": st.integers(0, 30),
        "ready": st.integers(0, 30),
        "replicas_min": counts,
        "replicas_max": counts,
        "human_hold_until": amounts(0.0, 2e9),
        "arrival_rate": amounts(0.5, 10.0, 100.0),
        "cpu_usage": cores,
        "cpu_per_pod": cores,
        "target_utilization": amounts(0.7, 0.5),
        "verify_seconds": st.sampled_from([15.0, 30.0, 300.0]),
        "trial_seconds": st.sampled_from([15.0, 120.0]),
        "min_history_seconds": st.sampled_from([0.0, 30.0, 86400.0]),
        "moves_per_day": st.integers(0, 24),
        "resizes_per_day": st.integers(0, 48),
        "max_memory": amounts(512 * MIB, 2048 * MIB, INF),
        "extra_pods": st.integers(0, 1),
        "node_cpu": amounts(1.0, 8.0, INF),
        "node_memory": amounts(1024 * MIB, 64 * 1024 * MIB, INF),
        "up_window": amounts(0.0, 60.0),
        "down_window": amounts(0.0, 60.0, 300.0),
        "up_select": st.integers(0, 2),
        "down_select": st.integers(0, 2),
        **{f"up_{name}": values for name, values in policies.items()},
        **{f"down_{name}": values for name, values in policies.items()},
    }
)
container = st.fixed_dictionaries(
    {
        **dict.fromkeys(("template_cpu", "cpu", "cpu_min", "cpu_max", "template_cpu_limit", "cpu_limit"), cores),
        **dict.fromkeys(("template_memory", "memory", "memory_min", "memory_max"), sizes),
        **dict.fromkeys(("template_memory_limit", "memory_limit", "working_set", "oom_limit"), sizes),
        "cpu_allowed": flags,
        "memory_allowed": flags,
        "scale_limits": flags,
        "limit_below_template": flags,
        "guaranteed": flags,
        "throttled": amounts(0.0, 0.02, 0.5),
        "oom_at": amounts(0.0, 1.8e9 - 10, 1.8e9 + 10),
    }
)
target = st.fixed_dictionaries(
    {
        "kind": kinds,
        "value": amounts(0.1, 0.45, 0.6, 2.0),
        "age": amounts(0.0, 10.0, 1000.0),
        "limit": amounts(0.5, 0.5, 1.0),
        "higher_is_better": flags,
        "latency": flags,
    }
)
knob = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["Batch", "Concurrency", "Cache", "Pool"]),
        "value": st.integers(0, 100),
        "minimum": st.integers(0, 70),
        "maximum": st.integers(1, 70),
        "ceiling": amounts(8.0, 64.0, INF),
        "allowed": st.sampled_from([True, True, False]),
        "off_value": st.integers(0, 2),
        "trial": st.sampled_from([-1, -1, 4, 8, 16]),
        "trial_ready": flags,
        "trial_since": amounts(1.8e9, 1.8e9 + 15),
        **{name: amounts(0.1, 0.2, 0.4) for name in ("trial_latency", "base_latency", "trial_cost", "base_cost")},
    }
)
sample = st.fixed_dictionaries(
    {"cpu": cores, "memory": sizes, "span": amounts(15.0, 60.0), "age": amounts(0.0, 3600.0)}
)
alert = st.fixed_dictionaries({"kind": kinds, "value": amounts(0.1, 1.0), "threshold": amounts(0.5), "below": flags})
system = st.lists(
    st.tuples(
        workload,
        st.lists(container, max_size=3),
        st.lists(target, max_size=2),
        st.lists(knob, max_size=2),
        st.lists(sample, max_size=4),
        st.lists(alert, max_size=2),
    ),
    min_size=1,
    max_size=3,
)


def observation(rows: list[Any], now: float) -> Observation:
    """The tables of these rows; keys and owners are filled in."""
    workloads, containers, targets, knobs, samples, alerts = [], [], [], [], [], []
    for w, (top, of_containers, of_targets, of_knobs, of_samples, of_alerts) in enumerate(rows):
        key = f"ns/w{w}"
        workloads.append({**top, "key": key})
        for i, row in enumerate(of_containers):
            containers.append({**row, "key": f"{key}/c{i}", "name": f"c{i}", "workload": w})
            for one in of_samples:
                values = {name: one[name] for name in ("cpu", "memory", "span")}
                samples.append({**values, "container": len(containers) - 1, "time": now - one["age"]})
        targets += [{**row, "name": f"t{i}", "workload": w} for i, row in enumerate(of_targets)]
        knobs += [{**row, "key": f"{key}/k{i}", "name": f"k{i}", "workload": w} for i, row in enumerate(of_knobs)]
        alerts += [{**row, "name": f"a{i}", "workload": w} for i, row in enumerate(of_alerts)]
    return Observation(
        now,
        Workloads.of(workloads),
        Targets.of(targets),
        Containers.of(containers),
        Samples.of(samples),
        Knobs.of(knobs),
        Alerts.of(alerts),
    )


def finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values) & (values > 0), values, 0.0)


def total_memory(seen: Observation, plan: Plan | None) -> np.ndarray:
    """Σ over pods and trial pods of max(request, limit)."""
    c, w = seen.containers, seen.workloads
    request, limit = c.memory, np.where(np.isfinite(c.memory_limit), c.memory_limit, NAN)
    pods = w.replicas + w.extra_pods
    if plan is not None:
        moved = np.isfinite(plan.containers.memory)
        request = np.where(moved, plan.containers.memory, request)
        limit = np.where(moved, plan.containers.memory_limit, limit)
        trials = np.bincount(seen.knobs.workload[plan.knobs.trial >= 0], minlength=len(w))
        pods = np.where(plan.workloads.replicas >= 0, plan.workloads.replicas, w.replicas) + trials
    return np.bincount(c.workload, finite(np.fmax(request, limit)), len(w)) * pods


def check(seen: Observation, plan: Plan) -> None:
    """Every invariant of RULES 8, 9, 11, 12, 17 that one plan can show."""
    w, c, k = seen.workloads, seen.containers, seen.knobs
    for i in range(len(w)):
        now, new = int(w.replicas[i]), int(plan.workloads.replicas[i])
        if w.replicas_max[i] <= 0:
            assert new == -1
        elif not w.acting[i] or not w.allowed[i, 0] or now == 0:
            assert new == now
        else:
            assert new >= 1
            assert new <= max(now, int(w.replicas_max[i]))
            if new < now:
                assert new >= min(int(w.replicas_min[i]), int(w.replicas_max[i]))
        assert not (plan.workloads.met[i] and plan.workloads.missed[i])
    for lever, name, low, high, node in (
        (1, "cpu", c.cpu_min, c.cpu_max, w.node_cpu),
        (2, "memory", c.memory_min, c.memory_max, w.node_memory),
    ):
        new, limit = getattr(plan.containers, name), getattr(plan.containers, f"{name}_limit")
        old, old_limit = getattr(c, name), getattr(c, f"{name}_limit")
        assert not np.isinf(new).any()
        assert not np.isinf(limit).any()
        for i in np.flatnonzero(np.isfinite(new)).tolist():
            owner = c.workload[i]
            assert w.acting[owner]
            assert w.allowed[owner, lever]
            assert getattr(c, f"{name}_allowed")[i]
            assert math.isfinite(high[i])
            assert new[i] > 0
            assert math.isfinite(old[i])
            if new[i] > old[i]:
                assert new[i] <= high[i] * (1 + 1e-9)
                assert not node[owner] > 0 or new[i] <= node[owner] * (1 + 1e-9)
            if new[i] < old[i] and low[i] <= high[i] and math.isfinite(low[i]):
                assert new[i] >= min(low[i], node[owner] if node[owner] > 0 else INF, old[i]) * (1 - 1e-9)
            assert math.isfinite(limit[i]) == math.isfinite(old_limit[i])
            if math.isfinite(limit[i]):
                assert limit[i] >= new[i] * (1 - 1e-9)
                if c.guaranteed[i]:
                    assert limit[i] == new[i]
                if name == "memory" and limit[i] < old_limit[i]:
                    assert limit[i] >= c.working_set[i]
        moved = np.isfinite(new)
        asked = np.bincount(c.workload, finite(np.where(moved, new, old)), len(w))
        had = np.bincount(c.workload, finite(old), len(w))
        bound = np.where(node > 0, node, INF)
        grown = np.bincount(c.workload, moved & (new > old), len(w)) > 0
        assert ((asked <= bound * (1 + 1e-9)) | (asked <= had * (1 + 1e-9)) | ~grown).all()
    before, after = total_memory(seen, None), total_memory(seen, plan)
    ceiling = np.where(w.max_memory > 0, w.max_memory, INF)
    assert ((after <= ceiling * (1 + 1e-6)) | (after <= before * (1 + 1e-6))).all()
    for i in range(len(k)):
        usable = math.isfinite(k.ceiling[i]) and k.ceiling[i] > 0
        most = min(int(k.maximum[i]), math.floor(k.ceiling[i]) if usable else 10**9)
        least = min(int(k.minimum[i]), most)
        value, wanted, trial = int(k.value[i]), int(plan.knobs.value[i]), int(plan.knobs.trial[i])
        if not w.acting[k.workload[i]] or not w.allowed[k.workload[i], 3] or not k.allowed[i]:
            assert (wanted, trial) == (value, -1)
        assert min(least, value) <= wanted <= max(most, value)
        assert trial == -1 or least <= trial <= most
        assert trial >= 0 or not plan.knobs.keep_trial[i]
    for made in plan.decisions:
        assert math.isfinite(made.before)
        assert math.isfinite(made.after)
        assert all(math.isfinite(value) for value in made.inputs.values())
        row = list(w.key).index(made.workload)
        if made.time == seen.now and made.reason in (Reason.CUT_UNUSED, Reason.SCALED_DOWN, Reason.KNOB_TRIAL_STARTED):
            assert not w.rollout[row]
            assert not w.window_closed[row]
            if made.reason is not Reason.KNOB_TRIAL_STARTED:
                assert plan.workloads.met[row]
                assert made.after >= made.before * 0.5 - 1


def arrays(table: Table) -> list[np.ndarray]:
    return [getattr(table, f.name) for f in fields(table)]


def follow(seen: Observation, plan: Plan) -> Observation:
    """The observation of a cluster that carried the plan out."""
    w, c, k = seen.workloads.copy(), seen.containers.copy(), seen.knobs.copy()
    w.replicas[:] = np.where(plan.workloads.replicas >= 0, plan.workloads.replicas, w.replicas)
    for name in ("cpu", "memory", "cpu_limit", "memory_limit"):
        new = getattr(plan.containers, name)
        getattr(c, name)[np.isfinite(new)] = new[np.isfinite(new)]
    k.value[:], k.trial[:] = plan.knobs.value, plan.knobs.trial
    return replace(seen, workloads=w, containers=c, knobs=k)


@pytest.mark.long
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(system, min_size=1, max_size=4), flags)
def test_no_plan_leaves_the_constraints_whatever_is_observed(ticks: list[Any], obedient: bool) -> None:
    state, now = State(), 1.8e9
    last: tuple[Observation, Plan] | None = None
    for rows in ticks:
        seen = observation(rows, now)
        if obedient and last is not None:
            seen = replace(follow(*last), now=now)
        plan, state = decide(seen, state, SETTINGS)
        check(seen, plan)
        last, now = (seen, plan), now + 15.0


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(system, st.integers(3, 30))
def test_a_cluster_that_obeys_never_leaves_the_constraints(rows: list[Any], ticks: int) -> None:
    state, now = State(), 1.8e9
    seen = observation(rows, now)
    for _ in range(ticks):
        plan, state = decide(seen, state, SETTINGS)
        check(seen, plan)
        now += 15.0
        seen = replace(follow(seen, plan), now=now, samples=replace(seen.samples, time=seen.samples.time + 15.0))


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(system, min_size=1, max_size=3))
def test_inputs_are_never_changed_and_the_same_inputs_give_the_same_outputs(ticks: list[Any]) -> None:
    state, now = State(), 1.8e9
    for rows in ticks:
        seen = observation(rows, now)
        kept_seen, kept_state = copy.deepcopy(seen), copy.deepcopy(state)
        first, after = decide(seen, state, SETTINGS)
        second, again = decide(kept_seen, kept_state, SETTINGS)
        for mine, theirs in (
            (seen, kept_seen),
            (state, kept_state),
            (first, second),
            (after, again),
        ):
            assert same(mine, theirs)
        state, now = after, now + 15.0
