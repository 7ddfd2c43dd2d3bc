"""The last ten decisions of each resource, and their way into the status and back after a restart."""

import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from trimtab.api.quantity import Quantity, format_cpu, format_memory, format_plain
from trimtab.api.reasons import find_reason
from trimtab.api.status import DecisionStatus
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision

KEPT_DECISIONS = 10
LEVER_NAMES = {Lever.REPLICAS: "Replicas", Lever.CPU: "CPU", Lever.MEMORY: "Memory", Lever.KNOB: "Knob"}
_BY_NAME = {name: lever for lever, name in LEVER_NAMES.items()}
INPUT_DIGITS = 15
"""Significant digits of inputs: a byte count comes back as it was, or a restart would pursue another set point."""


@dataclass(slots=True)
class Journal:
    """Decisions by resource, newest first."""

    _by_key: dict[str, OrderedDict[str, Decision]] = field(default_factory=dict)

    def note(self, decisions: Iterable[Decision]) -> None:
        """Take in new decisions and new outcomes of known ones."""
        for decision in decisions:
            known = self._by_key.setdefault(decision.workload, OrderedDict())
            if decision.id in known:
                known[decision.id] = decision
                continue
            known[decision.id] = decision
            known.move_to_end(decision.id, last=False)
            while len(known) > KEPT_DECISIONS:
                known.popitem()

    def knows(self, decision: Decision) -> bool:
        """Whether it was noted before, with whatever outcome."""
        return decision.id in self._by_key.get(decision.workload, ())

    def of(self, key: str, since: float = 0.0) -> list[Decision]:
        """Decisions of a resource made at or after `since` (Unix seconds), newest first."""
        return [decision for decision in self._by_key.get(key, {}).values() if decision.time >= since]

    def forget(self, key: str) -> None:
        """Drop a resource that is gone."""
        self._by_key.pop(key, None)


def iso(time: float) -> str:
    """Unix time as RFC 3339 in whole seconds, as metav1.Time."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix(text: str) -> float:
    """RFC 3339 as Unix time; 0 for what is not a time."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def amount(lever: Lever, value: float) -> str:
    """A value of a lever as people write it: 250m, 512Mi, 3; `-` for none."""
    if math.isnan(value):
        return "-"
    if lever is Lever.CPU:
        return format_cpu(value)
    if lever is Lever.MEMORY:
        return format_memory(value)
    return str(round(value))


def lever_name(decision: Decision) -> str:
    """`Replicas`, `CPU/app`, `Knob/batch`."""
    name = LEVER_NAMES[decision.lever]
    return f"{name}/{decision.subject}" if decision.subject else name


def to_status(decision: Decision) -> DecisionStatus:
    """The decision as the status shows it."""
    inputs = {
        name: Quantity(format_plain(value, INPUT_DIGITS))
        for name, value in decision.inputs.items()
        if math.isfinite(value)
    }
    return DecisionStatus(
        id=decision.id,
        time=iso(decision.time),
        lever=lever_name(decision),
        from_=amount(decision.lever, decision.before),
        to=amount(decision.lever, decision.after),
        reason=decision.reason.value,
        message=decision.message[:1024],
        predicted=decision.predicted[:1024],
        outcome=decision.outcome,
        outcome_message=decision.outcome_message[:1024],
        inputs=inputs,
    )


def from_status(key: str, status: DecisionStatus) -> Decision | None:
    """The decision that a status shows; None when it can't be read (written by hand or by another version)."""
    name, _, subject = status.lever.partition("/")
    reason = find_reason(status.reason)
    if reason is None:
        return None
    try:
        return Decision(
            id=status.id,
            workload=key,
            time=unix(status.time),
            lever=_BY_NAME[name],
            subject=subject,
            before=_number(status.from_),
            after=_number(status.to),
            reason=reason,
            message=status.message,
            predicted=status.predicted,
            inputs={name: float(value) for name, value in status.inputs.items()},
            outcome=status.outcome,
            outcome_message=status.outcome_message,
        )
    except (KeyError, ValueError):
        return None


def _number(text: str) -> float:
    return float("nan") if text == "-" else float(Quantity(text))
