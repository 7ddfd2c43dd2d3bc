"""Back-fill of the cost baseline: what a workload cost an hour before Trimtab moved it, out of a datasource, once.

Four range queries a workload at a step of an hour: its pods, their use of CPU and memory, its requests. What they asked
for then is the pod template's; a template that changed meanwhile is not seen, and prices are today's. Where values of
Trimtab are in force already nothing is read: there would be no telling what was its work.
"""

import logging
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trimtab.api.datasource import Datasource
from trimtab.decide.columns import F8
from trimtab.decide.cost import PastCosts
from trimtab.observe.config import ConfigRecord
from trimtab.observe.facts import Facts, Seen
from trimtab.observe.goalhistory import by_pod, query_of
from trimtab.observe.meters import Plans
from trimtab.observe.podmatcher import PodMatcher
from trimtab.observe.prices import GIB
from trimtab.observe.promql import Query, parse
from trimtab.observe.source import MetricSource, SourceError

STEP_SECONDS = 3600.0
MAX_DAYS = 14.0
MAX_WORKLOADS = 4
"""In one reading."""
RETRY_SECONDS = 600.0
_MEMORY, _CPU = "container_memory_working_set_bytes", "container_cpu_usage_seconds_total"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class CostHistory:
    """Knows whose baseline is still to be read; reads it on demand. `plans` says how a resource is measured."""

    sources: Mapping[str, MetricSource]
    datasources: Sequence[Datasource]
    plans: Callable[[ConfigRecord], Plans]
    _done: set[tuple[str, str]] = field(default_factory=set)
    _retry_at: dict[str, float] = field(default_factory=dict)

    def wanted(self, seen: Seen, now: float) -> list[str]:
        """Resources whose baseline is not read yet and whose cost is known, so that there are prices."""
        w = seen.observation.workloads
        return [
            key
            for key, facts in seen.facts.items()
            if facts.row >= 0
            and (key, facts.config.uid) not in self._done
            and not w.tuned[facts.row]
            and np.isfinite(w.cost_per_hour[facts.row])
            and now >= self._retry_at.get(key, 0.0)
        ]

    def forget(self, keys: Collection[str]) -> None:
        """Drop resources that are gone; `keys` are those that are still there."""
        self._done = {known for known in self._done if known[0] in keys}
        self._retry_at = {key: at for key, at in self._retry_at.items() if key in keys}

    async def read(self, seen: Seen, keys: Collection[str], now: float) -> PastCosts:
        """Hours of some of these, oldest first. Raises nothing but cancellation."""
        parts: list[tuple[str, F8, F8, F8, F8]] = []
        for key in list(keys)[:MAX_WORKLOADS]:
            facts = seen.facts[key]
            self._done.add((key, facts.config.uid))
            try:
                found = await self._hours(facts, now)
            except SourceError as error:
                self._done.discard((key, facts.config.uid))
                self._retry_at[key] = now + RETRY_SECONDS
                _log.info("cost baseline of %s: %s", key, error.message)
            except Exception:
                _log.exception("reading the cost baseline of %s failed; it starts without", key)
            else:
                parts.append((key, *found))
        rows = [np.full(len(part[1]), place, dtype=np.int64) for place, part in enumerate(parts)]
        blank = [np.empty(0)]
        columns = [np.concatenate([part[place] for part in parts] or blank) for place in range(1, 5)]
        row = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
        return PastCosts(tuple(part[0] for part in parts), row, *columns)

    async def _hours(self, facts: Facts, now: float) -> tuple[F8, F8, F8, F8]:
        """Cost, requests, cores and bytes of each hour that is known.

        Raises:
            SourceError: the datasource did not answer.
        """
        target, spent = facts.target, facts.spent
        source = facts.config.spec.monitoring.datasource
        settings = next((one for one in self.datasources if one.name == source), None)
        if target is None or spent is None or settings is None:
            return np.empty(0), np.empty(0), np.empty(0), np.empty(0)
        pods = PodMatcher.owner(target.kind, target.name)
        labels = settings.tenancy.labels_for(_MEMORY)
        if labels is None:
            return np.empty(0), np.empty(0), np.empty(0), np.empty(0)
        each = f"{labels.pod_label}, {labels.container_label}"
        live = f'{{{labels.container_label}!="",{labels.container_label}!="POD"}}'
        texts = (
            f"count(count by ({labels.pod_label}) ({_MEMORY}{live}))",
            f"sum(max by ({each}) (rate({_CPU}{live}[1h])))",
            f"sum(max by ({each}) (avg_over_time({_MEMORY}{live}[1h])))",
        )
        days = min(MAX_DAYS, float(facts.config.spec.monitoring.retention_days))
        end = now // STEP_SECONDS * STEP_SECONDS
        grid = np.arange(end - days * 24 * STEP_SECONDS, end + 1, STEP_SECONDS)

        async def track(query: Query, *, pinned: bool = True) -> F8:
            confined = query.confine(settings.tenancy, facts.config.namespace, pods if pinned else None)
            series = await self.sources[source].query_range(confined.text, float(grid[0]), end, STEP_SECONDS)
            values = np.full(len(grid), np.nan)
            if len(series) == 1:
                place = np.rint((series[0].times - grid[0]) / STEP_SECONDS).astype(np.int64)
                inside = (place >= 0) & (place < len(grid))
                values[place[inside]] = series[0].values[inside]
            return values

        count, cores, memory = [await track(parse(text)) for text in texts]
        requests = np.full(len(grid), np.nan)
        meter = self.plans(facts.config).arrival
        if meter is not None and (query := query_of(meter)) is not None:
            requests = STEP_SECONDS * await track(query, pinned=by_pod(meter))
        containers = target.containers
        asked_cores = count * math.fsum(one.cpu for one in containers if one.cpu > 0)
        asked_memory = count * math.fsum(one.memory for one in containers if one.memory > 0)
        cost = np.fmax(asked_cores, cores) * spent.cpu_price + np.fmax(asked_memory, memory) / GIB * spent.memory_price
        # Claims and GPUs were then as they are now, and tokens by the request.
        cost += spent.storage + count * math.fsum(one.gpus for one in containers) * spent.gpu_price
        cost += spent.api * (requests / (STEP_SECONDS * facts.arrival) if facts.arrival > 0 else 1.0)
        known = np.isfinite(cost) & (count > 0)
        return cost[known], requests[known], asked_cores[known], asked_memory[known]
