"""What acting is given: the targets with their pods, the world it asks, and what a plan wants of each workload."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol

from trimtab.act.gate import Priority
from trimtab.api.reasons import Reason
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.decide.observation import NAN, Lever, Observation
from trimtab.decide.plan import Decision, Plan
from trimtab.kube.inforce import same
from trimtab.kube.loans import Lent
from trimtab.kube.records import (
    BudgetRecord,
    LimitRangeRecord,
    PodRecord,
    ProfileRecord,
    QuotaRecord,
    ReplicaSetRecord,
    WorkloadRecord,
)

_RAISES = {
    Reason.RAISED_FOR_TARGET,
    Reason.RAISED_FOR_THROTTLING,
    Reason.RAISED_FOR_USAGE,
    Reason.SCALED_UP,
    Reason.SURGE_BRIDGED,
}


HANDS_OFF = frozenset({Reason.REVERT_WAR, Reason.VPA_OWNS_RESOURCES, Reason.OWNING_CONTROLLER})
"""Conflicts in which somebody else sets the very value that running pods have."""


class World(Protocol):
    """What acting asks of the cluster's mirror; `trimtab.kube.world.World` has it. All from memory."""

    def target(self, namespace: str, api_version: str, kind: str, name: str) -> WorkloadRecord | None:
        """A workload; None when there is none."""
        ...

    def pods_of(self, target: WorkloadRecord) -> Sequence[PodRecord]:
        """Its pods, old revisions and deleting ones included, trial pods not."""
        ...

    def current_replicaset(self, target: WorkloadRecord) -> ReplicaSetRecord | None:
        """The ReplicaSet of the newest revision of a Deployment."""
        ...

    def marked_pods(self) -> Iterable[PodRecord]:
        """Trial pods and swapped pods, of all namespaces."""
        ...

    def budgets_for(self, pod: PodRecord) -> Sequence[BudgetRecord]:
        """PodDisruptionBudgets that cover the pod."""
        ...

    def limit_ranges(self, namespace: str) -> Sequence[LimitRangeRecord]:
        """LimitRanges."""
        ...

    def quotas(self, namespace: str) -> Sequence[QuotaRecord]:
        """ResourceQuotas."""
        ...

    def profile(self, namespace: str) -> ProfileRecord | None:
        """The TuningProfile of a namespace."""
        ...

    def profiles(self) -> Iterable[ProfileRecord]:
        """Every TuningProfile."""
        ...


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """A PerformanceConfig whose workload was found, with its pods. The loop fills it from the mirror."""

    key: str
    """namespace/name of the PerformanceConfig."""
    spec: PerformanceConfigSpec
    workload: WorkloadRecord
    pods: tuple[PodRecord, ...] = ()
    """Pods of the workload, old revisions and deleting ones included, trial pods not."""
    trials: tuple[PodRecord, ...] = ()
    """Pods that carry the trial label of this PerformanceConfig, deleting ones included."""
    replicaset: ReplicaSetRecord | None = None
    """Current ReplicaSet of a Deployment."""

    @property
    def namespace(self) -> str:
        """Namespace of the PerformanceConfig and of its workload."""
        return self.workload.namespace

    @property
    def config(self) -> str:
        """Name of the PerformanceConfig."""
        return self.key.partition("/")[2]

    @property
    def entry_key(self) -> str:
        """Key of the workload's entry in the TuningProfile: Kind/name."""
        return f"{self.workload.kind}/{self.workload.name}"

    @property
    def current_pods(self) -> list[PodRecord]:
        """Pods that live on, of the current revision where the kind has ReplicaSets."""
        live = [p for p in self.pods if not p.deleting and p.phase not in ("Succeeded", "Failed")]
        if self.replicaset is None:
            return live
        return [pod for pod in live if pod.owner_uid == self.replicaset.uid]

    @property
    def rolling(self) -> bool:
        """Whether the workload is being rolled out, as far as its own status says."""
        work = self.workload
        return work.observed_generation < work.generation or work.updated_replicas < work.status_replicas


