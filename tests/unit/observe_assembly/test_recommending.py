"""Where what would be done is told: autoTune false, or mode Recommend; never in mode Observe and never in a pause."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.observe_assembly.bench import SPEC, config, shop
from tests.unit.observe_assembly.scene import Bench

ADVISING = SPEC.replace("autoTune: true", "autoTune: false")


@pytest.mark.parametrize(
    ("text", "mode", "paused", "recommending"),
    [
        (SPEC, "Act", False, False),
        (ADVISING, "Act", False, True),
        (ADVISING, "Recommend", False, True),
        (SPEC, "Recommend", False, True),
        (SPEC, "Observe", False, False),
        (ADVISING, "Observe", False, False),
        (ADVISING, "Act", True, False),
    ],
)
async def test_what_would_be_done_is_told_where_nothing_else_stops_it(
    text: str, mode: str, paused: bool, recommending: bool
) -> None:
    bench: Any = Bench()
    shop(bench.client)
    await bench.start(mode=mode)
    seen = await bench.look(config(text, paused=paused))
    workloads = seen.observation.workloads
    assert (bool(workloads.recommending[0]), bool(workloads.acting[0])) == (
        recommending,
        text is SPEC and mode == "Act" and not paused,
    )
    await bench.observer.close()
    await bench.world.stop()
