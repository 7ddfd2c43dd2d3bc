import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from generation import Answers, FloatArray, Model
from service import Service, serve
from settings import ModelSize, Settings, from_environment
from telemetry import Telemetry

SMALL = ModelSize(width=32, layers=1, heads=4, vocabulary=64, context_tokens=8, output_tokens=3)


class GatedModel(Model):
    """A model that answers only while its gate is open, and remembers its batches."""

    def __init__(self) -> None:
        super().__init__(SMALL)
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.broken = False

    def generate(self, questions: FloatArray, contexts: list[FloatArray]) -> Answers:
        self.gate.wait()
        self.batches.append(len(contexts))
        if self.broken:
            raise ArithmeticError("broken")
        return super().generate(questions, contexts)


class Running:
    """A service on a loopback port, as `serve` runs it."""

    def __init__(self, settings: Settings) -> None:
        self.model = GatedModel()
        self.service = Service(settings, Telemetry(), self.model)
        self.stop = asyncio.Event()
        self.draining = asyncio.Event()
        self.drained = asyncio.Event()
        self.port = 0
        self._listening = asyncio.Event()
        self.task = asyncio.create_task(
            serve(self.service, self.stop, self._note_port, drain=self._drain), name="serve"
        )

    def _note_port(self, port: int) -> None:
        self.port = port
        self._listening.set()

    async def _drain(self) -> None:
        self.draining.set()
        await self.drained.wait()

    async def started(self) -> None:
        await self._listening.wait()
        self.model.batches.clear()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def metric(self, series: str, /, **labels: str) -> float:
        for family in text_string_to_metric_families(self.service.telemetry.render().decode()):
            for sample in family.samples:
                if sample.name == series and labels.items() <= sample.labels.items():
                    return float(sample.value)
        raise LookupError(f"no {series} with {labels}")

    async def until(self, series: str, value: float, /, **labels: str) -> None:
        async with asyncio.timeout(30):
            while self.metric(series, **labels) != value:  # noqa: ASYNC110 (metrics have no events)
                await asyncio.sleep(0)


@asynccontextmanager
async def running(**environment: str) -> AsyncIterator[tuple[Running, aiohttp.ClientSession]]:
    small = {"HOST": "127.0.0.1", "PORT": "0", "CORPUS_DOCUMENTS": "200", "BATCH_WAIT_MS": "0"}
    server = Running(replace(from_environment(small | environment), model=SMALL))
    await server.started()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
        try:
            yield server, session
        finally:
            server.model.gate.set()
            server.stop.set()
            server.drained.set()
            await server.task


async def ask(session: aiohttp.ClientSession, server: Running, text: str = "how do refunds work") -> tuple[int, Any]:
    async with session.post(server.url("/query"), json={"query": text}) as response:
        return response.status, await response.json()


async def test_a_query_is_answered_with_its_sources_and_the_second_time_from_the_cache() -> None:
    async with running() as (server, session):
        status, first = await ask(session, server)
        assert status == 200
        assert len(first["answer"].split()) == SMALL.output_tokens
        assert len(first["documents"]) == 4
        assert first["cached"] is False
        async with session.get(server.url("/query"), params={"q": "how do refunds work"}) as response:
            assert await response.json() == first | {"cached": True}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"[", "not a JSON object"),
        (b"\xff", "not a JSON object"),
        (b"{}", "not a JSON object"),
        (b'{"query": 3}', "no words"),
        (b'{"query": "?!"}', "no words"),
        (b'{"query": "' + b"a " * 600 + b'"}', "longer than 1000 characters"),
    ],
)
async def test_a_query_that_can_not_be_answered_says_why(body: bytes, message: str) -> None:
    async with running() as (server, session), session.post(server.url("/query"), data=body) as response:
        assert response.status == 400
        assert message in (await response.json())["error"]


async def test_a_huge_body_is_refused_and_counted() -> None:
    async with running() as (server, session):
        async with session.post(server.url("/query"), data=b"x" * 100_000) as response:
            assert response.status == 413
        labels = {"http_response_status_code": "413", "http_request_method": "POST"}
        await server.until("http_server_request_duration_seconds_count", 1, **labels)


async def test_no_batch_exceeds_batch_size_under_concurrent_queries() -> None:
    async with running(BATCH_SIZE="3") as (server, session):
        answers = await asyncio.gather(*(ask(session, server, f"query {number}") for number in range(20)))
        assert {status for status, _ in answers} == {200}
        assert sum(server.model.batches) == 20
        assert max(server.model.batches) <= 3


