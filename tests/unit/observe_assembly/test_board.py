"""Questions on their cadence: once, in time, and never in each other's way."""

import asyncio
from typing import Any

from tests.sure import sure
from trimtab.observe.board import Board, Item
from trimtab.observe.source import SourceError, SourceReason


class Desk:
    """Answers questions, or waits, or fails."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...], float]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.errors: dict[str, Exception] = {}

    async def __call__(self, source: Any, questions: Any, at: Any) -> Any:
        self.asked.append((source, tuple(questions), at))
        if source in self.gates:
            await self.gates[source].wait()
        if source in self.errors:
            raise self.errors[source]
        return [f"{question} at {at:g}" for question in questions]


def items(*names: Any, interval: float = 15.0, source: str = "a") -> Any:
    return {name: Item(name, name, interval, source) for name in names}


async def finish(tasks: Any) -> None:
    await asyncio.gather(*tasks)


async def test_a_question_is_asked_again_only_when_it_is_due() -> None:
    desk = Desk()
    board = Board(desk)
    for now in (0.0, 15.0, 29.9, 45.0):
        await finish(board.start(items("fast") | items("slow", interval=60.0), now, slack=7.5))
    assert [at for _, asked, at in desk.asked if asked == ("fast",)] == [0.0, 15.0, 29.9, 45.0]
    assert [at for _, asked, at in desk.asked if asked == ("slow",)] == [0.0]
    assert sure(board.get("slow")).result == "slow at 0"


async def test_questions_go_in_chunks_longest_unanswered_first() -> None:
    desk = Desk()
    board = Board(desk, chunk=2)
    await finish(board.start(items("a", "b"), 0.0))
    await finish(board.start(items("a", "b", "c"), 15.0))
    assert [asked for _, asked, _ in desk.asked] == [("a", "b"), ("c", "a"), ("b",)]


async def test_a_slow_source_holds_up_only_itself_and_its_answer_serves_a_later_tick() -> None:
    desk = Desk()
    desk.gates["slow"] = asyncio.Event()
    board = Board(desk)
    wanted = items("x", source="slow") | items("y", source="quick")
    tasks = board.start(wanted, 0.0)
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    assert sure(board.get("y")).result == "y at 0"
    assert board.get("x") is None
    assert board.waiting("x")
    later = board.start(wanted, 15.0)
    assert len(later) == 1, "what is being asked is not asked twice"
    desk.gates["slow"].set()
    await finish(tasks | later)
    assert sure(board.get("x")).result == "x at 0"


async def test_an_error_keeps_the_last_answer_and_its_time() -> None:
    desk = Desk()
    board = Board(desk)
    await finish(board.start(items("x"), 0.0))
    desk.errors["a"] = SourceError(SourceReason.TIMEOUT, "too slow")
    await finish(board.start(items("x"), 15.0))
    kept = sure(board.get("x"))
    assert (kept.result, kept.at, kept.asked) == ("x at 0", 0.0, 15.0)
    assert sure(kept.error).reason is SourceReason.TIMEOUT


async def test_a_fault_of_ours_is_the_answer_to_that_question_alone() -> None:
    desk = Desk()
    desk.errors["bad"] = ZeroDivisionError()
    board = Board(desk)
    await finish(board.start(items("x", source="bad") | items("y"), 0.0))
    assert sure(sure(board.get("x")).error).reason is SourceReason.BAD_ANSWER
    assert sure(board.get("y")).result == "y at 0"


async def test_what_nobody_wants_any_more_is_forgotten() -> None:
    desk = Desk()
    board = Board(desk)
    await finish(board.start(items("x"), 0.0))
    board.start({}, 15.0)
    assert board.get("x") is None


async def test_closing_gives_up_what_is_being_asked() -> None:
    desk = Desk()
    desk.gates["a"] = asyncio.Event()
    board = Board(desk)
    tasks = board.start(items("x"), 0.0)
    await asyncio.wait(tasks, timeout=0)
    await board.close()
    assert all(task.cancelled() for task in tasks)
    assert not board.waiting("x")
