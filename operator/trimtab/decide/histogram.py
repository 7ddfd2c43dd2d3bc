"""Exponential buckets, as VPA counts usage in: bucket n starts at first·(growth^n − 1)/(growth − 1)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from trimtab.decide.columns import F8, I8

F4 = npt.NDArray[np.float32]


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
