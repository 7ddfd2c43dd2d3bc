"""The status of a resource: built from the facts of a tick, written when it says something new.

A change of state, decision or alert is written at once; numbers when one has moved by at least 10%, at most
once a minute (less often in a large fleet); and everything every ten minutes, so that `sampledAt` says how fresh the
numbers are. A patch that changes nothing costs the API server most of what one that does.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.api.conditions import merge
from trimtab.api.quantity import Quantity, format_number
from trimtab.api.status import (
    AlertState,
    AlertStatus,
    BurnRate,
    Condition,
    Learning,
    MetricGroups,
    ObjectiveStatus,
    PerformanceConfigStatus,
    UnknownMetric,
    WeekStatus,
)
from trimtab.decide.plan import Decision
from trimtab.record.facts import AlertFact, Facts, ObjectiveFact
from trimtab.record.journal import KEPT_DECISIONS, amount, iso, lever_name, to_status
from trimtab.record.money import cost_of, money, savings_of
from trimtab.record.verdicts import verdicts

TIMING = frozenset({"queryLatency", "retrievalLatency", "generationLatency", "totalLatency"})
RESOURCES = frozenset({"memoryUsage", "cpuUsage", "diskUsage", "networkUsage"})
COSTS = frozenset({"apiCosts", "computeCosts", "storageCosts", "costPerThousandRequests"})
NUMBERS_EVERY = 60.0
STATUSES_A_SECOND = 10.0
"""Statuses a second over the fleet that moves and numbers may ask for: a fifth of the usual budget of writes."""
REFRESH_EVERY = 600.0
MOVED = 0.10
DAY = 86_400.0
MAX_BYTES = 32 * 1024
_LOUD = frozenset({"TargetFound", "MetricsAvailable", "Stalled", "Conflicted", "Alerting"})
FEW_WEEKS = 5
"""Weeks of an objective that are kept where a status is too large."""


def build(facts: Facts, decisions: list[Decision], previous: list[Condition], now: float) -> PerformanceConfigStatus:
    """The whole status of a resource at `now` (Unix seconds)."""
    required = facts.spec.optimization.behavior.min_history_seconds if facts.spec else 0
    return PerformanceConfigStatus(
        observed_generation=facts.generation,
        conditions=merge(previous, verdicts(facts), iso(now), facts.generation),
        metrics=_metrics(facts),
        replicas=facts.ready,
        learning=Learning(
            history_seconds=int(min(facts.history_seconds, 10 * 365 * DAY)),
            required_seconds=required,
            moves_today=facts.moves_today,
            resizes_today=facts.resizes_today,
            template_hash=facts.template_hash,
        ),
        recommendation=facts.recommendation,
        applied=facts.applied,
        decisions=[to_status(decision) for decision in decisions],
        cost=cost_of(facts.cost) if facts.cost is not None else None,
        savings=savings_of(facts.cost) if facts.cost is not None else None,
        slo=[_objective(objective) for objective in facts.objectives],
        alerts=[_alert(alert) for alert in facts.alerts],
        summary=summary(decisions),
    )


def summary(decisions: list[Decision]) -> str:
    """The last decision in one short line, for kubectl get."""
    if not decisions:
        return ""
    last = decisions[0]
    before, after = amount(last.lever, last.before), amount(last.lever, last.after)
    return f"{lever_name(last)} {before} → {after}: {last.reason} ({last.outcome})"[:253]


def _metrics(facts: Facts) -> MetricGroups:
    groups: dict[str, dict[str, Quantity]] = {"timing": {}, "resources": {}, "costs": {}, "other": {}}
    unknown: list[UnknownMetric] = []
    for fact in facts.metrics:
        answer = fact.answer
        if answer.known:
            group = group_of(fact.name)
            groups[group][fact.name] = (
                money(answer.value) if group == "costs" else Quantity(format_number(answer.value))
            )
        else:
            unknown.append(UnknownMetric(name=fact.name, reason=fact.reason.value, message=answer.message[:1024]))
    return MetricGroups(
        timing=groups["timing"],
        resources=groups["resources"],
        costs=groups["costs"],
        other=groups["other"],
        unknown=unknown,
        sampled_at=_time(facts.sampled_at),
    )


def group_of(name: str) -> str:
    """The status group in which a metric of this name is shown."""
    if name in TIMING:
        return "timing"
    if name in RESOURCES:
        return "resources"
    return "costs" if name in COSTS else "other"


def _alert(alert: AlertFact) -> AlertStatus:
    return AlertStatus(
        name=alert.name,
        state=AlertState(alert.state),
        severity=alert.severity,
        since=_time(alert.since),
        value=_quantity(alert.value),
        threshold=_quantity(alert.threshold),
        firing=alert.firing,
        cleared_since=_time(alert.cleared_since),
        breach_since=_time(alert.breach_since),
    )


def _objective(fact: ObjectiveFact) -> ObjectiveStatus:
    known = math.isfinite(fact.attainment)
    return ObjectiveStatus(
        name=fact.name,
        target=share(fact.target),
        attainment=share(fact.attainment) if known else None,
        error_budget_remaining=share(max(fact.budget, -1000.0), 3) if known else None,
        unknown=share(1 - fact.known, 3),
        burn_rate=[BurnRate(window=window, rate=Quantity(f"{rate:.3g}")) for window, rate in fact.burn.items()],
        weeks=[
            WeekStatus(start=iso(start), attainment=share(attainment), known_hours=round(seconds / 3600))
            for start, attainment, seconds in fact.weeks
        ],
    )


def share(value: float, digits: int = 5) -> Quantity:
    """A share as a plain decimal, as people write it: 0.9995, not 999500u."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".")
    return Quantity("0" if text in ("", "-0") else text)


