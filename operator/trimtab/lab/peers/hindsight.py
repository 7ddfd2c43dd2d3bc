"""The reference that knows the future: at every full hour the level becomes the largest usage of the hour to come."""

from collections.abc import Sequence

import numpy as np

from trimtab.decide.columns import B1, F8
from trimtab.lab.traces import Usage
from trimtab.lab.vertical.replay import Grid, Told, untold

HOUR = 3600.0
_LEAST = 1e-9
"""A level is positive even where nothing is used."""


def hourly_peaks(times: F8, values: F8) -> F8:
    """For every sample the largest value of its hour since the first sample, float64[n]."""
    hours = np.floor((times - times[0]) / HOUR).astype(np.int64)
    begins = np.flatnonzero(np.diff(hours, prepend=-1))
    peaks = np.maximum.reduceat(values, begins)
    return np.asarray(np.maximum(np.repeat(peaks, np.diff(begins, append=len(values))), _LEAST), dtype=np.float64)


class Oracle:
    """Never an overrun, one change an hour; nobody can build it."""

    name = "oracle"
    hindsight = True

    def cpu(self, usages: Sequence[Usage], told: Told = untold) -> list[F8]:
        """Levels in force, cores."""
        return [hourly_peaks(u.times, u.values) for u in usages]

    def memory(self, grid: Grid) -> "OracleRun":
        """A fresh run."""
        return OracleRun(grid)


class OracleRun:
    """One replay that reads ahead in the table."""

    def __init__(self, grid: Grid) -> None:
        self._values = grid.values
        self._ahead = max(1, int(np.ceil(HOUR / grid.step)))
        self._slot = 0
        self._level = np.full(grid.rows, _LEAST)

    def step(self, now: float, seen: F8, killed: B1) -> F8:
        """The largest usage of the hour that this slot is in."""
        if self._slot % self._ahead == 0:
            coming = self._values[:, self._slot : self._slot + self._ahead]
            self._level = np.maximum(np.max(np.nan_to_num(coming, nan=0.0), axis=1), _LEAST)
        self._slot += 1
        return self._level
