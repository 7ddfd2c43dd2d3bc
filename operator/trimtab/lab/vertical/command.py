"""`trimtab lab vertical`."""

from pathlib import Path

import click

from trimtab.decide.settings import Settings
from trimtab.lab.report.document import ReportError, encode, write
from trimtab.lab.report.option import ReportFile
from trimtab.lab.report.progress import bar
from trimtab.lab.report.tables import show, terminal
from trimtab.lab.traces import TraceError, read_usage
from trimtab.lab.vertical import report
from trimtab.lab.vertical.generated import families
from trimtab.lab.vertical.lab import run, steps
from trimtab.lab.vertical.policies import known


@click.command()
@click.option("--traces", required=True, type=click.Path(path_type=Path), help="Folder with usage/ in it.")
@click.option("--json", "json_file", type=ReportFile(), help="Write rows and totals to this file.")
@click.option("--html", "html_file", type=ReportFile(), help="Write a page with tables and plots to this file.")
@click.option("--policy", "chosen", multiple=True, metavar="NAME", help="Only this one; may be given more than once.")
def vertical(traces: Path, json_file: Path | None, html_file: Path | None, chosen: tuple[str, ...]) -> None:
    """Size requests on recordings of usage: Trimtab beside VPA, KRR, Autopilot and a request set once.

    Every recording in DIR/usage goes through every policy: the same inputs, causal, scored after a warm-up. Memory is
    also replayed on generated recordings, shown apart.
    """
    policies = known()
    unknown = [name for name in chosen if name not in policies]
    if unknown:
        raise click.BadParameter(f"no policy {unknown[0]!r}; there are {', '.join(policies)}", param_hint="--policy")
    try:
        usages, skipped = read_usage(traces)
    except (TraceError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if not usages:
        left_out = ", ".join(one.file for one in skipped) or "it is empty"
        raise click.ClickException(f"{traces / 'usage'} holds no recording that can be used ({left_out})")
    names = list(dict.fromkeys(chosen)) or list(policies)
    try:
        with bar(steps(names)) as progress:
            result = run(usages, families(), skipped, policies, names, progress.start, progress.part, progress.finish)
    except ValueError as error:  # a policy that gives no size
        raise click.ClickException(str(error)) from error
    console = terminal()
    for table in report.tables(result):
        show(console, table)
    console.print(f"Settings {Settings().digest()}", markup=False)
    try:
        if json_file:
            write(json_file, encode(report.document(result)))
        if html_file:
            write(html_file, report.html(result).encode())
    except ReportError as error:
        raise click.ClickException(str(error)) from error
