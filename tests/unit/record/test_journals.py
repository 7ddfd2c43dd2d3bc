"""Journals in the API server: every decision once, with its newest outcome, inside the bound, over the retention."""

import base64
import random
import zlib
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.record.builders import NOW, decision
from tests.unit.record.shelf import Shelf, path
from trimtab.api.checkpoint import MAX_JOURNAL, TuningJournalSpec
from trimtab.api.status import OutcomeState
from trimtab.decide.plan import Decision
from trimtab.kube.errors import Unavailable
from trimtab.record.journal import to_status
from trimtab.record.journals import (
    FORM,
    KEPT_INPUTS,
    MAX_TEXT,
    MOST_WAITING,
    Entry,
    JournalError,
    Journals,
    decode,
    encode,
    fitted,
    merged,
)
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.owned import Owner

KEY, DAY = "shop/rag", 86_400.0
OWNERS = {KEY: Owner(KEY, "uid-1")}
WHERE = path("tuningjournals", KEY)


def journals(shelf: Shelf, seconds: float = 60.0) -> Journals:
    async def may_write() -> bool:
        return True

    client: Any = shelf
    return Journals(client, OperatorMetrics.create(), may_write, seconds, clock=lambda: 0.0)


async def write(one: Journals, now: float, days: float = 14) -> None:
    """Two rounds: the first turn of a resource has a place of its own in the round."""
    for later in (0.0, 60.0):
        await one.write(OWNERS, lambda _: days * DAY, now + later)


def shown(shelf: Shelf) -> list[Entry]:
    return decode(TuningJournalSpec.model_validate(shelf.objects[WHERE]["spec"]))


def entries(count: int, inputs: int = 0) -> list[Entry]:
    """Newest first, with texts that do not compress well."""
    rng = random.Random(5)
    made = []
    for n in range(count, 0, -1):
        one = decision(n, time=NOW + 60.0 * n, message=rng.randbytes(100).hex())
        made.append(Entry(to_status(one), "abc", base64.b64encode(rng.randbytes(inputs)).decode()))
    return made


async def test_decisions_come_back_with_their_newest_outcome_and_their_inputs() -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(1), decision(2)], "digest", {KEY: b"inputs"})
    one.note([decision(1).ended(OutcomeState.KEPT, "It is in force.")], "digest", {})
    await write(one, NOW)
    found = shown(shelf)
    assert [entry.decision.id for entry in found] == ["d2", "d1"]
    assert [entry.decision.outcome for entry in found] == [OutcomeState.PENDING, OutcomeState.KEPT]
    assert {entry.inputs for entry in found} == {base64.b64encode(b"inputs").decode()}
    assert {entry.settings for entry in found} == {"digest"}
    spec = shelf.objects[WHERE]["spec"]
    assert (spec["count"], spec["oldest"], spec["newest"]) == (2, found[1].decision.time, found[0].decision.time)


async def test_what_is_written_later_joins_what_is_there_and_keeps_its_inputs() -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(1)], "digest", {KEY: b"inputs"})
    await write(one, NOW)
    other = journals(shelf)
    other.note([decision(1).ended(OutcomeState.KEPT, "fine"), decision(2)], "digest", {})
    await write(other, NOW + 3600)
    found = shown(shelf)
    assert [entry.decision.id for entry in found] == ["d2", "d1"]
    assert found[1].decision.outcome is OutcomeState.KEPT
    assert base64.b64decode(found[1].inputs) == b"inputs"


async def test_after_a_restart_what_the_status_shows_and_the_journal_has_is_not_written_again() -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(1)], "digest", {KEY: b"inputs"})
    await write(one, NOW)
    again = journals(shelf)
    again.note([decision(1)], "", {})
    await write(again, NOW + 3600)
    assert len(shelf.writes) == 1


