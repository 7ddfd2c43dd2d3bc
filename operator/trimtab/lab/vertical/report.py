"""What a run of the vertical lab says: tables for terminal and page, plots for the page, rows for JSON."""

from collections.abc import Mapping

import numpy as np

from trimtab.decide.columns import B1
from trimtab.decide.settings import Settings
from trimtab.lab.report.page import page
from trimtab.lab.report.plot import Line, Marks, Plot
from trimtab.lab.report.tables import Column, Table, percent, plain, rate, ratio
from trimtab.lab.traces import Usage
from trimtab.lab.vertical.lab import Result, Set
from trimtab.lab.vertical.replay import Replay

ROWS = (
    Column("trace", "recording", number=False),
    Column("resource", "resource", number=False),
    Column("policy", "policy", number=False),
    Column("slack", "slack", ratio),
    Column("overrun", "overrun", percent),
    Column("overrun_depth", "depth", percent),
    Column("ooms", "OOMs"),
    Column("changes_per_day", "moves/d", rate),
)
TOTALS = (
    Column("resource", "resource", number=False),
    Column("policy", "policy", number=False),
    Column("traces", "n"),
    Column("slack_mean", "slack", ratio),
    Column("ratio_mean", "÷vpa", ratio),
    Column("ratio_worst", "÷vpa max", ratio),
    Column("ratio_total", "÷vpa Σ", ratio),
    Column("overrun_mean", "overrun", percent),
    Column("overrun_worst", "max", percent),
    Column("more_overruns", ">vpa"),
    Column("ooms", "OOMs"),
    Column("more_ooms", ">vpa"),
    Column("changes_per_day_worst", "moves/d", rate),
)
_QUIET = ("static-max", "oracle")
"""Not drawn until the reader asks: they hide the rest."""
NOTES = (
    "Slack is Σ(level − usage)⁺ / Σ usage; overrun the share of samples with usage above the level; depth the mean "
    "share of demand unmet in those. For memory an overrun is an OOM kill. Changes of the level a day. All after the "
    "warm-up: two days, or a quarter of a recording shorter than eight days.",
    "÷vpa is slack over VPA's slack on the same recordings: the mean, the largest, and of the sums; >vpa counts the "
    "recordings with more overruns, or more OOM kills, than VPA. Levels are in force from the next sample on and know "
    "nothing of it; oracle alone knows the hour to come.",
)


def tables(result: Result) -> list[Table]:
    """Totals and rows, recordings first, generated memory after them."""
    made = []
    for title, group in (("Recordings", result.real), ("Generated memory", result.generated)):
        if group.rows:
            made.append(Table(f"{title}: totals", TOTALS, [t.as_dict() for t in group.totals], "resource"))
            made.append(Table(f"{title}: every one", ROWS, [row.as_dict() for row in group.rows], "trace"))
    if result.skipped:
        files = [{"file": one.file, "why": one.why} for one in result.skipped]
        columns = (Column("file", "file", number=False), Column("why", "left out because it", plain, number=False))
        made.append(Table("Skipped", columns, files))
    return made


def document(result: Result) -> Mapping[str, object]:
    """What --json holds."""
    return {
        "settings": Settings().digest(),
        "policies": list(result.policies),
        "rows": [row.as_dict() for row in result.real.rows],
        "totals": [total.as_dict() for total in result.real.totals],
        "generated": {
            "rows": [row.as_dict() for row in result.generated.rows],
            "totals": [total.as_dict() for total in result.generated.totals],
        },
        "skipped": [{"file": one.file, "why": one.why} for one in result.skipped],
    }


def html(result: Result) -> str:
    """What --html holds."""
    notes = (*NOTES, f"Settings {Settings().digest()}.")
    plots = [*_plots(result.real), *_plots(result.generated)]
    return page("Trimtab lab: sizes", notes, tables(result), plots)


def _plots(group: Set) -> list[Plot]:
    return [_plot(group, index) for index in range(len(group.usages))]


def _events(usage: Usage, replay: Replay) -> tuple[str, B1]:
    """What happened to a policy after the warm-up, and in which samples: OOM kills, and overruns where they begin."""
    if usage.resource == "memory":
        return "OOM kills", replay.killed
    over = replay.usage.values > replay.levels
    over[: usage.scored_from] = False
    begins = over.copy()
    begins[1:] &= ~over[:-1]
    return "overruns", begins


def _plot(group: Set, index: int) -> Plot:
    """Usage, levels, and OOM kills or overruns, of one recording in its own unit."""
    usage, factor = group.usages[index], group.factors[index]
    times = usage.times - usage.times[0]
    unit, size = ("GiB", 2.0**30) if usage.resource == "memory" else ("as recorded", 1.0)
    lines = [Line("usage", usage.values / size, area=True)]
    marks: list[Marks] = []
    for name, replays in group.replays.items():
        replay = replays[index]
        levels = np.where(np.isfinite(replay.levels), replay.levels / factor / size, np.nan)
        lines.append(Line(name, levels, shown=name not in _QUIET))
        label, happened = _events(usage, replay)
        if happened.any():
            marks.append(Marks(name, label, times[happened], levels[happened]))
    rows = [row for row in group.rows if (row.trace, row.resource) == (usage.name, usage.resource)]
    return Plot(
        title=f"{usage.name} · {usage.resource}",
        times=times,
        lines=lines,
        marks=marks,
        unit=unit,
        shaded_until=float(times[usage.scored_from]),
        note="; ".join(f"{row.policy}: slack {ratio(row.slack)}, overrun {percent(row.overrun)}" for row in rows),
    )
