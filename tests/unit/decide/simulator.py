"""A workload in virtual time: pods queue, use CPU and memory, get killed and throttled; plans are carried out."""

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.decide.engine import decide, learn
from trimtab.decide.observation import Alerts, Containers, Knobs, Observation, Samples, Targets, Workloads
from trimtab.decide.plan import Decision, Plan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State

GIB, MIB = 2.0**30, 2.0**20
START = 1_800_000_000.0
NAN = math.nan
KEY = "shop/api"

UP = {"up_value": [4, 100], "up_percent": [False, True], "up_period": [15, 15]}
DOWN = {"down_value": [1, 10], "down_percent": [False, True], "down_period": [60, 60]}


@dataclass
class Simulator:
    """One workload with one container `app` and one knob `batch`. Fields may be changed between ticks."""

    now: float = START
    tick: float = 30.0
    """Seconds: a sampleRate of 2, half the default, so that days of virtual time pass in half the ticks."""
    settings: Settings = field(default_factory=Settings)
    state: State = field(default_factory=State)
    workload: dict[str, Any] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)
    knob: dict[str, Any] | None = None
    target: float | None = 0.5
    rate: Callable[[float], float] = lambda t: 0.0
    service: Callable[[int], float] = lambda knob: 0.05
    """CPU seconds a request, by knob value."""
    floor: Callable[[int], float] = lambda knob: 0.1
    """Latency of an empty service in seconds, by knob value."""
    memory_need: float = 200 * MIB
    burst: float = 0.0
    """Cores that a pod wants at peaks; throttled where its limit is less."""
    startup: float = 45.0
    replicas: int = 2
    starting: list[float] = field(default_factory=list)
    """When the pods that are not ready will be."""
    cpu: float = 1.0
    cpu_limit: float = NAN
    memory: float = 512 * MIB
    memory_limit: float = NAN
    oom_at: float = 0.0
    oom_limit: float = NAN
    ooms: int = 0
    off: int = 0
    trial: int = -1
    trial_since: float = NAN
    metric: AnswerKind = AnswerKind.VALUE
    alerts: list[dict[str, Any]] = field(default_factory=list)
    override: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Columns to force, by table."""
    plan: Plan | None = None
    decisions: dict[str, Decision] = field(default_factory=dict)
    log: list[tuple[float, int, float]] = field(default_factory=list)
    """Time, replicas and latency of every tick."""

    @property
    def value(self) -> int:
        return int(self.knob["value"]) if self.knob else 0

    @property
    def ready(self) -> int:
        return self.replicas - len(self.starting)

    def latency(self, value: int) -> float:
        """Mean latency of a pod with this knob value: processor sharing."""
        pods = max(self.ready + (self.trial_ready > 0), 1)
        capacity = self.cpu_limit if math.isfinite(self.cpu_limit) else 1.0
        load = self.rate(self.now) / pods * self.service(value) / capacity
        return self.floor(value) / max(1 - load, 0.02)

    @property
    def trial_ready(self) -> bool:
        return self.trial >= 0 and self.now >= self.trial_since

    def observe(self) -> Observation:
        rate = self.rate(self.now)
        pods = max(self.ready, 1)
        per_pod = rate / pods * self.service(self.value)
        capacity = self.cpu_limit if math.isfinite(self.cpu_limit) else 1.0
        use = min(per_pod, capacity)
        need = self.memory_need
        bound = self.memory_limit if math.isfinite(self.memory_limit) else math.inf
        if need > bound:
            self.oom_at, self.oom_limit, self.ooms = self.now - 1, bound, self.ooms + 1
        held = min(need, bound)
        throttled = max(0.0, 1 - self.cpu_limit / self.burst) if self.burst and math.isfinite(self.cpu_limit) else NAN
        workload = {
            "key": KEY,
            "template": "t1",
            "acting": True,
            "allowed": [True] * 4,
            "replicas": self.replicas,
            "ready": self.ready,
            "replicas_min": 1,
            "replicas_max": 20,
            "arrival_rate": rate,
            "cpu_usage": use * pods,
            "cpu_per_pod": capacity,
            "extra_pods": int(self.trial >= 0),
            "min_history_seconds": 3600.0,
            **UP,
            **DOWN,
            **self.workload,
            **self.override.get("workload", {}),
        }
        container = {
            "key": f"{KEY}/app",
            "name": "app",
            "template_cpu": 1.0,
            "template_memory": 512 * MIB,
            "cpu": self.cpu,
            "memory": self.memory,
            "cpu_limit": self.cpu_limit,
            "memory_limit": self.memory_limit,
            "cpu_max": 4.0,
            "memory_max": 8 * GIB,
            "throttled": throttled,
            "working_set": held,
            "oom_at": self.oom_at,
            "oom_limit": self.oom_limit,
            **self.container,
            **self.override.get("container", {}),
        }
        samples = [
            {"container": 0, "time": self.now, "cpu": use, "memory": held, "span": self.tick} for _ in range(pods)
        ]
        latency = self.latency(self.value)
        target = {
            "name": "p95 totalLatency",
            "kind": int(self.metric),
            "value": latency if self.metric is AnswerKind.VALUE else NAN,
            "age": 0.0,
            "limit": self.target,
            **self.override.get("target", {}),
        }
        knobs = []
        if self.knob is not None:
            busy = self.trial_ready
            knobs.append(
                {
                    "key": f"{KEY}/batch",
                    "name": "batch",
                    "minimum": 1,
                    "maximum": 64,
                    "off_value": self.off,
                    "trial": self.trial,
                    "trial_ready": busy,
                    "trial_since": self.trial_since if busy else math.inf,
                    "trial_latency": self.latency(self.trial) if busy else NAN,
                    "base_latency": latency,
                    "trial_cost": self.service(self.trial) if busy else NAN,
                    "base_cost": self.service(self.value),
                    **self.knob,
                    **self.override.get("knob", {}),
                }
            )
        self.log.append((self.now, self.replicas, latency))
        return Observation(
            now=self.now,
            workloads=Workloads.of([workload]),
            targets=Targets.of([target] if self.target is not None else []),
            containers=Containers.of([container]),
            samples=Samples.of(samples),
            knobs=Knobs.of(knobs),
            alerts=Alerts.of(self.alerts),
        )

    def step(self) -> Plan:
        """One tick: observe, decide, carry out. As in the operator, the state before is given up."""
        self.starting = [at for at in self.starting if at > self.now]
        plan, self.state = decide(self.observe(), self.state, self.settings, reuse=True)
        for decision in plan.decisions:
            self.decisions[decision.id] = decision
        self.carry_out(plan)
        self.plan = plan
        self.now += self.tick
        return plan

    def run(self, seconds: float, until: Callable[["Simulator"], bool] | None = None) -> bool:
        """Tick for so long, or until the condition holds; whether it did."""
        for _ in range(int(seconds / self.tick)):
            self.step()
            if until is not None and until(self):
                return True
        return until is None

    def carry_out(self, plan: Plan) -> None:
        wanted = int(plan.workloads.replicas[0])
        if wanted > self.replicas:
            self.starting += [self.now + self.startup] * (wanted - self.replicas)
        if 0 < wanted < self.replicas:
            self.starting = self.starting[: max(0, len(self.starting) - (self.replicas - wanted))]
        if wanted > 0:
            self.replicas = wanted
        rows = plan.containers
        if math.isfinite(rows.cpu[0]):
            self.cpu, self.cpu_limit = float(rows.cpu[0]), float(rows.cpu_limit[0])
        if math.isfinite(rows.memory[0]):
            self.memory, self.memory_limit = float(rows.memory[0]), float(rows.memory_limit[0])
        if self.knob is None:
            return
        if int(plan.knobs.value[0]) != self.value:
            self.knob["value"] = int(plan.knobs.value[0])
            self.off = self.replicas
        elif self.off:
            self.off -= 1
        trial = int(plan.knobs.trial[0])
        if plan.knobs.keep_trial[0]:
            self.off = max(self.off - 1, 0)
            trial = -1
        if trial != self.trial:
            self.trial, self.trial_since = trial, self.now + self.startup

    def restart(self) -> None:
        """The operator starts anew; what follows restores from the decisions."""
        self.state = State()

    def learn_history(self, hours: float, cpu: float, memory: float, step: float = 300.0) -> None:
        """Back-fill of steady usage up to now."""
        count = int(hours * 3600 / step)
        rows = [
            {"container": 0, "time": self.now - step * (count - i), "cpu": cpu, "memory": memory, "span": step}
            for i in range(count)
        ]
        if len(self.state.workloads):
            self.state = learn(self.state, replace(self.observe(), samples=Samples.of(rows)), self.settings)
            return
        named: dict[str, Any] = {
            name: self.workload[name] for name in ("template", "cpu_overrun_rate") if name in self.workload
        }
        sizes = {name: getattr(self, name) for name in ("cpu", "cpu_limit", "memory", "memory_limit")}
        seen = replace(Simulator(now=self.now, workload=named, **sizes).observe(), samples=Samples.of(rows))
        self.state = pickle.loads(_learned(pickle.dumps(seen), self.settings))


@lru_cache(maxsize=64)
def _learned(seen: bytes, settings: Settings) -> bytes:
    """What an operator that knows nothing learns of a history; most tests begin with one of a few."""
    return pickle.dumps(learn(State(), pickle.loads(seen), settings))


def batched(value: int, **more: Any) -> Simulator:
    """A knob whose CPU a request is least at 8: 0.02·(1 + |log2(value/8)|/4); latency grows with its value."""
    given: dict[str, Any] = {
        "service": lambda b: 0.02 * (1 + abs(math.log2(b / 8)) / 4),
        "floor": lambda b: 0.05 + 0.005 * b,
        "replicas": 3,
        **more,
    }
    workload = {"replicas_max": 0, "min_history_seconds": 1e9, **given.pop("workload", {})}
    return Simulator(rate=lambda t: 10.0, knob={"value": value}, workload=workload, **given)


def steps(sim: Simulator) -> list[Decision]:
    """Its decisions, oldest first."""
    return sorted(sim.decisions.values(), key=lambda made: made.time)


def limited(sim: Simulator) -> set[Reason]:
    """What holds its levers."""
    held = sim.plan.remarks.get(0, ()) if sim.plan is not None else ()
    return {remark.reason for remark in held if remark.condition == "Limited"}


FIXED = {"replicas_max": 0}


def sized(**more: Any) -> Simulator:
    """A workload of one pod with a day of history: 100m and 200 MiB used of 1 core and 512Mi requested."""
    workload = {**FIXED, **more.pop("workload", {})}
    sim = Simulator(rate=lambda t: 2.0, replicas=1, workload=workload, **more)
    sim.learn_history(24, 0.1, 200 * MIB)
    return sim


def cuts(sim: Simulator) -> list[Any]:
    """Cuts of requests, oldest first."""
    return [made for made in sim.decisions.values() if made.reason is Reason.CUT_UNUSED]
