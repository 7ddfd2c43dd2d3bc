"""Operator metrics for Prometheus. Labels are bounded: phases, levers, reasons and names of resources."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from trimtab.api.reasons import Reason, ReasonKind
from trimtab.api.status import AlertState, Applied, OutcomeState, Recommendation
from trimtab.record.facts import CostFact, ObjectiveFact
from trimtab.record.journal import LEVER_NAMES

_ALERT_STATES = {AlertState.INACTIVE: 0, AlertState.PENDING: 1, AlertState.FIRING: 2, AlertState.UNKNOWN: -1}
_ENDS = (OutcomeState.KEPT, OutcomeState.ROLLED_BACK, OutcomeState.CONFOUNDED, OutcomeState.FAILED)
DECISION_REASONS = (*(one for one in Reason if one.doc.kind is ReasonKind.DECISION), Reason.MOVE_ROLLED_BACK)
"""Why a decision may be made."""
MONTH_HOURS = 730.0
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass(frozen=True, slots=True)
class OperatorMetrics:
    """Every series the operator exports, in one place."""

    registry: CollectorRegistry
    tick_seconds: Histogram
    tick_age: Gauge
    leader: Gauge
    configs: Gauge
    decisions: Counter
    outcomes: Counter
    writes: Counter
    refused: Counter
    queries: Counter
    errors: Counter
    alerts_firing: Gauge
    alert_state: Gauge
    request: Gauge
    knob: Gauge
    recommended_replicas: Gauge
    cost: Gauge
    nodes_cost: Gauge
    budget_used: Gauge
    savings: Gauge
    freed_cpu: Gauge
    freed_memory: Gauge
    slo_attainment: Gauge
    slo_budget: Gauge
    slo_burn: Gauge
    metric_value: Gauge
    target_value: Gauge
    replicas: Gauge
    checkpoints: Counter
    alerts_known: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    """(namespace, name) → alert → severity, of every series of alert_state."""
    shown: dict[tuple[str, str], dict[Gauge, set[tuple[str, ...]]]] = field(default_factory=dict)
    """(namespace, name) → gauge → further labels, of every series of `show`."""

    @classmethod
    def create(cls) -> "OperatorMetrics":
        """A fresh set in a registry of its own."""
        registry = CollectorRegistry()
        # Not `namespace`: most scrapers put the scraped pod's own there.
        per_config = ("config_namespace", "config_name")
        outcomes = Counter(
            "trimtab_decision_outcomes", "Decisions by how they ended.", ("lever", "outcome"), registry=registry
        )
        decisions = Counter(
            "trimtab_decisions", "Decisions by lever and reason.", ("lever", "reason"), registry=registry
        )
        # A counter that appears with its first event has risen by nothing: increase() and the alerts would miss it.
        for lever in LEVER_NAMES.values():
            for outcome in _ENDS:
                outcomes.labels(lever, outcome.value)
            for reason in DECISION_REASONS:
                decisions.labels(lever, reason.value)
        return cls(
            registry=registry,
            tick_seconds=Histogram(
                "trimtab_tick_seconds",
                "Time of one tick by phase.",
                ("phase",),
                registry=registry,
                buckets=_SECONDS,
            ),
            tick_age=Gauge(
                "trimtab_tick_age_seconds",
                "Seconds since the last finished tick of the leader.",
                registry=registry,
            ),
            leader=Gauge("trimtab_leader", "1 in the process that leads.", registry=registry),
            configs=Gauge("trimtab_performanceconfigs", "PerformanceConfigs known.", registry=registry),
            decisions=decisions,
            outcomes=outcomes,
            writes=Counter("trimtab_api_writes", "Writes to the API server by kind.", ("kind",), registry=registry),
            refused=Counter(
                "trimtab_act_refused",
                "Set points that could not be carried out, by reason.",
                ("lever", "reason"),
                registry=registry,
            ),
            queries=Counter(
                "trimtab_queries", "Answers of Prometheus by kind.", ("datasource", "kind"), registry=registry
            ),
            errors=Counter("trimtab_errors", "Errors that were caught, by phase.", ("phase",), registry=registry),
            alerts_firing=Gauge("trimtab_alerts_firing", "Alerts firing now.", per_config, registry=registry),
            alert_state=Gauge(
                "trimtab_alert_state",
                "State of an alert: 0 quiet, 1 pending, 2 firing (also while it has no data), -1 no data. "
                "Built-in alerts appear once they are pending or firing.",
                (*per_config, "alert", "severity"),
                registry=registry,
            ),
            request=Gauge(
                "trimtab_container_request",
                "Request of a container, in cores or bytes: applied (in force) and recommended.",
                (*per_config, "container", "resource", "state"),
                registry=registry,
            ),
            knob=Gauge(
                "trimtab_knob_value",
                "Value of a knob: applied (what new pods get) and recommended.",
                (*per_config, "knob", "state"),
                registry=registry,
            ),
            recommended_replicas=Gauge(
                "trimtab_recommended_replicas", "Replicas that Trimtab would have.", per_config, registry=registry
            ),
            cost=Gauge(
                "trimtab_cost_monthly",
                "What the workload costs a month of 730 hours at the present rate, by component.",
                (*per_config, "component", "currency"),
                registry=registry,
            ),
            nodes_cost=Gauge(
                "trimtab_nodes_cost_monthly",
                "What all nodes of the cluster cost a month of 730 hours: the bill, which falls only once nodes go.",
                ("currency",),
                registry=registry,
            ),
            budget_used=Gauge(
                "trimtab_cost_budget_used",
                "A month at the mean cost of the last day over the monthly budget.",
                per_config,
                registry=registry,
            ),
            savings=Gauge(
                "trimtab_savings_monthly",
                "What is saved a month against the workload's own baseline: value (0: inconclusive), low and high.",
                (*per_config, "bound", "currency"),
                registry=registry,
            ),
            freed_cpu=Gauge(
                "trimtab_freed_cpu_cores",
                "Cores of requests that the same work no longer takes.",
                per_config,
                registry=registry,
            ),
            freed_memory=Gauge(
                "trimtab_freed_memory_bytes",
                "Bytes of requests that the same work no longer takes.",
                per_config,
                registry=registry,
            ),
            slo_attainment=Gauge(
                "trimtab_slo_attainment",
                "Share that was good, of what is known of the objective's window.",
                (*per_config, "objective"),
                registry=registry,
            ),
            slo_budget=Gauge(
                "trimtab_slo_error_budget_remaining",
                "Share of the error budget that is left; below 0 the objective is missed.",
                (*per_config, "objective"),
                registry=registry,
            ),
            slo_burn=Gauge(
                "trimtab_slo_burn_rate",
                "How many times faster than allowed the error budget is spent, by window.",
                (*per_config, "objective", "window"),
                registry=registry,
            ),
            metric_value=Gauge(
                "trimtab_metric",
                "Last number of a declared metric.",
                (*per_config, "metric"),
                registry=registry,
            ),
            target_value=Gauge("trimtab_target", "Target of a metric.", (*per_config, "metric"), registry=registry),
            replicas=Gauge("trimtab_ready_replicas", "Ready pods of the workload.", per_config, registry=registry),
            checkpoints=Counter(
                "trimtab_checkpoints_read",
                "Checkpoints read when a resource was met: Resumed, or why it was learned anew.",
                ("result",),
                registry=registry,
            ),
        )

    def set_alerts(self, namespace: str, name: str, alerts: Mapping[str, tuple[str, str, bool]]) -> None:
        """Show the state of alerts, by name: severity, state, firing. One that is no longer told is quiet again."""
        self.alerts_firing.labels(namespace, name).set(sum(firing for _, _, firing in alerts.values()))
        known = self.alerts_known.setdefault((namespace, name), {})
        for gone, severity in list(known.items()):
            if gone not in alerts:
                self.alert_state.labels(namespace, name, gone, severity).set(0)
            elif alerts[gone][0] != severity:
                _remove(self.alert_state, namespace, name, gone, severity)
        for alert, (severity, state, firing) in alerts.items():
            number = 2 if firing else _ALERT_STATES[AlertState(state)]
            self.alert_state.labels(namespace, name, alert, severity).set(number)
            known[alert] = severity

    def set_objectives(self, namespace: str, name: str, objectives: Iterable[ObjectiveFact]) -> None:
        """Show how the objectives stand; those that are no longer declared, and unknown numbers, go."""
        gauges = (self.slo_attainment, self.slo_budget, self.slo_burn)
        shown: dict[Gauge, dict[tuple[str, ...], float]] = {gauge: {} for gauge in gauges}
        for fact in objectives:
            if math.isfinite(fact.attainment):
                shown[self.slo_attainment][(fact.name,)] = fact.attainment
                shown[self.slo_budget][(fact.name,)] = fact.budget
            for window, rate in fact.burn.items():
                shown[self.slo_burn][(fact.name, window)] = rate
        self.show(namespace, name, shown)

    def set_points(
        self,
        namespace: str,
        name: str,
        applied: Applied,
        recommended: Recommendation,
        knobs: Mapping[str, str],
    ) -> None:
        """Show the requests and knob values in force, and those that Trimtab would have; `knobs`: variable → knob."""
        shown: dict[Gauge, dict[tuple[str, ...], float]] = {
            gauge: {} for gauge in (self.request, self.knob, self.recommended_replicas)
        }
        for state, containers in (("applied", applied.containers), ("recommended", recommended.containers)):
            for container in containers:
                for resource, amount in (("cpu", container.requests.cpu), ("memory", container.requests.memory)):
                    if amount is not None:
                        shown[self.request][(container.name, resource, state)] = float(amount)
                for variable, value in container.env.items():
                    shown[self.knob][(knobs.get(variable, variable), state)] = float(value)
        for knob in recommended.knobs:
            shown[self.knob][(knob.name, "recommended")] = float(knob.value)
        if recommended.replicas is not None:
            shown[self.recommended_replicas][()] = float(recommended.replicas)
        self.show(namespace, name, shown)

    def set_cost(self, namespace: str, name: str, fact: CostFact | None) -> None:
        """Show what a workload costs and saves; unknown numbers go."""
        gauges = (self.cost, self.budget_used, self.savings, self.freed_cpu, self.freed_memory)
        shown: dict[Gauge, dict[tuple[str, ...], float]] = {gauge: {} for gauge in gauges}
        if fact is not None:
            if fact.bill > 0:
                self.nodes_cost.labels(fact.currency).set(MONTH_HOURS * fact.bill)
            shown[self.cost] = {(part, fact.currency): MONTH_HOURS * value for part, value in fact.parts.items()}
            if fact.budget_used > 0:
                shown[self.budget_used][()] = fact.budget_used
            bounds = {"value": fact.saved, "low": fact.low, "high": fact.high}
            shown[self.savings] = {(bound, fact.currency): value for bound, value in bounds.items()}
            shown[self.freed_cpu][()], shown[self.freed_memory][()] = fact.freed_cpu, fact.freed_memory
        known = {
            gauge: {labels: number for labels, number in numbers.items() if math.isfinite(number)}
            for gauge, numbers in shown.items()
        }
        self.show(namespace, name, known)

    def show(self, namespace: str, name: str, shown: Mapping[Gauge, Mapping[tuple[str, ...], float]]) -> None:
        """Set these series of a resource, by gauge and further labels, and drop its others of the same gauges."""
        for gauge, numbers in shown.items():
            known = self.shown.setdefault((namespace, name), {}).setdefault(gauge, set())
            for gone in known - numbers.keys():
                _remove(gauge, namespace, name, *gone)
            for labels, number in numbers.items():
                gauge.labels(namespace, name, *labels).set(number)
            known.clear()
            known.update(numbers)

    def forget(self, namespace: str, name: str, metrics: list[str]) -> None:
        """Drop the series of a resource that is gone."""
        for gauge, series in self.shown.pop((namespace, name), {}).items():
            for labels in series:
                _remove(gauge, namespace, name, *labels)
        for alert, severity in self.alerts_known.pop((namespace, name), {}).items():
            _remove(self.alert_state, namespace, name, alert, severity)
        for gauge in (self.alerts_firing, self.replicas):
            _remove(gauge, namespace, name)
        for metric in metrics:
            self.forget_metric(namespace, name, metric)

    def set_target(self, namespace: str, name: str, metric: str, target: float | None) -> None:
        """Show the target of a metric, or that it has none any more."""
        if target is None:
            _remove(self.target_value, namespace, name, metric)
        else:
            self.target_value.labels(namespace, name, metric).set(target)

    def forget_metric(self, namespace: str, name: str, metric: str) -> None:
        """Drop the series of one metric that is no longer declared."""
        _remove(self.metric_value, namespace, name, metric)
        _remove(self.target_value, namespace, name, metric)


def _remove(gauge: Gauge, *labels: str) -> None:
    try:
        gauge.remove(*labels)
    except KeyError:
        return
