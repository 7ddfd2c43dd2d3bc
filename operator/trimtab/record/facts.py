"""What the record is given about one PerformanceConfig: facts of this tick, already in plain values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.api.answers import Answer, AnswerKind
from trimtab.api.reasons import Reason, find_reason
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.api.status import Applied, Recommendation
from trimtab.decide.observation import Block
from trimtab.decide.plan import Outcome, Remark

_BY_KIND = {
    AnswerKind.VALUE: Reason.ALL_METRICS_KNOWN,
    AnswerKind.NO_TRAFFIC: Reason.NO_TRAFFIC,
    AnswerKind.EMPTY: Reason.METRIC_EMPTY,
    AnswerKind.STALE: Reason.METRIC_STALE,
    AnswerKind.NAN: Reason.METRIC_NAN,
    AnswerKind.INF: Reason.METRIC_INF,
    AnswerKind.AMBIGUOUS: Reason.METRIC_AMBIGUOUS,
    AnswerKind.ERROR: Reason.METRICS_ERROR,
}


_SOURCE_DOWN = frozenset(
    {"Unreachable", "Timeout", "CircuitOpen", "ServerError", "Unauthorized", "Redirected", "BadAnswer"}
)
"""Reasons of a datasource that are about the server, not about the query."""


@dataclass(frozen=True, slots=True)
class MetricFact:
    """A metric and the last answer to its query."""

    name: str
    answer: Answer
    target: float | None = None
    declared: bool = True
    """False for what Trimtab measures by itself."""

    @property
    def unknown(self) -> bool:
        """Whether there is neither a number nor the knowledge that no traffic explains it."""
        return self.answer.kind not in (AnswerKind.VALUE, AnswerKind.NO_TRAFFIC)

    @property
    def reason(self) -> Reason:
        """The answer's own reason where it is one of ours (DatasourceUnknown, …), otherwise that of its kind."""
        if self.answer.reason in _SOURCE_DOWN:
            return Reason.DATASOURCE_UNAVAILABLE
        return find_reason(self.answer.reason) or _BY_KIND[self.answer.kind]


@dataclass(frozen=True, slots=True)
class AlertFact:
    """One alert as decided; times are Unix seconds, NaN for none."""

    name: str
    metric: str
    state: str
    severity: str
    firing: bool
    since: float
    cleared_since: float
    value: float
    threshold: float
    below: bool
    changed: bool
    derived: bool = False
    """Built in or made from an objective: nobody declared it, and only its own firing is news."""
    breach_since: float = math.nan
    """Since when it is past its threshold, gaps in the data included."""


@dataclass(frozen=True, slots=True)
class ObjectiveFact:
    """One service level objective; NaN for what is not known."""

    name: str
    target: float
    attainment: float
    known: float
    """Share of the window that is known."""
    burn: Mapping[str, float]
    """Burn rate by window."""
    weeks: tuple[tuple[float, float, float], ...]
    """(Unix time of its start, attainment, seconds known) of each week, the present one first."""

    @property
    def budget(self) -> float:
        """Share of the error budget that is left."""
        return 1 - (1 - self.attainment) / (1 - self.target)


@dataclass(frozen=True, slots=True)
class UnitCostFact:
    """What a unit of work cost over a period: as CostPlan.baseline."""

    hours: float
    cost: float
    units: float
    error: float
    cpu: float
    memory: float
    nodes: float


@dataclass(frozen=True, slots=True)
class CostFact:
    """What a workload costs and saves; money a month, NaN for what is not known."""

    currency: str
    prices: str
    problems: tuple[str, ...]
    mean: float
    """An hour, over the last day."""
    parts: Mapping[str, float]
    """compute, storage and api, an hour now."""
    bill: float
    """What all nodes of the cluster cost an hour; 0: not known."""
    budget_used: float
    """0: there is no budget."""
    verdict: str
    by_requests: bool
    saved: float
    low: float
    high: float
    freed_cpu: float
    freed_memory: float
    bill_reduced: float
    baseline: UnitCostFact
    actual: UnitCostFact
    cpu_hour: float = math.nan
    memory_gib_hour: float = math.nan
    """Means over the nodes of its pods of what a core and a GiB cost an hour."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing is moved for a resource as a whole, and whether it is still observed."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the status, the events and the metrics of one resource are made of."""

    key: str
    uid: str
    generation: int
    spec: PerformanceConfigSpec | None
    """None: the spec can't be used; `problems` say why."""
    problems: tuple[tuple[str, Reason, str], ...] = ()
    """(field, reason, message) of what is wrong with the spec."""
    target: tuple[Reason, str] | None = None
    """None: the cache is not synced yet, nothing is known of the target."""
    hold: Hold | None = None
    """Recommend only, paused, mode, monitoring disabled…; None: it acts."""
    metrics: tuple[MetricFact, ...] = ()
    blocks: tuple[Block, ...] = ()
    remarks: tuple[Remark, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    alerts: tuple[AlertFact, ...] = ()
    objectives: tuple[ObjectiveFact, ...] = ()
    cost: CostFact | None = None
    recommendation: Recommendation = field(default_factory=Recommendation)
    applied: Applied = field(default_factory=Applied)
    ready: int | None = None
    converging: bool = False
    """Running pods are not yet at the set point, or a rollout is under way."""
    met: bool = False
    missed: bool = False
    history_seconds: float = 0.0
    moves_today: int = 0
    resizes_today: int = 0
    template_hash: str = ""
    sampled_at: float = 0.0
    """Unix time of the newest built-in measurement; 0: none yet."""

    @property
    def namespace(self) -> str:
        """Namespace of the resource."""
        return self.key.partition("/")[0]

    @property
    def name(self) -> str:
        """Name of the resource."""
        return self.key.partition("/")[2]

    def metric(self, name: str) -> MetricFact | None:
        """The fact about a metric by name."""
        return next((fact for fact in self.metrics if fact.name == name), None)

    def targets(self) -> Mapping[str, float]:
        """Target by metric name."""
        return {fact.name: fact.target for fact in self.metrics if fact.target is not None}
