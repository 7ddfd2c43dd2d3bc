"""Rules between the fields of spec.monitoring; what a rule is stands in rule.py."""

from collections.abc import Iterable

from trimtab.api.builtin_alerts import BUILTIN_ALERT_NAMES
from trimtab.api.monitoring import Alert, Metric, Monitoring, Objective, Scope
from trimtab.api.rule import Rule, one_of, quantity

BUILT_IN_METRICS = ("cpuUsage", "memoryUsage", "diskUsage", "networkUsage")
"""Metrics that Trimtab measures for every workload: alerts may name them, no metric may take their name."""

_BUILT_INS = ", ".join(f"'{name}'" for name in BUILT_IN_METRICS)
_ALERT_NAMES = ", ".join(f"'{name}'" for name in BUILTIN_ALERT_NAMES)
_KNOWN = f"(k in [{_BUILT_INS}] || (has(self.metrics) && self.metrics.exists(m, m.name == k)))"


def unknown(names: Iterable[str], spec: Monitoring, *extra: str) -> set[str]:
    """Names that are neither declared metrics nor in `extra`."""
    return set(names) - {metric.name for metric in spec.metrics} - set(extra)


METRIC: tuple[Rule[Metric], ...] = (
    Rule(
        "has(self.query) != has(self.preset)",
        "a metric has either query or preset; give exactly one of them",
        lambda metric: one_of(metric.query, metric.preset),
    ),
    Rule(
        f"!(self.name in [{_BUILT_INS}])",
        f"{', '.join(BUILT_IN_METRICS)} are measured without being declared; choose another name",
        lambda metric: metric.name not in BUILT_IN_METRICS,
        ".name",
    ),
    Rule(
        f"!(self.name in [{_ALERT_NAMES}])",
        "metrics[].name is the name of a built-in alert; choose another",
        lambda metric: metric.name not in BUILTIN_ALERT_NAMES,
        ".name",
    ),
    Rule(
        "!has(self.preset) || !has(self.scope) || self.scope == 'Workload'",
        "a preset always sees the pods of the workload; leave scope out, or write a query",
        lambda metric: metric.preset is None or metric.scope is Scope.WORKLOAD,
        ".scope",
    ),
)

ALERT: tuple[Rule[Alert], ...] = (
    Rule(
        "has(self.above) != has(self.below)",
        "an alert has either above or below; give exactly one of them",
        lambda alert: one_of(alert.above, alert.below),
    ),
    Rule(
        f"!(self.name in [{_ALERT_NAMES}])",
        "alerts[].name is the name of a built-in alert; choose another",
        lambda alert: alert.name not in BUILTIN_ALERT_NAMES,
        ".name",
    ),
)

OBJECTIVE: tuple[Rule[Objective], ...] = (
    Rule(
        "has(self.metric) != has(self.good) && has(self.good) == has(self.total)",
        "an objective has either metric, or good and total; give exactly one of the two forms",
        lambda goal: one_of(goal.metric, goal.good) and (goal.good is None) == (goal.total is None),
    ),
    Rule(
        "has(self.metric) ? has(self.atMost) != has(self.atLeast) : !has(self.atMost) && !has(self.atLeast)",
        "an objective with metric needs exactly one bound; give atMost or atLeast, and neither beside good and total",
        lambda goal: (
            one_of(goal.at_most, goal.at_least)
            if goal.metric is not None
            else goal.at_most is None and goal.at_least is None
        ),
    ),
    Rule(
        f"{quantity('self.target')}.isGreaterThan(quantity('0'))"
        f" && {quantity('self.target')}.isLessThan(quantity('1'))",
        'target is a share above 0 and below 1; write "0.99" for 99%',
        lambda goal: 0 < goal.target.value < 1,
        ".target",
    ),
)

MONITORING: tuple[Rule[Monitoring], ...] = (
    Rule(
        f"!has(self.alertThresholds) || self.alertThresholds.all(k, {_KNOWN})",
        "alertThresholds names a metric that is not declared; add it to spec.monitoring.metrics or use"
        f" {', '.join(BUILT_IN_METRICS)}",
        lambda mon: not unknown(mon.alert_thresholds, mon, *BUILT_IN_METRICS),
        ".alertThresholds",
    ),
    Rule(
        f"!has(self.alerts) || self.alerts.map(a, a.metric).all(k, {_KNOWN})",
        "alerts[].metric names a metric that is not declared; add it to spec.monitoring.metrics or use"
        f" {', '.join(BUILT_IN_METRICS)}",
        lambda mon: not unknown((alert.metric for alert in mon.alerts), mon, *BUILT_IN_METRICS),
        ".alerts",
    ),
    Rule(
        f"!has(self.objectives) || self.objectives.filter(o, has(o.metric)).map(o, o.metric).all(k, {_KNOWN})",
        "objectives[].metric names a metric that is not declared; add it to spec.monitoring.metrics or use"
        f" {', '.join(BUILT_IN_METRICS)}",
        lambda mon: (
            not unknown((goal.metric for goal in mon.objectives if goal.metric is not None), mon, *BUILT_IN_METRICS)
        ),
        ".objectives",
    ),
    Rule(
        "!has(self.alerts) || !has(self.alertThresholds) || self.alerts.all(a, !(a.name in self.alertThresholds))",
        "alerts[].name is the key of an alertThresholds entry, whose alert has that name; rename the alert",
        lambda mon: not {alert.name for alert in mon.alerts} & set(mon.alert_thresholds),
        ".alerts",
    ),
)
