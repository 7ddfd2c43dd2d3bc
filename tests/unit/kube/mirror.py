"""A reflector under test over a server whose connections a test plays step by step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from trimtab.kube import errors
from trimtab.kube.reflector import Reflector

END = object()
"""In a script: the server ends the watch."""

LIST = {"sendInitialEvents": "true"}


@dataclass(frozen=True)
class Pod:
    name: str
    version: int
    owner: str = ""


def strip(raw: dict[str, Any]) -> Pod | None:
    metadata = raw["metadata"]
    if metadata.get("skip"):
        return None
    return Pod(metadata["name"], int(metadata.get("seen", 0)), metadata.get("owner", ""))


class Script:
    """A server whose connections are played by the test: each watch takes the next queue, step by step."""

    def __init__(self) -> None:
        self.now = 0.0
        self.watches: list[dict[str, str]] = []
        self.lists = 0
        self.slept: list[float] = []
        self.pages_of: list[Any] = []
        self._steps: asyncio.Queue[Any] = asyncio.Queue()
        self._taken = asyncio.Event()

    async def say(self, *steps: Any) -> None:
        """Hand over steps and return when the reflector has come back for more."""
        for step in steps:
            await self._steps.put(step)
        await self._steps.join()

    async def stream_watch(
        self, path: str, params: Mapping[str, str] | None = None, *, idle_timeout: float = 0
    ) -> AsyncIterator[dict[str, Any]]:
        self.watches.append(dict(params or {}))
        while True:
            step = await self._steps.get()
            # Done only once the reflector asks again: then it has dealt with the step.
            try:
                if step is END:
                    return
                if isinstance(step, BaseException):
                    raise step
                if callable(step):
                    step()
                else:
                    yield step
            finally:
                self._steps.task_done()

    async def pages(self, *_: object) -> AsyncIterator[dict[str, Any]]:
        self.lists += 1
        for page in self.pages_of:
            if isinstance(page, BaseException):
                raise page
            yield page

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Mirror:
    """A reflector under test, running."""

    def __init__(self, **options: Any) -> None:
        self.api = Script()
        self.reflector: Reflector[Pod] = Reflector(
            self.api,
            "/pods",
            options.pop("strip", strip),
            clock=lambda: self.api.now,
            sleep=self.api.sleep,
            chance=lambda: 0.5,
            **options,
        )

    async def __aenter__(self) -> Mirror:
        self._task = asyncio.create_task(self.reflector.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self._task.done()
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task

    async def say(self, *steps: Any) -> None:
        async with asyncio.timeout(5):
            await self.api.say(*steps)

    @property
    def names(self) -> list[str]:
        return sorted(self.reflector.store)

    def last_error(self) -> errors.KubeError | None:
        return self.reflector.last_error

    def later(self, seconds: float) -> Callable[[], None]:
        """A step that lets time pass while a connection is open."""

        def step() -> None:
            self.api.now += seconds

        return step
