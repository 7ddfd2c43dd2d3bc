"""What `decide` is given: one Observation of all workloads, as tables (units: seconds, cores, bytes, requests/s)."""

from dataclasses import dataclass, field
from enum import IntEnum

from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.decide import text
from trimtab.decide.columns import B1, F8, I8, S, Table, column

NAN = float("nan")
INF = float("inf")


class Lever(IntEnum):
    """What can be moved."""

    REPLICAS = 0
    CPU = 1
    MEMORY = 2
    KNOB = 3


@dataclass(frozen=True, slots=True)
class Workloads(Table):
    """A row a PerformanceConfig whose target was found; W rows."""

    key: S = column(object, "")
    """Identity: namespace/name of the PerformanceConfig."""
    template: S = column(object, "")
    """Hash of the pod template; a change starts learning anew."""
    acting: B1 = column(bool, False)
    """autoTune, and no stop of any kind: moves may be made. False: recommend only."""
    recommending: B1 = column(bool, False)
    """Nothing may be moved, and what would be is told (autoTune false, mode Recommend)."""
    due: B1 = column(bool, True)
    """sampleRate says that this row has fresh samples this tick."""
    rollout: B1 = column(bool, False)
    """The workload is being rolled out: cuts, trials and knob steps freeze."""
    window_closed: B1 = column(bool, False)
    """A maintenance window forbids cuts, trials and knob steps."""
    allowed: B1 = column(bool, True, width=4)
    """bool[W, 4]: by Lever, whether it may be moved (kind, conflicts, what the cluster can do)."""
    replicas: I8 = column("i8", 1)
    """spec.replicas as it stands in the API server."""
    ready: I8 = column("i8", 0)
    """Ready pods of the workload, trial pods left out."""
    replicas_min: I8 = column("i8", 0)
    replicas_max: I8 = column("i8", 0)
    """Bounds; max 0: replicas are not tuned."""
    human_hold_until: F8 = column("f8", 0.0)
    """Unix time until which a replica count set by a person is left alone."""
    arrival_rate: F8 = column("f8", NAN)
    """Requests a second over all pods; NaN: not known."""
    cpu_usage: F8 = column("f8", NAN)
    """Cores used by all pods' tuned containers; NaN: not known."""
    cpu_per_pod: F8 = column("f8", NAN)
    """Cores one pod can use: Σ of CPU limits, or of template requests where a container has no limit."""
    target_utilization: F8 = column("f8", 0.7)
    utilization_fixed: B1 = column(bool, False)
    """A person set target_utilization: pods are never planned for more. False: that is where learning starts."""
    startup_seconds: F8 = column("f8", NAN)
    """Seconds from a pod's creation until it is ready; NaN: not seen yet."""
    verify_seconds: F8 = column("f8", 300.0)
    trial_seconds: F8 = column("f8", 600.0)
    min_history_seconds: F8 = column("f8", 86400.0)
    cpu_overrun_rate: F8 = column("f8", NAN)
    """Declared share of minutes in which a container may use more CPU than its request; NaN: no more than VPA's."""
    moves_per_day: I8 = column("i8", 24)
    resizes_per_day: I8 = column("i8", 48)
    max_memory: F8 = column("f8", INF)
    """Ceiling of Σ over pods (trial pods included) of max(request, limit) of tuned containers, bytes."""
    extra_pods: I8 = column("i8", 0)
    """Trial pods that exist now, on top of replicas."""
    node_cpu: F8 = column("f8", INF)
    node_memory: F8 = column("f8", INF)
    """Allocatable of the largest node; no request ever above it."""
    node_free_cpu: F8 = column("f8", NAN)
    """Cores by which every ready pod could grow at once: the least, over the nodes that these pods are on, of what the
    requests of all pods there leave of the node's allocatable CPU, divided by the workload's pods there. What is lent
    already is taken. NaN: not known, then nothing is lent."""
    up_window: F8 = column("f8", 0.0)
    down_window: F8 = column("f8", 300.0)
    """Stabilisation windows, seconds; NaN: not set, the engine's own."""
    up_select: I8 = column("i8", 0)
    down_select: I8 = column("i8", 0)
    """selectPolicy: 0 Max, 1 Min, 2 Disabled."""
    up_value: F8 = column("f8", 0.0, width=4)
    up_percent: B1 = column(bool, False, width=4)
    up_period: F8 = column("f8", 0.0, width=4)
    down_value: F8 = column("f8", 0.0, width=4)
    down_percent: B1 = column(bool, False, width=4)
    down_period: F8 = column("f8", 0.0, width=4)
    """Policies [W, 4]: value (pods or percent), unit, period in seconds; period 0: no such policy."""
    imbalance: F8 = column("f8", NAN)
    """CPU of the busiest ready pod over the mean of the ready pods; 1 where they are idle; NaN: not known."""
    metrics_lost: F8 = column("f8", 0.0)
    """Declared metrics without a number that no lack of traffic explains."""
    cost_per_hour: F8 = column("f8", NAN)
    """What the workload costs an hour now: compute, storage and API; NaN: not known."""
    prices: I8 = column("i8", 0)
    """Whose prices that is at: 0 not known, 1 the datasource's (OpenCost), 2 static ones."""
    cost_cpu: F8 = column("f8", NAN)
    cost_memory: F8 = column("f8", NAN)
    """Cores and bytes that its pods request."""
    nodes_cost: F8 = column("f8", 0.0)
    """What all nodes of the cluster cost an hour; 0: not known."""
    monthly_budget: F8 = column("f8", NAN)
    """Budget for a month of 730 hours; NaN: none."""
    tuned: B1 = column(bool, False)
    """Values of Trimtab are in force: this is no baseline."""
    room: F8 = column("f8", 0.08)
    """Share below its target that a latency must be before capacity is cut (optimization.prefer)."""


