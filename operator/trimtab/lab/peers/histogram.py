"""Quantiles of a decaying histogram after every sample of a series, as arrays instead of one sample at a time."""

import numpy as np

from trimtab.decide.columns import F8
from trimtab.decide.histogram import Buckets

_ROWS = 512
"""Samples worked on at once."""
_SPAN = 500.0
"""Half-lives that they span at most: 2^500 is far from what a float can't hold."""


def quantiles(values: F8, times: F8, buckets: Buckets, half_life: float, shares: tuple[float, ...]) -> F8:
    """Upper border of the bucket at which each share of the weight is reached, after every sample.

    A sample weighs 2^(time/half_life). Of the last bucket, which has no upper border, the lower one is taken.

    Args:
        values: float64[n].
        times: seconds, rising, float64[n].
        buckets: borders.
        half_life: seconds after which a sample counts half.
        shares: 0 to 1, k of them.

    Returns:
        float64[k, n].
    """
    count = buckets.count
    borders = buckets.ends.copy()
    borders[-1] = borders[-2]
    at = buckets.index(values)
    held = np.zeros(count)
    reference = times[0] if len(times) else 0.0
    result = np.empty((len(shares), len(values)))
    begin = 0
    while begin < len(values):
        last = np.searchsorted(times, times[begin] + _SPAN * half_life, side="right")
        rows = slice(begin, min(begin + _ROWS, int(last)))
        held *= 2.0 ** ((reference - times[begin]) / half_life)
        reference = times[begin]
        n = rows.stop - begin
        added = np.zeros((n, count))
        added[np.arange(n), at[rows]] = np.exp2((times[rows] - reference) / half_life)
        weights = held + np.cumsum(added, axis=0)
        held = weights[-1].copy()
        total = np.cumsum(weights, axis=1)
        for k, share in enumerate(shares):
            result[k, rows] = borders[np.argmax(total >= share * total[:, -1:], axis=1)]
        begin = rows.stop
    return result
