"""kopf as the frame: what it may not ask of the place where it runs."""

import asyncio
import getpass

import pytest

from trimtab.handlers import run_frame
from trimtab.observe.configs import ConfigStore


async def test_it_runs_under_a_user_id_that_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr(getpass, "getuser", nameless)
    started = asyncio.Event()
    frame = asyncio.create_task(run_frame(ConfigStore(), ["shop"], started.set))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({frame, waiting}, timeout=30.0, return_when=asyncio.FIRST_COMPLETED)
    ended = frame.done()
    for task in (frame, waiting):
        task.cancel()
    results = await asyncio.gather(frame, waiting, return_exceptions=True)
    assert not ended, results[0]
    assert started.is_set()
