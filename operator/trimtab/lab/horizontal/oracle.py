"""The reference: a schedule of replicas by someone who knows every request and every start-up beforehand."""

from dataclasses import replace

import numpy as np

from trimtab.decide.columns import F8, I8
from trimtab.lab.horizontal.policy import TICK
from trimtab.lab.horizontal.run import Case, Outcome, replay

BUDGET = 0.01
"""Share of requests that may be over the latency target."""
WINDOW = 4
"""Ticks that the known work is averaged over: the minute around. Of 1, 2, 4 and 8 the cheapest, or within 1% of it."""
_LOWEST, _LIKELY, _HIGHEST, _STEP = 0.35, 0.75, 1.25, 0.0125
"""Utilisations searched (above 1 a queue stands that still meets the target), and the width the search ends at."""


def schedule(case: Case, utilization: float) -> I8:
    """Replicas at every tick, int64[ticks], such that the pods in service would be used to `utilization`.

    The work that arrives in a tick (known, request by request), averaged over WINDOW ticks, over what a pod does in a
    tick gives the pods needed. Those are ordered one start-up ahead. Between two needs that are less than a start-up
    apart the pods stay: stopping and starting them again would cost more.
    """
    ticks = max(1, int(np.ceil(case.load.seconds / TICK - 1e-9)))
    tick = np.minimum((case.load.times / TICK).astype(np.int64), ticks - 1)
    work: F8 = np.bincount(tick, weights=case.load.work, minlength=ticks).astype(np.float64)
    edges = np.pad(work, (WINDOW // 2, WINDOW - 1 - WINDOW // 2), mode="edge")
    work = np.convolve(edges, np.full(WINDOW, 1.0 / WINDOW), mode="valid")
    pods = np.ceil(work / (TICK * case.service.workers * utilization) - 1e-9).astype(np.int64)
    ahead = int(np.ceil(case.startup_seconds / TICK - 1e-9))
    later = np.concatenate([pods, np.full(ahead, 1, dtype=np.int64)])
    windows = np.lib.stride_tricks.sliding_window_view(later, ahead + 1)
    terms = case.terms
    return np.asarray(np.clip(windows.max(axis=1), terms.replicas_min, terms.replicas_max), dtype=np.int64)


def oracle(case: Case) -> Outcome:
    """The cheapest schedule found with at most BUDGET in violation, by bisection on the utilisation.

    The first pods are those that the schedule wants; they are there from the start. Where no schedule keeps the budget,
    the one at the lowest utilisation stands.
    """
    low, high = _LIKELY, _HIGHEST
    best = _tried(case, low)
    if best.violations > BUDGET:
        low, high = _LOWEST, _LIKELY
        best = _tried(case, low)
    while high - low > _STEP and best.violations <= BUDGET:
        middle = (low + high) / 2
        outcome = _tried(case, middle)
        if outcome.violations <= BUDGET:
            low, best = middle, outcome
        else:
            high = middle
    return best


def _tried(case: Case, utilization: float) -> Outcome:
    wanted = schedule(case, utilization)
    return replay(replace(case, initial=int(wanted[0])), wanted)
