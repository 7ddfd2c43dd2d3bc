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
from trimtab.backtest.kills import kills
from trimtab.backtest.owners import Workload, by_metrics, owner, shown
from trimtab.backtest.tracks import STEP, Fleet
from trimtab.lab.traces import DAY, ResourceName
from trimtab.observe.builtin import Builtin, backfill_chunks, backfill_query, history
from trimtab.observe.selectors import Triple
from trimtab.observe.source import MetricSource, Series, SourceError, SourceReason

MAX_SAMPLES = 200_000
"""Samples that one query may give, some 10 MB of JSON."""
SLOW_SECONDS = 2.0
"""After a query that took longer, as long a pause follows as it took."""
_METERS: tuple[tuple[ResourceName, Builtin], ...] = (("cpu", Builtin.CPU), ("memory", Builtin.MEMORY))
PATIENCE = 300.0
"""Seconds that an outage is waited for."""
FIRST_WAIT, LONGEST_WAIT = 5.0, 60.0
_SMALLER = frozenset({SourceReason.TOO_LARGE, SourceReason.TIMEOUT, SourceReason.BAD_QUERY})
_AWAY = frozenset({SourceReason.UNREACHABLE, SourceReason.SERVER_ERROR, SourceReason.CIRCUIT_OPEN})
KSM, SCHEDULER, NAMES = "kube-state-metrics", "the scheduler", "pod names"


@dataclass(slots=True)
class Sources:
    """Where the facts of one namespace come from; empty: nowhere."""

    owners: str = NAMES
    requests: str = ""
    kills: str = ""


@dataclass(slots=True)
class Past:
    """What was read."""

    fleet: Fleet
    sources: dict[str, Sources] = field(default_factory=dict)
    """By namespace."""
    unread: dict[str, str] = field(default_factory=dict)
    """Namespace → why it, or a part of it, could not be read; it is left out as a whole."""
    clusters: set[str] = field(default_factory=set)
    """Values of the label `cluster` that nodes have."""