@dataclass(frozen=True, slots=True)
class Sizes:
    """Requests and limits of one container in cores and bytes; NaN: not set (in a wish: leave as it is)."""

    cpu: float = NAN
    memory: float = NAN
    cpu_limit: float = NAN
    memory_limit: float = NAN

    @classmethod
    def of(cls, record: object) -> "Sizes":
        """The sizes that a ContainerSpec or ContainerState states."""
        return cls(**{f.name: getattr(record, f.name) for f in fields(cls)})

    def over(self, other: "Sizes") -> "Sizes":
        """These sizes, and those of `other` where these are NaN."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return Sizes(**{name: b if math.isnan(a) else a for name, (a, b) in pairs.items()})

    def same(self, other: "Sizes") -> bool:
        """Equal, up to the digits that a quantity can carry."""
        return all(same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))


@dataclass(frozen=True, slots=True)
class KnobPoint:
    """What the plan wants of one knob."""

    name: str
    value: int
    trial: int = -1
    """Value that one trial pod shall have; −1: none."""
    keep_trial: bool = False


@dataclass(frozen=True, slots=True)
class SetPoint:
    """What the plan wants of one workload."""

    acting: bool = False
    rollout: bool = False
    template: str = ""
    """Hash of the template that the plan was made for."""
    replicas: int = -1
    replicas_seen: int = -1
    """Wanted and observed spec.replicas; nothing to do where equal or −1."""
    containers: Mapping[str, Sizes] = field(default_factory=dict)
    """By container name; NaN: leave it."""
    working_sets: Mapping[str, float] = field(default_factory=dict)
    """Largest working set over the pods by container name, bytes; NaN: not known."""
    lent: Mapping[str, Lent] = field(default_factory=dict)
    """CPU lent to running pods by container name; a container that is not named keeps its loan."""
    knobs: Mapping[str, KnobPoint] = field(default_factory=dict)
    """By knob name."""
    contested: frozenset[Lever] = frozenset()
    """Levers that another controller moves (RULES 9): running pods keep what it gives them."""
    priority: Priority = Priority.CUT
    emergency: bool = False
    """A move of this tick is for OOM, saturation or a rollback."""


def set_points(plan: Plan, observation: Observation) -> dict[str, SetPoint]:
    """What the plan wants, by workload key."""
    containers: dict[int, dict[str, Sizes]] = defaultdict(dict)
    working: dict[int, dict[str, float]] = defaultdict(dict)
    lent: dict[int, dict[str, Lent]] = defaultdict(dict)
    seen, wanted = observation.containers, plan.containers
    for row, owner in enumerate(seen.workload):
        containers[int(owner)][seen.name[row]] = Sizes(
            **{f.name: float(getattr(wanted, f.name)[row]) for f in fields(Sizes)}
        )
        working[int(owner)][seen.name[row]] = float(seen.working_set[row])
        if math.isfinite(wanted.lent[row]):
            terms = (float(wanted.lent[row]), float(wanted.lent_before[row]), float(wanted.lent_until[row]))
            lent[int(owner)][seen.name[row]] = Lent(*terms)
    knobs: dict[int, dict[str, KnobPoint]] = defaultdict(dict)
    for row, owner in enumerate(observation.knobs.workload):
        knobs[int(owner)][observation.knobs.name[row]] = KnobPoint(
            observation.knobs.name[row],
            int(plan.knobs.value[row]),
            int(plan.knobs.trial[row]),
            bool(plan.knobs.keep_trial[row]),
        )
    moves: dict[str, list[Decision]] = defaultdict(list)
    for decision in plan.decisions:
        moves[decision.workload].append(decision)
    work = observation.workloads
    return {
        key: SetPoint(
            acting=bool(work.acting[row]),
            rollout=bool(work.rollout[row]),
            template=work.template[row],
            replicas=int(plan.workloads.replicas[row]),
            replicas_seen=int(work.replicas[row]),
            containers=containers[row],
            working_sets=working[row],
            lent=lent[row],
            knobs=knobs[row],
            contested=frozenset(b.lever for b in observation.blocks.get(row, ()) if b.reason in HANDS_OFF),
            priority=min((_priority(d) for d in moves[key]), default=Priority.CUT),
            emergency=any(d.emergency for d in moves[key]),
        )
        for row, key in enumerate(work.key)
    }


def _priority(decision: Decision) -> Priority:
    if decision.reason is Reason.RAISED_AFTER_OOM:
        return Priority.OOM
    return Priority.LATENCY if decision.emergency or decision.reason in _RAISES else Priority.CUT
