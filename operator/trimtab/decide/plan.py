"""What `decide` gives back: set points for every row, the decisions behind the changes, and alert states."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.api.status import AlertState, OutcomeState
from trimtab.decide.columns import B1, F8, I8, S, Table, column
from trimtab.decide.observation import NAN, Lever


@dataclass(frozen=True, slots=True)
class Decision:
    """One move: what, why, what was expected, how it ended. Journal, status and events are made of these."""

    id: str
    """Unique in the resource and derived from its content: time, lever and subject."""
    workload: str
    """Key of the workload."""
    time: float
    lever: Lever
    subject: str
    """Container or knob; empty for replicas."""
    before: float
    after: float
    reason: Reason
    message: str
    """One sentence with the numbers."""
    predicted: str = ""
    inputs: dict[str, float] = field(default_factory=dict)
    """Numbers it was made from; what a restart needs to verify or roll back is in here."""
    outcome: OutcomeState = OutcomeState.PENDING
    outcome_message: str = ""
    emergency: bool = False
    """OOM, saturation or rollback: never blocked by budgets and freezes."""

    def ended(self, outcome: OutcomeState, message: str) -> Self:
        """The same decision with its outcome."""
        return replace(self, outcome=outcome, outcome_message=message)


@dataclass(frozen=True, slots=True)
class ContainerPlan(Table):
    """Set points of the containers; C rows as in Containers. NaN: leave it as it is."""

    cpu: F8 = column("f8", NAN)
    memory: F8 = column("f8", NAN)
    cpu_limit: F8 = column("f8", NAN)
    memory_limit: F8 = column("f8", NAN)
    recommended_cpu: F8 = column("f8", NAN)
    recommended_memory: F8 = column("f8", NAN)
    lent: F8 = column("f8", NAN)
    """Cores that running pods have on top of CPU request and limit, to bridge a surge; 0: none; NaN: leave it."""
    lent_before: F8 = column("f8", 0.0)
    """Unix time; pods created later do not have it."""
    lent_until: F8 = column("f8", 0.0)
    """Unix time at which it is taken back at the latest."""


@dataclass(frozen=True, slots=True)
class KnobPlan(Table):
    """Set points of the knobs; K rows as in Knobs."""

    value: I8 = column("i8", 0)
    """Value for new pods; running pods that differ are swapped, one at a time."""
    trial: I8 = column("i8", -1)
    """Value that one trial pod shall have; −1: no trial pod shall exist."""
    keep_trial: B1 = column(bool, False)
    """The trial pod is adopted as the first pod of the roll (`value` is then its value)."""
    recommended: I8 = column("i8", 0)


@dataclass(frozen=True, slots=True)
class AlertPlan(Table):
    """State of the alerts; rows as in Alerts."""

    state: S = column(object, AlertState.UNKNOWN)
    firing: B1 = column(bool, False)
    """Firing now, or firing when its data went missing."""
    since: F8 = column("f8", NAN)
    """Unix time since when it is in this state."""
    cleared_since: F8 = column("f8", NAN)
    """Unix time since when a firing alert is back inside; NaN otherwise."""
    breach_since: F8 = column("f8", NAN)
    """Unix time since when it is past its threshold, gaps in the data included; NaN: it is not."""
    changed: B1 = column(bool, False)
    """An alert began to fire, resolved, or lost its data while firing: an event is due."""


@dataclass(frozen=True, slots=True)
class DerivedAlerts(Table):
    """Alerts that nobody declared (built-in ones, burn rates) and that are pending, firing, or were until now."""

    workload: I8 = column("i8", 0)
    name: S = column(object, "")
    metric: S = column(object, "")
    """What the value is, in words."""
    severity: S = column(object, "Warning")
    state: S = column(object, AlertState.UNKNOWN)
    firing: B1 = column(bool, False)
    since: F8 = column("f8", NAN)
    cleared_since: F8 = column("f8", NAN)
    breach_since: F8 = column("f8", NAN)
    changed: B1 = column(bool, False)
    value: F8 = column("f8", NAN)
    threshold: F8 = column("f8", NAN)

    @classmethod
    def joined(cls, first: Self, second: Self) -> Self:
        """The rows of both."""
        names = [name for name, _ in cls.columns()]
        return cls(**{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names})


@dataclass(frozen=True, slots=True)
class ObjectivePlan(Table):
    """How the objectives stand; rows as in Objectives, columns as in ObjectiveMemory."""

    attainment: F8 = column("f8", NAN)
    known: F8 = column("f8", 0.0)
    burn: F8 = column("f8", NAN, width=7)
    week_attainment: F8 = column("f8", NAN, width=14)
    week_known: F8 = column("f8", 0.0, width=14)


class SavingsVerdict(StrEnum):
    """What can be said of savings."""

    NO_BASELINE = "NoBaseline"
    LEARNING = "Learning"
    INCONCLUSIVE = "Inconclusive"
    SAVES = "Saves"
    COSTS_MORE = "CostsMore"


@dataclass(frozen=True, slots=True)
class CostPlan(Table):
    """Costs and savings; W rows. Money is in the currency of the prices, a month has 730 hours."""

    mean: F8 = column("f8", NAN)
    """Mean cost an hour of about the last day."""
    budget_used: F8 = column("f8", 0.0)
    """A month at that mean over the monthly budget; 0: no budget."""
    verdict: S = column(object, SavingsVerdict.NO_BASELINE)
    by_requests: B1 = column(bool, False)
    """Units are requests; otherwise hours."""
    saved: F8 = column("f8", NAN)
    """A month; 0 where the interval spans 0, NaN before enough is known."""
    low: F8 = column("f8", NAN)
    high: F8 = column("f8", NAN)
    """Interval of what is saved a month."""
    freed_cpu: F8 = column("f8", NAN)
    freed_memory: F8 = column("f8", NAN)
    """Cores and bytes of requests that the same work no longer takes."""
    bill_reduced: F8 = column("f8", NAN)
    """By how much the nodes of the whole cluster cost less a month than in the baseline."""
    baseline: F8 = column("f8", 0.0, width=7)
    actual: F8 = column("f8", 0.0, width=7)
    """Hours, cost, units, standard error of the unit cost, mean cores, bytes and cost of the nodes."""


@dataclass(frozen=True, slots=True)
class WorkloadPlan(Table):
    """Set points and verdicts of the workloads; W rows as in Workloads."""

    replicas: I8 = column("i8", 0)
    """Wanted spec.replicas; equal to the observed one where nothing shall change, −1 where replicas are not tuned."""
    recommended_replicas: I8 = column("i8", -1)
    met: B1 = column(bool, False)
    """Every target known and met."""
    missed: B1 = column(bool, False)
    """At least one target known and missed."""
    history_seconds: F8 = column("f8", 0.0)
    moves_today: I8 = column("i8", 0)
    resizes_today: I8 = column("i8", 0)


@dataclass(frozen=True, slots=True)
class Remark:
    """A reason to show on a condition: what holds a lever (Limited), what tuning is doing (Tuning)."""

    condition: str
    """Tuning or Limited."""
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole answer of one tick, rows in the order of the Observation."""

    workloads: WorkloadPlan
    containers: ContainerPlan
    knobs: KnobPlan
    alerts: AlertPlan
    derived: DerivedAlerts = field(default_factory=DerivedAlerts)
    objectives: ObjectivePlan = field(default_factory=ObjectivePlan)
    costs: CostPlan = field(default_factory=CostPlan)
    decisions: tuple[Decision, ...] = ()
    """New decisions and decisions whose outcome changed in this tick."""
    remarks: dict[int, tuple[Remark, ...]] = field(default_factory=dict)
    """Workload row → remarks, most important first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a plan's set point when it was carried out, for the record and for the next tick."""

    workload: str
    lever: Lever
    subject: str
    ok: bool
    reason: Reason
    message: str
    pods: int = 0
    """Pods it touched."""
