"""Alerts that every resource has: what they look at, when they fire, what to do. The reference is made from this."""

from dataclasses import dataclass

from trimtab.api.monitoring import Severity


@dataclass(frozen=True, slots=True)
class BuiltinAlert:
    """One rule: fires above `threshold` for `for_seconds`, resolves after `keep_firing_for_seconds` back inside."""

    name: str
    metric: str
    """What its value is, in words that fit after `is`."""
    severity: Severity
    threshold: float
    for_seconds: int
    keep_firing_for_seconds: int
    cause: str
    remedy: str


# A table, read by rows.
# fmt: off
BUILTIN_ALERTS: tuple[BuiltinAlert, ...] = (
    BuiltinAlert("CPUThrottling", "throttled share of CPU periods", Severity.WARNING, 0.25, 900, 300,
        "A container was held back by its CPU limit in more than a quarter of its periods (as CPUThrottlingHigh of the "
        "kubernetes-mixin).",
        "Raise cpu.max of the container, or let Trimtab tune CPU."),
    BuiltinAlert("OOMKilled", "containers killed for memory", Severity.WARNING, 0.0, 0, 0,
        "A container was killed by the OOM killer in the last 15 minutes.",
        "Trimtab raises memory by itself inside memory.max; look for a leak when it happens again."),
    BuiltinAlert("MemoryLeak", "growth of the memory floor over five hours", Severity.WARNING, 0.0, 0, 3600,
        "The lowest working set kept growing, and neither load nor a filling cache explains it.",
        "Look at the heap of the container; Trimtab does not feed a leak beyond memory.max."),
    BuiltinAlert("PodImbalance", "CPU of the busiest pod over the mean", Severity.WARNING, 1.5, 900, 300,
        "One pod does half as much again as the mean of the ready pods.",
        "Look at session affinity, long-lived connections and hot keys."),
    BuiltinAlert("TargetUnreachable", "targets missed with every lever at its bound", Severity.CRITICAL, 0.0, 300, 300,
        "A target of targetMetrics is missed and what would help is at a bound of constraints or resources.",
        "The condition Limited names the bound; widen it, relax the target, or look for a bottleneck elsewhere."),
    BuiltinAlert("MonthlyBudget", "projected cost over the monthly budget", Severity.WARNING, 1.0, 3600, 3600,
        "A month at the mean cost of the last day would pass cost.monthlyBudget.",
        "Look at status.metrics.costs; widen the budget, or let Trimtab prefer Cost."),
    BuiltinAlert("MetricsLost", "declared metrics without a number", Severity.WARNING, 0.0, 300, 60,
        "A declared metric has had no number for five minutes; cuts, trials and knob steps wait.",
        "The condition MetricsAvailable names the metric and the remedy."),
    BuiltinAlert("Conflict", "levers that somebody else moves", Severity.WARNING, 0.0, 60, 60,
        "Another controller or resource moves the same lever; Trimtab leaves it alone.",
        "The condition Conflicted names it."),
    BuiltinAlert("MoveRolledBack", "moves taken back", Severity.INFO, 0.0, 0, 3600,
        "A move hurt and was taken back within the last hour.",
        "status.decisions says what was seen; nothing to do unless it repeats."),
)
# fmt: on
"""Every built-in alert."""
BUILTIN_ALERT_NAMES: tuple[str, ...] = tuple(alert.name for alert in BUILTIN_ALERTS)
