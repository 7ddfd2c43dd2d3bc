"""One workload before its judges: all that the checks of levers.py look at, and what they find."""

from dataclasses import dataclass, field

from trimtab.api.reasons import Reason
from trimtab.decide.observation import Lever
from trimtab.kube.records import APPS_KINDS, ContainerSpec, PodRecord, RivalRecord, WorkloadRecord
from trimtab.observe.config import ConfigRecord
from trimtab.observe.conflicts import War

RESOURCES = (Lever.CPU, Lever.MEMORY)
WORD = {Lever.REPLICAS: "replicas", Lever.CPU: "CPU", Lever.MEMORY: "memory", Lever.KNOB: "knobs"}
"""A lever in messages."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that the checks look at."""

    config: ConfigRecord
    target: WorkloadRecord
    pods: tuple[PodRecord, ...] = ()
    rivals: tuple[RivalRecord, ...] = ()
    unseen_rivals: tuple[str, ...] = ()
    """Collections of rivals that can't be listed: what is in them may move the same levers."""
    elder: ConfigRecord | None = None
    """An older PerformanceConfig on the same workload."""
    wars: dict[Lever, War] = field(default_factory=dict)
    node_os: dict[str, str] = field(default_factory=dict)
    """Operating system of the pods' nodes, by name."""
    knobs_enabled: bool = True
    env_allow_list: frozenset[str] = frozenset()
    shapes_new_pods: bool = True
    """The admission policy is there and serves new pods."""
    pod_resize: bool = True
    """pods/resize is served."""

    def container(self, name: str) -> ContainerSpec | None:
        """A container of the template."""
        return next((container for container in self.target.containers if container.name == name), None)

    @property
    def name(self) -> str:
        """The workload in messages."""
        return f"{self.target.kind} {self.target.name}"

    @property
    def built_in(self) -> bool:
        """Whether the kind is one that Trimtab knows beyond /scale."""
        return self.target.kind in APPS_KINDS and self.target.api_version == "apps/v1"

    @property
    def qos(self) -> str:
        """QoS class of the running pods; of the template where there is none."""
        return next((pod.qos for pod in self.pods if pod.qos and not pod.deleting), self.target.qos)


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a lever may not move; `subject` is a container or knob, empty for the whole lever."""

    lever: Lever
    reason: Reason
    message: str
    subject: str = ""


def wanted(config: ConfigRecord) -> frozenset[Lever]:
    """Levers that the constraints list."""
    constraints = config.spec.optimization.constraints
    found = {Lever.REPLICAS} if constraints.replicas is not None else set()
    found |= {Lever.CPU for container in constraints.containers if container.cpu is not None}
    found |= {Lever.MEMORY for container in constraints.containers if container.memory is not None}
    return frozenset(found | ({Lever.KNOB} if constraints.knobs else set()))
