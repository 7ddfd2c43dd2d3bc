"""Memory recordings made from a seed, for shapes that public recordings of memory lack."""

from collections.abc import Callable, Iterable

import numpy as np

from trimtab.decide.columns import F8
from trimtab.lab.traces import DAY, Usage

STEP = 300.0
DAYS = 21
BASE = 2.0**30
"""Bytes that a family varies around; the replay scales them like any recording."""
SEEDS = (1, 2, 3)
_HOUR = 3600.0
_START = 1_767_571_200.0
"""A Monday, 00:00 UTC, so that the weekly family has its weekend at the end of the week."""


def families(seeds: Iterable[int] = SEEDS) -> list[Usage]:
    """Each family once a seed, named generated/FAMILY-SEED: 21 days of samples every 5 minutes, bytes.

    - steady: 1 GiB with slow noise of 2%.
    - leak: grows 10 to 25% a day and starts over every 3 to 6 days, as somebody restarts it.
    - cache-fill: rises towards three times its start within a day, empty again every 4 to 7 days.
    - batch: steady, with a job of 20 to 60 minutes each night at 1.8 to 2.5 times that, and a few at random hours.
    - weekly: follows working hours, a third of the swing at the weekend.

    An OOM kill does not change what a recording asks for next: a leak goes on leaking until its next restart.
    """
    result = []
    for name, shape in _SHAPES.items():
        for seed in seeds:
            random = np.random.default_rng([seed, *name.encode()])
            times = np.arange(0.0, DAYS * DAY, STEP)
            values = BASE * shape(times, random) * (1 + _slow_noise(len(times), random))
            result.append(Usage(f"generated/{name}-{seed}", "memory", _START + times, values, STEP))
    return result


def _slow_noise(count: int, random: np.random.Generator, sd: float = 0.02, memory: float = 0.95) -> F8:
    """Autoregressive noise of order one with standard deviation `sd`."""
    shocks = random.normal(0.0, sd * np.sqrt(1 - memory**2), count)
    result = np.empty(count)
    level = 0.0
    for i, shock in enumerate(shocks.tolist()):
        level = memory * level + shock
        result[i] = level
    return result


def _ages(times: F8, random: np.random.Generator, shortest: float, longest: float) -> tuple[F8, F8]:
    """Seconds since the last restart, and a number for each life, 0 to 1."""
    lives = random.uniform(shortest, longest, int(DAYS * DAY / shortest) + 1)
    starts = np.concatenate(([0.0], np.cumsum(lives)))
    life = np.searchsorted(starts, times, side="right") - 1
    return times - starts[life], random.uniform(0.0, 1.0, len(starts))[life]


def _steady(times: F8, random: np.random.Generator) -> F8:
    return np.ones(len(times))


def _leak(times: F8, random: np.random.Generator) -> F8:
    age, kind = _ages(times, random, 3 * DAY, 6 * DAY)
    return np.asarray(1 + (0.10 + 0.15 * kind) * age / DAY, dtype=np.float64)


def _cache_fill(times: F8, random: np.random.Generator) -> F8:
    age, kind = _ages(times, random, 4 * DAY, 7 * DAY)
    return np.asarray(1 + 2 * (1 - np.exp(-age / ((4 + 8 * kind) * _HOUR))), dtype=np.float64)


def _batch(times: F8, random: np.random.Generator) -> F8:
    nightly = np.arange(DAYS) * DAY + 2 * _HOUR + random.normal(0.0, 600.0, DAYS)
    begins = np.concatenate((nightly, random.uniform(0.0, DAYS * DAY, DAYS // 4)))
    result = np.ones(len(times))
    for begin in begins.tolist():
        length, height = random.uniform(1200.0, 3600.0), random.uniform(0.8, 1.5)
        result[(times >= begin) & (times < begin + length)] += height
    return result


def _weekly(times: F8, random: np.random.Generator) -> F8:
    hour, day = times % DAY / _HOUR, times // DAY % 7
    swing = np.exp(-(((hour - 14) / 4) ** 2)) * np.where(day < 5, 1.0, 1 / 3)
    return np.asarray(1 + swing * (1 + random.normal(0.0, 0.05, DAYS)[(times // DAY).astype(int)]), dtype=np.float64)


_SHAPES: dict[str, Callable[[F8, np.random.Generator], F8]] = {
    "steady": _steady,
    "leak": _leak,
    "cache-fill": _cache_fill,
    "batch": _batch,
    "weekly": _weekly,
}
