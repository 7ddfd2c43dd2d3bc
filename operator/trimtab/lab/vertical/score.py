"""Figures of a replay, over the samples after the warm-up."""

from dataclasses import asdict, dataclass

import numpy as np

from trimtab.lab.traces import DAY
from trimtab.lab.vertical.replay import Replay

_CHANGE = 1e-9
"""Relative difference from which two levels count as different."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the vertical table."""

    trace: str
    resource: str
    policy: str
    slack: float
    """Σ (level − usage)⁺ / Σ usage."""
    overrun: float
    """Share of samples with usage above the level, 0 to 1."""
    overrun_depth: float
    """Mean over those samples of (usage − level)/usage: the share of its demand that an overrun leaves unmet."""
    ooms: int
    """OOM kills; 0 for CPU."""
    changes_per_day: float
    """Changes of the level a day."""

    def as_dict(self) -> dict[str, str | float | int]:
        """The row as the JSON has it."""
        return asdict(self)


def score(replay: Replay) -> Row:
    """The figures of one replay with at least one scored sample, as `read_usage` sees to.

    Where a recording uses nothing at all, slack is the mean level instead of a ratio.
    """
    usage, start = replay.usage, replay.usage.scored_from
    used, levels = usage.values[start:], replay.levels[start:]
    over = used > levels
    total = float(used.sum()) or float(len(used))
    days = float(usage.times[-1] - usage.times[start] + usage.step) / DAY
    before = np.concatenate((replay.levels[max(start - 1, 0) : start], levels))
    known = np.isfinite(before[:-1])
    changed = known & (np.abs(before[1:] - before[:-1]) > _CHANGE * np.abs(before[1:]))
    return Row(
        trace=usage.name,
        resource=usage.resource,
        policy=replay.policy,
        slack=float(np.maximum(levels - used, 0.0).sum()) / total,
        overrun=float(over.mean()),
        overrun_depth=float(((used - levels)[over] / used[over]).mean()) if over.any() else 0.0,
        ooms=int(replay.killed[start:].sum()),
        changes_per_day=float(changed.sum()) / days,
    )
