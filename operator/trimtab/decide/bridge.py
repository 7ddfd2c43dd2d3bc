"""The bridge over a surge: running pods are lent CPU, in place, until the new pods are ready, and give it back.

A resize is in the cgroup after 0.1–0.3 s, a new pod after its start-up. So while the load asks for more pods than are
ready, each ready pod's CPU request and limit are raised by the same amount, `lent`, within what its node has free and
the container's bounds allow; memory has no part in it. What is lent follows the gap between the pods that are needed
and those that are ready, so it goes back as new pods become ready, and all of it after `bridge_seconds` in any case.

The loan stands in the Observation (it is read from the TuningProfile, where acting wrote it before any pod), so that a
restart finds it. Missing numbers lend nothing and take nothing back before its time.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide import text
from trimtab.decide.burst import sustained
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.horizontal import Demand
from trimtab.decide.moves import CORE
from trimtab.decide.observation import Lever, Observation
from trimtab.decide.rings import count_move
from trimtab.decide.tick import Tick
from trimtab.decide.vertical import Resource


@dataclass(frozen=True, slots=True)
class Loans:
    """What is lent from now on; arrays of C rows."""

    lent: F8
    """Cores to each borrower; NaN: left as it is."""
    before: F8
    until: F8
    grown: B1
    ended: B1


def notice(t: Tick, demand: Demand, cpu: Resource) -> None:
    """Throttling of pods that a loan can relieve is the surge's: it asks for no lasting raise, in place."""
    short = shortfall(t, demand, np.maximum(demand.desired, t.seen.workloads.replicas))
    most = _most(t, cpu, cpu.request, cpu.limit)
    owner, held = t.seen.containers.workload, t.state.containers
    eased = cpu.tuned & _open(t)[owner] & (short[owner] > t.settings.bridge_least)
    eased &= most > np.maximum(t.seen.containers.lent, t.settings.bridge_least * cpu.limit) * 1.1
    held.throttled_samples[eased] = 0


def lend(t: Tick, demand: Demand, cpu: Resource) -> None:
    """Put loans and their return into the plan; the last step, on what every lever decided."""
    plan, seen = t.containers, t.seen.containers
    if not (cpu.tuned & (np.isfinite(cpu.limit) | (seen.lent > 0))).any():
        return
    request = np.where(np.isfinite(plan.cpu), plan.cpu, cpu.request)
    limit = np.where(np.isfinite(plan.cpu_limit), plan.cpu_limit, cpu.limit)
    pods = np.where(t.workloads.replicas > 0, t.workloads.replicas, t.seen.workloads.replicas)
    short = shortfall(t, demand, pods)
    loans = _loans(t, short, _most(t, cpu, request, limit), limit, cpu.tuned)
    plan.lent[:], plan.lent_before[:], plan.lent_until[:] = loans.lent, loans.before, loans.until
    for c in np.flatnonzero(loans.grown).tolist():
        _tell_loan(t, c, float(limit[c]), float(loans.lent[c]), float(demand.need[seen.workload[c]]))
    for c in np.flatnonzero(loans.ended).tolist():
        _tell_return(t, c, float(limit[c]), float(short[seen.workload[c]]))


def without_lent(seen: Observation) -> Observation:
    """The Observation without the CPU samples of pods that borrow: they carry the missing pods' share of the load."""
    lent = seen.containers.lent > 0
    if not lent.any() or not len(seen.samples):
        return seen
    sizes = np.where(lent[np.clip(seen.samples.container, 0, len(lent) - 1)], np.nan, seen.samples.cpu)
    return replace(seen, samples=replace(seen.samples, cpu=sizes))


def settled(t: Tick, cpu: Resource) -> Resource:
    """CPU without the containers that are lent some: their request is not outgrown, the surge is."""
    values = {name: getattr(cpu, name) for name in Resource.__slots__}
    return Resource(**{**values, "tuned": cpu.tuned & ~(t.seen.containers.lent > 0)})


