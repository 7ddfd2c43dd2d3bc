"""What was learned of a workload outlives a look that lacks it, for an hour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.decide.simulator import KEY, Simulator, sized
from trimtab.decide.engine import decide, learn
from trimtab.decide.observation import Observation
from trimtab.decide.state import State

pytestmark = pytest.mark.long

HOUR = 3600.0


def known() -> Simulator:
    """A workload with a day of history and a cut that is being watched."""
    sim = sized()
    sim.run(60)
    assert KEY in sim.state.pending
    return sim


def unseen(sim: Simulator, seconds: float, *, reuse: bool = False) -> None:
    """Ticks without the workload."""
    until = sim.now + seconds
    while sim.now < until:
        plan, sim.state = decide(Observation(sim.now), sim.state, sim.settings, reuse=reuse)
        assert plan.decisions == ()
        sim.now += sim.tick
    assert len(sim.state.workloads) == len(sim.state.containers) == 0


def test_a_workload_that_one_look_lacks_loses_nothing() -> None:
    for reuse in (False, True):
        gone, stayed = known(), known()
        before = gone.state
        unseen(gone, 15, reuse=reuse)
        stayed.now = gone.now
        _, after = decide(gone.observe(), gone.state, gone.settings)
        _, calm = decide(stayed.observe(), stayed.state, stayed.settings)
        for name, _ in after.containers.columns():
            np.testing.assert_array_equal(getattr(after.containers, name), getattr(calm.containers, name), name)
        assert after.pending.keys() == calm.pending.keys() == before.pending.keys()
        np.testing.assert_array_equal(after.workloads.mean_at, calm.workloads.mean_at)
        assert after.away == ()


def test_weights_are_the_same_although_the_others_have_another_reference_time() -> None:
    sim = known()
    expected = decide(sim.observe(), sim.state, sim.settings)[0].containers.recommended_cpu[0]
    unseen(sim, HOUR)
    plan, state = decide(sim.observe(), sim.state, sim.settings)
    assert abs(plan.containers.recommended_cpu[0] / expected - 1) < 0.05
    assert state.containers.covered[0] > 23 * HOUR


def test_after_an_hour_it_is_a_new_workload() -> None:
    sim = known()
    unseen(sim, HOUR + 30)
    _, state = decide(sim.observe(), sim.state, sim.settings)
    assert state.containers.covered[0] < HOUR
    assert state.away == ()


def test_of_a_deleted_resource_nothing_is_kept() -> None:
    for late in (False, True):
        sim = known()
        if late:
            unseen(sim, 15)
        sim.state = replace(sim.state, deleted=frozenset({KEY}))
        unseen(sim, 15)
        _, state = decide(sim.observe(), sim.state, sim.settings)
        assert state.containers.covered[0] < HOUR


def test_another_template_wins_over_what_was_kept() -> None:
    sim = known()
    unseen(sim, 15)
    sim.workload = {**sim.workload, "template": "t2"}
    _, state = decide(sim.observe(), sim.state, sim.settings)
    assert state.containers.covered[0] < HOUR


def test_history_that_is_read_meanwhile_changes_nothing_of_what_is_kept() -> None:
    sim = known()
    unseen(sim, 15)
    sim.state = learn(sim.state, Observation(sim.now), sim.settings)
    _, state = decide(sim.observe(), sim.state, sim.settings)
    assert state.containers.covered[0] > 23 * HOUR


def test_what_is_kept_is_bounded_by_what_left_within_the_hour() -> None:
    sim = known()
    for _ in range(8):
        unseen(sim, 15 * 60)
        sim.step()
    assert sum(len(one.part.workloads) for one in sim.state.away) <= 1
    assert State().away == ()
