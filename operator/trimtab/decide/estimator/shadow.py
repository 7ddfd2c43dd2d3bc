"""What VPA would have in force: the yardstick that runs beside the estimator.

VPA 1.8 as documented: p90 of a histogram of samples that decays with a half-life of a day, 15% on top; acted on outside
[p50, p95] (each with 15%, widened while little is known), or after 12 hours when it differs by 10%. Its floor is that
of a pod with one container.
"""

import numpy as np

from trimtab.decide.columns import F8
from trimtab.decide.estimator.table import F4, SAMPLE_WEIGHT, VPA_CPU, Levels

_HOUR = 3600.0
_HALF_LIFE = 86400.0
_SHARES = (0.9, 0.5, 0.95)
_MARGIN = np.float32(1.15)
_LEAST = np.float32(0.025)
_AGE = 12 * _HOUR
_CHANGE = np.float32(0.1)
_BORDERS = np.append(VPA_CPU.ends[:-1], VPA_CPU.ends[-2]).astype(np.float32)


def follow(p: Levels, at: F8, usage: F4) -> None:
    """Add a sample a row, and move the request in force to where VPA's updater would have it, in place.

    The histogram is decayed once an hour, in between newer samples weigh more: its whole numbers would lose smaller
    steps.
    """
    fresh = p.histogram_at <= 0
    p.histogram_at[fresh] = at[fresh]
    age = at - p.histogram_at
    old = np.flatnonzero(age >= _HOUR)
    if len(old):
        p.histogram[old] = np.rint(p.histogram[old] * np.exp2(-age[old] / _HALF_LIFE)[:, None])
        p.histogram_at[old] = at[old]
    rows = np.arange(len(at))
    bucket = VPA_CPU.index(usage.astype(np.float64))
    weight = np.rint(SAMPLE_WEIGHT * np.exp2((at - p.histogram_at) / _HALF_LIFE))
    p.histogram[rows, bucket] = np.minimum(p.histogram[rows, bucket] + weight, 65535)
    p90, p50, p95 = _quantiles(p)
    sure = np.maximum(p.known, np.float32(1e-6))
    target = np.maximum(p90 * _MARGIN, _LEAST)
    lower = np.maximum(p50 * _MARGIN * (1 + np.float32(0.001) / sure) ** -2, _LEAST)
    upper = np.maximum(p95 * _MARGIN * (1 + 1 / sure), _LEAST)
    due = (at - p.vpa_since >= _AGE) & (np.abs(target - p.vpa) >= _CHANGE * p.vpa)
    acts = np.isnan(p.vpa) | (p.vpa < lower) | (p.vpa > upper) | due
    p.vpa[acts] = target[acts]
    p.vpa_since[acts] = at[acts]


def _quantiles(p: Levels) -> list[F4]:
    """Upper borders of the buckets in which each of the shares is reached."""
    total = np.cumsum(p.histogram, axis=1, dtype=np.float32)
    return [_BORDERS[np.argmax(total >= np.float32(share) * total[:, -1:], axis=1)] for share in _SHARES]