def shortfall(t: Tick, demand: Demand, pods: I8) -> F8:
    """CPU that the ready pods lack until `pods`[W] are ready, as a share of theirs, float64[W]; NaN: not known.

    0 where no pod is on its way: a loan is a bridge to new pods, never a substitute for them. Where pods are saturated
    or throttled and the target is missed, need is measured too low: then at least what the captain of Autothrottle adds
    (Wang et al., NSDI 2024), 1 + throttled share, or twice the pods, as HPA v2 at most doubles them.
    """
    w, settings = t.seen.workloads, t.settings
    ready = np.maximum(w.ready, 1)
    throttled = np.zeros(len(w))
    np.maximum.at(throttled, t.seen.containers.workload, np.nan_to_num(t.seen.containers.throttled))
    least = np.where(throttled > settings.throttled, np.clip(throttled, 0.0, 1.0), 0.0)
    least = np.where(demand.saturated, settings.saturated_growth - 1.0, least)
    short = np.maximum(demand.need / ready - 1.0, np.where(t.signals.missed, least, 0.0))
    short = np.where(demand.known | demand.saturated, short, np.nan)
    starting = (pods > w.ready) & (w.ready > 0)
    return np.where(starting, np.maximum(short, 0.0), np.where(np.isnan(short), np.nan, 0.0))


def _open(t: Tick) -> B1:
    """bool[W]: where a loan may begin or grow."""
    w, settings = t.seen.workloads, t.settings
    rested = t.seen.now >= t.state.workloads.bridge_rest_until
    return (settings.bridge_seconds > 0) & rested & (w.ready > 0) & ~t.restarted & w.acting


def _most(t: Tick, cpu: Resource, request: F8, limit: F8) -> F8:
    """Most cores that may be lent to one pod's container, float64[C]: bounds of the container, room on the nodes.

    Half of what is free stays for the pods that are to come. A pod that has no loan yet needs all of it on its node.
    """
    seen, w, settings = t.seen.containers, t.seen.workloads, t.settings
    owner, count = seen.workload, len(w)
    highest = np.maximum(limit, cpu.maximum * np.fmax(cpu.ratio, 1.0))
    bound = np.minimum(cpu.maximum - request, highest - limit)
    bound = np.where(cpu.tuned & np.isfinite(limit) & np.isfinite(bound), np.maximum(bound, 0.0), 0.0)
    lent = np.where(cpu.tuned, seen.lent, 0.0)
    free = np.where(w.node_free_cpu > 0, w.node_free_cpu, 0.0) * settings.bridge_free_share
    all_borrow = seen.borrowers >= w.ready[owner]
    shared = np.bincount(owner, np.where(all_borrow, lent, 0.0), count)
    room = (free + shared)[owner]
    weights = np.where(bound > 0, limit, 0.0)
    total = np.bincount(owner, weights, count)[owner]
    fair = np.divide(room * weights, total, out=np.zeros(len(seen)), where=total > 0)
    # Finite room on an infinite node is a node that is not known.
    return _down(np.where(np.isfinite(fair), np.minimum(bound, fair), 0.0))


def _down(values: F8) -> F8:
    """Whole millicores, never more."""
    return np.asarray(np.floor(values / CORE + 1e-6) * CORE, dtype=np.float64)


