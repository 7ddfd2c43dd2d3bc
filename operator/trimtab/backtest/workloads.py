"""A row a workload: what its containers cost together, what of it is slack, and who was killed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trimtab.backtest.owners import Workload, shown
from trimtab.backtest.replay import POLICIES, TODAY, Judged, Result, Verdict
from trimtab.lab.report.tables import MISSING, Column, rate

OWN, PEER = POLICIES
SIZED_BY = (TODAY, OWN, PEER)


def money(value: object) -> str:
    """An amount with two decimals."""
    return f"{value:,.2f}" if isinstance(value, (int, float)) else MISSING


def kills(value: object) -> str:
    """A number of OOM kills."""
    return "not known" if value is None else str(value)


def workload_columns(currency: str) -> tuple[Column, ...]:
    """Columns of `workloads`."""
    return (
        Column("name", "workload", number=False),
        Column("cost_today", f"{currency}/month now", money),
        Column("cost_trimtab", "with trimtab", money),
        Column("cost_vpa", "with vpa", money),
        Column("saved", "saved", money),
        Column("slack_today", "slack now", rate),
        Column("slack_trimtab", "with trimtab", rate),
        Column("slack_vpa", "with vpa", rate),
        Column("ooms_today", "OOMs now", kills),
        Column("ooms_trimtab", "with trimtab", kills),
        Column("ooms_vpa", "with vpa", kills),
        Column("kind", "kind", number=False),
        Column("requests_known", "requests known"),
    )


def saved(one: Judged) -> float | None:
    """Currency units a month less than today; None where the request is not known."""
    if TODAY not in one.verdicts or OWN not in one.verdicts:
        return None
    return one.verdicts[TODAY].monthly_cost - one.verdicts[OWN].monthly_cost


def workloads(result: Result) -> list[dict[str, Any]]:
    """What matters first: the largest difference in money. Where only some requests are known, the costs, slack and
    kills are of those alone, so that the three can be compared; where none is, they are of all."""
    groups: dict[Workload, list[Judged]] = {}
    for one in result.judged:
        groups.setdefault(one.track.workload, []).append(one)
    made = [_row(workload, members) for workload, members in groups.items()]
    return sorted(made, key=lambda row: (-abs(row["saved"] or 0.0), row["name"], row["kind"]))


def _row(workload: Workload, members: Sequence[Judged]) -> dict[str, Any]:
    known = [one for one in members if TODAY in one.verdicts]
    chosen = known or members
    by: dict[str, list[Verdict]] = {
        policy: found
        for policy in SIZED_BY
        if len(found := [one.verdicts[policy] for one in chosen if policy in one.verdicts]) == len(chosen)
    }
    cost = {policy: sum(one.monthly_cost for one in found) for policy, found in by.items()}
    return {
        "name": str(workload),
        "kind": shown(workload.kind),
        "requests_known": f"{len(known)} of {len(members)}",
        **{f"cost_{policy}": cost.get(policy) for policy in SIZED_BY},
        "saved": cost[TODAY] - cost[OWN] if TODAY in cost and OWN in cost else None,
        **{f"slack_{policy}": _slack(chosen, by, policy) for policy in SIZED_BY},
        **{f"ooms_{policy}": ooms(by[policy]) if policy in by else None for policy in SIZED_BY},
    }


def _slack(chosen: Sequence[Judged], by: Mapping[str, Sequence[Verdict]], policy: str) -> float | None:
    """Σ cost of slack / Σ cost of usage: money makes cores and bytes one."""
    if policy not in by:
        return None
    used = [float(one.usage.values[one.usage.scored_from :].mean()) for one in chosen]
    weights = [u * one.monthly_cost / one.level for u, one in zip(used, by[policy], strict=True) if one.level > 0]
    slack = [one.slack for one in by[policy] if one.level > 0]
    return float(np.average(slack, weights=weights)) if sum(weights) > 0 else None


def ooms(found: Sequence[Verdict]) -> int | None:
    """Kills together; None where one of them is not known."""
    counts = [one.ooms for one in found]
    return None if None in counts else sum(count for count in counts if count is not None)
