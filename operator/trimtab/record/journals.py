"""TuningJournals in the API server: every decision of a resource over its retention, with the inputs of the last ones.

Decisions are gathered and written in turns, read–merge–write, so that a journal needs no memory here. What is not
written when a process dies stands in the status, which a successor merges in. The bound is kept by giving up the oldest
things first: inputs beyond the last ten decisions, then numbers, then whole decisions.
"""

import asyncio
import base64
import binascii
import json
import logging
import math
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from trimtab.api.checkpoint import MAX_JOURNAL, TuningJournalSpec
from trimtab.api.group import GROUP, JOURNAL_KIND, JOURNAL_PLURAL, VERSION
from trimtab.api.status import DecisionStatus
from trimtab.decide.plan import Decision
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import Conflict, KubeError, NotFound
from trimtab.kube.paths import resource_path
from trimtab.kube.raw import text
from trimtab.record.journal import to_status, unix
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.owned import Owner, belongs, manifest
from trimtab.record.turns import Turns

FORM = 1
KEPT_INPUTS = 10
"""Decisions, from the newest on, whose inputs are kept (RULES: the last 10)."""
MOST_WAITING = 100
"""Decisions of one resource that wait to be written; a workload makes about that many a day."""
MAX_TEXT = 32 << 20
"""Bytes of an unpacked journal; what claims to be more is refused before memory is taken for it."""
BUDGET_SECONDS = 5.0
MOST_A_TICK = 100
CONCURRENCY = 4

_log = logging.getLogger(__name__)


class JournalError(ValueError):
    """This is no journal that this version reads."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision in a journal."""

    decision: DecisionStatus
    settings: str = ""
    """Digest of the engine's constants it was made with."""
    inputs: str = ""
    """What `trimtab.decide.replay.recall` reads, in base64; empty: not kept."""


def encode(entries: Iterable[Entry]) -> str:
    """Entries as the text of a journal."""
    lines = []
    for entry in entries:
        line: dict[str, Any] = {"decision": entry.decision.model_dump(mode="json", by_alias=True, exclude_none=True)}
        line |= {name: value for name, value in (("settings", entry.settings), ("inputs", entry.inputs)) if value}
        lines.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False))
    return base64.b64encode(zlib.compress("\n".join(lines).encode(), 9)).decode()


def decode(spec: TuningJournalSpec) -> list[Entry]:
    """The entries of a journal, newest first.

    Raises:
        JournalError: it is damaged, or of a later version.
    """
    if spec.version > FORM:
        raise JournalError(f"its form is version {spec.version}, this Trimtab reads {FORM}")
    reader = zlib.decompressobj()
    try:
        raw = reader.decompress(base64.b64decode(spec.entries, validate=True), MAX_TEXT)
        if reader.unconsumed_tail or not reader.eof:
            raise JournalError("its compressed part is too large or ends too early")
        return [_entry(json.loads(line)) for line in raw.decode().splitlines()]
    except (binascii.Error, zlib.error, UnicodeDecodeError, json.JSONDecodeError, ValidationError) as error:
        raise JournalError(f"it is damaged ({type(error).__name__})") from error


def _entry(line: Any) -> Entry:
    if not isinstance(line, dict):
        raise JournalError("a line of it is no decision")
    decision = DecisionStatus.model_validate(line.get("decision"))
    return Entry(decision, text(line, "settings"), text(line, "inputs"))


def merged(known: Iterable[Entry], new: Iterable[Entry]) -> list[Entry]:
    """All of both, newest first; of a decision in both the newer outcome, and the inputs that either has."""
    by_id = {entry.decision.id: entry for entry in known}
    for entry in new:
        before = by_id.get(entry.decision.id)
        if before is not None:
            entry = replace(  # noqa: PLW2901
                entry, settings=entry.settings or before.settings, inputs=entry.inputs or before.inputs
            )
        by_id[entry.decision.id] = entry
    return sorted(by_id.values(), key=lambda entry: unix(entry.decision.time), reverse=True)


