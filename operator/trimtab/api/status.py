"""PerformanceConfig.status (v1alpha1): what Trimtab saw, did and would do, in published quantities."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from trimtab.api.quantity import Quantity
from trimtab.api.spec import ApiModel, Severity

TEXT_LENGTH = 1024
SHORT_LENGTH = 253


def _clip(length: int) -> BeforeValidator:
    """Cut what is too long: a status that the API server refuses would tell nothing at all."""

    def clip(value: object) -> object:
        return value[: length - 1] + "…" if isinstance(value, str) and len(value) > length else value

    return BeforeValidator(clip)


Text = Annotated[str, Field(max_length=TEXT_LENGTH), _clip(TEXT_LENGTH)]
ShortText = Annotated[str, Field(max_length=SHORT_LENGTH), _clip(SHORT_LENGTH)]
Time = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]


class Condition(ApiModel):
    """One condition, as in metav1.Condition."""

    type: Annotated[str, Field(max_length=63)]
    """Name of the condition."""
    status: Annotated[str, Field(max_length=7, pattern=r"^(True|False|Unknown)$")]
    """True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=63)]
    """CamelCase reason; docs/reference lists them with causes and remedies."""
    message: Text = ""
    """One sentence for a person."""
    last_transition_time: Time
    """When the status last changed."""
    observed_generation: int = 0
    """Generation of the spec that this is about."""


class UnknownMetric(ApiModel):
    """A metric without a number, and why."""

    name: ShortText
    """Name of the metric."""
    reason: ShortText
    """NoTraffic, MetricEmpty, MetricStale, MetricNaN, MetricInf, MetricAmbiguous, MetricsError,
    DatasourceUnavailable, DatasourceUnknown, PresetUnknown, PromQLInvalid or PromQLRefused."""
    message: Text = ""
    """What to do about it."""


class MetricGroups(ApiModel):
    """Last known numbers, two significant digits; a metric without a number is under unknown, never zero."""

    timing: Annotated[dict[str, Quantity], Field(max_length=48)] = {}
    """queryLatency, retrievalLatency, generationLatency and totalLatency, in seconds."""
    resources: Annotated[dict[str, Quantity], Field(max_length=48)] = {}
    """memoryUsage in bytes, cpuUsage in cores, diskUsage and networkUsage in bytes a second, summed
    over the pods."""
    costs: Annotated[dict[str, Quantity], Field(max_length=48)] = {}
    """computeCosts, storageCosts and apiCosts: a month of 730 hours at the present rate, unless declared as metrics;
    costPerThousandRequests."""
    other: Annotated[dict[str, Quantity], Field(max_length=48)] = {}
    """Every other declared metric."""
    unknown: Annotated[list[UnknownMetric], Field(max_length=48)] = []
    """Metrics without a number now."""
    sampled_at: Time | None = None
    """When CPU and memory of the pods were last read; absent before the first reading."""


class Resources(ApiModel):
    """Amounts by resource name."""

    cpu: Quantity | None = None
    """CPU in cores."""
    memory: Quantity | None = None
    """Memory in bytes."""


class ContainerResources(ApiModel):
    """Requests, limits and knob values of one container."""

    name: ShortText
    """Name of the container."""
    requests: Resources = Resources()
    """Requests."""
    limits: Resources = Resources()
    """Limits."""
    env: Annotated[dict[str, int], Field(max_length=8)] = {}
    """Knob variables and their values."""


class KnobValue(ApiModel):
    """Value of one knob."""

    name: ShortText
    """Name of the knob."""
    value: int
    """Its value."""


class Recommendation(ApiModel):
    """What Trimtab would do with nothing in its way but the constraints."""

    replicas: int | None = None
    """Replica count."""
    containers: Annotated[list[ContainerResources], Field(max_length=24)] = []
    """Requests and limits by container."""
    knobs: Annotated[list[KnobValue], Field(max_length=8)] = []
    """Knob values."""


