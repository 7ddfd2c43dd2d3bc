"""The updater of the Vertical Pod Autoscaler 1.8, and the policy `vpa`: recommender and updater together.

A pod is given the target when it is created. It is replaced by one with the new target when its request lies outside
[lower, upper]; or when it is 12 h old and differs by 10% or more; or when it was OOM-killed within 10 minutes of its
start and the target differs. Both run every minute. A recording stands for a workload of two replicas or more, whose
pods are replaced within one sample.
"""

from collections.abc import Sequence

import numpy as np

from trimtab.decide.columns import B1, F8
from trimtab.lab.peers.vpa import Advice, MemoryRecommender, cpu_advice
from trimtab.lab.traces import Usage
from trimtab.lab.vertical.replay import Grid, Told, untold

UPDATE_AGE = 12 * 3600.0
UPDATE_CHANGE = 0.1
QUICK_OOM = 600.0


def acts(request: F8, age: F8, now: Advice, quick_oom: B1) -> B1:
    """Whether pods with these requests and ages (seconds) are replaced; a request of NaN is a pod yet to be created."""
    differs = np.abs(now.target - request)
    outside = (request < now.lower) | (request > now.upper)
    old = (age >= UPDATE_AGE) & (differs >= UPDATE_CHANGE * request)
    return np.asarray((np.isnan(request) | outside | old | (quick_oom & (differs > 0))) & np.isfinite(now.target))


def follow(times: F8, said: Advice) -> F8:
    """The request in force during every sample, float64[n], from the advice after every sample; the first is NaN.

    The rules of `acts` for one pod that is never OOM-killed, in plain numbers: one sample depends on the one before.
    """
    request, since = np.nan, 0.0
    levels = [request] * len(times)
    rows = zip(times.tolist()[1:], said.target.tolist(), said.lower.tolist(), said.upper.tolist(), strict=False)
    for i, (now, target, lower, upper) in enumerate(rows, start=1):
        due = now - since >= UPDATE_AGE and abs(target - request) >= UPDATE_CHANGE * request
        if due or not lower <= request <= upper:
            request, since = target, now
        levels[i] = request
    return np.array(levels)


class Vpa:
    """VPA's recommender and updater with default flags."""

    name = "vpa"

    def cpu(self, usages: Sequence[Usage], told: Told = untold) -> list[F8]:
        """Requests in force, cores."""
        return [follow(u.times, cpu_advice(u.times, u.values, u.step)) for u in usages]

    def memory(self, grid: Grid) -> "VpaMemory":
        """A fresh run."""
        return VpaMemory(grid.rows, grid.step)


class VpaMemory:
    """One replay of memory: a pod a row."""

    def __init__(self, rows: int, step: float) -> None:
        self._step = step
        self._recommender = MemoryRecommender(rows, step)
        self._request = np.full(rows, np.nan)
        self._created = np.zeros(rows)
        self._started = np.full(rows, -np.inf)

    def step(self, now: float, seen: F8, killed: B1) -> F8:
        """Requests for the slot that starts at `now`, bytes; NaN before the first sample."""
        before = now - self._step
        self._recommender.add(before, seen)
        self._recommender.add_oom(before, self._request, killed)
        quick = killed & (before - self._started < QUICK_OOM)
        self._started = np.where(killed, before, self._started)
        said = self._recommender.advice()
        renewed = acts(self._request, now - self._created, said, quick)
        self._request = np.where(renewed, said.target, self._request)
        self._created = np.where(renewed, now, self._created)
        self._started = np.where(renewed, now, self._started)
        return self._request
