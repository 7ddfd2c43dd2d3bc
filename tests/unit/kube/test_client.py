from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, cast

import pytest
from aiohttp import web

from tests.unit.kube.fakes import FakeApi, event, lines, status
from trimtab.kube import errors
from trimtab.kube.client import KubeClient

Call = Callable[[KubeClient], Coroutine[Any, Any, Any]]


async def test_writes_carry_the_content_type_of_their_patch_and_the_field_manager() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async with FakeApi(answer) as api, api.client() as client:
        await client.create("/x", {"a": 1}, dry_run=True)
        await client.replace("/x", {"a": 1})
        await client.merge_patch("/x", {})
        await client.strategic_patch("/x", {"a": 1})
        await client.json_patch("/x", [{"op": "test", "path": "/a", "value": 1}])
        await client.apply("/x", {"a": "é"}, force=True)
        await client.delete("/x", uid="u1")
    kinds = [(seen.method, seen.headers["content-type"].partition("/")[2]) for seen in api.seen]
    assert kinds == [
        ("POST", "json"),
        ("PUT", "json"),
        ("PATCH", "merge-patch+json"),
        ("PATCH", "strategic-merge-patch+json"),
        ("PATCH", "json-patch+json"),
        ("PATCH", "apply-patch+yaml"),
        ("DELETE", "json"),
    ]
    assert [seen.query.get("fieldManager") for seen in api.seen] == ["trimtab"] * 6 + [None]
    assert api.seen[0].query["dryRun"] == "All"
    assert api.seen[2].body == {}
    assert api.seen[5].query["force"] == "true"
    assert api.seen[5].body == {"a": "é"}
    assert api.seen[6].body["preconditions"] == {"uid": "u1"}


async def test_an_escaped_name_arrives_as_it_was_escaped() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    async with FakeApi(answer) as api, api.client() as client:
        await client.get("/api/v1/namespaces/n/pods/a%2Fb%3Fc")
    assert api.seen[0].path == "/api/v1/namespaces/n/pods/a%2Fb%3Fc"


async def test_a_refusal_is_typed_and_keeps_its_causes_and_retry_after() -> None:
    async def answer(_: web.Request) -> web.Response:
        response = status(429, "TooManyRequests", causes=[{"reason": "DisruptionBudget", "message": "no"}])
        response.headers["Retry-After"] = "7"
        return response

    async with FakeApi(answer) as api, api.client() as client:
        with pytest.raises(errors.TooManyRequests) as caught:
            await client.create("/x/eviction", {})
    assert caught.value.retry_after == 7
    assert caught.value.disruption_budget
    assert str(caught.value).startswith("POST /x/eviction: 429")


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (502, b"<html>bad gateway</html>", errors.Unavailable),
        (500, b"[" * 60_000, errors.Unavailable),
        (403, b"", errors.Forbidden),
        (404, b'["not", "a", "status"]', errors.NotFound),
        (503, b"x" * 1_000_000, errors.Unavailable),
        (302, b"", errors.KubeError),
    ],
)
async def test_a_refusal_need_not_be_a_status_object(code: int, body: bytes, kind: type[Exception]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=code, body=body, headers={"Location": "/elsewhere"})

    async with FakeApi(answer) as api, api.client() as client:
        with pytest.raises(kind):
            await client.get("/x")
    assert len(api.seen) == 1  # no redirect was followed, nothing was retried


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"half": ', b"[1]", b"[" * 200_000, b"\xff\xfe"])
async def test_an_answer_that_is_no_object_is_unavailable(body: bytes) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    async with FakeApi(answer) as api, api.client() as client:
        with pytest.raises(errors.Unavailable, match="JSON"):
            await client.get("/x")


async def test_an_answer_beyond_the_byte_bound_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.kube.client.MAX_BODY_BYTES", 1000)

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"a": "x" * 2000})

    async with FakeApi(answer) as api, api.client() as client:
        with pytest.raises(errors.Unavailable, match="larger than 1000 bytes"):
            await client.get("/x")


async def test_a_black_hole_ends_at_the_timeout() -> None:
    hole = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await hole.wait()
        return web.json_response({})

    async with FakeApi(answer) as api, api.client() as client:
        for call in BLACK_HOLE_CALLS:
            with pytest.raises(errors.Unavailable) as caught:
                await call(client)
            assert caught.value.reason == "Timeout"
        hole.set()


BLACK_HOLE_CALLS: list[Call] = [
    lambda client: client.get("/x", timeout_seconds=0.02),
    lambda client: client.list("/x", timeout_seconds=0.02),
    lambda client: client.create("/x", {}, timeout_seconds=0.02),
    lambda client: client.replace("/x", {}, timeout_seconds=0.02),
    lambda client: client.apply("/x", {}, timeout_seconds=0.02),
    lambda client: client.delete("/x", timeout_seconds=0.02),
]


async def test_a_refused_connection_is_unavailable() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    async with FakeApi(answer) as api:
        client = api.client()
    async with client:
        with pytest.raises(errors.Unavailable) as caught:
            await client.get("/x")
    assert caught.value.reason == "ConnectionFailed"


async def test_a_connection_cut_in_the_middle_of_an_answer_is_unavailable() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"a":')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with FakeApi(answer) as api, api.client() as client:
        with pytest.raises(errors.Unavailable):
            await client.get("/x")


async def test_cancelling_a_request_cancels_it() -> None:
    arrived = asyncio.Event()
    hole = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        arrived.set()
        await hole.wait()
        return web.json_response({})

    async with FakeApi(answer) as api, api.client() as client:
        task = asyncio.create_task(client.get("/x"))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hole.set()


