"""Decaying exponential histograms, one a row of a matrix: how VPA remembers usage, for all containers at once.

Bucket n starts at first·(growth^n − 1)/(growth − 1); weights grow with time instead of old ones shrinking, so a
sample costs one addition (VPA's decaying histogram).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from trimtab.decide.columns import F8, I8

F4 = npt.NDArray[np.float32]
_CHUNK = 8192


@dataclass(frozen=True)
class Buckets:
    """Bucket borders: the first bucket is [0, first), each further one is `growth` times as wide."""

    first: float
    last: float
    growth: float = 1.05

    @cached_property
    def count(self) -> int:
        """Number of buckets, so that the last one starts at or above `last`."""
        return int(np.ceil(np.log1p(self.last * (self.growth - 1) / self.first) / np.log(self.growth))) + 1

    @cached_property
    def ends(self) -> F8:
        """Upper border of every bucket, float64[count]."""
        n = np.arange(1, self.count + 1)
        return np.asarray(self.first * (self.growth**n - 1) / (self.growth - 1), dtype=np.float64)

    def index(self, values: F8) -> I8:
        """Bucket of every value; negative ones and those past the end fall into the outermost buckets."""
        inside = np.log1p(np.maximum(values, 0.0) * (self.growth - 1) / self.first) / np.log(self.growth)
        return np.asarray(np.clip(inside, 0, self.count - 1), dtype=np.int64)


CPU = Buckets(0.001, 1000.0)
"""Cores: 1m to 1,000."""
MEMORY = Buckets(1e6, 1e12)
"""Bytes: 1 MB to 1 TB."""


def weight(times: F8, reference: float, half_life: float) -> F8:
    """2^((t − reference)/half-life) of samples at Unix times (s): newer ones weigh more."""
    exponent = np.clip((times - reference) / half_life, -60.0, 60.0)
    return np.asarray(np.exp2(exponent), dtype=np.float64)


def add(matrix: F4, buckets: Buckets, rows: I8, values: F8, weights: F8) -> None:
    """Add samples in place: float32 matrix[rows, buckets]; a negative weight takes one away (never below 0)."""
    flat = rows * buckets.count + buckets.index(values)
    cells = matrix.reshape(-1)
    np.add.at(cells, flat, weights.astype(np.float32))
    if len(flat):
        cells[flat] = np.maximum(cells[flat], 0.0)


def percentile(matrix: F4, buckets: Buckets, share: float) -> F8:
    """The value that `share` of each row's weight lies at or below (its bucket's upper border); NaN for empty rows."""
    result = np.full(len(matrix), np.nan)
    for start in range(0, len(matrix), _CHUNK):
        part = matrix[start : start + _CHUNK]
        sums = np.cumsum(part, axis=1)
        total = sums[:, -1]
        reached = (sums < (share * total)[:, None]).sum(axis=1)
        value = buckets.ends[np.minimum(reached, buckets.count - 1)]
        result[start : start + _CHUNK] = np.where(total > 0, value, np.nan)
    return result
