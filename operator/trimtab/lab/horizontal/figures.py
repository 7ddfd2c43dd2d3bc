"""Plots of the horizontal report: load and replicas, and violations, over the time of each recording."""

from collections.abc import Sequence

import numpy as np

from trimtab.decide.columns import F8
from trimtab.lab.horizontal.oracle import BUDGET
from trimtab.lab.horizontal.roster import HPA_BEST, MAKERS, ORACLE, YARDSTICK
from trimtab.lab.horizontal.score import Key, best_hpa
from trimtab.lab.horizontal.service import SERVICES
from trimtab.lab.horizontal.tasks import Finished, Series
from trimtab.lab.report.plot import Line, Marks, Plot

MINUTE = 60.0
_SHOWN = ("trimtab", HPA_BEST, YARDSTICK, ORACLE)
"""Visible before the reader chooses."""


def plots(finished: Sequence[Finished], names: Sequence[str]) -> list[Plot]:
    """Two plots a case of the first service and seed: replicas, and the share over the target, by minute."""
    if not finished:
        return []
    first = min((tuple(SERVICES).index(one.row.service), one.row.seed) for one in finished)
    cases: dict[Key, list[Finished]] = {}
    for one in finished:
        if (tuple(SERVICES).index(one.row.service), one.row.seed) == first:
            cases.setdefault(one.row.key, []).append(one)
    return [plot for key in sorted(cases) for plot in _case(key, cases[key], names)]


def _case(key: Key, members: Sequence[Finished], names: Sequence[str]) -> list[Plot]:
    trace, service_name, _, startup = key
    service = SERVICES[service_name]
    lines = {one.row.policy: one for one in members if one.row.policy in names}
    best = best_hpa([one.row for one in members])
    if HPA_BEST in names and best is not None:
        lines[HPA_BEST] = next(one for one in members if one.row.policy == best.policy)
    order = [name for name in (*_SHOWN, *MAKERS) if name in lines]
    order = list(dict.fromkeys(order))
    some = members[0].series
    times: F8 = np.arange(len(some["requests"]), dtype=np.float64) * MINUTE
    if not len(times) or not order:
        return []
    load = np.array(some["requests"]) / MINUTE / service.capacity
    shaded = len(times) * MINUTE / 4 if len(times) * MINUTE < 8 * 86400 else 2 * 86400.0
    title = f"{trace}, {service_name}, pods start in {startup:g} s"
    note = f"{HPA_BEST} is {best.policy} here." if HPA_BEST in lines and best is not None else ""
    return [
        Plot(
            title=f"{title}: pods",
            times=times,
            lines=[
                Line("load", load, area=True),
                *(Line(name, np.array(lines[name].series["replicas"]), shown=name in _SHOWN) for name in order),
            ],
            marks=[mark for name in order if (mark := _missed(name, lines[name].series, times, shaded)) is not None],
            unit="pods",
            shaded_until=shaded,
            note=f"Load: the pods that would be wholly busy. Marks: minutes with more than 1% late. {note}".strip(),
        ),
        Plot(
            title=f"{title}: share over the target",
            times=times,
            lines=[
                Line(name, 100 * np.array(lines[name].series["violations"]), shown=name in _SHOWN) for name in order
            ],
            unit="%",
            shaded_until=shaded,
            note=f"Of the requests that arrived in each minute; the target is {service.target:g} s. {note}".strip(),
        ),
    ]


def _missed(name: str, series: Series, times: F8, scored_from: float) -> Marks | None:
    """The scored minutes in which more than 1% of a policy's requests were over the target; None: there are none."""
    late = (np.array(series["violations"]) > BUDGET) & (times >= scored_from)
    return Marks(name, "minutes over 1%", times[late], np.array(series["replicas"])[late]) if late.any() else None
