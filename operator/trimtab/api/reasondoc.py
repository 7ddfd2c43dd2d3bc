"""What people need to know about a reason: the types of its documentation."""

from dataclasses import dataclass
from enum import StrEnum


class ReasonKind(StrEnum):
    """Where a reason is seen first."""

    CONDITION = "Condition"
    """A condition of the resource."""
    LIMITED = "Limited"
    """The condition Limited: a lever that Trimtab would move and may not."""
    METRIC = "Metric"
    """The condition MetricsAvailable, and status.metrics.unknown."""
    DECISION = "Decision"
    """A decision in status.decisions, and its event."""
    EVENT = "Event"
    """An event on the resource."""


@dataclass(frozen=True, slots=True)
class ReasonDoc:
    """What a person needs to know about a reason: what it is called, why it is there, what to do."""

    title: str
    cause: str
    remedy: str
    kind: ReasonKind
