"""An outage in the middle of a backtest, through the operator's own source with its retries and its circuit breaker."""

import asyncio
import random

import pytest

from tests.unit.backtest.scene import END
from tests.unit.observe.fakes import Exchange, http_server
from trimtab.api.datasource import Datasource
from trimtab.backtest.reader import PATIENCE, Past, Reader
from trimtab.observe.prometheus import PrometheusSource

NAMESPACES = ["a", "b", "c", "d"]
EMPTY = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'


class Time:
    """Moves only when somebody sleeps."""

    now = 0.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def read(lasts: float, told: list[str]) -> Past:
    """Four namespaces, of a server that answers 503 for so many seconds after its first 20 answers."""
    time, answers = Time(), 0
    until = 0.0

    def answer(exchange: Exchange) -> None:
        nonlocal answers, until
        answers += 1
        until = time.now + lasts if answers == 20 else until
        away = answers > 20 and time.now < until
        exchange.send(503 if away else 200, b"" if away else EMPTY)

    with http_server(answer) as url:
        source = PrometheusSource(Datasource(name="backtest", url=url), random.Random(0), time.clock, time.sleep)
        try:
            reader = Reader(source, clock=time.clock, sleep=time.sleep, told=told.append)
            return await reader.read(NAMESPACES, END, 3, lambda _name, _share: None)
        finally:
            await source.aclose()


async def test_a_short_outage_costs_no_namespace() -> None:
    told: list[str] = []
    past = await read(PATIENCE * 0.6, told)
    assert past.unread == {}
    assert list(past.sources) == NAMESPACES
    assert any("asked less often" in line and "Asking again in" in line for line in told), "the breaker opened"


@pytest.mark.parametrize("hours", [1.0, 24.0])
async def test_a_long_one_is_told_for_every_namespace_that_is_missing(hours: float) -> None:
    told: list[str] = []
    past = await read(hours * 3600, told)
    assert [*past.sources, *past.unread] == NAMESPACES
    assert "d" in past.unread
    assert len(told) < 30
