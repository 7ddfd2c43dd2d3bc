"""The desk that one `decide` call works at: what is seen, what is remembered, the plan so far."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide import slo
from trimtab.decide.columns import B1, I8
from trimtab.decide.observation import NAN, Lever, Observation
from trimtab.decide.plan import ContainerPlan, Decision, KnobPlan, Remark, WorkloadPlan
from trimtab.decide.settings import Settings
from trimtab.decide.signals import Signals
from trimtab.decide.state import State, Trial, Verify

if TYPE_CHECKING:
    from trimtab.decide.trace import Trace

CUTS = frozenset({Reason.CUT_UNUSED, Reason.SCALED_DOWN})
"""Moves that save: watched for harm."""
SETTLED = frozenset({Reason.MOVE_ROLLED_BACK, Reason.OBEYED_CONSTRAINT})
"""Moves that are done once they are in force."""
OPEN = frozenset({OutcomeState.PENDING, OutcomeState.VERIFYING})


@dataclass
class Tick:
    """Mutable; `state` and the plan's arrays are this call's own."""

    seen: Observation
    settings: Settings
    state: State
    signals: Signals
    restarted: B1
    workloads: WorkloadPlan
    containers: ContainerPlan
    knobs: KnobPlan
    up_limit: I8
    down_limit: I8
    """Most and fewest replicas that the rate policies allow now, int64[W]."""
    pending: dict[str, list[Verify]] = field(default_factory=dict)
    trials: dict[str, Trial] = field(default_factory=dict)
    decisions: dict[tuple[str, str], Decision] = field(default_factory=dict)
    remarks: dict[int, list[Remark]] = field(default_factory=dict)
    moved: B1 = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """bool[W]: a lever of the workload moved in this tick; no other one does."""
    trace: "Trace | None" = None
    """Somebody asks why: it is told what every step said, and may bar levers."""

    def passed(self, step: str) -> None:
        """A step of the arbiter is through."""
        if self.trace is not None:
            self.trace.note(step, self)

    @cached_property
    def row(self) -> dict[str, int]:
        """Workload key → row."""
        return {key: row for row, key in enumerate(self.seen.workloads.key)}

    @cached_property
    def container_row(self) -> dict[str, int]:
        """Container key → row."""
        return {key: row for row, key in enumerate(self.seen.containers.key)}

    @cached_property
    def knob_row(self) -> dict[str, int]:
        """Knob key → row."""
        return {key: row for row, key in enumerate(self.seen.knobs.key)}

    @cached_property
    def frozen(self) -> B1:
        """bool[W]: cuts, trials and knob steps wait (RULES 11)."""
        return self.seen.workloads.rollout | self.seen.workloads.window_closed | self.burning

    @cached_property
    def burning(self) -> B1:
        """bool[W]: an error budget burns fast."""
        return slo.burning(self.seen, self.state.standing.objectives)

    @cached_property
    def rolling(self) -> B1:
        """bool[W]: pods are being swapped to another knob value."""
        result = np.zeros(len(self.seen.workloads), dtype=bool)
        result[self.seen.knobs.workload[self.seen.knobs.off_value > 0]] = True
        return result

    @cached_property
    def movable(self) -> B1:
        """bool[W, 4]: by Lever, whether moves of it may be made at all."""
        free = self.seen.workloads.acting[:, None] & self.seen.workloads.allowed
        return free if self.trace is None else free & self.trace.open_levers()

    def may(self, lever: Lever) -> B1:
        """bool[W]: whether moves of this lever may be made at all."""
        return self.movable[:, lever]

    def waiting(self) -> B1:
        """bool[W]: a move is under way or being watched, or CPU is lent; savings and trials wait (RULES 13)."""
        result = np.zeros(len(self.seen.workloads), dtype=bool)
        for key in self.pending:
            result[self.row[key]] = True
        result[self.seen.containers.workload[self.seen.containers.lent > 0]] = True
        return result

    def trying(self) -> B1:
        """bool[W]: a trial pod runs or is to run."""
        result = self.seen.workloads.extra_pods > 0
        for key in self.trials:
            result[self.row[key]] = True
        return result

    def limit(self, w: int, reason: Reason, message: str) -> None:
        """Remark what holds a lever."""
        self.remark(w, Remark("Limited", reason, message))

    def remark(self, w: int, remark: Remark) -> None:
        """Add a remark once."""
        held = self.remarks.setdefault(w, [])
        if remark not in held:
            held.append(remark)

    def record(self, decision: Decision) -> Decision:
        """Put a decision, or its newer version, into the plan."""
        self.decisions[(decision.workload, decision.id)] = decision
        return decision

    def watch(self, w: int, decision: Decision) -> None:
        """Record a move and watch it from now on."""
        self.moved[w] = True
        self.record(decision)
        self.pending.setdefault(decision.workload, []).append(Verify(decision, measured_at=self.seen.now))

    def decision(
        self,
        w: int,
        lever: Lever,
        subject: str,
        before: float,
        after: float,
        reason: Reason,
        message: str,
        *,
        predicted: str = "",
        inputs: dict[str, float] | None = None,
        emergency: bool = False,
    ) -> Decision:
        """A new decision of this instant with the numbers that moves are judged by; unknown ones are left out."""
        now = self.seen.now
        numbers = {**self.numbers(w), **(inputs or {})}
        return Decision(
            id="-".join(filter(None, (f"{now:.0f}", lever.name.lower(), subject))),
            workload=str(self.seen.workloads.key[w]),
            time=now,
            lever=lever,
            subject=subject,
            before=before,
            after=after,
            reason=reason,
            message=message,
            predicted=predicted,
            inputs={name: float(value) for name, value in numbers.items() if np.isfinite(value)},
            emergency=emergency,
        )

    def numbers(self, w: int) -> dict[str, float]:
        """How the workload stands now."""
        seen, signals, memory = self.seen.workloads, self.signals, self.state.workloads
        worst = int(signals.worst[w])
        return {
            "targetMet": float(signals.met[w]),
            "latencyRatio": float(np.exp(memory.mean_ratio[w])),
            "latency": float(self.seen.targets.value[worst]) if worst >= 0 else NAN,
            "latencyTarget": float(self.seen.targets.limit[worst]) if worst >= 0 else NAN,
            "arrivalRate": float(seen.arrival_rate[w]),
            "cpuUsage": float(seen.cpu_usage[w]),
            "cpuPerRequest": float(np.exp(memory.mean_cost[w])),
            "replicas": float(seen.replicas[w]),
        }


def in_force_since(decision: Decision, now: float) -> Decision:
    """The decision as it is watched from `now` on; the offset survives a restart in its inputs."""
    inputs = {**decision.inputs, "verifyAfter": max(now - decision.time, 0.0)}
    return replace(decision, outcome=OutcomeState.VERIFYING, inputs=inputs)
