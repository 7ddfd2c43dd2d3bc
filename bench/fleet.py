"""A fleet for benchmarks: workloads with a daily wave, containers with noisy usage, a cluster that obeys plans.

Everything is drawn from one seed, so that two runs see the same numbers. The fleet knows nothing of Kubernetes: it
makes Observations, and carries the set points of a Plan out at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from trimtab.api.answers import AnswerKind
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.engine import learn
from trimtab.decide.observation import Alerts, Containers, Knobs, Observation, Samples, Targets, Workloads
from trimtab.decide.plan import Plan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State

MIB = float(2**20)
DAY = 86_400.0
START = 1_800_000_000.0
"""Unix time of the first tick."""
LATENCY_TARGET = 0.5
KNOB_EVERY = 5
"""Every fifth workload has a knob."""


@dataclass
class Fleet:
    """`configs` workloads with `containers` containers among them; `step` is the time between two ticks, seconds."""

    configs: int
    containers: int
    seed: int = 1
    step: float = 15.0
    min_history: float = DAY
    now: float = START
    _rng: np.random.Generator = field(init=False)
    _workloads: Workloads = field(init=False)
    _targets: Targets = field(init=False)
    _containers: Containers = field(init=False)
    _knobs: Knobs = field(init=False)
    _alerts: Alerts = field(init=False)

    def __post_init__(self) -> None:
        rng = self._rng = np.random.default_rng(self.seed)
        count, owner = self.containers, np.sort(np.arange(self.containers) % self.configs)
        self._phase = rng.uniform(0, DAY, self.configs)
        self._swing = rng.uniform(0.1, 0.6, self.configs)
        self._cores = rng.lognormal(np.log(0.2), 1.0, count)
        """Cores that a container of one pod uses at the mean load of its workload."""
        self._bytes = rng.lognormal(np.log(300 * MIB), 0.8, count)
        self._replicas_wanted = rng.integers(2, 9, self.configs)
        self._containers = self._container_table(owner)
        self._workloads = self._workload_table()
        self._rate_each = rng.uniform(5.0, 50.0, self.configs)
        """Requests/s of one pod at the mean load."""
        names = np.full(self.configs, "totalLatency", dtype=object)
        rows = np.arange(self.configs)
        self._targets = replace(
            Targets.blank(self.configs),
            workload=rows,
            name=names,
            kind=np.full(self.configs, int(AnswerKind.VALUE)),
            age=np.full(self.configs, 5.0),
            limit=np.full(self.configs, LATENCY_TARGET),
        )
        self._alerts = replace(
            Alerts.blank(self.configs),
            workload=rows,
            name=names,
            metric=names,
            kind=np.full(self.configs, int(AnswerKind.VALUE)),
            threshold=np.full(self.configs, 2 * LATENCY_TARGET),
        )
        self._knobs = self._knob_table()

    def _container_table(self, owner: I8) -> Containers:
        count = len(owner)
        table = Containers.blank(count)
        place = np.arange(count) - np.searchsorted(owner, owner)
        names = np.array([f"c{i}" for i in range(int(place.max()) + 1)], dtype=object)
        table.name[:] = names[place]
        table.key[:] = [f"ns-{w // 20}/w-{w}/c{i}" for w, i in zip(owner.tolist(), place.tolist(), strict=True)]
        table.workload[:] = owner
        sized = self._rng.lognormal(np.log(2.0), 0.25, count)
        for name, usage, quantum in (("cpu", self._cores, 1e-3), ("memory", self._bytes, MIB)):
            request = np.ceil(usage * sized / quantum) * quantum
            getattr(table, f"template_{name}")[:] = getattr(table, name)[:] = request
            getattr(table, f"template_{name}_limit")[:] = getattr(table, f"{name}_limit")[:] = 2 * request
            getattr(table, f"{name}_min")[:] = quantum
            getattr(table, f"{name}_max")[:] = 64.0 if name == "cpu" else 64 * 1024 * MIB
        table.limit_below_template[:] = True
        table.throttled[:] = 0.0
        table.working_set[:] = self._bytes
        return table

    def _workload_table(self) -> Workloads:
        count = self.configs
        table = Workloads.blank(count)
        table.key[:] = [f"ns-{w // 20}/w-{w}" for w in range(count)]
        table.template[:] = [f"{w:016x}" for w in range(count)]
        table.acting[:] = True
        table.replicas[:] = table.ready[:] = self._replicas_wanted
        table.replicas_min[:], table.replicas_max[:] = 1, 50
        table.min_history_seconds[:] = self.min_history
        table.node_cpu[:], table.node_memory[:] = 64.0, 256 * 1024 * MIB
        table.cpu_per_pod[:] = self._by_workload(self._containers.cpu_limit)
        table.up_value[:, 0], table.up_percent[:, 0], table.up_period[:, 0] = 100, True, 15
        table.down_value[:, 0], table.down_percent[:, 0], table.down_period[:, 0] = 100, True, 15
        return table

    def _knob_table(self) -> Knobs:
        owners = np.arange(0, self.configs, KNOB_EVERY)
        table = Knobs.blank(len(owners))
        table.key[:] = [f"{self._workloads.key[w]}/batch" for w in owners]
        table.name[:] = "batch"
        table.workload[:] = owners
        table.value[:], table.minimum[:], table.maximum[:] = 8, 1, 64
        return table

    def _by_workload(self, values: F8) -> F8:
        return np.bincount(self._containers.workload, values, self.configs).astype(np.float64)

    def observation(self) -> Observation:
        """What is seen now, and time goes on by one step."""
        now, rng = self.now, self._rng
        self.now += self.step
        w, c = self._workloads, self._containers
        wave = 1 + self._swing * np.sin(2 * np.pi * (now + self._phase) / DAY)
        noisy = wave * rng.lognormal(0.0, 0.05, self.configs)
        load = noisy * self._replicas_wanted / np.maximum(w.ready, 1)
        """Load of one pod, 1.0 at the mean of the day and the replicas of the start."""
        cpu = self._cores * load[c.workload] * rng.lognormal(0.0, 0.1, len(c))
        memory = self._bytes * (1 + 0.1 * (wave[c.workload] - 1)) * rng.lognormal(0.0, 0.02, len(c))
        usage = self._by_workload(cpu) * w.ready
        use = usage / np.maximum(w.cpu_per_pod * w.ready, 1e-9)
        latency = 0.1 / np.clip(1 - use, 0.05, 1.0) * rng.lognormal(0.0, 0.05, self.configs)
        rows = np.arange(len(c))
        count = len(rows)
        return Observation(
            now,
            replace(w, arrival_rate=self._rate_each * noisy * self._replicas_wanted, cpu_usage=usage),
            replace(self._targets, value=latency),
            replace(
                c,
                working_set=memory,
                throttled=np.clip(cpu / c.cpu_limit - 0.95, 0.0, 1.0),
            ),
            Samples(rows, np.full(count, now - 5.0), cpu, memory, np.full(count, self.step)),
            self._knobs,
            replace(self._alerts, value=latency),
        )

    def history(self, state: State, settings: Settings, *, step: float = 900.0) -> State:
        """The state that an operator has after reading back the day before, a sample every `step` seconds."""
        usual, start = self.step, self.now
        self.step, self.now = step, start - DAY
        while self.now < start:
            state = learn(state, self.observation(), settings, reuse=True)
        self.step, self.now = usual, start
        return state

    def follow(self, plan: Plan) -> None:
        """The cluster carries the plan out before the next look; trial pods never come."""
        w, c = self._workloads, self._containers
        wanted = plan.workloads.replicas
        moved = (wanted >= 0) & (wanted != w.replicas)
        replicas = np.where(moved, wanted, w.replicas)
        self._workloads = replace(w, replicas=replicas, ready=replicas)
        sized = c.copy()
        for name in ("cpu", "memory", "cpu_limit", "memory_limit"):
            new = getattr(plan.containers, name)
            known: B1 = np.isfinite(new)
            getattr(sized, name)[known] = new[known]
        per_pod = self._by_workload(sized.cpu_limit)
        self._containers, self._workloads = sized, replace(self._workloads, cpu_per_pod=per_pod)
