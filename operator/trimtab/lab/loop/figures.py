"""Rows and plots of the closed loop's report."""

from collections.abc import Sequence

import numpy as np

from trimtab.lab.loop.run import WARM_UP_SHARE, Result
from trimtab.lab.report.plot import Line, Marks, Plot
from trimtab.lab.report.tables import Column, Row, percent

HPA_BEST = "hpa-best"
BUDGET = 0.01
"""Share of requests over the target that hindsight allows."""

COLUMNS = (
    Column("trace", "Recording", number=False),
    Column("scenario", "Scenario", number=False),
    Column("policy", "Policy", number=False),
    Column("violations", "Over target", percent),
    Column("core_hours", "Core-hours"),
    Column("memory_gib_hours", "GiB-hours"),
    Column("pod_hours", "Pod-hours"),
    Column("ooms", "OOM kills"),
    Column("changes", "Changes"),
    Column("evictions", "Evictions"),
    Column("rollbacks", "Rollbacks"),
    Column("loans", "Loans"),
    Column("throttled", "Throttled", percent),
    Column("least_ready", "Fewest ready"),
)
_OF_RESULT = tuple(column.key for column in COLUMNS)


def row(result: Result) -> Row:
    """A row of the table."""
    return {name: getattr(result, name) for name in _OF_RESULT}


def hpa_best(results: Sequence[Result]) -> Result | None:
    """With hindsight: the fewest core-hours of the HPA targets with at most 1% over, or the fewest violations."""
    fixed = [r for r in results if r.policy.startswith("hpa-") and r.policy != HPA_BEST]
    kept = [r for r in fixed if r.violations <= BUDGET]
    if kept:
        return min(kept, key=lambda r: (r.core_hours, r.policy))
    return min(fixed, key=lambda r: (r.violations, r.core_hours), default=None)


def plots(results: Sequence[Result]) -> list[Plot]:
    """Latency, CPU and replicas of every run on one time axis each: plots that share their times."""
    found = []
    cases = dict.fromkeys((r.trace, r.scenario) for r in results)
    for trace, scenario in cases:
        members = [r for r in results if (r.trace, r.scenario) == (trace, scenario)]
        found += _case(f"{trace}, {scenario}", members)
    return found


def _case(title: str, members: Sequence[Result]) -> list[Plot]:
    first = members[0].series
    shaded = WARM_UP_SHARE * float(first.time[-1]) if len(first.time) else 0.0
    views = (
        ("latency", "latency", "s", "95% quantile of the requests that ended in each 15 s."),
        ("quota", "CPU limit of a pod", "cores", "Mean over the ready pods, what is lent included. Marks: loans."),
        ("ready", "ready pods", "pods", "Marks: OOM kills and roll-outs."),
        ("request", "CPU requested", "cores", "By all scheduled pods: what the cluster has to hold."),
        ("bad", "share over the target", "%", ""),
    )
    made = []
    for name, what, unit, note in views:
        factor = 100.0 if unit == "%" else 1.0
        lines = [Line(r.policy, np.asarray(getattr(r.series, name), dtype=np.float64) * factor) for r in members]
        marks = [mark for r in members for mark in _marks(name, r)]
        made.append(Plot(f"{title}: {what}", first.time, lines, marks, unit, shaded, note))
    rate = [Line("requests", first.rate, area=True)]
    return [Plot(f"{title}: load", first.time, rate, (), "requests/s", shaded), *made]


def _marks(view: str, result: Result) -> list[Marks]:
    """Events that belong to a view, where there are any: loans on the limit they raise; what costs pods on the pods."""
    series = result.series
    happened = {
        "quota": {"loans": np.diff(series.lent, prepend=0.0) > 0},
        "ready": {"OOM kills": series.kills > 0, "roll-outs": np.diff(series.revision, prepend=0.0) > 0},
    }.get(view, {})
    height = np.nan_to_num(np.asarray(getattr(series, view), dtype=np.float64))
    return [Marks(result.policy, label, series.time[at], height[at]) for label, at in happened.items() if at.any()]
