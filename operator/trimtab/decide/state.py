"""What the engine remembers between ticks: tables in the order of the last Observation, and pending moves by key."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar
from zlib import crc32

import numpy as np

from trimtab.api.status import AlertState
from trimtab.decide import away
from trimtab.decide.columns import B1, F8, I8, S, Table, column
from trimtab.decide.estimator.table import Levels
from trimtab.decide.observation import NAN, Observation
from trimtab.decide.plan import Decision
from trimtab.decide.rings import HOURS, SLOTS
from trimtab.decide.settings import Settings
from trimtab.decide.standing import Standing
from trimtab.decide.tally import Tally

T = TypeVar("T", bound=Table)


@dataclass(frozen=True, slots=True)
class WorkloadState(Table):
    """What is remembered of a workload; W rows. Times are Unix seconds; 0 or NaN: never."""

    key: S = column(object, "")
    template: S = column(object, "")
    restarted_at: F8 = column("f8", 0.0)
    """When the template last changed."""
    measured_at: F8 = column("f8", 0.0)
    """Time of the newest target sample seen."""
    missed_samples: I8 = column("i8", 0)
    """Fresh samples in a row with a target missed."""
    mean_ratio: F8 = column("f8", NAN)
    """Exponential mean of log(value/target)."""
    least_ratio: F8 = column("f8", NAN)
    """Smallest latency/target of late, at most 1; forgets by doubling every two days."""
    doubted_at: F8 = column("f8", 0.0)
    """Since when latency is implausibly far below that; 0: it is not."""
    mean_cost: F8 = column("f8", NAN)
    """Exponential mean of log(CPU seconds a request)."""
    mean_at: F8 = column("f8", 0.0)
    cost_cpu: F8 = column("f8", 0.0)
    cost_rate: F8 = column("f8", 0.0)
    cost_count: F8 = column("f8", 0.0)
    """Decayed Σ cores, Σ requests/s and number of samples: CPU seconds a request = cost_cpu/cost_rate."""
    cost_at: F8 = column("f8", 0.0)
    capacity: F8 = column("f8", NAN)
    """Requests/s that one pod can do within the target, as moves showed; NaN: never seen at its end."""
    capacity_at: F8 = column("f8", 0.0)
    seen_replicas: I8 = column("i8", -1)
    """spec.replicas of the last tick; −1: none yet."""
    scaled_at: F8 = column("f8", 0.0)
    up_time: F8 = column("f8", NAN, width=SLOTS)
    up_value: F8 = column("f8", NAN, width=SLOTS)
    down_time: F8 = column("f8", NAN, width=SLOTS)
    down_value: F8 = column("f8", NAN, width=SLOTS)
    """Recommendations within the stabilisation windows: time of the slot, lowest (up) or highest (down)."""
    added_time: F8 = column("f8", NAN, width=SLOTS)
    added: F8 = column("f8", NAN, width=SLOTS)
    removed_time: F8 = column("f8", NAN, width=SLOTS)
    removed: F8 = column("f8", NAN, width=SLOTS)
    """Scale events: time of the slot and pods added or removed in it."""
    down_moved: B1 = column(bool, False)
    """Replicas were lowered once: the next move may be larger."""
    down_failures: I8 = column("i8", 0)
    down_hold_until: F8 = column("f8", 0.0)
    trim_at: F8 = column("f8", 0.0)
    trim_base: I8 = column("i8", 0)
    """Replicas before the first of the futile trims."""
    futile: I8 = column("i8", 0)
    unreachable: I8 = column("i8", 0)
    """How often in a row the target was found unreachable."""
    unreachable_until: F8 = column("f8", 0.0)
    bridge_rest_until: F8 = column("f8", 0.0)
    """No CPU is lent before this: a loan ran out."""
    told: F8 = column("f8", NAN, width=2)
    """Replicas recommended last, and when; NaN: nothing."""
    move_hour: I8 = column("i8", -1, width=HOURS)
    move_count: I8 = column("i8", 0, width=HOURS)
    """Moves that replaced pods: hour since the epoch and number, one slot an hour of the day."""


@dataclass(frozen=True, slots=True)
class ContainerState(Levels):
    """What is remembered of a container; C rows."""

    key: S = column(object, "")
    covered: F8 = column("f8", 0.0)
    """Seconds of usage known."""
    sampled_at: F8 = column("f8", 0.0)
    """Time of the newest sample."""
    ignore_before: F8 = column("f8", 0.0)
    """OOM kills before this belong to an older template."""
    oom_seen: F8 = column("f8", 0.0)
    oom_floor: F8 = column("f8", 0.0)
    oom_until: F8 = column("f8", 0.0)
    """Bytes that the last OOM kill asked for, and until when they are kept."""
    throttled_samples: I8 = column("i8", 0)
    throttle_at: F8 = column("f8", 0.0)
    throttle_floor: F8 = column("f8", 0.0)
    throttle_until: F8 = column("f8", 0.0)
    """Cores of limit that throttling asked for, and until when they are kept."""
    burst_base: F8 = column("f8", NAN)
    """Cores of limit before the first raise against throttling: what counts as capacity; NaN: none is in force."""
    restart_until: F8 = column("f8", 0.0)
    """Until when throttling raises nothing: raises changed nothing, the process needs a restart (RULES 8)."""
    cpu_cut: B1 = column(bool, False)
    memory_cut: B1 = column(bool, False)
    """The lever was lowered once: the next move may be larger."""
    cpu_failures: I8 = column("i8", 0)
    memory_failures: I8 = column("i8", 0)
    cpu_hold_until: F8 = column("f8", 0.0)
    memory_hold_until: F8 = column("f8", 0.0)
    told: F8 = column("f8", NAN, width=4)
    """Cores and bytes recommended last, and when either was; NaN: nothing."""
    move_hour: I8 = column("i4", -1, width=HOURS)
    move_count: I8 = column("i4", 0, width=HOURS)
    """Resizes: hour since the epoch and number, one slot an hour of the day."""


@dataclass(frozen=True, slots=True)
class KnobState(Table):
    """What is remembered of a knob; K rows."""

    key: S = column(object, "")
    direction: I8 = column("i8", 0)
    """+1 or −1 for the next step; 0: none tried yet."""
    eases: B1 = column(bool, False)
    """A larger value was kept since it lowered latency: headroom does not bound the next one."""
    step: F8 = column("f8", 1.0)
    """Octaves of the next step."""
    failures: I8 = column("i8", 0)
    rest_until: F8 = column("f8", 0.0)
    tried_at: F8 = column("f8", 0.0)
    comparable: B1 = column(bool, True)
    """False: the last trial had no latency by pod."""


@dataclass(frozen=True, slots=True)
class AlertMemory(Table):
    """What is remembered of an alert."""

    key: S = column(object, "")
    state: S = column(object, AlertState.UNKNOWN)
    firing: B1 = column(bool, False)
    since: F8 = column("f8", NAN)
    breach_since: F8 = column("f8", NAN)
    """Since when the metric is past its threshold, gaps in the data included."""
    cleared_since: F8 = column("f8", NAN)
    judged_at: F8 = column("f8", NAN)
    """Unix time of the last look."""
    step: F8 = column("f8", NAN)
    """Seconds between the last two looks."""


@dataclass(frozen=True, slots=True)
class Verify:
    """A move that is under way or being watched."""

    decision: Decision
    since: float = NAN
    """Unix time since when it is in force; NaN: not yet."""
    measured_at: float = 0.0
    """Time of the newest sample used."""
    samples: int = 0
    log_ratio: float = 0.0
    """Σ log(value/target) of the samples."""
    costs: int = 0
    log_cost: float = 0.0
    bad: int = 0
    """Fresh samples in a row that show harm."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A knob value on one pod beside the others. Samples are means over blocks of a minute."""

    decision: Decision
    knob: str
    """Key of the knob."""
    ready_at: float = NAN
    """Unix time since when the trial pod is ready; NaN: not yet."""
    block: int = -1
    """Number of the block that is being filled."""
    filling: tuple[Tally, Tally, Tally] = (Tally(), Tally(), Tally())
    """Latency, cost and level of the present block."""
    latency: Tally = Tally()
    """d = log(trial latency/base latency)."""
    cost: Tally = Tally()
    """log(trial cost/base cost), cost in CPU seconds a request."""
    level: Tally = Tally()
    """log(trial latency/target)."""
    looks: int = 0
    """Verdicts that could not tell yet."""


