"""Replica counts: arrival rate over the learned capacity of a pod, CPU utilisation, HPA v2's windows and policies."""

from dataclasses import dataclass

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.decide import rings, text
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.moves import scale, supersede
from trimtab.decide.observation import Lever, Observation
from trimtab.decide.settings import DAY, Settings
from trimtab.decide.signals import Signals
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


def learn(seen: Observation, state: State, signals: Signals, settings: Settings) -> None:
    """Bring the learned cost of a request, the capacity of a pod and the scale events up to date, in place."""
    w, held, now = seen.workloads, state.workloads, seen.now
    known = np.isfinite(signals.cost) & w.due & ~w.rollout & (w.ready > 0)
    decay = np.exp2(-np.maximum(now - held.cost_at[known], 0.0) / settings.service_half_life)
    for total, new in (
        (held.cost_cpu, w.cpu_usage),
        (held.cost_rate, w.arrival_rate),
        (held.cost_count, np.ones(len(w))),
    ):
        total[known] = total[known] * decay + new[known]
    held.cost_at[known] = now

    calm = signals.fresh & signals.met
    held.futile[calm] = 0
    held.unreachable[calm] = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = w.arrival_rate / np.maximum(w.ready, 1)
        exceeded = signals.met & ~signals.no_traffic & signals.targeted & (rate > _capacity(seen, state, settings))
    held.capacity[exceeded] = rate[exceeded]
    held.capacity_at[exceeded] = now

    first = held.seen_replicas < 0
    change = np.where(first, 0, w.replicas - held.seen_replicas).astype(np.float64)
    longest = np.maximum(_clean(w.up_period).max(axis=1, initial=0.0), _clean(w.down_period).max(axis=1, initial=0.0))
    rings.push(held.added_time, held.added, now, longest, change, np.add, change > 0)
    rings.push(held.removed_time, held.removed, now, longest, -change, np.add, change < 0)
    held.scaled_at[change != 0] = now
    held.seen_replicas[:] = w.replicas
    current = w.replicas.astype(np.float64)
    rings.push(held.up_time, held.up_value, now, _clean(w.up_window), current, np.minimum, first)
    rings.push(held.down_time, held.down_value, now, _clean(w.down_window), current, np.maximum, first)


def _clean(values: F8) -> F8:
    """Amounts of a policy: nothing below 0, nothing that is no number."""
    return np.clip(np.nan_to_num(values, nan=0.0, posinf=float(_MOST), neginf=0.0), 0.0, float(_MOST))


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
        limits.append(np.maximum(current + sign * reach, np.minimum(current, 1.0)).astype(np.int64))
    return limits[0], limits[1]


def _capacity(seen: Observation, state: State, settings: Settings) -> F8:
    """Requests/s of one pod within the target; grows a little every day, so that an old figure is tried again."""
    age = np.maximum(seen.now - state.workloads.capacity_at, 0.0) / DAY
    return np.asarray(state.workloads.capacity * (1 + settings.capacity_growth * age), dtype=np.float64)


