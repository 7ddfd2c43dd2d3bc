"""The HTTP service: admission, retrieval, generation in batches, metrics, and an orderly end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any

import numpy as np
from aiohttp import web

from batcher import Batcher
from generation import FloatArray, Model
from retrieval import Context, ContextCache, Corpus, Retriever, words_of
from settings import Settings
from telemetry import GENERATION, QUERY_ROUTE, RETRIEVAL, Telemetry

MAX_QUERY_CHARACTERS = 1000
MAX_WAITING = 1024
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FINISH_SECONDS = 60.0
"""Longest wait for queries in the service at the end; the pod's grace period is usually shorter."""

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a caller that left before the answer: nothing is sent, but the wait is counted."""


@dataclass(frozen=True)
class _Prompt:
    question: FloatArray
    context: Context


class Service:
    """Answers queries. Two threads of its own do the arithmetic, so that the event loop stays free."""

    def __init__(self, settings: Settings, telemetry: Telemetry, model: Model) -> None:
        """Build the corpus, the cache and the batcher around a model of the settings' size."""
        self.settings = settings
        self.telemetry = telemetry
        self.accepting = False
        self._model = model
        corpus = Corpus(settings.corpus_documents, model.embedding, settings.model.context_tokens)
        self._retriever = Retriever(corpus, ContextCache(settings.cache_mib * 1024 * 1024))
        self._retrieval_thread = ThreadPoolExecutor(1, thread_name_prefix="retrieval")
        self._generation_thread = ThreadPoolExecutor(1, thread_name_prefix="generation")
        self._admission = asyncio.Semaphore(settings.concurrency)
        self._waiting = 0
        self._batcher = Batcher[_Prompt, list[int]](
            self._generate,
            batch_size=settings.batch_size,
            wait_seconds=settings.batch_wait_ms / 1000,
            on_batch=telemetry.batch_ran,
        )
        telemetry.queue_depth.labels("admission").set_function(lambda: self._waiting)
        telemetry.queue_depth.labels(GENERATION).set_function(lambda: self._batcher.depth)
        for name, value in (
            ("BATCH_SIZE", settings.batch_size),
            ("CONCURRENCY", settings.concurrency),
            ("CACHE_MB", settings.cache_mib),
        ):
            telemetry.setting(name, value)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Warm up, then accept queries inside the block; the threads end with it."""
        worker = asyncio.create_task(self._batcher.serve())
        try:
            question = self._retriever.corpus.question("warm up")
            await self._batcher.submit(_Prompt(question, self._retriever.corpus.search("warm up")))
            self.accepting = True
            yield
        finally:
            self.accepting = False
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            self._retrieval_thread.shutdown()
            self._generation_thread.shutdown()

    @property
    def overloaded(self) -> bool:
        """Whether so many queries wait that one more would only add to the wait."""
        return self._waiting >= MAX_WAITING

    async def answer(self, query: str) -> dict[str, Any]:
        """Retrieve, generate, and return the answer's text, its sources and whether the cache was hit."""
        async with self._admitted():
            began = time.perf_counter()
            loop = asyncio.get_running_loop()
            context, question, hit = await loop.run_in_executor(self._retrieval_thread, self._retriever.lookup, query)
            retrieved = time.perf_counter()
            self.telemetry.operation_ended(RETRIEVAL, retrieved - began)
            self.telemetry.cache_used(hit, self._retriever.cache.held_bytes)
            tokens = await self._batcher.submit(_Prompt(question, context))
            self.telemetry.operation_ended(GENERATION, time.perf_counter() - retrieved)
            self.telemetry.tokens_used(len(context.embeddings) + len(words_of(query)), len(tokens))
        return {
            "answer": " ".join(f"w{token}" for token in tokens),
            "documents": context.documents,
            "cached": hit,
        }

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        """Hold one of CONCURRENCY places, and measure the wait for it."""
        began = time.perf_counter()
        self._waiting += 1
        try:
            await self._admission.acquire()
        finally:
            self._waiting -= 1
        try:
            self.telemetry.waited("admission", time.perf_counter() - began)
            yield
        finally:
            self._admission.release()

    async def _generate(self, prompts: list[_Prompt]) -> list[list[int]]:
        """Run one batch in the generation thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._generation_thread, self._generate_now, prompts)

    def _generate_now(self, prompts: list[_Prompt]) -> list[list[int]]:
        contexts = [prompt.context.embeddings for prompt in prompts]
        questions = np.stack([prompt.question for prompt in prompts])
        tokens: list[list[int]] = self._model.generate(questions, contexts).tokens.tolist()
        return tokens


def application(service: Service) -> web.Application:
    """Routes: /query, /healthz, /readyz and /metrics."""
    app = web.Application(client_max_size=16 * 1024)

    async def query(request: web.Request) -> web.Response:
        return await _measured(service, request)

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        if service.accepting:
            return web.Response(text="ready\n")
        return web.Response(status=503, text="not accepting queries\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=service.telemetry.render(), headers={"Content-Type": METRICS_TYPE})

    app.router.add_get(QUERY_ROUTE, query, allow_head=False)
    app.router.add_post(QUERY_ROUTE, query)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


async def _measured(service: Service, request: web.Request) -> web.Response:
    """Answer a query, and record its duration and status.

    Only queries are recorded: probes and scrapes answer in a millisecond and would pull the quantiles down,
    which is why OpenTelemetry's instrumentations can exclude their URLs too.
    """
    began = time.perf_counter()
    status = 500
    service.telemetry.request_started(request.method)
    try:
        response = await _answer(service, request)
        status = response.status
        if not service.accepting:
            response.force_close()
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    except asyncio.CancelledError:
        status = CLIENT_CLOSED_REQUEST
        raise
    finally:
        service.telemetry.request_ended(request.method, QUERY_ROUTE, status, time.perf_counter() - began)


async def _answer(service: Service, request: web.Request) -> web.Response:
    """Read and check a query, and answer it."""
    try:
        text = (await request.json())["query"] if request.method == "POST" else request.query.get("q", "")
    except (JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return _refused(400, 'the body is not a JSON object with a "query": send {"query": "some words"}')
    if not isinstance(text, str) or not words_of(text):
        return _refused(400, "the query has no words: send some text")
    if len(text) > MAX_QUERY_CHARACTERS:
        return _refused(400, f"the query is longer than {MAX_QUERY_CHARACTERS} characters: shorten it")
    if service.overloaded:
        return _refused(503, f"{MAX_WAITING} queries wait already: try again later")
    return web.json_response(await service.answer(text))


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


async def serve(
    service: Service,
    stop: asyncio.Event,
    on_listening: Callable[[int], None],
    *,
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Serve until `stop`, then leave without losing a query.

    First /readyz says no while queries are still taken, for as long as `drain` takes: Services learn of it
    with a delay. Then the socket is closed, queries in the service are finished, and only then does this
    return. `on_listening` is called with the port.
    """
    # A caller that hangs up frees its place: its query is not worth computing any more.
    runner = web.AppRunner(
        application(service), access_log=None, handler_cancellation=True, shutdown_timeout=FINISH_SECONDS
    )
    await runner.setup()
    async with service.running():
        try:
            await web.TCPSite(runner, service.settings.host, service.settings.port).start()
            on_listening(runner.addresses[0][1])
            await stop.wait()
            service.accepting = False
            await drain()
        finally:
            await runner.cleanup()
