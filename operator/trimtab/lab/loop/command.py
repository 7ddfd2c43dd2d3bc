"""`trimtab lab loop`: the operator's engine and an HPA with a VPA, each closing the loop on a simulated workload."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np

from trimtab.decide.settings import Settings
from trimtab.lab.loop.figures import COLUMNS, HPA_BEST, hpa_best, plots, row
from trimtab.lab.loop.run import Result, policies, simulate
from trimtab.lab.loop.scenario import Scenario, scenarios
from trimtab.lab.report.document import ReportError, encode, write
from trimtab.lab.report.option import ReportFile
from trimtab.lab.report.page import page
from trimtab.lab.report.progress import bar
from trimtab.lab.report.tables import Table, show, terminal
from trimtab.lab.traces import Arrivals, Skipped, TraceError, read_arrivals

LONGEST = 2 * 3600.0
"""Seconds of a recording that are run, the busiest ones: the loop goes in tenths of a second."""
BRIDGED = ("surge", "step")
"""Scenarios that show what the bridge and a trial do, and what hindsight would have chosen."""
DEFAULT_POLICIES = ("trimtab", "hpa-70", "hpa+vpa")
WITHOUT = (
    "trimtab-no-bridge",
    "trimtab-limits-held",
    "trimtab-limits-held-no-bridge",
    "trimtab-no-knob",
    HPA_BEST,
)
POLICIES = (*policies(), HPA_BEST)


@click.command()
@click.option("--traces", type=click.Path(path_type=Path), required=True, help="Folder with rps/*.txt and rps/*.csv.")
@click.option("--trace", "names", multiple=True, help="Only these recordings; several times.")
@click.option("--scenario", "chosen", multiple=True, type=click.Choice(tuple(scenarios())), help="Default: all.")
@click.option("--policy", "policy_names", multiple=True, type=click.Choice(POLICIES), help="Only these; several times.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of arrivals and service times.")
@click.option("--json", "json_file", type=ReportFile(), help="Write the rows here.")
@click.option("--html", "html_file", type=ReportFile(), help="Write a page with plots here.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="Worker processes.")
def loop(
    traces: Path,
    names: tuple[str, ...],
    chosen: tuple[str, ...],
    policy_names: tuple[str, ...],
    seed: int,
    json_file: Path | None,
    html_file: Path | None,
    processes: int,
) -> None:
    """Run one workload under all of Trimtab's levers together, beside an HPA and a VPA on the same requests.

    Each scenario injects at most one fault. The first recording is used where none is named, of one longer than two
    hours the busiest two; the first quarter is warm-up. hpa-best is the best of all HPA targets with hindsight; without
    --policy it is found for two surges.
    """
    try:
        arrivals, skipped = _usable(*read_arrivals(traces), names)
        cases = [(a, scenarios()[name]) for a in arrivals for name in chosen or tuple(scenarios())]
        results = run_all(jobs_of(cases, policy_names, seed), policy_names, processes)
        report(results, skipped, seed, json_file, html_file)
    except BrokenProcessPool as error:
        raise click.ClickException("a worker process died, perhaps out of memory; try --processes 1") from error
    except (TraceError, ReportError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _usable(
    arrivals: Sequence[Arrivals], skipped: Sequence[Skipped], names: Sequence[str]
) -> tuple[list[Arrivals], list[Skipped]]:
    """The recordings to run, cut where they are long, and why the others are not run."""
    known = {a.name: a for a in arrivals}
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        what = f"no recording is named {unknown[0]}" if unknown else "the folder has no arrivals of requests"
        raise click.ClickException(f"{what}; there are {', '.join(known) or 'none'}")
    short = [name for name, a in known.items() if len(a.rate) * a.step <= LONGEST]
    chosen = tuple(dict.fromkeys(names)) or (*short, *known)[:1]
    others = [Skipped(a.file, "not named; name it with --trace") for a in arrivals if a.name not in chosen]
    return [busiest(known[name]) for name in chosen], [*skipped, *others]


def busiest(arrivals: Arrivals) -> Arrivals:
    """The two hours of a longer recording that have its busiest step at 60% of their length; a shorter one as it is."""
    steps = int(LONGEST / arrivals.step)
    if len(arrivals.rate) <= steps:
        return arrivals
    begin = int(np.clip(int(np.argmax(arrivals.rate)) - 0.6 * steps, 0, len(arrivals.rate) - steps))
    return replace(arrivals, rate=arrivals.rate[begin : begin + steps])


@dataclass(frozen=True, slots=True)
class Job:
    """One run."""

    arrivals: Arrivals
    scenario: Scenario
    policy: str
    seed: int

    def run(self) -> Result:
        """Simulate it."""
        return simulate(self.arrivals, self.scenario, self.policy, policies()[self.policy](), self.seed)


def jobs_of(cases: Sequence[tuple[Arrivals, Scenario]], names: Sequence[str], seed: int) -> list[Job]:
    """Every policy on every case; without names the default ones, and in BRIDGED what shows the bridge's part."""
    hpas = tuple(name for name in policies() if name.startswith("hpa-"))
    made = []
    for arrivals, scenario in cases:
        wanted = names or (*DEFAULT_POLICIES, *(WITHOUT if scenario.name in BRIDGED else ()))
        tried = dict.fromkeys(n for n in wanted if n != HPA_BEST)
        if HPA_BEST in wanted:
            tried |= dict.fromkeys(hpas)
        made += [Job(arrivals, scenario, name, seed) for name in tried]
    return made