class Applied(ApiModel):
    """What is in force on running pods and what new pods get."""

    replicas: int | None = None
    """spec.replicas of the workload."""
    containers: Annotated[list[ContainerResources], Field(max_length=24)] = []
    """By container; empty where the template rules."""


class OutcomeState(StrEnum):
    """How a decision ended."""

    RECOMMENDED = "Recommended"
    PENDING = "Pending"
    VERIFYING = "Verifying"
    KEPT = "Kept"
    ROLLED_BACK = "RolledBack"
    CONFOUNDED = "Confounded"
    FAILED = "Failed"


class DecisionStatus(ApiModel):
    """One decision, with the numbers it was made from."""

    id: ShortText
    """Identity, unique in the resource; logs and events carry it."""
    time: Time
    """When it was made."""
    lever: ShortText
    """Replicas, CPU, Memory or Knob, with the container or knob after a slash."""
    from_: Annotated[ShortText, Field(alias="from")]
    """Value before."""
    to: ShortText
    """Value after."""
    reason: ShortText
    """CamelCase reason."""
    message: Text
    """One sentence with the numbers."""
    predicted: Text = ""
    """What was expected of it."""
    outcome: OutcomeState = OutcomeState.PENDING
    """How it ended."""
    outcome_message: Text = ""
    """What was seen."""
    inputs: Annotated[dict[str, Quantity], Field(max_length=48)] = {}
    """Numbers the decision was made from, by name."""


class AlertState(StrEnum):
    """State of an alert. No data is Unknown, never resolved."""

    INACTIVE = "Inactive"
    PENDING = "Pending"
    FIRING = "Firing"
    UNKNOWN = "Unknown"


class AlertStatus(ApiModel):
    """One alert now."""

    name: ShortText
    """Name of the alert."""
    state: AlertState
    """Inactive, Pending, Firing or Unknown."""
    severity: Severity = Severity.WARNING
    """Info, Warning or Critical."""
    since: Time | None = None
    """Since when it is in this state."""
    value: Quantity | None = None
    """Last known value."""
    threshold: Quantity | None = None
    """The number it is compared with."""
    firing: bool = False
    """Whether it was firing before its data went missing."""
    cleared_since: Time | None = None
    """Since when a firing alert has been back inside its threshold."""
    breach_since: Time | None = None
    """Since when it has been past its threshold, gaps in the data included: the clock of forSeconds."""


class BurnRate(ApiModel):
    """How fast an error budget is spent over a window; 1 spends it just within the objective's own window."""

    window: ShortText
    """Length of the window: 5m, 30m, 1h, 2h, 6h, 1d or 3d."""
    rate: Quantity
    """Times the rate that the budget allows."""


class WeekStatus(ApiModel):
    """One calendar week of an objective."""

    start: Time
    """Monday, 00:00 UTC."""
    attainment: Quantity
    """Share that was good, of what is known."""
    known_hours: int = 0
    """Hours that are known; 168 in a whole week."""


class ObjectiveStatus(ApiModel):
    """One service level objective now."""

    name: ShortText
    """Name of the objective."""
    target: Quantity
    """Share that is promised."""
    attainment: Quantity | None = None
    """Share that was good, of what is known of the window; absent while nothing is known."""
    error_budget_remaining: Quantity | None = None
    """Share of the error budget that is left; below 0 the objective is missed."""
    unknown: Quantity | None = None
    """Share of the window of which nothing is known; it counts neither as good nor as bad."""
    burn_rate: Annotated[list[BurnRate], Field(max_length=8, json_schema_extra={"listMapKey": "window"})] = []
    """Burn rates by window."""
    weeks: Annotated[list[WeekStatus], Field(max_length=14, json_schema_extra={"listMapKey": "start"})] = []
    """Calendar weeks inside the window, the present one first."""


