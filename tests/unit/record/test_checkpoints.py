"""Checkpoints in the API server: read, told when they can't be used, written in turns and only when they say more."""

import base64
from typing import Any

import pytest

from tests.unit.record.shelf import Shelf, path
from trimtab.decide.checkpoint import Saved, largest
from trimtab.decide.pack import VERSION, Fault, pack
from trimtab.kube.errors import Forbidden, Unavailable
from trimtab.record.checkpoints import FEW, PAGE, Checkpoints, Stored
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.owned import Owner
from trimtab.record.turns import A_SECOND, Turns

NOW = 1_800_000_000.0
PLURAL = "tuningcheckpoints"
DATA = pack({}, {"reference": NOW})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def checkpoints(shelf: Shelf, leads: bool = True, **options: Any) -> Checkpoints:
    async def may_write() -> bool:
        return leads

    client: Any = shelf
    return Checkpoints(client, OperatorMetrics.create(), may_write, clock=Clock(), **options)


def saved(data: bytes = DATA) -> Saved:
    return Saved(data, 1)


def owners(count: int = 1) -> dict[str, Owner]:
    return {f"shop/w{n}": Owner(f"shop/w{n}", f"uid-{n}") for n in range(count)}


async def read(one: Checkpoints, wanted: dict[str, str]) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    async for page in one.read(wanted):
        found |= page
    return found


async def stored(shelf: Shelf, **changes: Any) -> Stored | None:
    """What is read of a checkpoint after its spec was changed."""
    one = checkpoints(shelf)
    for now in (NOW, NOW + 600):
        await one.write(owners(), lambda _: saved(), "digest", now)
    shelf.objects[path(PLURAL, "shop/w0")]["spec"] |= changes
    return (await read(one, {"shop/w0": "uid-0"})).get("shop/w0")


async def test_what_was_written_is_read_again() -> None:
    found = await stored(Shelf())
    assert found == Stored(DATA, NOW + 600)


async def test_a_checkpoint_belongs_to_one_object_not_to_its_name() -> None:
    shelf = Shelf()
    await stored(shelf)
    assert await read(checkpoints(shelf), {"shop/w0": "uid-of-a-namesake"}) == {}
    assert await read(checkpoints(shelf), {"shop/other": "uid-0"}) == {}


@pytest.mark.parametrize(
    ("changes", "fault", "words"),
    [
        ({"learned": "no base64!"}, Fault.CORRUPT, "spec.learned"),
        ({"learned": "abc"}, Fault.CORRUPT, "base64"),
        ({"version": VERSION + 1}, Fault.NEWER, f"version {VERSION + 1}"),
        ({"version": "one"}, Fault.CORRUPT, "spec.version"),
        ({"learned": base64.b64encode(bytes(largest(1) + 1)).decode()}, Fault.OVERSIZED, f"at most {largest(1)}"),
        ({"learned": "A" * 10**6}, Fault.CORRUPT, "spec.learned"),
        ({"containers": -1}, Fault.CORRUPT, "spec.containers"),
        ({"time": 5}, Fault.CORRUPT, "spec.time"),
    ],
)
async def test_one_that_can_t_be_used_says_why(changes: dict[str, Any], fault: Fault, words: str) -> None:
    found = await stored(Shelf(), **changes)
    assert found is not None
    assert (found.data, found.fault) == (b"", fault)
    assert words in found.problem


async def test_an_object_without_a_spec_is_damaged_not_fatal() -> None:
    shelf = Shelf()
    await stored(shelf)
    del shelf.objects[path(PLURAL, "shop/w0")]["spec"]
    found = await read(checkpoints(shelf), {"shop/w0": "uid-0"})
    assert found["shop/w0"].fault is Fault.CORRUPT


async def test_few_are_read_one_by_one_and_many_by_pages() -> None:
    shelf, one = Shelf(), checkpoints(Shelf(), seconds=60.0)
    one.client = shelf  # type: ignore[assignment]
    many = owners(2 * PAGE)
    for minute in range(3):
        await one.write(many, lambda _: saved(), "digest", NOW + 60 * minute)
    assert len(shelf.objects) == len(many)
    wanted = {key: owner.uid for key, owner in many.items()}
    assert (await read(one, wanted)).keys() == many.keys()
    assert shelf.pages_read == 2
    few = dict(list(wanted.items())[:FEW])
    assert (await read(one, few)).keys() == few.keys()
    assert shelf.pages_read == 2


