"""Events: repeats are counted, noise is bounded, refusals are survived."""

from typing import Any

import pytest

from trimtab.api.reasons import Reason
from trimtab.kube.errors import Forbidden, KubeError, NotFound, Unavailable
from trimtab.record.events import BURST, REFILL_SECONDS, SERIES_SECONDS, EventRecorder, Regarding, micro_time

WHO = Regarding("trimtab.dev/v1alpha1", "PerformanceConfig", "shop", "rag", "uid-1")


class Api:
    """Remembers what was written; can refuse."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.patched: list[tuple[str, dict[str, Any]]] = []
        self.refuse: KubeError | None = None

    async def create(self, path: str, body: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        assert timeout_seconds == 5.0
        if self.refuse:
            raise self.refuse
        assert path == "/apis/events.k8s.io/v1/namespaces/shop/events"
        self.created.append(body)
        return body

    async def merge_patch(self, path: str, body: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        if self.refuse:
            raise self.refuse
        self.patched.append((path, body))
        return body


def recorder(api: Api, **kwargs: Any) -> EventRecorder:
    return EventRecorder(api, "trimtab-0", **kwargs)  # type: ignore[arg-type]


async def test_a_thousand_repeats_become_one_event_with_a_count() -> None:
    api = Api()
    events = recorder(api)
    for second in range(1000):
        await events.emit(WHO, Reason.ALERT_FIRING, "slow", 1_000_000.0 + second, warning=True)
    assert len(api.created) == 1
    assert api.created[0]["type"] == "Warning"
    assert api.created[0]["regarding"]["uid"] == "uid-1"
    assert api.patched[-1][1]["series"]["count"] > 900
    assert len(api.patched) <= 1000 / 60 + 1


async def test_a_repeat_after_the_series_has_ended_is_a_new_event() -> None:
    api = Api()
    events = recorder(api)
    await events.emit(WHO, Reason.SCALED_UP, "2 → 3", 0.0)
    await events.emit(WHO, Reason.SCALED_UP, "2 → 3", SERIES_SECONDS + 1)
    assert len(api.created) == 2
    assert api.created[0]["metadata"]["name"] != api.created[1]["metadata"]["name"]


async def test_a_noisy_object_is_cut_off_and_comes_back_slowly() -> None:
    api = Api()
    events = recorder(api)
    for number in range(100):
        await events.emit(WHO, Reason.SCALED_UP, f"note {number}", 0.0)
    assert len(api.created) == BURST
    await events.emit(WHO, Reason.SCALED_UP, "later", REFILL_SECONDS)
    assert len(api.created) == BURST + 1


async def test_a_noisy_object_does_not_silence_another() -> None:
    api = Api()
    events = recorder(api)
    for number in range(100):
        await events.emit(WHO, Reason.SCALED_UP, f"note {number}", 0.0)
    other = Regarding(WHO.api_version, WHO.kind, "shop", "other", "uid-2")
    assert await events.emit(other, Reason.SCALED_UP, "2 → 3", 0.0)


async def test_a_refused_write_is_dropped_and_does_not_raise() -> None:
    api = Api()
    api.refuse = Forbidden(403, "Forbidden", "no")
    assert not await recorder(api).emit(WHO, Reason.SCALED_UP, "2 → 3", 0.0)


async def test_an_event_that_expired_on_the_server_is_written_anew() -> None:
    api = Api()
    events = recorder(api)
    await events.emit(WHO, Reason.SCALED_UP, "2 → 3", 0.0)
    api.refuse = NotFound(404, "NotFound", "gone")
    assert not await events.emit(WHO, Reason.SCALED_UP, "2 → 3", 61.0)
    api.refuse = None
    assert await events.emit(WHO, Reason.SCALED_UP, "2 → 3", 62.0)
    assert len(api.created) == 2


async def test_nothing_is_written_by_a_process_that_may_not() -> None:
    api = Api()

    async def never() -> bool:
        return False

    assert not await recorder(api, allowed=never).emit(WHO, Reason.SCALED_UP, "2 → 3", 0.0)
    assert not api.created


@pytest.mark.parametrize("letter", ["x", "→", "é", "😀", "\ud800"])
async def test_a_note_is_cut_to_the_bytes_that_the_api_allows(letter: str) -> None:
    api = Api()
    await recorder(api).emit(WHO, Reason.SCALED_UP, letter * 5000, 0.0)
    assert 1020 <= len(api.created[0]["note"].encode()) <= 1024


async def test_a_long_name_is_cut_to_one_that_the_api_takes() -> None:
    api = Api()
    name = "x" * 199 + "-" + "y" * 30
    await recorder(api).emit(Regarding(WHO.api_version, WHO.kind, "shop", name, "uid-1"), Reason.SCALED_UP, "n", 0.0)
    assert all(part.isalnum() for part in api.created[0]["metadata"]["name"].split("."))


async def test_an_event_that_could_not_be_written_is_written_when_it_comes_again() -> None:
    api = Api()
    events = recorder(api)
    api.refuse = Unavailable(0, "Timeout", "no answer")
    assert not await events.emit(WHO, Reason.ALERT_FIRING, "slow", 0.0)
    api.refuse = None
    assert await events.emit(WHO, Reason.ALERT_FIRING, "slow", 15.0)
    assert len(api.created) == 1


def test_micro_time_has_microseconds_and_z() -> None:
    assert micro_time(0.5) == "1970-01-01T00:00:00.500000Z"
