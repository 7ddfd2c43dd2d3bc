"""Thousands of states at the bounds, NaN, inverted, out of range: no move that a constraint forbids, twice the same."""

from dataclasses import fields

import numpy as np
import pytest

from bench.constraints import bytes_of, episode, run
from bench.forbidden import Audit
from bench.states import EAGER, States
from tests.unit.decide.sameness import same
from trimtab.decide.columns import Table
from trimtab.decide.engine import decide
from trimtab.decide.observation import Observation, Samples
from trimtab.decide.plan import Plan
from trimtab.decide.state import State

NOW = 1.8e9


def test_no_generated_state_moves_what_a_constraint_forbids_and_every_constraint_is_reached() -> None:
    result, audit = run(18_000, seed=11, workloads=600)
    assert result["states"] == 18_000
    assert audit.broken == 0, {name: rule for name, rule in audit.rules.items() if rule.broken}
    assert audit.unreached == []
    assert result["episodes_run_twice"] == 1
    assert result["episodes_that_differed"] == 0


def test_another_seed_gives_other_states_and_the_same_seed_the_same() -> None:
    first, second, other = (episode(seed, 0, 50, None)[1] for seed in (3, 3, 4))
    assert first == second != other


def lived(workloads: int = 200) -> tuple[Observation, Plan]:
    states, state = States(np.random.default_rng(2), workloads), State()
    seen = states.observation(NOW)
    plan, _ = decide(seen, state, EAGER)
    return seen, plan


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("cpu", 1e6, "cpu: max"),
        ("cpu", -1.0, "cpu: above 0"),
        ("memory", 1e15, "memory: the largest node"),
        ("memory", np.inf, "memory: NaN or an amount, never infinite"),
        ("memory_limit", 1.0, "memory: limit not below the request"),
        ("lent", 1e6, "lent cpu: request and loan within max"),
    ],
)
def test_the_audit_sees_a_container_plan_that_breaks_a_constraint(column: str, value: float, rule: str) -> None:
    seen, plan = lived()
    plan.containers.memory[:] = np.where(column == "memory_limit", seen.containers.memory, plan.containers.memory)
    getattr(plan.containers, column)[:] = value
    audit = Audit()
    audit.check(seen, plan)
    assert audit.rules[rule].broken > 0
    assert audit.rules[rule].example


def test_the_audit_sees_replicas_and_knobs_outside_their_bounds() -> None:
    seen, plan = lived()
    plan.workloads.replicas[:] = 10_000
    plan.knobs.value[:] = 10_000
    audit = Audit()
    audit.check(seen, plan)
    assert audit.rules["replicas: max"].broken > 0
    assert audit.rules["replicas: only where acting and allowed"].broken > 0
    assert audit.rules["knobs: max and ceiling"].broken > 0


def test_a_workload_is_decided_the_same_alone_and_among_others() -> None:
    """The rows of one workload, taken out of a fleet, get the plan that they get within it."""
    states, state = States(np.random.default_rng(9), 40), State()
    whole = [states.observation(NOW + 15.0 * tick) for tick in range(4)]
    plans = []
    for seen in whole:
        plan, state = decide(seen, state, EAGER)
        plans.append(plan)
    for w in range(0, 40, 3):
        alone = State()
        for seen, plan in zip(whole, plans, strict=True):
            part, rows = taken(seen, w)
            mine, alone = decide(part, alone, EAGER)
            np.testing.assert_array_equal(mine.workloads.replicas, plan.workloads.replicas[[w]])
            for name in ("cpu", "memory", "cpu_limit", "memory_limit", "lent"):
                np.testing.assert_array_equal(getattr(mine.containers, name), getattr(plan.containers, name)[rows])
            assert same(mine.decisions, tuple(d for d in plan.decisions if d.workload == f"ns/w{w}"))


def taken(seen: Observation, w: int) -> tuple[Observation, np.ndarray]:
    """Workload `w` alone, and the rows of its containers in the whole."""
    parts: dict[str, Table] = {}
    containers = np.flatnonzero(seen.containers.workload == w)
    for f in fields(seen):
        table = getattr(seen, f.name)
        if not isinstance(table, Table):
            continue
        kept: Table
        if isinstance(table, Samples):
            place = {int(row): i for i, row in enumerate(containers)}
            samples = table.take(np.flatnonzero(np.isin(table.container, containers)))
            samples.container[:] = [place[int(row)] for row in samples.container]
            kept = samples
        elif f.name == "workloads":
            kept = table.take(np.array([w]))
        else:
            kept = table.take(np.flatnonzero(getattr(table, "workload") == w))  # noqa: B009
            getattr(kept, "workload")[:] = 0  # noqa: B009
        parts[f.name] = kept
    return Observation(seen.now, **parts), containers  # type: ignore[arg-type]


def test_a_state_full_of_nonsense_moves_nothing_that_is_forbidden() -> None:
    """As from a checkpoint that somebody wrote by hand."""
    rng = np.random.default_rng(4)
    states = States(rng, 400)
    state, audit = State(), Audit()
    for tick in range(4):
        seen = states.observation(NOW + 15.0 * tick)
        plan, state = decide(seen, state, EAGER)
        audit.check(seen, plan)
        assert bytes_of(plan)
        for table in (state.workloads, state.containers, state.knobs):
            for name, meta in table.columns():
                values = getattr(table, name)
                if meta["dtype"] is object or values.dtype.kind != "f":
                    continue
                odd = rng.random(values.shape) < 0.05
                most = float(np.finfo(values.dtype).max) / 4
                values[odd] = rng.choice((np.nan, np.inf, -np.inf, -1.0, min(1e18, most)), int(odd.sum()))
    assert audit.broken == 0, {name: rule for name, rule in audit.rules.items() if rule.broken}
