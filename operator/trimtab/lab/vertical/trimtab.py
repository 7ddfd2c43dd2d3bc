"""Trimtab's own vertical policies: the operator's estimator, at three operating points.

- `trimtab`: the defaults: least slack at no more overruns than VPA would have had.
- `trimtab-rate-1pct`: a declared overrun rate of 1% (`behavior.cpuOverrunRate`).
- `trimtab-equal-slack`: fewest overruns at the slack that VPA would have had.

CPU goes through `estimator.learn` as samples do in the operator, all recordings as rows of one table. Memory goes
through `estimator.memory`, and kills through the rule of `decide/emergencies.py`. In the operator the arbiter stands
between the level and the pod, with bounds, verification and cuts in steps; here the level counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trimtab.decide.columns import B1, F8
from trimtab.decide.emergencies import after_kill
from trimtab.decide.estimator import memory
from trimtab.decide.estimator.learn import learn
from trimtab.decide.estimator.table import Levels
from trimtab.decide.settings import Settings
from trimtab.lab.traces import Usage
from trimtab.lab.vertical.replay import Grid, Policy, Told, untold

_LEAST = 1e-6
"""Cores and bytes: a level is a positive number, also where nothing is used."""
_TOLD_EVERY = 64
"""Samples between two words of progress."""
_EPOCH = 1_728_000_000.0
"""Midnight UTC. A memory grid counts from the start of a recording; Unix times count from somewhere."""


@dataclass(frozen=True, slots=True)
class Trimtab:
    """The estimator with some settings."""

    name: str = "trimtab"
    settings: Settings = field(default_factory=Settings)
    rate: float = np.nan
    """Declared share of minutes with an overrun; NaN: no more than VPA."""

    def cpu(self, usages: Sequence[Usage], told: Told = untold) -> list[F8]:
        """The level that is asked for, cores."""
        table = Levels.blank(len(usages))
        rate = np.full(len(usages), self.rate, dtype=np.float32)
        result = [np.full(len(usage), np.nan) for usage in usages]
        longest = max((len(usage) for usage in usages), default=0)
        for k in range(1, longest):
            rows = np.array([row for row, usage in enumerate(usages) if len(usage) > k], dtype=np.int64)
            now = np.array([usages[row].times[k] for row in rows])
            before = np.array([usages[row].times[k - 1] for row in rows])
            values = np.array([usages[row].values[k - 1] for row in rows])
            learn(table, rows, before, values, rate, now, self.settings, finish=rows)
            for row in rows.tolist():
                result[row][k] = np.fmax(float(table.wanted[row]), _LEAST)
            if k % _TOLD_EVERY == 0:
                told(k / longest)
        return result

    def memory(self, grid: Grid) -> "TrimtabMemory":
        """A fresh run."""
        return TrimtabMemory(grid, self.settings)


class TrimtabMemory:
    """One replay of memory."""

    def __init__(self, grid: Grid, settings: Settings) -> None:
        self._step = grid.step
        self._settings = settings
        self._table = Levels.blank(grid.rows)
        self._level = np.full(grid.rows, np.nan)
        self._floor = np.zeros(grid.rows)
        self._until = np.zeros(grid.rows)
        self._killed_at = np.full(grid.rows, -np.inf)

    def step(self, now: float, seen: F8, killed: B1) -> F8:
        """The level for the slot that starts at `now`, bytes; next to nothing before the first sample."""
        at, settings = _EPOCH + now - self._step, self._settings
        rows = np.arange(len(seen))
        memory.learn(self._table, rows, np.full(len(rows), at), seen, settings)
        kept = np.where(self._until > at, self._floor, 0.0)
        again = (self._until > at) & (at - self._killed_at <= settings.oom_repeat)
        raised = np.maximum(after_kill(np.nan_to_num(self._level), again, settings), kept)
        self._floor = np.where(killed, raised, self._floor)
        self._until = np.where(killed, at + settings.oom_floor, self._until)
        self._killed_at = np.where(killed, at, self._killed_at)
        floor = np.where(self._until > at, self._floor, 0.0)
        self._level = np.fmax(np.fmax(self._table.memory.astype(np.float64), floor), _LEAST)
        return self._level


POLICIES: dict[str, Callable[[], Policy]] = {
    "trimtab": Trimtab,
    "trimtab-rate-1pct": lambda: Trimtab("trimtab-rate-1pct", rate=0.01),
    "trimtab-equal-slack": lambda: Trimtab("trimtab-equal-slack", replace(Settings(), equal_slack=True)),
}
"""Name → a fresh policy."""
