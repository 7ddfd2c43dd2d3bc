"""The Prometheus source over HTTP: answers, statuses, and bounds in time and bytes."""

import asyncio
import gzip
import json
import math
import socket
import threading

import numpy as np
import pytest

from tests.unit.observe.fakes import Exchange, http_server
from tests.unit.observe.sources import ONE, SECRET, body, failure, source_at
from trimtab.observe.source import SourceError, SourceReason


async def test_a_vector_comes_back_as_samples_and_the_query_travels_in_the_body() -> None:
    seen: list[Exchange] = []

    def answer(exchange: Exchange) -> None:
        seen.append(exchange)
        exchange.send(200, ONE)

    with http_server(answer) as url:
        async with source_at(f"{url}/prefix/") as source:
            (sample,) = await source.query("up", 100.5)
    assert (sample.labels, sample.value, sample.at) == ({"pod": "web-1"}, 1.25, 100.5)
    assert seen[0].path == "/prefix/api/v1/query"
    assert seen[0].form == {"query": "up", "time": "100.500", "timeout": "5s", "partial_response": "false"}


@pytest.mark.parametrize(("text", "value"), [("NaN", math.nan), ("+Inf", math.inf), ("-Inf", -math.inf), ("2", 2.0)])
async def test_scalars_and_special_values_are_read(text: str, value: float) -> None:
    with http_server(lambda exchange: exchange.send(200, body([7.0, text]))) as url:
        async with source_at(url) as source:
            (sample,) = await source.query("x", 7.0)
    np.testing.assert_equal(sample.value, value)
    assert sample.labels == {}


async def test_a_range_comes_back_as_columns() -> None:
    result = [{"metric": {"pod": "a"}, "values": [[10, "1"], [20, "NaN"]]}, {"metric": {}, "values": []}]
    with http_server(lambda exchange: exchange.send(200, body(result))) as url:
        async with source_at(url) as source:
            first, second = await source.query_range("x", 10.0, 20.0, 10.0)
    np.testing.assert_array_equal(first.times, [10.0, 20.0])
    np.testing.assert_array_equal(first.values, [1.0, np.nan])
    assert (first.labels, second.times.size) == ({"pod": "a"}, 0)
    assert second.values.dtype == np.float64


@pytest.mark.parametrize(("start", "end", "step"), [(0, 20_000, 1), (10, 0, 1), (0, 10, 0), (0, math.inf, 1)])
async def test_a_range_that_no_server_answers_is_not_sent(start: float, end: float, step: float) -> None:
    async with source_at("http://127.0.0.1:9") as source:
        with pytest.raises(SourceError) as caught:
            await source.query_range("x", start, end, step)
    assert caught.value.reason is SourceReason.BAD_QUERY


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (301, "", SourceReason.REDIRECTED),
        (302, "", SourceReason.REDIRECTED),
        (307, "", SourceReason.REDIRECTED),
        (308, "", SourceReason.REDIRECTED),
        (400, "bad_data", SourceReason.BAD_QUERY),
        (401, "", SourceReason.UNAUTHORIZED),
        (403, "", SourceReason.UNAUTHORIZED),
        (404, "", SourceReason.BAD_ANSWER),
        (405, "", SourceReason.BAD_ANSWER),
        (422, "execution", SourceReason.BAD_QUERY),
        (422, "timeout", SourceReason.TIMEOUT),
        (429, "", SourceReason.SERVER_ERROR),
        (500, "internal", SourceReason.SERVER_ERROR),
        (503, "timeout", SourceReason.TIMEOUT),
        (503, "unavailable", SourceReason.SERVER_ERROR),
        (504, "", SourceReason.TIMEOUT),
    ],
)
async def test_each_status_has_its_reason_and_no_series_are_repeated(
    status: int, kind: str, reason: SourceReason
) -> None:
    said = f'expanding series {{pod="{SECRET}"}}'
    text = json.dumps({"status": "error", "errorType": kind or SECRET, "error": said}).encode()
    error = await failure(lambda exchange: exchange.send(status, text, Location=f"http://{SECRET}/"))
    assert error.reason is reason
    assert f"HTTP {status}" in error.message
    assert kind in error.message
    assert ("expanding series" in error.message) == (reason is SourceReason.BAD_QUERY)


