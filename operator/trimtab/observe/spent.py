"""What one workload costs at an instant."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """What one workload costs; NaN: not known."""

    currency: str
    source: str
    """OpenCost or Static."""
    compute: float = math.nan
    storage: float = math.nan
    api: float = math.nan
    """An hour."""
    cores: float = math.nan
    memory: float = math.nan
    """Cores and bytes that its pods request."""
    bill: float = 0.0
    """What all nodes cost an hour."""
    cpu_price: float = math.nan
    memory_price: float = math.nan
    gpu_price: float = math.nan
    """Means over its pods of what a core, a GiB and a GPU cost an hour."""
    problems: tuple[str, ...] = ()
    """Why a number is missing or in doubt."""

    @property
    def total(self) -> float:
        """All of it; NaN where a part is not known."""
        return self.compute + self.storage + self.api
