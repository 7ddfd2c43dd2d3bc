"""A report as headings, sentences and tables: what both Markdown and HTML show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trimtab.audit.model import ChangeKind, Made, Report


@dataclass(frozen=True, slots=True)
class Section:
    """One heading with sentences, and a table where there are rows."""

    title: str
    says: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report."""

    title: str
    says: tuple[str, ...]
    sections: tuple[Section, ...]


def page(report: Report) -> Page:
    """The page of a report."""
    total = sum(report.outcomes.values())
    says = [
        f"At {report.at}: {report.resources} PerformanceConfigs; decisions of the last {report.days} days, "
        "less where a resource keeps them for fewer days.",
        f"{total} decisions{_by('outcome', report.outcomes)}{_by('lever', report.levers)}.",
    ]
    return Page(f"Audit of namespace {report.namespace}", tuple(says), tuple(_sections(report)))


def _by(what: str, counts: dict[str, int]) -> str:
    return f"; by {what}: {', '.join(f'{word} {count}' for word, count in counts.items())}" if counts else ""


def _sections(r: Report) -> Iterator[Section]:
    yield _section(
        "What would save or help most",
        f"Recommended and not in force, a month in {r.currency} at the prices of each resource's "
        "nodes (status.cost), the operator's static ones where those are not known.",
        "Nothing that is recommended differs from what is in force by more than 10%.",
        ("resource", "lever", "now", "then", "effect", "why"),
        [
            (
                c.resource,
                c.lever,
                c.from_,
                c.to,
                f"{'saves' if c.kind is ChangeKind.SAVES else 'helps, costs'} {c.money_per_month}",
                c.why,
            )
            for c in r.changes
        ],
    )
    yield _section(
        "Decisions",
        f"{r.left_out} more are counted above and not listed." if r.left_out else "",
        "None was made.",
        ("time", "resource", "lever", "change", "reason", "outcome", "because"),
        [_decision(one) for one in r.decisions],
    )
    yield _section(
        "Taken back",
        "",
        "Nothing was taken back.",
        ("time", "resource", "lever", "change", "what was seen"),
        [(*_decision(one)[:4], one.decision.outcome_message) for one in r.rollbacks],
    )
    yield _section(
        "Alerts now",
        "Past ones are in the events and in Prometheus (trimtab_alert_state).",
        "None is pending, firing or without data.",
        ("resource", "alert", "state", "severity", "since", "value", "threshold"),
        [(a.resource, a.name, a.state, a.severity, a.since, a.value, a.threshold) for a in r.alerts],
    )
    yield _section(
        "Service levels",
        "",
        "No objective is declared.",
        ("resource", "objective", "promise", "days", "delivered", "budget left", "not known", "verdict"),
        [
            (o.resource, o.name, o.target, str(o.window_days), o.attainment, o.budget_left, o.unknown, o.verdict)
            for o in r.objectives
        ],
    )
    yield _section(
        "Cost a month",
        "",
        "No cost is known.",
        ("resource", "cost", "budget used", "savings", "doubts"),
        [
            (c.resource, f"{c.per_month} {c.currency}".strip(), c.budget_used, c.savings, " ".join(c.problems))
            for c in r.costs
        ],
    )
    yield _section(
        "Constraints that bind",
        "",
        "Nothing holds a lever.",
        ("resource", "condition", "reason", "message"),
        [(b.resource, b.condition, b.reason, b.message) for b in r.binding],
    )
    yield _section(
        "Without data",
        "",
        "Every resource has its data.",
        ("resource", "what", "why"),
        [(lack.resource, lack.what, lack.message) for lack in r.without_data],
    )
    yield _section(
        "Rules in force",
        " ".join([*r.operator, f"Engine constants {r.engine}."]),
        "There is no resource.",
        ("resource", "workload", "state", "targets", "bounds", "budgets", "presets", "kept, days"),
        [
            (
                one.resource,
                one.target,
                one.acts,
                one.targets,
                one.bounds,
                one.budgets,
                ", ".join(one.presets),
                str(one.retention_days),
            )
            for one in r.rules
        ],
    )
    if r.notes:
        yield Section("What could not be read", tuple(r.notes))


def _section(title: str, says: str, nothing: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Section:
    if not rows:
        return Section(title, tuple(filter(None, (nothing,))))
    return Section(title, tuple(filter(None, (says,))), head, tuple(rows))


def _decision(one: Made) -> tuple[str, ...]:
    d = one.decision
    return d.time, one.resource, d.lever, f"{d.from_} → {d.to}", d.reason, d.outcome.value, d.message