class UnitCost(ApiModel):
    """What a unit of work cost over a period."""

    hours: Quantity
    """Hours that are known; those since the first move fade with a half-life of a week."""
    cost: Quantity
    """Their cost."""
    units: Quantity
    """Requests served in them, or the hours themselves."""
    error: Quantity
    """Standard error of cost/units."""
    cpu: Quantity
    """Mean cores requested."""
    memory: Quantity
    """Mean bytes requested."""
    nodes: Quantity
    """Mean cost an hour of all nodes of the cluster; 0: not known."""


class Savings(ApiModel):
    """What the workload saves a month (730 hours) against its own baseline, the time before the first move."""

    summary: ShortText
    """One short text for kubectl get."""
    verdict: ShortText
    """NoBaseline, Learning, Inconclusive, Saves or CostsMore."""
    unit: ShortText
    """Requests, or Hours where the rate of requests is not known."""
    per_month: Quantity | None = None
    """What is saved; 0 while the interval spans 0, below 0 where it costs more. Priced capacity, not a smaller bill."""
    low: Quantity | None = None
    """Lower end of the 95% interval."""
    high: Quantity | None = None
    """Upper end of the 95% interval."""
    capacity_freed: Resources | None = None
    """Requests that the same work no longer takes; absent where it takes more."""
    cluster_bill_reduced_per_month: Quantity | None = None
    """By how much the nodes of the whole cluster cost less than in the baseline: capacity freed lowers the bill only
    once nodes go."""
    baseline: UnitCost | None = None
    """Before the first move."""
    actual: UnitCost | None = None
    """Since the first move."""


class CostStatus(ApiModel):
    """What the costs are made of."""

    currency: ShortText
    """Currency of every cost of this status."""
    prices: ShortText
    """OpenCost, or Static."""
    cpu_hour: Quantity | None = None
    """What a core costs an hour, a mean over the nodes of its pods."""
    memory_gib_hour: Quantity | None = None
    """What a GiB of memory costs an hour, likewise."""
    per_month: Quantity | None = None
    """A month at the mean cost of the last day."""
    budget_used: Quantity | None = None
    """That month over the monthly budget."""
    problems: Annotated[list[Text], Field(max_length=8)] = []
    """Prices that can't be right, and what is missing."""


class Learning(ApiModel):
    """How far learning is."""

    history_seconds: int = 0
    """Seconds of usage known."""
    required_seconds: int = 0
    """minHistorySeconds; requests are not cut before."""
    moves_today: int = 0
    """Moves that replaced pods in the last 24 h."""
    resizes_today: int = 0
    """Largest number of in-place resizes of one container in the last 24 h."""
    template_hash: ShortText = ""
    """Template that learning belongs to; a change starts it anew."""


class PerformanceConfigStatus(ApiModel):
    """What Trimtab saw, did and would do."""

    observed_generation: int = 0
    """Generation of the spec that this status is about."""
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra={"listMapKey": "type"})] = []
    """Ready, Reconciling, Stalled, TargetFound, MetricsAvailable, Tuning, Limited, Conflicted and
    Alerting."""
    metrics: MetricGroups = MetricGroups()
    """Last known numbers."""
    replicas: int | None = None
    """Pods that are ready."""
    learning: Learning = Learning()
    """How far learning is."""
    recommendation: Recommendation = Recommendation()
    """What Trimtab would do."""
    applied: Applied = Applied()
    """What is in force."""
    decisions: Annotated[list[DecisionStatus], Field(max_length=10, json_schema_extra={"listMapKey": "id"})] = []
    """Last 10 decisions, newest first."""
    cost: CostStatus | None = None
    """What the costs under metrics are made of."""
    savings: Savings | None = None
    """What is saved."""
    slo: Annotated[list[ObjectiveStatus], Field(max_length=8)] = []
    """Service level objectives: what was promised and what was delivered."""
    alerts: Annotated[list[AlertStatus], Field(max_length=128)] = []
    """Every declared alert and its state; built-in ones and burn rates while they are pending or firing."""
    summary: ShortText = ""
    """One line: the last decision, for kubectl get."""
