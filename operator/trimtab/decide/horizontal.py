"""Replica counts: arrival rate over the learned capacity of a pod, CPU utilisation, HPA v2's windows and policies."""

from dataclasses import dataclass

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.decide import capacity, forecast, rings, text
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.moves import scale, supersede
from trimtab.decide.observation import Lever, Observation, Workloads
from trimtab.decide.settings import Settings
from trimtab.decide.signals import Signals
from trimtab.decide.standing import LoadMemory
from trimtab.decide.state import State
from trimtab.decide.tick import Tick

_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Demand:
    """Arrays of W rows."""

    desired: I8
    """Replicas wanted after tolerance, windows and bounds; the present count where nothing is known."""
    explained: B1
    """The load asks for more than there is, whether or not the windows let it through already."""
    known: B1
    """CPU or rate gave a number."""
    need: F8
    """Pods' worth of load at the wanted utilisation; NaN: not known."""
    use: F8
    """Share of the ready pods' CPU in use; NaN: not known."""
    saturated: B1
    """Nearly all CPU is in use."""
    tuned: B1
    wanted: F8
    """Utilisation that the load is counted at."""


def learn(seen: Observation, state: State, signals: Signals, settings: Settings) -> None:
    """Bring the learned cost of a request, the capacity of a pod and the scale events up to date, in place."""
    w, held, loads, now = seen.workloads, state.workloads, state.standing.loads, seen.now
    capacity.learn_cost(seen, held, signals, settings)
    calm = signals.fresh & signals.met
    held.futile[calm] = 0
    held.unreachable[calm] = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = w.arrival_rate / np.maximum(w.ready, 1)
        known = capacity.within_target(seen, state, settings)
        exceeded = signals.met & ~signals.no_traffic & signals.targeted & (rate > known)
    held.capacity[exceeded] = rate[exceeded]
    held.capacity_at[exceeded] = now

    first = held.seen_replicas < 0
    change = np.where(first, 0, w.replicas - held.seen_replicas).astype(np.float64)
    longest = np.maximum(_clean(w.up_period).max(axis=1, initial=0.0), _clean(w.down_period).max(axis=1, initial=0.0))
    rings.push(held.added_time, held.added, now, longest, change, np.add, change > 0)
    rings.push(held.removed_time, held.removed, now, longest, -change, np.add, change < 0)
    held.scaled_at[change != 0] = now
    loads.excess[change != 0] = 0.0
    held.seen_replicas[:] = w.replicas
    current = w.replicas.astype(np.float64)
    rings.push(held.up_time, held.up_value, now, _clean(w.up_window), current, np.minimum, first)
    window = _down_window(w, np.zeros(len(w), dtype=bool), settings)
    rings.push(held.down_time, held.down_value, now, window, current, np.maximum, first)


def _down_window(w: Workloads, ahead: B1, settings: Settings) -> F8:
    """Stabilisation window of a fall, seconds; `ahead`[W]: a forecast decides, which has a hold of its own."""
    own = np.where(ahead, settings.calm_seconds, settings.cpu_calm_seconds)
    return _clean(np.where(np.isnan(w.down_window), own, w.down_window))


def _clean(values: F8) -> F8:
    """Amounts of a policy: nothing below 0, nothing that is no number."""
    return np.clip(np.where(np.isnan(values), 0.0, values), 0.0, float(_MOST))


