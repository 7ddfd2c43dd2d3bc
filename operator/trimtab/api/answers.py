"""What a question to a metric source may come back with: a number, or a reason why there is none.

Missing data is never zero: only ``AnswerKind.VALUE`` carries a number, every other kind carries NaN, so that an
arithmetic slip shows up as NaN and never as a plausible figure.
"""

import math
from dataclasses import dataclass
from enum import IntEnum


class AnswerKind(IntEnum):
    """Kinds of answer; the integers are stable, they stand in numpy columns and in checkpoints."""

    VALUE = 0
    """One finite, fresh number."""
    NO_TRAFFIC = 1
    """A latency or ratio is NaN because its rate exists and is 0: the target counts as met, trials freeze."""
    EMPTY = 2
    """No series matched."""
    STALE = 3
    """The newest sample behind the number is older than two scrape intervals."""
    NAN = 4
    """Not a number, and not for want of traffic."""
    INF = 5
    """Infinite: a quantile in the +Inf bucket, or a division by zero."""
    AMBIGUOUS = 6
    """Several series where one number is needed."""
    ERROR = 7
    """The source did not answer, or refused."""


REASONS: dict[AnswerKind, str] = {
    AnswerKind.VALUE: "Value",
    AnswerKind.NO_TRAFFIC: "NoTraffic",
    AnswerKind.EMPTY: "Empty",
    AnswerKind.STALE: "Stale",
    AnswerKind.NAN: "NaN",
    AnswerKind.INF: "Inf",
    AnswerKind.AMBIGUOUS: "Ambiguous",
    AnswerKind.ERROR: "Error",
}
"""CamelCase reason of each kind; an ERROR carries the source's own reason instead where it is known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    ``value`` is in the query's own unit, and NaN unless ``kind`` is VALUE. ``reason`` is CamelCase for conditions
    and events, ``message`` one sentence for people. ``at`` is the Unix time (s) of the oldest sample the answer
    rests on, NaN where it is not known.
    """

    kind: AnswerKind
    value: float
    reason: str
    message: str
    at: float

    def __post_init__(self) -> None:
        """Raises ValueError where kind and value disagree: that would turn missing data into a number."""
        if math.isfinite(self.value) != (self.kind is AnswerKind.VALUE):
            raise ValueError(
                f"an answer of kind {self.kind.name} can't carry the value {self.value}; "
                "only VALUE carries a finite number, the others carry NaN"
            )

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return self.kind is AnswerKind.VALUE


def no_value(kind: AnswerKind, message: str, at: float = math.nan, reason: str | None = None) -> Answer:
    """An answer without a number; the reason defaults to the kind's own."""
    return Answer(kind, math.nan, reason or REASONS[kind], message, at)
