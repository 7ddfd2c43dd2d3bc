"""Replay of recordings through a policy: which level was in force during every sample.

The interface of a policy
-------------------------
A policy has a `name` and two methods. Both see all recordings of one run, so that one that works on tables can take
each recording as a row; one that works alone loops over them.

`cpu(usages, told) -> levels`: one float64[n] a recording, cores; `told` may be called with the share that is done.
`levels[i]` is the request in force DURING sample i and may
depend on samples before i only. CPU above the request costs latency, not the pod: usage is what it was, whatever the
level, so the whole recording can be handed over at once. What is said for samples of the warm-up is not scored.

`memory(grid) -> run`, then `run.step(now, seen, killed) -> levels` once a slot: memory above the level is an OOM kill,
so what a policy sees depends on what it did. All recordings with the same step are rows of one `Grid` on one clock of
seconds since the start of each recording. In slot k the replay calls `step(k·step, …)` BEFORE the samples of slot k
happen, with what happened in slot k − 1, and the answer is in force during slot k:

- `seen` float64[rows], bytes: the peak of slot k − 1, NaN where the row has no sample (a gap, an end, or k = 0). Where
  a row was killed it is the level: nothing above the limit can be seen.
- `killed` bool[rows]: the row was OOM-killed in slot k − 1, at the level in force then.
- the answer float64[rows], bytes: positive; NaN or infinite: no level yet (only during the warm-up).

During the warm-up nothing is enforced: the recording is history that every policy has read, with no kill in it. From
the first scored sample on every sample above the level is one OOM kill with a restart. The recording goes on with its
next sample, so a policy that does not answer is killed again: one kill a sample, however often the kernel would
have done it within that sample.

A policy with an attribute `hindsight = True` may read the future: it is a reference, not a rival.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np

from trimtab.decide.columns import B1, F8, I8
from trimtab.lab.traces import Usage

_TOLD_EVERY = 256
"""Slots between two words of progress."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Recordings with the same step as rows of one table, each starting in slot 0."""

    step: float
    """Seconds a slot."""
    values: F8
    """float64[rows, slots]; NaN: no sample."""
    slots: tuple[I8, ...]
    """A row: the slot of each of its samples, rising strictly."""
    scored_from: I8
    """A row: the first slot that is scored, int64[rows]; beyond its last sample where none is."""

    @property
    def rows(self) -> int:
        """Number of recordings."""
        return len(self.values)


class MemoryRun(Protocol):
    """One replay of memory in the making; holds the policy's state."""

    def step(self, now: float, seen: F8, killed: B1) -> F8:
        """Levels for the slot that starts at `now` (seconds since the start), bytes, float64[rows]."""
        ...


Told = Callable[[float], None]
"""Told the share of a run that is done, 0 to 1."""


def untold(_share: float) -> None:
    """For a run that nobody waits for."""


@runtime_checkable
class Policy(Protocol):
    """A way to size requests; see the module's docstring."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        ...

    def cpu(self, usages: Sequence[Usage], told: Told = untold) -> list[F8]:
        """Levels in force during every sample, cores, one float64[n] a recording; it may say how far it is."""
        ...

    def memory(self, grid: Grid) -> MemoryRun:
        """A fresh run over these rows. Only a reference with `hindsight` may look at grid.values."""
        ...


@dataclass(frozen=True, slots=True)
class Replay:
    """What a policy did on one recording."""

    usage: Usage
    policy: str
    levels: F8
    """Level in force during every sample, float64[n]; NaN or infinite in the warm-up: none."""
    killed: B1
    """Samples that ended in an OOM kill, bool[n]; never for CPU, nor in the warm-up."""


Progress = Callable[[str, float], None]
"""Told a policy's name and how far it is, 0 to 1."""


def _silent(_name: str, _share: float) -> None:
    pass


def replay_cpu(policy: Policy, usages: Sequence[Usage], progress: Progress = _silent) -> list[Replay]:
    """The policy on every CPU recording.

    Raises:
        ValueError: the policy gave a level that is no positive number for a scored sample.
    """
    if not usages:
        return []
    result: list[Replay] = []
    told = partial(progress, policy.name)
    found = policy.cpu(usages, told)
    told(1.0)
    for usage, levels in zip(usages, found, strict=True):
        _check(policy, usage, levels)
        result.append(Replay(usage, policy.name, levels, np.zeros(len(usage), dtype=bool)))
    return result