def rate_limits(seen: Observation, state: State) -> tuple[I8, I8]:
    """Most and fewest replicas that the policies allow now, int64[W] each (calculateScaleUp/DownLimit of HPA v2)."""
    w, held, now = seen.workloads, state.workloads, seen.now
    current = w.replicas.astype(np.float64)
    zero = np.zeros(len(w))
    limits: list[I8] = []
    for sign, value, percent, period, select in (
        (1, w.up_value, w.up_percent, w.up_period, w.up_select),
        (-1, w.down_value, w.down_percent, w.down_period, w.down_select),
    ):
        farthest, nearest = np.full(len(w), -np.inf), np.full(len(w), np.inf)
        spans, amounts = _clean(period), _clean(value)
        for policy in np.flatnonzero((spans > 0).any(axis=0)):
            span, amount = spans[:, policy], amounts[:, policy]
            added = rings.reduce(held.added, rings.within(held.added_time, now, span), np.add, zero)
            removed = rings.reduce(held.removed, rings.within(held.removed_time, now, span), np.add, zero)
            start = current - added + removed
            part = start * amount / 100.0
            by_percent = np.ceil(part - 1e-9) if sign > 0 else start - np.floor(start - part + 1e-9)
            reach = sign * (start + sign * np.where(percent[:, policy], by_percent, amount) - current)
            used = span > 0
            farthest = np.where(used, np.maximum(farthest, reach), farthest)
            nearest = np.where(used, np.minimum(nearest, reach), nearest)
        reach = np.where(select == 1, nearest, farthest)
        reach = np.where((select == 2) | ~np.isfinite(reach), 0.0, np.clip(reach, 0.0, float(_MOST)))
        whole = np.floor(reach + 1e-9)  # a part of a pod is none
        limits.append(np.maximum(current + sign * whole, np.minimum(current, 1.0)).astype(np.int64))
    return limits[0], limits[1]


@dataclass(frozen=True, slots=True)
class _Load:
    """Pods' worth of load, float64[W] each; NaN: not known."""

    need: F8
    """Now."""
    ahead: F8
    """One start-up ahead, with its margin."""
    ahead_least: F8
    """The same with the margin below which pods are added."""
    by_rate: B1
    """The forecast of the arrival rate decides, not CPU use."""
    whole: B1
    """Nothing that was known before is missing."""
    wanted: F8
    """Utilisation that it is counted at."""
    offered: F8
    """Load over what the ready pods' CPU can do; above 1: more than they can."""


def _load_ahead(t: Tick) -> _Load:
    """The load now and one start-up ahead, in pods."""
    seen, w, held, loads, settings = t.seen, t.seen.workloads, t.state.workloads, t.state.standing.loads, t.settings
    start = capacity.begin(w, loads, settings)
    cost = capacity.cost(w, held, settings)
    small = np.nan_to_num(settings.small_load * w.cpu_per_pod / cost)
    ahead = forecast.update(w, loads, seen.now, small, settings)
    with np.errstate(invalid="ignore", divide="ignore"):
        pod = np.where((w.cpu_per_pod > 0) & (w.target_utilization > 0), w.cpu_per_pod, np.nan)
        rate = np.where(w.arrival_rate >= 0, w.arrival_rate, np.nan)
        most = capacity.within_target(seen, t.state, settings)
        learned = t.signals.latency_known | t.signals.no_traffic
        planned = capacity.utilization(w, loads, ahead.margin, learned, settings)
        at_least = capacity.utilization(w, loads, ahead.least_margin, learned, settings)
        offered = rate * cost / (pod * np.maximum(w.ready, 1))
        capacity.learn_carries(w, loads, t.signals, offered, planned, start, settings)
        by_cpu = np.where(w.cpu_usage >= 0, w.cpu_usage / (pod * w.target_utilization), np.nan)
        by_capacity = rate / most
        by_rate = np.isfinite(ahead.rate * cost * pod)
        need = np.where(by_rate, rate * cost / (pod * planned), by_cpu)
        later = np.where(by_rate, ahead.rate * cost / (pod * planned), by_cpu)
        least = np.where(by_rate, ahead.rate * cost / (pod * at_least), by_cpu)
    need, later, least = (_counted(np.fmax(value, _counted(by_capacity))) for value in (need, later, least))
    whole = np.isfinite(by_cpu) & (np.isfinite(rate) | (np.isnan(held.capacity) & (held.cost_count <= 0)))
    return _Load(need, later, least, by_rate, whole, np.where(by_rate, planned, w.target_utilization), offered)


