"""Conditions of a PerformanceConfig: always all of them, Unknown first, as kstatus reads them.

Ready is normal-true; Reconciling and Stalled are abnormal-true (sigs.k8s.io/cli-utils/pkg/kstatus).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from trimtab.api.reasons import Reason
from trimtab.api.status import Condition


class ConditionType(StrEnum):
    """Every condition, in the order in which they are shown."""

    READY = "Ready"
    """Trimtab took the newest generation in and works on it."""
    RECONCILING = "Reconciling"
    """A change is being taken in, or a move is under way."""
    STALLED = "Stalled"
    """Nothing will happen until a person acts; the message says what to do."""
    TARGET_FOUND = "TargetFound"
    """The workload exists and can be tuned."""
    METRICS_AVAILABLE = "MetricsAvailable"
    """Every metric has a number."""
    TUNING = "Tuning"
    """Trimtab may act now; the reason says what it waits for when not."""
    LIMITED = "Limited"
    """A lever that should be moved may not be."""
    CONFLICTED = "Conflicted"
    """Another controller moves the same lever."""
    ALERTING = "Alerting"
    """An alert fires."""


class ConditionStatus(StrEnum):
    """Three values: not to know is not the same as not to be so."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, value: bool | None) -> "ConditionStatus":
        """True, False, or Unknown for None."""
        if value is None:
            return cls.UNKNOWN
        return cls.TRUE if value else cls.FALSE


@dataclass(frozen=True, slots=True)
class Finding:
    """What is now found about one condition; `merge` adds the times."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str = ""


def merge(old: Iterable[Condition], new: Iterable[Finding], now: str, generation: int = 0) -> list[Condition]:
    """All conditions, in order: found ones brought up to date, others as they were, or Unknown at first.

    `lastTransitionTime` stays while the status is unchanged, whatever becomes of reason and message
    (metav1.Condition). The last finding about a type counts. `now` is RFC 3339 with a Z; `generation` is that
    of the spec that the findings are about.
    """
    before = {condition.type: condition for condition in old}
    found = {finding.type: finding for finding in new}
    return [_merged(kind, before.get(kind), found.get(kind), now, generation) for kind in ConditionType]


def _merged(
    kind: ConditionType, before: Condition | None, found: Finding | None, now: str, generation: int
) -> Condition:
    if found is None:
        if before is not None:
            return before
        found = Finding(kind, ConditionStatus.UNKNOWN, Reason.PENDING, "not looked at yet")
    same = before is not None and before.status == found.status
    return Condition(
        type=kind.value,
        status=found.status.value,
        reason=found.reason.value,
        message=found.message,
        last_transition_time=before.last_transition_time if before is not None and same else now,
        observed_generation=generation,
    )
