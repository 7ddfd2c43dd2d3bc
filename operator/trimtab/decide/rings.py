"""What happened lately, a fixed number of slots a row: recommendations, scale events, moves of the last 24 hours."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from trimtab.decide.columns import B1, F8, I8

SLOTS = 40
"""Slots of a ring. A window of up to 10 minutes at a tick of 15 s is kept exactly, a longer one in 39 parts."""
HOURS = 24


class Budget(Protocol):
    """A table that counts moves: hour since the epoch and number, a slot an hour of the day."""

    @property
    def move_hour(self) -> I8:
        """int[rows, HOURS]."""

    @property
    def move_count(self) -> I8:
        """int[rows, HOURS]."""


def count_move(table: Budget, row: int, now: float, moves: int = 1) -> None:
    """Count moves of one row in the present hour, in place."""
    hour = int(now // 3600)
    slot = hour % HOURS
    if table.move_hour[row, slot] != hour:
        table.move_hour[row, slot], table.move_count[row, slot] = hour, 0
    table.move_count[row, slot] += moves


def moves_of_day(table: Budget, now: float) -> I8:
    """Moves of every row within the last 24 hours, int64[rows]."""
    hour = int(now // 3600)
    recent = (table.move_hour > hour - HOURS) & (table.move_hour <= hour)
    return np.asarray(np.where(recent, table.move_count, 0).sum(axis=1), dtype=np.int64)


def push(times: F8, values: F8, now: float, window: F8, new: F8, merge: np.ufunc, rows: B1) -> None:
    """Put `new`[n] into the rings times, values [n, SLOTS] in place, for windows of `window`[n] seconds.

    Values that fall into the same slot are merged by `merge` and carry the newest time, so a window never ends early.
    """
    index = np.flatnonzero(rows)
    width = np.maximum(window[index] / (SLOTS - 1), 1.0)
    number = np.floor(now / width)
    slot = (number % SLOTS).astype(np.int64)
    same = np.floor(times[index, slot] / width) == number
    values[index, slot] = np.where(same, merge(values[index, slot], new[index]), new[index])
    times[index, slot] = now


def within(times: F8, now: float, window: F8) -> B1:
    """bool[n, SLOTS]: which entries are at most `window`[n] seconds old."""
    return np.asarray((times > (now - window)[:, None]) & (times <= now), dtype=bool)


def reduce(values: F8, mask: B1, how: np.ufunc, start: npt.NDArray[np.float64]) -> F8:
    """`how` (minimum, maximum, add) over the masked entries of every row, beginning with `start`[n]."""
    identity = np.inf if how is np.minimum else -np.inf if how is np.maximum else 0.0
    return np.asarray(how(how.reduce(np.where(mask, values, identity), axis=1), start), dtype=np.float64)
