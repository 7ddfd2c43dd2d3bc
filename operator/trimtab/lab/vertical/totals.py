"""Totals of the vertical table: each policy over all recordings, and against VPA on the same ones."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from trimtab.lab.vertical.score import Row

YARDSTICK = "vpa"


@dataclass(frozen=True, slots=True)
class Total:
    """One policy on one resource. Ratios are None where VPA is missing or wastes nothing."""

    resource: str
    policy: str
    traces: int
    slack_mean: float
    slack_worst: float
    ratio_mean: float | None
    """Mean over recordings of slack over VPA's slack."""
    ratio_worst: float | None
    """Largest of these."""
    ratio_total: float | None
    """Σ slack over Σ of VPA's slack, each recording in units of its own usage."""
    overrun_mean: float
    overrun_worst: float
    more_overruns: int
    """Recordings with more overruns than VPA."""
    ooms: int
    more_ooms: int
    """Recordings with more OOM kills than VPA."""
    changes_per_day_worst: float

    def as_dict(self) -> dict[str, str | float | int | None]:
        """The total as the JSON has it."""
        return asdict(self)


def totals(rows: Sequence[Row], yardstick: Sequence[Row]) -> list[Total]:
    """One total a resource and policy, in the order in which they come; `yardstick` holds VPA's rows."""
    vpa = {(row.trace, row.resource): row for row in yardstick}
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.resource, row.policy), []).append(row)
    return [_total(*key, members, vpa) for key, members in groups.items()]


def _total(resource: str, policy: str, rows: Sequence[Row], vpa: dict[tuple[str, str], Row]) -> Total:
    pairs = [(row, vpa[row.trace, row.resource]) for row in rows if (row.trace, row.resource) in vpa]
    ratios = [row.slack / other.slack for row, other in pairs if other.slack > 0]
    base = sum(other.slack for _, other in pairs)
    return Total(
        resource=resource,
        policy=policy,
        traces=len(rows),
        slack_mean=float(np.mean([row.slack for row in rows])),
        slack_worst=max(row.slack for row in rows),
        ratio_mean=float(np.mean(ratios)) if ratios else None,
        ratio_worst=max(ratios, default=None),
        ratio_total=sum(row.slack for row, _ in pairs) / base if base > 0 else None,
        overrun_mean=float(np.mean([row.overrun for row in rows])),
        overrun_worst=max(row.overrun for row in rows),
        more_overruns=sum(row.overrun > other.overrun for row, other in pairs),
        ooms=sum(row.ooms for row in rows),
        more_ooms=sum(row.ooms > other.ooms for row, other in pairs),
        changes_per_day_worst=max(row.changes_per_day for row in rows),
    )
