"""OOM kills of the past, from what kube-state-metrics tells: how often a container restarted, and why it last ended."""

from collections.abc import Iterable

import numpy as np

from trimtab.backtest.queries import OWNER_STEP
from trimtab.decide.columns import F8
from trimtab.observe.source import Series

Key = tuple[str, str]
"""Pod and container."""


def kills(reasons: Iterable[Series], restarts: Iterable[Series], start: float) -> dict[Key, tuple[F8, F8]]:
    """Times and numbers of kills in the hour before them, by pod and container.

    `reasons` is 1 where a container last ended by the OOM killer, `restarts` its count. A restart counts as a kill when
    the reason of that hour is one. What a pod that was there at `start` (Unix seconds) had before is not counted.
    """
    killed = _whole(reasons)
    found: dict[Key, tuple[F8, F8]] = {}
    for key, (times, counts) in _whole(restarts).items():
        if key not in killed or not len(times):
            continue
        first = counts[0] if times[0] > start + OWNER_STEP else 0.0
        # The count of a pod starts again from nothing with another pod of the same name.
        more = np.where(counts[1:] >= counts[:-1], counts[1:] - counts[:-1], counts[1:])
        new = np.concatenate(([first], more))
        told, values = killed[key]
        at = (new > 0) & np.isin(times, told[values > 0])
        if at.any():
            found[key] = times[at], new[at]
    return found


def _whole(parts: Iterable[Series]) -> dict[Key, tuple[F8, F8]]:
    """The parts of each series as one, by time."""
    columns: dict[Key, list[Series]] = {}
    for one in parts:
        columns.setdefault((one.labels.get("pod", ""), one.labels.get("container", "")), []).append(one)
    whole: dict[Key, tuple[F8, F8]] = {}
    for key, members in columns.items():
        times = np.concatenate([one.times for one in members])
        values = np.concatenate([one.values for one in members])
        kept = np.flatnonzero(np.isfinite(values))
        kept = kept[np.argsort(times[kept], kind="stable")]
        whole[key] = times[kept], values[kept]
    return whole
