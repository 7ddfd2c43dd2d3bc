"""Margins from each expert's own past errors, and the experts mixed by what they would have cost.

A margin is a running quantile of log((usage + e)/(forecast + e)), e a tenth of mean usage so that near-idle containers
keep finite ratios (adaptive conformal inference, Gibbs & Candès 2021, as a quantile tracker). The experts of one risk
are weighed by (smallest loss/loss)^12, loss being the pinball loss, decayed.
"""

import numpy as np
import numpy.typing as npt

from trimtab.decide.columns import F8
from trimtab.decide.estimator.experts import decay
from trimtab.decide.estimator.table import EXPERTS, F4, RISKS, Levels
from trimtab.decide.settings import Settings

F4_3 = npt.NDArray[np.float32]
_FIRST = np.linspace(0.0, 0.6, len(RISKS), dtype=np.float32)
"""Margins before anything is known: none to 80%."""
_SMALLEST_SPREAD = np.float32(0.002)
_LARGEST_STEP = np.float32(4.0)
"""In spreads: a single error moves a margin by no more."""


def learn(p: Levels, usage: F4, passed: F8, settings: Settings) -> None:
    """Move the margins and losses by what the last forecasts missed, in place; rows without a forecast stay."""
    known = np.isfinite(p.centre[:, 0])
    shape = (len(usage), EXPERTS, len(RISKS))
    p.margin[~known] = np.tile(_FIRST, EXPERTS)
    seconds = np.clip(passed, 1.0, 3600.0)
    rows = np.minimum(settings.margin_memory / seconds, p.steps + 2.0).astype(np.float32)
    floor = _floor(p, settings)
    centre = np.where(known[:, None], p.centre, usage[:, None])
    error = np.log((usage + floor)[:, None] / (centre + floor[:, None]))[:, :, None]
    margin, spread = p.margin.reshape(shape), p.spread[:, :, None]
    level = _levels(centre, margin, floor)
    step = spread / rows[:, None, None]
    up = np.minimum(np.minimum(step / RISKS * (1 - RISKS), _LARGEST_STEP * spread), np.maximum(error - margin, 0))
    moved = np.where(error > margin, up, -step)
    moved[~known] = 0.0
    margin += moved
    share = np.where(known, 1 / rows, 0)[:, None].astype(np.float32)
    p.spread[:] = np.maximum(p.spread + share * (np.abs(error[:, :, 0] - margin[:, :, 1]) - p.spread), _SMALLEST_SPREAD)
    gap = usage[:, None, None] - level
    pinball = np.where(gap > 0, (1 - RISKS) * gap, -RISKS * gap) / (p.mean_day + np.float32(1e-12))[:, None, None]
    share = np.maximum(1 - decay(seconds, settings.loss_half_life), 1 / (p.steps + 1))
    held = p.loss.reshape(shape)
    held += np.where(known, share, 0)[:, None, None] * (np.where(np.isfinite(pinball), pinball, held) - held)


def curve(p: Levels, settings: Settings) -> F4:
    """The level that is overrun with each of RISKS, rising, float32[n, risks]."""
    shape = (len(p), EXPERTS, len(RISKS))
    levels = _levels(p.centre, p.margin.reshape(shape), _floor(p, settings))
    loss = p.loss.reshape(shape) + np.float32(1e-9)
    weight = (loss.min(axis=1, keepdims=True) / loss) ** np.float32(settings.mixture_power)
    mixed = (weight * levels).sum(axis=1) / weight.sum(axis=1)
    return np.asarray(np.maximum.accumulate(mixed, axis=1), dtype=np.float32)


def _levels(centre: F4, margin: F4_3, floor: F4) -> F4_3:
    lifted = (centre + floor[:, None])[:, :, None] * np.exp(margin) - floor[:, None, None]
    return np.asarray(np.maximum(lifted, 0), dtype=np.float32)


def _floor(p: Levels, settings: Settings) -> F4:
    """e, cores."""
    return np.asarray(np.float32(settings.idle_share) * np.nan_to_num(p.mean_day) + np.float32(1e-12), dtype=np.float32)
