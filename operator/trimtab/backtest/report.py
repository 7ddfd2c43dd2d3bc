"""What a backtest says: a table for the terminal, rows for machines, one page of HTML for people."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trimtab.backtest.notes import notes
from trimtab.backtest.owners import shown
from trimtab.backtest.reader import Past
from trimtab.backtest.replay import GIB, TODAY, Judged, Result, Verdict
from trimtab.backtest.workloads import OWN, SIZED_BY, kills, money, ooms, saved, workload_columns, workloads
from trimtab.decide.columns import F8
from trimtab.decide.settings import Settings
from trimtab.lab.report.page import page
from trimtab.lab.report.plot import Line, Marks, Plot
from trimtab.lab.report.tables import MISSING, Column, Table, percent, plain

SHOWN_IN_TERMINAL = 25
POINTS, MANY, POINTS_OF_MANY = 700, 60, 160
"""Points across a plot, and fewer where there are many plots: a page of 500 workloads stays some 10 MB."""


def _columns(currency: str) -> tuple[Column, ...]:
    return (
        Column("name", "container", number=False),
        Column("resource", "of", number=False),
        Column("today", "requested", plain),
        Column("trimtab", "trimtab", plain),
        Column("vpa", "vpa", plain),
        Column("saved", f"saved {currency}/month", money),
        Column("overrun_today", "overruns now", percent),
        Column("overrun_trimtab", "with trimtab", percent),
        Column("overrun_vpa", "with vpa", percent),
        Column("ooms_today", "OOMs now", kills),
        Column("ooms_trimtab", "with trimtab", kills),
        Column("ooms_vpa", "with vpa", kills),
        Column("changes_per_day", "moves/d", lambda x: plain(round(x, 1)) if isinstance(x, float) else MISSING),
    )


_TOTAL = (
    Column("resource", "of", number=False),
    Column("policy", "sized by", number=False),
    Column("containers", "containers"),
    Column("slack", "slack", lambda x: f"{x:.2f}" if isinstance(x, float) else MISSING),
    Column("overrun", "overrun", percent),
    Column("ooms", "OOMs", kills),
    Column("monthly_cost", "a month", money),
)


def amount(resource: str, value: float | None) -> str | None:
    """Cores as millicores, bytes as MiB."""
    if value is None:
        return None
    return f"{1000 * value:.0f}m" if resource == "cpu" else f"{value * GIB / GIB / 2**20:.0f}Mi"


def ranked(result: Result) -> list[Judged]:
    """What matters first: the largest difference in money between what was requested and what Trimtab would have."""
    return sorted(result.judged, key=lambda one: (-abs(saved(one) or 0.0), one.track.name, one.usage.resource))


def rows(result: Result) -> list[dict[str, Any]]:
    """A row a container and resource, what matters first."""
    made = []
    for one in ranked(result):
        found = one.verdicts

        def of(policy: str, what: str, found: Mapping[str, Verdict] = found) -> Any:
            return getattr(found[policy], what) if policy in found else None

        resource = one.usage.resource
        made.append(
            {
                "name": one.track.name,
                "kind": one.track.workload.kind,
                "resource": resource,
                **{policy: amount(resource, of(policy, "level")) for policy in SIZED_BY},
                "saved": saved(one),
                **{f"overrun_{policy}": of(policy, "overrun") for policy in SIZED_BY},
                **{f"ooms_{policy}": of(policy, "ooms") for policy in SIZED_BY},
                "changes_per_day": of(OWN, "changes_per_day"),
                "gap": one.gap,
            }
        )
    return made


def totals(result: Result) -> list[dict[str, Any]]:
    """By resource and policy, over the containers that every policy was judged on."""
    made = []
    for resource in ("cpu", "memory"):
        for shared in (True, False):
            chosen = [
                one for one in result.judged if one.usage.resource == resource and (TODAY in one.verdicts) == shared
            ]
            for policy in result.policies if shared else result.policies[1:]:
                found = [one.verdicts[policy] for one in chosen if policy in one.verdicts]
                if found:
                    made.append(_total(resource, policy, shared, chosen, found))
    return made


def _total(
    resource: str, policy: str, shared: bool, chosen: Sequence[Judged], found: Sequence[Verdict]
) -> dict[str, Any]:
    weights = np.array([float(one.usage.values[one.usage.scored_from :].sum()) for one in chosen])
    slack = float(np.average([one.slack for one in found], weights=weights)) if weights.sum() > 0 else None
    return {
        "resource": resource if shared else f"{resource}, request unknown",
        "policy": policy,
        "containers": len(found),
        "slack": slack,
        "overrun": float(np.mean([one.overrun for one in found])),
        "ooms": ooms(found),
        "monthly_cost": sum(one.monthly_cost for one in found),
    }


def tables(result: Result, currency: str, most: int | None = None) -> list[Table]:
    """Totals, workloads and containers (the first `most`), and what could not be judged."""
    made = [Table("In total", _TOTAL, totals(result), "resource", searched=False)]
    for what, columns, lines in (
        ("Workloads", workload_columns(currency), workloads(result)),
        ("Containers", _columns(currency), rows(result)),
    ):
        title = f"{what}, what matters first"
        if most is not None and len(lines) > most:
            title += f" ({most} of {len(lines)}; --html or --json shows all)"
        made.append(Table(title, columns, lines[:most]))
    if result.unjudged:
        left_out = (
            Column("name", "container", number=False),
            Column("resource", "of", number=False),
            Column("why", "not judged because", number=False),
        )
        made.append(Table("Not judged", left_out, _unjudged(result)[:most]))
    return made


def _unjudged(result: Result) -> list[dict[str, str]]:
    return [{"name": one.name, "resource": one.resource, "why": shown(one.why)} for one in result.unjudged]


def document(past: Past, result: Result, days: int) -> dict[str, Any]:
    """What --json holds."""
    return {
        "settings": Settings().digest(),
        "days": days,
        "notes": notes(past, result, days),
        "sources": {
            shown(name): {"owners": s.owners, "requests": s.requests, "kills": s.kills}
            for name, s in sorted(past.sources.items())
        },
        "totals": totals(result),
        "workloads": workloads(result),
        "rows": [verdict.as_dict() for one in ranked(result) for verdict in one.verdicts.values()],
        "unjudged": _unjudged(result),
        "unread": {shown(name): shown(why) for name, why in sorted(past.unread.items())},
    }


def table_file(result: Result) -> str:
    """What --csv holds: a line a container, resource and policy."""
    out = io.StringIO()
    writer = csv.DictWriter(out, Verdict.__slots__, lineterminator="\n")
    writer.writeheader()
    writer.writerows(verdict.as_dict() for one in ranked(result) for verdict in one.verdicts.values())
    return out.getvalue()


def html(past: Past, result: Result, days: int, currency: str) -> str:
    """What --html holds."""
    judged = ranked(result)
    points = POINTS if len(judged) <= MANY else POINTS_OF_MANY
    plots = [_plot(one, points) for one in judged]
    return page("Trimtab backtest", notes(past, result, days), tables(result, currency), plots)


def _plot(one: Judged, points: int) -> Plot:
    usage = one.usage
    times = usage.times - usage.times[0]
    unit, size = ("cores", 1.0) if usage.resource == "cpu" else ("MiB", 2.0**20)
    width = -(-len(times) // points)
    begins = np.arange(0, len(times), width)
    lines = [Line("usage", np.maximum.reduceat(usage.values, begins) / size, area=True)]
    marks = []
    for policy, replay in one.replays.items():
        levels = np.where(np.isfinite(replay.levels), replay.levels, np.nan)
        lines.append(Line(policy, _means(levels, begins) / size))
        killed = replay.killed & np.isfinite(levels)
        if killed.any():
            marks.append(Marks(policy, "OOM kills", times[killed], levels[killed] / size))
    return Plot(
        title=f"{one.track.name} · {usage.resource}",
        times=times[begins],
        lines=lines,
        marks=marks,
        unit=unit,
        shaded_until=float(times[usage.scored_from]),
        start=float(usage.times[0]),
        note="; ".join(
            f"{v.policy}: {amount(v.resource, v.level)}, slack {v.slack:.2f}, overrun {v.overrun:.2%}"
            for v in one.verdicts.values()
        ),
    )


def _means(values: F8, begins: Any) -> F8:
    """Mean of the known values of each part; NaN where none is known."""
    known = np.isfinite(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), begins)
    counts = np.add.reduceat(known.astype(np.float64), begins)
    return np.asarray(np.divide(sums, counts, out=np.full(len(begins), np.nan), where=counts > 0), dtype=np.float64)
