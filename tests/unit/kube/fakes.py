"""An API server that answers as a test tells it to, and a loop whose time is virtual."""

from __future__ import annotations

import asyncio
import json
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from trimtab.kube.client import KubeClient
from trimtab.kube.credentials import Credentials

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


@dataclass
class FakeApi:
    """An HTTP server on the loopback. `answer` is called for each request."""

    answer: Handler
    seen: list[Seen] = field(default_factory=list)
    _server: TestServer | None = None

    async def __aenter__(self) -> FakeApi:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._server = TestServer(app)
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        await self._server.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        headers = {key.lower(): value for key, value in request.headers.items()}
        self.seen.append(Seen(request.method, request.url.raw_path, dict(request.query), headers, body))
        return await self.answer(request)

    @property
    def host(self) -> str:
        assert self._server is not None
        return str(self._server.make_url("")).rstrip("/")

    def client(self, **options: Any) -> KubeClient:
        return KubeClient(Credentials(Configuration(host=self.host)), **options)


def status(code: int, reason: str, message: str = "no", **details: Any) -> web.Response:
    """A Status object as the API server sends it."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return web.json_response(body, status=code)


async def lines(request: web.Request, *chunks: bytes) -> web.StreamResponse:
    """A watch that sends these bytes and ends."""
    response = web.StreamResponse()
    await response.prepare(request)
    for chunk in chunks:
        await response.write(chunk)
    await response.write_eof()
    return response


def event(kind: str, name: str, version: int, **more: Any) -> dict[str, Any]:
    """A watch event of a pod in namespace "ns"."""
    metadata = {"name": name, "namespace": "ns", "resourceVersion": str(version)} | more
    return {"type": kind, "object": {"metadata": metadata}}


def bookmark(version: int, *, ends_list: bool = False) -> dict[str, Any]:
    annotations = {"annotations": {"k8s.io/initial-events-end": "true"}} if ends_list else {}
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)} | annotations}}


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting, moves the loop's time to where the next timer is due."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("every task waits and no timer is set: this would hang for ever")
        self.loop.now += max(timeout, 1e-9)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which hours take no time. For code without sockets."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


async def elapse(seconds: float) -> None:
    """Let virtual time pass."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    passed = asyncio.Event()
    timer = loop.call_later(seconds, passed.set)
    try:
        await passed.wait()
    finally:
        timer.cancel()


async def until(condition: Callable[[], bool], seconds: float, step: float = 0.05) -> float:
    """Let virtual time pass until `condition` holds; TimeoutError after `seconds`. Returns how long it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        if loop.time() - began >= seconds:
            raise TimeoutError(f"not so after {seconds} virtual seconds")
        await elapse(step)
    return loop.time() - began


def run_virtual(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main(loop)` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(main(loop))
