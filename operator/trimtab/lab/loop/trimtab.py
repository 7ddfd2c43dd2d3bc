"""The operator's own engine in the loop: `decide` on what can be seen, and its plan carried out as act does.

New pods get the entry (MutatingAdmissionPolicy); running pods are resized to it in place, raises at once, cuts a
quarter of the pods at a time; what is lent goes to the pods that were ready when it was lent. A Deferred resize is
tried again with the next tick. A knob is tried on one pod more, and rolled one pod at a time.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trimtab.api.answers import AnswerKind
from trimtab.decide.engine import decide
from trimtab.decide.observation import Containers, Knobs, Observation, Samples, Targets, Workloads
from trimtab.decide.plan import Decision, Plan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State
from trimtab.lab.loop.cluster import Cluster, Sizes
from trimtab.lab.loop.metrics import Reading

KEY = "lab/service"
EPOCH = 1_800_000_000.0
"""Unix time at which a run begins; any will do."""
CUT_SHARE = 0.25
"""Share of the pods whose size may go down in one tick, as act has it."""
MIN_HISTORY = 600.0
"""minHistorySeconds: the recordings are an hour long."""
VERIFY_SECONDS = 120.0
NAN = math.nan
UP = {"up_value": [4, 100], "up_percent": [False, True], "up_period": [15, 15]}
DOWN = {"down_value": [100], "down_percent": [True], "down_period": [15]}
"""The default `behavior` of autoscaling/v2, which the HPA beside it has as well."""


@dataclass(slots=True)
class Loan:
    """What the entry says is lent."""

    cpu: float = 0.0
    before: float = 0.0
    until: float = 0.0


@dataclass(slots=True)
class Trimtab:
    """One PerformanceConfig that lists everything: replicas, CPU, memory, and a knob."""

    settings: Settings = field(default_factory=Settings)
    knobs: bool = True
    state: State = field(default_factory=State)
    decisions: dict[str, Decision] = field(default_factory=dict)
    plan: Plan | None = None
    loan: Loan = field(default_factory=Loan)
    _entry: Sizes | None = None
    _sampled: float = 0.0

    def tick(self, cluster: Cluster, seen: Reading) -> None:
        """Observe, decide, act."""
        if self._entry is None:
            self._entry = cluster.template
        observation = self.observe(cluster, seen)
        plan, self.state = decide(observation, self.state, self.settings)
        for decision in plan.decisions:
            self.decisions[decision.id] = decision
        self.plan = plan
        self._carry_out(cluster, plan, observation)

    def observe(self, cluster: Cluster, seen: Reading) -> Observation:
        """What the operator would see now."""
        now = EPOCH + cluster.now
        return Observation(
            now=now,
            workloads=Workloads.of([self._workload(cluster, seen)]),
            targets=Targets.of([self._target(cluster, seen)]),
            containers=Containers.of([self._container(cluster, seen)]),
            samples=Samples.of(self._samples(cluster, seen)),
            knobs=Knobs.of([self._knob(cluster, seen)] if self.knobs else []),
        )

    def _workload(self, cluster: Cluster, seen: Reading) -> dict[str, Any]:
        pods, need, entry = cluster.pods, cluster.scenario.workload, self._sizes
        rows = pods.staying
        trials = pods.rows(pods.exists & ~pods.leaving & pods.trial)
        alive = np.isin(seen.pods, np.concatenate((rows, trials)))
        usage = float(seen.cpu[alive].sum()) if alive.any() else NAN
        return {
            "key": KEY,
            "template": f"revision-{cluster.revision}",
            "acting": True,
            "allowed": [True, True, True, self.knobs],
            "rollout": cluster.rolling,
            "replicas": cluster.replicas,
            "ready": int(pods.ready[rows].sum()),
            "replicas_min": 1,
            "replicas_max": need.most_pods,
            "arrival_rate": seen.arrival_rate,
            "cpu_usage": usage,
            "cpu_per_pod": entry.limit,
            "verify_seconds": VERIFY_SECONDS,
            "min_history_seconds": MIN_HISTORY,
            "extra_pods": len(trials),
            "node_cpu": cluster.scenario.node_cores,
            "node_free_cpu": self._free(cluster),
            **UP,
            **DOWN,
        }

    @staticmethod
    def _free(cluster: Cluster) -> float:
        """As observe computes it: the least, over the nodes of ready pods, of what is free, by the pods there."""
        pods = cluster.pods
        rows = pods.rows(pods.exists & ~pods.leaving & (pods.node >= 0))
        here = np.bincount(pods.node[rows], minlength=cluster.scenario.nodes)
        busy = np.unique(pods.node[rows[pods.ready[rows]]])
        if not len(busy):
            return NAN
        free = (cluster.nodes - cluster.taken())[busy] / here[busy]
        return max(0.0, float(free.min()))

    def _target(self, cluster: Cluster, seen: Reading) -> dict[str, Any]:
        kind, value = AnswerKind.VALUE, seen.latency
        if seen.lost:
            kind, value = AnswerKind.EMPTY, NAN
        elif math.isnan(value):
            kind = AnswerKind.NO_TRAFFIC if seen.arrival_rate == 0 else AnswerKind.NAN
        return {
            "name": "p95 latency",
            "kind": int(kind),
            "value": value,
            "age": cluster.now - seen.at,
            "limit": cluster.scenario.workload.service.target,
        }

    def _container(self, cluster: Cluster, seen: Reading) -> dict[str, Any]:
        pods, entry, need, original = (
            cluster.pods,
            self._sizes,
            cluster.scenario.workload,
            Sizes.of(cluster.scenario.workload),
        )
        rows = pods.staying
        alive = np.isin(seen.pods, rows)
        lent = self.loan.cpu > 0
        return {
            "key": f"{KEY}/app",
            "name": "app",
            "template_cpu": original.request,
            "template_cpu_limit": original.limit,
            "template_memory": original.memory_request,
            "template_memory_limit": original.memory_limit,
            "cpu": entry.request,
            "cpu_limit": entry.limit,
            "memory": entry.memory_request,
            "memory_limit": entry.memory_limit,
            "cpu_min": 0.1,
            "cpu_max": need.cpu_max,
            "memory_min": 64 * 2.0**20,
            "memory_max": need.memory_max,
            "guaranteed": need.guaranteed,
            "throttled": seen.throttled,
            "working_set": float(seen.memory[alive].max()) if alive.any() else NAN,
            "off": sum(1 for row in rows.tolist() if not self._has(cluster, row)),
            "lent": self.loan.cpu,
            "lent_before": self.loan.before if lent else 0.0,
            "lent_until": self.loan.until if lent else 0.0,
            "borrowers": int((pods.lent[rows] & pods.ready[rows]).sum()) if lent else 0,
            "oom_at": EPOCH + cluster.kill.at if cluster.kill.at > 0 else 0.0,
            "oom_limit": cluster.kill.limit,
        }

    def _samples(self, cluster: Cluster, seen: Reading) -> list[dict[str, Any]]:
        if seen.lost or seen.at <= self._sampled:
            return []
        self._sampled = seen.at
        return [
            {"container": 0, "time": EPOCH + seen.at, "cpu": cpu, "memory": memory, "span": 30.0}
            for cpu, memory in zip(seen.cpu.tolist(), seen.memory.tolist(), strict=True)
            if cpu >= 0 or memory >= 0
        ]

    def _knob(self, cluster: Cluster, seen: Reading) -> dict[str, Any]:
        pods = cluster.pods
        rows = pods.staying
        row: dict[str, Any] = {
            "key": f"{KEY}/batch",
            "name": "batch",
            "role": "Batch",
            "value": cluster.knob,
            "minimum": 1,
            "maximum": 64,
            "off_value": int((pods.knob[rows] != cluster.knob).sum()),
        }
        trials = pods.rows(pods.exists & ~pods.leaving & pods.trial)
        if len(trials):
            trial = int(trials[0])
            ready = bool(pods.ready[trial])
            row |= {
                "trial": int(pods.knob[trial]),
                "trial_ready": ready,
                "trial_since": EPOCH + float(pods.ready_at[trial]) if ready else math.inf,
                "trial_latency": seen.trial_latency,
                "base_latency": seen.base_latency,
                "trial_cost": seen.trial_cost,
                "base_cost": seen.base_cost,
            }
        return row

    @property
    def _sizes(self) -> Sizes:
        assert self._entry is not None  # set by the first tick
        return self._entry

    def _wanted(self, cluster: Cluster, row: int) -> Sizes:
        entry = self._sizes
        extra = self.loan.cpu if cluster.pods.lent[row] else 0.0
        return replace(entry, request=entry.request + extra, limit=entry.limit + extra)

    def _has(self, cluster: Cluster, row: int) -> bool:
        pods, want = cluster.pods, self._wanted(cluster, row)
        has = (pods.request[row], pods.limit[row], pods.memory_request[row], pods.memory_limit[row])
        wants = (want.request, want.limit, want.memory_request, want.memory_limit)
        return all(abs(a - b) < 1e-6 * max(b, 1.0) for a, b in zip(has, wants, strict=True))

    def _carry_out(self, cluster: Cluster, plan: Plan, observation: Observation) -> None:
        wish, entry, pods = plan.containers, self._sizes, cluster.pods
        fields = ("cpu", "cpu_limit", "memory", "memory_limit")
        names = ("request", "limit", "memory_request", "memory_limit")
        changes = {n: float(getattr(wish, f)[0]) for f, n in zip(fields, names, strict=True)}
        self._entry = replace(entry, **{n: v for n, v in changes.items() if math.isfinite(v)})
        cluster.template = self._entry
        if math.isfinite(wish.lent[0]):
            self.loan = Loan(float(wish.lent[0]), float(wish.lent_before[0]), float(wish.lent_until[0]))
            made = pods.rows(pods.exists & ~pods.trial)
            ready = pods.ready[made] & (EPOCH + pods.created[made] < self.loan.before)
            pods.lent[made] = (self.loan.cpu > 0) & (pods.lent[made] | ready)
            pods.lent[made] &= EPOCH + pods.created[made] < self.loan.before
        self._resize(cluster)
        self._tune(cluster, plan)
        cluster.scale(int(plan.workloads.replicas[0]))

    def _resize(self, cluster: Cluster) -> None:
        """Raises at once; cuts in waves."""
        pods, rows = cluster.pods, cluster.pods.staying.tolist()
        room = max(1, math.floor(len(rows) * CUT_SHARE))
        for row in rows:
            if pods.node[row] < 0 or self._has(cluster, row):
                continue
            want = self._wanted(cluster, row)
            has = (pods.request[row], pods.limit[row], pods.memory_request[row], pods.memory_limit[row])
            wants = (want.request, want.limit, want.memory_request, want.memory_limit)
            cut = any(b < a * (1 - 1e-9) for a, b in zip(has, wants, strict=True))
            old_revision = pods.revision[row] != cluster.revision
            if (cut and room <= 0) or (cut and (old_revision or cluster.rolling)):
                continue
            if cluster.resize(row, *wants):
                room -= cut

    def _tune(self, cluster: Cluster, plan: Plan) -> None:
        """The knob: its trial pod, and one pod of the roll."""
        if not self.knobs:
            return
        pods = cluster.pods
        cluster.knob = int(plan.knobs.value[0])
        wanted, adopt = int(plan.knobs.trial[0]), bool(plan.knobs.keep_trial[0])
        trials = pods.rows(pods.exists & ~pods.leaving & pods.trial)
        for row in trials.tolist():
            if adopt:
                pods.trial[row] = False
            elif int(pods.knob[row]) != wanted:
                cluster.evict(row)
        if wanted >= 0 and not len(trials):
            cluster.trial(wanted)
        rows = pods.staying
        if not cluster.rolling and len(rows) and bool(pods.ready[rows].all()):
            off = rows[pods.knob[rows] != cluster.knob]
            if len(off):
                cluster.evict(int(off[0]))
