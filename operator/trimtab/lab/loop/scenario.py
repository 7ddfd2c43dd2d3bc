"""What is simulated: the workload's template, its nodes, and the fault that is injected."""

from dataclasses import dataclass

from trimtab.lab.horizontal.service import Service

MIB = 2.0**20
GIB = 2.0**30


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the run, as shares of its length; empty by default."""

    begin: float = 2.0
    end: float = 2.0

    def holds(self, share: float) -> bool:
        """Whether this point of the run is inside."""
        return self.begin <= share < self.end


@dataclass(frozen=True, slots=True)
class Workload:
    """The pod template, and how the program behaves."""

    cores: float = 2.0
    """CPU request and CPU limit of a pod."""
    cpu_max: float = 6.0
    """Bound of the CPU request that the user allows."""
    mean_seconds: float = 0.15
    """CPU seconds of a request; the latency target is five times that."""
    peak_pods: int = 20
    """Pods that the busiest minute needs at 70% of their CPU."""
    startup_seconds: float = 150.0
    memory_request: float = 384 * MIB
    memory_limit: float = 768 * MIB
    memory_max: float = 4 * GIB
    memory_base: float = 300 * MIB
    memory_each: float = 2 * MIB
    """Working set of an idle pod, and what each request in flight adds."""
    guaranteed: bool = False
    """Memory limit equal to the request: QoS Guaranteed, so that every CPU raise is a raise of the request."""

    @property
    def service(self) -> Service:
        """The same service as the horizontal lab knows it: one worker a core."""
        workers = max(1, round(self.cores))
        return Service("loop", workers, self.mean_seconds, 0.5, True, self.peak_pods, self.cores)

    @property
    def most_pods(self) -> int:
        """replicas.max of every policy."""
        return 2 * self.peak_pods


@dataclass(frozen=True, slots=True)
class Scenario:
    """A workload on nodes, with at most one fault. Windows are shares of the run."""

    name: str = "calm"
    about: str = "no fault"
    workload: Workload = Workload()
    nodes: int = 6
    node_cores: float = 16.0
    """Cores of each node that this workload may have, others' requests taken off."""
    metrics: str = ""
    """lost, nan, zero, tenfold or late: what happens to every metric in `metrics_window`."""
    metrics_window: Window = Window()
    full: Window = Window()
    """Others take all room on the nodes."""
    slow_start: Window = Window()
    """Pods created in here take three times as long to start."""
    hungry: Window = Window()
    """The program needs four times the memory: its base is above the limit."""
    deploy_at: float = 2.0
    """When a new revision is rolled out."""
    deploy_cost: float = 2.0
    """CPU of a request in the new revision, relative to the old one."""
    step: float = 1.0
    """Factor on the rate within `step_window`: a surge without warning. The recording's own shape is then left out."""
    step_window: Window = Window()


_SURGE = Window(0.35, 0.6)
"""Where autothrottle-bursty has its surge; a fault in here is at the worst moment."""


def scenarios() -> dict[str, Scenario]:
    """All of them, by name; the first is without a fault."""
    found = (
        Scenario("surge", "no fault; pods start in 150 s"),
        Scenario("surge-45s", "no fault; pods start in 45 s", workload=Workload(startup_seconds=45.0)),
        Scenario("surge-guaranteed", "no fault; QoS Guaranteed", workload=Workload(guaranteed=True)),
        Scenario("step", "three times the load from one second to the next", step=3.0, step_window=_SURGE),
        Scenario("metrics-lost", "no metrics during the surge", metrics="lost", metrics_window=_SURGE),
        Scenario("metrics-nan", "every metric is NaN during the surge", metrics="nan", metrics_window=_SURGE),
        Scenario("metrics-zero", "every metric is 0 during the surge", metrics="zero", metrics_window=_SURGE),
        Scenario("metrics-tenfold", "every metric is ten times too large", metrics="tenfold", metrics_window=_SURGE),
        Scenario("metrics-late", "metrics come two minutes late", metrics="late", metrics_window=_SURGE),
        Scenario("node-full", "others take all room on the nodes in the surge", full=_SURGE),
        Scenario("slow-start", "pods take three times as long to start", slow_start=_SURGE),
        Scenario("oom-loop", "the program needs four times the memory from the start of the surge", hungry=_SURGE),
        Scenario("deploy", "a new revision in the surge costs twice the CPU", deploy_at=0.42),
    )
    return {scenario.name: scenario for scenario in found}
