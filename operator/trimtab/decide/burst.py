"""CPU that throttling asked for is room for bursts, not capacity for more load.

A pod whose mean use is 70% of its limit is throttled in many periods all the same, whatever its size: requests come in
bursts (in the closed loop 15–25% of the periods at 2 to 12 cores). So when a raised limit counted as capacity, fewer
pods would be wanted, each would get more load, be throttled again and be raised again, up to cpu.max and two giant
pods. What a pod can carry therefore stays what it was before throttling was answered.
"""

from dataclasses import replace

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.decide.columns import F8
from trimtab.decide.observation import Lever, Observation
from trimtab.decide.state import State
from trimtab.decide.tick import Tick

_SIZED = (Reason.RAISED_FOR_USAGE, Reason.CUT_UNUSED)
"""Moves of the request that take the limit along where the two are linked."""


def without_bursts(seen: Observation, state: State) -> Observation:
    """The Observation with cpu_per_pod as it was before throttling was answered.

    Where the limit alone was raised, a pod carries at least what it requests.
    """
    held, containers = state.containers, seen.containers
    held.burst_base[held.throttle_until <= seen.now] = np.nan
    base = sustained(seen, state)
    extra = np.where(containers.cpu_limit > base, containers.cpu_limit - base, 0.0)
    if not extra.any():
        return seen
    over = np.bincount(containers.workload, extra, len(seen.workloads)).astype(np.float64)
    pod = seen.workloads.cpu_per_pod
    left = np.where(pod > over, pod - over, pod)
    return replace(seen, workloads=replace(seen.workloads, cpu_per_pod=left))


def sustained(seen: Observation, state: State) -> F8:
    """Cores that a container can carry for long, float64[C]: its limit without the room for bursts; NaN: no limit."""
    containers = seen.containers
    linked = containers.guaranteed | containers.scale_limits
    base = state.containers.burst_base
    base = np.where(linked, base, np.fmax(base, np.where(np.isfinite(base), containers.cpu, np.nan)))
    return np.asarray(np.minimum(np.where(np.isfinite(base), base, np.inf), containers.cpu_limit), dtype=np.float64)


def note(t: Tick) -> None:
    """Keep what a container could carry before the first raise against throttling, in place."""
    held = t.state.containers
    for made in t.decisions.values():
        if made.lever is not Lever.CPU or made.time != t.seen.now:
            continue
        c = t.container_row.get(f"{made.workload}/{made.subject}", -1)
        before, after = made.inputs.get("limitBefore", np.nan), made.inputs.get("limitAfter", np.nan)
        if c < 0 or not (before > 0 and after > 0):
            continue
        if made.reason is Reason.RAISED_FOR_THROTTLING and np.isnan(held.burst_base[c]):
            held.burst_base[c] = before
        elif made.reason in _SIZED:
            held.burst_base[c] *= after / before
