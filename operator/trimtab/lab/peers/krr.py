"""KRR (Kubernetes Resource Recommender), simple strategy with its documented defaults.

CPU request: 95th percentile of the last 336 h, no limit. Memory: the largest of it plus 15%. Points every 75 s as a
Prometheus query with that step finds them (the last sample of the past 5 minutes); at least 100 of them. Floors 10m and
100 MB. KRR only recommends: here somebody runs it once a day and applies what it says, first when it has its 100
points, or when scoring starts if that is earlier. Between two runs nobody answers an OOM kill. Where scoring starts
after a gap longer than its history, the first run takes what was seen before the gap.
"""

from collections.abc import Sequence

import numpy as np

from trimtab.decide.columns import B1, F8
from trimtab.lab.traces import DAY, ResourceName, Usage
from trimtab.lab.vertical.replay import Grid, Told, stepwise, untold

HISTORY = 336 * 3600.0
STEP = 75.0
LEAST_POINTS = 100
LOOK_BACK = 300.0
CPU_SHARE = 0.95
MEMORY_MARGIN = 1.15
LEAST_CPU = 0.010
LEAST_MEMORY = 100e6
RUN_EVERY = DAY


def points(times: F8, values: F8, now: float) -> F8:
    """What a range query at `now` over HISTORY finds: a value every STEP seconds where a sample is fresh enough."""
    if not len(times):
        return np.empty(0)
    start = max(now - HISTORY, float(times[0]))
    asked = now - STEP * np.arange(int((now - start) / STEP + 1e-9) + 1)
    found = np.searchsorted(times, asked, side="right") - 1
    fresh = (found >= 0) & (asked - times[np.maximum(found, 0)] <= LOOK_BACK)
    return np.asarray(values[found[fresh]], dtype=np.float64)


def recommend(resource: ResourceName, known: F8) -> float:
    """Request in cores or bytes from the points of the history; at least one."""
    if resource == "cpu":
        return max(float(np.quantile(known, CPU_SHARE)), LEAST_CPU)
    return max(float(known.max()) * MEMORY_MARGIN, LEAST_MEMORY)


class Krr:
    """KRR applied once a day."""

    name = "krr"

    def cpu(self, usages: Sequence[Usage], told: Told = untold) -> list[F8]:
        """Requests in force, cores."""
        return stepwise(lambda grid: KrrRun(grid, "cpu"), usages, told)

    def memory(self, grid: Grid) -> "KrrRun":
        """A fresh run."""
        return KrrRun(grid, "memory")


class KrrRun:
    """One replay: what was seen, and a run of KRR a day and row."""

    def __init__(self, grid: Grid, resource: ResourceName) -> None:
        self._resource = resource
        self._step = grid.step
        self._scored_at = grid.scored_from * grid.step
        self._seen = np.full(grid.values.shape, np.nan)
        self._slot = 0
        self._level = np.full(grid.rows, np.nan)
        self._next = np.zeros(grid.rows)

    def step(self, now: float, seen: F8, killed: B1) -> F8:
        """Requests for the slot that starts at `now`; NaN before the first run."""
        if self._slot:
            self._seen[:, self._slot - 1] = seen
        self._slot += 1
        for row in np.flatnonzero(now >= self._next):
            self._run(int(row), now)
        return self._level

    def _run(self, row: int, now: float) -> None:
        first = max(0, self._slot - 1 - int(HISTORY / self._step) - 1)
        window = self._seen[row, first : self._slot - 1]
        present = np.flatnonzero(np.isfinite(window))
        known = points((first + present).astype(np.float64) * self._step, window[present], now)
        scored = now >= self._scored_at[row]
        if scored and not len(known) and np.isnan(self._level[row]):
            known = self._seen[row, : self._slot - 1]
            known = known[np.isfinite(known)]
        if len(known) >= LEAST_POINTS or (len(known) and scored):
            self._level[row] = recommend(self._resource, known)
            self._next[row] = now + RUN_EVERY