def demand(t: Tick) -> Demand:
    """What the load asks for. Missing numbers hold: nothing goes down on half of the picture (HPA v2)."""
    w, held, settings = t.seen.workloads, t.state.workloads, t.settings
    tuned = (w.replicas_max > 0) & (w.replicas > 0)
    current = w.replicas.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        pod = np.where((w.cpu_per_pod > 0) & (w.target_utilization > 0), w.cpu_per_pod * w.target_utilization, np.nan)
        by_cpu = np.where(w.cpu_usage >= 0, w.cpu_usage / pod, np.nan)
        rate = np.where(w.arrival_rate >= 0, w.arrival_rate, np.nan)
        learned = (held.cost_count >= settings.service_samples) & (held.cost_rate > 0)
        by_rate = np.where(learned, rate * held.cost_cpu / held.cost_rate / pod, np.nan)
        by_capacity = rate / _capacity(t.seen, t.state, settings)
        use = by_cpu * w.target_utilization / np.maximum(w.ready, 1)
    finite = [np.where(np.isfinite(x), np.minimum(x, _MOST), np.nan) for x in (by_cpu, by_rate, by_capacity)]
    by_cpu, by_rate, by_capacity = finite
    need = np.fmax(np.fmax(by_cpu, by_rate), by_capacity)
    saturated = np.isfinite(use) & (use >= settings.saturation)
    # What pods at their limit would use is not known, only that it is more: both measures stop at what they can do.
    need = np.where(saturated & t.signals.missed, np.fmax(need, settings.saturated_growth * w.ready), need)
    known = np.isfinite(need) & w.due & (w.ready > 0)
    whole = np.isfinite(by_cpu) & (np.isfinite(rate) | (np.isnan(held.capacity) & ~learned))
    level = np.where(known, need, current)
    within = np.abs(level - current) <= settings.tolerance * current + 1e-9
    wanted = np.where(within, current, np.maximum(np.ceil(level - 1e-9), 1.0))
    wanted = np.where(known & (whole | (wanted > current)), wanted, current)

    up_window, down_window = _clean(w.up_window), _clean(w.down_window)
    calm = np.where(t.signals.met, wanted, np.maximum(wanted, current))
    rings.push(held.up_time, held.up_value, t.seen.now, up_window, wanted, np.minimum, tuned)
    rings.push(held.down_time, held.down_value, t.seen.now, down_window, calm, np.maximum, tuned)
    lowest = rings.reduce(held.up_value, rings.within(held.up_time, t.seen.now, up_window), np.minimum, wanted)
    highest = rings.reduce(held.down_value, rings.within(held.down_time, t.seen.now, down_window), np.maximum, calm)
    stable = np.minimum(np.maximum(current, lowest), highest)
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
    )


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
            predicted=f"CPU utilisation about {text.percent(float(w.target_utilization[row]))} with {goal} replicas",
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
    free = t.may(Lever.REPLICAS) & ~t.moved & ~waiting & ~t.frozen & ~t.rolling & (t.down_limit < w.replicas)
    free &= w.human_hold_until <= t.seen.now
    for row in np.flatnonzero(free & over).tolist():
        goal = int(w.replicas_max[row])
        t.limit(row, Reason.CEILING_LOWERED, f"replicas.max is {goal} and {w.replicas[row]} run; going there in steps.")
        scale(t, row, goal, Reason.OBEYED_CONSTRAINT, f"replicas.max is {goal}")
    calm = demand.known & (demand.desired < w.replicas) & ~over & t.signals.met & (t.seen.now >= held.down_hold_until)
    calm &= free & ~trying & ~(t.signals.ratio > 1 - settings.near_target)
    for row in np.flatnonzero(calm).tolist():
        share = settings.later_cut if held.down_moved[row] else settings.first_cut
        replicas = int(w.replicas[row])
        floor = min(replicas - 1, int(np.ceil(replicas * (1 - share))))
        goal = max(int(demand.desired[row]), floor)
        if not held.down_moved[row] and goal > demand.desired[row]:
            message = f"{demand.desired[row]} replicas would do; the first move goes to {goal}."
            t.limit(row, Reason.FIRST_MOVE_CAPPED, message)
        predicted = f"targets stay met with {goal} replicas"
        if scale(t, row, goal, Reason.SCALED_DOWN, _load(t, row, demand), predicted=predicted):
            held.down_moved[row] = True


def _load(t: Tick, row: int, demand: Demand) -> str:
    """The load in one clause."""
    w = t.seen.workloads
    parts = []
    if np.isfinite(demand.use[row]):
        wanted = text.percent(float(w.target_utilization[row]))
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
    unit = " s" if targets.latency[worst] else ""
    value, limit = text.number(float(targets.value[worst])), text.number(float(targets.limit[worst]))
    return f"{targets.name[worst]} {value}{unit} is {side} its target {limit}{unit}"
