"""What containers used: samples into histograms, live ones and those read back from Prometheus alike."""

import numpy as np

from trimtab.decide import histogram
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.histogram import CPU, MEMORY
from trimtab.decide.observation import Samples
from trimtab.decide.settings import Settings
from trimtab.decide.state import State

_AHEAD = 60.0


def merge(state: State, samples: Samples, now: float, settings: Settings) -> None:
    """Add samples to the containers' histograms, peaks and known history, in place.

    CPU samples weigh by the time they stand for; of memory one peak a day counts (VPA's aggregation interval). Samples
    without a time in the past, or without an amount, are left out; a usage of exactly 0 is a broken metric, not a rest.
    """
    rows, times = samples.container, samples.time
    known = (rows >= 0) & (rows < len(state.containers)) & (times > 0) & (times <= now + _AHEAD)
    known &= np.isfinite(times)
    cpu = known & np.isfinite(samples.cpu) & (samples.cpu > 0)
    span = np.clip(np.where(np.isfinite(samples.span), samples.span, 15.0), 1.0, 3600.0)
    weights = histogram.weight(times[cpu], state.reference, settings.cpu_half_life) * span[cpu] / 60.0
    histogram.add(state.containers.cpu, CPU, rows[cpu], samples.cpu[cpu], weights)
    memory = known & np.isfinite(samples.memory) & (samples.memory > 0)
    _peaks(state, rows[memory], samples.memory[memory], times[memory], settings)
    _cover(state, rows[cpu | memory], times[cpu | memory], span[cpu | memory], settings)


def _peaks(state: State, rows: I8, values: F8, times: F8, settings: Settings) -> None:
    """One histogram entry a container and peak interval: its largest working set."""
    held = state.containers
    days = np.floor(times / settings.peak_seconds).astype(np.int64)
    for day in np.unique(days):
        of_day = days == day
        largest = np.full(len(held), -np.inf)
        np.maximum.at(largest, rows[of_day], values[of_day])
        present: B1 = np.isfinite(largest)
        start = np.array([day * settings.peak_seconds])
        weight = float(histogram.weight(start, state.reference, settings.memory_half_life)[0])
        grown = present & (held.peak_day == day) & (largest > held.peak)
        entered = present & (held.peak_day != day)
        for mask, amount, sign in ((grown, held.peak, -1.0), (grown | entered, largest, 1.0)):
            index = np.flatnonzero(mask)
            histogram.add(held.memory, MEMORY, index, amount[index], np.full(len(index), sign * weight))
        newest = grown | (present & (held.peak_day < day))
        held.peak[newest] = largest[newest]
        held.peak_day[newest] = day


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


def estimates(state: State, settings: Settings) -> tuple[F8, F8]:
    """Cores and bytes that cover each container's usage with the margin, float64[C] each; NaN: not known."""
    cpu = histogram.percentile(state.containers.cpu, CPU, settings.cpu_quantile)
    memory = histogram.percentile(state.containers.memory, MEMORY, settings.memory_quantile)
    return cpu * settings.margin, memory * settings.margin
