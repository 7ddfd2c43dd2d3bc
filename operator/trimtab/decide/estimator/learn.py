"""From samples, many a minute or one in five minutes, of one pod or of many, to one number a minute and container.

That number is the largest sample of the minute over all pods: the request is one for all of them, so it is the busiest
pod that has to fit. A sample no newer than the newest one of a finished minute, late or repeated, changes nothing. In a
gap nothing is learned and the level stays. What counts as a sample is said here once, by `amounts`, for the operator,
the lab and the backtest alike.
"""

import numpy as np

from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.estimator.step import step
from trimtab.decide.estimator.table import F4, Levels
from trimtab.decide.settings import Settings

MINUTE = 60.0


def amounts(usage: F8) -> B1:
    """Which of these usages of CPU (cores) are samples at all: finite and not negative.

    Exactly 0 is one. Whether it is a rest or a broken exporter is for `step` to say, which knows the container.
    """
    return np.asarray(np.isfinite(usage) & (usage >= 0), dtype=np.bool_)


def learn(
    table: Levels,
    rows: I8,
    times: F8,
    usage: F8,
    rate: F4,
    now: float | F8,
    settings: Settings,
    finish: I8 | None = None,
) -> None:
    """Learn samples (cores, at Unix times) of these rows, in any order, and finish all minutes that are over at `now`.

    `rate`[table rows]: declared share of minutes with an overrun, NaN: no more overruns than VPA would have. `now`
    holds for all rows, or is that of each of the rows in `finish`. What is no amount is left out. In place;
    `table.wanted` is the result.
    """
    fits = amounts(usage) & np.isfinite(times) & (times > table.stepped_at[rows])
    if not fits.all():
        rows, times, usage = rows[fits], times[fits], usage[fits]
    if len(rows):
        _samples(table, rows, times, usage, rate, settings)
    at = np.arange(len(table)) if finish is None else finish
    begun = np.floor((np.asarray(now, dtype=np.float64) + table.phase[at]) / MINUTE)
    over = (table.filling[at] >= 0) & (begun > table.minute[at])
    _finish(table, at[over], rate, settings)


def _samples(table: Levels, rows: I8, times: F8, usage: F8, rate: F4, settings: Settings) -> None:
    minute = np.floor((times + table.phase[rows]) / MINUTE).astype(np.int64)
    # A minute that is finished takes no more.
    minute = np.maximum(minute, table.minute[rows] + (table.filling[rows] < 0))
    order = np.lexsort((minute, rows))
    rows, minute, times, usage = rows[order], minute[order], times[order], usage[order]
    start = np.flatnonzero(np.concatenate(([True], (rows[1:] != rows[:-1]) | (minute[1:] != minute[:-1]))))
    peak = np.maximum.reduceat(usage, start).astype(np.float32)
    at = np.maximum.reduceat(times, start)
    rows, minute = rows[start], minute[start]
    first = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    turn = np.arange(len(rows)) - np.repeat(first, np.diff(np.append(first, len(rows))))
    by_turn = np.argsort(turn, kind="stable")
    ends = np.cumsum(np.bincount(turn))
    for begin, end in zip(np.concatenate(([0], ends[:-1])).tolist(), ends.tolist(), strict=True):
        now = by_turn[begin:end]
        row = rows[now]
        _finish(table, row[(table.filling[row] >= 0) & (minute[now] > table.minute[row])], rate, settings)
        table.minute[row] = minute[now]
        table.filling[row] = np.maximum(table.filling[row], peak[now])
        table.filled_at[row] = np.maximum(table.filled_at[row], at[now])


def _finish(table: Levels, rows: I8, rate: F4, settings: Settings) -> None:
    """The minutes that these rows are filling are over."""
    if not len(rows):
        return
    at = np.maximum(table.filled_at[rows], table.stepped_at[rows] + 1.0)
    step(table, rows, at, table.filling[rows], rate[rows], settings)
    table.filling[rows] = -1.0
