"""Series of usage, and the estimator run over them."""

from collections.abc import Sequence

import numpy as np

from trimtab.decide.columns import F8
from trimtab.decide.estimator.learn import learn
from trimtab.decide.estimator.step import step
from trimtab.decide.estimator.table import Levels
from trimtab.decide.settings import Settings

MIDNIGHT = 1_767_571_200.0
"""A Monday, 00:00 UTC."""


def noisy(count: int, mean: float, spread: float = 0.1, seed: int = 1) -> F8:
    """Independent log-normal samples around a mean."""
    draws = np.random.default_rng(seed).normal(0.0, spread, count)
    return np.asarray(mean * np.exp(draws - spread * spread / 2), dtype=np.float64)


def samples(table: Levels, times: list[float], values: list[float], now: float | None = None, row: int = 0) -> None:
    """Samples of one row, as they come in; `now`: a minute after the newest."""
    at = np.array(times, dtype=np.float64)
    rate = np.full(len(table), np.nan, dtype=np.float32)
    last = now if now is not None else float(at.max()) + 61.0
    usage = np.array(values, dtype=np.float64)
    learn(table, np.full(len(at), row, dtype=np.int64), at, usage, rate, last, Settings())


def play(values: F8, every: float = 60.0, start: float = MIDNIGHT) -> Levels:
    """The table of one row after these samples."""
    table = Levels.blank(1)
    if len(values):
        samples(table, (start + every * np.arange(len(values))).tolist(), values.tolist())
    return table


def levels(values: F8, every: float, settings: Settings | None = None) -> tuple[F8, F8, Levels]:
    """Levels of Trimtab and of the shadow of VPA in force during every sample, and the table at the end."""
    own, vpa, table = together(values[:, None], every, [np.nan], settings)
    return own[:, 0], vpa[:, 0], table


def together(
    values: F8, every: float, rates: Sequence[float], settings: Settings | None = None
) -> tuple[F8, F8, Levels]:
    """The same for several rows at once, a column of values and a declared overrun rate each (NaN: none)."""
    count = values.shape[1]
    table, rows = Levels.blank(count), np.arange(count)
    own, vpa = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    declared = np.array(rates, dtype=np.float32)
    for i, usage in enumerate(values.astype(np.float32)):
        own[i], vpa[i] = table.wanted, table.vpa
        step(table, rows, np.full(count, MIDNIGHT + every * i), usage, declared, settings or Settings())
    return own, vpa, table