async def test_no_more_than_concurrency_queries_are_inside_and_the_others_wait() -> None:
    async with running(BATCH_SIZE="16", CONCURRENCY="3") as (server, session):
        server.model.gate.clear()
        queries = [asyncio.create_task(ask(session, server, f"query {number}")) for number in range(10)]
        await server.until("rag_queue_depth", 7, stage="admission")
        assert server.metric("http_server_active_requests", http_request_method="POST") == 10
        server.model.gate.set()
        assert {status for status, _ in await asyncio.gather(*queries)} == {200}
        assert max(server.model.batches) <= 3


async def test_probes_and_metrics_answer_while_a_batch_runs() -> None:
    async with running() as (server, session):
        server.model.gate.clear()
        query = asyncio.create_task(ask(session, server))
        await server.until("http_server_active_requests", 1, http_request_method="POST")
        for path in ("/healthz", "/readyz", "/metrics"):
            async with session.get(server.url(path)) as response:
                assert response.status == 200
        assert not query.done()
        server.model.gate.set()
        assert (await query)[0] == 200


async def test_metrics_carry_the_names_of_the_semantic_conventions() -> None:
    async with running() as (server, session):
        await ask(session, server)
        labels = {"http_request_method": "POST", "http_route": "/query", "http_response_status_code": "200"}
        await server.until("http_server_request_duration_seconds_count", 1, **labels)
        for operation in ("retrieval", "chat"):
            name = "gen_ai_client_operation_duration_seconds_count"
            assert server.metric(name, gen_ai_operation_name=operation) == 1
        tokens = server.metric("gen_ai_client_token_usage_sum", gen_ai_token_type="output")
        assert tokens == SMALL.output_tokens
        assert server.metric("rag_cache_lookups_total", result="miss") == 1
        assert server.metric("rag_cache_bytes") > 0
        assert server.metric("rag_setting", name="BATCH_SIZE") == server.service.settings.batch_size


async def test_series_of_queries_exist_at_zero_before_the_first_query_and_probes_do_not_count() -> None:
    async with running() as (server, session):
        for path in ("/healthz", "/readyz", "/metrics"):
            async with session.get(server.url(path)) as response:
                await response.read()
        for method in ("GET", "POST"):
            assert server.metric("http_server_request_duration_seconds_count", http_request_method=method) == 0


async def test_a_failed_batch_is_a_500_and_is_counted_as_one() -> None:
    async with running() as (server, session):
        server.model.broken = True
        async with session.post(server.url("/query"), json={"query": "some words"}) as response:
            assert response.status == 500
        server.model.broken = False
        assert (await ask(session, server))[0] == 200
        await server.until("http_server_request_duration_seconds_count", 1, http_response_status_code="500")


async def test_a_caller_that_hangs_up_frees_its_place() -> None:
    async with running(CONCURRENCY="1") as (server, session):
        server.model.gate.clear()
        impatient = asyncio.create_task(ask(session, server, "first"))
        await server.until("http_server_active_requests", 1, http_request_method="POST")
        waiting = asyncio.create_task(ask(session, server, "second"))
        await server.until("rag_queue_depth", 1, stage="admission")
        impatient.cancel()
        await server.until("rag_queue_depth", 0, stage="admission")
        server.model.gate.set()
        assert (await waiting)[0] == 200
        await server.until("http_server_request_duration_seconds_count", 1, http_response_status_code="499")


async def test_at_the_end_it_is_unready_first_still_answers_and_finishes_what_is_inside() -> None:
    async with running() as (server, session):
        server.model.gate.clear()
        inside = asyncio.create_task(ask(session, server, "before"))
        await server.until("http_server_active_requests", 1, http_request_method="POST")
        server.stop.set()
        await server.draining.wait()
        async with session.get(server.url("/readyz")) as response:
            assert response.status == 503
        late = asyncio.create_task(ask(session, server, "late"))
        await server.until("http_server_active_requests", 2, http_request_method="POST")
        server.drained.set()
        async with asyncio.timeout(30):
            while True:
                try:
                    async with session.get(server.url("/healthz")) as response:
                        await response.read()
                except aiohttp.ClientConnectorError:
                    break
        assert not server.task.done()
        server.model.gate.set()
        assert [status for status, _ in await asyncio.gather(inside, late)] == [200, 200]
        await server.task
