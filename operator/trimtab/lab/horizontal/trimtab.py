"""Trimtab as a replica policy: the operator's own `decide`, fed with what the simulator's metrics show."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trimtab.api.answers import AnswerKind
from trimtab.api.behavior import Behavior, PolicyType, ScalingRules
from trimtab.decide.columns import I8
from trimtab.decide.engine import decide
from trimtab.decide.observation import NAN, Observation, Targets, Workloads
from trimtab.decide.settings import Settings
from trimtab.decide.state import State
from trimtab.lab.horizontal.policy import Metrics, ReplicaPolicy, Terms

START = 1_800_000_000.0
"""Unix time at which a recording begins: a number like any other, so that times look as in the operator."""


class Trimtab:
    """R workloads with the default settings and the default behavior of a PerformanceConfig, p95 latency as target."""

    def __init__(self, terms: Sequence[Terms], settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._state = State()
        self._since = np.full(len(terms), NAN)
        behavior = Behavior()
        fixed = behavior.target_utilization_percent
        shared: dict[str, object] = {
            "template": "1",
            "acting": True,
            "cpu_per_pod": 1.0,
            "target_utilization": (fixed or 70) / 100.0,
            "verify_seconds": float(behavior.verify_seconds),
            **_rules("up", behavior.scale_up),
            **_rules("down", behavior.scale_down),
        }
        self._workloads = Workloads.of(
            [
                {
                    **shared,
                    "key": f"lab/{row:04d}",
                    "replicas_min": one.replicas_min,
                    "replicas_max": one.replicas_max,
                    "cpu_per_pod": one.service.cores,
                    "startup_seconds": one.startup_seconds,
                }
                for row, one in enumerate(terms)
            ]
        )
        self._targets = Targets.of(
            [{"workload": row, "name": "p95 latency", "limit": one.service.target} for row, one in enumerate(terms)]
        )

    def step(self, now: float, seen: Metrics) -> I8:
        """One tick of every row."""
        known = np.isfinite(seen.latency_p95)
        workloads = replace(
            self._workloads,
            replicas=seen.replicas.astype(np.int64),
            ready=seen.ready.astype(np.int64),
            arrival_rate=seen.arrival_rate.copy(),
            cpu_usage=seen.cpu_usage.copy(),
            due=seen.active.copy(),
        )
        targets = replace(
            self._targets,
            kind=np.where(known, int(AnswerKind.VALUE), int(AnswerKind.EMPTY)),
            value=seen.latency_p95.copy(),
            age=np.where(known, now - seen.measured_at, np.inf),
        )
        observation = Observation(START + now, workloads=workloads, targets=targets)
        plan, self._state = decide(observation, self._state, self._settings, reuse=True)
        return plan.workloads.replicas


def _rules(side: str, rules: ScalingRules) -> dict[str, object]:
    """Columns of the rate policies and the window, as the operator fills them."""
    window = rules.stabilization_window_seconds
    return {
        f"{side}_window": NAN if window is None else float(window),
        f"{side}_value": [float(policy.value) for policy in rules.policies],
        f"{side}_percent": [policy.type is PolicyType.PERCENT for policy in rules.policies],
        f"{side}_period": [float(policy.period_seconds) for policy in rules.policies],
    }


def make(terms: Sequence[Terms]) -> ReplicaPolicy:
    """Trimtab with the settings it ships with."""
    return Trimtab(terms)