def replay_memory(policy: Policy, usages: Sequence[Usage], progress: Progress = _silent) -> list[Replay]:
    """The policy on every memory recording, in the order given; recordings of one step are replayed as one table.

    Raises:
        ValueError: as `replay_cpu`.
    """
    result: dict[int, Replay] = {}
    for members in _same_step(usages):
        chosen = [usages[i] for i in members]
        replays = _memory_group(policy, chosen, progress)
        result.update(zip(members, replays, strict=True))
    return [result[i] for i in range(len(usages))]


def stepwise(start: Callable[[Grid], MemoryRun], usages: Sequence[Usage], told: Told = untold) -> list[F8]:
    """Levels of a policy that only knows steps, on CPU recordings: the `cpu` of such a policy. Nothing is killed."""
    result: dict[int, F8] = {}
    grids = {tuple(members): grid_of([usages[i] for i in members]) for members in _same_step(usages)}
    whole, done = sum(grid.values.shape[1] for grid in grids.values()), 0
    for members, grid in grids.items():
        run, calm = start(grid), np.zeros(grid.rows, dtype=bool)
        levels = np.full(grid.values.shape, np.nan)
        before = np.full(grid.rows, np.nan)
        for k in range(grid.values.shape[1]):
            levels[:, k] = run.step(k * grid.step, before, calm)
            before = grid.values[:, k]
            done += 1
            if done % _TOLD_EVERY == 0:
                told(done / whole)
        result.update((index, levels[row, grid.slots[row]]) for row, index in enumerate(members))
    return [result[i] for i in range(len(usages))]


def _same_step(usages: Sequence[Usage]) -> list[list[int]]:
    """Positions of the recordings, those with one step together."""
    groups: dict[float, list[int]] = {}
    for index, usage in enumerate(usages):
        groups.setdefault(usage.step, []).append(index)
    return list(groups.values())


def grid_of(usages: Sequence[Usage]) -> Grid:
    """The table of recordings with the same step; each sample takes the nearest free slot from its start on."""
    step = usages[0].step
    slots = tuple(_slots(usage, step) for usage in usages)
    values = np.full((len(usages), 1 + max(int(s[-1]) for s in slots)), np.nan)
    for row, (usage, at) in enumerate(zip(usages, slots, strict=True)):
        values[row, at] = usage.values
    scored = np.array([_slot(u.scored_from, s) for u, s in zip(usages, slots, strict=True)], dtype=np.int64)
    return Grid(step, values, slots, scored)


def _slot(sample: int, slots: I8) -> int:
    """The slot of a sample; behind the last one where there is no such sample."""
    return int(slots[sample]) if sample < len(slots) else int(slots[-1]) + 1


def _slots(usage: Usage, step: float) -> I8:
    """Slots of the samples. A clock that drifts may not put two samples into one: the later one moves on."""
    nearest = np.rint((usage.times - usage.times[0]) / step).astype(np.int64)
    order = np.arange(len(nearest))
    return np.asarray(np.maximum.accumulate(nearest - order) + order, dtype=np.int64)


def _memory_group(policy: Policy, usages: Sequence[Usage], progress: Progress) -> list[Replay]:
    grid = grid_of(usages)
    run = policy.memory(grid)
    slots = grid.values.shape[1]
    levels = np.full(grid.values.shape, np.nan)
    killed = np.zeros(grid.values.shape, dtype=bool)
    seen, dead = np.full(grid.rows, np.nan), np.zeros(grid.rows, dtype=bool)
    for k in range(slots):
        level = run.step(k * grid.step, seen, dead)
        usage = grid.values[:, k]
        dead = (usage > level) & (k >= grid.scored_from)
        seen = np.where(dead, level, usage)
        levels[:, k], killed[:, k] = level, dead
        if k % _TOLD_EVERY == 0:
            progress(policy.name, k / slots)
    progress(policy.name, 1.0)
    result = []
    for row, usage_ in enumerate(usages):
        at = grid.slots[row]
        _check(policy, usage_, levels[row, at])
        result.append(Replay(usage_, policy.name, levels[row, at], killed[row, at]))
    return result


def _check(policy: Policy, usage: Usage, levels: F8) -> None:
    if levels.shape != usage.values.shape:
        raise ValueError(f"{policy.name} gave {levels.shape} levels for {len(usage)} samples of {usage.name}")
    bad = ~(np.isfinite(levels) & (levels > 0))
    bad[: usage.scored_from] = False
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{policy.name} gave the level {levels[at]} for sample {at} of {usage.name}; give a size")
