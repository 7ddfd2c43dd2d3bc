"""The recommender of the Vertical Pod Autoscaler 1.8, as its documentation describes it, with default flags.

CPU: quantiles of a histogram of samples that decays with a half-life of 24 h. Memory: the same of daily peaks. Target
p90, lower bound p50, upper bound p95, each with a margin of 15%; the bounds widen while little is known. An OOM kill
counts as a peak of what was there, bumped up.
"""

from dataclasses import dataclass

import numpy as np

from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.histogram import Buckets
from trimtab.lab.peers.histogram import quantiles
from trimtab.lab.traces import DAY

MIB = 2.0**20
CPU = Buckets(0.01, 1000.0)
"""Cores; 176 buckets, each 5% wider than the one before."""
MEMORY = Buckets(1e7, 1e12)
"""Bytes; 176 buckets."""
HALF_LIFE = DAY
PEAK_INTERVAL = DAY
"""Memory counts as one peak in each of these, from the first sample on."""
SHARES = (0.9, 0.5, 0.95)
"""Quantiles of target, lower and upper bound."""
MARGIN = 1.15
LEAST_CPU = 0.025
LEAST_MEMORY = 250 * MIB
"""Floors of a pod, here of its only container."""
OOM_BUMP = 100 * MIB
OOM_RATIO = 1.2
SAMPLES_A_DAY = 1440.0


@dataclass(frozen=True, slots=True)
class Advice:
    """Cores or bytes; arrays of one shape."""

    target: F8
    lower: F8
    upper: F8


def confidence(lifespan: F8, samples: F8) -> F8:
    """How much history there is, in days: the smaller of its length in seconds and its samples, one a minute."""
    return np.asarray(np.minimum(lifespan / DAY, samples / SAMPLES_A_DAY), dtype=np.float64)


def advice(quantile: F8, sure: F8, floor: float) -> Advice:
    """Margin, then confidence, then floor, from the quantiles SHARES in float64[3, …]."""
    with np.errstate(divide="ignore"):
        lower = quantile[1] * MARGIN * (1 + 0.001 / sure) ** -2.0
        upper = quantile[2] * MARGIN * (1 + 1 / sure)
    return Advice(np.maximum(quantile[0] * MARGIN, floor), np.maximum(lower, floor), np.maximum(upper, floor))


def cpu_advice(times: F8, values: F8, step: float) -> Advice:
    """What the recommender says after every sample, float64[n] each.

    A live recommender sees a sample a minute. A recording with a longer step stands for as many equal samples, which
    changes nothing in the quantiles but counts in the confidence.
    """
    if not len(times):
        return Advice(np.empty(0), np.empty(0), np.empty(0))
    samples = np.arange(1.0, len(times) + 1) * max(step / 60, 1.0)
    found = quantiles(values, times, CPU, HALF_LIFE, SHARES)
    return advice(found, confidence(times - times[0], samples), LEAST_CPU)


def after_oom(size: F8) -> F8:
    """The peak that an OOM kill at `size` bytes counts as."""
    return np.asarray(np.maximum(size + OOM_BUMP, size * OOM_RATIO), dtype=np.float64)


class MemoryRecommender:
    """Histograms of daily peaks, a row a container; one sample a row and call."""

    def __init__(self, rows: int, step: float) -> None:
        self._weights = np.zeros((rows, MEMORY.count))
        self._reference = 0.0
        self._first = np.full(rows, np.nan)
        self._last = np.full(rows, np.nan)
        self._samples = np.zeros(rows)
        self._each = max(step / 60, 1.0)
        self._window_end = np.full(rows, -np.inf)
        self._peak = np.zeros(rows)
        self._quantiles = np.full((3, rows), np.nan)
        self._borders = MEMORY.ends.copy()
        self._borders[-1] = self._borders[-2]

    def add(self, now: float, usage: F8) -> None:
        """Samples at one time, bytes, float64[rows]; NaN: none."""
        present = np.isfinite(usage)
        self._first = np.where(present & np.isnan(self._first), now, self._first)
        self._last = np.where(present, now, self._last)
        self._samples += present * self._each
        self._peaks(now, usage, present)

    def add_oom(self, now: float, limit: F8, killed: B1) -> None:
        """OOM kills at these limits: a peak of the larger of limit and peak, bumped up."""
        if killed.any():
            self._peaks(now, after_oom(np.maximum(limit, self._peak)), killed)

    def _peaks(self, now: float, size: F8, present: B1) -> None:
        """Take the sizes as peaks of their intervals where they are."""
        fresh = present & (now >= self._window_end)
        grown = present & ~fresh & (size > self._peak)
        if not (fresh | grown).any():
            return
        self._rebase(now)
        rows = np.flatnonzero(grown)
        self._weigh(rows, self._peak[rows], -1.0)
        begun = np.where(np.isfinite(self._window_end), self._window_end, now)
        passed = np.floor((now - begun) / PEAK_INTERVAL) + 1
        self._window_end = np.where(fresh, begun + passed * PEAK_INTERVAL, self._window_end)
        self._peak = np.where(fresh | grown, size, self._peak)
        rows = np.flatnonzero(fresh | grown)
        self._weigh(rows, self._peak[rows], 1.0)
        total = np.cumsum(np.maximum(self._weights, 0.0), axis=1)
        for k, share in enumerate(SHARES):
            found = self._borders[np.argmax(total >= share * total[:, -1:], axis=1)]
            self._quantiles[k] = np.where(total[:, -1] > 0, found, np.nan)

    def _weigh(self, rows: I8, sizes: F8, sign: float) -> None:
        """A peak weighs by the end of its interval."""
        weight = np.exp2((self._window_end[rows] - self._reference) / HALF_LIFE)
        self._weights[rows, MEMORY.index(sizes)] += sign * weight

    def _rebase(self, now: float) -> None:
        """Keep 2^age within what a float holds over any number of years."""
        if now - self._reference > 100 * HALF_LIFE:
            self._weights *= np.exp2((self._reference - now) / HALF_LIFE)
            self._reference = now

    def advice(self) -> Advice:
        """What the recommender says now, float64[rows] each; NaN where nothing is known yet."""
        return advice(self._quantiles, confidence(self._last - self._first, self._samples), LEAST_MEMORY)
