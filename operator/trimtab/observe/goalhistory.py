"""Back-fill of service level objectives: their window out of a datasource, once, in days, newest first.

After that every window is counted from slots that the operator keeps: no range query a tick. At most MAX_QUERIES are
made in one reading, objectives with the least history first; what is older than what the datasource keeps is not asked
for any further.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trimtab.api.datasource import Datasource
from trimtab.decide.columns import F8
from trimtab.decide.slo import PastObjectives
from trimtab.kube.records import WorkloadRecord
from trimtab.observe.config import ConfigRecord
from trimtab.observe.errors import PromQLError
from trimtab.observe.facts import Seen
from trimtab.observe.goals import goal_key, is_good
from trimtab.observe.meters import Goal, Meter, Plans, PresetMeter, QueryMeter
from trimtab.observe.podmatcher import PodMatcher
from trimtab.observe.promql import Query, parse
from trimtab.observe.source import MetricSource, SourceError

STEP_SECONDS = 300.0
DAY = 86_400.0
MAX_QUERIES = 32
EMPTY_DAYS = 3
"""After so many days in a row without a sample the datasource is taken to keep no older ones."""
RETRY_SECONDS = 300.0

_log = logging.getLogger(__name__)
Track = tuple[F8, F8]


@dataclass(slots=True)
class _Progress:
    """How far one objective was read back."""

    end: float
    """Unix time before which history is still wanted."""
    start: float
    days: int = 0
    """Days that were read."""
    empty: int = 0
    retry_at: float = 0.0
    done: bool = False


@dataclass(frozen=True, slots=True)
class _Item:
    key: str
    goal: Goal
    config: ConfigRecord
    target: WorkloadRecord


@dataclass(slots=True)
class GoalHistory:
    """Knows what of which objective is still to be read; reads it on demand."""

    sources: Mapping[str, MetricSource]
    datasources: Sequence[Datasource]
    plans: Callable[[ConfigRecord], Plans]
    max_queries: int = MAX_QUERIES
    _progress: dict[str, _Progress] = field(default_factory=dict)

    def wanted(self, seen: Seen, now: float) -> list[str]:
        """Keys of objectives whose turn it is, the ones with the least history first."""
        found = []
        for key in seen.observation.objectives.key:
            progress = self._progress.get(key)
            if progress is None or (not progress.done and now >= progress.retry_at):
                found.append((progress.days if progress else -1, str(key)))
        return [key for _, key in sorted(found)]

    def forget(self, keys: Collection[str]) -> None:
        """Drop objectives that are gone; `keys` are those that are still there."""
        self._progress = {key: progress for key, progress in self._progress.items() if key in keys}

    async def read(self, seen: Seen, keys: Collection[str], now: float) -> PastObjectives:
        """A day of history of each of these, as far as the budget goes. Raises nothing but cancellation."""
        items = self._items(seen)
        budget, parts = self.max_queries, []
        for key in keys:
            item = items.get(key)
            if item is None:
                continue
            progress = self._progress.get(key)
            if progress is None:
                begin = now - item.goal.objective.window_days * DAY
                progress = self._progress[key] = _Progress(now // STEP_SECONDS * STEP_SECONDS, begin)
            budget -= 2 if item.goal.good is not None else 1
            if budget < 0:
                break
            try:
                parts.append((key, *await self._day(item, progress)))
            except SourceError as error:
                progress.retry_at = now + RETRY_SECONDS
                _log.info("history of objective %s: %s", key, error.message)
            except Exception:
                progress.done = True
                _log.exception("reading the history of objective %s failed; it starts without", key)
        return _joined(parts)

    async def _day(self, item: _Item, progress: _Progress) -> tuple[F8, F8, F8]:
        """Times, good and total of the newest day that is not read yet.

        Raises:
            SourceError: the datasource did not answer.
        """
        start = max(progress.end - DAY + STEP_SECONDS, progress.start)
        found = await self._measure(item, start, progress.end)
        progress.empty = 0 if found is not None and len(found[0]) else progress.empty + 1
        progress.end = start - STEP_SECONDS
        progress.days += 1
        progress.done = found is None or progress.end <= progress.start or progress.empty >= EMPTY_DAYS
        return found if found is not None else (np.empty(0), np.empty(0), np.empty(0))

    async def _measure(self, item: _Item, start: float, end: float) -> tuple[F8, F8, F8] | None:
        goal = item.goal
        if goal.good is not None and goal.total is not None:
            tracks = [await self._range(item, meter, start, end) for meter in (goal.good, goal.total)]
            if tracks[0] is None or tracks[1] is None:
                return None
            times, good, total = np.intersect1d(tracks[0][0], tracks[1][0], return_indices=True)
            return times, np.maximum(tracks[0][1][good], 0.0), np.maximum(tracks[1][1][total], 0.0)
        if goal.metric is None:
            return None  # a built-in measurement has no query of the workload's own
        track = await self._range(item, goal.metric.meter, start, end)
        if track is None:
            return None
        inside = np.array([is_good(goal.objective, float(value)) for value in track[1]], dtype=np.float64)
        return track[0], inside, np.ones(len(inside))

    async def _range(self, item: _Item, meter: Meter, start: float, end: float) -> Track | None:
        """Finite points of the one series; None where there is no query, no points where there are several series."""
        query = query_of(meter)
        source = item.config.spec.monitoring.datasource
        tenancy = next((one.tenancy for one in self.datasources if one.name == source), None)
        if query is None or tenancy is None:
            return None
        pods = PodMatcher.owner(item.target.kind, item.target.name) if by_pod(meter) else None
        confined = query.confine(tenancy, item.config.namespace, pods)
        series = await self.sources[source].query_range(confined.text, start, end, STEP_SECONDS)
        if len(series) != 1:
            return np.empty(0), np.empty(0)
        finite = np.isfinite(series[0].values)
        return series[0].times[finite], series[0].values[finite]

    def _items(self, seen: Seen) -> dict[str, _Item]:
        return {
            goal_key(facts.config.key, goal): _Item(goal_key(facts.config.key, goal), goal, facts.config, facts.target)
            for facts in seen.facts.values()
            if facts.row >= 0 and facts.target is not None
            for goal in self.plans(facts.config).goals
        }


def query_of(meter: Meter) -> Query | None:
    """The query behind a measurement, for ranges; None where there is none."""
    if isinstance(meter, QueryMeter):
        return meter.query
    if isinstance(meter, PresetMeter):
        try:
            return parse(meter.batch.preset.promql())
        except PromQLError:
            return None
    return None


def by_pod(meter: Meter) -> bool:
    """Whether the pods of the workload are forced into it."""
    return isinstance(meter, PresetMeter) or (isinstance(meter, QueryMeter) and meter.by_pod)


def _joined(parts: list[tuple[str, F8, F8, F8]]) -> PastObjectives:
    rows = [np.full(len(times), place, dtype=np.int64) for place, (_, times, _, _) in enumerate(parts)]
    blank = [np.empty(0)]
    return PastObjectives(
        keys=tuple(key for key, _, _, _ in parts),
        row=np.concatenate(rows) if rows else np.empty(0, dtype=np.int64),
        time=np.concatenate([times for _, times, _, _ in parts] or blank),
        good=np.concatenate([good for _, _, good, _ in parts] or blank),
        total=np.concatenate([total for _, _, _, total in parts] or blank),
        span=STEP_SECONDS,
    )