def _counted(pods: F8) -> F8:
    """As many pods as can be, NaN where there is no number."""
    return np.where(np.isfinite(pods), np.minimum(pods, _MOST), np.nan)


def demand(t: Tick) -> Demand:
    """What the load asks for. Missing numbers hold: nothing goes down on half of the picture (HPA v2)."""
    w, held, loads, settings, now = t.seen.workloads, t.state.workloads, t.state.standing.loads, t.settings, t.seen.now
    tuned = (w.replicas_max > 0) & (w.replicas > 0)
    current = w.replicas.astype(np.float64)
    load = _load_ahead(t)
    use = np.where((w.cpu_usage >= 0) & (w.cpu_per_pod > 0), w.cpu_usage / w.cpu_per_pod, np.nan)
    use = use / np.maximum(w.ready, 1)
    saturated = np.isfinite(use) & (use >= settings.saturation)
    # What pods at their limit would use is not known, only that it is more; a rate that is counted where requests
    # arrive may show it, one that is counted where they are answered does not.
    blind = saturated & t.signals.missed & ~(load.offered > settings.offered_beyond)
    least = np.where(blind, settings.saturated_growth * w.ready, np.nan)
    need, ahead, at_least = (np.fmax(value, least) for value in (load.need, load.ahead, load.ahead_least))
    known = np.isfinite(need) & w.due & (w.ready > 0)

    ahead, at_least = np.where(known, ahead, current), np.where(known, at_least, current)
    up = at_least > current * (1 + np.where(load.by_rate, settings.raise_tolerance, settings.tolerance)) + 1e-9
    down = ahead < current * (1 - np.where(load.by_rate, 0.0, settings.tolerance)) - 1e-9
    wanted = np.where(up | (down & load.whole & known), np.maximum(np.ceil(ahead - 1e-9), 1.0), current)
    wanted = np.where(up, np.maximum(wanted, current), np.minimum(wanted, current))

    up_window, down_window = _clean(w.up_window), _down_window(w, load.by_rate, settings)
    calm = np.where(t.signals.met, wanted, np.maximum(wanted, current))
    rings.push(held.up_time, held.up_value, now, up_window, wanted, np.minimum, tuned)
    rings.push(held.down_time, held.down_value, now, down_window, calm, np.maximum, tuned)
    lowest = rings.reduce(held.up_value, rings.within(held.up_time, now, up_window), np.minimum, wanted)
    highest = rings.reduce(held.down_value, rings.within(held.down_time, now, down_window), np.maximum, calm)
    stable = np.minimum(np.maximum(current, lowest), highest)
    idle = _excess(loads, np.where(known & load.by_rate, 1 - ahead / current, np.nan), now, settings)
    stable = np.where(load.by_rate & ~idle, np.maximum(stable, current), stable)
    top = np.maximum(w.replicas_max, 1)
    bottom = np.minimum(np.maximum(w.replicas_min, 1), top)
    desired = np.clip(stable, bottom, top).astype(np.int64)
    return Demand(
        desired=np.where(tuned, desired, w.replicas),
        explained=known & (wanted > current),
        known=known,
        need=need,
        use=use,
        saturated=saturated,
        tuned=tuned,
        wanted=load.wanted,
    )


def _excess(loads: LoadMemory, share: F8, now: float, settings: Settings) -> B1:
    """bool[W]: enough replicas too many for long enough; `share`[W] of them now, NaN: not known. Counts in place."""
    seconds = np.clip(now - loads.decided_at, 0.0, settings.calm_seconds)
    loads.decided_at[:] = now
    total = loads.excess + (share - settings.lower_drift) * seconds
    loads.excess[:] = np.clip(np.where(np.isfinite(share), total, 0.0), 0.0, 2 * settings.lower_excess)
    return loads.excess >= settings.lower_excess