async def test_in_namespaced_mode_only_those_namespaces_are_listed() -> None:
    shelf = Shelf()
    one = checkpoints(shelf, namespaces=("shop",))
    wanted = {f"shop/w{n}": "" for n in range(FEW + 1)}
    assert await read(one, wanted) == {}
    assert shelf.pages_read == 1


async def test_an_api_server_that_does_not_answer_is_not_taken_for_no_checkpoint() -> None:
    shelf = Shelf()
    shelf.broken = Unavailable(0, "Timeout", "no answer", request="GET")
    with pytest.raises(Unavailable):
        await read(checkpoints(shelf), {"shop/w0": "uid-0"})


async def test_without_the_right_to_read_tuning_goes_on_without(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    shelf.broken = Forbidden(403, "Forbidden", "no", request="GET")
    assert await read(checkpoints(shelf), {f"shop/w{n}": "" for n in range(FEW + 1)}) == {}
    assert "install the CRDs and roles" in caplog.text


async def test_the_same_state_is_written_once() -> None:
    shelf = Shelf()
    one = checkpoints(shelf, seconds=60.0)
    for minute in range(5):
        await one.write(owners(), lambda _: saved(), "digest", NOW + 60 * minute)
    assert len(shelf.writes) == 1
    await one.write(owners(), lambda _: saved(pack({}, {"reference": 1.0})), "digest", NOW + 600)
    assert len(shelf.writes) == 2


async def test_a_write_that_fails_is_counted_and_tried_again_in_the_next_round() -> None:
    shelf = Shelf()
    one = checkpoints(shelf, seconds=60.0)
    shelf.broken = Unavailable(0, "Timeout", "no answer", request="PATCH")
    await one.write(owners(), lambda _: saved(), "digest", NOW)
    await one.write(owners(), lambda _: saved(), "digest", NOW + 60)
    assert one.metrics.registry.get_sample_value("trimtab_errors_total", {"phase": "checkpoint"}) == 1
    shelf.broken = None
    await one.write(owners(), lambda _: saved(), "digest", NOW + 61)
    assert shelf.writes == []
    await one.write(owners(), lambda _: saved(), "digest", NOW + 120)
    assert len(shelf.writes) == 1


async def test_who_does_not_lead_writes_nothing() -> None:
    shelf = Shelf()
    one = checkpoints(shelf, leads=False)
    for now in (NOW, NOW + 600):
        await one.write(owners(), lambda _: saved(), "digest", now)
    assert shelf.writes == []


async def test_a_state_that_does_not_fit_is_told_and_not_written(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    one = checkpoints(shelf)
    for now in (NOW, NOW + 600):
        await one.write(owners(), lambda _: None, "digest", now)
    assert shelf.writes == []
    assert "does not fit" in caplog.text


async def test_when_time_is_up_the_rest_has_its_turn_in_the_next_tick() -> None:
    shelf = Shelf()
    one = checkpoints(shelf, seconds=60.0)
    clock: Any = one.clock

    def slow(_: str) -> Saved:
        clock.now += 3.0
        return saved()

    many = owners(6)
    await one.write(many, slow, "digest", NOW)
    await one.write(many, slow, "digest", NOW + 60)
    assert 2 <= len(shelf.writes) < 6
    await one.write(many, slow, "digest", NOW + 75)
    await one.write(many, slow, "digest", NOW + 90)
    assert len(set(shelf.writes)) == 6


@pytest.mark.parametrize("count", [1, 100, 3000, 10_000])
def test_turns_come_evenly_and_never_faster_than_the_fleet_may_write(count: int) -> None:
    turns, keys = Turns(600.0), [f"ns{n // 20}/w{n}" for n in range(count)]
    round_ = turns.round_of(count)
    assert round_ == max(600.0, count / A_SECOND)
    ticks, taken = round(2 * round_ / 15), []
    for tick in range(ticks):
        due = turns.due(keys, NOW + 15.0 * tick)
        for key in due:
            turns.took(key, NOW + 15.0 * tick)
        taken.append(len(due))
    assert sum(taken) == pytest.approx(2 * count, abs=count * 0.05 + 1)
    assert max(taken) <= 15 * A_SECOND * 1.6