@dataclass(slots=True)
class Reader:
    """`clock` is monotonic seconds. `told` gets a line where a person should know why it takes long."""

    source: MetricSource
    keep: Keep = field(default_factory=Keep)
    max_samples: int = MAX_SAMPLES
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    told: Callable[[str], None] = lambda _line: None
    matchers: Sequence[Triple] = ()
    """In every query: what tells this cluster from others on the same server."""
    _answered: bool = False
    _away_since: float | None = None
    _sizes: dict[tuple[str, float], float] = field(default_factory=dict)

    async def namespaces(self, end: float, days: int) -> list[str]:
        """Namespaces with containers.

        Raises:
            SourceError: Prometheus did not answer.
        """
        step = queries.OWNER_STEP
        found = await self._halving(queries.namespaces(), end - days * DAY, end, step)
        return sorted({name for one in found if (name := one.labels.get("namespace"))})

    async def read(
        self, namespaces: Sequence[str], end: float, days: int, progress: Callable[[str, float], None]
    ) -> Past:
        """Usage, owners, requests and OOM kills of these namespaces over the `days` before `end` (Unix seconds).

        A namespace that can't be read is left out and named in `unread`; the others go on.

        Raises:
            SourceError: Prometheus never answered anything.
        """
        last = math.floor(end / STEP) * STEP
        steps = int(days * DAY / STEP)
        past = Past(Fleet(last - (steps - 1) * STEP, steps))
        reasons = await self._of_the_cluster(past, last)
        for place, namespace in enumerate(namespaces):
            try:
                await self._namespace(past, namespace, last, reasons, partial(_told, progress, shown(namespace), place))
            except SourceError as error:
                # A part of a history would be priced and judged as if it were the whole.
                past.fleet.forget(namespace)
                past.sources.pop(namespace, None)
                past.unread[namespace] = error.message
        return past

    async def _of_the_cluster(self, past: Past, end: float) -> bool:
        """When nodes were measured, and of which clusters; whether anything tells why containers ended."""
        fleet = past.fleet
        for first, final in _split(fleet.start, end, STEP, min(self.max_samples, int(7 * DAY / STEP))):
            for one in await self._if_any(queries.nodes(), first, final, STEP):
                fleet.measured(one.times)
                past.clusters |= {one.labels.get("cluster", "")} - {""}
        return bool(await self._if_any(queries.reasons(), fleet.start, end, queries.OWNER_STEP))

    async def _if_any(self, text: str, start: float, end: float, step: float) -> list[Series]:
        """The answer to what can be done without."""
        try:
            return await self._halving(text, start, end, step)
        except SourceError as error:
            if not self._answered:
                raise
            self.told(f"{error.message} Left out: {text}.")
            return []

    async def _namespace(
        self, past: Past, namespace: str, end: float, reasons: bool, progress: Callable[[float], None]
    ) -> None:
        fleet = past.fleet
        known, sources = await self._owners(fleet, namespace, end)
        past.sources[namespace] = sources
        chunks = backfill_chunks(fleet.start, end)
        for number, (start, stop) in enumerate(chunks):
            for resource, builtin in _METERS:
                text = backfill_query(builtin, Tenancy(), namespace)
                for first, final in await self._parts(namespace, start, stop, STEP):
                    answer = await self._halving(text.text, first, final, STEP)
                    for part in answer:
                        for (pod, container), (times, values) in history(text, [part]).items():
                            fleet.add_usage(owner(namespace, pod, known), container, resource, times, values)
            progress((number + 0.9) / len(chunks))
        sources.requests = await self._requests(fleet, namespace, end, known)
        if reasons:
            await self._kills(fleet, namespace, end, known)
            sources.kills = KSM
        progress(1.0)

    async def _owners(self, fleet: Fleet, namespace: str, end: float) -> tuple[dict[str, Workload], Sources]:
        pods = await self._hourly(namespace, queries.pod_owners(namespace), fleet.start, end)
        sets = await self._hourly(namespace, queries.replica_set_owners(namespace), fleet.start, end) if pods else []
        known = by_metrics(namespace, pods, sets)
        return known, Sources(owners=KSM if known else NAMES)

    async def _requests(self, fleet: Fleet, namespace: str, end: float, known: dict[str, Workload]) -> str:
        """Requests into the fleet; where they come from."""
        source = ""
        for resource, _ in _METERS:
            for one in await self._hourly(namespace, queries.requests(namespace, resource), fleet.start, end):
                workload = owner(namespace, one.labels.get("pod", ""), known)
                fleet.add_request(workload, one.labels.get("container", ""), resource, one.times, one.values)
                source = KSM
        if source:
            return source
        for resource, _ in _METERS:
            for one in await self._hourly(namespace, queries.pod_requests(namespace, resource), fleet.start, end):
                workload = owner(namespace, one.labels.get("pod", ""), known)
                containers = fleet.containers(workload)
                if len(containers) == 1:  # a pod's request can't be told apart over several containers
                    fleet.add_request(workload, containers[0], resource, one.times, one.values)
                    source = SCHEDULER
        return source

    async def _kills(self, fleet: Fleet, namespace: str, end: float, known: dict[str, Workload]) -> None:
        fleet.counted(namespace)
        reasons = await self._hourly(namespace, queries.killed(namespace), fleet.start, end)
        if not reasons:
            return
        restarts = await self._hourly(namespace, queries.restarts(namespace), fleet.start, end)
        for (pod, container), (times, found) in kills(reasons, restarts, fleet.start).items():
            fleet.add_kills(owner(namespace, pod, known), container, times, found)

    async def _hourly(self, namespace: str, text: str, start: float, end: float) -> list[Series]:
        """A range at a step of an hour, in parts of a week at most."""
        step, found = queries.OWNER_STEP, []
        for first, final in _split(start, end, step, int(7 * DAY / step)):
            for begin, finish in await self._parts(namespace, first, final, step):
                found += await self._halving(text, begin, finish, step)
        return found

    async def _parts(self, namespace: str, start: float, end: float, step: float) -> Iterator[tuple[float, float]]:
        """A range in parts that give no more samples than allowed, by the number of containers at its end."""
        if (namespace, end) not in self._sizes:
            counted = await self._range(queries.size(namespace), end, end, STEP)
            series = max((float(one.values[-1]) for one in counted if len(one.values)), default=1.0)
            self._sizes[namespace, end] = max(series, 1.0)
        return _split(start, end, step, max(1, int(self.max_samples / self._sizes[namespace, end])))

    async def _halving(self, text: str, start: float, end: float, step: float) -> list[Series]:
        """The answer to a range; those of its halves together where the server says that it is too much.

        These queries are well-formed, so a refusal is one of their size: Prometheus (query.max-samples) and Mimir
        (its limits a query) answer 422 as they do to a query that is wrong.
        """
        try:
            return await self._range(text, start, end, step)
        except SourceError as error:
            points = int((end - start) / step) + 1
            if error.reason not in _SMALLER:
                raise
            if points < 2:
                raise SourceError(
                    error.reason,
                    f"{error.message} It was a query of a single moment: raise the server's limit of samples a query, "
                    "or read a smaller part with --matcher.",
                ) from error
            middle = start + (points // 2) * step
            return [
                *await self._halving(text, start, middle - step, step),
                *await self._halving(text, middle, end, step),
            ]

    async def _range(self, text: str, start: float, end: float, step: float) -> list[Series]:
        text = queries.narrowed(text, self.matchers)
        kept = self.keep.load(text, start, end, step)
        if kept is not None:
            self._answered = True
            return kept
        wait = FIRST_WAIT
        while True:
            began = self.clock()
            try:
                found = await self.source.query_range(text, start, end, step)
            except SourceError as error:
                if error.reason is SourceReason.TIMEOUT:
                    await self._rest("A query timed out", self.clock() - began)
                if error.reason not in _AWAY or not self._patient(began):
                    raise
                self.told(f"{error.message} Asking again in {wait:.0f} s.")
                await self.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            self._answered, self._away_since = True, None
            took = self.clock() - began
            self.keep.save(found, text, start, end, step)
            if took > SLOW_SECONDS:
                await self._rest("Prometheus was slow", took)
            return found

    async def _rest(self, why: str, took: float) -> None:
        self.told(f"{why} ({took:.1f} s); waiting as long")
        await self.sleep(took)

    def _patient(self, now: float) -> bool:
        """Whether an outage is waited for: not before the first answer, and no longer than PATIENCE in all."""
        if self._away_since is None:
            self._away_since = now
        return self._answered and now - self._away_since < PATIENCE


def _told(progress: Callable[[str, float], None], namespace: str, place: int, share: float) -> None:
    progress(namespace, place + share)


def _split(start: float, end: float, step: float, points: int) -> Iterator[tuple[float, float]]:
    """Ranges of at most so many points, first to last, none twice."""
    while start <= end:
        yield start, min(end, start + (points - 1) * step)
        start += points * step
