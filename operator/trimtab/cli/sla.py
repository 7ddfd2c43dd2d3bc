"""`trimtab sla`: the SLA page of one workload: what was promised, what was delivered, week by week."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from trimtab.api.monitoring import Objective
from trimtab.api.quantity import Quantity
from trimtab.api.resource import PerformanceConfig
from trimtab.api.status import ObjectiveStatus
from trimtab.cli.output import TEXT, document, labels_option, output_option, privacy_of
from trimtab.cli.reading import named, read_one

HOURS_A_WEEK = 168


@click.command()
@click.argument("resource", metavar="NAMESPACE/NAME")
@output_option()
@labels_option()
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Default: $KUBECONFIG, or ~/.kube/config.")
def sla(resource: str, output: str, labels: tuple[str, ...], kubeconfig: Path | None) -> None:
    """Print the SLA page of the PerformanceConfig NAMESPACE/NAME as Markdown."""
    found, _, _ = asyncio.run(read_one(*named(resource), kubeconfig))
    privacy = privacy_of(labels)
    if output == TEXT:
        click.echo(privacy.clean(page(found)), nl=False)
        return
    click.echo(document(privacy.cleaned(levels(found)), output), nl=False)


def levels(config: PerformanceConfig) -> dict[str, Any]:
    """What was promised and what was delivered, for machines."""
    known = {one.name: one for one in config.status.slo}
    return {
        "resource": f"{config.metadata.namespace}/{config.metadata.name}",
        "objectives": [
            {
                "promised": objective.model_dump(mode="json", by_alias=True, exclude_none=True),
                "delivered": known[objective.name].model_dump(mode="json", by_alias=True, exclude_none=True)
                if objective.name in known
                else None,
            }
            for objective in config.spec.monitoring.objectives
        ],
    }


def page(config: PerformanceConfig) -> str:
    """The page. What is not known is said, and never counted as good."""
    spec, status = config.spec, config.status
    target = f"{spec.target_ref.kind} {spec.target_ref.name}"
    parts = [f"# Service levels of {_plain(config.metadata.namespace)}/{_plain(config.metadata.name)}"]
    parts.append(f"{target}; from the status of its PerformanceConfig.")
    if not spec.monitoring.objectives:
        parts.append("No objective is declared: add one to `spec.monitoring.objectives`.")
        return "\n\n".join(parts) + "\n"
    known = {objective.name: objective for objective in status.slo}
    rows = [_now(objective, known.get(objective.name)) for objective in spec.monitoring.objectives]
    parts += ["## Now", _table(("objective", "promise", "delivered", "budget left", "not known", "verdict"), rows)]
    for objective in spec.monitoring.objectives:
        found = known.get(objective.name)
        parts += [f"## {objective.name}, by week", _promise(objective)]
        if found is None or not found.weeks:
            parts.append("Nothing was measured yet.")
            continue
        weeks = [
            (
                _week(week.start),
                _percent(week.attainment),
                f"{week.known_hours} of {HOURS_A_WEEK} h",
                "yes" if float(week.attainment) >= float(objective.target) else "**no**",
            )
            for week in found.weeks
        ]
        parts.append(_table(("week (UTC)", "delivered", "known", "kept"), weeks))
        if found.burn_rate:
            rates = ", ".join(f"{rate.window} {rate.rate}" for rate in found.burn_rate)
            parts.append(f"Burn rate now (1 spends the budget just in time): {rates}.")
    parts.append(
        "Delivered is the share of good time, or of good events, among what is known. Time without data is shown apart "
        "and counts neither way; time without traffic is known and counts neither way."
    )
    return "\n\n".join(parts) + "\n"


def _now(objective: Objective, found: ObjectiveStatus | None) -> tuple[str, ...]:
    promise = f"{_percent(objective.target)} over {objective.window_days} days"
    if found is None or found.attainment is None:
        return objective.name, promise, "not known", "", "all of it", "not known"
    left = found.error_budget_remaining
    kept = float(found.attainment) >= float(objective.target)
    return (
        objective.name,
        promise,
        _percent(found.attainment),
        _percent(left, 1) if left is not None else "",
        _percent(found.unknown, 1) if found.unknown is not None else "",
        "kept" if kept else "**missed**",
    )


def _promise(objective: Objective) -> str:
    share = f"{_percent(objective.target)} of"
    if objective.metric is not None:
        bound = f"at most {objective.at_most}" if objective.at_most is not None else f"at least {objective.at_least}"
        return f"Promised: {share} the time `{objective.metric}` is {bound}, over {objective.window_days} days."
    return f"Promised: {share} all events are good, over {objective.window_days} days."


def _week(start: str) -> str:
    begin = datetime.fromisoformat(start).astimezone(UTC)
    return f"{begin:%Y-%m-%d} to {begin + timedelta(days=6):%Y-%m-%d}"


def _percent(value: Quantity, digits: int = 3) -> str:
    return f"{100 * float(value):.{digits}f}".rstrip("0").rstrip(".") + "%"


def _plain(text: str) -> str:
    """The API server allows no mark of Markdown in names; this is for files that nobody checked."""
    return "".join(char for char in text if char.isalnum() or char in "-.")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