def run_all(jobs: Sequence[Job], names: Sequence[str], processes: int) -> list[Result]:
    """Results in the order of the jobs; HPA targets that only hindsight needed are one row, hpa-best."""
    finished = []
    with bar(len(jobs)) as progress:
        for result in _each(jobs, processes):
            finished.append(result)
            progress.start(f"{result.scenario} {result.policy}")
            progress.finish()
    shown: list[Result] = []
    for case in dict.fromkeys((r.trace, r.scenario) for r in finished):
        members = [r for r in finished if (r.trace, r.scenario) == case]
        wanted = names or (*DEFAULT_POLICIES, *(WITHOUT if case[1] in BRIDGED else ()))
        shown += [r for r in members if r.policy in wanted]
        best = hpa_best(members) if HPA_BEST in wanted else None
        if best is not None:
            shown.append(replace(best, policy=HPA_BEST, chosen=best.policy))
    return shown


def _each(jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    """Each result in order, in worker processes where there is more than one to do."""
    if processes < 2 or len(jobs) < 2:
        yield from map(Job.run, jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(Job.run, jobs)


def report(
    results: Sequence[Result],
    skipped: Sequence[Skipped],
    seed: int,
    json_file: Path | None,
    html_file: Path | None,
) -> None:
    """Print the table, and write the files that were asked for.

    Raises:
        ReportError: a file can't be written.
    """
    console = terminal()
    table = Table("Closed loop", COLUMNS, [row(r) for r in results], group="scenario")
    show(console, table)
    about = {s.name: s.about for s in scenarios().values()}
    notes = [f"{name}: {about[name]}." for name in dict.fromkeys(r.scenario for r in results)]
    notes += [f"hpa-best in {r.scenario} is {r.chosen}." for r in results if r.chosen]
    notes += [f"Skipped {one.file}: {one.why}." for one in skipped]
    settings = Settings().digest()
    for note in [*notes, f"Settings {settings}, seed {seed}."]:
        console.print(note, markup=False)
    if json_file is not None:
        document = {
            "settings": settings,
            "seed": seed,
            "rows": [row(r) for r in results],
            "skipped": [{"file": one.file, "why": one.why} for one in skipped],
        }
        write(json_file, encode(document))
    if html_file is not None:
        text = page("The closed loop", [*notes, f"Settings {settings}, seed {seed}."], [table], plots(results))
        write(html_file, text.encode())
