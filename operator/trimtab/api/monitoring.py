"""spec.monitoring: what is measured and alerted on."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from trimtab.api.model import DNS_LABEL, ApiModel, Name, Seconds
from trimtab.api.quantity import Quantity


class Better(StrEnum):
    """Which way a metric improves."""

    LOWER = "Lower"
    HIGHER = "Higher"


class Scope(StrEnum):
    """Whose series a declared query may see."""

    WORKLOAD = "Workload"
    NAMESPACE = "Namespace"


class Metric(ApiModel):
    """One metric: PromQL of the user's, or a preset by name."""

    name: Name
    """Name of the metric; totalLatency, retrievalLatency, generationLatency, queryLatency and the
    other fixed names are shown in their status group."""
    query: Annotated[str | None, Field(min_length=1, max_length=4096)] = None
    """PromQL that gives one number. Trimtab adds the namespace, and the pods of the workload unless
    scope is Namespace, to every selector."""
    preset: Annotated[str | None, Field(min_length=1, max_length=63, pattern=DNS_LABEL)] = None
    """Name of a ready-made query, such as http-server-p95; `trimtab presets` lists them."""
    unit: Annotated[str | None, Field(max_length=32)] = None
    """Unit of the number: seconds or milliseconds for a latency (one whose name ends in Latency or Duration is in
    seconds without it), requests/second for the load that replicas follow; of any other nothing is concluded."""
    better: Better = Better.LOWER
    """Lower: smaller is better (latency). Higher: larger is better (throughput)."""
    scope: Scope = Scope.WORKLOAD
    """Workload: the query sees only the pods of the workload. Namespace: all series of the namespace."""


class Severity(StrEnum):
    """How loud an alert is."""

    INFO = "Info"
    WARNING = "Warning"
    CRITICAL = "Critical"


class Alert(ApiModel):
    """An alert on a metric: fires after forSeconds past the threshold, resolves after
    keepFiringForSeconds back inside."""

    name: Name
    """Name of the alert, unique in the resource."""
    metric: Name
    """Name of a metric of spec.monitoring.metrics, or a built-in: cpuUsage, memoryUsage, diskUsage,
    networkUsage."""
    above: Quantity | None = None
    """Fires while the metric is above this. Give above or below."""
    below: Quantity | None = None
    """Fires while the metric is below this. Give above or below."""
    for_seconds: Seconds = 300
    """How long the threshold must be passed before the alert fires."""
    keep_firing_for_seconds: Seconds = 300
    """How long the metric must be back inside before the alert resolves."""
    severity: Severity = Severity.WARNING
    """Info, Warning or Critical."""


class Objective(ApiModel):
    """A service level objective: the share of time in which a metric is inside its bound, or the share of events
    that are good, over a window of days. Burn-rate alerts come from it."""

    name: Name
    """Name of the objective, unique in the resource."""
    metric: Name | None = None
    """Name of a metric of spec.monitoring.metrics, or a built-in one; give metric with atMost or atLeast, or good and
    total."""
    at_most: Quantity | None = None
    """An interval is good while the metric is at most this."""
    at_least: Quantity | None = None
    """An interval is good while the metric is at least this."""
    good: Annotated[str | None, Field(min_length=1, max_length=4096)] = None
    """PromQL of the good events a second, such as sum(rate(http_requests_total{code!~"5.."}[5m]))."""
    total: Annotated[str | None, Field(min_length=1, max_length=4096)] = None
    """PromQL of all events a second."""
    scope: Scope = Scope.WORKLOAD
    """Whose series good and total may see, as for a metric."""
    target: Quantity
    """Share that must be good, above 0 and below 1, such as "0.99"."""
    window_days: Annotated[int, Field(ge=1, le=90)] = 30
    """Days over which it is promised."""


class Monitoring(ApiModel):
    """What is measured and alerted on."""

    enabled: bool = True
    """false stops everything for this resource: no query, no decision, no write to the workload."""
    sample_rate: Annotated[int, Field(ge=1, le=12)] = 4
    """Samples a minute; above 4 the operator looks more often than every 15 s. Decisions use the last sample and its
    age."""
    retention_days: Annotated[int, Field(ge=1, le=365)] = 14
    """How far back history is read at start, and how long decisions stay in the status."""
    datasource: Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)] = "default"
    """Name of a Prometheus that the administrator configured in the chart's values."""
    metrics: Annotated[list[Metric], Field(max_length=32)] = []
    """Metrics to collect, by name."""
    alert_thresholds: Annotated[dict[str, Quantity], Field(max_length=32)] = {}
    """Simple alerts: metric name to number. Fires above it (below it where better is Higher) for 5
    minutes."""
    alerts: Annotated[list[Alert], Field(max_length=32)] = []
    """Alerts with their own durations and severity."""
    objectives: Annotated[list[Objective], Field(max_length=8)] = []
    """Service level objectives. While one of them burns its error budget fast, capacity is not cut."""
