"""Alerts that every workload has without being asked for: a row a workload, a column a rule."""

from dataclasses import dataclass

import numpy as np

from trimtab.api.builtin_alerts import BUILTIN_ALERTS, BuiltinAlert
from trimtab.api.reasons import CONFLICTS, Reason
from trimtab.api.status import AlertState, OutcomeState
from trimtab.decide.alerts import advance
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.histogram import F4
from trimtab.decide.plan import DerivedAlerts
from trimtab.decide.standing import LEAK_SLOTS, BuiltinMemory, MemoryTrend
from trimtab.decide.tick import Tick

_COLUMN = {alert.name: place for place, alert in enumerate(BUILTIN_ALERTS)}
_UNREACHABLE = frozenset(
    {
        Reason.TARGET_UNREACHABLE,
        Reason.REPLICAS_AT_MAX,
        Reason.CPU_AT_MAX,
        Reason.MEMORY_AT_MAX,
        Reason.MEMORY_CEILING,
        Reason.BATCH_CEILING,
        Reason.CONCURRENCY_CEILING,
    }
)
"""What holds a workload that misses its target though every lever was pulled."""


@dataclass(frozen=True, slots=True)
class _Rules:
    threshold: F8
    for_seconds: F8
    keep_seconds: F8

    @classmethod
    def of(cls, alerts: tuple[BuiltinAlert, ...]) -> "_Rules":
        return cls(
            np.array([alert.threshold for alert in alerts]),
            np.array([float(alert.for_seconds) for alert in alerts]),
            np.array([float(alert.keep_firing_for_seconds) for alert in alerts]),
        )


_RULES = _Rules.of(BUILTIN_ALERTS)


def judge(t: Tick, budget_used: F8) -> DerivedAlerts:
    """Those of the built-in alerts that are not quiet; brings the memory of all of them up to date, in place.

    `budget_used` is the share of its monthly budget that each workload is on its way to spend.
    """
    value = values(t, budget_used)
    held = t.state.standing.builtin
    known = np.isfinite(value)
    changed = advance(
        held, known, known & (value > _RULES.threshold), _RULES.for_seconds, _RULES.keep_seconds, t.seen.now
    )
    return _shown(held, value, changed)


def values(t: Tick, budget_used: F8) -> F8:
    """float64[W, rules]: what each rule looks at; NaN: not known. What can't happen to a workload is inside."""
    seen, now = t.seen, t.seen.now
    count = len(seen.workloads)
    value = np.full((count, len(BUILTIN_ALERTS)), np.nan)
    box, owner = seen.containers, seen.containers.workload

    def put(name: str, column: F8) -> None:
        value[:, _COLUMN[name]] = column

    # A container without a CPU limit is never throttled.
    put("CPUThrottling", _worst(count, owner, np.where(np.isfinite(box.cpu_limit), box.throttled, 0.0)))
    recent = (box.oom_at > 0) & (now - box.oom_at < t.settings.oom_alert_seconds)
    put("OOMKilled", np.bincount(owner, weights=recent, minlength=count).astype(np.float64))
    put("MemoryLeak", _worst(count, owner, t.state.standing.trends.growth.astype(np.float64)))
    put("PodImbalance", seen.workloads.imbalance)
    put("TargetUnreachable", _unreachable(t))
    put("MonthlyBudget", budget_used)
    put("MetricsLost", seen.workloads.metrics_lost)
    conflicted = np.zeros(count)
    for row, blocks in seen.blocks.items():
        conflicted[row] = sum(block.reason in CONFLICTS for block in blocks)
    put("Conflict", conflicted)
    undone = np.zeros(count)
    for decision in t.decisions.values():
        undone[t.row[decision.workload]] += decision.outcome is OutcomeState.ROLLED_BACK
    put("MoveRolledBack", undone)
    return value


def _unreachable(t: Tick) -> F8:
    """1 where a target is missed and what would help is at its bound; NaN where the target has no number."""
    held = np.zeros(len(t.seen.workloads), dtype=bool)
    for row, remarks in t.remarks.items():
        held[row] = any(remark.reason in _UNREACHABLE for remark in remarks)
    found = (t.signals.missed & held).astype(np.float64)
    found[t.signals.unknown & ~t.signals.missed] = np.nan
    return found


