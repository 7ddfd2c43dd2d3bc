"""`trimtab lab horizontal`: every replica policy on every recording of arrivals."""

from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from trimtab.decide.settings import Settings
from trimtab.lab.horizontal.figures import plots
from trimtab.lab.horizontal.roster import POLICIES, needed
from trimtab.lab.horizontal.score import completed, totals
from trimtab.lab.horizontal.service import SERVICES
from trimtab.lab.horizontal.tasks import Finished, Kept, parts, run_all
from trimtab.lab.report.document import ReportError, encode, write
from trimtab.lab.report.option import ReportFile
from trimtab.lab.report.page import page
from trimtab.lab.report.tables import Column, Table, percent, ratio, show, terminal
from trimtab.lab.traces import Skipped, TraceError, read_arrivals

STARTUPS = (45.0, 150.0)
FULL_SEEDS = (0, 1, 2)

_ROWS = (
    Column("trace", "Recording", number=False),
    Column("service", "Service", number=False),
    Column("seed", "Seed"),
    Column("startup_seconds", "Start-up (s)"),
    Column("policy", "Policy", number=False),
    Column("violations", "Over target", percent),
    Column("pod_hours", "Pod-hours"),
    Column("core_hours", "Core-hours"),
    Column("oracle_pod_hours", "Oracle's pod-hours"),
    Column("changes_per_day", "Changes a day"),
)
_TOTALS = (
    Column("policy", "Policy", number=False),
    Column("cases", "Cases"),
    Column("over_budget", "Over 1%"),
    Column("worst", "Worst", percent),
    Column("mean", "Mean", percent),
    Column("pods_to_hpa70", "Pod-hours/hpa-70", ratio),
    Column("pods_to_best", "/hpa-best", ratio),
    Column("pods_to_oracle", "/oracle", ratio),
    Column("changes_to_hpa70", "Changes/hpa-70", ratio),
    Column("changes_per_day", "Changes a day"),
)


@click.command()
@click.option("--traces", type=click.Path(path_type=Path), required=True, help="Folder with rps/*.txt and rps/*.csv.")
@click.option("--json", "json_file", type=ReportFile(), help="Write rows and totals here.")
@click.option("--html", "html_file", type=ReportFile(), help="Write a page with plots here.")
@click.option("--policy", "policies", multiple=True, type=click.Choice(POLICIES), help="Only these; several times.")
@click.option("--startup-seconds", "startups", multiple=True, type=click.FloatRange(min=0), help="Default: 45 and 150.")
@click.option("--service", "services", multiple=True, type=click.Choice(tuple(SERVICES)), help="Default: the first.")
@click.option("--seed", "seeds", multiple=True, type=click.IntRange(min=0), help="Default: 0.")
@click.option("--full", is_flag=True, help="Four services and three seeds, unless they are named. It resumes.")
@click.option("--resume", "kept_file", type=click.Path(path_type=Path), help="Keep finished cases here, and use them.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes.")
def horizontal(
    traces: Path,
    json_file: Path | None,
    html_file: Path | None,
    policies: tuple[str, ...],
    startups: tuple[float, ...],
    services: tuple[str, ...],
    seeds: tuple[int, ...],
    full: bool,
    kept_file: Path | None,
    processes: int,
) -> None:
    """Replay arrivals through replica policies on a queueing service, and print who kept the target, and at what cost.

    With --full, finished cases are kept beside the JSON file (FILE.rows) or in --resume FILE, and are not run again.
    """
    console = terminal()
    names = tuple(dict.fromkeys(policies)) or POLICIES
    try:
        arrivals, skipped = read_arrivals(traces)
        if not arrivals:
            left_out = ", ".join(one.file for one in skipped) or "it is empty"
            raise click.ClickException(f"{traces / 'rps'} holds no recording that can be used ({left_out})")
        made = parts(
            arrivals,
            services or (tuple(SERVICES) if full else tuple(SERVICES)[:1]),
            seeds or (FULL_SEEDS if full else FULL_SEEDS[:1]),
            startups or STARTUPS,
            needed(names),
        )
        if kept_file is None and full and json_file is not None:
            kept_file = json_file.with_name(json_file.name + ".rows")
        if kept_file is not None or full:
            console.print(_resumes(kept_file), markup=False)
        with _bar() as bar:
            task = bar.add_task(f"{len(arrivals)} recordings", total=1.0)
            finished = run_all(
                made, Kept(kept_file), lambda done: bar.update(task, completed=done), processes=processes
            )
        report(console, finished, skipped, names, json_file, html_file)
    except BrokenProcessPool as error:
        raise click.ClickException("a worker process died, perhaps out of memory; try --processes 1") from error
    except (TraceError, ReportError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _resumes(kept_file: Path | None) -> str:
    """What becomes of finished cases when the run is stopped."""
    if kept_file is None:
        return "Finished cases are not kept: this run can't be resumed. Name --json FILE or --resume FILE."
    return f"Finished cases are kept in {kept_file}; a run that was stopped resumes from there."


def _bar() -> Progress:
    """On stderr, and only where that is a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def report(
    console: Console,
    finished: Sequence[Finished],
    skipped: Sequence[Skipped],
    names: Sequence[str],
    json_file: Path | None,
    html_file: Path | None,
) -> None:
    """Print the table and the totals, and write the files that were asked for.

    Raises:
        ReportError: a file can't be written.
    """
    everything = completed([one.row for one in finished], POLICIES)
    rows = [row for row in everything if row.policy in names]
    summary = totals(everything, names)
    table = Table("Replica policies", _ROWS, [row.as_dict() for row in rows], group="trace")
    overall = Table("Totals", _TOTALS, [total.as_dict() for total in summary])
    show(console, table)
    show(console, overall)
    notes = [f"Skipped {one.file}: {one.why}." for one in skipped]
    for note in notes:
        console.print(note, markup=False)
    settings = Settings().digest()
    console.print(f"Settings {settings}", markup=False)
    if json_file is not None:
        document = {
            "settings": settings,
            "rows": [row.as_dict() for row in rows],
            "totals": [total.as_dict() for total in summary],
            "skipped": [{"file": one.file, "why": one.why} for one in skipped],
        }
        write(json_file, encode(document))
    if html_file is not None:
        text = page("Replica policies", [*notes, f"Settings {settings}."], [overall, table], plots(finished, names))
        write(html_file, text.encode())
