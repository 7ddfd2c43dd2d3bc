"""The peers of the horizontal lab: HPA, KEDA and a static count, as replica policies."""

import math
from collections.abc import Sequence

import numpy as np

from trimtab.decide.columns import I8
from trimtab.lab.horizontal.policy import Metrics, Terms
from trimtab.lab.horizontal.service import PEAK_UTILIZATION
from trimtab.lab.peers import hpa, keda

HPA_TARGETS = tuple(range(50, 100, 5))
"""CPU utilisation targets, percent, that the HPA is tried at."""


class _Controller:
    """What the HPA controller keeps of one scale target: recommendations and changes, as long as a window is."""

    def __init__(self, terms: Terms) -> None:
        self._least = terms.replicas_min
        self._most = terms.replicas_max
        self._past: list[hpa.Recommendation] = []
        self._added: list[hpa.Change] = []
        self._removed: list[hpa.Change] = []

    def settle(self, now: float, current: int, desired: int) -> int:
        """The replicas that windows, rates and bounds make of what the metrics ask for."""
        if current > self._most or current < self._least:
            return min(max(current, self._least), self._most)
        longest = max(hpa.DEFAULT_UP.window_seconds, hpa.DEFAULT_DOWN.window_seconds)
        self._past = [r for r in self._past if r.time > now - longest]
        goal = hpa.stabilized(current, desired, self._past, now)
        self._past.append(hpa.Recommendation(now, desired))
        goal = hpa.rate_limited(current, goal, self._least, self._most, self._added, self._removed, now)
        if goal != current:
            side = self._added if goal > current else self._removed
            side[:] = [change for change in side if change.time > now - _LONGEST_PERIOD]
            side.append(hpa.Change(now, abs(goal - current)))
        return goal


_LONGEST_PERIOD = max(p.period_seconds for rules in (hpa.DEFAULT_UP, hpa.DEFAULT_DOWN) for p in rules.policies)


class Hpa:
    """HPA v2 with default behavior and flags on CPU utilization, at one target."""

    def __init__(self, terms: Sequence[Terms], target: int) -> None:
        self._target = target
        self._rows = [_Controller(t) for t in terms]

    def step(self, now: float, seen: Metrics) -> I8:
        """One sync of every row."""
        wanted = seen.replicas.copy()
        for row, controller in enumerate(self._rows):
            if seen.active[row]:
                current = int(seen.replicas[row])
                try:
                    desired = hpa.utilization_replicas(current, self._target, seen.pods(row), now=now).replicas
                except hpa.MetricsMissing:
                    continue
                wanted[row] = controller.settle(now, current, desired)
        return wanted


class Keda:
    """A ScaledObject on the arrival rate: an HPA with an External metric of type AverageValue.

    The threshold is what a load test would give: the rate of one pod at PEAK_UTILIZATION of its CPU.
    """

    def __init__(self, terms: Sequence[Terms]) -> None:
        self._rows = [_Controller(t) for t in terms]
        self._thresholds = [PEAK_UTILIZATION * t.service.capacity for t in terms]

    def step(self, now: float, seen: Metrics) -> I8:
        """One sync of every row; without a metric the HPA holds."""
        wanted = seen.replicas.copy()
        for row, controller in enumerate(self._rows):
            rate = float(seen.arrival_rate[row])
            if seen.active[row] and math.isfinite(rate):
                current = int(seen.replicas[row])
                wanted[row] = controller.settle(now, current, keda.replicas(current, self._thresholds[row], rate))
        return wanted


class Static:
    """The pods that the recording's busiest minute needs at PEAK_UTILIZATION, always."""

    def __init__(self, terms: Sequence[Terms]) -> None:
        self._counts: I8 = np.array([t.service.peak_pods for t in terms], dtype=np.int64)

    def step(self, now: float, seen: Metrics) -> I8:
        """The same every time."""
        return self._counts
