"""Invariants of the final plan, whatever proposed it: bounds, ceilings, node, limits ≥ requests, QoS, rate policies.

What is already outside (a ceiling lowered, an inverted bound) may stay or move inwards, never further out (RULES 17).
"""

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.decide import text
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.knobs import bounds
from trimtab.decide.moves import CORE, MIB
from trimtab.decide.observation import Lever
from trimtab.decide.tick import Tick
from trimtab.decide.vertical import Resource, memory_floor


def enforce(t: Tick, both: tuple[Resource, Resource]) -> None:
    """Clamp the plan in place; every clamp is remarked."""
    _replicas(t)
    for r in both:
        _containers(t, r)
    _knobs(t)
    for r, node in zip(both, (t.seen.workloads.node_cpu, t.seen.workloads.node_memory), strict=True):
        _node(t, r, node)
    _max_memory(t, both[1])
    if _qos(t):
        # A shrinking that another growth counted on may have been dropped.
        _max_memory(t, both[1])


def _planned(t: Tick, lever: Lever) -> tuple[F8, F8]:
    plan = t.containers
    return (plan.cpu, plan.cpu_limit) if lever is Lever.CPU else (plan.memory, plan.memory_limit)


def _replicas(t: Tick) -> None:
    w, plan = t.seen.workloads, t.workloads.replicas
    now = w.replicas
    top, bottom = np.maximum(w.replicas_max, 1), np.maximum(np.minimum(w.replicas_min, w.replicas_max), 1)
    up = np.minimum(np.minimum(plan, t.up_limit), np.maximum(top, now))
    down = np.maximum(np.maximum(plan, t.down_limit), np.minimum(bottom, now))
    free = t.may(Lever.REPLICAS) & (w.replicas_max > 0) & (now > 0)
    plan[:] = np.where(~free, now, np.where(plan > now, np.maximum(up, now), np.minimum(down, now)))


def _containers(t: Tick, r: Resource) -> None:
    """Requests inside bounds, limits at least the requests and never lowered where that could kill."""
    request, limit = _planned(t, r.lever)
    rows = np.flatnonzero(np.isfinite(request) & (request > 0) & r.tuned)
    dropped = np.ones(len(request), dtype=bool)
    dropped[rows] = False
    request[dropped] = limit[dropped] = np.nan
    old, old_limit = r.request[rows], r.limit[rows]
    guaranteed = t.seen.containers.guaranteed[rows] & np.isfinite(old_limit)
    new = np.clip(request[rows], np.minimum(r.minimum[rows], old), np.maximum(r.maximum[rows], old))
    if r.lever is Lever.MEMORY:
        new = np.where(guaranteed, np.maximum(new, np.minimum(old, memory_floor(t, rows))), new)
    most = np.maximum(np.maximum(old_limit, r.maximum[rows] * np.fmax(r.ratio[rows], 1.0)), new)
    wanted = np.where(np.isfinite(limit[rows]), limit[rows], old_limit)
    if r.lever is Lever.MEMORY:
        wanted = np.maximum(wanted, np.minimum(old_limit, memory_floor(t, rows)))
    wanted = np.where(guaranteed, new, np.clip(wanted, new, most))
    request[rows] = new
    limit[rows] = np.where(np.isnan(old_limit), np.nan, wanted)


def _knobs(t: Tick) -> None:
    plan, seen = t.knobs, t.seen.knobs
    free = t.may(Lever.KNOB)[seen.workload] & seen.allowed
    plan.value[~free] = seen.value[~free]
    plan.trial[~free] = -1
    for k in np.flatnonzero((plan.value != seen.value) | (plan.trial >= 0)):
        low, high = bounds(t, int(k))
        now = int(seen.value[k])
        plan.value[k] = min(max(int(plan.value[k]), min(low, now)), max(high, now))
        if plan.trial[k] >= 0 and not low <= plan.trial[k] <= high:
            plan.trial[k] = -1
    plan.keep_trial[plan.trial < 0] = False


def _per_pod(t: Tick, values: F8) -> F8:
    """Sum over a workload's containers, float64[W]; what is no amount counts as 0."""
    amounts = np.where(np.isfinite(values) & (values > 0), values, 0.0)
    return np.bincount(t.seen.containers.workload, amounts, len(t.seen.workloads)).astype(np.float64)


def _shrink(t: Tick, r: Resource, share: F8, over: B1) -> None:
    """Keep only `share`[W] of the growth of the containers of the workloads that are over, in whole quanta."""
    owner = t.seen.containers.workload
    quantum = CORE if r.lever is Lever.CPU else MIB
    for plan, old in zip(_planned(t, r.lever), (r.request, r.limit), strict=True):
        rows = np.flatnonzero(over[owner] & (plan > old))
        kept = old[rows] + np.clip(share[owner[rows]], 0.0, 1.0) * (plan[rows] - old[rows])
        plan[rows] = np.maximum(np.floor(kept / quantum + 1e-6) * quantum, old[rows])
    request, limit = _planned(t, r.lever)
    rows = np.flatnonzero(over[owner] & np.isfinite(request) & np.isfinite(limit))
    request[rows] = np.minimum(request[rows], limit[rows])
    same = rows[t.seen.containers.guaranteed[rows]]
    limit[same] = request[same]


