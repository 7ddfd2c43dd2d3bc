"""What of the past is read in the background beside usage: objectives and cost baselines, a little at a time."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from trimtab.decide.engine import learn_costs, learn_objectives
from trimtab.decide.settings import Settings
from trimtab.decide.state import State
from trimtab.observe.costhistory import CostHistory
from trimtab.observe.facts import Seen
from trimtab.observe.goalhistory import GoalHistory

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_log = logging.getLogger(__name__)


class Reader(Protocol[T_co]):
    """Knows what is still to be read, and reads some of it."""

    def wanted(self, seen: Seen, now: float) -> list[str]:
        """What is still to be read, in the order of its turn."""
        ...

    async def read(self, seen: Seen, keys: list[str], now: float) -> T_co:
        """Some of it."""
        ...


@dataclass(slots=True)
class _Course(Generic[T]):
    reader: Reader[T]
    learn: Callable[[State, Seen, T, Settings], State]
    task: asyncio.Task[T] | None = None

    def go_on(self, state: State, seen: Seen, now: float, settings: Settings) -> State:
        if self.task is not None and self.task.done():
            # Let go of the task first: one that failed must not fail every tick from then on.
            read, self.task = self.task, None
            state = self.learn(state, seen, read.result(), settings)
        if self.task is None and (wanted := self.reader.wanted(seen, now)):
            self.task = asyncio.create_task(self.reader.read(seen, wanted, now), name=type(self.reader).__name__)
        return state


@dataclass(slots=True)
class Backfill:
    """Reads on between ticks; what came in is learned at the next one."""

    goals: GoalHistory
    costs: CostHistory
    _courses: tuple[_Course[Any], ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        """One course a kind of past."""
        self._courses = (
            _Course(
                self.goals,
                lambda state, seen, past, settings: learn_objectives(
                    state, seen.observation, past, settings, reuse=True
                ),
            ),
            _Course(
                self.costs,
                lambda state, seen, past, settings: learn_costs(state, seen.observation, past, settings, reuse=True),
            ),
        )

    def go_on(self, state: State, seen: Seen, now: float, settings: Settings) -> State:
        """The state with what was read since the last tick; starts reading what is still wanted. Gives `state` up."""
        self.goals.forget(set(seen.observation.objectives.key))
        self.costs.forget(seen.facts.keys())
        for course in self._courses:
            try:
                state = course.go_on(state, seen, now, settings)
            except Exception:
                _log.exception("the past of %s could not be learned; the tick goes on", type(course.reader).__name__)
        return state

    async def close(self) -> None:
        """Give up what is being read."""
        for course in self._courses:
            if course.task is not None:
                course.task.cancel()
                await asyncio.gather(course.task, return_exceptions=True)
