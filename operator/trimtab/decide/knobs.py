"""Which knob is tried next, and how far: log2 steps within the latency headroom, both directions explored.

Coordinate search (Wright, "Coordinate descent algorithms", Math. Program. 151, 2015) in x = log2(knob), one knob a
trial, with step ≤ min(1 octave, log2((1 − m)·target/latency)).
"""

import math

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.decide import text
from trimtab.decide.columns import B1
from trimtab.decide.horizontal import Demand
from trimtab.decide.observation import Lever
from trimtab.decide.rings import count_move, moves_of_day
from trimtab.decide.state import Trial
from trimtab.decide.tick import Tick

_COSTS_LATENCY = frozenset({"Batch", "Concurrency", "Pool"})
"""Roles whose larger values may cost latency."""


def bounds(t: Tick, k: int) -> tuple[int, int]:
    """Smallest and largest value of a knob, its ceiling included; never inverted."""
    knobs = t.seen.knobs
    ceiling = float(knobs.ceiling[k])
    high = int(knobs.maximum[k])
    if 0 < ceiling < high:
        high = math.floor(ceiling)
    return min(int(knobs.minimum[k]), high), high


def start(t: Tick, demand: Demand, waiting: B1, trying: B1, among: B1) -> None:
    """Bring values back inside their bounds, or start one trial a workload, where that is allowed now.

    While a target is missed a trial may restore it, but only where more replicas can't or are not expected to.
    """
    w, held, settings, now = t.seen.workloads, t.state.workloads, t.settings, t.seen.now
    free = t.may(Lever.KNOB) & ~t.moved & ~waiting & ~trying & ~t.frozen & ~t.rolling & w.due & among
    spent = moves_of_day(held, now) >= w.moves_per_day
    helpless = (w.replicas_max <= 0) | ~w.allowed[:, Lever.REPLICAS] | (w.replicas >= w.replicas_max)
    helpless |= (now < held.unreachable_until) | (demand.use < settings.low_utilization * w.target_utilization)
    judged = t.signals.latency_known & ~t.signals.no_traffic & ~t.signals.unknown & (t.signals.judge >= 0)
    quiet = (now - held.scaled_at >= w.verify_seconds) & (w.ready >= np.maximum(w.replicas, 1))
    answered = w.arrival_rate * w.trial_seconds / (np.maximum(w.ready, 1) + 1)
    ready = judged & quiet & (t.signals.met | helpless) & ~(answered < settings.trial_requests)
    candidates: dict[int, list[int]] = {}
    knobs, memory = t.seen.knobs, t.state.knobs
    for k in np.flatnonzero(free[knobs.workload] & knobs.allowed).tolist():
        row = int(knobs.workload[k])
        low, high = bounds(t, int(k))
        if not low <= knobs.value[k] <= high:
            if not spent[row]:
                _obey(t, row, int(k), low, high)
            continue
        if not ready[row] or now < memory.rest_until[k]:
            continue
        candidates.setdefault(row, []).append(k)
    for row, waited in candidates.items():
        if spent[row]:
            t.limit(row, Reason.BUDGET_SPENT, "maxMovesPerDay is reached; knobs rest.")
            continue
        for k in sorted(waited, key=lambda k: float(memory.tried_at[k])):
            if not t.moved[row]:
                _try(t, row, k)
    for k in np.flatnonzero(~memory.comparable).tolist():
        message = f"{knobs.name[k]} can't be judged: the latency target gives no number by pod."
        t.limit(int(knobs.workload[k]), Reason.KNOB_METRIC_WITHOUT_PODS, message)


def _obey(t: Tick, row: int, k: int, low: int, high: int) -> None:
    """A value outside bounds goes back inside, an octave a step, without a trial."""
    if t.moved[row]:
        return
    value = int(t.seen.knobs.value[k])
    goal = max(high, math.ceil(value / 2)) if value > high else min(low, max(value * 2, 1))
    name = str(t.seen.knobs.name[k])
    message = f"{name} is {value} and may be {low} to {high}; {value} → {goal}"
    if value > high:
        t.limit(row, Reason.CEILING_LOWERED, message)
    t.knobs.value[k] = goal
    count_move(t.state.workloads, row, t.seen.now)
    t.watch(row, t.decision(row, Lever.KNOB, name, value, goal, Reason.OBEYED_CONSTRAINT, message))


def _try(t: Tick, row: int, k: int) -> None:
    knobs, memory = t.seen.knobs, t.state.knobs
    value, name, role = int(knobs.value[k]), str(knobs.name[k]), str(knobs.role[k])
    near = 1 - t.settings.near_target
    ratio = float(t.signals.ratio[row])
    by_cost = bool(t.signals.met[row]) and ratio <= near and bool(np.isfinite(t.state.workloads.mean_cost[row]))
    direction = int(memory.direction[k]) or _first(role, bool(t.signals.met[row]) and ratio <= near)
    for way in (direction, -direction):
        goal = _goal(t, row, k, way, ratio)
        if goal != value:
            break
    else:
        reason = Reason.BATCH_CEILING if role == "Batch" else Reason.CONCURRENCY_CEILING
        if bounds(t, k)[1] == value < knobs.maximum[k]:
            t.limit(row, reason, f"{name} stays at {value}, its ceiling; the way down is closed as well.")
        return
    aim = "CPU a request" if by_cost else "latency"
    worst, targets = int(t.signals.worst[row]), t.seen.targets
    where = "on one pod beside the others" if knobs.trials[k] else "on all pods, one after the other"
    latency, target = (targets.told(worst, float(x[worst])) for x in (targets.value, targets.limit))
    message = (
        f"{name} {value} → {goal} {where}, for less {aim}; {targets.name[worst]} is {latency}, its target {target}"
    )
    predicted = f"{aim} falls by at least {text.percent(t.settings.trial_gain)}"
    inputs = {"byCost": float(by_cost)}
    reason = Reason.KNOB_TRIAL_STARTED if knobs.trials[k] else Reason.KNOB_STEPPED
    made = t.decision(row, Lever.KNOB, name, value, goal, reason, message, predicted=predicted, inputs=inputs)
    if not knobs.trials[k]:
        t.knobs.value[k] = goal
        memory.tried_at[k] = t.seen.now
        count_move(t.state.workloads, row, t.seen.now)
        t.watch(row, made)
        return
    t.record(made)
    t.knobs.trial[k] = goal
    memory.tried_at[k] = t.seen.now
    t.moved[row] = True
    t.trials[made.workload] = Trial(made, str(knobs.key[k]))


def _first(role: str, calm: bool) -> int:
    """Which way to go first: up for less cost; down for less latency where larger values cost it."""
    return 1 if calm or role not in _COSTS_LATENCY else -1


def _goal(t: Tick, row: int, k: int, way: int, ratio: float) -> int:
    """The next value this way; the present one where no step is allowed."""
    knobs, settings = t.seen.knobs, t.settings
    value = int(knobs.value[k])
    low, high = bounds(t, k)
    step = min(float(t.state.knobs.step[k]), settings.octave)
    costly = str(knobs.role[k]) in _COSTS_LATENCY and not t.state.knobs.eases[k]
    if way > 0 and t.signals.met[row] and costly:
        headroom = math.log2((1 - settings.near_target) / ratio)
        step = min(step, headroom)
        if max(value, 1) * 2**headroom < value + 1:
            return value
    base = max(value, 1) if way > 0 else value
    scaled = base * 2.0 ** float(way * step)
    goal = max(math.floor(scaled), value + 1) if way > 0 else min(math.ceil(scaled), value - 1)
    return int(min(max(goal, low), high))
