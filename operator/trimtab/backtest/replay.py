"""Every container of a fleet through the lab's policies, beside what was requested; in figures and in money."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from trimtab.backtest.owners import shown
from trimtab.backtest.tracks import STEP, Fleet, Track
from trimtab.decide.columns import F8
from trimtab.lab.traces import ResourceName, Usage
from trimtab.lab.vertical.policies import known
from trimtab.lab.vertical.replay import Policy, Progress, Replay, replay_cpu, replay_memory
from trimtab.lab.vertical.score import score

TODAY = "today"
POLICIES = ("trimtab", "vpa")
LEAST_SAMPLES = 288
"""Samples of a day at 5 minutes: with fewer a container is not judged."""
RESOURCES: tuple[ResourceName, ...] = ("cpu", "memory")
CARRIED, BEFORE = 3 * 3600.0, 3600.0
"""Seconds that a request stands without being told again, and before it is told first: looks are an hour apart."""
MOST_UNKNOWN = 0.1
"""Share of the scored samples without a known request from which on nothing is said of today."""
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
    ooms: int | None
    """OOM kills; None: not known."""
    changes_per_day: float
    level: float
    """Time-weighted mean of the request, cores or bytes."""
    present: float
    """Share of the measured time in which it had pods, 0 to 1."""
    monthly_cost: float
    """Currency units for a month like the days that were read, all pods, for the time that they were there."""

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
    unknown: float
    """Share of its scored samples without a known request."""


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
    broken: dict[int, str] = {}
    for name in policies:
        policy = known()[name]()
        for resource in RESOURCES:
            started(f"{name} on {resource}")
            rows = [i for i, (_, usage) in enumerate(wanted) if usage.resource == resource and i not in broken]
            run = partial(replay_cpu, policy) if resource == "cpu" else partial(_memory, policy, progress)
            for i, one in zip(rows, _apart(run, [wanted[i][1] for i in rows]), strict=True):
                if isinstance(one, Replay):
                    replays[i][name] = one
                else:
                    broken[i] = one
            finished()
    judged = []
    measured = fleet.known
    for i, ((track, usage), done) in enumerate(zip(wanted, replays, strict=True)):
        if i in broken:
            unjudged.append(Unjudged(track.name, usage.resource, broken[i]))
            continue
        today = _as_requested(fleet, track, usage)
        unknown = float(np.mean(np.isnan(today.levels[usage.scored_from :])))
        everything = {TODAY: today, **done} if unknown <= MOST_UNKNOWN else done
        share = float(track.present.sum() / measured.sum())
        verdicts = {
            name: _verdict(fleet, track, _where_known(one) if name == TODAY else one, prices, share)
            for name, one in everything.items()
        }
        judged.append(Judged(track, usage, everything, verdicts, _gap(usage), unknown))
    return Result(judged, unjudged, (TODAY, *policies))


def _memory(policy: Policy, progress: Progress, usages: Sequence[Usage]) -> list[Replay]:
    return replay_memory(policy, usages, progress)


def _apart(run: Callable[[Sequence[Usage]], list[Replay]], usages: Sequence[Usage]) -> list[Replay | str]:
    """The replays; where the policy has no answer to a recording, why, and the others as if it were not there."""
    try:
        return list(run(usages))
    except ValueError as error:
        if len(usages) == 1:
            return [f"the replay gave no result: {error}"]
    middle = len(usages) // 2
    return [*_apart(run, usages[:middle]), *_apart(run, usages[middle:])]


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


def _as_requested(fleet: Fleet, track: Track, usage: Usage) -> Replay:
    """What was requested, in force at every sample; NaN where no request was known. Killed as it was."""
    levels = _carried(track.request(usage.resource).astype(np.float64))[fleet.places(usage.times)]
    killed = np.zeros(len(usage), dtype=bool)
    if usage.resource == "memory":
        at = fleet.times[np.flatnonzero(track.kills > 0)]
        killed[np.maximum(np.searchsorted(usage.times, at, side="right") - 1, 0)] = True
    return Replay(usage, TODAY, levels, killed)


def _carried(levels: F8) -> F8:
    """Steps of unknown requests take the last known one, or the next, where it is not too far off."""
    steps = np.arange(len(levels))
    known = np.isfinite(levels)
    last = np.maximum.accumulate(np.where(known, steps, -1))
    following = np.minimum.accumulate(np.where(known, steps, len(levels))[::-1])[::-1]
    before = (last >= 0) & ((steps - last) * STEP <= CARRIED)
    after = (following < len(levels)) & ((following - steps) * STEP <= BEFORE)
    either = np.where(before, levels[last], np.where(after, levels[following % len(levels)], np.nan))
    return np.asarray(either, dtype=np.float64)


def _where_known(one: Replay) -> Replay:
    """The replay without the samples whose request is not known."""
    kept = np.isfinite(one.levels)
    usage = replace(one.usage, times=one.usage.times[kept], values=one.usage.values[kept])
    return Replay(usage, one.policy, one.levels[kept], one.killed[kept])


def _verdict(fleet: Fleet, track: Track, one: Replay, prices: Prices, present: float) -> Verdict:
    row = score(one)
    start = one.usage.scored_from
    levels, times = one.levels[start:], one.usage.times[start:]
    pods = np.maximum(track.pods[fleet.places(times)], 1).astype(np.float64)
    hourly: float = float(np.mean(levels * pods)) * prices.of(one.usage.resource)
    ooms: int | None = row.ooms
    if one.policy == TODAY and one.usage.resource == "memory":
        kills = float(track.kills[fleet.times >= times[0]].sum())
        ooms = int(kills) if math.isfinite(kills) else None
    return Verdict(
        name=track.name,
        kind=shown(track.workload.kind),
        resource=one.usage.resource,
        policy=one.policy,
        slack=row.slack,
        overrun=row.overrun,
        overrun_depth=row.overrun_depth,
        ooms=ooms,
        changes_per_day=row.changes_per_day,
        level=float(levels.mean()),
        present=present,
        monthly_cost=hourly * present * MONTH_HOURS,
    )
