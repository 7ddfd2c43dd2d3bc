"""How every workload stands against its targets, and the running means that moves are compared with."""

from dataclasses import dataclass

import numpy as np

from trimtab.api.answers import AnswerKind
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.observation import Observation, Targets
from trimtab.decide.settings import DAY, Settings
from trimtab.decide.state import State

_RATIO_BOUND = 1e3


@dataclass(frozen=True, slots=True)
class Signals:
    """Arrays of W rows."""

    met: B1
    """Every target known and met; no traffic counts as met (RULES 19), and so does having no target."""
    missed: B1
    """A target known and missed."""
    latency_missed: B1
    """A latency target known and missed."""
    unknown: B1
    """A target without a fresh number."""
    targeted: B1
    """There is a target at all."""
    no_traffic: B1
    """A latency target has no number because there are no requests."""
    latency_known: B1
    """A latency target has a fresh number."""
    fresh: B1
    """A target has a newer sample than at the last tick."""
    ratio: F8
    """Worst value/target (target/value where higher is better), of the latency targets if any is known; NaN: none."""
    worst: I8
    """Row in Targets of that one; −1: none."""
    judge: I8
    """Row in Targets of the first latency target, by which trials are judged; −1: none."""
    cost: F8
    """CPU seconds a request; NaN: not known."""


def read(seen: Observation, state: State, settings: Settings) -> Signals:
    """The signals of this tick; brings the means and counters of `state` up to date, in place.

    The mean of value/target begins anew when the target is missed or met again: it is what the next move starts from.
    """
    count, targets, owner = len(seen.workloads), seen.targets, seen.targets.workload
    known = (
        (targets.kind == int(AnswerKind.VALUE))
        & np.isfinite(targets.value)
        & np.isfinite(targets.limit)
        & (targets.age <= settings.max_age)
    )
    quiet = targets.kind == int(AnswerKind.NO_TRAFFIC)
    ratio, past = _against(targets, known)
    known &= ~(targets.latency & _doubted(seen, state, known, settings)[owner])
    past &= known
    missed = _any(owner, known & past, count)
    unknown = _any(owner, ~known & ~quiet, count)
    latency_known = _any(owner, known & targets.latency, count)
    judged = known & (targets.latency | ~latency_known[owner])
    worst = np.full(count, -1, dtype=np.int64)
    order = np.argsort(np.where(judged, ratio, -np.inf), kind="stable")
    order = order[judged[order]]
    worst[owner[order]] = order
    has = worst >= 0
    judge = np.full(count, -1, dtype=np.int64)
    latencies = np.flatnonzero(targets.latency)[::-1]
    judge[owner[latencies]] = latencies
    ratios = np.full(count, np.nan)
    ratios[has] = ratio[worst[has]]

    memory = state.workloads
    measured = np.full(count, -np.inf)
    np.maximum.at(measured, owner[known], seen.now - np.maximum(targets.age[known], 0.0))
    fresh = (measured > memory.measured_at + 1e-3) & seen.workloads.due
    before = memory.missed_samples > 0
    memory.missed_samples[fresh & missed] += 1
    memory.missed_samples[~missed & ~unknown] = 0
    turned = fresh & (before != (memory.missed_samples > 0))
    memory.mean_ratio[turned] = np.nan
    cost = _cost(seen)
    _smooth(memory.mean_ratio, np.log(ratios), fresh, measured - memory.mean_at, settings.smoothing_seconds)
    _smooth(memory.mean_cost, np.log(cost), fresh, measured - memory.mean_at, settings.smoothing_seconds)
    memory.mean_at[fresh] = measured[fresh]
    memory.measured_at[fresh] = measured[fresh]
    return Signals(
        met=~missed & ~unknown,
        missed=missed,
        latency_missed=_any(owner, known & past & targets.latency, count),
        unknown=unknown,
        targeted=_any(owner, np.ones(len(owner), dtype=bool), count),
        no_traffic=_any(owner, quiet & targets.latency, count),
        latency_known=latency_known,
        fresh=fresh,
        ratio=ratios,
        worst=worst,
        judge=judge,
        cost=cost,
    )


def _against(targets: Targets, known: B1) -> tuple[F8, B1]:
    """Value over target, and whether it is past it; the ratio stays inside [1/1000, 1000]."""
    value, limit, higher = targets.value, targets.limit, targets.higher_is_better
    past = np.where(higher, value < limit, value > limit) & known
    top, bottom = np.where(higher, limit, value), np.where(higher, value, limit)
    usable = known & (top > 0) & (bottom > 0)
    ratio = np.where(past, _RATIO_BOUND, 1 / _RATIO_BOUND)
    np.divide(top, bottom, out=ratio, where=usable)
    return np.clip(ratio, 1 / _RATIO_BOUND, _RATIO_BOUND), past


def _doubted(seen: Observation, state: State, known: B1, settings: Settings) -> B1:
    """bool[W]: all latencies are so far below any seen lately that their unit may have changed; noted in place.

    They count as unknown for some hours, so that nothing is cut for them: seconds read as milliseconds are always met.
    """
    memory, targets = state.workloads, seen.targets
    judged = known & targets.latency & ~targets.higher_is_better & (targets.limit > 0)
    owner, ratio = targets.workload[judged], (targets.value / targets.limit)[judged]
    highest, measured = np.full(len(memory), -np.inf), np.full(len(memory), -np.inf)
    np.maximum.at(highest, owner, ratio)
    np.maximum.at(measured, owner, seen.now - np.maximum(targets.age[judged], 0.0))
    has = np.isfinite(highest)
    low = has & (highest < memory.least_ratio * settings.doubted_latency)
    memory.doubted_at[low & (memory.doubted_at <= 0)] = seen.now
    memory.doubted_at[has & ~low] = 0.0
    doubted = low & (seen.now - memory.doubted_at < settings.doubted_seconds)
    forgotten = np.exp2(np.clip(measured - memory.measured_at, 0.0, DAY) / (2 * DAY))
    least = np.fmin(memory.least_ratio * forgotten, np.minimum(highest, 1.0))
    memory.least_ratio[has & ~doubted] = least[has & ~doubted]
    return np.asarray(doubted)


def _any(owner: I8, mask: B1, count: int) -> B1:
    result = np.zeros(count, dtype=bool)
    result[owner[mask]] = True
    return result


def _cost(seen: Observation) -> F8:
    usage, rate = seen.workloads.cpu_usage, seen.workloads.arrival_rate
    usable = np.isfinite(usage) & np.isfinite(rate) & (rate > 0) & (usage > 0)
    return np.asarray(np.divide(usage, rate, out=np.full(len(usage), np.nan), where=usable), dtype=np.float64)


def _smooth(mean: F8, new: F8, rows: B1, elapsed: F8, constant: float) -> None:
    """Exponential mean in time: mean += (1 − e^(−elapsed/constant))·(new − mean), in place."""
    rows = rows & np.isfinite(new)
    first = rows & np.isnan(mean)
    mean[first] = new[first]
    share = -np.expm1(-np.maximum(elapsed[rows], 0.0) / constant)
    mean[rows] += share * (new[rows] - mean[rows])
