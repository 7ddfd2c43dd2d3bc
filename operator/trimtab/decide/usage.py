"""What containers used: samples into the estimator, live ones and those read back from Prometheus alike."""

import numpy as np

from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.estimator import memory
from trimtab.decide.estimator.learn import amounts, learn
from trimtab.decide.estimator.table import Levels
from trimtab.decide.observation import Observation
from trimtab.decide.settings import Settings
from trimtab.decide.state import State

_AHEAD = 60.0


def merge(state: State, seen: Observation, settings: Settings) -> None:
    """Take the samples of `seen` into what is known of its containers, in place; `state` is in its order.

    Samples without a time in the past, or without an amount, are left out. A usage of exactly 0 is learned where it can
    be a rest (`estimator.step`), but is no history: while an exporter says 0, usage alone moves nothing.
    """
    samples, held = seen.samples, state.containers
    rows, times = samples.container, samples.time
    known = (rows >= 0) & (rows < len(held)) & (times > 0) & (times <= seen.now + _AHEAD) & np.isfinite(times)
    cpu, used = known & amounts(samples.cpu), known & memory.amounts(samples.memory)
    rate = seen.workloads.cpu_overrun_rate[seen.containers.workload].astype(np.float32)
    learn(held, rows[cpu], times[cpu], samples.cpu[cpu], rate, seen.now, settings)
    memory.learn(held, rows[used], times[used], samples.memory[used], settings)
    span = np.clip(np.where(np.isfinite(samples.span), samples.span, 15.0), 1.0, 3600.0)
    shown = used | (cpu & (samples.cpu > 0))
    _cover(state, rows[shown], times[shown], span[shown], settings)


def merge_history(state: State, seen: Observation, settings: Settings) -> None:
    """`merge` of samples that were read back: what was learned of CPU since they begin is learned anew from them.

    The estimator goes with time. A process that decides while its history is still being read has learned the newest
    minutes; they are in the history as well.
    """
    samples, held = seen.samples, state.containers
    rows = samples.container
    inside: B1 = (rows >= 0) & (rows < len(held)) & (samples.time > 0)
    oldest = np.full(len(held), np.inf)
    np.minimum.at(oldest, rows[inside], samples.time[inside])
    anew = np.flatnonzero((held.steps > 0) & (oldest < held.begun_at - settings.gap_seconds))
    if len(anew):
        for name, meta in Levels.columns():
            if name not in _KEPT:
                getattr(held, name)[anew] = meta["default"]
    merge(state, seen, settings)


_KEPT = frozenset({"phase", "peak_slot", "peaks", "memory"})
"""Columns that history adds to: peaks of memory may come in any order."""


def _cover(state: State, rows: I8, times: F8, span: F8, settings: Settings) -> None:
    """Seconds of history known: the gaps between samples where they are short, the samples' own spans elsewhere."""
    if not len(rows):
        return
    held = state.containers
    order = np.lexsort((times, rows))
    rows, times, span = rows[order], times[order], span[order]
    first = np.concatenate(([True], rows[1:] != rows[:-1]))
    before = np.concatenate(([0.0], times[:-1]))
    gap = times - np.where(first, held.sampled_at[rows], before)
    credit = np.where((gap >= 0) & (gap <= settings.gap_seconds), gap, span)
    np.add.at(held.covered, rows, credit)
    np.maximum.at(held.sampled_at, rows, times)


def estimates(state: State) -> tuple[F8, F8]:
    """Cores and bytes that the estimator asks for, float64[C] each; NaN: not known."""
    cpu = np.rint(state.containers.wanted.astype(np.float64) * 1e6) / 1e6  # float32 must not cost a whole millicore
    return cpu, state.containers.memory.astype(np.float64)
