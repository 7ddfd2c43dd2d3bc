"""A PrometheusSource on virtual time against the HTTP stand-in."""

import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.observe.fakes import Exchange, http_server
from trimtab.api.datasource import Datasource
from trimtab.observe.prometheus import PrometheusSource
from trimtab.observe.source import SourceError

SECRET = "tenant-b-secret-4711"
"""What no error message may repeat."""


class VirtualTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def body(result: Any, **more: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}, **more}).encode()


ONE = body([{"metric": {"pod": "web-1"}, "value": [100.5, "1.25"]}])


@asynccontextmanager
async def source_at(url: str, time: VirtualTime | None = None, **settings: Any) -> AsyncIterator[PrometheusSource]:
    virtual = time or VirtualTime()
    datasource = Datasource(name="main", url=url, **{"timeout_seconds": 5.0, **settings})
    source = PrometheusSource(datasource, random.Random(1), clock=virtual.clock, sleep=virtual.sleep)
    try:
        yield source
    finally:
        await source.aclose()


async def failure(answer: Callable[[Exchange], None], **settings: Any) -> SourceError:
    with http_server(answer) as url:
        async with source_at(url, **settings) as source:
            with pytest.raises(SourceError) as caught:
                await source.query("up", 100.0)
    error = caught.value
    assert SECRET not in error.message
    assert url not in error.message
    assert error.__cause__ is None
    assert error.message.endswith(".")
    return error
