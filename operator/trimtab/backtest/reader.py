"""History out of one Prometheus, gently: a namespace and at most a day at a time, and slower when the server is."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from trimtab.api.datasource import Tenancy
from trimtab.backtest import queries
from trimtab.backtest.keep import Keep
from trimtab.backtest.owners import Workload, by_metrics, owner
from trimtab.backtest.tracks import STEP, Fleet
from trimtab.lab.traces import DAY, ResourceName
from trimtab.observe.builtin import Builtin, backfill_chunks, backfill_query, history
from trimtab.observe.source import MetricSource, Series, SourceError, SourceReason

MAX_SAMPLES = 200_000
"""Samples that one query may give, some 10 MB of JSON."""
SLOW_SECONDS = 2.0
"""After a query that took longer, as long a pause follows as it took."""
_METERS: tuple[tuple[ResourceName, Builtin], ...] = (("cpu", Builtin.CPU), ("memory", Builtin.MEMORY))
_SMALLER = frozenset({SourceReason.TOO_LARGE, SourceReason.TIMEOUT})
KSM, SCHEDULER, NAMES = "kube-state-metrics", "the scheduler", "pod names"


@dataclass(slots=True)
class Sources:
    """Where the facts of one namespace come from; empty: nowhere."""

    owners: str = NAMES
    requests: str = ""


@dataclass(slots=True)
class Past:
    """What was read."""

    fleet: Fleet
    sources: dict[str, Sources] = field(default_factory=dict)
    """By namespace."""
    unread: dict[str, str] = field(default_factory=dict)
    """Namespace → why it, or a part of it, could not be read."""


@dataclass(slots=True)
class Reader:
    """`clock` is monotonic seconds. `told` gets a line where a person should know why it takes long."""

    source: MetricSource
    keep: Keep = field(default_factory=Keep)
    max_samples: int = MAX_SAMPLES
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    told: Callable[[str], None] = lambda _line: None

    async def namespaces(self, end: float, days: int) -> list[str]:
        """Namespaces with containers.

        Raises:
            SourceError: Prometheus did not answer.
        """
        step = max(DAY, days * DAY / 100)
        found = await self._range(queries.namespaces(1), end - days * DAY, end, step)
        return sorted({one.labels["namespace"] for one in found if one.labels.get("namespace")})

    async def read(
        self, namespaces: Sequence[str], end: float, days: int, progress: Callable[[str, float], None]
    ) -> Past:
        """Usage, owners and requests of these namespaces over the `days` before `end` (Unix seconds).

        A namespace that can't be read is named in `unread`; the others go on.
        """
        last = math.floor(end / STEP) * STEP
        steps = int(days * DAY / STEP)
        past = Past(Fleet(last - (steps - 1) * STEP, steps))
        for place, namespace in enumerate(namespaces):
            try:
                await self._namespace(past, namespace, last, partial(_told, progress, namespace, place))
            except SourceError as error:
                past.unread[namespace] = error.message
        return past

    async def _namespace(self, past: Past, namespace: str, end: float, progress: Callable[[float], None]) -> None:
        known, sources = await self._owners(past.fleet, namespace, end)
        past.sources[namespace] = sources
        chunks = backfill_chunks(past.fleet.start, end)
        for number, (start, stop) in enumerate(chunks):
            for resource, builtin in _METERS:
                text = backfill_query(builtin, Tenancy(), namespace)
                for first, final in await self._parts(namespace, start, stop):
                    for answer in await self._halving(text.text, first, final):
                        for (pod, container), (times, values) in history(text, answer).items():
                            workload = owner(namespace, pod, known)
                            past.fleet.add_usage(workload, container, resource, times, values)
            progress((number + 0.9) / len(chunks))
        sources.requests = await self._requests(past.fleet, namespace, end, known)
        progress(1.0)

    async def _owners(self, fleet: Fleet, namespace: str, end: float) -> tuple[dict[str, Workload], Sources]:
        step = queries.OWNER_STEP
        pods = await self._daily(queries.pod_owners(namespace), fleet.start, end, step)
        sets = await self._daily(queries.replica_set_owners(namespace), fleet.start, end, step) if pods else []
        known = by_metrics(namespace, pods, sets)
        return known, Sources(owners=KSM if known else NAMES)

    async def _requests(self, fleet: Fleet, namespace: str, end: float, known: dict[str, Workload]) -> str:
        """Requests into the fleet; where they come from."""
        step, source = queries.OWNER_STEP, ""
        for resource, _ in _METERS:
            for one in await self._daily(queries.requests(namespace, resource), fleet.start, end, step):
                workload = owner(namespace, one.labels.get("pod", ""), known)
                fleet.add_request(workload, one.labels.get("container", ""), resource, one.times, one.values)
                source = KSM
        if source:
            return source
        for resource, _ in _METERS:
            for one in await self._daily(queries.pod_requests(namespace, resource), fleet.start, end, step):
                workload = owner(namespace, one.labels.get("pod", ""), known)
                containers = fleet.containers(workload)
                if len(containers) == 1:  # a pod's request can't be told apart over several containers
                    fleet.add_request(workload, containers[0], resource, one.times, one.values)
                    source = SCHEDULER
        return source

    async def _daily(self, text: str, start: float, end: float, step: float) -> list[Series]:
        """A range in parts of a week."""
        found: list[Series] = []
        for first, final in _split(start, end, step, int(7 * DAY / step)):
            found += await self._range(text, first, final, step)
        return found

    async def _parts(self, namespace: str, start: float, end: float) -> Iterator[tuple[float, float]]:
        """A chunk in parts that give no more samples than allowed, by the number of containers at its end."""
        counted = await self._range(queries.size(namespace), end, end, STEP)
        series = max((float(one.values[-1]) for one in counted if len(one.values)), default=1.0)
        return _split(start, end, STEP, max(1, int(self.max_samples / max(series, 1.0))))

    async def _halving(self, text: str, start: float, end: float) -> list[list[Series]]:
        """The answers to a range: one, or those of its halves where the server says that it is too much."""
        try:
            return [await self._range(text, start, end, STEP)]
        except SourceError as error:
            points = round((end - start) / STEP) + 1
            if error.reason not in _SMALLER or points < 2:
                raise
            middle = start + (points // 2) * STEP
            return [*await self._halving(text, start, middle - STEP), *await self._halving(text, middle, end)]

    async def _range(self, text: str, start: float, end: float, step: float) -> list[Series]:
        kept = self.keep.load(text, start, end, step)
        if kept is not None:
            return kept
        began = self.clock()
        found = await self.source.query_range(text, start, end, step)
        took = self.clock() - began
        self.keep.save(found, text, start, end, step)
        if took > SLOW_SECONDS:
            self.told(f"Prometheus took {took:.1f} s for a query; waiting as long")
            await self.sleep(took)
        return found


def _told(progress: Callable[[str, float], None], namespace: str, place: int, share: float) -> None:
    progress(namespace, place + share)


def _split(start: float, end: float, step: float, points: int) -> Iterator[tuple[float, float]]:
    """Ranges of at most so many points, first to last, none twice."""
    while start <= end:
        yield start, min(end, start + (points - 1) * step)
        start += points * step
