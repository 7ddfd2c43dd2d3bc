"""Where nothing may be moved (autoTune false, mode Recommend): what would be, told as decisions that nobody makes.

The whole way at once, without the careful steps of a move, under the same conditions. Told again only when it is
another one, and not every tick: a load that rises and falls would fill the journal.
"""

from dataclasses import replace

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide import text
from trimtab.decide.columns import B1, F8
from trimtab.decide.horizontal import Demand
from trimtab.decide.observation import Lever
from trimtab.decide.tick import Tick
from trimtab.decide.vertical import Resource, seasoned


def advise(t: Tick, demand: Demand, both: tuple[Resource, Resource]) -> None:
    """Record what is recommended and was not told yet."""
    w, held = t.seen.workloads, t.state
    held.containers.told[~w.recommending[t.seen.containers.workload]] = np.nan
    held.workloads.told[~w.recommending] = np.nan
    if not w.recommending.any():
        return
    for r in both:
        _sizes(t, r)
    _replicas(t, demand)


def _sizes(t: Tick, r: Resource) -> None:
    """Requests that are too large or too small (the conditions of vertical.py)."""
    seen, held, settings, cpu = t.seen.containers, t.state.containers, t.settings, r.lever is Lever.CPU
    owner, told, at = seen.workload, held.told[:, 0 if cpu else 1], held.told[:, 2 if cpu else 3]
    allowed = t.seen.workloads.allowed[owner, r.lever] & (seen.cpu_allowed if cpu else seen.memory_allowed)
    open_ = t.seen.workloads.recommending[owner] & allowed & np.isfinite(r.desired) & (r.request > 0)
    open_ &= held.sampled_at >= t.seen.now - settings.sample_age
    sure = t.signals.met[owner] & (held.covered >= t.seen.workloads.min_history_seconds[owner])
    change = np.abs(r.desired - r.request)
    worth = open_ & (change > settings.dead_band * r.request) & (change > r.dead)
    worth &= np.where(r.desired < r.request, sure, seasoned(t))
    for c in np.flatnonzero(_new(t, worth, r.desired, told, at)):
        name, what, unit = str(seen.name[c]), "CPU" if cpu else "memory", text.cores if cpu else text.memory
        before, after = float(r.request[c]), float(r.desired[c])
        reason = Reason.CUT_UNUSED if after < before else Reason.RAISED_FOR_USAGE
        message = f"{name} needs {unit(after)} of {what} with the margin and requests {unit(before)}"
        _record(t, int(owner[c]), r.lever, name, (before, after), reason, message)
        told[c], at[c] = after, t.seen.now
    told[open_ & ~worth] = np.nan


def _replicas(t: Tick, demand: Demand) -> None:
    """Replica counts that the load does not need, or needs (the conditions of horizontal.py)."""
    w, held = t.seen.workloads, t.state.workloads
    open_ = w.recommending & w.allowed[:, Lever.REPLICAS] & demand.tuned & demand.known
    worth = open_ & (demand.desired != w.replicas) & (t.signals.met | (demand.desired > w.replicas))
    desired, told, at = demand.desired.astype(np.float64), held.told[:, 0], held.told[:, 1]
    for row in np.flatnonzero(_new(t, worth, desired, told, at)):
        before, after = int(w.replicas[row]), int(demand.desired[row])
        reason = Reason.SCALED_UP if after > before else Reason.SCALED_DOWN
        message = f"the load needs {text.number(float(demand.need[row]))} pods at the wanted utilisation"
        _record(t, int(row), Lever.REPLICAS, "", (before, after), reason, message)
        told[row], at[row] = after, t.seen.now
    told[open_ & ~worth] = np.nan


def _new(t: Tick, worth: B1, desired: F8, told: F8, at: F8) -> B1:
    """Where it is another recommendation than the one told last, and that one was not told just now."""
    other = np.isnan(told) | (np.abs(desired - told) > t.settings.dead_band * told)
    return np.asarray(worth & other & ~(t.seen.now - at < t.settings.recommend_every), dtype=bool)


def _record(
    t: Tick, w: int, lever: Lever, subject: str, change: tuple[float, float], reason: Reason, message: str
) -> None:
    made = t.decision(w, lever, subject, *change, reason, f"Recommended only: {message}")
    t.record(replace(made, outcome=OutcomeState.RECOMMENDED))