async def test_a_task_inside_the_request_being_cancelled_is_a_lost_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({})

    async def ended_from_inside(*_: object, **__: object) -> None:
        raise asyncio.CancelledError

    async with FakeApi(answer) as api, api.client() as client:
        monkeypatch.setattr("aiohttp.TCPConnector.connect", ended_from_inside)
        with pytest.raises(errors.Unavailable, match="from inside"):
            await client.get("/x")


def paged(pages: list[list[int]], fail_at: list[str]) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        token = request.query.get("continue", "0")
        if token in fail_at:
            fail_at.remove(token)
            return status(410, "Expired")
        at = int(token)
        metadata = {"resourceVersion": "9"} | ({"continue": str(at + 1)} if at + 1 < len(pages) else {})
        return web.json_response({"kind": "PodList", "metadata": metadata, "items": pages[at]})

    return answer


async def test_a_list_is_read_page_by_page_with_its_selectors() -> None:
    async with FakeApi(paged([[1, 2], [3], [4]], [])) as api, api.client() as client:
        whole = await client.list("/x", "app=a,tier in (b, c)", "metadata.name=n", limit=2)
    assert whole["items"] == [1, 2, 3, 4]
    assert whole["metadata"] == {"resourceVersion": "9"}
    assert [seen.query["labelSelector"] for seen in api.seen] == ["app=a,tier in (b, c)"] * 3
    assert api.seen[0].query["fieldSelector"] == "metadata.name=n"
    assert api.seen[0].query["limit"] == "2"


async def test_a_list_whose_continue_token_expires_starts_again() -> None:
    async with FakeApi(paged([[1], [2]], ["1", "1"])) as api, api.client() as client:
        assert (await client.list("/x"))["items"] == [1, 2]
    async with FakeApi(paged([[1], [2]], ["1", "1", "1"])) as api, api.client() as client:
        with pytest.raises(errors.Gone):
            await client.list("/x")


@pytest.mark.parametrize(
    "page",
    [{}, {"metadata": {}, "items": {}}, {"metadata": {"continue": "same"}, "items": []}],
    ids=["no metadata", "items no list", "the same page for ever"],
)
async def test_a_list_that_is_none_is_unavailable(page: dict[str, Any]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(page)

    async with FakeApi(answer) as api, api.client() as client:
        with pytest.raises(errors.Unavailable):
            await client.list("/x")


async def test_a_list_without_items_is_empty() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"metadata": {"resourceVersion": "1"}})

    async with FakeApi(answer) as api, api.client() as client:
        assert (await client.list("/x"))["items"] == []


async def collect(client: KubeClient, **options: Any) -> list[str]:
    """Names in the watch's events."""
    return [event["object"]["metadata"]["name"] async for event in client.stream_watch("/x", {"a": "b"}, **options)]


async def test_watch_events_come_out_whole_however_the_bytes_are_cut() -> None:
    raw = b"".join(json.dumps(event("ADDED", f"p{at}", at)).encode() + b"\n" for at in range(5))

    async def answer(request: web.Request) -> web.StreamResponse:
        return await lines(request, *(raw[at : at + size] for at in range(0, len(raw), size)))

    async with FakeApi(answer) as api, api.client() as client:
        for size in (1, 7, 50, 10_000):  # noqa: B007  (read by `answer`)
            assert await collect(client) == ["p0", "p1", "p2", "p3", "p4"]
    assert api.seen[0].query == {"timeoutSeconds": "290", "a": "b", "watch": "true"}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"garbage\n", "NotJSON"),
        (b'{"type": "ADDED"}\n', "NotJSON"),
        (b'{"type": 1, "object": {}}\n', "NotJSON"),
        (b"[" * 100_000 + b"\n", "NotJSON"),
        (b'{"type": "ADDED", "obj', "NotJSON"),
        (b"x" * 300_000, "TooLarge"),
        (b"\n" * 700_000, "TooLarge"),
    ],
)
async def test_a_watch_that_sends_no_events_is_unavailable(raw: bytes, reason: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await lines(request, raw)

    async with FakeApi(answer) as api, api.client() as client:
        with pytest.raises(errors.Unavailable) as caught:
            await collect(client, max_line_bytes=200_000, max_bytes=500_000)
    assert caught.value.reason == reason


async def test_an_error_event_is_raised_as_its_status() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        gone = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}
        return await lines(request, json.dumps(gone).encode() + b"\n")

    async with FakeApi(answer) as api, api.client() as client:
        with pytest.raises(errors.Gone, match="too old"):
            await collect(client)


async def test_a_silent_watch_ends_at_the_idle_timeout() -> None:
    hole = asyncio.Event()

    async def never_ends(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b" ")
        await hole.wait()
        return response

    async with FakeApi(never_ends) as api, api.client() as client:
        with pytest.raises(errors.Unavailable) as caught:
            await collect(client, idle_timeout=0.05)
        assert caught.value.reason == "Timeout"
        hole.set()


async def test_leaving_a_watch_early_closes_its_connection() -> None:
    left = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        raw = json.dumps(event("ADDED", "a", 1)).encode() + b"\n"
        try:
            while True:
                await response.write(raw)
        finally:
            left.set()

    async with FakeApi(answer) as api, api.client() as client:
        events = cast("Any", client.stream_watch("/x"))
        async with aclosing(events):
            assert (await anext(events))["type"] == "ADDED"
        async with asyncio.timeout(5):
            await left.wait()