async def test_without_anything_new_a_journal_is_looked_at_once_and_nothing_is_written() -> None:
    shelf = Shelf()
    one = journals(shelf)
    await write(one, NOW)
    assert shelf.writes == []
    shelf.broken = Unavailable(0, "Timeout", "never asked", request="GET")
    await write(one, NOW + 3600)
    assert one.metrics.registry.get_sample_value("trimtab_errors_total", {"phase": "journal"}) is None


async def test_rule_24_what_is_older_than_the_retention_is_gone_though_nothing_new_is_decided() -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(1), decision(2, time=NOW + 10 * DAY)], "digest", {})
    await write(one, NOW + 10 * DAY)
    assert [entry.decision.id for entry in shown(shelf)] == ["d2", "d1"]
    await write(one, NOW + 14 * DAY + 120, days=14)
    assert [entry.decision.id for entry in shown(shelf)] == ["d2"]
    again = journals(shelf)
    await write(again, NOW + 25 * DAY, days=14)
    assert shown(shelf) == []
    assert shelf.objects[WHERE]["spec"]["count"] == 0


async def test_a_shorter_retention_takes_the_older_decisions_at_once() -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(1), decision(2, time=NOW + 10 * DAY)], "digest", {})
    await write(one, NOW + 10 * DAY)
    await write(one, NOW + 10 * DAY + 3600, days=3)
    assert [entry.decision.id for entry in shown(shelf)] == ["d2"]


async def test_a_journal_that_can_t_be_written_waits_and_loses_nothing() -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(1)], "digest", {})
    shelf.broken = Unavailable(0, "Timeout", "no answer", request="GET")
    await write(one, NOW)
    one.note([decision(2)], "digest", {})
    shelf.broken = None
    await write(one, NOW + 3600)
    assert [entry.decision.id for entry in shown(shelf)] == ["d2", "d1"]


async def test_a_journal_that_another_process_changed_meanwhile_is_read_again() -> None:
    shelf = Shelf()
    one, other = journals(shelf), journals(shelf)
    other.note([decision(1)], "", {})
    read = shelf.get

    async def get(where: str, *, timeout_seconds: float | None = None) -> dict[str, Any]:
        shelf.get = read  # type: ignore[method-assign]
        try:
            return await read(where, timeout_seconds=timeout_seconds)
        finally:
            await write(other, NOW)

    await write(other, NOW - 3600)
    other.note([decision(2)], "", {})
    one.note([decision(3)], "", {})
    shelf.get = get  # type: ignore[assignment,method-assign]
    await write(one, NOW)
    await write(one, NOW + 3600)
    assert [entry.decision.id for entry in shown(shelf)] == ["d3", "d2", "d1"]


@pytest.mark.parametrize("text", ["", "AAAA", base64.b64encode(zlib.compress(b'{"decision": 3}')).decode()])
async def test_a_damaged_journal_is_begun_anew_and_told(text: str, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(1)], "", {})
    await write(one, NOW)
    shelf.objects[WHERE]["spec"]["entries"] = text
    one.note([decision(2)], "", {})
    await write(one, NOW + 3600)
    assert [entry.decision.id for entry in shown(shelf)] == ["d2"]
    assert "begun anew" in caplog.text


async def test_the_journal_of_a_deleted_namesake_is_replaced() -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(1)], "", {})
    await write(one, NOW)
    shelf.objects[WHERE]["metadata"]["ownerReferences"][0]["uid"] = "uid-0"
    one.note([decision(2)], "", {})
    await write(one, NOW + 3600)
    assert [entry.decision.id for entry in shown(shelf)] == ["d2"]
    assert shelf.objects[WHERE]["metadata"]["ownerReferences"][0]["uid"] == "uid-1"


async def test_decisions_older_than_the_retention_leave_with_the_next_write() -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(1)], "", {})
    await write(one, NOW, days=2)
    one.note([decision(2, time=NOW + 3 * DAY)], "", {})
    await write(one, NOW + 3 * DAY, days=2)
    assert [entry.decision.id for entry in shown(shelf)] == ["d2"]


