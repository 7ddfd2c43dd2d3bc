"""autoTune false: what would be done is told as decisions of outcome Recommended, each once; nothing is moved."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.unit.decide.simulator import KEY, MIB, NAN, Simulator, sized
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision
from trimtab.decide.restore import Prior, restore
from trimtab.decide.state import State

HOUR = 3600.0
ADVISED = {"acting": False, "recommending": True}
SLOW: dict[str, Any] = {"tick": 120.0}


def advised(sim: Simulator) -> list[Decision]:
    assert {made.outcome for made in sim.decisions.values()} <= {OutcomeState.RECOMMENDED}
    return sorted(sim.decisions.values(), key=lambda made: (made.time, made.lever))


def test_what_would_be_done_is_told_once_and_nothing_moves() -> None:
    sim = sized(workload=ADVISED, **SLOW)
    sim.run(3 * HOUR)
    cpu, memory = advised(sim)
    assert (cpu.lever, cpu.subject, cpu.reason, cpu.before) == (Lever.CPU, "app", Reason.CUT_UNUSED, 1.0)
    assert cpu.after == pytest.approx(0.12, abs=0.01), "the whole way, not a careful first step"
    assert cpu.message == "Recommended only: app needs 127m of CPU with the margin and requests 1"
    assert memory.after == pytest.approx(240 * MIB, rel=0.1)
    assert (sim.cpu, sim.memory, sim.replicas) == (1.0, 512 * MIB, 1)
    assert KEY not in sim.state.pending
    assert sim.plan is not None
    assert np.isnan(sim.plan.containers.cpu[0])


@pytest.mark.long
def test_replicas_are_told_when_the_load_asks_for_others_and_once_an_hour_at_most() -> None:
    sim = Simulator(rate=lambda t: 28 + 26 * math.sin(t / 600), workload=ADVISED, replicas=2, tick=60.0)
    sim.run(4 * HOUR)
    told = [made for made in advised(sim) if made.lever is Lever.REPLICAS]
    assert 1 <= len(told) <= 4
    assert {made.reason for made in told} <= {Reason.SCALED_UP, Reason.SCALED_DOWN}
    assert sim.replicas == 2


@pytest.mark.long
def test_a_usage_that_changes_is_told_anew() -> None:
    sim = sized(workload=ADVISED, **SLOW)
    sim.run(HOUR)
    sim.rate = lambda t: 30.0
    sim.run(24 * HOUR)
    cpu = [made for made in advised(sim) if made.lever is Lever.CPU]
    assert [made.reason for made in cpu][:1] == [Reason.CUT_UNUSED]
    assert cpu[-1].after > 2 * cpu[0].after


@pytest.mark.long
@pytest.mark.parametrize(
    "changes",
    [
        {"workload": {"acting": False}},
        {"workload": {**ADVISED, "allowed": [False] * 4}},
        {"workload": {**ADVISED, "min_history_seconds": 1e9}},
        {"workload": ADVISED, "target": 0.01},
        {"workload": ADVISED, "container": {"cpu_max": NAN, "memory_max": NAN}},
    ],
    ids=["paused", "another controller", "too little history", "target missed", "not tuned"],
)
def test_what_may_not_be_done_is_not_recommended(changes: dict[str, Any]) -> None:
    sim = sized(**changes, **SLOW)
    sim.run(HOUR)
    assert not [made for made in advised(sim) if made.lever in (Lever.CPU, Lever.MEMORY)]


def test_a_restart_tells_nothing_twice() -> None:
    sim = sized(workload=ADVISED, **SLOW)
    sim.run(HOUR)
    before = advised(sim)
    prior = {KEY: Prior(template="t1", decisions=tuple(before))}
    sim.state = restore(State(), sim.observe(), prior, sim.settings)
    sim.learn_history(24, 0.1, 200 * MIB)
    sim.run(2 * HOUR)
    assert advised(sim) == before


def test_once_it_may_act_it_acts() -> None:
    sim = sized(workload=ADVISED, **SLOW)
    sim.run(HOUR)
    sim.workload = {**sim.workload, "acting": True, "recommending": False}
    sim.run(HOUR)
    assert sim.cpu < 1.0
    assert {made.outcome for made in sim.decisions.values()} >= {OutcomeState.RECOMMENDED, OutcomeState.KEPT}