def fitted(entries: list[Entry], oldest: float) -> tuple[list[Entry], str]:
    """Entries (newest first) made since `oldest` (Unix seconds) that fit the bound, and their text."""
    kept = [entry for entry in entries if unix(entry.decision.time) >= oldest]
    kept = [*kept[:KEPT_INPUTS], *(replace(entry, inputs="") for entry in kept[KEPT_INPUTS:])]
    encoded = encode(kept)
    if len(encoded) > MAX_JOURNAL:
        kept = [
            *kept[:KEPT_INPUTS],
            *(replace(entry, decision=_summary(entry.decision)) for entry in kept[KEPT_INPUTS:]),
        ]
        encoded = encode(kept)
    with_inputs = sum(bool(entry.inputs) for entry in kept)
    while len(encoded) > MAX_JOURNAL and kept:
        if len(kept) > KEPT_INPUTS:
            kept = kept[: max(KEPT_INPUTS, len(kept) * 9 // 10)]
        elif with_inputs:
            with_inputs -= 1
            kept = [entry if n < with_inputs else replace(entry, inputs="") for n, entry in enumerate(kept)]
        else:
            kept = kept[:-1]
        encoded = encode(kept)
    return kept, encoded


def _summary(decision: DecisionStatus) -> DecisionStatus:
    return decision.model_copy(update={"inputs": {}, "predicted": ""})


@dataclass(slots=True)
class Journals:
    """Decisions on their way into the API server. `may_write` and `clock` are as in Checkpoints."""

    client: KubeClient
    metrics: OperatorMetrics
    may_write: Callable[[], Awaitable[bool]]
    seconds: float = 600.0
    write_seconds: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _turns: Turns = field(init=False)
    _waiting: dict[str, dict[str, Entry]] = field(default_factory=dict)
    _oldest: dict[str, float] = field(default_factory=dict)
    """Unix time of the oldest decision in a journal, infinite for none; what was not looked at yet is not in here."""

    def __post_init__(self) -> None:
        self._turns = Turns(self.seconds)

    def note(self, decisions: Iterable[Decision], settings: str, inputs: Mapping[str, bytes]) -> None:
        """Take in decisions and outcomes; `inputs` by workload are those of decisions made in this tick."""
        for made in decisions:
            waiting = self._waiting.setdefault(made.workload, {})
            packed = inputs.get(made.workload, b"")
            entry = Entry(to_status(made), settings if packed else "", base64.b64encode(packed).decode())
            before = waiting.pop(made.id, None)
            (waiting[made.id],) = merged((before,) if before else (), (entry,))
            if len(waiting) > MOST_WAITING:
                waiting.pop(next(iter(waiting)))

    async def write(self, owners: Mapping[str, Owner], retention: Callable[[str], float], now: float) -> None:
        """Write the journals that have something new and whose turn it is; `retention` in seconds by key.

        So are those with decisions that are older than their retention; each is looked at once for them. Failures are
        told and tried again in the next round.
        """
        for gone in (self._waiting.keys() | self._oldest.keys()) - owners.keys():
            self._waiting.pop(gone, None)
            self._oldest.pop(gone, None)
        until, gate = self.clock() + BUDGET_SECONDS, asyncio.Semaphore(CONCURRENCY)

        async def one(key: str) -> None:
            async with gate:
                if self.clock() < until:
                    self._turns.took(key, now)
                    await self._write(owners[key], now - retention(key))

        ready = [
            key
            for key in self._turns.due(owners.keys(), now)
            if key in self._waiting or self._oldest.get(key, -math.inf) < now - retention(key)
        ]
        await asyncio.gather(*(one(key) for key in ready[:MOST_A_TICK]))

    async def _write(self, owner: Owner, oldest: float) -> None:
        path = resource_path(GROUP, VERSION, JOURNAL_PLURAL, owner.namespace, owner.name)
        waiting = self._waiting.get(owner.key, {})
        new = list(waiting.values())
        try:
            version, known, before = await self._known(path, owner)
            kept, entries = fitted(merged(known, new), oldest)
            if entries != before and (kept or before):
                if not await self.may_write():
                    return
                spec = TuningJournalSpec(
                    version=FORM,
                    count=len(kept),
                    oldest=kept[-1].decision.time if kept else "",
                    newest=kept[0].decision.time if kept else "",
                    entries=entries,
                )
                body = manifest(JOURNAL_KIND, owner, spec.model_dump(mode="json", by_alias=True), version)
                await self.client.apply(path, body, force=True, timeout_seconds=self.write_seconds)
                self.metrics.writes.labels("journal").inc()
        except Conflict:
            return  # written by another process meanwhile: read again in the next round
        except KubeError as error:
            self.metrics.errors.labels("journal").inc()
            _log.warning("journal not written", extra={"resource": owner.key, "error": str(error)})
            return
        self._oldest[owner.key] = unix(kept[-1].decision.time) if kept else math.inf
        for entry in new:
            if waiting.get(entry.decision.id) is entry:
                del waiting[entry.decision.id]
        if not waiting:
            self._waiting.pop(owner.key, None)

    async def _known(self, path: str, owner: Owner) -> tuple[str, list[Entry], str]:
        """resourceVersion, entries and text of the journal as it stands; empty where there is none to go on with."""
        try:
            raw = await self.client.get(path, timeout_seconds=self.write_seconds)
        except NotFound:
            return "", [], ""
        version = text(raw, "metadata", "resourceVersion")
        if not belongs(raw, owner.uid):
            return version, [], ""
        try:
            spec = TuningJournalSpec.model_validate(raw.get("spec"))
            return version, decode(spec), spec.entries
        except (ValidationError, JournalError) as error:
            self.metrics.errors.labels("journal").inc()
            _log.warning("a journal can't be read and is begun anew: %s", error, extra={"resource": owner.key})
            return version, [], ""
