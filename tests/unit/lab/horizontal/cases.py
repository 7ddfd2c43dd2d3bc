"""Small cases and policies for the tests of the horizontal lab."""

from collections.abc import Callable, Sequence

import numpy as np

from trimtab.decide.columns import I8
from trimtab.lab.horizontal.load import make_load
from trimtab.lab.horizontal.policy import Metrics, Terms
from trimtab.lab.horizontal.run import Case
from trimtab.lab.horizontal.service import SERVICES
from trimtab.lab.traces import Arrivals


def waves(minutes: int = 40, name: str = "waves") -> Arrivals:
    """Two hills and a step, by the minute."""
    minute = np.arange(minutes)
    return Arrivals(name, 60 + 30 * np.sin(minute / 6.0) + 40 * (minute > minutes * 0.7), 60.0)


def case(
    startup: float = 45.0, *, service: str = "two-10", seed: int = 0, arrivals: Arrivals | None = None, initial: int = 0
) -> Case:
    recording = arrivals or waves()
    kind = SERVICES[service]
    return Case(recording.name, kind, seed, startup, make_load(recording, kind, seed), initial)


class Scripted:
    """Does what a function of time says, in every row, and writes down what it saw."""

    def __init__(self, terms: Sequence[Terms], script: Callable[[float], int]) -> None:
        self.terms = terms
        self._script = script
        self.seen: list[dict[str, float]] = []
        """What was seen of the first row at each step."""

    def step(self, now: float, seen: Metrics) -> I8:
        measured = ("measured_at", "arrival_rate", "done_rate", "cpu_usage", "utilization", "latency_p95", "violated")
        names = (*measured, "replicas", "ready", "starting")
        self.seen.append({"now": now} | {name: float(getattr(seen, name)[0]) for name in names})
        return np.full(len(self.terms), self._script(now), dtype=np.int64)


def scripted(script: Callable[[float], int]) -> tuple[Callable[[Sequence[Terms]], Scripted], list[Scripted]]:
    """A maker of such a policy, and where the made ones are found."""
    made: list[Scripted] = []

    def make(terms: Sequence[Terms]) -> Scripted:
        made.append(Scripted(terms, script))
        return made[-1]

    return make, made
