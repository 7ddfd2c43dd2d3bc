"""Back-fill: usage of the past days out of a datasource, so that advice is good at once (DESIGN: Observe).

Range queries a namespace at a time, a day at a time, newest first, at a 5-minute step. Pods that are gone count: they
are told by the shape of the names that their owner gives. A failure is tried again later and never fatal.
"""

import asyncio
import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.api.datasource import Datasource
from trimtab.decide.columns import F8, I8
from trimtab.decide.observation import Observation, Samples
from trimtab.observe.builtin import BACKFILL_STEP_SECONDS, Builtin, Key, backfill_chunks, backfill_query, history
from trimtab.observe.facts import Facts, Seen
from trimtab.observe.podmatcher import PodMatcher
from trimtab.observe.source import MetricSource, SourceError

MAX_DAYS = 8.0
"""A week and a day: the hour-of-week profile needs one week, and decaying histograms have forgotten the rest."""
MAX_SAMPLES = 2_000_000
"""Samples of one namespace, some 80 MB of columns; the newest are kept."""
SHARE_A_READ = 0.25
"""No further namespace is read in one go when the samples pass this share of the most for one."""
DAY = 86_400.0
RETRY_SECONDS = (60.0, 300.0, 1800.0)

_log = logging.getLogger(__name__)
Track = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Past:
    """What was read, and which containers it is of."""

    samples: Samples
    """Oldest first; `container` is a place in `keys`."""
    keys: tuple[str, ...]
    """Containers, by their identity in Observation.containers."""

    def onto(self, observation: Observation) -> Observation:
        """That Observation with these samples in place of its own, for `learn`; containers that are gone drop out."""
        rows = {key: row for row, key in enumerate(observation.containers.key)}
        place = np.array([rows.get(key, -1) for key in self.keys], dtype=np.int64)
        if not len(place):
            return replace(observation, samples=Samples())
        owner = place[self.samples.container]
        kept = self.samples.take(np.flatnonzero(owner >= 0))
        kept.container[:] = owner[owner >= 0]
        return replace(observation, samples=kept)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One container of one resource, and whose pods it is in."""

    place: int
    """In the keys of the Past."""
    regex: re.Pattern[str]
    start: float


class History:
    """Knows whose history is still to be read; reads it on demand."""

    def __init__(
        self,
        sources: Mapping[str, MetricSource],
        datasources: Iterable[Datasource],
        *,
        max_samples: int = MAX_SAMPLES,
        max_days: float = MAX_DAYS,
    ) -> None:
        self._sources = sources
        self._datasources = {one.name: one for one in datasources}
        self._max_samples, self._max_days = max_samples, max_days
        self._done: set[tuple[str, str]] = set()
        self._known: dict[str, Mapping[str, float]] = {}
        self._retries: dict[str, tuple[int, float]] = {}

    def wanted(self, seen: Seen, now: float) -> list[str]:
        """Resources with a row whose history was not read yet, and whose turn it is."""
        return [
            key
            for key, facts in seen.facts.items()
            if facts.row >= 0
            and (key, facts.config.uid) not in self._done
            and now >= self._retries.get(key, (0, 0.0))[1]
            and facts.config.spec.monitoring.datasource in self._datasources
        ]

    def known(self, key: str, until: Mapping[str, float]) -> None:
        """Usage of a resource that needs no reading: container key → Unix time up to which it is known."""
        self._known[key] = until

    async def read(self, seen: Seen, keys: Collection[str], now: float) -> Past:
        """The history of these resources up to `now` (Unix seconds). Raises nothing but cancellation."""
        groups: dict[tuple[str, str], list[Facts]] = {}
        for key in keys:
            facts = seen.facts[key]
            groups.setdefault((facts.config.spec.monitoring.datasource, facts.config.namespace), []).append(facts)
        keyed: list[str] = []
        parts: list[Samples] = []
        total = 0
        for place, ((source, namespace), group) in enumerate(groups.items(), 1):
            if total >= self._max_samples * SHARE_A_READ:
                break  # the others stay wanted, and are read next
            error, cut = "", False
            try:
                wanted = _wanted(seen, group, keyed, now, self._max_days, self._known)
                found, cut = await self._namespace(source, namespace, wanted, now)
            except SourceError as refused:
                error = refused.message
            except Exception as fault:
                _log.exception("reading the history of namespace %s failed; it is tried again", namespace)
                error = f"Trimtab failed on the history ({type(fault).__name__}); see the operator's log."
            else:
                parts.append(found)
                total += len(found)
            self._note(group, error, now)
            _log.info(
                "history: namespace %s (%d of %d), %d resources, %s",
                namespace,
                place,
                len(groups),
                len(group),
                error or f"{len(parts[-1])} samples{', older ones left out for the budget' if cut else ''}",
            )
        samples = _joined(parts)
        return Past(samples.take(np.argsort(samples.time, kind="stable")), tuple(keyed))

    def forget(self, keys: Collection[str]) -> None:
        """Drop resources that are gone; `keys` are those that are still there."""
        self._done = {known for known in self._done if known[0] in keys}
        self._retries = {key: retry for key, retry in self._retries.items() if key in keys}
        self._known = {key: until for key, until in self._known.items() if key in keys}

    def _note(self, group: Sequence[Facts], error: str, now: float) -> None:
        for facts in group:
            key = facts.config.key
            if not error:
                self._done.add((key, facts.config.uid))
                self._retries.pop(key, None)
                self._known.pop(key, None)
                continue
            attempts = self._retries.get(key, (0, 0.0))[0]
            wait = RETRY_SECONDS[min(attempts, len(RETRY_SECONDS) - 1)]
            self._retries[key] = attempts + 1, now + wait

    async def _namespace(
        self, source: str, namespace: str, wanted: Mapping[str, Sequence[_Wanted]], now: float
    ) -> tuple[Samples, bool]:
        """Samples of one namespace; whether some were left out for the budget.

        Raises:
            SourceError: the datasource did not answer.
        """
        earliest = min((one.start for group in wanted.values() for one in group), default=now)
        owners: dict[Key, list[_Wanted]] = {}
        parts: list[Samples] = []
        budget = self._max_samples
        for start, end in backfill_chunks(earliest, now):
            if budget <= 0:
                return _joined(parts), True
            cpu, memory = await asyncio.gather(
                self._range(source, Builtin.CPU, namespace, start, end),
                self._range(source, Builtin.MEMORY, namespace, start, end),
            )
            for key in cpu.keys() | memory.keys():
                if key not in owners:
                    owners[key] = [one for one in wanted.get(key[1], ()) if one.regex.fullmatch(key[0])]
                for one in owners[key]:
                    part = _samples(one, cpu.get(key), memory.get(key))
                    parts.append(part)
                    budget -= len(part)
        return _joined(parts), False

    async def _range(self, source: str, builtin: Builtin, namespace: str, start: float, end: float) -> dict[Key, Track]:
        query = backfill_query(builtin, self._datasources[source].tenancy, namespace)
        series = await self._sources[source].query_range(query.text, start, end, BACKFILL_STEP_SECONDS)
        return history(query, series)


def _wanted(
    seen: Seen,
    group: Sequence[Facts],
    keyed: list[str],
    now: float,
    max_days: float,
    known: Mapping[str, Mapping[str, float]],
) -> dict[str, list[_Wanted]]:
    """Container name → the resources that tune one of that name; their keys are added to `keyed`.

    What a checkpoint knows is left out: a point of the history stands for the step before it.
    """
    found: dict[str, list[_Wanted]] = {}
    containers = seen.observation.containers
    rows: dict[int, list[int]] = {}
    for row, owner in enumerate(containers.workload):
        rows.setdefault(int(owner), []).append(row)
    for facts in group:
        target = facts.target
        if target is None:
            continue
        regex = re.compile(PodMatcher.owner(target.kind, target.name).regex, re.ASCII)
        days = min(max_days, float(facts.config.spec.monitoring.retention_days))
        until = known.get(facts.config.key, {})
        for row in rows.get(facts.row, ()):
            after = until.get(str(containers.key[row]), -np.inf) + BACKFILL_STEP_SECONDS
            start = max(now - days * DAY, after)
            found.setdefault(str(containers.name[row]), []).append(_Wanted(len(keyed), regex, start))
            keyed.append(str(containers.key[row]))
    return found


def _samples(one: _Wanted, cpu: Track | None, memory: Track | None) -> Samples:
    """CPU and memory of one container of one pod, joined by their times, from `start` on."""
    times: F8 = np.union1d(cpu[0] if cpu else np.empty(0), memory[0] if memory else np.empty(0))
    times = times[times >= one.start]
    blank = Samples.blank(len(times))
    blank.container[:] = one.place
    blank.time[:] = times
    blank.span[:] = BACKFILL_STEP_SECONDS
    for column, track in ((blank.cpu, cpu), (blank.memory, memory)):
        if track is not None:
            known = (track[0] >= one.start) & (track[1] >= 0.0)
            column[np.searchsorted(times, track[0][known])] = track[1][known]
    known_rows: I8 = np.flatnonzero(np.isfinite(blank.cpu) | np.isfinite(blank.memory))
    return blank.take(known_rows)


def _joined(parts: Sequence[Samples]) -> Samples:
    if not parts:
        return Samples()
    return Samples(
        container=np.concatenate([part.container for part in parts]),
        time=np.concatenate([part.time for part in parts]),
        cpu=np.concatenate([part.cpu for part in parts]),
        memory=np.concatenate([part.memory for part in parts]),
        span=np.concatenate([part.span for part in parts]),
    )