def _growth(t: Tick, now: F8, new: F8, most: F8) -> tuple[F8, B1]:
    """Share of the growth now → new that stays at or below max(most, now), and where that is less than all of it."""
    over = (new > np.maximum(most, now) * (1 + 1e-9)) & (new > now)
    share = np.divide(np.maximum(most, now) - now, new - now, out=np.ones(len(now)), where=over)
    return share, over


def _node(t: Tick, r: Resource, node: F8) -> None:
    """The tuned containers of a pod together never ask for more than the largest node has."""
    request, _ = _planned(t, r.lever)
    node = np.where(node > 0, node, np.inf)
    now = _per_pod(t, r.request)
    new = _per_pod(t, np.where(np.isfinite(request), request, r.request))
    share, over = _growth(t, now, new, node)
    if not over.any():
        return
    _shrink(t, r, share, over)
    for w in np.flatnonzero(over):
        most = text.cores(float(node[w])) if r.lever is Lever.CPU else text.memory(float(node[w]))
        t.limit(int(w), Reason.RESIZE_INFEASIBLE, f"The largest node has {most}; the pod is not made larger than that.")


def _max_memory(t: Tick, r: Resource) -> None:
    """Σ over pods, trial pods included, of max(request, limit) stays inside maxMemory, or does not grow (RULES 17)."""
    w = t.seen.workloads
    most = np.where(w.max_memory > 0, w.max_memory, np.inf)
    if not np.isfinite(most).any():
        return
    owner = t.seen.knobs.workload
    pod_now = _per_pod(t, np.fmax(r.request, r.limit))
    pods_now = (w.replicas + w.extra_pods).astype(np.float64)
    most = np.maximum(most, pod_now * pods_now)

    def pod_new() -> F8:
        request, limit = _planned(t, r.lever)
        asked = np.where(np.isfinite(request), request, r.request)
        bound = np.where(np.isfinite(request), limit, r.limit)
        return _per_pod(t, np.fmax(asked, bound))

    def trials() -> I8:
        return np.bincount(owner[t.knobs.trial >= 0], minlength=len(w)).astype(np.int64)

    def over() -> B1:
        total = pod_new() * (t.workloads.replicas + trials())
        return np.asarray(total > most * (1 + 1e-9), dtype=bool)

    held = over()
    if not held.any():
        return
    fresh = held[owner] & (t.knobs.trial >= 0) & (w.extra_pods[owner] == 0) & ~t.knobs.keep_trial
    t.knobs.trial[fresh] = -1
    high = over()
    fit = np.floor(most / np.maximum(pod_new(), 1.0) + 1e-9) - trials()
    room = np.clip(np.where(np.isfinite(fit), fit, 0), w.replicas, t.workloads.replicas.clip(min=w.replicas))
    grown = high & (t.workloads.replicas > w.replicas)
    t.workloads.replicas[grown] = room[grown].astype(np.int64)
    high = over()
    if high.any():
        pods = np.maximum(t.workloads.replicas + trials(), 1)
        share, _ = _growth(t, pod_now, pod_new(), most / pods)
        _shrink(t, r, share, high)
    for row in np.flatnonzero(held):
        ceiling = text.memory(float(w.max_memory[row]))
        t.limit(int(row), Reason.MEMORY_CEILING, f"resources.maxMemory is {ceiling}; nothing grows past it.")


def _qos(t: Tick) -> bool:
    """A pod that is not Guaranteed does not become so: one request stays a quantum below its limit, or nothing moves.

    Returns whether moves were dropped.
    """
    seen = t.seen.containers
    plan = t.containers
    changed = np.isfinite(plan.cpu) | np.isfinite(plan.memory)
    if not changed.any():
        return False
    cpu, cpu_limit = np.where(np.isfinite(plan.cpu), (plan.cpu, plan.cpu_limit), (seen.cpu, seen.cpu_limit))
    memory, memory_limit = np.where(
        np.isfinite(plan.memory), (plan.memory, plan.memory_limit), (seen.memory, seen.memory_limit)
    )
    pinned = (cpu == cpu_limit) & (memory == memory_limit)
    count = len(t.seen.workloads)
    loose = np.bincount(seen.workload[~pinned], minlength=count)
    pods = np.bincount(seen.workload[changed & ~seen.guaranteed], minlength=count) > 0
    dropped = [_loosen(t, int(w), changed) for w in np.flatnonzero((loose == 0) & pods)]
    return any(dropped)


def _loosen(t: Tick, w: int, changed: B1) -> bool:
    """Put one request that the plan moves a quantum below its limit; True where bounds forbid it and nothing moves."""
    plan, seen = t.containers, t.seen.containers
    rows = np.flatnonzero(seen.workload == w)
    c = int(rows[~seen.guaranteed[rows] & changed[rows]][0])
    memory = bool(np.isfinite(plan.memory[c]))
    request, limit = (plan.memory, plan.memory_limit) if memory else (plan.cpu, plan.cpu_limit)
    least, old = (seen.memory_min[c], seen.memory[c]) if memory else (seen.cpu_min[c], seen.cpu[c])
    quantum = MIB if memory else CORE
    if limit[c] + quantum <= (seen.memory_limit[c] if memory else seen.cpu_limit[c]):
        limit[c] += quantum  # it falls a little less: the cut of the request is as large as it may be
        return False
    request[c] -= quantum
    if request[c] >= min(least, old) and request[c] > 0:
        return False
    # All of them: what the others grow by may be what this one was to give up.
    request[rows] = limit[rows] = np.nan
    return True
