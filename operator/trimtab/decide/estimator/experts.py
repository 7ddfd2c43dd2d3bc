"""Experts: what usage will be next, each from another look at the past."""

import numpy as np

from trimtab.decide.columns import F8, I8
from trimtab.decide.estimator.table import BLOCK_SECONDS, BLOCKS, F4, SLOT_SECONDS, SLOTS, Levels

_LARGEST = np.float32(65000.0)
_AHEAD = 300.0
"""Seconds ahead for which the time of day is looked up: what is asked for now is in force then."""
_RISE, _FALL, _FOLLOW = np.float32(0.6), np.float32(0.25), np.float32(0.4)
"""Shares of the difference that a half hour's peak moves up or down by in a day, and its mean. Peaks are remembered for
longer than they take to be learned, so that a quiet weekend does not wipe out Monday."""


def decay(seconds: F8, half_life: float) -> F4:
    """2^(−seconds/half-life)."""
    return np.exp2(-seconds / half_life).astype(np.float32)


def observe(p: Levels, at: F8, usage: F4, passed: F8) -> None:
    """Take in one finished minute a row, in place; `passed` are the seconds since the one before."""
    _recent(p, at, usage)
    _means(p, usage, passed)
    _time_of_day(p, at, usage)


def _recent(p: Levels, at: F8, usage: F4) -> None:
    block = (at // BLOCK_SECONDS).astype(np.int64)
    gap = np.where(p.block < 0, BLOCKS, np.clip(block - p.block, 0, BLOCKS))
    age = (block[:, None] - np.arange(BLOCKS)) % BLOCKS
    p.blocks[age < gap[:, None]] = 0.0
    here = (np.arange(len(block)), block % BLOCKS)
    p.blocks[here] = np.maximum(p.blocks[here], usage)
    p.block[:] = block


def _means(p: Levels, usage: F4, passed: F8) -> None:
    for mean, half_life in ((p.mean5, 300.0), (p.mean15, 900.0), (p.mean_day, 86400.0)):
        share = 1 - decay(passed, half_life)
        share = np.maximum(share, 1 / (p.steps + 1)) if half_life == 86400.0 else share
        mean[:] = np.where(np.isnan(mean), usage, mean + share * (usage - mean))


def _time_of_day(p: Levels, at: F8, usage: F4) -> None:
    slot = (at // SLOT_SECONDS).astype(np.int64)
    done = np.flatnonzero((slot != p.slot) & (p.slot >= 0))
    if len(done):
        here = (done, p.slot[done] % SLOTS)
        peak, mean = p.slot_peak[done], p.slot_sum[done] / np.maximum(p.slot_count[done], 1)
        held_peak, held_mean = p.day_peak[here].astype(np.float32), p.day_mean[here].astype(np.float32)
        share = np.where(peak > held_peak, _RISE, _FALL)
        new_peak = np.where(np.isnan(held_peak), peak, held_peak + share * (peak - held_peak))
        new_mean = np.where(np.isnan(held_mean), mean, held_mean + _FOLLOW * (mean - held_mean))
        p.day_peak[here] = np.minimum(new_peak, _LARGEST)
        p.day_mean[here] = np.minimum(new_mean, _LARGEST)
        p.slot_peak[done] = p.slot_sum[done] = p.slot_count[done] = 0.0
    p.slot[:] = slot
    p.slot_peak[:] = np.maximum(p.slot_peak, usage)
    p.slot_sum[:] += usage
    p.slot_count[:] += 1


def forecast(p: Levels, at: F8) -> None:
    """Every expert's forecast for what comes after `at`, into p.centre."""
    recent = p.blocks.max(axis=1)
    next_slot, next_share = _place(at + _AHEAD)
    now_slot, now_share = _place(at)
    peak = np.fmax(_at(p.day_peak, next_slot), _at(p.day_peak, next_slot + 1))
    then = _at(p.day_mean, next_slot) * (1 - next_share) + _at(p.day_mean, next_slot + 1) * next_share
    now = _at(p.day_mean, now_slot) * (1 - now_share) + _at(p.day_mean, now_slot + 1) * now_share
    trend = np.where(now > 0, np.clip(then / np.maximum(now, np.float32(1e-30)), 0.3, 4.0), 1.0)
    p.centre[:, 0] = recent
    p.centre[:, 1] = p.mean15
    p.centre[:, 2] = p.mean5 * np.where(np.isnan(trend), np.float32(1.0), trend)
    p.centre[:, 3] = np.fmax(recent, peak)
    p.centre[:, 4] = p.mean_day


def _place(at: F8) -> tuple[I8, F4]:
    """The half hours whose middles `at` lies between: number of the first, and how far it is on to the second."""
    position = at / SLOT_SECONDS - 0.5
    first = np.floor(position)
    return first.astype(np.int64), (position - first).astype(np.float32)


def _at(table: np.ndarray[tuple[int, ...], np.dtype[np.float16]], slot: I8) -> F4:
    return table[np.arange(len(slot)), slot % SLOTS].astype(np.float32)
