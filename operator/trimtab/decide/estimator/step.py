"""One finished minute of CPU usage, for many containers at once: the walk from a sample to a level."""

import numpy as np

from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.estimator import bank, conformal, experts, shadow
from trimtab.decide.estimator.price import priced
from trimtab.decide.estimator.table import F4, Levels, gather, scatter
from trimtab.decide.settings import Settings

_CHUNK = 4096
_DAY = 86400.0


def step(table: Levels, rows: I8, at: F8, usage: F4, rate: F4, settings: Settings) -> None:
    """Learn usage[n] (cores, finite, not negative) of these different rows at `at`[n] (Unix s, later than before).

    `rate`[n]: declared share of minutes with an overrun, NaN: no more overruns than VPA would have. `table.wanted` is
    the result.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for start in range(0, len(rows), _CHUNK):
            some = slice(start, start + _CHUNK)
            p = gather(table, rows[some])
            _begin_anew(p)
            kept = ~_doubted(p, at[some], usage[some], settings)
            if kept.all():
                _step(p, at[some], usage[some], rate[some], settings)
            elif kept.any():
                index = np.flatnonzero(kept)
                q = gather(p, index)
                _step(q, at[some][index], usage[some][index], rate[some][index], settings)
                scatter(p, index, q)
            scatter(table, rows[some], p)


_CARRIED = frozenset({"phase", "minute", "filling", "filled_at", "peak_slot", "peaks", "memory"})


def _begin_anew(p: Levels) -> None:
    """Rows that came back without a part of what was learned (a checkpoint had no room for it) forget the rest."""
    lost = np.flatnonzero((p.steps > 0) & (np.isnan(p.margin[:, 0]) | ~p.histogram.any(axis=1)))
    if len(lost):
        for name, meta in Levels.columns():
            if name not in _CARRIED:
                getattr(p, name)[lost] = meta["default"]


def _step(p: Levels, at: F8, usage: F4, rate: F4, settings: Settings) -> None:
    first = p.steps == 0
    p.begun_at[first] = at[first]
    passed = np.where(first, 60.0, at - p.stepped_at)
    conformal.learn(p, usage, passed, settings)
    bank.account(p, usage, passed, rate, settings)
    experts.observe(p, at, usage, passed)
    experts.forecast(p, at)
    p.known[:] += (np.where(first, 0.0, np.clip(passed, 0.0, 3600.0)) / _DAY).astype(np.float32)
    p.steps[:] = np.minimum(p.steps + 1, 1e6)
    p.stepped_at[:] = at
    shadow.follow(p, at, usage)
    curve = conformal.curve(p, settings)
    bank.run(p, at, usage, passed, curve, priced(p, curve), rate, settings)


def _doubted(p: Levels, at: F8, usage: F4, settings: Settings) -> B1:
    """Whether usage can hardly be what was used: it is left out for a while. Only what lasts is believed.

    Either it is so far below anything seen lately that its unit may have changed, or it is 0, which a broken exporter
    says as well: it is a rest of a container that came back from it before, `rests` times, and no usage at all of one
    that never used anything.
    """
    forgotten = np.exp2(np.clip(at - p.stepped_at, 0.0, _DAY) / (2 * _DAY)).astype(np.float32)
    zero = usage <= 0
    back = ~zero & p.resting
    p.rests[back] = np.minimum(p.rests[back] + 1, 100)
    p.resting[:] = zero & (p.steps > 0)
    fell = ~zero & (usage < p.lowest * np.float32(settings.doubted_share)) & (p.known > 0.25)
    low = fell | (zero & (p.rests < settings.rests))
    began = low & (p.doubted_at <= 0)
    p.doubted_at[began] = at[began]
    p.doubted_at[~low] = 0.0
    doubted = low & ((at - p.doubted_at < settings.doubted_seconds) | (p.steps == 0))
    positive = np.where(zero, np.float32(np.inf), usage)
    believed = np.fmin(p.lowest * forgotten, positive)
    p.lowest[:] = np.where(doubted | ~np.isfinite(believed), p.lowest, believed)
    return np.asarray(doubted)
