"""What a replica policy is told, and what it answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from trimtab.decide.columns import B1, F8, I8
from trimtab.lab.horizontal.service import Service
from trimtab.lab.peers.hpa import Pod

TICK = 15.0
"""Seconds between two decisions of every policy, as of HPA v2 and of the operator."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an operator knows of one workload before the first request."""

    service: Service
    startup_seconds: float
    replicas_min: int
    replicas_max: int
    initial: int
    """Ready pods at time 0."""


def _unknown(rows: int) -> F8:
    return np.full(rows, np.nan)


@dataclass(slots=True)
class Metrics:
    """What can be seen at `now`; arrays of R rows, a row a workload. NaN: no answer yet.

    Counts of pods come from the API server and are up to date. Everything else was scraped at `measured_at`, 0–30 s
    ago, and is a mean over the minute before that.
    """

    now: float
    active: B1
    """False once the row's recording has ended; its answer is ignored from then on."""
    measured_at: F8
    arrival_rate: F8
    """Requests/s that arrived, counted in front of the queue."""
    done_rate: F8
    """Requests/s that were finished."""
    cpu_usage: F8
    """Cores in use, over the pods that still exist and were scraped twice."""
    utilization: F8
    """`cpu_usage` over the CPU requests of those pods."""
    latency_p95: F8
    """Seconds, over the requests finished in that minute, interpolated in a histogram. NaN: none finished."""
    violated: F8
    """Share of the requests finished in that minute that took longer than the latency target. NaN: none finished."""
    replicas: I8
    """Pods that exist: spec.replicas."""
    ready: I8
    starting: I8
    listers: list[Callable[[], list[Pod]]] = field(default_factory=list)

    def pods(self, row: int) -> Sequence[Pod]:
        """The pods of a row as the API server has them now, each with its own late CPU usage."""
        return self.listers[row]()

    @classmethod
    def blank(cls, rows: int) -> "Metrics":
        """Nothing known yet."""
        zero = np.zeros(rows, dtype=np.int64)
        return cls(
            now=0.0,
            active=np.ones(rows, dtype=bool),
            measured_at=_unknown(rows),
            arrival_rate=_unknown(rows),
            done_rate=_unknown(rows),
            cpu_usage=_unknown(rows),
            utilization=_unknown(rows),
            latency_p95=_unknown(rows),
            violated=_unknown(rows),
            replicas=zero.copy(),
            ready=zero.copy(),
            starting=zero.copy(),
        )


class ReplicaPolicy(Protocol):
    """Decides the replicas of R workloads at once. A fresh one is made for every run from its R Terms."""

    def step(self, now: float, seen: Metrics) -> I8:
        """Replicas wanted at `now` (seconds from the start, every 15 s), int64[R]; clipped to the bounds of Terms.

        `seen` is reused: copy what is kept.
        """
        ...
