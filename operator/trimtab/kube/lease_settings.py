"""How long a leader leads and others wait, and the clock and the name that make it safe."""

from __future__ import annotations

import math
import time
import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Seconds. Defaults are client-go's for controllers. Raises ValueError for a set that cannot be safe."""

    lease_seconds: float = 15.0
    """How long others wait after the last renewal that they saw."""
    renew_seconds: float = 10.0
    """How long a leader goes on after its last successful renewal."""
    retry_seconds: float = 2.0
    """Between attempts, and the bound of one attempt."""
    stop_seconds: float = 10.0
    """How long cancelled work may take to end; after that the lease is left to expire, not released."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lease_seconds) and self.lease_seconds > self.renew_seconds):
            raise ValueError("lease_seconds must be above renew_seconds, or two may lead; the usual set is 15/10/2")
        if not self.renew_seconds > 1.2 * self.retry_seconds > 0:
            raise ValueError("renew_seconds must be above 1.2 times retry_seconds; the usual set is 15/10/2")
        if not self.stop_seconds >= 0:
            raise ValueError("stop_seconds must not be negative")


def boot_clock() -> float:
    """Seconds since boot, time asleep included, so that a suspended machine wakes up with its term over."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def unique_identity(name: str) -> str:
    """An identity no other process has, a restart under the same pod name included.

    "name_uuid" as in client-go.
    """
    return f"{name}_{uuid.uuid4()}"