def _time(value: float) -> str | None:
    return iso(value) if value > 0 else None


def _quantity(value: float) -> Quantity | None:
    return Quantity(format_number(value, 3)) if math.isfinite(value) else None


@dataclass(slots=True)
class Written:
    """What was last written of a resource's status, and when."""

    document: Mapping[str, Any]
    at: float


def document_of(status: PerformanceConfigStatus) -> dict[str, Any]:
    """The status as JSON for the API server, empty fields left out, at most 32 KiB: long texts are cut first."""
    document: dict[str, Any] = _filled(status.model_dump(mode="json", by_alias=True, exclude_none=True))
    for longest in (512, 256, 128, 64):
        if _size(document) <= MAX_BYTES:
            break
        document = _cut(document, longest)
    for objective in document["slo"] if _size(document) > MAX_BYTES else ():
        objective["weeks"] = objective["weeks"][:FEW_WEEKS]
    while document["decisions"] and _size(document) > MAX_BYTES:
        document["decisions"].pop()
    return document


def with_moves(status: PerformanceConfigStatus, decisions: list[Decision]) -> dict[str, Any]:
    """The document of a status with new decisions on top of those that it shows."""
    newest = sorted(decisions, key=lambda decision: decision.time, reverse=True)
    shown = [*(to_status(decision) for decision in newest), *status.decisions][:KEPT_DECISIONS]
    return document_of(status.model_copy(update={"decisions": shown, "summary": summary(newest)}))


def _size(document: Mapping[str, Any]) -> int:
    return len(json.dumps(document, ensure_ascii=False).encode())


def _filled(value: Any) -> Any:
    """Without empty maps. One whose last entry goes is applied as null, and the API server refuses the whole status."""
    if isinstance(value, list):
        return [_filled(item) for item in value]
    if not isinstance(value, dict):
        return value
    filled = {key: _filled(item) for key, item in value.items()}
    return {key: item for key, item in filled.items() if item != {}}


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, dict):
        return {key: _cut(item, longest) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, longest) for item in value]
    return value[: longest - 1] + "…" if isinstance(value, str) and len(value) > longest else value


def numbers_every(resources: int) -> float:
    """Seconds between two writes of numbers that moved; more than a minute in a fleet of more than 600 resources."""
    return max(NUMBERS_EVERY, resources / STATUSES_A_SECOND)


def worth_writing(
    written: Written | None, document: Mapping[str, Any], now: float, every: float = NUMBERS_EVERY
) -> bool:
    """Whether a status says enough that is new to be written at `now`; `every` as of `numbers_every`.

    In a large fleet verdicts and the conditions that follow them wait as long as numbers do; a new move never waits:
    what a restart has to watch stands in the status.
    """
    if written is None or _alarm(written.document) != _alarm(document):
        return True
    age = now - written.at
    if _state(written.document) != _state(document) and (every <= NUMBERS_EVERY or age >= every):
        return True
    if age < every:
        return False
    old, new = _numbers(written.document), _numbers(document)
    if old.keys() != new.keys() or any(_moved(old[name], new[name]) for name in new):
        return True
    return age >= REFRESH_EVERY


def _alarm(document: Mapping[str, Any]) -> object:
    """What must never wait: new moves, alerts, what is wrong with the resource or its metrics, a change taken in."""
    return (
        document.get("observedGeneration"),
        [decision["id"] for decision in document.get("decisions", [])],
        [(c["type"], c["status"], c["reason"]) for c in document.get("conditions", []) if c["type"] in _LOUD],
        [(a["name"], a["state"], a["firing"], a.get("since")) for a in document.get("alerts", [])],
        sorted(unknown["name"] for unknown in document.get("metrics", {}).get("unknown", [])),
    )


def _state(document: Mapping[str, Any]) -> object:
    """What is told at once where the fleet is not too large for it: states, reasons, decisions, alerts, set points."""
    return (
        document.get("observedGeneration"),
        [(c["type"], c["status"], c["reason"]) for c in document.get("conditions", [])],
        document.get("decisions"),
        [(a["name"], a["state"], a["firing"], a.get("since")) for a in document.get("alerts", [])],
        document.get("applied"),
        document.get("replicas"),
        sorted(unknown["name"] for unknown in document.get("metrics", {}).get("unknown", [])),
    )


def _numbers(document: Mapping[str, Any]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for group in ("timing", "resources", "costs", "other"):
        for name, text in document.get("metrics", {}).get(group, {}).items():
            numbers[f"{group}.{name}"] = float(Quantity(text))
    for objective in document.get("slo", []):
        for name in ("attainment", "errorBudgetRemaining"):
            if name in objective:
                numbers[f"slo.{objective['name']}.{name}"] = float(Quantity(objective[name]))
    if "perMonth" in document.get("savings", {}):
        numbers["savings"] = float(Quantity(document["savings"]["perMonth"]))
    recommendation = document.get("recommendation", {})
    numbers["recommendation.replicas"] = float(recommendation.get("replicas", -1))
    for container in recommendation.get("containers", []):
        for name, text in container.get("requests", {}).items():
            numbers[f"recommendation.{container['name']}.{name}"] = float(Quantity(text))
    for knob in recommendation.get("knobs", []):
        numbers[f"recommendation.knob.{knob['name']}"] = float(knob["value"])
    return numbers


def _moved(old: float, new: float) -> bool:
    return abs(new - old) >= MOVED * max(abs(old), abs(new)) and new != old