async def test_a_redirect_is_not_followed() -> None:
    visited: list[str] = []

    def visit(exchange: Exchange) -> None:
        visited.append(exchange.path)
        exchange.send(200, ONE)

    with http_server(visit) as other:
        error = await failure(lambda exchange: exchange.send(307, b"", Location=f"{other}/api/v1/query"))
    assert error.reason is SourceReason.REDIRECTED
    assert visited == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>login</html>",
        b"[]",
        b"{}",
        b'{"data": {}}',
        b'{"data": {"result": 7}}',
        b'{"data": {"result": [{}]}}',
        b'{"data": {"result": [{"metric": {}, "value": [1]}]}}',
        b'{"data": {"result": [{"metric": {}, "value": [1, "x"]}]}}',
        b'{"data": {"result": [{"metric": {"a": 1}, "value": [1, "1"]}]}}',
        b'{"data": {"result": [{"metric": [], "value": [1, "1"]}]}}',
        b"[" * 200_000,
        b"\xff\xfe\x00",
    ],
)
async def test_what_is_no_prometheus_answer_is_a_bad_answer(content: bytes) -> None:
    error = await failure(lambda exchange: exchange.send(200, content))
    assert error.reason is SourceReason.BAD_ANSWER


@pytest.mark.parametrize("key", ["histogram", "histograms"])
async def test_a_native_histogram_is_refused_with_the_function_to_use(key: str) -> None:
    result = [{"metric": {}, key: [1, {}]}]
    with http_server(lambda exchange: exchange.send(200, body(result))) as url:
        async with source_at(url) as source:
            with pytest.raises(SourceError, match="histogram_quantile"):
                await (source.query("x", 1.0) if key == "histogram" else source.query_range("x", 0.0, 1.0, 1.0))


async def test_an_answer_past_the_byte_cap_is_dropped_while_it_arrives() -> None:
    stopped = threading.Event()

    def endless(exchange: Exchange) -> None:
        handler = exchange.handler
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        try:
            for _ in range(100_000):
                handler.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        finally:
            stopped.set()

    error = await failure(endless, max_response_bytes=100_000)
    assert error.reason is SourceReason.TOO_LARGE
    assert await asyncio.to_thread(stopped.wait, 10.0)


async def test_a_compressed_bomb_counts_by_its_real_size() -> None:
    bomb = gzip.compress(b"x" * 5_000_000)
    assert len(bomb) < 10_000
    error = await failure(
        lambda exchange: exchange.send(200, bomb, Content_Encoding="gzip"), max_response_bytes=100_000
    )
    assert error.reason is SourceReason.TOO_LARGE


async def test_a_compressed_answer_is_read() -> None:
    packed = gzip.compress(ONE)
    with http_server(lambda exchange: exchange.send(200, packed, Content_Encoding="gzip")) as url:
        async with source_at(url) as source:
            assert len(await source.query("up", 1.0)) == 1


async def test_a_silent_server_times_out() -> None:
    release = threading.Event()

    def silent(_: Exchange) -> None:
        release.wait(10.0)

    error = await failure(silent, timeout_seconds=0.2)
    release.set()
    assert error.reason is SourceReason.TIMEOUT


async def test_a_server_that_drips_its_answer_times_out_as_a_whole() -> None:
    release = threading.Event()

    def drip(exchange: Exchange) -> None:
        handler = exchange.handler
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not release.wait(0.02):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    error = await failure(drip, timeout_seconds=0.3)
    release.set()
    assert error.reason is SourceReason.TIMEOUT


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with source_at(f"http://127.0.0.1:{closed.getsockname()[1]}") as source:
            with pytest.raises(SourceError) as caught:
                await source.query("up", 1.0)
    assert caught.value.reason is SourceReason.UNREACHABLE
    assert "127.0.0.1" not in caught.value.message


async def test_a_server_that_drips_its_headers_is_given_up() -> None:
    release = threading.Event()

    def drip(exchange: Exchange) -> None:
        exchange.handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not release.wait(0.05):
            exchange.handler.wfile.write(b"x")
            exchange.handler.wfile.flush()

    error = await failure(drip, timeout_seconds=0.3)
    release.set()
    assert error.reason is SourceReason.TIMEOUT
