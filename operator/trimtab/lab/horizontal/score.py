"""Rows and totals of the horizontal table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from trimtab.lab.horizontal.oracle import BUDGET
from trimtab.lab.horizontal.roster import HPA_BEST, HPAS, ORACLE, POLICIES, YARDSTICK

Key = tuple[str, str, int, float]
"""Trace, service, seed, start-up seconds: one case."""


@dataclass(frozen=True, slots=True)
class Row:
    """One policy on one case."""

    trace: str
    service: str
    seed: int
    policy: str
    startup_seconds: float
    violations: float
    """Share of the scored requests over the latency target."""
    pod_hours: float
    core_hours: float
    oracle_pod_hours: float
    changes_per_day: float

    @property
    def key(self) -> Key:
        """The case."""
        return self.trace, self.service, self.seed, self.startup_seconds

    def as_dict(self) -> dict[str, str | int | float]:
        """The row as the JSON has it."""
        return asdict(self)


def best_hpa(rows: Iterable[Row]) -> Row | None:
    """The HPA that hindsight picks of one case: the cheapest within the budget, else the one with fewest violations."""
    hpas = [row for row in rows if row.policy in HPAS]
    if not hpas:
        return None
    within = [row for row in hpas if row.violations <= BUDGET]
    if within:
        return min(within, key=lambda row: (row.pod_hours, row.violations))
    return min(hpas, key=lambda row: (row.violations, row.pod_hours))


def completed(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """The rows of these policies, hpa-best among them, in the order of the table."""
    cases: dict[Key, list[Row]] = {}
    for row in rows:
        cases.setdefault(row.key, []).append(row)
    for members in cases.values():
        if HPA_BEST in names and (best := best_hpa(members)) is not None:
            members.append(replace(best, policy=HPA_BEST))
    order = {name: place for place, name in enumerate(POLICIES)}
    shown = [row for members in cases.values() for row in members if row.policy in names]
    return sorted(shown, key=lambda row: (row.key, order[row.policy]))


@dataclass(frozen=True, slots=True)
class Total:
    """One policy over all cases. Ratios are geometric means over cases; None where nothing stands against it."""

    policy: str
    cases: int
    over_budget: int
    """Cases with more than 1% of the requests over the target."""
    worst: float
    """Largest share over the target of any case."""
    mean: float
    pods_to_hpa70: float | None
    pods_to_best: float | None
    pods_to_oracle: float | None
    changes_to_hpa70: float | None
    """Changes over all cases, over those of hpa-70."""
    changes_per_day: float
    """Median over the cases."""

    def as_dict(self) -> dict[str, str | int | float | None]:
        """The total as the JSON has it."""
        return asdict(self)


def totals(rows: Sequence[Row], names: Sequence[str]) -> list[Total]:
    """One total a policy. `rows` also holds the yardstick, hpa-best and the oracle where they were run."""
    by_policy: dict[str, dict[Key, Row]] = {}
    for row in rows:
        by_policy.setdefault(row.policy, {})[row.key] = row
    return [_total(name, by_policy[name], by_policy) for name in POLICIES if name in names and name in by_policy]


def _total(name: str, own: Mapping[Key, Row], by_policy: Mapping[str, Mapping[Key, Row]]) -> Total:
    yardstick = by_policy.get(YARDSTICK, {})
    shares = [row.violations for row in own.values()]
    base = sum(yardstick[key].changes_per_day for key in own if key in yardstick)
    changes = [row.changes_per_day for row in own.values()]
    return Total(
        policy=name,
        cases=len(own),
        over_budget=sum(share > BUDGET for share in shares),
        worst=max(shares),
        mean=float(np.mean(shares)),
        pods_to_hpa70=_ratio(own, yardstick),
        pods_to_best=_ratio(own, by_policy.get(HPA_BEST, {})),
        pods_to_oracle=_ratio(own, by_policy.get(ORACLE, {})),
        changes_to_hpa70=sum(changes) / base if base > 0 else None,
        changes_per_day=float(np.median(changes)),
    )


def _ratio(own: Mapping[Key, Row], other: Mapping[Key, Row]) -> float | None:
    logs = [np.log(row.pod_hours / other[key].pod_hours) for key, row in own.items() if key in other]
    return float(np.exp(np.mean(logs))) if logs else None
