"""While a page of a burn rate fires nothing that takes capacity away begins: replicas, trials and knob steps wait."""

import numpy as np
import pytest

from tests.unit.decide.simulator import START, Simulator, batched
from tests.unit.decide.test_slo import KEY, Watch
from trimtab.api.reasons import Reason
from trimtab.decide.engine import decide, learn_objectives
from trimtab.decide.observation import Objectives, Observation
from trimtab.decide.slo import PastObjectives

pytestmark = pytest.mark.long


class Burning:
    """A simulator with one objective that is missed by half while `on`."""

    def __init__(self, sim: Simulator, on: bool) -> None:
        self.sim, self.on, self.watch = sim, on, Watch(target=0.99)
        self._observe = sim.observe
        sim.observe = self.observe  # type: ignore[method-assign]
        times = sim.now - 300.0 * np.arange(12, dtype=np.float64)
        share = np.full(12, 0.5 if on else 1.0)
        past = PastObjectives((KEY,), np.zeros(12, dtype=np.int64), times, share, np.ones(12), 300.0)
        sim.state = learn_objectives(sim.state, self.observe(), past, sim.settings)

    def observe(self) -> Observation:
        seen = self._observe()
        self.watch.now = self.sim.now
        rows: Objectives = self.watch.seen(0.5 if self.on else 1.0, span=self.sim.tick).objectives
        cells = {name: getattr(seen, name) for name in Observation.__slots__ if name != "objectives"}
        return Observation(**cells, objectives=rows)


@pytest.mark.parametrize("on", [True, False])
def test_replicas_stay_when_the_load_falls_while_a_page_fires(on: bool) -> None:
    sim = Simulator(rate=lambda t: 60.0 if t < START + 600 else 10.0, replicas=6)
    Burning(sim, on)
    sim.run(600)
    before = sim.replicas
    sim.run(3600)
    assert (sim.replicas >= before) == on
    assert (Reason.SCALED_DOWN in {made.reason for made in sim.decisions.values()}) == (not on)


def test_replicas_are_added_while_a_page_fires() -> None:
    sim = Simulator(rate=lambda t: 10.0 if t < START + 300 else 60.0, replicas=2)
    Burning(sim, on=True)
    sim.run(900)
    assert sim.replicas > 2


@pytest.mark.parametrize("on", [True, False])
def test_no_knob_is_tried_while_a_page_fires(on: bool) -> None:
    sim = batched(2)
    burning = Burning(sim, on)
    sim.run(1800)
    assert bool(sim.decisions) == (not on), "a trial's decision tells in the end how it came out"
    if on:
        plan, _ = decide(sim.observe(), sim.state, sim.settings)
        assert Reason.BUDGET_BURNING in {remark.reason for remark in plan.remarks[0]}
        burning.on = False
        assert sim.run(4 * 3600, until=lambda s: s.trial >= 0), "and it is when the budget burns no more"
