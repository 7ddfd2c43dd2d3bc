"""The pair that people run today: an HPA on CPU utilisation and a VPA on requests, each on its own.

Both are the lab's peers, built from their documented behaviour. The VPA's updater replaces pods whose request is
outside the recommender's bounds, half of the replicas at a time (--eviction-tolerance 0.5), and its admission
controller gives new pods the target; limits keep their ratio to requests. Neither knows of the other: the VPA moves the
requests that the HPA's utilisation is a share of.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from trimtab.lab.horizontal.policy import Metrics, Terms
from trimtab.lab.horizontal.rivals import Hpa
from trimtab.lab.loop.cluster import Cluster, Sizes
from trimtab.lab.loop.metrics import Reading
from trimtab.lab.peers.hpa import Pod
from trimtab.lab.peers.vpa import Advice, MemoryRecommender, cpu_advice
from trimtab.lab.peers.vpa_updater import QUICK_OOM, acts

EVICTION_TOLERANCE = 0.5
"""Share of the replicas that the updater evicts at once."""
UPDATE_SECONDS = 60.0
PRIOR_DAYS = 8.0
"""History that the recommender starts with, as after eight days: with less its bounds are too wide to do anything."""


@dataclass(slots=True)
class HpaPolicy:
    """An HPA with default behavior at one target, percent of the CPU requests."""

    target: int
    _hpa: Hpa | None = None
    _seen: Metrics = field(default_factory=lambda: Metrics.blank(1))
    _pods: list[Pod] = field(default_factory=list)

    def tick(self, cluster: Cluster, seen: Reading) -> None:
        """One sync."""
        need = cluster.scenario.workload
        if self._hpa is None:
            terms = Terms(need.service, need.startup_seconds, 1, need.most_pods, cluster.replicas)
            self._hpa = Hpa([terms], self.target)
            self._seen.listers.append(lambda: self._pods)
        self._pods = pods_of(cluster, seen)
        self._seen.replicas[0] = cluster.replicas
        cluster.scale(int(self._hpa.step(cluster.now, self._seen)[0]))


def pods_of(cluster: Cluster, seen: Reading) -> list[Pod]:
    """The pods as the API server has them, each with its late usage."""
    pods = cluster.pods
    usage = dict(zip(seen.pods.tolist(), seen.cpu.tolist(), strict=True))
    found = []
    for row in pods.staying.tolist():
        used = usage.get(row)
        ready = bool(pods.ready[row])
        found.append(
            Pod(
                usage=used if used is not None and math.isfinite(used) else None,
                request=float(pods.request[row]),
                ready=ready,
                started=float(pods.created[row]),
                ready_changed=float(pods.ready_at[row]) if ready else float(pods.created[row]),
                phase="Running" if pods.node[row] >= 0 else "Pending",
                measured=seen.at,
            )
        )
    return found


@dataclass(slots=True)
class HpaAndVpa:
    """Both controllers on one Deployment."""

    target: int = 70
    _hpa: HpaPolicy | None = None
    _times: list[float] = field(default_factory=list)
    _cores: list[float] = field(default_factory=list)
    _memory: MemoryRecommender | None = None
    _sampled: float = 0.0
    _updated: float = -UPDATE_SECONDS
    _killed: float = 0.0

    def tick(self, cluster: Cluster, seen: Reading) -> None:
        """Both, once each; the VPA's recommender and updater every minute."""
        if self._hpa is None or self._memory is None:
            self._hpa = HpaPolicy(self.target)
            self._memory = MemoryRecommender(1, UPDATE_SECONDS)
            self._remember(cluster)
        self._hpa.tick(cluster, seen)
        if cluster.now - self._updated >= UPDATE_SECONDS:
            self._updated = cluster.now
            self._learn(cluster, seen)
            cpu, memory = self._advice()
            self._update(cluster, cpu, memory)

    def _remember(self, cluster: Cluster) -> None:
        """A checkpoint: eight days at the HPA's target, give or take a tenth."""
        need, original = cluster.scenario.workload, Sizes.of(cluster.scenario.workload)
        minutes = int(PRIOR_DAYS * 1440)
        swing = 1.0 + 0.1 * np.sin(np.arange(minutes) * 2 * np.pi / 1440)
        self._times = (np.arange(-minutes, 0) * 60.0).tolist()
        self._cores = (original.request * self.target / 100.0 * swing).tolist()
        assert self._memory is not None  # made just before
        for day in range(int(PRIOR_DAYS)):
            self._memory.add((day - PRIOR_DAYS) * 86400.0, np.array([need.memory_base * 1.05]))

    def _learn(self, cluster: Cluster, seen: Reading) -> None:
        """A sample a minute: the mean pod's CPU and the largest working set."""
        assert self._memory is not None  # made in the first tick
        if cluster.kill.at > self._killed:
            self._killed = cluster.kill.at
            killed = np.array([True])
            self._memory.add_oom(cluster.now, np.array([cluster.kill.limit]), killed)
        usable = np.isfinite(seen.cpu) & np.isfinite(seen.memory) if len(seen.cpu) else np.zeros(0, dtype=bool)
        if seen.lost or seen.at <= self._sampled or not usable.any():
            return
        self._sampled = seen.at
        self._times.append(cluster.now)
        self._cores.append(float(seen.cpu[usable].mean()))
        self._memory.add(cluster.now, np.array([float(seen.memory[usable].max())]))

    def _advice(self) -> tuple[Advice, Advice]:
        assert self._memory is not None  # made in the first tick
        found = cpu_advice(np.array(self._times), np.array(self._cores), 60.0)
        last = Advice(found.target[-1:], found.lower[-1:], found.upper[-1:])
        return last, self._memory.advice()

    def _update(self, cluster: Cluster, cpu: Advice, memory: Advice) -> None:
        """Shape new pods, and evict up to half of the replicas that are outside the bounds."""
        original, pods = Sizes.of(cluster.scenario.workload), cluster.pods
        request = min(float(cpu.target[0]), cluster.scenario.workload.cpu_max)
        bytes_ = min(float(memory.target[0]), cluster.scenario.workload.memory_max)
        cluster.template = Sizes(
            request,
            request * original.limit / original.request,
            bytes_,
            bytes_ * original.memory_limit / original.memory_request,
        )
        rows = pods.staying
        age = cluster.now - pods.created[rows]
        quick = np.full(len(rows), cluster.now - cluster.kill.at < QUICK_OOM and cluster.kill.at > 0)
        out = acts(pods.request[rows], age, _wide(cpu, len(rows)), quick)
        out |= acts(pods.memory_request[rows], age, _wide(memory, len(rows)), quick)
        ready = int(pods.ready[rows].sum())
        room = int(EVICTION_TOLERANCE * cluster.replicas) - (cluster.replicas - ready)
        for row in rows[out & pods.ready[rows]][: max(room, 0)].tolist():
            cluster.evict(row)


def _wide(advice: Advice, count: int) -> Advice:
    """The same advice for so many pods."""
    return Advice(np.repeat(advice.target, count), np.repeat(advice.lower, count), np.repeat(advice.upper, count))