@dataclass(frozen=True, slots=True)
class State:
    """All of it. Rows are in the order of the Observation it was last used with."""

    workloads: WorkloadState = field(default_factory=WorkloadState)
    containers: ContainerState = field(default_factory=ContainerState)
    knobs: KnobState = field(default_factory=KnobState)
    alerts: AlertMemory = field(default_factory=AlertMemory)
    pending: Mapping[str, tuple[Verify, ...]] = field(default_factory=dict)
    """Workload key → its moves under way."""
    trials: Mapping[str, Trial] = field(default_factory=dict)
    """Workload key → its trial."""
    standing: Standing = field(default_factory=Standing)
    """Alert clocks and trends beside what moves need."""
    away: tuple["away.Away", ...] = ()
    """Workloads that are not seen now and may come back."""
    deleted: frozenset[str] = frozenset()
    """Workload keys whose resource was deleted since: of these nothing is kept."""


def align(state: State, seen: Observation, settings: Settings, *, reuse: bool = False) -> State:
    """A state in the order of `seen` that the caller may write to: vanished rows set aside, new ones blank.

    A copy, unless the caller gives `state` up with `reuse`: its arrays are then the result's where every row keeps its
    place, and it is left empty where rows move. Either way the numbers are the same.
    """
    keys = seen.workloads.key
    state = away.settle(state, keys, seen.now, settings)
    alert_keys = np.empty(len(seen.alerts), dtype=object)
    alert_keys[:] = [f"{keys[w]}/{name}" for w, name in zip(seen.alerts.workload, seen.alerts.name, strict=True)]
    containers, new = _aligned(state.containers, seen.containers.key, reuse)
    held = seen.containers
    containers.phase[new] = [crc32(key.encode()) % 60 for key in held.key[new]]
    containers.cpu_cut[new] = (held.cpu < held.template_cpu * (1 - 1e-6))[new]
    containers.memory_cut[new] = (held.memory < held.template_memory * (1 - 1e-6))[new]
    return State(
        _aligned(state.workloads, keys, reuse)[0],
        containers,
        _aligned(state.knobs, seen.knobs.key, reuse)[0],
        _aligned(state.alerts, alert_keys, reuse)[0],
        *_known(state, keys),
        standing=_standing(state.standing, seen, reuse),
        away=state.away,
    )


