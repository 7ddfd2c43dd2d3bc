"""`trimtab audit`: a dated report a namespace of what was decided, what came of it, and what stands in the way."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import click

from trimtab.api.settings import OperatorSettings, SettingsError, load_settings
from trimtab.audit.collect import Gathered, collect
from trimtab.audit.keep import file_name, prune
from trimtab.audit.model import Report
from trimtab.audit.page import page
from trimtab.audit.render import html, markdown
from trimtab.audit.report import report
from trimtab.cli.output import TEXT, YAML, document, labels_option, output_option, privacy_of
from trimtab.cli.reading import read_all

MARKDOWN, HTML, JSON = "md", "html", "json"
FORMS = (MARKDOWN, HTML, JSON)


@click.command()
@click.option("-n", "--namespace", "namespaces", multiple=True, help="Repeatable. Default: all that you may list.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; files by namespace and day.")
@click.option(
    "--format", "forms", type=click.Choice(FORMS), multiple=True, help="Repeatable. Default: md, or all with --out."
)
@output_option()
@labels_option()
@click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True, help="Decisions of so many days.")
@click.option(
    "--retention-days",
    type=click.IntRange(1, 365),
    help="Days that reports in --out are kept. Default: the shortest retentionDays of the namespace's resources.",
)
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="The operator's YAML file.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Default: the service account, or $KUBECONFIG.")
def audit(
    namespaces: tuple[str, ...],
    out: Path | None,
    forms: tuple[str, ...],
    output: str,
    labels: tuple[str, ...],
    days: int,
    retention_days: int | None,
    settings_path: Path | None,
    kubeconfig: Path | None,
) -> None:
    """Report on every namespace with PerformanceConfigs: decisions, rollbacks, alerts, service levels, cost.

    It only reads. With --out a report is a file a format, and those that are older than their retention are removed.
    """
    if output != TEXT:
        forms = (JSON,)
    if out is None and len(set(forms)) > 1:
        raise click.UsageError("several formats are files: give --out, or one --format")
    try:
        settings = load_settings(settings_path) if settings_path else None
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    now = time.time()
    wanted = list(dict.fromkeys(namespaces))
    configs, journals, notes = asyncio.run(read_all(wanted, kubeconfig))
    gathered = collect(configs, journals, now)
    reports = {
        name: reported(name, found, now, days=days, settings=settings, labels=labels, notes=notes)
        for name, found in gathered.items()
    }
    if not reports:
        click.echo("There is no PerformanceConfig to report on.", err=True)
    if out is None:
        click.echo(_printed(list(reports.values()), forms[0] if forms else MARKDOWN, output), nl=False)
        return
    kept = {name: retention_days or found.retention_days for name, found in gathered.items()}
    _write(out, reports, dict.fromkeys(forms) or FORMS, now, kept)


def reported(
    namespace: str,
    gathered: Gathered,
    at: float,
    *,
    days: int,
    settings: OperatorSettings | None = None,
    labels: Iterable[str] = (),
    notes: list[str] | None = None,
) -> Report:
    """The report of one namespace without personal data."""
    made = report(namespace, gathered, at, days=days, settings=settings)
    privacy = privacy_of(labels, settings.privacy.labels) if settings else privacy_of(labels)
    plain = made.model_copy(update={"notes": [*(notes or []), *made.notes]}).model_dump(mode="json", by_alias=True)
    return Report.model_validate(privacy.cleaned(plain))


def _printed(reports: list[Report], form: str, output: str) -> str:
    if form == HTML and len(reports) > 1:
        raise click.ClickException("HTML of several namespaces needs a folder: give --out, or one namespace with -n")
    if form == JSON:
        return document([_plain(one) for one in reports], YAML if output == YAML else JSON)
    return "\n".join(_text(one, form) for one in reports)


def _plain(made: Report) -> Any:
    return made.model_dump(mode="json", by_alias=True)


def _text(made: Report, form: str) -> str:
    if form == JSON:
        return document(_plain(made), JSON)
    return html(page(made)) if form == HTML else markdown(page(made))


def _write(out: Path, reports: Mapping[str, Report], forms: Iterable[str], now: float, kept: Mapping[str, int]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for (name, made), form in product(reports.items(), forms):
            path = out / file_name(name, now, form)
            # A reader never sees half a report.
            half = path.with_name(f".{path.name}.part")
            half.write_text(_text(made, form), "utf-8")
            half.replace(path)
            click.echo(f"{path}")
        for name in prune(out, now, kept):
            click.echo(f"removed {name}: older than it may be kept", err=True)
    except OSError as error:
        raise click.ClickException(f"{out} can't be written ({error.strerror}); give a folder of yours") from error
