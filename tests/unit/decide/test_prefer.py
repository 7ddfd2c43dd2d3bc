"""optimization.prefer: how far below its target a latency must be before capacity is cut."""

import pytest

from tests.unit.decide.simulator import MIB, Simulator
from trimtab.api.reasons import Reason


@pytest.mark.parametrize(
    ("room", "latency", "cut"),
    [(0.08, 0.40, True), (0.08, 0.48, False), (0.25, 0.40, False), (0.25, 0.30, True), (0.02, 0.48, True)],
)
def test_a_request_is_cut_only_with_the_room_that_is_asked_for(room: float, latency: float, cut: bool) -> None:
    sim = Simulator(
        rate=lambda t: 0.1,
        floor=lambda _knob: latency,
        memory_need=100 * MIB,
        cpu=2.0,
        workload={"replicas_min": 2, "replicas_max": 2, "room": room},
    )
    sim.learn_history(30, 0.1, 100 * MIB)
    sim.run(120)
    assert any(made.reason is Reason.CUT_UNUSED for made in sim.decisions.values()) == cut
