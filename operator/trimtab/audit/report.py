"""From what was collected to the report of one namespace."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from trimtab.api.conditions import ConditionType
from trimtab.api.quantity import Quantity
from trimtab.api.resource import Invalid, PerformanceConfig
from trimtab.api.settings import OperatorSettings
from trimtab.api.status import AlertState
from trimtab.audit.changes import most_telling
from trimtab.audit.collect import DAY, Gathered, Member
from trimtab.audit.model import AlertLine, Binding, CostLine, Lack, Made, ObjectiveLine, Report
from trimtab.audit.rules import operator_lines, rules_of
from trimtab.decide.settings import Settings
from trimtab.record.journal import iso, unix

MOST_LISTED = 200
STALE_SECONDS = 900.0
"""A status that was sampled longer ago is not of a workload that is watched: numbers are refreshed every 10 minutes."""


def report(
    namespace: str,
    gathered: Gathered,
    at: float,
    *,
    days: int = 7,
    settings: OperatorSettings | None = None,
    engine: Settings | None = None,
) -> Report:
    """The audit of a namespace at `at` (Unix seconds). The same input gives the same report.

    `settings` are the administrator's, None where their file is not at hand.
    """
    members = gathered.members
    usable = [member.config for member in members if isinstance(member.config, PerformanceConfig)]
    made = sorted(
        (
            Made(resource=member.name, decision=decision)
            for member in members
            for decision in member.decisions
            if at - days * DAY <= unix(decision.time) <= at
        ),
        key=lambda one: (-unix(one.decision.time), one.resource, one.decision.id),
    )
    prices = (settings or OperatorSettings()).prices
    return Report(
        namespace=namespace,
        at=iso(at),
        days=days,
        resources=len(members),
        engine=(engine or Settings()).digest(),
        currency=prices.currency,
        operator=operator_lines(settings) if settings else [],
        outcomes=_counted([one.decision.outcome.value for one in made]),
        levers=_counted([one.decision.lever.partition("/")[0] for one in made]),
        decisions=made[:MOST_LISTED],
        left_out=max(len(made) - MOST_LISTED, 0),
        rollbacks=[one for one in made if one.decision.outcome == "RolledBack"][:MOST_LISTED],
        alerts=[line for member in members for line in _alerts(member)],
        objectives=[line for config in usable for line in _objectives(config)],
        costs=[line for config in usable if (line := _cost(config)) is not None],
        changes=most_telling(usable, prices),
        binding=[line for member in members for line in _binding(member)],
        without_data=[line for member in members for line in _lacks(member, at)],
        rules=[rules_of(config) for config in usable],
        notes=gathered.notes,
    )


def _counted(words: Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _alerts(member: Member) -> Iterator[AlertLine]:
    for alert in member.config.status.alerts:
        if alert.state is AlertState.INACTIVE:
            continue
        yield AlertLine(
            resource=member.name,
            name=alert.name,
            state=alert.state.value + (" (was firing)" if alert.firing and alert.state is AlertState.UNKNOWN else ""),
            severity=alert.severity.value,
            since=alert.since or "",
            value=str(alert.value or ""),
            threshold=str(alert.threshold or ""),
        )


def _objectives(config: PerformanceConfig) -> Iterator[ObjectiveLine]:
    known = {one.name: one for one in config.status.slo}
    for declared in config.spec.monitoring.objectives:
        found = known.get(declared.name)
        attainment = found.attainment if found else None
        verdict = "not known"
        if attainment is not None:
            verdict = "kept" if float(attainment) >= float(declared.target) else "missed"
        yield ObjectiveLine(
            resource=config.metadata.name,
            name=declared.name,
            target=percent(declared.target),
            window_days=declared.window_days,
            attainment=percent(attainment) if attainment is not None else "",
            budget_left=percent(found.error_budget_remaining, 1) if found and found.error_budget_remaining else "",
            unknown=percent(found.unknown, 1) if found and found.unknown is not None else "",
            verdict=verdict,
        )


def _cost(config: PerformanceConfig) -> CostLine | None:
    cost, savings = config.status.cost, config.status.savings
    if cost is None and savings is None:
        return None
    return CostLine(
        resource=config.metadata.name,
        currency=cost.currency if cost else "",
        per_month=str(cost.per_month or "") if cost else "",
        budget_used=percent(cost.budget_used, 1) if cost and cost.budget_used is not None else "",
        savings=savings.summary if savings else "",
        problems=list(cost.problems) if cost else [],
    )


def _binding(member: Member) -> Iterator[Binding]:
    for condition in member.config.status.conditions:
        if condition.status == "True" and condition.type in (ConditionType.LIMITED, ConditionType.CONFLICTED):
            yield Binding(
                resource=member.name, condition=condition.type, reason=condition.reason, message=condition.message
            )


def _lacks(member: Member, at: float) -> Iterator[Lack]:
    config, status, name = member.config, member.config.status, member.name
    if isinstance(config, Invalid):
        yield Lack(resource=name, what="spec", message=f"It can't be used: {config.message}.")
        return
    if not status.conditions:
        yield Lack(resource=name, what="status", message="Trimtab has not looked at it yet; check that it runs here.")
        return
    sampled = unix(status.metrics.sampled_at) if status.metrics.sampled_at else 0.0
    if not sampled:
        yield Lack(resource=name, what="usage", message="CPU and memory of its pods were never read.")
    elif at - sampled > STALE_SECONDS:
        yield Lack(resource=name, what="usage", message=f"Its numbers are of {_day(sampled)}; nothing newer is known.")
    for unknown in status.metrics.unknown:
        if unknown.reason != "NoTraffic":
            yield Lack(resource=name, what=unknown.name, message=f"{unknown.reason}: {unknown.message}")
    learning = status.learning
    if learning.history_seconds < learning.required_seconds:
        known, wanted = learning.history_seconds / 3600, learning.required_seconds / 3600
        yield Lack(
            resource=name, what="history", message=f"{known:.1f} of the {wanted:.0f} hours that a cut needs are known."
        )


def _day(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M UTC")


def percent(value: Quantity, digits: int = 3) -> str:
    """A share as a percentage."""
    text = f"{100 * float(value):.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"