def raise_for_load(t: Tick, demand: Demand) -> None:
    """More pods where the load, or the lower bound, asks for them."""
    w = t.seen.workloads
    most = demand.tuned & demand.explained & (w.replicas >= w.replicas_max) & t.may(Lever.REPLICAS)
    for row in np.flatnonzero(most).tolist():
        t.limit(row, Reason.REPLICAS_AT_MAX, f"{_load(t, row, demand)}; replicas.max is {w.replicas_max[row]}.")
    free = (w.human_hold_until <= t.seen.now) | demand.saturated
    wanted = demand.tuned & (demand.desired > w.replicas) & t.may(Lever.REPLICAS) & ~t.moved
    for row in np.flatnonzero(wanted & ~free).tolist():
        t.limit(row, Reason.HUMAN_HOLD, f"{demand.desired[row]} replicas are wanted; a person set {w.replicas[row]}.")
    for row in np.flatnonzero(wanted & free).tolist():
        goal, reason = int(demand.desired[row]), Reason.SCALED_UP
        t.state.workloads.futile[row] = 0
        if _rolling_back(t, row, goal) or t.up_limit[row] <= w.replicas[row]:
            continue
        if w.replicas[row] < w.replicas_min[row] and not demand.known[row]:
            reason = Reason.OBEYED_CONSTRAINT
        supersede(t, row, Lever.REPLICAS, frozenset({""}), "More replicas were needed before it could be judged.")
        scale(
            t,
            row,
            goal,
            reason,
            _load(t, row, demand),
            predicted=f"CPU utilisation about {text.percent(float(demand.wanted[row]))} with {goal} replicas",
            emergency=bool(demand.saturated[row]),
        )


def _rolling_back(t: Tick, row: int, goal: int) -> bool:
    """Whether a rollback to at least this many replicas is under way already."""
    return any(
        v.decision.reason is Reason.MOVE_ROLLED_BACK and v.decision.lever is Lever.REPLICAS and v.decision.after >= goal
        for v in t.pending.get(str(t.seen.workloads.key[row]), ())
    )


def trim(t: Tick, demand: Demand) -> None:
    """One pod or 10% more where latency is missed and the load does not explain it; never by the ratio of latencies."""
    w, held, settings = t.seen.workloads, t.state.workloads, t.settings
    missed = t.signals.latency_missed & (held.missed_samples >= settings.missed_samples) & demand.tuned & w.due
    missed &= t.may(Lever.REPLICAS) & ~t.moved & ~w.rollout & ~demand.explained & (w.human_hold_until <= t.seen.now)
    for row in np.flatnonzero(missed & (t.seen.now < held.unreachable_until)).tolist():
        t.limit(row, Reason.TARGET_UNREACHABLE, f"{_latency(t, row)}; more replicas did not help.")
    for row in np.flatnonzero(missed & (w.replicas >= w.replicas_max)).tolist():
        t.limit(
            row,
            Reason.REPLICAS_AT_MAX,
            f"{_latency(t, row)} with the most replicas allowed, {w.replicas[row]}.",
        )
    missed &= (t.seen.now >= held.unreachable_until) & (w.replicas < w.replicas_max) & (w.ready >= w.replicas)
    missed &= (t.seen.now - held.trim_at >= settings.trim_period) & (t.up_limit > w.replicas)
    for row in np.flatnonzero(missed).tolist():
        if _climbing(t, row):
            continue
        more = max(1, int(settings.trim_share * w.replicas[row]))
        goal = min(int(w.replicas[row]) + more, int(w.replicas_max[row]))
        if held.futile[row] == 0:
            held.trim_base[row] = w.replicas[row]
        held.trim_at[row] = t.seen.now
        supersede(t, row, Lever.REPLICAS, frozenset({""}), "The target was missed before it could be judged.")
        message = f"{_latency(t, row)} though the load does not ask for more; {_load(t, row, demand)}"
        predicted = f"latency falls by at least {text.percent(settings.trim_gain)}"
        scale(t, row, goal, Reason.RAISED_FOR_TARGET, message, predicted=predicted)


