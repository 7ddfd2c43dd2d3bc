"""The comparison that determinism is tested with sees every difference, and none where there is none."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.decide.sameness import same
from tests.unit.decide.simulator import KEY, Simulator
from trimtab.decide.state import State


def state_of_a_watched_move() -> State:
    sim = Simulator(rate=lambda t: 60.0, knob={"value": 4}, replicas=2)
    sim.run(300)
    assert sim.state.pending
    return sim.state


def test_a_copy_is_the_same() -> None:
    state = state_of_a_watched_move()
    assert same(state, copy.deepcopy(state))


def test_sets_are_the_same_in_whatever_order_they_were_filled() -> None:
    state, words = State(), [f"ns/w{i}" for i in range(50)]
    assert same(replace(state, deleted=frozenset(words)), replace(state, deleted=frozenset(reversed(words))))


@pytest.mark.parametrize("what", ["a name in a column", "a row", "a move", "a set"])
def test_a_difference_anywhere_is_seen(what: str) -> None:
    state = state_of_a_watched_move()
    other = copy.deepcopy(state)
    match what:
        case "a name in a column":
            getattr(other.containers, "key")[0] += "x"  # noqa: B009 - every table has it
        case "a row":
            other = replace(other, workloads=other.workloads.take(np.array([], dtype=np.int64)))
        case "a move":
            other = replace(other, pending={KEY: ()})
        case "a set":
            other = replace(other, deleted=frozenset({KEY}))
    assert not same(state, other)
