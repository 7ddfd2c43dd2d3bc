"""Operator metrics for Prometheus. Labels are bounded: phases, levers, reasons and names of resources."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
    metric_value: Gauge
    target_value: Gauge
    replicas: Gauge

    @classmethod
    def create(cls) -> "OperatorMetrics":
        """A fresh set in a registry of its own."""
        registry = CollectorRegistry()
        per_config = ("namespace", "name")
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
            decisions=Counter(
                "trimtab_decisions", "Decisions by lever and reason.", ("lever", "reason"), registry=registry
            ),
            outcomes=Counter(
                "trimtab_decision_outcomes",
                "Decisions by how they ended.",
                ("lever", "outcome"),
                registry=registry,
            ),
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
            metric_value=Gauge(
                "trimtab_metric",
                "Last number of a declared metric.",
                (*per_config, "metric"),
                registry=registry,
            ),
            target_value=Gauge("trimtab_target", "Target of a metric.", (*per_config, "metric"), registry=registry),
            replicas=Gauge("trimtab_ready_replicas", "Ready pods of the workload.", per_config, registry=registry),
        )

    def forget(self, namespace: str, name: str, metrics: list[str]) -> None:
        """Drop the series of a resource that is gone."""
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
