"""The Prometheus source under load and loss: retries, limits and the circuit breaker."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from tests.unit.observe.fakes import Exchange, http_server
from tests.unit.observe.sources import ONE, VirtualTime, failure, source_at
from trimtab.observe.breaker import BreakerState
from trimtab.observe.prometheus import ATTEMPTS, PrometheusSource
from trimtab.observe.source import SourceError, SourceReason


async def test_a_short_failure_is_retried_with_jitter() -> None:
    statuses = [503, 500, 200]
    time = VirtualTime()
    with http_server(lambda exchange: exchange.send(statuses.pop(0), ONE)) as url:
        async with source_at(url, time) as source:
            assert len(await source.query("up", 1.0)) == 1
    assert statuses == []
    assert [0.1 <= time.slept[0] <= 0.3, 0.2 <= time.slept[1] <= 0.6] == [True, True]


async def test_a_bad_query_and_a_timeout_are_not_retried() -> None:
    for status in (400, 504):
        calls: list[int] = []

        def answer(exchange: Exchange, calls: list[int] = calls, status: int = status) -> None:
            calls.append(1)
            exchange.send(status)

        await failure(answer)
        assert len(calls) == 1


def circuit_of(source: PrometheusSource) -> BreakerState:
    return source._breaker.state


async def test_repeated_503s_open_the_breaker_and_a_good_trial_closes_it() -> None:
    calls: list[int] = []
    healthy = threading.Event()

    def answer(exchange: Exchange) -> None:
        calls.append(1)
        exchange.send(200 if healthy.is_set() else 503, ONE)

    time = VirtualTime()
    with http_server(answer) as url:
        async with source_at(url, time) as source:
            reasons, messages = [], []
            for _ in range(4):
                with pytest.raises(SourceError) as caught:
                    await source.query("up", 1.0)
                reasons.append(caught.value.reason)
                messages.append(caught.value.message)
                time.now += 1.0
            # Why it fails stays readable, and the same from one tick to the next: it is written into conditions.
            assert messages[0].startswith("Datasource main can't answer now (HTTP 503)")
            assert set(messages[1:]) == {f"{messages[0]} It is asked less often until it answers."}
            assert reasons == [SourceReason.SERVER_ERROR, *[SourceReason.CIRCUIT_OPEN] * 3]
            assert circuit_of(source) is BreakerState.OPEN
            assert len(calls) == 5  # three attempts, then two, then none
            healthy.set()
            time.now += 6.0
            assert circuit_of(source) is BreakerState.HALF_OPEN
            assert len(await source.query("up", 1.0)) == 1
            assert circuit_of(source) is BreakerState.CLOSED
    assert len(calls) == 6
    assert ATTEMPTS == 3


async def test_a_users_bad_queries_do_not_open_the_breaker_for_others() -> None:
    with http_server(lambda exchange: exchange.send(422, b'{"errorType": "execution"}')) as url:
        async with source_at(url) as source:
            for _ in range(20):
                with pytest.raises(SourceError) as caught:
                    await source.query("up", 1.0)
                assert caught.value.reason is SourceReason.BAD_QUERY
            assert source._breaker.state is BreakerState.CLOSED


async def test_no_more_requests_are_in_flight_than_allowed() -> None:
    gauge = {"now": 0, "most": 0}
    lock = threading.Lock()
    together = threading.Barrier(3, timeout=10.0)

    def answer(exchange: Exchange) -> None:
        with lock:
            gauge["now"] += 1
            gauge["most"] = max(gauge["most"], gauge["now"])
        together.wait()
        with lock:
            gauge["now"] -= 1
        exchange.send(200, ONE)

    with http_server(answer) as url:
        async with source_at(url, max_concurrency=3, timeout_seconds=30.0) as source:
            await asyncio.gather(*(source.query(f"up + {n}", 1.0) for n in range(12)))
    assert gauge["most"] == 3


async def test_queries_a_second_are_bounded() -> None:
    time = VirtualTime()
    with http_server(lambda exchange: exchange.send(200, ONE)) as url:
        async with source_at(url, time, max_queries_per_second=2.0) as source:
            for _ in range(6):
                await source.query("up", 1.0)
    assert time.now == pytest.approx(2.0)


async def test_a_cancelled_trial_leaves_room_for_the_next() -> None:
    arrived, release = threading.Event(), threading.Event()
    behaviour: list[Callable[[Exchange], None]] = []
    time = VirtualTime()

    def answer(exchange: Exchange) -> None:
        behaviour[0](exchange)

    def slowly(exchange: Exchange) -> None:
        arrived.set()
        release.wait(10.0)
        exchange.send(200, ONE)

    with http_server(answer) as url:
        async with source_at(url, time) as source:
            behaviour.append(lambda exchange: exchange.send(503))
            for _ in range(2):
                with pytest.raises(SourceError):
                    await source.query("up", 1.0)
            assert source._breaker.state is BreakerState.OPEN
            time.now += 6.0
            behaviour[0] = slowly
            trial = asyncio.create_task(source.query("up", 1.0))
            assert await asyncio.to_thread(arrived.wait, 10.0)
            with pytest.raises(SourceError) as caught:
                await source.query("up", 1.0)
            assert caught.value.reason is SourceReason.CIRCUIT_OPEN
            trial.cancel()
            with pytest.raises(asyncio.CancelledError):
                await trial
            release.set()
            behaviour[0] = lambda exchange: exchange.send(200, ONE)
            assert len(await source.query("up", 1.0)) == 1


async def test_connections_are_kept_for_the_next_query() -> None:
    ports: set[int] = set()

    def answer(exchange: Exchange) -> None:
        ports.add(exchange.handler.client_address[1])
        exchange.send(200, ONE)

    with http_server(answer) as url:
        async with source_at(url) as source:
            for _ in range(4):
                await source.query("up", 1.0)
    assert len(ports) == 1
