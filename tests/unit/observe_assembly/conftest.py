"""An Observer for each test that wants one."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.observe_assembly.scene import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    if made.observer is not None:
        await made.observer.close()
        await made.world.stop()
