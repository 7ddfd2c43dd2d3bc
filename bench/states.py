"""Observations that nobody would wish for: at the bounds, inverted, min = max, NaN, out of range, thousands at once.

Every column of every table is drawn by itself: mostly sensible numbers, often exactly a bound, sometimes nonsense. All
of it comes from one generator, so that a seed gives the same states again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from trimtab.api.answers import AnswerKind
from trimtab.decide.columns import B1, F8, I8, Table
from trimtab.decide.observation import INF, NAN, Alerts, Containers, Knobs, Observation, Samples, Targets, Workloads
from trimtab.decide.plan import Plan
from trimtab.decide.settings import Settings

MIB = float(2**20)
NONSENSE = (NAN, INF, -INF, -1.0, 0.0, 1e-12, 1e18)
CORES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
BYTES = (64 * MIB, 128 * MIB, 200 * MIB + 1, 512 * MIB, 1024 * MIB, 4096 * MIB)
KINDS = [int(kind) for kind in AnswerKind]
ROLES = np.array(["Batch", "Concurrency", "Cache", "Pool"], dtype=object)
EAGER = Settings(raise_history=0.0, service_samples=1.0, throttle_samples=1)
"""Settings under which a state of a few ticks is enough for every kind of move."""
Draw = npt.NDArray[np.float64]


@dataclass
class States:
    """`count` workloads a tick, each with up to three containers, two targets and one knob."""

    rng: np.random.Generator
    count: int

    def observation(self, now: float) -> Observation:
        """A tick in which nothing is as it was."""
        rows = np.arange(self.count)
        keys = np.array([f"ns/w{w}" for w in rows], dtype=object)
        owner = np.repeat(rows, self.rng.integers(0, 4, self.count))
        of_targets = np.repeat(rows, self.rng.integers(0, 3, self.count))
        of_knobs = rows[self.rng.random(self.count) < 0.4]
        containers, knobs = self._containers(keys, owner, now), self._knobs(keys, of_knobs, now)
        return Observation(
            now,
            self._with_trials(self._workloads(keys), knobs),
            self._targets(of_targets),
            containers,
            self._samples(containers, now),
            knobs,
            self._alerts(rows),
        )

    def _with_trials(self, workloads: Workloads, knobs: Knobs) -> Workloads:
        """Trial pods that are there count among the extra pods; a few are there that no knob knows of."""
        trials = np.bincount(knobs.workload[knobs.trial >= 0], minlength=len(workloads))
        return replace(workloads, extra_pods=trials + self.flags(len(workloads), 0.05))

    def amounts(self, count: int, usual: tuple[float, ...], *, nonsense: float = 0.08) -> Draw:
        """Mostly usual numbers, sometimes nonsense."""
        picked = self.rng.choice(np.array(usual), count)
        odd = self.rng.choice(np.array(NONSENSE), count)
        return np.where(self.rng.random(count) < nonsense, odd, picked)

    def flags(self, count: int, share: float) -> B1:
        """True in this share of the rows."""
        return np.asarray(self.rng.random(count) < share, dtype=bool)

    def _workloads(self, keys: npt.NDArray[np.object_]) -> Workloads:
        n, rng = self.count, self.rng
        table = Workloads.blank(n)
        table.key[:] = keys
        table.template[:] = rng.choice(np.array(["", "a", "a", "a", "a", "a", "b"], dtype=object), n)
        table.acting[:], table.due[:] = self.flags(n, 0.9), self.flags(n, 0.8)
        table.recommending[:] = ~table.acting & self.flags(n, 0.5)
        table.rollout[:], table.window_closed[:] = self.flags(n, 0.1), self.flags(n, 0.1)
        table.allowed[:] = (rng.random((n, 4)) < 0.9) | self.flags(n, 0.5)[:, None]
        table.replicas[:], table.ready[:] = rng.integers(0, 31, n), rng.integers(0, 31, n)
        low, high = rng.integers(-1, 31, n), rng.integers(-1, 31, n)
        equal, inverted = self.flags(n, 0.15), self.flags(n, 0.1)
        table.replicas_min[:] = np.where(equal, high, np.where(inverted, np.maximum(low, high), np.minimum(low, high)))
        table.replicas_max[:] = np.where(inverted, np.minimum(low, high), np.maximum(low, high))
        at_bound = self.flags(n, 0.3)
        table.replicas[at_bound] = np.clip(rng.choice((table.replicas_min, table.replicas_max)), 0, 30)[at_bound]
        healthy = self.flags(n, 0.7)
        table.ready[healthy] = table.replicas[healthy]
        table.human_hold_until[:] = self.amounts(n, (0.0, 0.0, 0.0, 2e9))
        table.arrival_rate[:] = self.amounts(n, (0.5, 10.0, 100.0))
        table.cpu_usage[:], table.cpu_per_pod[:] = self.amounts(n, CORES), self.amounts(n, CORES)
        table.target_utilization[:] = self.amounts(n, (0.7, 0.5))
        table.verify_seconds[:] = rng.choice((15.0, 30.0, 300.0), n)
        table.trial_seconds[:] = rng.choice((15.0, 120.0), n)
        table.min_history_seconds[:] = rng.choice((0.0, 0.0, 30.0, 86400.0), n)
        table.moves_per_day[:] = rng.choice((0, 1, 24), n)
        table.resizes_per_day[:] = rng.choice((0, 1, 48), n)
        table.max_memory[:] = self.amounts(n, (512 * MIB, 2048 * MIB, 16384 * MIB, INF))
        table.node_cpu[:] = self.amounts(n, (1.0, 2.0, 8.0, INF))
        table.node_memory[:] = self.amounts(n, (1024 * MIB, 64 * 1024 * MIB, INF))
        table.node_free_cpu[:] = self.amounts(n, (0.5, 2.0, 8.0))
        for side in ("up", "down"):
            getattr(table, f"{side}_window")[:] = self.amounts(n, (0.0, 60.0, 300.0))
            getattr(table, f"{side}_select")[:] = rng.choice((0, 0, 0, 1, 2), n)
            used = rng.random((n, 4)) < (0.8, 0.4, 0.1, 0.0)
            values = self.amounts(4 * n, (1, 4, 10, 100)).reshape(n, 4)
            periods = self.amounts(4 * n, (15, 60, 300)).reshape(n, 4)
            getattr(table, f"{side}_value")[:] = values
            getattr(table, f"{side}_percent")[:] = rng.random((n, 4)) < 0.5
            getattr(table, f"{side}_period")[:] = np.where(used, periods, 0.0)
        return table

    def _containers(self, keys: npt.NDArray[np.object_], owner: I8, now: float) -> Containers:
        n, rng = len(owner), self.rng
        table = Containers.blank(n)
        place = np.arange(n) - np.searchsorted(owner, owner)
        table.name[:] = np.array(["c0", "c1", "c2"], dtype=object)[place]
        table.key[:] = [f"{keys[w]}/c{i}" for w, i in zip(owner.tolist(), place.tolist(), strict=True)]
        table.workload[:] = owner
        for name, usual in (("cpu", CORES), ("memory", BYTES)):
            request, low, high = (self.amounts(n, usual) for _ in range(3))
            equal, inverted = self.flags(n, 0.1), self.flags(n, 0.08)
            smaller, larger = np.fmin(low, high), np.fmax(low, high)
            low = np.where(equal, high, np.where(inverted, larger, smaller))
            high = np.where(equal, high, np.where(inverted, smaller, larger))
            at_bound = self.flags(n, 0.2)
            request = np.where(at_bound, np.where(self.flags(n, 0.5), low, high), request)
            template = np.where(self.flags(n, 0.6), request, self.amounts(n, usual))
            ratio = rng.choice((1.0, 1.0, 1.5, 2.0, NAN), n)
            limit = np.where(self.flags(n, 0.9), request * ratio, self.amounts(n, usual))
            template_limit = np.where(self.flags(n, 0.6), limit, template * ratio)
            for column, values in (
                (name, request),
                (f"{name}_min", low),
                (f"{name}_max", high),
                (f"{name}_limit", limit),
                (f"template_{name}", template),
                (f"template_{name}_limit", template_limit),
            ):
                getattr(table, column)[:] = values
            getattr(table, f"{name}_allowed")[:] = self.flags(n, 0.95)
        table.scale_limits[:], table.limit_below_template[:] = self.flags(n, 0.4), self.flags(n, 0.5)
        table.guaranteed[:] = self.flags(n, 0.3)
        table.throttled[:] = self.amounts(n, (0.0, 0.0, 0.02, 0.5))
        table.working_set[:] = np.where(self.flags(n, 0.8), table.memory * rng.uniform(0.02, 1.2, n), NAN)
        table.oom_at[:] = self.amounts(n, (0.0, 0.0, 0.0, now - 10, now + 10))
        table.oom_limit[:] = np.where(self.flags(n, 0.5), table.memory_limit, self.amounts(n, BYTES))
        table.off[:] = self.flags(n, 0.1)
        lends = self.flags(n, 0.1)
        table.lent[:] = np.where(lends, self.amounts(n, (0.1, 0.5)), 0.0)
        table.lent_before[:] = np.where(lends, now - 60.0, 0.0)
        table.lent_until[:] = np.where(lends, now + rng.choice((-15.0, 300.0), n), 0.0)
        table.borrowers[:] = np.where(lends, rng.integers(0, 5, n), 0)
        return table

    def _targets(self, owner: I8) -> Targets:
        n, rng = len(owner), self.rng
        table = Targets.blank(n)
        table.workload[:] = owner
        table.name[:] = "latency"
        table.kind[:] = np.where(self.flags(n, 0.85), int(AnswerKind.VALUE), rng.choice(KINDS, n))
        table.limit[:] = self.amounts(n, (0.5, 0.5, 1.0), nonsense=0.03)
        table.value[:] = self.amounts(n, (0.1, 0.1, 0.1, 0.3, 0.3, 0.45, 0.5, 0.6, 2.0))
        table.age[:] = self.amounts(n, (0.0, 10.0, 10.0, 1000.0), nonsense=0.03)
        table.higher_is_better[:], table.latency[:] = self.flags(n, 0.1), self.flags(n, 0.85)
        return table

    def _knobs(self, keys: npt.NDArray[np.object_], owner: I8, now: float) -> Knobs:
        n, rng = len(owner), self.rng
        table = Knobs.blank(n)
        table.key[:] = [f"{keys[w]}/k" for w in owner]
        table.name[:], table.workload[:], table.role[:] = "k", owner, rng.choice(ROLES, n)
        low, high = rng.integers(0, 70, n), rng.integers(1, 70, n)
        ordered = self.flags(n, 0.85)
        table.minimum[:] = np.where(ordered, np.minimum(low, high), low)
        table.maximum[:] = np.where(ordered, np.maximum(low, high), high)
        inside = np.clip(rng.integers(0, 101, n), table.minimum, np.maximum(table.maximum, table.minimum))
        table.value[:] = np.where(self.flags(n, 0.8), inside, rng.integers(0, 101, n))
        table.ceiling[:] = self.amounts(n, (8.0, 32.5, 64.0, INF))
        table.allowed[:], table.trials[:] = self.flags(n, 0.9), self.flags(n, 0.7)
        table.off_value[:] = self.flags(n, 0.1)
        table.trial[:] = rng.choice((-1, -1, -1, 4, 8, 16), n)
        table.trial_ready[:] = self.flags(n, 0.7)
        table.trial_since[:] = self.amounts(n, (now - 60, now))
        for name in ("trial_latency", "base_latency", "trial_cost", "base_cost"):
            getattr(table, name)[:] = self.amounts(n, (0.1, 0.2, 0.4))
        return table

    def _samples(self, containers: Containers, now: float) -> Samples:
        rows = np.repeat(np.arange(len(containers)), self.rng.integers(0, 4, len(containers)))
        n = len(rows)
        table = Samples.blank(n)
        table.container[:] = np.where(self.flags(n, 0.99), rows, self.rng.choice((-1, 10**9), n))
        table.time[:] = now - self.amounts(n, (0.0, 5.0, 3600.0, 86400.0))
        table.cpu[:] = self.amounts(n, (0.01, *CORES))
        table.memory[:] = self.amounts(n, (16 * MIB, *BYTES))
        table.span[:] = self.amounts(n, (15.0, 60.0, 3600.0))
        return table

    def _alerts(self, rows: I8) -> Alerts:
        n = len(rows)
        table = Alerts.blank(n)
        table.workload[:], table.name[:] = rows, "slow"
        table.kind[:] = self.rng.choice(KINDS, n)
        table.value[:], table.threshold[:] = self.amounts(n, (0.1, 1.0)), self.amounts(n, (0.5,))
        table.below[:] = self.flags(n, 0.3)
        return table

    def follow(self, seen: Observation, plan: Plan, now: float) -> Observation:
        """The next tick of a cluster that carried most of the plan out, and changed a tenth of the rows by itself."""
        w, c, k = seen.workloads.copy(), seen.containers.copy(), seen.knobs.copy()
        obeys = self.flags(len(w), 0.95)
        scaled = obeys & (plan.workloads.replicas >= 0)
        w.replicas[scaled] = plan.workloads.replicas[scaled]
        w.ready[obeys] = w.replicas[obeys]
        for name in ("cpu", "memory", "cpu_limit", "memory_limit"):
            new: F8 = getattr(plan.containers, name)
            rows = obeys[c.workload] & np.isfinite(plan.containers.cpu if "cpu" in name else plan.containers.memory)
            getattr(c, name)[rows] = new[rows]
        k.value[:], k.trial[:] = plan.knobs.value, plan.knobs.trial
        _mix(w, self._workloads(w.key), self.flags(len(w), 0.1))
        _mix(c, self._containers(w.key, c.workload, now), self.flags(len(c), 0.1))
        targets = self._targets(seen.targets.workload)
        return replace(
            seen,
            now=now,
            workloads=self._with_trials(w, k),
            containers=c,
            knobs=k,
            targets=targets,
            samples=self._samples(c, now),
            alerts=self._alerts(seen.alerts.workload),
        )


def _mix(table: Table, other: Table, rows: B1) -> None:
    """Put the other table's rows in, identities apart."""
    for name, _ in table.columns():
        if name not in ("key", "name", "workload"):
            getattr(table, name)[rows] = getattr(other, name)[rows]
