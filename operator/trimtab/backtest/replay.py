"""Every container of a fleet through the lab's policies, beside what was requested; in figures and in money."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimtab.backtest.tracks import STEP, Fleet, Track
from trimtab.decide.columns import F8
from trimtab.lab.traces import ResourceName, Usage
from trimtab.lab.vertical.policies import known
from trimtab.lab.vertical.replay import Progress, Replay, replay_cpu, replay_memory
from trimtab.lab.vertical.score import score

TODAY = "today"
POLICIES = ("trimtab", "vpa")
LEAST_SAMPLES = 288
"""Samples of a day at 5 minutes: with fewer a container is not judged."""
RESOURCES: tuple[ResourceName, ...] = ("cpu", "memory")
GIB = 2.0**30
MONTH_HOURS = 730.0
CORE_PRICE, GIB_PRICE = 0.031611, 0.004237
"""USD an hour: OpenCost's defaults for a node without a price."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Currency units an hour."""

    core: float = CORE_PRICE
    """A core."""
    gib: float = GIB_PRICE
    """A GiB of memory."""

    def of(self, resource: ResourceName) -> float:
        """Price of a core, or of a byte."""
        return self.core if resource == "cpu" else self.gib / GIB


@dataclass(frozen=True, slots=True)
class Verdict:
    """One container and resource under one policy, over the time after the warm-up."""

    name: str
    kind: str
    resource: ResourceName
    policy: str
    slack: float
    overrun: float
    overrun_depth: float
    ooms: int
    changes_per_day: float
    level: float
    """Time-weighted mean of the request, cores or bytes."""
    monthly_cost: float
    """Currency units for a month of requests like these, all pods."""

    def as_dict(self) -> dict[str, Any]:
        """The verdict as JSON and CSV have it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A container and resource that history says too little about."""

    name: str
    resource: ResourceName
    why: str


@dataclass(frozen=True, slots=True)
class Judged:
    """One container and resource with everything that a plot shows."""

    track: Track
    usage: Usage
    replays: Mapping[str, Replay]
    verdicts: Mapping[str, Verdict]
    gap: float
    """Share of the time since its first sample that has no sample."""


@dataclass(frozen=True, slots=True)
class Result:
    """A whole backtest."""

    judged: Sequence[Judged]
    unjudged: Sequence[Unjudged]
    policies: Sequence[str]


def replay(
    fleet: Fleet,
    prices: Prices,
    started: Callable[[str], None] = lambda _what: None,
    progress: Progress = lambda _name, _share: None,
    finished: Callable[[], None] = lambda: None,
    policies: Sequence[str] = POLICIES,
) -> Result:
    """Run it. The same fleet gives the same result."""
    wanted: list[tuple[Track, Usage]] = []
    unjudged: list[Unjudged] = []
    for track in fleet.tracks:
        for resource in RESOURCES:
            usage = track.usage(resource, fleet.times)
            why = _too_little(usage)
            if why:
                unjudged.append(Unjudged(track.name, resource, why))
            else:
                wanted.append((track, usage))
    replays: list[dict[str, Replay]] = [{} for _ in wanted]
    for name in policies:
        policy = known()[name]()
        for resource in RESOURCES:
            started(f"{name} on {resource}")
            rows = [i for i, (_, usage) in enumerate(wanted) if usage.resource == resource]
            usages = [wanted[i][1] for i in rows]
            made = replay_cpu(policy, usages) if resource == "cpu" else replay_memory(policy, usages, progress)
            for i, one in zip(rows, made, strict=True):
                replays[i][name] = one
            finished()
    judged = []
    for (track, usage), done in zip(wanted, replays, strict=True):
        requested = _as_requested(fleet, track, usage)
        everything = {TODAY: requested, **done} if requested is not None else done
        verdicts = {name: _verdict(fleet, track, one, prices) for name, one in everything.items()}
        judged.append(Judged(track, usage, everything, verdicts, _gap(usage)))
    return Result(judged, unjudged, (TODAY, *policies))


def _too_little(usage: Usage) -> str:
    if not len(usage):
        return "it has no sample"
    if len(usage) < LEAST_SAMPLES:
        return f"it has {len(usage)} samples; {LEAST_SAMPLES} (a day) are needed"
    if usage.scored_from >= len(usage):
        return "nothing is left after the warm-up"
    if not usage.values.any():
        return "it is zero all the time, which is a broken metric or a container that does nothing"
    return ""


def _gap(usage: Usage) -> float:
    span = float(usage.times[-1] - usage.times[0]) / STEP + 1
    return float(max(0.0, 1 - len(usage) / span))


def _as_requested(fleet: Fleet, track: Track, usage: Usage) -> Replay | None:
    """What was requested, in force at every sample; None where no request was known at any scored sample."""
    at = fleet.places(usage.times)
    levels = track.request(usage.resource)[at].astype(np.float64)
    if not np.isfinite(levels[usage.scored_from :]).all():
        levels = _carried(levels)
    if not np.isfinite(levels[usage.scored_from :]).all():
        return None
    # The limit decides about OOM kills, not the request: what happened is not told by these metrics.
    return Replay(usage, TODAY, levels, np.zeros(len(usage), dtype=bool))


def _carried(levels: F8) -> F8:
    """Unknown requests take the last known one."""
    last = np.maximum.accumulate(np.where(np.isfinite(levels), np.arange(len(levels)), -1))
    return np.asarray(np.where(last >= 0, levels[np.maximum(last, 0)], np.nan), dtype=np.float64)


def _verdict(fleet: Fleet, track: Track, one: Replay, prices: Prices) -> Verdict:
    row = score(one)
    start = one.usage.scored_from
    levels = one.levels[start:]
    pods = np.maximum(track.pods[fleet.places(one.usage.times)][start:], 1).astype(np.float64)
    hourly: float = float(np.mean(levels * pods)) * prices.of(one.usage.resource)
    return Verdict(
        name=track.name,
        kind=track.workload.kind,
        resource=one.usage.resource,
        policy=one.policy,
        slack=row.slack,
        overrun=row.overrun,
        overrun_depth=row.overrun_depth,
        ooms=row.ooms,
        changes_per_day=row.changes_per_day,
        level=float(levels.mean()),
        monthly_cost=hourly * MONTH_HOURS,
    )