@dataclass(frozen=True, slots=True)
class Targets(Table):
    """A row a target metric of a workload."""

    workload: I8 = column("i8", 0)
    name: S = column(object, "")
    kind: I8 = column("i8", int(AnswerKind.EMPTY))
    """AnswerKind of the last answer."""
    value: F8 = column("f8", NAN)
    """Number, NaN unless kind is VALUE."""
    age: F8 = column("f8", INF)
    """Seconds since it was measured."""
    limit: F8 = column("f8", NAN)
    """The target."""
    higher_is_better: B1 = column(bool, False)
    latency: B1 = column(bool, True)
    """Whether the metric is a latency (lower is better, a time): what knob steps and verification go by."""
    unit: S = column(object, "s")
    """How the number of a latency is told: s, ms."""

    def told(self, row: int, value: float) -> str:
        """A value of this target as messages have it: 0.45 s, 450 ms; without a unit where it is no latency."""
        return text.amount(value, str(self.unit[row]) if row >= 0 and self.latency[row] else "")


@dataclass(frozen=True, slots=True)
class Containers(Table):
    """A row a tuned container of a workload (not of a pod); C rows."""

    key: S = column(object, "")
    """Identity: namespace/name/container."""
    name: S = column(object, "")
    workload: I8 = column("i8", 0)
    template_cpu: F8 = column("f8", NAN)
    template_memory: F8 = column("f8", NAN)
    template_cpu_limit: F8 = column("f8", NAN)
    template_memory_limit: F8 = column("f8", NAN)
    """Pod template's values; NaN: not set."""
    cpu: F8 = column("f8", NAN)
    memory: F8 = column("f8", NAN)
    cpu_limit: F8 = column("f8", NAN)
    memory_limit: F8 = column("f8", NAN)
    """Values in force: the profile's entry where there is one, the template's otherwise."""
    cpu_min: F8 = column("f8", 0.0)
    cpu_max: F8 = column("f8", NAN)
    memory_min: F8 = column("f8", 0.0)
    memory_max: F8 = column("f8", NAN)
    """Bounds of the request; max NaN: not tuned."""
    cpu_allowed: B1 = column(bool, True)
    memory_allowed: B1 = column(bool, True)
    """Whether this container can be resized now."""
    scale_limits: B1 = column(bool, False)
    """limits: Scale."""
    limit_below_template: B1 = column(bool, False)
    """Memory limit may go below the template's."""
    guaranteed: B1 = column(bool, False)
    """QoS Guaranteed: limits stay equal to requests."""
    throttled: F8 = column("f8", NAN)
    """Share of CPU periods throttled, over the pods; NaN: not known or no limit."""
    working_set: F8 = column("f8", NAN)
    """Largest working set over the pods now, bytes."""
    off: I8 = column("i8", 0)
    """Running pods (trial pods left out) that do not have the values in force yet: a resize is under way while > 0."""
    lent: F8 = column("f8", 0.0)
    """Cores that running pods have on top of the CPU request and limit in force, to bridge a surge; 0: none."""
    lent_before: F8 = column("f8", 0.0)
    """Unix time; pods created later do not have them."""
    lent_until: F8 = column("f8", 0.0)
    """Unix time at which they are taken back at the latest."""
    borrowers: I8 = column("i8", 0)
    """Ready pods that have them."""
    oom_at: F8 = column("f8", 0.0)
    """Unix time of the last OOM kill; 0: none known."""
    oom_limit: F8 = column("f8", NAN)
    """Memory limit in force when it happened."""


