"""Bytes to and from the API server: one session, every wait bounded, every failure a `KubeError`.

Why aiohttp and not kubernetes.aio's ApiClient: ApiClient copies each body before sending it, follows
redirects with a write in hand, cannot bound the size of an answer, and on a refused request builds models of
what it read. Its configuration (TLS, tokens, exec plugins) is what we need, and `credentials` takes that
over.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

import aiohttp
import yarl

from trimtab.kube.credentials import Credentials
from trimtab.kube.errors import KubeError, Unauthorized, Unavailable, from_status

Json = dict[str, Any]
"""A JSON object, as read or as sent."""

CONNECT_SECONDS = 5.0
MAX_ERROR_BYTES = 64 * 1024
READ_BUFFER_BYTES = 1 << 20  # aiohttp's default of 64 KiB wakes us 16 times as often on a large watch


class Transport:
    """Sends requests; knows nothing of what they mean."""

    def __init__(self, credentials: Credentials, *, connections: int) -> None:
        self._credentials = credentials
        self._connections = connections
        self._headers = {
            "Accept": "application/json",
            # Uncompressed, so that a bound on the bytes read bounds the memory, and the server's CPU is
            # spared.
            "Accept-Encoding": "identity",
            "User-Agent": f"trimtab/{version('trimtab')}",
        }
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End all connections. Requests after this open a new session."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        timeout_seconds: float,
        max_bytes: int,
    ) -> Json:
        """One request, one JSON object back, within `timeout_seconds` and `max_bytes`.

        Raises:
            KubeError: typed by the answer's status; Unavailable when there is none or it is not a JSON
                object.
        """
        where = f"{method} {path}"
        data = None if body is None else json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        limits = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=min(CONNECT_SECONDS, timeout_seconds))
        async with self._open(method, path, params, data, content_type, limits) as response:
            return parse_object(await read_bounded(response, max_bytes, where), where)

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], idle_timeout: float
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """A GET whose body never ends by itself; `idle_timeout` seconds without a byte raise Unavailable."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=idle_timeout)
        async with self._open("GET", path, params, None, "application/json", limits) as response:
            yield response.content

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        data: bytes | None,
        content_type: str,
        limits: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        where = f"{method} {path}"
        # encoded=True: paths are escaped by `paths`; yarl must not unescape them again.
        query = f"?{urlencode(params)}" if params else ""
        url = yarl.URL(f"{self._credentials.host}{path}{query}", encoded=True)
        with typed_failures(where):
            response = await self._request(method, url, data, content_type, limits, where)
            try:
                yield response
            finally:
                # Read to its end, a connection goes back to the pool. One with unread data, as of a watch that is
                # left, is cut: a polite TLS shutdown waits for the peer, and can outlive the event loop.
                if response.connection is not None and response.connection.transport is not None:
                    response.connection.transport.abort()
                response.release()

    async def _request(
        self,
        method: str,
        url: yarl.URL,
        data: bytes | None,
        content_type: str,
        limits: aiohttp.ClientTimeout,
        where: str,
    ) -> aiohttp.ClientResponse:
        reloaded = False
        while True:
            headers = dict(self._headers)
            headers.update(await self._credentials.headers())
            if data is not None:
                headers["Content-Type"] = content_type
            try:
                response = await self._open_session().request(
                    method,
                    url,
                    data=data,
                    headers=headers,
                    timeout=limits,
                    allow_redirects=False,
                    ssl=self._credentials.ssl_context,
                    server_hostname=self._credentials.server_hostname,
                    proxy=self._credentials.proxy,
                )
                if 200 <= response.status < 300:
                    return response
                raise await _refusal(response, where)
            except (Unauthorized, aiohttp.ClientSSLError):
                # Neither has been acted on by the server, so sending again is safe. Once, with credentials
                # read anew.
                if reloaded or not await self._credentials.reload():
                    raise
                reloaded = True

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Not trust_env: it would also read ~/.netrc. Credentials knows the proxy.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=READ_BUFFER_BYTES,
            )
        return self._session


@contextmanager
def typed_failures(where: str) -> Iterator[None]:
    """Turn every way in which an aiohttp exchange fails into Unavailable; leave real cancellation alone."""
    try:
        yield
    except asyncio.CancelledError as error:
        # kopf, on its way out, cancels tasks that aiohttp made inside this request. That is a lost request,
        # not a cancellation of the caller.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        text = "the connection was ended from inside this process"
        raise Unavailable(0, "Cancelled", text, request=where) from error
    except aiohttp.ConnectionTimeoutError as error:
        raise Unavailable(0, "ConnectionFailed", "cannot connect in time", request=where) from error
    except TimeoutError as error:
        raise Unavailable(0, "Timeout", str(error) or "no answer in time", request=where) from error
    except (aiohttp.ClientError, OSError) as error:
        text = f"{type(error).__name__}: {error}"
        raise Unavailable(0, "ConnectionFailed", text, request=where) from error


async def read_bounded(response: aiohttp.ClientResponse, max_bytes: int, where: str) -> bytes:
    """The whole body. Raises Unavailable as soon as it is larger than `max_bytes`."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            text = f"the answer is larger than {max_bytes} bytes; list fewer objects a page"
            raise Unavailable(response.status, "TooLarge", text, request=where)
    return bytes(body)


def parse_object(raw: bytes, where: str) -> Json:
    """Parse a JSON object.

    Raises Unavailable for anything else: a proxy's page, half an answer, nesting bombs.
    """
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        text = f"the answer is not JSON ({len(raw)} bytes): {type(error).__name__}"
        raise Unavailable(0, "NotJSON", text, request=where) from error
    if not isinstance(value, dict):
        raise Unavailable(0, "NotJSON", "the answer is not a JSON object", request=where)
    return value


async def _refusal(response: aiohttp.ClientResponse, where: str) -> KubeError:
    """The typed error of an answer that is not 2xx. Its body is read within bounds, and need not be JSON."""
    try:
        raw = await response.content.read(MAX_ERROR_BYTES)
        while len(raw) < MAX_ERROR_BYTES and (more := await response.content.read(MAX_ERROR_BYTES - len(raw))):
            raw += more
        status = json.loads(raw)
    except (ValueError, RecursionError):
        status = None
    finally:
        response.release()
    if not isinstance(status, dict):
        # Not the API server's own words. Its status line still is.
        status = {"reason": response.reason or "", "message": ""}
    return from_status(
        status, response.status, request=where, retry_after=_seconds(response.headers.get("Retry-After"))
    )


def _seconds(header: str | None) -> float | None:
    """Retry-After as seconds; its date form is not used by the API server and counts as absent."""
    return float(header) if header is not None and header.isascii() and header.isdecimal() else None
