"""Memory: what does not fit is killed, so the level is the largest peak of eight days with a margin.

The margin grows with how much the daily peaks differ (their logarithms' standard deviation): a steady container needs
5%, one with batch jobs more. OOM kills are answered at once, and kept for days, by emergencies.py.
"""

import numpy as np

from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.estimator.table import F4, PEAK_SECONDS, PEAKS, Levels
from trimtab.decide.settings import Settings

_A_DAY = int(86400 / PEAK_SECONDS)


def amounts(usage: F8) -> B1:
    """Which of these working sets (bytes) are samples at all: finite and above 0, as a process has some memory."""
    return np.asarray(np.isfinite(usage) & (usage > 0), dtype=np.bool_)


def learn(table: Levels, rows: I8, times: F8, usage: F8, settings: Settings) -> None:
    """Take in samples of the working set (bytes) at `times` (finite Unix s), in any order, in place.

    A row may come many times. What is no amount is left out, and so is what is older than eight days before the newest.
    `table.memory` is the result: it follows the peaks up at once, and down only where that is worth a change.
    """
    fits = amounts(usage)
    if not fits.all():
        rows, times, usage = rows[fits], times[fits], usage[fits]
    if not len(rows):
        return
    slot = (times // PEAK_SECONDS).astype(np.int64)
    newest = table.peak_slot.copy()
    np.maximum.at(newest, rows, slot)
    moved = np.flatnonzero(newest > table.peak_slot)
    gap = np.where(table.peak_slot[moved] < 0, PEAKS, np.minimum(newest[moved] - table.peak_slot[moved], PEAKS))
    age = (newest[moved, None] - np.arange(PEAKS)) % PEAKS
    table.peaks[moved] = np.where(age < gap[:, None], 0, table.peaks[moved])
    table.peak_slot[moved] = newest[moved]
    values = usage.astype(np.float32)
    higher = (slot > newest[rows] - PEAKS) & (values > table.peaks[rows, slot % PEAKS])
    np.maximum.at(table.peaks, (rows[higher], slot[higher] % PEAKS), values[higher])
    changed = np.zeros(len(table), dtype=bool)
    changed[rows[higher]] = changed[moved] = True
    _follow(table, np.flatnonzero(changed), settings)


def _follow(table: Levels, rows: I8, settings: Settings) -> None:
    days = _daily(table.peaks[rows], table.peak_slot[rows])
    known = days > 0
    count = known.sum(axis=1)
    logs = np.log(np.where(known, days, 1))
    mean = logs.sum(axis=1) / np.maximum(count, 1)
    spread = np.sqrt((np.where(known, logs - mean[:, None], 0) ** 2).sum(axis=1) / np.maximum(count, 1))
    most = np.float32(settings.memory_margin_most)
    margin = np.minimum(np.float32(settings.memory_margin) + np.float32(settings.memory_margin_spread) * spread, most)
    margin = np.where(count < settings.memory_days, most, margin)
    wanted = np.where(count > 0, days.max(axis=1, initial=0) * margin, np.nan).astype(np.float32)
    held = table.memory[rows]
    moves = np.isnan(held) | (wanted > held) | (wanted < held * np.float32(1 - settings.memory_hold))
    table.memory[rows] = np.where(moves, wanted, held)


def day_peak(table: Levels, now: float) -> F8:
    """Largest working set of the last 24 hours or so, bytes, float64[rows]; NaN: none known."""
    slot = int(now // PEAK_SECONDS)
    place = np.arange(PEAKS)
    age = slot - (table.peak_slot[:, None] - (table.peak_slot[:, None] - place) % PEAKS)
    recent = np.where((age <= _A_DAY) & (table.peak_slot[:, None] >= 0), table.peaks, 0).max(axis=1, initial=0)
    return np.where(recent > 0, recent, np.nan).astype(np.float64)


def _daily(peaks: F4, newest: I8) -> F4:
    """Peaks by day, the newest first, float32[rows, days]; 0: none known."""
    order = (newest[:, None] - np.arange(PEAKS)) % PEAKS
    newest_first = np.take_along_axis(peaks, order, axis=1)
    return np.asarray(newest_first.reshape(len(peaks), PEAKS // _A_DAY, _A_DAY).max(axis=2))