async def test_a_resource_that_is_gone_is_forgotten() -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(1)], "", {})
    await one.write({}, lambda _: DAY, NOW)
    await write(one, NOW)
    assert shelf.writes == []


async def test_decisions_that_can_t_be_written_do_not_pile_up_for_ever() -> None:
    shelf = Shelf()
    one = journals(shelf)
    one.note([decision(n) for n in range(MOST_WAITING + 50)], "", {})
    await write(one, NOW)
    found = shown(shelf)
    assert len(found) == MOST_WAITING
    assert found[0].decision.id == f"d{MOST_WAITING + 49}"


def test_inputs_are_kept_for_the_last_ten_decisions_and_summaries_for_the_others() -> None:
    kept, text = fitted(entries(40, inputs=500), 0.0)
    assert len(kept) == 40
    assert [bool(entry.inputs) for entry in kept] == [True] * KEPT_INPUTS + [False] * 30
    assert all(entry.decision.inputs for entry in kept), "numbers stay while there is room"
    assert decode(TuningJournalSpec(version=FORM, entries=text)) == kept


@pytest.mark.parametrize(("count", "inputs"), [(5000, 500), (1, 200_000), (10, 100_000), (30, 40_000), (0, 0)])
def test_no_journal_is_ever_larger_than_its_bound(count: int, inputs: int) -> None:
    given = entries(count, inputs)
    kept, text = fitted(given, 0.0)
    assert len(text) <= MAX_JOURNAL
    assert [entry.decision.id for entry in kept] == [entry.decision.id for entry in given[: len(kept)]]
    assert len(kept) >= min(count, KEPT_INPUTS), "the last decisions stay, if need be without their inputs"


def test_numbers_go_before_decisions_do() -> None:
    full = entries(2500)
    kept, text = fitted(full, 0.0)
    assert len(text) <= MAX_JOURNAL
    assert not kept[-1].decision.inputs
    assert kept[KEPT_INPUTS - 1].decision.inputs
    assert len(kept) > 1000


def test_of_two_versions_the_new_outcome_and_the_old_inputs_are_kept() -> None:
    old = Entry(to_status(decision(1)), "s", "aW4=")
    new = Entry(to_status(decision(1).ended(OutcomeState.ROLLED_BACK, "worse")))
    assert merged([old], [new]) == [replace(new, settings="s", inputs="aW4=")]


@pytest.mark.parametrize(
    "spec",
    [
        TuningJournalSpec(version=FORM + 1, entries=encode([])),
        TuningJournalSpec(version=FORM, entries=base64.b64encode(zlib.compress(b"[]")).decode()),
        TuningJournalSpec(version=FORM, entries=base64.b64encode(zlib.compress(b"\xff\xfe")).decode()),
        TuningJournalSpec(version=FORM, entries=base64.b64encode(zlib.compress(b"x" * 99)[:-4]).decode()),
    ],
)
def test_what_is_no_journal_of_this_version_is_refused(spec: TuningJournalSpec) -> None:
    with pytest.raises(JournalError):
        decode(spec)


def test_a_journal_that_would_unpack_to_more_than_its_bound_is_refused() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(MAX_TEXT + 1), 9)).decode()
    assert len(bomb) < MAX_JOURNAL
    with pytest.raises(JournalError, match="too large"):
        decode(TuningJournalSpec(version=FORM, entries=bomb))


def test_an_empty_journal_has_no_entries() -> None:
    assert decode(TuningJournalSpec(version=FORM, entries=encode([]))) == []


def test_a_decision_looks_the_same_in_the_journal_as_in_the_status() -> None:
    made: Decision = decision(7)
    (entry,) = decode(TuningJournalSpec(version=FORM, entries=encode([Entry(to_status(made))])))
    assert entry.decision == to_status(made)