@dataclass(frozen=True, slots=True)
class Samples(Table):
    """A row a usage sample of one container of one pod. Only fresh, finite, non-negative numbers."""

    container: I8 = column("i8", 0)
    """Row in Containers."""
    time: F8 = column("f8", 0.0)
    cpu: F8 = column("f8", NAN)
    """Cores, mean over about a minute; NaN: not in this sample."""
    memory: F8 = column("f8", NAN)
    """Working set, bytes; NaN: not in this sample."""
    span: F8 = column("f8", 15.0)
    """Seconds that the sample stands for."""


@dataclass(frozen=True, slots=True)
class Knobs(Table):
    """A row a knob; K rows."""

    key: S = column(object, "")
    """Identity: namespace/name/knob."""
    name: S = column(object, "")
    workload: I8 = column("i8", 0)
    role: S = column(object, "Batch")
    value: I8 = column("i8", 0)
    """Value in force for new pods (profile, or template)."""
    minimum: I8 = column("i8", 0)
    maximum: I8 = column("i8", 0)
    ceiling: F8 = column("f8", INF)
    """resources.maxBatchSize or maxConcurrency, whichever this role has."""
    allowed: B1 = column(bool, True)
    trials: B1 = column(bool, True)
    """Whether a trial pod can stand beside the others (Deployments); otherwise a step goes to all pods at once."""
    off_value: I8 = column("i8", 0)
    """Running pods (trial pods left out) whose value differs from `value`: a roll is under way while > 0."""
    trial: I8 = column("i8", -1)
    """Value of the trial pod that exists now; −1: none."""
    trial_ready: B1 = column(bool, False)
    trial_since: F8 = column("f8", INF)
    """Unix time at which the trial pod became Ready."""
    trial_latency: F8 = column("f8", NAN)
    base_latency: F8 = column("f8", NAN)
    """The workload's first latency target over the trial pod and over the other pods, same query, same time."""
    trial_cost: F8 = column("f8", NAN)
    base_cost: F8 = column("f8", NAN)
    """CPU seconds a request, trial pod and other pods; NaN without a request rate, and while a start is in its mean."""


@dataclass(frozen=True, slots=True)
class Alerts(Table):
    """A row an alert rule with the state it had."""

    workload: I8 = column("i8", 0)
    name: S = column(object, "")
    metric: S = column(object, "")
    severity: S = column(object, "Warning")
    kind: I8 = column("i8", int(AnswerKind.EMPTY))
    value: F8 = column("f8", NAN)
    threshold: F8 = column("f8", NAN)
    below: B1 = column(bool, False)
    for_seconds: F8 = column("f8", 300.0)
    keep_seconds: F8 = column("f8", 300.0)


@dataclass(frozen=True, slots=True)
class Objectives(Table):
    """A row a service level objective, with what was measured since the last tick."""

    workload: I8 = column("i8", 0)
    key: S = column(object, "")
    """Identity: namespace/name/objective/digest of its definition; an edit starts a new one."""
    name: S = column(object, "")
    target: F8 = column("f8", 0.99)
    window_days: I8 = column("i8", 30)
    kind: I8 = column("i8", int(AnswerKind.EMPTY))
    """AnswerKind of what was measured; NoTraffic is known time without events."""
    good: F8 = column("f8", NAN)
    total: F8 = column("f8", NAN)
    """Good ones and all: events a second, or for a metric 1 and 1 while it is inside its bound, 0 and 1 otherwise."""
    span: F8 = column("f8", 0.0)
    """Seconds that the measurement stands for; 0: nothing new this tick."""


@dataclass(frozen=True, slots=True)
class Block:
    """Why a lever (or one container or knob of it) may not move."""

    lever: Lever
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything `decide` sees at one instant. `now` is Unix time in seconds."""

    now: float
    workloads: Workloads = field(default_factory=Workloads)
    targets: Targets = field(default_factory=Targets)
    containers: Containers = field(default_factory=Containers)
    samples: Samples = field(default_factory=Samples)
    knobs: Knobs = field(default_factory=Knobs)
    alerts: Alerts = field(default_factory=Alerts)
    objectives: Objectives = field(default_factory=Objectives)
    blocks: dict[int, tuple[Block, ...]] = field(default_factory=dict)
    """Workload row → the blocks behind `allowed`; for the Limited and Conflicted conditions."""