def _worst(count: int, owner: I8, column: F8) -> F8:
    """The largest known value of each workload's containers; NaN where containers exist and none is known."""
    known = np.isfinite(column)
    largest = np.full(count, -np.inf)
    np.maximum.at(largest, owner[known], column[known])
    without = np.bincount(owner, minlength=count) == 0
    return np.where(np.isfinite(largest), largest, np.where(without, 0.0, np.nan))


def _shown(held: BuiltinMemory, value: F8, changed: B1) -> DerivedAlerts:
    """Rows for what is pending or firing, or was until now; what was pending when its data went missing is still."""
    loud = held.firing | (held.state == AlertState.PENDING) | np.isfinite(held.breach_since) | changed
    rows, columns = np.nonzero(loud)
    alerts = np.array(BUILTIN_ALERTS, dtype=object)[columns]
    return DerivedAlerts(
        workload=rows,
        name=np.array([alert.name for alert in alerts], dtype=object),
        metric=np.array([alert.metric for alert in alerts], dtype=object),
        severity=np.array([alert.severity.value for alert in alerts], dtype=object),
        state=held.state[loud],
        firing=held.firing[loud],
        since=held.since[loud],
        cleared_since=held.cleared_since[loud],
        breach_since=held.breach_since[loud],
        changed=changed[loud],
        value=value[loud],
        threshold=_RULES.threshold[columns],
    )


def watch_memory(t: Tick) -> None:
    """Note the working sets of this tick and look for leaks once a slot ends, in place.

    A leak is growth of the troughs that neither load nor a warming cache explains: over four equal parts of the
    window each low is above the one before, the whole growth passes both bounds, the last step is no smaller than half
    of the first (a cache fills ever more slowly), and load a pod grew by less than half as much.
    """
    seen, trends, settings = t.seen, t.state.standing.trends, t.settings
    working = seen.containers.working_set
    number = int(seen.now // settings.leak_slot_seconds)
    rolled = np.flatnonzero(trends.slot != number)
    if len(rolled):
        _roll(trends, rolled, number)
        trends.growth[rolled] = _growth(trends, rolled, settings.leak_growth, settings.leak_bytes)
    place = number % LEAK_SLOTS
    known = np.isfinite(working)
    trends.low[known, place] = np.fmin(trends.low[known, place], working[known])
    w = seen.workloads
    load = np.where(w.ready > 0, w.arrival_rate / np.maximum(w.ready, 1), np.nan)[seen.containers.workload]
    trends.load[:, place] = np.fmax(trends.load[:, place], load)


def _roll(trends: MemoryTrend, rows: I8, number: int) -> None:
    """Blank the slots that passed since each row was last written to."""
    passed = np.minimum(number - trends.slot[rows], LEAK_SLOTS)
    for step in range(int(passed.max())):
        gone = rows[passed > step]
        trends.low[gone, (number - step) % LEAK_SLOTS] = np.nan
        trends.load[gone, (number - step) % LEAK_SLOTS] = np.nan
    trends.slot[rows] = number


def _growth(trends: MemoryTrend, rows: I8, least: float, least_bytes: float) -> F4:
    """Relative growth over the window where it looks like a leak, 0 where it does not, NaN where not yet known."""
    order = (int(trends.slot[rows[0]]) + 1 + np.arange(LEAK_SLOTS)) % LEAK_SLOTS
    # The slot that has just begun is the last in order and holds nothing yet; four parts of five slots end before it.
    order = order[-21:-1]
    low = trends.low[rows][:, order].astype(np.float64).reshape(len(rows), 4, 5)
    load = trends.load[rows][:, order].astype(np.float64).reshape(len(rows), 4, 5)
    full = np.isfinite(low).mean(axis=2).min(axis=1) >= 0.5
    lows = np.fmin.reduce(low, axis=2)
    steps = np.diff(lows, axis=1)
    growth = lows[:, 3] / lows[:, 0] - 1
    loads = np.fmax.reduce(load, axis=2)
    busier = np.where(loads[:, 0] > 0, loads[:, 3] / loads[:, 0] - 1, np.where(loads[:, 3] > 0, np.inf, 0.0))
    leak = (steps > 0).all(axis=1) & (steps[:, 2] >= 0.5 * steps[:, 0])
    leak &= (growth >= least) & (lows[:, 3] - lows[:, 0] >= least_bytes)
    leak &= ~(busier >= 0.5 * growth)
    return np.where(full, np.where(leak, growth, 0.0), np.nan).astype(np.float32)
