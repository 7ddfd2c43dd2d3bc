"""Questions on their own cadence: asked when due, answered when the answer comes, the last answer kept (RULES 22).

A slow source never holds up the tick: what has not come within the tick's budget serves the next one.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from trimtab.observe.source import SourceError, SourceReason

Q = TypeVar("Q")
R = TypeVar("R")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Item(Generic[Q]):
    """One question: what to ask, how often, and whom."""

    key: Hashable
    question: Q
    interval: float
    """Seconds between two askings; the shortest of all who want it."""
    source: str
    """Name of the datasource."""


@dataclass(frozen=True, slots=True)
class Kept(Generic[R]):
    """The last answer to a question, and what became of the attempts since."""

    result: R | None
    at: float
    """Unix time that `result` was asked for; NaN without a result."""
    asked: float
    """Unix time of the last attempt."""
    error: SourceError | None = None
    """Why the last attempt gave nothing; None when it succeeded."""


class Board(Generic[Q, R]):
    """Asks questions through `run`, up to `chunk` of one source at a time, and keeps the last answers.

    `run(source, questions, at)` gives a result for each question, in their order, or raises SourceError for all.
    """

    def __init__(
        self,
        run: Callable[[str, Sequence[Q], float], Awaitable[Sequence[R]]],
        *,
        chunk: int = 1,
    ) -> None:
        self._run = run
        self._chunk = chunk
        self._kept: dict[Hashable, Kept[R]] = {}
        self._asking: dict[Hashable, asyncio.Task[None]] = {}

    def start(self, items: Mapping[Hashable, Item[Q]], now: float, slack: float = 0.0) -> set[asyncio.Task[None]]:
        """Begin asking what is due at `now` (Unix seconds), longest unanswered first; answers of others are dropped.

        Due is what would be within `slack` seconds: half a tick, so that ticks which vary leave no question out.
        Gives the tasks; wait for them as long as there is time, and leave the rest running.
        """
        self._kept = {key: kept for key, kept in self._kept.items() if key in items}
        due = [item for item in items.values() if item.key not in self._asking and self._due(item, now, slack)]
        due.sort(key=lambda item: kept.asked if (kept := self._kept.get(item.key)) else -math.inf)
        by_source: dict[str, list[Item[Q]]] = {}
        for item in due:
            by_source.setdefault(item.source, []).append(item)
        tasks = set()
        for source, waiting in by_source.items():
            for begin in range(0, len(waiting), self._chunk):
                part = waiting[begin : begin + self._chunk]
                task = asyncio.create_task(self._ask(source, part, now), name=f"ask {source}")
                self._asking.update({item.key: task for item in part})
                tasks.add(task)
        return tasks

    def get(self, key: Hashable) -> Kept[R] | None:
        """The last answer; None before the first attempt ended."""
        return self._kept.get(key)

    def waiting(self, key: Hashable) -> bool:
        """Whether the question is being asked now."""
        return key in self._asking

    async def close(self) -> None:
        """Give up what is being asked."""
        tasks = set(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _due(self, item: Item[Q], now: float, slack: float) -> bool:
        kept = self._kept.get(item.key)
        return kept is None or now - kept.asked >= item.interval - min(slack, item.interval / 2)

    async def _ask(self, source: str, items: list[Item[Q]], at: float) -> None:
        try:
            results = await self._run(source, [item.question for item in items], at)
        except SourceError as error:
            self._fail(items, at, error)
        except Exception as error:
            _log.exception("asking the datasource %s failed unexpectedly; it is asked again", source)
            self._fail(items, at, unexpected(source, error))
        else:
            for item, result in zip(items, results, strict=True):
                self._kept[item.key] = Kept(result, at, at)
        finally:
            for item in items:
                self._asking.pop(item.key, None)

    def _fail(self, items: list[Item[Q]], at: float, error: SourceError) -> None:
        for item in items:
            before = self._kept.get(item.key)
            self._kept[item.key] = Kept(before.result if before else None, before.at if before else math.nan, at, error)


def unexpected(source: str, error: Exception) -> SourceError:
    """A fault of ours as the answer of a source, so that one question's fault stays its own."""
    return SourceError(
        SourceReason.BAD_ANSWER,
        f"Trimtab failed on an answer of datasource {source} ({type(error).__name__}); see the operator's log.",
    )
