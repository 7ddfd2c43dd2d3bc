"""What observe gives back: the Observation for decide, and per resource the facts that act and record need."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.api.answers import Answer
from trimtab.api.reasons import Reason
from trimtab.api.tuningprofile import ProfileEntry
from trimtab.decide.observation import Block, Observation
from trimtab.decide.plan import Remark
from trimtab.kube.records import PodRecord, WorkloadRecord
from trimtab.observe.config import ConfigRecord
from trimtab.observe.conflicts import Hold
from trimtab.observe.levers import Levers
from trimtab.observe.spent import Spent
from trimtab.observe.targets import Found


@dataclass(frozen=True, slots=True)
class Facts:
    """One resource at one tick."""

    config: ConfigRecord
    found: Found
    """The workload (with LimitRange defaults in its containers), or why there is none."""
    row: int = -1
    """Row in the Observation's workloads; −1: not in it."""
    stopped: tuple[Reason, str] | None = None
    """Why nothing may be moved whatever the levers say, with a message; None when moves may be made."""
    pods: tuple[PodRecord, ...] = ()
    """Pods of the workload: old revisions and those being deleted included, trial pods not."""
    trials: tuple[PodRecord, ...] = ()
    """Trial pods of this resource, whatever state they are in."""
    levers: Levers | None = None
    metrics: Mapping[str, Answer] = field(default_factory=dict)
    """Declared and built-in metrics by name, numbers or reasons."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Metric → field of the status groups it is shown under, where that differs from its name."""
    entry: ProfileEntry | None = None
    """The workload's entry in the namespace's TuningProfile, if it belongs to this resource."""
    remarks: tuple[Remark, ...] = ()
    """For the conditions Tuning and Limited, beside the Plan's own."""
    hold: Hold | None = None
    """A replica count that a person set; `fresh` once, for the event HumanScaled."""
    arrival: float = math.nan
    """Requests a second; NaN: not known."""
    spent: Spent | None = None
    """What it costs; None before prices are known."""
    sampled_at: float = 0.0
    """Unix time of the newest built-in measurement; 0: none yet."""

    @property
    def target(self) -> WorkloadRecord | None:
        """The workload."""
        return self.found.target

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Why levers may not move."""
        return self.levers.blocks if self.levers is not None else ()


@dataclass(frozen=True, slots=True)
class Seen:
    """The whole answer of one observe."""

    observation: Observation
    facts: Mapping[str, Facts]
    """By key of the PerformanceConfig, every one that was handed in."""
    notes: tuple[str, ...] = ()
    """What of the cluster can't be seen now."""