def _standing(held: Standing, seen: Observation, reuse: bool) -> Standing:
    keys, containers = seen.workloads.key, seen.containers.key
    return Standing(
        _aligned(held.builtin, keys, reuse)[0],
        _aligned(held.trends, containers, reuse)[0],
        _aligned(held.objectives, seen.objectives.key, reuse)[0],
        _aligned(held.costs, keys, reuse)[0],
        _aligned(held.loads, keys, reuse)[0],
    )


_KEPT = ("key", "phase", "move_hour", "move_count")
"""Columns of a container that a template change leaves: budgets go on counting."""


def _aligned(table: T, keys: S, reuse: bool) -> tuple[T, B1]:
    """The table with these keys in this order, and bool[rows], which of them are new."""
    old: S = getattr(table, "key")  # noqa: B009 - every table of the state has it; Table does not say so
    if len(old) == len(keys) and bool((old == keys).all()):
        return table if reuse else table.copy(), np.zeros(len(keys), dtype=bool)
    position = {key: row for row, key in enumerate(old)}
    rows = np.fromiter((position.get(key, -1) for key in keys), dtype=np.int64, count=len(keys))
    result = table.handed_over(rows) if reuse else table.take(rows, missing=True)
    getattr(result, "key")[:] = keys  # noqa: B009 - as above
    return result, rows < 0


def _known(state: State, keys: S) -> tuple[dict[str, tuple[Verify, ...]], dict[str, Trial]]:
    known = set(keys.tolist()) if state.pending or state.trials else set()
    return (
        {key: value for key, value in state.pending.items() if key in known},
        {key: value for key, value in state.trials.items() if key in known},
    )


def restart(state: State, seen: Observation) -> B1:
    """Where the pod template changed learning starts anew, in place (RULES 3): bool[W], where that was.

    Usage, capacity, knob directions and waits are forgotten; budgets go on counting.
    """
    workloads, hashes = state.workloads, seen.workloads.template
    told = (hashes != "").astype(bool)
    changed = np.asarray(told & (workloads.template != "") & (workloads.template != hashes), dtype=bool)
    workloads.template[told] = hashes[told]
    if changed.any():
        _forget(workloads, changed, ("capacity", "cost_cpu", "cost_rate", "cost_count", "mean_ratio", "mean_cost"))
        _forget(workloads, changed, ("least_ratio", "doubted_at"))
        _forget(
            workloads,
            changed,
            ("futile", "unreachable", "unreachable_until", "down_failures", "down_hold_until", "down_moved"),
        )
        _forget(state.standing.loads, changed, ("carries", "carries_end"))
        workloads.restarted_at[changed] = seen.now
        rows = changed[seen.containers.workload]
        _forget(state.containers, rows, tuple(f.name for f in fields(ContainerState) if f.name not in _KEPT))
        state.containers.ignore_before[rows] = seen.now
        rows = changed[seen.knobs.workload]
        _forget(state.knobs, rows, ("direction", "eases", "step", "failures", "rest_until", "comparable"))
    return changed


def _forget(table: Table, rows: B1, names: tuple[str, ...]) -> None:
    defaults = {f.name: f.metadata["default"] for f in fields(table)}
    for name in names:
        getattr(table, name)[rows] = defaults[name]
