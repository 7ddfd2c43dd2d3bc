"""An explanation as data: what the text shows, for machines too."""

from enum import StrEnum

from trimtab.api.spec import ApiModel
from trimtab.api.status import DecisionStatus, ShortText, Text


class ExplainError(ValueError):
    """There is nothing to explain as asked; the message says what to do."""


class Verdict(StrEnum):
    """What a check did."""

    MOVED = "Moved"
    """It made the decision, or another one."""
    ENDED = "Ended"
    """It gave a verdict on an earlier decision."""
    HELD = "Held"
    """It wanted a move that something stood in the way of."""
    QUIET = "Quiet"
    """It wanted nothing."""


class Check(ApiModel):
    """One step of the arbiter."""

    step: ShortText
    """Name of the step."""
    verdict: Verdict
    """Moved, Ended, Held or Quiet."""
    says: list[Text]
    """Why, in sentences."""


class Alternative(ApiModel):
    """What would have been with some levers kept still."""

    without: list[ShortText]
    """Levers that were kept still."""
    decisions: list[DecisionStatus]
    """What would have been decided; empty: nothing."""
    says: Text
    """The same as a sentence."""


class WhatIf(ApiModel):
    """What would have been decided under other constraints."""

    changes: list[ShortText]
    """As they were asked for."""
    same: bool
    """The same as was decided."""
    decisions: list[DecisionStatus]
    """What would have been decided; empty: nothing."""
    says: list[Text]
    """The same in sentences, with what would have held levers."""


class Source(StrEnum):
    """What an explanation is made from."""

    INPUTS = "Inputs"
    """Recomputed from the recorded inputs."""
    JOURNAL = "Journal"
    """The journal's summary of the decision."""
    STATUS = "Status"
    """The status alone."""


class Explanation(ApiModel):
    """Why one decision was made."""

    resource: ShortText
    """namespace/name of the PerformanceConfig."""
    target: ShortText
    """Kind and name of the workload."""
    source: Source
    """Inputs, Journal or Status."""
    decision: DecisionStatus | None = None
    """The decision as it stands now; none was made where it is absent."""
    equal: bool | None = None
    """Whether the same was decided again from the inputs; absent where they are not kept."""
    seen: list[Text] = []
    """What was seen."""
    checks: list[Check] = []
    """Steps in their order; empty where the inputs are not kept."""
    alternatives: list[Alternative] = []
    """What the other levers would have done."""
    predicted: Text = ""
    """What was expected."""
    came: Text = ""
    """What came of it."""
    what_if: WhatIf | None = None
    """Under other constraints."""
    now: list[Text] = []
    """What the conditions say now."""
    missing: list[Text] = []
    """What this explanation lacks, and why."""
    others: list[ShortText] = []
    """Identities of the other decisions that are known, newest first."""
