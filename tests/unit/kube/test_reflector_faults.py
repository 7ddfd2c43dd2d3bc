from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.kube.fakes import bookmark, event
from tests.unit.kube.mirror import END, Mirror, Pod
from trimtab.kube import errors
from trimtab.kube.reflector import Backoff


async def test_staleness_grows_while_the_server_is_away_also_when_lists_break_half_way() -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), bookmark(5, ends_list=True))
        await mirror.say(mirror.later(50))
        assert mirror.reflector.staleness() == 50
        await mirror.say(bookmark(6))
        assert mirror.reflector.staleness() == 0
        await mirror.say(errors.Unavailable(0, "Timeout"))
        before = mirror.reflector.staleness()
        await mirror.say(event("ADDED", "a", 9), mirror.later(10), END)
        assert mirror.reflector.staleness() >= before + 10
        assert mirror.names == ["ns/a"]


async def test_reconnecting_backs_off_and_starts_anew_after_a_healthy_connection() -> None:
    async with Mirror(backoff=Backoff(first=1, most=8, healthy=5)) as mirror:
        await mirror.say(*[errors.Unavailable(0, "ConnectionFailed")] * 6)
        assert mirror.api.slept == [1, 2, 4, 8, 8, 8]
        await mirror.say(bookmark(5, ends_list=True), mirror.later(5), errors.Unavailable(0, "ConnectionFailed"))
        assert mirror.api.slept[6:] == [1]
        await mirror.say(mirror.later(300), END)
        assert mirror.api.slept[7:] == []


async def test_a_watch_that_ends_at_once_again_and_again_is_no_busy_loop() -> None:
    async with Mirror(backoff=Backoff(first=1, most=8)) as mirror:
        await mirror.say(bookmark(5, ends_list=True), END, END, END)
        assert mirror.api.slept == [1, 2, 4]


async def test_a_server_that_asks_for_time_gets_it_within_bounds() -> None:
    async with Mirror(backoff=Backoff(first=1, most=30)) as mirror:
        await mirror.say(errors.TooManyRequests(429, "TooManyRequests", retry_after=9))
        await mirror.say(errors.TooManyRequests(429, "TooManyRequests", retry_after=86_400))
        assert mirror.api.slept == [9, 30]


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_without_bounds(failures: int, chance: float) -> None:
    backoff = Backoff()
    assert 0 < backoff.delay(failures, chance) <= 1.5 * backoff.most


async def test_a_resumed_watch_of_what_never_changes_may_be_silent_and_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "trimtab.kube.reflector")
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), bookmark(5, ends_list=True), mirror.later(290), END)
        await mirror.say(mirror.later(90), errors.Unavailable(0, "Timeout"))
        assert [(record.levelname, "lists anew" in record.message) for record in caplog.records] == [("INFO", True)]
        assert mirror.reflector.last_error is None
        await mirror.say(mirror.later(90), errors.Unavailable(0, "Timeout"))  # the list that follows: an outage
        assert caplog.records[-1].levelname == "WARNING"
        await mirror.say(event("ADDED", "b", 1), bookmark(6, ends_list=True))
        assert mirror.names == ["ns/b"]


async def test_a_failure_is_logged_once_and_kept_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trimtab.kube.reflector")
    forbidden = errors.Forbidden(403, "Forbidden", "pods is forbidden")
    async with Mirror() as mirror:
        await mirror.say(forbidden, forbidden, forbidden)
        assert mirror.last_error() is forbidden
        assert not mirror.reflector.synced.is_set()
        await mirror.say(bookmark(5, ends_list=True))
        assert mirror.last_error() is None
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "INFO"]


async def test_an_object_that_cannot_be_stripped_keeps_its_last_good_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), event("ADDED", "b", 1, seen="x"), bookmark(5, ends_list=True))
        assert mirror.names == ["ns/a"]
        await mirror.say(event("MODIFIED", "a", 6, seen="not a number"), event("ADDED", "c", 7))
        assert mirror.reflector.store == {"ns/a": Pod("a", 0), "ns/c": Pod("c", 0)}
        await mirror.say(END, errors.Gone(410, "Expired"))
        await mirror.say(event("ADDED", "a", 8, seen="y"), bookmark(9, ends_list=True))
        assert mirror.reflector.store == {"ns/a": Pod("a", 0)}
    assert mirror.reflector.malformed == 3
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize(
    "raw", [{}, {"metadata": None}, {"metadata": []}, {"metadata": {"name": 3}}, {"metadata": {"name": ""}}]
)
async def test_an_object_without_a_name_is_left_out(raw: dict[str, Any]) -> None:
    async with Mirror() as mirror:
        await mirror.say({"type": "ADDED", "object": raw}, bookmark(5, ends_list=True))
        await mirror.say({"type": "MODIFIED", "object": raw}, {"type": "DELETED", "object": raw})
        assert mirror.names == []


async def test_no_exception_ends_the_mirror(caplog: pytest.LogCaptureFixture) -> None:
    async with Mirror() as mirror:
        await mirror.say(RuntimeError("a fault of ours"))
        await mirror.say({"type": "BOOKMARK", "object": {"metadata": {"annotations": 3}}})
        await mirror.say(
            {"type": "BOOKMARK", "object": {"metadata": {"annotations": {"k8s.io/initial-events-end": "true"}}}}
        )
        await mirror.say(event("ADDED", "a", 1), bookmark(5, ends_list=True))
        assert mirror.names == ["ns/a"]
    assert "a fault of ours" in caplog.text
