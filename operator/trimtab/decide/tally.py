"""Samples as their number, sum and sum of squares: all that a mean and its error need."""

import math
from dataclasses import dataclass

from trimtab.decide.observation import NAN


@dataclass(frozen=True, slots=True)
class Tally:
    """Number, sum and sum of squares of some samples."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, value: float) -> "Tally":
        """With one more sample; one that is no number is left out."""
        if not math.isfinite(value):
            return self
        return Tally(self.count + 1, self.total + value, self.squares + value * value)

    @property
    def mean(self) -> float:
        """Mean; NaN of no samples."""
        return self.total / self.count if self.count else NAN

    def error(self, inflation: float) -> float:
        """Standard error of the mean, its variance inflated for autocorrelation; infinite below two samples."""
        if self.count < 2:
            return math.inf
        variance = max(self.squares - self.total * self.total / self.count, 0.0) / (self.count - 1)
        return math.sqrt(inflation * variance / self.count)
