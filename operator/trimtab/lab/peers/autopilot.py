"""Autopilot's cost-driven recommender (Rzadca et al., EuroSys 2020, section 3.2), one model.

Samples are gathered into windows of 5 minutes; for memory a window is its peak. Histograms of them decay with a
half-life of 12 h for CPU and 48 h for memory. Of all candidate limits L the one with the smallest cost is taken:

    w_o · overrun(L) + w_u · underrun(L) + w_Δ · [L is not the limit before]

Overrun is the decayed share of samples above L; underrun the decayed unused capacity below L over mean usage. On the
result come a safety margin of 10% and the largest recommendation of the last hour, as the paper describes.

The paper does not publish the weights, nor the ensemble of models that it picks from; the weights below stand for one
of them. It does not say either what an OOM kill does beyond its sample: here the limit with the margin becomes a
recommendation, which holds for an hour, and the sample. Nor what holds before the first window is full: here the
largest sample with the margin.
"""

from collections.abc import Sequence

import numpy as np

from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.histogram import Buckets
from trimtab.lab.traces import ResourceName, Usage
from trimtab.lab.vertical.replay import Grid, Told, stepwise, untold

WINDOW = 300.0
HALF_LIFE = {"cpu": 12 * 3600.0, "memory": 48 * 3600.0}
BUCKETS = {"cpu": Buckets(0.01, 1000.0, 1.025), "memory": Buckets(1e7, 1e12, 1.025)}
MARGIN = 1.10
HOLD = 12
"""Windows of which the largest recommendation holds: one hour."""
OVERRUN = {"cpu": 10.0, "memory": 10_000.0}
UNDERRUN = 1.0
CHANGE = 0.01
"""Weights w_o, w_u, w_Δ: a share of samples above the limit against the same share of mean usage left unused. A kill of
a task costs far more than a slow moment."""


def costs(weights: F8, buckets: Buckets, overrun: float) -> F8:
    """w_o·overrun + w_u·underrun of every candidate limit, the upper border of each bucket, float64[rows, buckets].

    Args:
        weights: decayed histogram, float64[rows, buckets]; a row without any weight costs nothing.
        buckets: its borders.
        overrun: w_o.
    """
    ends = buckets.ends
    middles = (ends + np.concatenate(([0.0], ends[:-1]))) / 2
    below = np.cumsum(weights, axis=1)
    used = np.cumsum(weights * middles, axis=1)
    total, mean = np.maximum(below[:, -1:], 1e-300), np.maximum(used[:, -1:], 1e-300)
    return np.asarray(overrun * (1 - below / total) + UNDERRUN * (ends * below - used) / mean, dtype=np.float64)


def choose(cost: F8, before: I8) -> I8:
    """The cheapest candidate of each row when a change costs w_Δ; `before` −1: none yet. int64[rows]."""
    rows = np.arange(len(cost))
    best = np.argmin(cost, axis=1)
    stays = (before >= 0) & (cost[rows, np.maximum(before, 0)] <= cost[rows, best] + CHANGE)
    return np.asarray(np.where(stays, before, best), dtype=np.int64)


class Autopilot:
    """Autopilot for both resources."""

    name = "autopilot"

    def cpu(self, usages: Sequence[Usage], told: Told = untold) -> list[F8]:
        """Limits in force, cores."""
        return stepwise(lambda grid: AutopilotRun(grid, "cpu"), usages, told)

    def memory(self, grid: Grid) -> "AutopilotRun":
        """A fresh run."""
        return AutopilotRun(grid, "memory")


class AutopilotRun:
    """One replay: a histogram, a limit and an hour of recommendations a row."""

    def __init__(self, grid: Grid, resource: ResourceName) -> None:
        self._buckets = BUCKETS[resource]
        self._overrun = OVERRUN[resource]
        self._peaks_only = resource == "memory"
        self._decay = 2.0 ** (-WINDOW / HALF_LIFE[resource])
        self._weights = np.zeros((grid.rows, self._buckets.count))
        self._limit = np.full(grid.rows, -1, dtype=np.int64)
        self._said = np.full((grid.rows, HOLD), np.nan)
        self._window: list[F8] = []
        self._closed = 0
        """Windows that are over."""
        self._peak = np.full(grid.rows, np.nan)
        self._level = np.full(grid.rows, np.nan)

    def step(self, now: float, seen: F8, killed: B1) -> F8:
        """Limits for the slot that starts at `now`; NaN before the first sample."""
        if killed.any():
            bumped = np.where(killed, self._level * MARGIN, np.nan)
            self._window.append(bumped)
            self._said[:, self._closed % HOLD] = np.fmax(self._said[:, self._closed % HOLD], bumped)
            self._level = np.fmax(self._level, bumped)
        self._window.append(seen)
        over = int(now // WINDOW)
        if over > self._closed:
            self._close(over)
        elif not self._closed:
            self._peak = np.fmax(self._peak, seen)
            self._level = np.fmax(self._level, np.maximum(self._peak, self._buckets.ends[0]) * MARGIN)
        return self._level

    def _close(self, over: int) -> None:
        """`over` windows have ended: learn the last, choose, and hold the largest choice of the hour.

        Where a recording's step is longer than a window, those between are empty.
        """
        passed = over - self._closed
        self._weights *= self._decay**passed
        self._said[:, np.arange(self._closed + 1, self._closed + 1 + min(passed, HOLD)) % HOLD] = np.nan
        self._closed = over
        window = np.array(self._window)
        if self._peaks_only:
            window = np.fmax.reduce(window, axis=0)[None, :]
        count = np.maximum(np.isfinite(window).sum(axis=0), 1)
        at = self._buckets.index(np.nan_to_num(window, nan=0.0))
        for samples, buckets in zip(window, at, strict=True):
            rows = np.flatnonzero(np.isfinite(samples))
            self._weights[rows, buckets[rows]] += 1.0 / count[rows]
        self._window.clear()
        known = self._weights.any(axis=1)
        chosen = choose(costs(self._weights, self._buckets, self._overrun), self._limit)
        self._limit = np.where(known, chosen, self._limit)
        said = np.where(known, self._buckets.ends[np.maximum(self._limit, 0)] * MARGIN, np.nan)
        self._said[:, over % HOLD] = said
        held = np.fmax.reduce(self._said, axis=1)
        self._level = np.where(np.isnan(held), self._level, held)
