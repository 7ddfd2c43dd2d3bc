"""Trimmed records of the objects that Trimtab watches: only what decisions and moves need (cores, bytes)."""

from dataclasses import dataclass, field
from typing import Any

from trimtab.api.tuningprofile import TuningProfileSpec

NAN = float("nan")


APPS_KINDS = ("Deployment", "StatefulSet", "DaemonSet")
"""Kinds of apps/v1 whose pods can be resized and shaped; of others only `/scale` is used."""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container of a pod template or a running pod, native sidecars included."""

    name: str
    cpu: float = NAN
    memory: float = NAN
    cpu_limit: float = NAN
    memory_limit: float = NAN
    """Requests and limits as the spec states them, a missing request taken from its limit (as the API server
    does when it creates a pod); NaN: not set."""
    env: dict[str, str] = field(default_factory=dict)
    """Literal variables that look like integers (others are dropped: no personal data is kept)."""
    env_opaque: frozenset[str] = frozenset()
    """Names of variables that are set, but by valueFrom or to something that is no integer."""
    env_from: frozenset[str] = frozenset()
    """Those of `env_opaque` that are set by valueFrom."""
    env_repeated: frozenset[str] = frozenset()
    """Names that stand more than once: the admission policy leaves such a container's variables as they are."""
    restart_on_cpu: bool = False
    restart_on_memory: bool = False
    """resizePolicy RestartContainer."""
    sidecar: bool = False
    """Stands under initContainers with restartPolicy Always."""
    gpus: float = 0.0
    """Devices of extended resources called …/gpu, such as nvidia.com/gpu."""


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the kubelet reports of one container of a pod."""

    name: str
    restarts: int = 0
    oom_killed_at: float = 0.0
    """Unix time of the last termination with reason OOMKilled; 0: none."""
    cpu: float = NAN
    memory: float = NAN
    cpu_limit: float = NAN
    memory_limit: float = NAN
    """status.containerStatuses[].resources: what the container really has."""


@dataclass(frozen=True, slots=True)
class PodRecord:
    """A pod, trimmed."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    created: float
    started: float = 0.0
    """status.startTime: when the kubelet took it; 0: not yet."""
    owner_kind: str = ""
    owner_name: str = ""
    owner_uid: str = ""
    """Controlling owner (controller: true); empty for an orphan."""
    trial_of: str = ""
    """Value of the label trimtab.dev/trial (name of the PerformanceConfig) of a pod without a controller; empty for
    other pods."""
    trial_deadline: float = 0.0
    """Unix time of the annotation trimtab.dev/trial-deadline; 0: none."""
    trial_knob: str = ""
    """Annotation trimtab.dev/trial-knob, `<knob>=<value>`."""
    swapped: bool = False
    """Carries trimtab.dev/swapped: came in by a swap and has our deletion cost."""
    hash_label: str = ""
    """pod-template-hash (Deployment) or controller-revision-hash."""
    labels: dict[str, str] = field(default_factory=dict)
    """Only labels that selectors of PDBs or of the target use may be kept; all of them is fine."""
    phase: str = ""
    ready: bool = False
    ready_since: float = 0.0
    deleting: bool = False
    node: str = ""
    qos: str = ""
    os: str = ""
    containers: tuple[ContainerSpec, ...] = ()
    states: tuple[ContainerState, ...] = ()
    resize: str = ""
    """'' | InProgress | Deferred | Infeasible, from the conditions PodResizeInProgress, PodResizePending."""
    resize_message: str = ""
    resize_since: float = 0.0
    resized_by: str = ""
    resized_at: float = 0.0
    """Field manager of the last resize in place, and when it was; empty: the pod was never resized."""
    unschedulable: str = ""
    """What the scheduler says first of why no node takes the pod; empty: one did, or it was not looked at yet."""
    unschedulable_since: float = 0.0
    has_resource_claims: bool = False
    claims: tuple[str, ...] = ()
    """PersistentVolumeClaims that it mounts."""

    @property
    def key(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class WorkloadRecord:
    """A Deployment, StatefulSet, DaemonSet or other kind with a scale subresource, trimmed."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    observed_generation: int
    replicas: int = 1
    """spec.replicas (DaemonSet: desiredNumberScheduled)."""
    replicas_manager: str = ""
    replicas_manager_operation: str = ""
    replicas_set_at: float = 0.0
    """managedFields: who wrote spec.replicas last, how (Apply, Update, scale: the subresource), and when at the
    latest; 0: not known."""
    status_replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    selector: dict[str, Any] = field(default_factory=dict)
    """spec.selector as it stands (matchLabels, matchExpressions)."""
    owner_kind: str = ""
    owner_name: str = ""
    """Controlling owner of the workload itself (an operator's custom resource), if any."""
    annotations_paused: bool = False
    """Carries trimtab.dev/pause."""
    strategy: str = ""
    """Deployment strategy type or StatefulSet/DaemonSet updateStrategy type."""
    template_hash: str = ""
    """Stable hash of the whole pod template (16 hex digits)."""
    containers: tuple[ContainerSpec, ...] = ()
    """Containers of the template, restartable init containers included."""
    template: dict[str, Any] = field(default_factory=dict)
    """The raw pod template: needed to build a clone; filled in only where it was asked for."""
    swap_refusals: tuple[str, ...] = ()
    """What in the template forbids a swap, each as `<Reason>: <phrase>`."""
    paused: bool = False
    """spec.paused of a Deployment."""
    qos: str = ""
    """QoS class that the template gives a pod; empty without a template."""
    os: str = ""
    """Operating system that the template asks for; empty when it does not say."""


@dataclass(frozen=True, slots=True)
class ReplicaSetRecord:
    """A ReplicaSet, trimmed."""

    namespace: str
    name: str
    uid: str
    owner_name: str = ""
    owner_uid: str = ""
    """Controlling owner (the Deployment)."""
    revision: int = 0
    """Annotation deployment.kubernetes.io/revision; the largest of a Deployment is the current one."""
    hash: str = ""
    """Label pod-template-hash."""
    replicas: int = 0
    """spec.replicas."""


@dataclass(frozen=True, slots=True)
class RivalRecord:
    """An HPA, ScaledObject or VPA, trimmed."""

    kind: str
    namespace: str
    name: str
    target_kind: str
    target_name: str
    min_replicas: int = 0
    max_replicas: int = 0
    scales_on_cpu: bool = False
    scales_on_memory: bool = False
    update_mode: str = ""
    """VPA only: Off, Initial, Recreate, InPlaceOrRecreate, Auto."""


@dataclass(frozen=True, slots=True)
class BudgetRecord:
    """A PodDisruptionBudget, trimmed."""

    namespace: str
    name: str
    selector: dict[str, Any] = field(default_factory=dict)
    disruptions_allowed: int = 0
    observed: bool = False
    """status.observedGeneration is current."""


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node's allocatable resources."""

    name: str
    cpu: float = 0.0
    memory: float = 0.0
    schedulable: bool = True
    os: str = ""
    """status.nodeInfo.operatingSystem: linux or windows."""


@dataclass(frozen=True, slots=True)
class LimitRangeRecord:
    """One LimitRange: bounds of a container and of a pod; units cores and bytes, NaN: not set."""

    namespace: str
    name: str
    container_min: dict[str, float] = field(default_factory=dict)
    container_max: dict[str, float] = field(default_factory=dict)
    container_ratio: dict[str, float] = field(default_factory=dict)
    """maxLimitRequestRatio."""
    default_request: dict[str, float] = field(default_factory=dict)
    default_limit: dict[str, float] = field(default_factory=dict)
    """What a container without its own gets when its pod is created."""
    pod_min: dict[str, float] = field(default_factory=dict)
    pod_max: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QuotaRecord:
    """One ResourceQuota by resource, such as `limits.memory`; plain `cpu` and `memory` count as requests."""

    namespace: str
    name: str
    hard: dict[str, float] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NamespaceRecord:
    """A namespace, trimmed."""

    name: str
    paused: bool = False
    """Carries trimtab.dev/pause."""
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class ProfileRecord:
    """The TuningProfile of a namespace as it stands in the API server."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    spec: TuningProfileSpec
    problem: str = ""
    """Why the object could not be read (then `spec` is empty); empty when it could."""
    generation: int = 0
    foreign: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Workload, container and field (`cpu`, `memory`, `env/NAME`) that another manager set last → that manager."""
