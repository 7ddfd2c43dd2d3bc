"""What most workloads have: one request, set once from the largest usage seen, and never looked at again."""

from collections.abc import Sequence

import numpy as np

from trimtab.decide.columns import B1, F8
from trimtab.lab.traces import Usage
from trimtab.lab.vertical.replay import Grid, Told, stepwise, untold

MARGIN = 1.15
"""On top of the largest usage of the warm-up, as VPA and KRR take it."""


class StaticMax:
    """The largest usage of the warm-up with a margin, for ever."""

    name = "static-max"

    def cpu(self, usages: Sequence[Usage], told: Told = untold) -> list[F8]:
        """The request in force, cores."""
        return stepwise(self.memory, usages, told)

    def memory(self, grid: Grid) -> "StaticRun":
        """A fresh run."""
        return StaticRun(grid)


class StaticRun:
    """One replay: looks on during the warm-up, then holds."""

    def __init__(self, grid: Grid) -> None:
        self._slot = 0
        self._scored_from = grid.scored_from
        self._peak = np.zeros(grid.rows)
        self._least = 1e-9

    def step(self, now: float, seen: F8, killed: B1) -> F8:
        """The largest usage so far in the warm-up, with the margin."""
        warm = self._slot <= self._scored_from
        self._peak = np.where(warm, np.fmax(self._peak, seen), self._peak)
        self._slot += 1
        return np.maximum(self._peak * MARGIN, self._least)
