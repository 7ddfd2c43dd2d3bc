"""Inputs of a decision: kept small and exact, and the same plan is made from them again."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.states import EAGER, States
from tests.unit.decide.sameness import same
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide.engine import decide
from trimtab.decide.observation import Lever
from trimtab.decide.pack import PackError, pack
from trimtab.decide.plan import Decision
from trimtab.decide.replay import again, capture, of_one, recall
from trimtab.decide.settings import Settings
from trimtab.decide.state import State, Trial, Verify
from trimtab.decide.tally import Tally

NOW = 1.8e9


def test_rule_24_every_decision_of_a_fleet_is_made_again_from_the_inputs_of_its_workload() -> None:
    states, state, compared, watched = States(np.random.default_rng(3), 60), State(), 0, 0
    last = None
    for tick in range(8):
        now = NOW + 15.0 * tick
        seen = states.follow(*last, now) if last else states.observation(now)
        before = decide(seen, state, EAGER)[1] if tick == 0 else state
        plan, after = decide(seen, before, EAGER)
        for w, key in enumerate(seen.workloads.key):
            made = tuple(d for d in plan.decisions if d.workload == key)
            if not made and w % 7:
                continue
            inputs = recall(capture(seen, before, EAGER, w))
            mine = again(inputs, EAGER)
            assert same(mine.decisions, made)
            rows = seen.containers.workload == w
            np.testing.assert_array_equal(mine.containers.cpu, plan.containers.cpu[rows])
            np.testing.assert_array_equal(mine.containers.recommended_memory, plan.containers.recommended_memory[rows])
            assert mine.workloads.replicas[0] == plan.workloads.replicas[w]
            compared += len(made)
            watched += bool(inputs.state.pending)
        state, last = after, (seen, plan)
    assert compared > 100
    assert watched > 10


def test_moves_under_way_and_trials_come_back_as_they_were() -> None:
    seen = States(np.random.default_rng(1), 3).observation(NOW)
    _, state = decide(seen, State(), EAGER)
    key = "ns/w1"
    made = Decision(
        "1-knob-k", key, NOW, Lever.KNOB, "k", 4.0, 8.0, Reason.KNOB_TRIAL_STARTED, "k 4 → 8", "", {"a": 0.1}
    )
    tally = Tally(3, -0.1, 0.7)
    trial = Trial(made, f"{key}/k", NOW + 1, 2, (tally, Tally(), tally), latency=tally, cost=Tally(1, 2.0, 4.0))
    watched = Verify(made.ended(OutcomeState.VERIFYING, ""), NOW, NOW - 1, 4, 0.3, 2, -0.5, 1)
    state = replace(state, trials={key: trial}, pending={key: (watched, Verify(made))})
    inputs = recall(capture(seen, state, EAGER, 1))
    assert inputs.state.trials == {key: trial}
    assert same(dict(inputs.state.pending), dict(state.pending))


def test_the_inputs_say_which_settings_they_were_made_with() -> None:
    states = States(np.random.default_rng(1), 3)
    seen = states.observation(NOW)
    _, state = decide(seen, State(), EAGER)
    assert recall(capture(seen, state, EAGER, 1)).settings == EAGER.digest() != Settings().digest()


def test_the_inputs_of_one_workload_hold_nothing_of_the_others() -> None:
    seen = States(np.random.default_rng(1), 5).observation(NOW)
    _, state = decide(seen, State(), EAGER)
    data = capture(seen, state, EAGER, 2)
    inputs = recall(data)
    assert inputs.seen.workloads.key.tolist() == ["ns/w2"]
    assert set(inputs.state.pending) <= {"ns/w2"}
    assert all(key.startswith("ns/w2/") for key in inputs.seen.containers.key)
    assert len(data) < 4096
    assert len(of_one(seen, state, 2).state.containers) == len(inputs.seen.containers)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_inputs_are_refused(data: bytes) -> None:
    with pytest.raises(PackError):
        recall(data)


def test_a_bundle_of_something_else_is_refused() -> None:
    with pytest.raises(PackError, match="no inputs"):
        recall(pack({}, {"reference": 1.0}))
