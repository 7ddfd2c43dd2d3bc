"""What a pod can carry: the CPU cost of a request, and the share of its CPU that may be planned for.

Pods needed for a rate are rate · cost / (cores of a pod · utilisation). The cost is Σ CPU over Σ requests of the last
quarter of an hour. The utilisation is learned from latency, the slow way: it rises by a small step while pods that work
near it meet the target with room, and falls by a larger one when pods that carry no more than it come near the target.
A ratio of latencies is never a factor. Without a known latency it is never above what the user wishes.
docs/design/capacity.md has the figures.
"""

import numpy as np

from trimtab.decide.columns import B1, F8
from trimtab.decide.observation import Observation, Workloads
from trimtab.decide.settings import DAY, Settings
from trimtab.decide.signals import Signals
from trimtab.decide.standing import LoadMemory
from trimtab.decide.state import State, WorkloadState


def learn_cost(seen: Observation, held: WorkloadState, signals: Signals, settings: Settings) -> None:
    """Add this tick's CPU and rate to the sums that the cost of a request is made of, in place."""
    w, now = seen.workloads, seen.now
    known = np.isfinite(signals.cost) & w.due & ~w.rollout & (w.ready > 0)
    decay = np.exp2(-np.maximum(now - held.cost_at[known], 0.0) / settings.service_half_life)
    for total, new in (
        (held.cost_cpu, w.cpu_usage),
        (held.cost_rate, w.arrival_rate),
        (held.cost_count, np.ones(len(w))),
    ):
        total[known] = total[known] * decay + new[known]
    held.cost_at[known] = now


def cost(w: Workloads, held: WorkloadState, settings: Settings) -> F8:
    """CPU seconds a request, float64[W]; NaN: not learned yet.

    Where CPU use is clearly more than the requests explain, the cost has risen and the new one counts at once.
    """
    learned = (held.cost_count >= settings.service_samples) & (held.cost_rate > 0)
    mean = np.where(learned, held.cost_cpu / held.cost_rate, np.nan)
    now = np.where(w.arrival_rate > 0, w.cpu_usage / w.arrival_rate, np.nan)
    return np.asarray(np.where(now > mean * (1 + settings.tolerance), now, mean), dtype=np.float64)


def within_target(seen: Observation, state: State, settings: Settings) -> F8:
    """Requests/s of one pod within the target as moves showed, float64[W]; NaN: never seen at its end.

    It grows a little every day, so that an old figure is tried again.
    """
    age = np.maximum(seen.now - state.workloads.capacity_at, 0.0) / DAY
    return np.asarray(state.workloads.capacity * (1 + settings.capacity_growth * age), dtype=np.float64)


def utilization(w: Workloads, held: LoadMemory, margin: F8, learned: B1, settings: Settings) -> F8:
    """Share of a pod's CPU to plan for with a margin for what the load may do, float64[W].

    `learned`[W]: a latency says whether pods carry that much; elsewhere the wish is the most. What is assumed of a
    workload that was hardly seen yet takes at most a part off the wish.
    """
    most = np.where(learned & ~w.utilization_fixed, settings.carry_most, w.target_utilization)
    young = held.errors.sum(axis=1) < settings.error_young
    least = np.where(young, settings.young_least * w.target_utilization, 0.0)
    return np.asarray(np.clip(held.carries * np.exp(-margin), np.minimum(least, most), most), dtype=np.float64)


def begin(w: Workloads, held: LoadMemory, settings: Settings) -> F8:
    """Where `carries` starts: at the margin of a calm load the wish is met exactly, float64[W]. Fills blanks."""
    start = np.minimum(w.target_utilization * np.exp(settings.carry_margin), 1.0)
    blank = np.isnan(held.carries)
    held.carries[blank] = start[blank]
    return np.asarray(start, dtype=np.float64)


def learn_carries(
    w: Workloads, held: LoadMemory, signals: Signals, offered: F8, planned: F8, start: F8, settings: Settings
) -> None:
    """One step of `carries` by a fresh latency, in place.

    `offered`[W] is the load over the ready pods' CPU, `planned`[W] the utilisation they are planned for. Pods that
    get more than that are too few, which says nothing about what one carries.
    """
    told = signals.fresh & signals.latency_known & ~w.rollout & np.isfinite(offered * planned)
    room = told & signals.met & (signals.ratio < settings.carry_room)
    room &= (offered > settings.carry_worked * planned) & (offered > settings.carry_shown * held.carries)
    near = told & (signals.ratio > settings.carry_near) & (offered <= planned * (1 + settings.carry_slack))
    near &= offered > settings.low_utilization * planned
    top = np.maximum(start, settings.carry_top)
    rise = np.where(held.carries_end, settings.carry_rise, settings.carry_first_rise)
    held.carries_end[near] = True
    held.carries[room] = np.minimum(held.carries + rise, top)[room]
    held.carries[near] = np.maximum(held.carries - settings.carry_fall, settings.carry_least * start)[near]