def _climbing(t: Tick, row: int) -> bool:
    """Whether a raise or rollback of the replicas is still being watched: its effect is awaited first."""
    return any(
        v.decision.lever is Lever.REPLICAS and v.decision.reason is not Reason.SCALED_DOWN
        for v in t.pending.get(str(t.seen.workloads.key[row]), ())
    )


def lower(t: Tick, demand: Demand, waiting: B1, trying: B1) -> None:
    """Fewer pods: into the bounds even where the target is missed, for less load only where it is met (RULES 12)."""
    w, held, settings = t.seen.workloads, t.state.workloads, t.settings
    over = (w.replicas > np.maximum(w.replicas_max, 1)) & demand.tuned
    raised = _raised(t)
    free = t.may(Lever.REPLICAS) & ~t.moved & (~waiting | raised) & ~t.frozen & ~t.rolling & (t.down_limit < w.replicas)
    free &= w.human_hold_until <= t.seen.now
    for row in np.flatnonzero(free & over).tolist():
        goal = int(w.replicas_max[row])
        t.limit(row, Reason.CEILING_LOWERED, f"replicas.max is {goal} and {w.replicas[row]} run; going there in steps.")
        scale(t, row, goal, Reason.OBEYED_CONSTRAINT, f"replicas.max is {goal}")
    calm = demand.known & (demand.desired < w.replicas) & ~over & t.signals.met & (t.seen.now >= held.down_hold_until)
    calm &= free & ~trying & ~(t.signals.ratio > 1 - w.room)
    for row in np.flatnonzero(calm).tolist():
        share = settings.later_cut if held.down_moved[row] else settings.first_cut
        replicas = int(w.replicas[row])
        floor = min(replicas - 1, int(np.ceil(replicas * (1 - share))))
        goal = max(int(demand.desired[row]), floor)
        if not held.down_moved[row] and goal > demand.desired[row]:
            message = f"{demand.desired[row]} replicas would do; the first move goes to {goal}."
            t.limit(row, Reason.FIRST_MOVE_CAPPED, message)
        if raised[row]:
            supersede(t, row, Lever.REPLICAS, frozenset({""}), "The load fell before it could be judged.")
        predicted = f"targets stay met with {goal} replicas"
        if scale(t, row, goal, Reason.SCALED_DOWN, _load(t, row, demand), predicted=predicted):
            held.down_moved[row] = True


def _raised(t: Tick) -> B1:
    """bool[W]: what is being watched is a raise for load that is in force: no verdict on it could be a rollback."""
    result = np.zeros(len(t.seen.workloads), dtype=bool)
    for key, moves in t.pending.items():
        result[t.row[key]] = all(v.decision.reason is Reason.SCALED_UP and np.isfinite(v.since) for v in moves)
    return result


def _load(t: Tick, row: int, demand: Demand) -> str:
    """The load in one clause."""
    w = t.seen.workloads
    parts = []
    if np.isfinite(demand.use[row]):
        wanted = text.percent(float(demand.wanted[row]))
        parts.append(
            f"CPU {text.cores(float(w.cpu_usage[row]))} is {text.percent(float(demand.use[row]))} of "
            f"{w.ready[row]} ready pods, wanted {wanted}"
        )
    if np.isfinite(w.arrival_rate[row]):
        parts.append(f"{text.number(float(w.arrival_rate[row]))} requests/s")
    return ", ".join(parts) or f"replicas.min is {w.replicas_min[row]}"


def _latency(t: Tick, row: int) -> str:
    """The worst target in one clause."""
    worst, targets = int(t.signals.worst[row]), t.seen.targets
    side = "below" if targets.higher_is_better[worst] else "above"
    value, limit = (targets.told(worst, float(x[worst])) for x in (targets.value, targets.limit))
    return f"{targets.name[worst]} {value} is {side} its target {limit}"
