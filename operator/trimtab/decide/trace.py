"""What every step of one `decide` said, for a person who asks why: filled while it runs, it changes nothing.

Made for an Observation of one workload (decide/replay.py); in a larger one it is about row 0. With `barred`, levers
are kept still, so that what the others would have done can be seen.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from trimtab.decide.columns import B1
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision, Remark

if TYPE_CHECKING:
    from trimtab.decide.horizontal import Demand
    from trimtab.decide.tick import Tick
    from trimtab.decide.vertical import Resource


class Step(StrEnum):
    """Steps of the arbiter, in their order."""

    OOM = "OOM kills"
    THROTTLING = "CPU throttling"
    VERIFY = "Moves being watched"
    LOAD = "Replicas for the load"
    TRIAL = "Trial of a knob"
    KNOB_TO_RESTORE = "Knob to restore the target"
    TRIM = "Replicas for the target"
    USAGE = "Requests outgrown"
    LOWER = "Replicas not needed"
    CUT = "Requests not needed"
    KNOB_TO_SAVE = "Knob to save"
    CONSTRAINTS = "Constraints"
    BRIDGE = "CPU lent over a surge"


@dataclass(frozen=True, slots=True)
class Said:
    """What one step said."""

    step: Step
    decisions: tuple[Decision, ...]
    """New ones, and those that it changed or ended, as they were after it."""
    dropped: tuple[Decision, ...]
    """Decisions of earlier steps that it took out."""
    remarks: tuple[Remark, ...]
    moved_before: bool
    """A lever had moved already: no other one may in this tick."""
    waiting: bool
    """A move was under way or being watched, a trial ran, or CPU was lent, before this step."""


@dataclass(slots=True)
class Trace:
    """Handed to one `decide`."""

    barred: frozenset[Lever] = frozenset()
    said: list[Said] = field(default_factory=list)
    before: tuple[Decision, ...] = ()
    """Moves and trials that were under way."""
    _tick: "Tick | None" = None
    _demand: "Demand | None" = None
    _both: "tuple[Resource, Resource] | None" = None
    _decisions: dict[tuple[str, str], Decision] = field(default_factory=dict)
    _remarks: tuple[Remark, ...] = ()
    _moved: bool = False
    _waiting: bool = False

    def open_levers(self) -> B1:
        """bool[4]: by Lever, those that are not barred."""
        return np.array([lever not in self.barred for lever in Lever])

    def begin(self, t: "Tick", demand: "Demand", both: "tuple[Resource, Resource]") -> None:
        """The steps begin; what they work from stays at hand."""
        self._tick, self._demand, self._both = t, demand, both
        watched = [verify.decision for moves in t.pending.values() for verify in moves]
        self.before = (*watched, *(trial.decision for trial in t.trials.values()))
        self._keep(t)

    def note(self, step: str, t: "Tick") -> None:
        """A step is through: what is new since the one before is its own."""
        before, remarks = self._decisions, t.remarks.get(0, ())
        self.said.append(
            Said(
                Step(step),
                tuple(made for key, made in t.decisions.items() if before.get(key) != made),
                tuple(made for key, made in before.items() if key not in t.decisions),
                tuple(remark for remark in remarks if remark not in self._remarks),
                self._moved,
                self._waiting,
            )
        )
        self._keep(t)

    def _keep(self, t: "Tick") -> None:
        self._decisions, self._remarks = dict(t.decisions), tuple(t.remarks.get(0, ()))
        self._moved = bool(t.moved[0])
        self._waiting = bool((t.waiting() | t.trying())[0])

    @property
    def tick(self) -> "Tick":
        """The desk that was worked at, as it was left."""
        assert self._tick is not None, "the trace was not handed to a decide"
        return self._tick

    @property
    def demand(self) -> "Demand":
        """What the load asked for."""
        assert self._demand is not None, "the trace was not handed to a decide"
        return self._demand

    @property
    def both(self) -> "tuple[Resource, Resource]":
        """CPU and memory of the containers."""
        assert self._both is not None, "the trace was not handed to a decide"
        return self._both
