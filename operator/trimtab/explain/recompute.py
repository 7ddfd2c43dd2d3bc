"""A recorded decision made again: the same pure `decide`, its trace, and the comparison with what was recorded."""

from dataclasses import dataclass

from trimtab.api.privacy import Privacy
from trimtab.api.status import DecisionStatus
from trimtab.decide.engine import decide
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision, Plan, Remark
from trimtab.decide.replay import Inputs
from trimtab.decide.settings import Settings
from trimtab.decide.trace import Trace
from trimtab.record.journal import to_status

_LATER = frozenset({"KnobTrialKept", "KnobTrialRolledBack"})
"""Reasons that a trial's decision gets when it ends."""


@dataclass(frozen=True, slots=True)
class Again:
    """One decide call made again."""

    plan: Plan
    trace: Trace

    @property
    def made(self) -> tuple[Decision, ...]:
        """Decisions that are new in it."""
        return tuple(made for made in self.plan.decisions if made.time == self.trace.tick.seen.now)

    @property
    def limits(self) -> tuple[Remark, ...]:
        """What held levers."""
        return tuple(remark for remark in self.plan.remarks.get(0, ()) if remark.condition == "Limited")


def recompute(inputs: Inputs, settings: Settings, barred: frozenset[Lever] = frozenset()) -> Again:
    """The plan of these inputs, with these levers kept still."""
    trace = Trace(barred)
    plan, _ = decide(inputs.seen, inputs.state, settings, trace=trace)
    return Again(plan, trace)


def differences(recorded: DecisionStatus, made: Decision) -> list[str]:
    """Fields in which a decision made again differs from the recorded one, in published quantities.

    What became of it later (its outcome, a trial's end, a scale-down that stopped on its way) is no difference.
    """
    again = to_status(made)
    found = [name for name in ("id", "time", "lever", "from_") if getattr(recorded, name) != getattr(again, name)]
    ended = recorded.reason in _LATER and again.reason == "KnobTrialStarted"
    stopped = recorded.message.startswith(f"{again.message}; stopped at ")
    said = _same(recorded.message, again.message)
    if recorded.reason != again.reason and not ended:
        found.append("reason")
    if not (said or stopped or (ended and recorded.message.startswith(again.message))):
        found.append("message")
    if recorded.to != again.to and not stopped:
        found.append("to")
    if recorded.predicted and not _same(recorded.predicted, again.predicted):
        found.append("predicted")
    if not ended and recorded.inputs:
        found += [
            f"inputs.{name}"
            for name, value in again.inputs.items()
            if name in recorded.inputs and recorded.inputs[name] != value
        ]
        found += [f"inputs.{name}" for name in again.inputs.keys() - recorded.inputs.keys()]
    return found


def _same(recorded: str, again: str) -> bool:
    """Whether a recorded text is this one: a status cuts long texts short, and shows no personal data."""
    shown = (again, Privacy().clean(again))
    return recorded in shown or (recorded.endswith("…") and any(text.startswith(recorded[:-1]) for text in shown))
