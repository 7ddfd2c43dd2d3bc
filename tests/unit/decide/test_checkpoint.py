"""What was learned of a workload: saved within its bound, taken up by another process, refused where it is nonsense."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trimtab.api.checkpoint import TEXT_A_CONTAINER, TEXT_A_WORKLOAD
from trimtab.decide import checkpoint
from trimtab.decide.checkpoint import KINDS, Places, Resumed, largest, learned, resume, save
from trimtab.decide.columns import Table
from trimtab.decide.engine import decide
from trimtab.decide.observation import Containers, Knobs, Observation, Samples, Workloads
from trimtab.decide.pack import Fault, PackError
from trimtab.decide.plan import Plan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State, align
from trimtab.decide.usage import estimates

NOW = 1.8e9
MIB = 2.0**20
SETTINGS = Settings()
OWNERS = (0, 1, 0, 1, 1)
"""Containers of two workloads, mixed."""


def observation(now: float = NOW, owners: tuple[int, ...] = OWNERS, **workload: Any) -> Observation:
    count = max(owners) + 1
    return Observation(
        now,
        Workloads.of(
            [{"key": f"ns/w{w}", "template": "a", "replicas": 2, "ready": 2} | workload for w in range(count)]
        ),
        containers=Containers.of(
            [
                {
                    "key": f"ns/w{w}/c{i}",
                    "name": f"c{i}",
                    "workload": w,
                    "cpu": 0.5,
                    "memory": 512 * MIB,
                    "cpu_max": 4.0,
                    "memory_max": 4096 * MIB,
                }
                for i, w in enumerate(owners)
            ]
        ),
        samples=Samples.of(
            [
                {"container": i, "time": now - 5, "cpu": 0.1 * (i + 1), "memory": (100 + i) * MIB}
                for i in range(len(owners))
            ]
        ),
        knobs=Knobs.of([{"key": f"ns/w{w}/batch", "name": "batch", "workload": w} for w in range(count)]),
    )


def lived(ticks: int = 40) -> tuple[Observation, State]:
    """Two workloads after some ticks."""
    state = State()
    for tick in range(ticks):
        seen = observation(NOW + 15.0 * tick)
        _, state = decide(seen, state, SETTINGS)
    state.workloads.capacity[:] = 12.5, 7.0
    state.workloads.added_time[0, 3], state.workloads.added[0, 3] = NOW, 2.0
    state.knobs.direction[1], state.knobs.rest_until[1] = -1, NOW + 3600
    state.containers.oom_floor[2], state.containers.oom_until[2] = 700 * MIB, NOW + 1e5
    return seen, state


def saved(seen: Observation, state: State) -> dict[str, bytes]:
    places = Places.of(seen)
    found = {str(key): save(state, places, w) for w, key in enumerate(seen.workloads.key)}
    return {key: one.data for key, one in found.items() if one is not None}


def alike(left: Table, right: Table, rows: Any = slice(None)) -> None:
    for name, meta in left.columns():
        one, two = getattr(left, name)[rows], getattr(right, name)[rows]
        if meta["dtype"] is object:
            assert one.tolist() == two.tolist(), name
        else:
            loose = 1e-3 if one.dtype == np.float32 else 0.0
            np.testing.assert_allclose(one, two, rtol=loose, atol=loose * 0.01, err_msg=name)


def test_a_new_process_knows_what_the_old_one_learned() -> None:
    seen, state = lived()
    fresh, outcomes = resume(State(), seen, saved(seen, state), SETTINGS)
    assert all(isinstance(outcome, Resumed) for outcome in outcomes.values())
    for title, table in learned(state).items():
        alike(learned(fresh)[title], table)
    np.testing.assert_allclose(estimates(fresh), estimates(state), rtol=2e-3)


def test_the_outcome_says_until_when_each_container_is_known() -> None:
    seen, state = lived()
    _, outcomes = resume(State(), seen, saved(seen, state), SETTINGS)
    known = outcomes["ns/w1"]
    assert isinstance(known, Resumed)
    assert known.sampled_at == {f"ns/w1/c{i}": seen.now - 5 for i in (1, 3, 4)}


def test_rows_are_found_by_key_when_containers_came_went_and_changed_places() -> None:
    seen, state = lived()
    other = observation(seen.now, owners=(1, 0, 1))
    other.containers.key[:] = ["ns/w1/c4", "ns/w0/new", "ns/w1/c1"]
    fresh, outcomes = resume(State(), other, saved(seen, state), SETTINGS)
    np.testing.assert_allclose(fresh.containers.covered, state.containers.covered[[4, 0, 1]] * (1, 0, 1))
    known = outcomes["ns/w0"]
    assert isinstance(known, Resumed)
    assert known.sampled_at == {}


def test_the_same_state_gives_the_same_bytes() -> None:
    seen, state = lived()
    assert saved(seen, state) == saved(*lived())


def test_one_that_is_damaged_changes_nothing_and_the_others_are_taken() -> None:
    seen, state = lived()
    data = saved(seen, state)
    data["ns/w0"] = data["ns/w0"][:-9]
    fresh, outcomes = resume(State(), seen, data, SETTINGS)
    refused = outcomes["ns/w0"]
    assert isinstance(refused, PackError)
    assert refused.fault is Fault.CORRUPT
    alike(fresh.workloads, State().workloads.blank(2), slice(0, 0))
    assert math.isnan(fresh.workloads.capacity[0])
    assert fresh.workloads.capacity[1] == 7.0


def test_a_bundle_of_another_s_key_puts_nothing_in() -> None:
    seen, state = lived()
    data = {"ns/w0": saved(seen, state)["ns/w1"]}
    fresh, _ = resume(State(), seen, data, SETTINGS)
    assert not fresh.containers.covered.any()
    assert np.isnan(fresh.workloads.capacity).all()


def test_resources_that_are_not_there_any_more_are_left_out() -> None:
    seen, state = lived()
    fresh, outcomes = resume(State(), seen, {"ns/gone": saved(seen, state)["ns/w0"]}, SETTINGS)
    assert outcomes == {}
    assert not fresh.containers.covered.any()


def noise(seen: Observation) -> State:
    """A state in which every number is another."""
    rng = np.random.default_rng(5)
    state = align(State(), seen, SETTINGS)
    for table in learned(state).values():
        for name, meta in table.columns():
            column = getattr(table, name)
            if meta["dtype"] is object:
                continue
            if column.dtype.kind == "b":
                column[...] = rng.integers(0, 2, column.shape)
            elif column.dtype.kind in "iu":
                column[...] = rng.integers(0, min(np.iinfo(column.dtype).max, 2**31 - 1), column.shape)
            else:
                column[...] = rng.uniform(0, 1e9 if column.dtype.itemsize > 2 else 6e4, column.shape)
    return state


@pytest.mark.parametrize("containers", [0, 1, 2, 16])
def test_rule_24_no_bundle_is_ever_larger_than_its_bound(containers: int) -> None:
    seen = observation(owners=(0, *([1] * containers)))
    state = noise(seen)
    one = save(state, Places.of(seen), len(seen.workloads) - 1)
    if one is None:
        return
    assert len(one.data) <= largest(one.containers)
    assert 4 * math.ceil(len(one.data) / 3) <= TEXT_A_WORKLOAD + TEXT_A_CONTAINER * one.containers
    assert one.containers in (1, containers)


def test_what_does_not_fit_goes_column_by_column_and_the_rest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "TEXT_A_CONTAINER", 500)
    seen = observation()
    one = save(noise(seen), Places.of(seen), 1)
    assert one is not None
    assert one.dropped
    assert "containers.oom_floor" not in one.dropped
    fresh, _ = resume(State(), seen, {"ns/w1": one.data}, SETTINGS)
    assert (fresh.containers.oom_floor[[1, 3, 4]] > 0).all()


def test_usual_states_fit_without_leaving_anything_out() -> None:
    seen, state = lived(200)
    places = Places.of(seen)
    for w in range(2):
        one = save(state, places, w)
        assert one is not None
        assert one.dropped == ()
        assert len(one.data) < largest(one.containers) / 2


def plans_alike(left: Plan, right: Plan) -> None:
    for name in ("workloads", "containers", "knobs", "alerts"):
        alike(getattr(left, name), getattr(right, name))
    assert left.decisions == right.decisions


def test_giving_the_state_up_gives_the_same_answers_as_keeping_it() -> None:
    kept, given = State(), State()
    for tick in range(30):
        owners = OWNERS if tick < 20 else (0, 0, 1, 2)
        seen = observation(NOW + 15.0 * tick, owners, acting=True, allowed=(True,) * 4, min_history_seconds=60.0)
        one, kept = decide(seen, kept, SETTINGS)
        two, given = decide(seen, given, SETTINGS, reuse=True)
        plans_alike(one, two)
        for title in KINDS:
            alike(learned(kept)[title], learned(given)[title])


def test_a_state_that_is_given_up_lends_its_arrays_and_one_that_is_kept_does_not() -> None:
    seen, state = lived()
    matrix, before = state.containers.filled_at, state.containers.filled_at.copy()
    later = replace(seen, now=seen.now + 15, samples=replace(seen.samples, time=seen.samples.time + 15))
    _, after = decide(later, state, SETTINGS)
    assert after.containers.filled_at is not matrix
    np.testing.assert_array_equal(matrix, before)
    _, after = decide(later, state, SETTINGS, reuse=True)
    assert after.containers.filled_at is matrix
    assert (matrix != before).any()
