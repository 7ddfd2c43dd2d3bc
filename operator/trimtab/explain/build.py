"""One explanation: which decision, what it was made from, what else could have been, what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from trimtab.api.resource import PerformanceConfig
from trimtab.api.status import DecisionStatus
from trimtab.decide import text
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision
from trimtab.decide.replay import Inputs
from trimtab.decide.settings import Settings
from trimtab.explain.checks import checks
from trimtab.explain.model import Alternative, ExplainError, Explanation, Source, WhatIf
from trimtab.explain.recompute import Again, differences, recompute
from trimtab.explain.seen import sentences
from trimtab.explain.whatif import Change, changed
from trimtab.explain.words import LEVERS, change, listed, sentence
from trimtab.record.journal import to_status, unix


@dataclass(frozen=True, slots=True)
class Known:
    """One decision as it was recorded."""

    decision: DecisionStatus
    inputs: Inputs | None = None
    in_journal: bool = False
    problem: str = ""
    """Why its inputs can't be used."""


def chosen(known: Sequence[Known], identity: str) -> Known | None:
    """The decision of this identity, or the newest one; None where there is none at all.

    Raises:
        ExplainError: no decision has this identity.
    """
    if not identity:
        return max(known, key=lambda one: unix(one.decision.time), default=None)
    for one in known:
        if one.decision.id == identity:
            return one
    had = ", ".join(one.decision.id for one in known[:10]) or "none"
    raise ExplainError(f"no decision {identity[:80]!r} is known; the last ones are {had}")


def explanation(
    config: PerformanceConfig,
    known: Sequence[Known],
    *,
    identity: str = "",
    changes: Sequence[Change] = (),
    notes: Sequence[str] = (),
    settings: Settings | None = None,
) -> Explanation:
    """Why the decision was made. `notes` say what could not be read.

    Raises:
        ExplainError: there is no such decision, or a change that can't be made.
    """
    settings = settings or Settings()
    spec, metadata = config.spec, config.metadata
    base = Explanation(
        resource=f"{metadata.namespace}/{metadata.name}",
        target=f"{spec.target_ref.kind} {spec.target_ref.name}",
        source=Source.STATUS,
        now=_now(config),
        missing=list(notes),
    )
    one = chosen(known, identity)
    if one is None:
        if changes:
            raise ExplainError("there is no decision yet, so nothing to recompute with other constraints")
        lacks = "No decision was made yet, or none within retentionDays; the conditions say what is waited for."
        return base.model_copy(update={"missing": [*base.missing, lacks]})
    decision = one.decision
    base = base.model_copy(
        update={
            "source": Source.JOURNAL if one.in_journal else Source.STATUS,
            "decision": decision,
            "predicted": decision.predicted,
            "came": _came(decision),
            "seen": [f"{name} was {text.number(float(value))}." for name, value in sorted(decision.inputs.items())],
            "others": [other.decision.id for other in known if other is not one],
        }
    )
    if one.inputs is None:
        if changes:
            raise ExplainError(
                f"the inputs of {decision.id} are not kept, so it can't be recomputed; {one.problem or _UNKEPT}"
            )
        return base.model_copy(update={"missing": [*base.missing, sentence(one.problem or _UNKEPT)]})
    return _recomputed(base, one, one.inputs, changes, settings)


_UNKEPT = (
    "inputs are kept for the last 10 decisions and reach the journal within 10 minutes; the steps and the other levers "
    "can't be shown without them"
)


def _recomputed(
    base: Explanation, one: Known, inputs: Inputs, changes: Sequence[Change], settings: Settings
) -> Explanation:
    again, decision = recompute(inputs, settings), one.decision
    mine = [made for made in again.made if made.id == decision.id]
    wrong = differences(decision, mine[0]) if mine else ["the decision itself"]
    notes = list(base.missing)
    if inputs.settings != settings.digest():
        notes.append(
            f"It was made with the engine's constants {inputs.settings}, this Trimtab has {settings.digest()}: what is "
            "recomputed may differ from what was decided. Use the operator's own version of trimtab."
        )
    elif wrong:
        notes.append(
            "This version of the engine decides otherwise from the same inputs; use the operator's own version."
        )
    if wrong:
        notes.append(f"Recomputed, it differs in {listed(wrong)}.")
    lever = mine[0].lever if mine else None
    return base.model_copy(
        update={
            "source": Source.INPUTS,
            "equal": not wrong,
            "seen": sentences(again.trace),
            "checks": checks(again.trace),
            "alternatives": _alternatives(inputs, settings, lever) if lever is not None else [],
            "what_if": _what_if(inputs, again, changes, settings) if changes else None,
            "missing": notes,
        }
    )


def _alternatives(inputs: Inputs, settings: Settings, chosen_lever: Lever) -> list[Alternative]:
    """What the others would have done: one lever more is kept still until nothing moves any more."""
    found, barred = [], {chosen_lever}
    if not inputs.seen.workloads.acting[0]:
        return []
    while True:
        again = recompute(inputs, settings, frozenset(barred))
        moves = [made for made in again.made if made.lever not in barred]
        still = [LEVERS[lever] for lever in Lever if lever in barred]
        says = f"Without {listed(still)}: {_told(moves, again)}"
        found.append(Alternative(without=still, decisions=[to_status(made) for made in moves], says=says))
        if not moves or len(barred) == len(Lever):
            return found
        barred |= {made.lever for made in moves}


def _told(moves: Sequence[Decision], again: Again) -> str:
    if moves:
        return " ".join(f"{change(made)}: {sentence(made.message)}" for made in moves)
    held = " ".join(sentence(remark.message) for remark in again.limits)
    return f"nothing would have moved. {held}".strip()


def _what_if(inputs: Inputs, before: Again, changes: Sequence[Change], settings: Settings) -> WhatIf:
    again = recompute(changed(inputs, changes), settings)
    says = [f"{change(made)}: {sentence(made.message)}" for made in again.made] or ["Nothing would have been decided."]
    says += [sentence(remark.message) for remark in again.limits if remark not in before.limits]
    lifted = [sentence(remark.message) for remark in before.limits if remark not in again.limits]
    says += [f"No longer in the way: {text}" for text in lifted]
    return WhatIf(
        changes=[f"{one.path}={one.value}" for one in changes],
        same=[to_status(made) for made in again.made] == [to_status(made) for made in before.made],
        decisions=[to_status(made) for made in again.made],
        says=says,
    )


def _came(decision: DecisionStatus) -> str:
    words = {
        "Recommended": "It was only recommended: nothing was moved.",
        "Pending": "It is on its way and not in force yet.",
        "Verifying": "It is in force and being watched.",
    }
    return words.get(
        decision.outcome, sentence(f"{decision.outcome}: {decision.outcome_message or 'no more is known'}")
    )


def _now(config: PerformanceConfig) -> list[str]:
    """What the conditions say that is worth knowing."""
    return [
        f"{condition.type} is {condition.status} ({condition.reason}): {sentence(condition.message)}"
        for condition in config.status.conditions
        if condition.type in ("Tuning", "Limited", "Conflicted", "MetricsAvailable", "Stalled")
        and (
            condition.type == "Tuning"
            or condition.status != ("True" if condition.type == "MetricsAvailable" else "False")
        )
    ]
