"""The one client of the API server: raw JSON in and out, no models.

Every method is bounded in time and bytes and raises `trimtab.kube.errors.KubeError` only. Nothing is retried
here: the tick is level-based, and a caller that repeats a write must know what it repeats.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from trimtab.kube.credentials import Credentials
from trimtab.kube.errors import Gone, Unavailable, from_status
from trimtab.kube.transport import Json, Transport, parse_object

FIELD_MANAGER = "trimtab"
REQUEST_SECONDS = 10.0
PAGE_SECONDS = 30.0
PAGE_LIMIT = 500
MAX_BODY_BYTES = 64 << 20  # a page of 500 pods of 100 KiB
MAX_LINE_BYTES = 8 << 20  # etcd refuses objects beyond 1.5 MiB; JSON of one is at most a few times that
MAX_STREAM_BYTES = 4 << 30
IDLE_SECONDS = 90.0
"""A live watch with bookmarks speaks about once a minute (kube-apiserver, cacher's bookmarkFrequency)."""
WATCH_SECONDS = 290
"""How long the server keeps a watch open, unless told otherwise (client-go: 300 to 600 s)."""
LIST_ATTEMPTS = 3


class KubeClient:
    """Requests to one API server.

    Close it with `await client.close()` or use it as an async context manager.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        field_manager: str = FIELD_MANAGER,
        timeout_seconds: float = REQUEST_SECONDS,
        connections: int = 64,
    ) -> None:
        self.field_manager = field_manager
        self.timeout_seconds = timeout_seconds
        self._transport = Transport(credentials, connections=connections)

    @classmethod
    async def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> Self:
        """A client with the credentials that `Credentials.load` finds.

        Raises Unavailable when there are none.
        """
        return cls(await Credentials.load(kubeconfig, context))

    async def close(self) -> None:
        """End all connections."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> Json:
        """The object at `path`. Raises NotFound."""
        return await self._send("GET", path, timeout_seconds=timeout_seconds)

    async def list(
        self,
        path: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = PAGE_LIMIT,
        *,
        timeout_seconds: float = PAGE_SECONDS,
    ) -> Json:
        """The whole collection at `path` as one List object, read `limit` objects at a time.

        When the continue token expires between two pages the list starts again, at most twice; then raises
        Gone. `timeout_seconds` bounds each page. `metadata.resourceVersion` is where a watch may begin.
        """
        for attempt in range(1, LIST_ATTEMPTS + 1):
            whole: Json | None = None
            try:
                async for page in self.pages(
                    path, label_selector, field_selector, limit, timeout_seconds=timeout_seconds
                ):
                    if whole is None:
                        whole = page
                    else:
                        whole["items"].extend(page["items"])
                        whole["metadata"] = page["metadata"]
            except Gone:
                if attempt == LIST_ATTEMPTS:
                    raise
                continue
            assert whole is not None  # pages yields at least once or raises
            return whole
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def pages(
        self,
        path: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = PAGE_LIMIT,
        *,
        timeout_seconds: float = PAGE_SECONDS,
    ) -> AsyncIterator[Json]:
        """The collection page by page, so that a caller can strip each before the next.

        Raises Gone as it comes.
        """
        params = {"limit": str(limit)} | selectors(label_selector, field_selector)
        while True:
            page = await self._send("GET", path, params=params, timeout_seconds=timeout_seconds)
            metadata = page.get("metadata")
            if not isinstance(metadata, dict) or not isinstance(page.setdefault("items", []), list):
                raise Unavailable(0, "NotAList", "the answer is not a List", request=f"GET {path}")
            yield page
            token = metadata.get("continue")
            if not token:
                return
            if token == params.get("continue"):
                raise Unavailable(0, "NotAList", "the server repeats its page", request=f"GET {path}")
            params["continue"] = token

    async def create(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """POST to the collection (or to `…/eviction`).

        Raises AlreadyExists, TooManyRequests (see the error).
        """
        return await self._send("POST", path, params=self._write(dry_run), body=body, timeout_seconds=timeout_seconds)

    async def replace(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """PUT the object. Raises Conflict unless `metadata.resourceVersion` is current (or absent)."""
        return await self._send("PUT", path, params=self._write(dry_run), body=body, timeout_seconds=timeout_seconds)

    async def merge_patch(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """RFC 7396: lists are replaced whole, null removes."""
        return await self._patch("merge-patch+json", path, body, dry_run, timeout_seconds)

    async def strategic_patch(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """Kubernetes' own patch, lists merged by key. Built-in kinds only; pods/resize takes no other."""
        return await self._patch("strategic-merge-patch+json", path, body, dry_run, timeout_seconds)

    async def json_patch(
        self,
        path: str,
        operations: Sequence[Mapping[str, object]],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """RFC 6902. A failed `test` operation raises Invalid."""
        return await self._patch("json-patch+json", path, operations, dry_run, timeout_seconds)

    async def apply(
        self,
        path: str,
        body: Mapping[str, object],
        field_manager: str | None = None,
        force: bool = False,
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """Server-side apply: `body` is all that `field_manager` wants. Only for objects that Trimtab owns.

        Raises Conflict, with `conflicting_managers`, when another manager owns a field at another value and
        `force` is False.
        """
        params = self._write(dry_run) | {"force": "true" if force else "false"}
        if field_manager is not None:
            params["fieldManager"] = field_manager
        # The server takes JSON here: it is YAML.
        content_type = "application/apply-patch+yaml"
        return await self._send(
            "PATCH",
            path,
            params=params,
            body=body,
            content_type=content_type,
            timeout_seconds=timeout_seconds,
        )

    async def delete(
        self,
        path: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str = "Background",
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        """Delete the object.

        Raises NotFound, and Conflict when it is not the one that `uid` and version name.
        """
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if given := {key: value for key, value in preconditions.items() if value is not None}:
            body["preconditions"] = given
        if dry_run:
            body["dryRun"] = ["All"]
        return await self._send("DELETE", path, body=body, timeout_seconds=timeout_seconds)

    async def stream_watch(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        idle_timeout: float = IDLE_SECONDS,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_bytes: int = MAX_STREAM_BYTES,
    ) -> AsyncIterator[Json]:
        """Watch events as they come, `{"type": …, "object": …}`; ends when the server ends the watch.

        `watch=true` is added, and `timeoutSeconds` unless given. Close the iterator (contextlib.aclosing)
        when leaving it early.

        Raises:
            Gone: the resourceVersion is too old (HTTP 410 or an ERROR event).
            KubeError: any other refusal or ERROR event, typed the same way.
            Unavailable: no byte for `idle_timeout` seconds (reason Timeout), a line over `max_line_bytes` or
                a connection over `max_bytes` (reason TooLarge), a line that is not an event, or half of one
                at the end.
        """
        where = f"GET {path}?watch"
        query = {"timeoutSeconds": str(WATCH_SECONDS)} | dict(params or {}) | {"watch": "true"}
        rest = bytearray()
        total = 0
        async with self._transport.stream(path, query, idle_timeout) as content:
            async for chunk in content.iter_any():
                total += len(chunk)
                if total > max_bytes:
                    raise Unavailable(0, "TooLarge", f"the watch sent over {max_bytes} bytes", request=where)
                head, *lines = chunk.split(b"\n")
                rest += head
                if len(rest) > max_line_bytes:
                    raise Unavailable(0, "TooLarge", f"an event is over {max_line_bytes} bytes", request=where)
                for line in lines:
                    if rest:
                        yield _event(bytes(rest), where)
                    rest = bytearray(line)
        if rest.strip():
            raise Unavailable(0, "NotJSON", "the watch ended in the middle of an event", request=where)

    def _write(self, dry_run: bool) -> dict[str, str]:
        params = {"fieldManager": self.field_manager}
        return params | {"dryRun": "All"} if dry_run else params

    async def _patch(self, kind: str, path: str, body: object, dry_run: bool, timeout_seconds: float | None) -> Json:
        content_type = f"application/{kind}"
        params = self._write(dry_run)
        return await self._send(
            "PATCH",
            path,
            params=params,
            body=body,
            content_type=content_type,
            timeout_seconds=timeout_seconds,
        )

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        timeout_seconds: float | None = None,
    ) -> Json:
        return await self._transport.send(
            method,
            path,
            params=params,
            body=body,
            content_type=content_type,
            timeout_seconds=self.timeout_seconds if timeout_seconds is None else timeout_seconds,
            max_bytes=MAX_BODY_BYTES,
        )


def selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    """Query parameters of the selectors that are given."""
    given = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in given.items() if value}


def _event(line: bytes, where: str) -> Json:
    event = parse_object(line, where)
    payload = event.get("object")
    if not isinstance(event.get("type"), str) or not isinstance(payload, dict):
        text = f"a line of the watch is not an event: keys {sorted(event)[:5]}"
        raise Unavailable(0, "NotJSON", text, request=where)
    if event["type"] == "ERROR":
        raise from_status(payload, request=where)
    return event