def _loans(t: Tick, short: F8, most: F8, limit: F8, tuned: B1) -> Loans:
    """The loans of this tick: begun, grown, shrunk, ended, or left alone."""
    seen, w, settings, now = t.seen.containers, t.seen.workloads, t.settings, t.seen.now
    owner = seen.workload
    carried = np.fmin(sustained(t.seen, t.state), limit)
    lent = np.where((seen.lent > 0) & np.isfinite(seen.lent), seen.lent, 0.0)
    running = lent > 0
    expired = running & (now >= seen.lent_until)
    ready, borrowers = w.ready[owner], np.maximum(seen.borrowers, 1)
    wanted = np.where(np.isfinite(short), short, 0.0)[owner] * carried * ready
    given = lent * seen.borrowers
    worth = settings.bridge_least * carried * ready

    fresh = np.minimum(_down(wanted / np.maximum(ready, 1)), most)
    grown = tuned & _open(t)[owner] & ~expired & (wanted > given + worth)
    grown &= (fresh * ready > given + worth) & (fresh > lent * (1 + settings.bridge_least))
    known = np.isfinite(short)[owner]
    rested = now - seen.lent_before >= settings.bridge_hold
    fewer = np.minimum(_down(wanted / borrowers), lent)
    fewer = np.where(fewer * borrowers > worth, fewer, 0.0)
    shrunk = running & known & rested & ((wanted < given - worth) | (wanted <= 0))
    # A loan above what its container may have now is brought back inside, whatever the load is.
    over = running & (lent > np.maximum(_bound(t, limit, tuned), 0.0) + CORE / 2)
    new = np.where(grown, fresh, np.where(shrunk, fewer, lent))
    new = np.where(over & ~grown, np.minimum(new, _bound(t, limit, tuned)), new)
    new = np.where(expired | (running & (seen.borrowers == 0) & rested), 0.0, new)
    ended = tuned & running & (new <= 0)
    changed = tuned & (new != lent)
    t.state.workloads.bridge_rest_until[owner[expired & tuned]] = now + settings.bridge_rest
    return Loans(
        lent=np.where(changed, new, np.nan),
        before=np.where(grown, math.floor(now), seen.lent_before),
        until=np.where(grown & ~running, now + settings.bridge_seconds, seen.lent_until),
        grown=grown,
        ended=ended,
    )


def _bound(t: Tick, limit: F8, tuned: B1) -> F8:
    """Cores up to the container's largest request, counted from what is planned; infinite where it is not tuned."""
    seen = t.seen.containers
    request = np.where(np.isfinite(t.containers.cpu), t.containers.cpu, seen.cpu)
    node = t.seen.workloads.node_cpu[seen.workload]
    top = np.fmin(seen.cpu_max, np.where(node > 0, node, np.inf))
    return np.where(tuned, _down(np.maximum(top - request, 0.0)), np.inf)


def _tell_loan(t: Tick, c: int, limit: float, lent: float, need: float) -> None:
    seen, w = t.seen.containers, int(t.seen.containers.workload[c])
    name, ready, had = seen.name[c], int(t.seen.workloads.ready[w]), float(seen.lent[c])
    had = had if math.isfinite(had) and had > 0 else 0.0
    minutes = text.seconds(t.settings.bridge_seconds)
    message = (
        f"The load needs {text.number(need)} pods and {ready} are ready; until more are, each has "
        f"{text.cores(lent)} of CPU more, for {minutes} at most; limit of {name} {text.cores(limit + had)} → "
        f"{text.cores(limit + lent)}"
    )
    if had <= 0:
        count_move(t.state.containers, c, t.seen.now)
    inputs = {"lent": lent, "lentBefore": had, "needed": need, "nodeFree": float(t.seen.workloads.node_free_cpu[w])}
    made = t.decision(
        w,
        Lever.CPU,
        str(name),
        limit + had,
        limit + lent,
        Reason.SURGE_BRIDGED,
        message,
        predicted="less throttling until new pods are ready",
        inputs=inputs,
        emergency=True,
    )
    t.record(made.ended(OutcomeState.KEPT, "The loan is handed back as new pods become ready."))


def _tell_return(t: Tick, c: int, limit: float, short: float) -> None:
    seen, w = t.seen.containers, int(t.seen.containers.workload[c])
    name, had = seen.name[c], float(seen.lent[c])
    why = "Its time is over" if t.seen.now >= seen.lent_until[c] else "The ready pods can carry the load"
    message = f"{why}: the {text.cores(had)} of CPU lent to each pod are taken back; limit of {name} "
    message += f"{text.cores(limit + had)} → {text.cores(limit)}"
    inputs = {"lentBefore": had, "short": short}
    known = math.isfinite(limit)  # a container that lost its limit meanwhile: the loan alone is told
    made = t.decision(
        w,
        Lever.CPU,
        str(name),
        limit + had if known else had,
        limit if known else 0.0,
        Reason.BRIDGE_RETURNED,
        message,
        inputs=inputs,
        emergency=True,
    )
    t.record(made.ended(OutcomeState.KEPT, "It is given back."))
