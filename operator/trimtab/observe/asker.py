"""All questions of a tick to all datasources: registered by the resources, asked once, answered by name."""

import asyncio
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from trimtab.api.answers import Answer, AnswerKind, no_value
from trimtab.api.datasource import Datasource
from trimtab.observe.answers import ask, failed
from trimtab.observe.board import Board, Item, Kept
from trimtab.observe.builtin import Builtin, Readings
from trimtab.observe.errors import PromQLError
from trimtab.observe.meters import Broken, Meter, PresetMeter, PresetResult, QueryMeter
from trimtab.observe.podmatcher import PodMatcher
from trimtab.observe.promql import ConfinedQuery, Query
from trimtab.observe.source import MetricSource
from trimtab.observe.usage import FAST, SLOW, SLOW_SECONDS, UsageQuestion, read_usage

Q = TypeVar("Q")
QUERIES_A_CHUNK = 16
"""Declared queries whose samples' times are asked for together."""


@dataclass(frozen=True, slots=True)
class Population:
    """Pods that a measurement is about, and whose they are."""

    namespace: str
    kind: str
    name: str
    """The workload."""
    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Confined:
    query: Query
    population: Population | None
    confined: ConfinedQuery | None
    error: str = ""


class Asker:
    """One tick: `begin`, then `want_*` for all, then `round`, then the answers."""

    def __init__(self, sources: Mapping[str, MetricSource], datasources: Mapping[str, Datasource]) -> None:
        self._sources, self._datasources = sources, datasources
        self._usage: Board[UsageQuestion, dict[Builtin, Readings]] = Board(self._read_usage)
        self._presets: Board[PresetMeter, PresetResult] = Board(self._read_presets)
        self._queries: Board[ConfinedQuery, Answer] = Board(self._read_queries, chunk=QUERIES_A_CHUNK)
        self._usage_items: dict[Hashable, Item[UsageQuestion]] = {}
        self._preset_items: dict[Hashable, Item[PresetMeter]] = {}
        self._query_items: dict[Hashable, Item[ConfinedQuery]] = {}
        self._confined: dict[Hashable, _Confined] = {}
        self._last: dict[Hashable, tuple[Population, Answer]] = {}
        self._measured: dict[Hashable, float] = {}
        self._seen: set[Hashable] = set()

    def begin(self) -> None:
        """Forget what the last tick asked for; answers stay until `round`."""
        self._usage_items, self._preset_items, self._query_items = {}, {}, {}
        for table in (self._confined, self._last, self._measured):
            for gone in table.keys() - self._seen:
                del table[gone]
        self._seen = set()

    def want_usage(self, source: str, namespace: str, interval: float) -> None:
        """The built-in measurements of a namespace are wanted every `interval` seconds."""
        for name, builtins, pace in (("fast", FAST, interval), ("slow", SLOW, max(interval, SLOW_SECONDS))):
            item = Item((source, namespace, name), UsageQuestion(namespace, builtins), pace, source)
            _put(self._usage_items, item)

    def want(self, key: Hashable, source: str, meter: Meter, population: Population, interval: float) -> None:
        """A metric is wanted for these pods every `interval` seconds; `key` names it for `answer`."""
        self._seen.add(key)
        if isinstance(meter, PresetMeter):
            _put(self._preset_items, Item((source, *meter.key), meter, interval, source))
        elif isinstance(meter, QueryMeter):
            confined = self._confine(key, source, meter, population).confined
            if confined is not None:
                _put(self._query_items, Item((source, confined.text), confined, interval, source))

    async def round(self, now: float, pace: float, budget_seconds: float) -> None:
        """Ask what is due before half of the way to the next tick, `pace` seconds from now.

        Waits at most `budget_seconds`; later answers serve the next tick.
        """
        tasks = self._usage.start(self._usage_items, now, pace / 2)
        tasks |= self._presets.start(self._preset_items, now, pace / 2)
        tasks |= self._queries.start(self._query_items, now, pace / 2)
        if tasks:
            await asyncio.wait(tasks, timeout=budget_seconds)

    async def close(self) -> None:
        """Give up what is being asked."""
        for board in (self._usage, self._presets, self._queries):
            await board.close()

    def fast(self, source: str, namespace: str) -> Kept[dict[Builtin, Readings]] | None:
        """CPU, memory and throttling of a namespace."""
        return self._usage.get((source, namespace, "fast"))

    def slow(self, source: str, namespace: str) -> Kept[dict[Builtin, Readings]] | None:
        """OOM kills, disk and network of a namespace."""
        return self._usage.get((source, namespace, "slow"))

    def answer(
        self, key: Hashable, source: str, meter: Meter, population: Population, interval: float, now: float
    ) -> Answer:
        """What is known of a wanted metric. An answer without a number carries the time of the last number."""
        self._drop_others(key, meter, population)
        found = self._look_up(key, source, meter, population)
        if found is not None:
            self._last[key] = population, found
        elif key in self._last:
            found = self._last[key][1]
        else:
            found = no_value(
                AnswerKind.EMPTY, f"Datasource {source} has not answered yet; the answer is taken when it comes."
            )
        if found.known:
            self._measured[key] = found.at
            limit = 3.0 * interval + 2.0 * self._datasources[source].scrape_interval_seconds
            if now - found.at > limit:
                return no_value(
                    AnswerKind.STALE,
                    f"The last answer of datasource {source} is {now - found.at:.0f} s old; check that it keeps up.",
                    found.at,
                )
        elif math.isnan(found.at) and key in self._measured:
            return replace(found, at=self._measured[key])
        return found

    def _drop_others(self, key: Hashable, meter: Meter, population: Population) -> None:
        """Forget the last answer when it was about other pods, such as those of the trial before this one."""
        if isinstance(meter, Broken) or (isinstance(meter, QueryMeter) and not meter.by_pod) or key not in self._last:
            return
        if population.pods and not set(population.pods) & set(self._last[key][0].pods):
            del self._last[key]
            self._measured.pop(key, None)

    def _look_up(self, key: Hashable, source: str, meter: Meter, population: Population) -> Answer | None:
        if isinstance(meter, Broken):
            return meter.answer
        if not population.pods and (isinstance(meter, PresetMeter) or meter.by_pod):
            return no_value(
                AnswerKind.EMPTY, f"{population.kind} {population.name} has no pod to measure; start it first."
            )
        if isinstance(meter, PresetMeter):
            kept = self._presets.get((source, *meter.key))
            if kept is None:
                return None
            if kept.error is not None or kept.result is None:
                return failed(kept.error) if kept.error is not None else None
            return kept.result.answer(meter.batch, population.pods, kept.at)
        known = self._confine(key, source, meter, population)
        if known.confined is None:
            return no_value(AnswerKind.ERROR, known.error, reason="PromQLRefused")
        asked = self._queries.get((source, known.confined.text))
        if asked is None:
            return None
        return failed(asked.error) if asked.error is not None else asked.result

    def _confine(self, key: Hashable, source: str, meter: QueryMeter, population: Population) -> _Confined:
        wanted = population if meter.by_pod else None
        known = self._confined.get(key)
        if known is not None and known.query is meter.query and known.population == wanted:
            return known
        confined, error = None, ""
        try:
            pods = _matcher(population) if meter.by_pod else None
            confined = meter.query.confine(self._datasources[source].tenancy, population.namespace, pods)
        except PromQLError as refused:
            error = str(refused)
        except ValueError as refused:
            error = f"The query can't be confined to the pods of the workload: {refused}"
        self._confined[key] = found = _Confined(meter.query, wanted, confined, error)
        return found

    async def _read_usage(
        self, source: str, questions: Sequence[UsageQuestion], at: float
    ) -> Sequence[dict[Builtin, Readings]]:
        datasource = self._datasources[source]
        return [await read_usage(self._sources[source], datasource, question, at) for question in questions]

    async def _read_presets(self, source: str, meters: Sequence[PresetMeter], at: float) -> Sequence[PresetResult]:
        results = []
        for meter in meters:
            texts = meter.batch.texts
            found = await asyncio.gather(*(self._sources[source].query(text, at) for text in texts.values()))
            results.append(PresetResult.sort(meter.batch, dict(zip(texts, found, strict=True))))
        return results

    async def _read_queries(self, source: str, queries: Sequence[ConfinedQuery], at: float) -> Sequence[Answer]:
        return await ask(self._sources[source], queries, at)


def _matcher(population: Population) -> PodMatcher:
    return PodMatcher.choose(population.kind, population.name, population.pods)


def _put(items: dict[Hashable, Item[Q]], item: Item[Q]) -> None:
    """Add a question; the shortest interval of all who want it counts."""
    known = items.get(item.key)
    if known is None or item.interval < known.interval:
        items[item.key] = item
