import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher import Batcher


class Worker:
    """Runs batches when told to, and remembers them."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.running = 0

    async def run(self, batch: list[int]) -> Sequence[int]:
        assert self.running == 0, "two batches at once"
        self.running += 1
        self.batches.append(batch)
        self.started.set()
        await self.release.wait()
        self.running -= 1
        return [-number for number in batch]


@asynccontextmanager
async def batching(
    worker: Worker, batch_size: int, wait_seconds: float = 0, on_batch: Callable[[list[float]], None] = lambda _: None
) -> AsyncIterator[Batcher[int, int]]:
    batcher = Batcher[int, int](worker.run, batch_size=batch_size, wait_seconds=wait_seconds, on_batch=on_batch)
    task = asyncio.create_task(batcher.serve())
    try:
        yield batcher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def queued(batcher: Batcher[int, int], count: int) -> None:
    while batcher.depth != count:  # noqa: ASYNC110 (the batcher has no event for its depth)
        await asyncio.sleep(0)


@given(batch_size=st.integers(1, 9), requests=st.integers(1, 40))
def test_no_batch_exceeds_the_batch_size_and_every_request_gets_its_own_answer(batch_size: int, requests: int) -> None:
    async def scenario() -> None:
        worker = Worker()
        worker.release.set()
        async with batching(worker, batch_size) as batcher:
            answers = await asyncio.gather(*(batcher.submit(number) for number in range(requests)))
        assert answers == [-number for number in range(requests)]
        assert max(map(len, worker.batches)) <= batch_size
        assert [number for batch in worker.batches for number in batch] == list(range(requests))

    asyncio.run(scenario())


async def test_requests_that_queue_behind_a_running_batch_form_the_next_one() -> None:
    worker = Worker()
    async with batching(worker, 4) as batcher:
        first = asyncio.create_task(batcher.submit(0))
        await worker.started.wait()
        rest = [asyncio.create_task(batcher.submit(number)) for number in range(1, 7)]
        await queued(batcher, 6)
        worker.release.set()
        await asyncio.gather(first, *rest)
    assert worker.batches == [[0], [1, 2, 3, 4], [5, 6]]


async def test_a_full_batch_does_not_wait() -> None:
    worker = Worker()
    worker.release.set()
    async with batching(worker, 3, wait_seconds=3600) as batcher, asyncio.timeout(30):
        await asyncio.gather(*(batcher.submit(number) for number in range(3)))
    assert worker.batches == [[0, 1, 2]]


async def test_a_batch_that_stays_partial_leaves_when_its_oldest_request_has_waited_long_enough() -> None:
    worker = Worker()
    worker.release.set()
    waits: list[float] = []
    async with batching(worker, 8, wait_seconds=0.02, on_batch=waits.extend) as batcher:
        await batcher.submit(1)
    assert worker.batches == [[1]]
    assert waits[0] >= 0.02


async def test_a_request_whose_caller_left_is_not_computed() -> None:
    worker = Worker()
    async with batching(worker, 1) as batcher:
        first = asyncio.create_task(batcher.submit(0))
        await worker.started.wait()
        left = asyncio.create_task(batcher.submit(1))
        stays = asyncio.create_task(batcher.submit(2))
        await queued(batcher, 2)
        left.cancel()
        await queued(batcher, 1)
        worker.release.set()
        await asyncio.gather(first, stays)
    assert left.cancelled()
    assert worker.batches == [[0], [2]]


async def test_the_only_waiting_caller_may_leave_during_the_wait_for_a_full_batch() -> None:
    worker = Worker()
    worker.release.set()
    async with batching(worker, 2, wait_seconds=0.01) as batcher:
        left = asyncio.create_task(batcher.submit(0))
        await queued(batcher, 1)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        assert await batcher.submit(1) == -1
    assert worker.batches == [[1]]


async def test_a_caller_that_leaves_a_running_batch_does_not_hurt_the_others() -> None:
    worker = Worker()
    async with batching(worker, 2) as batcher:
        left, stays = (asyncio.create_task(batcher.submit(number)) for number in range(2))
        await worker.started.wait()
        left.cancel()
        worker.release.set()
        assert await stays == -1


async def test_a_failed_batch_fails_its_requests_and_the_next_batch_runs() -> None:
    async def run(batch: list[int]) -> Sequence[int]:
        if 0 in batch:
            raise ArithmeticError("broken")
        return batch

    batcher = Batcher[int, int](run, batch_size=1, wait_seconds=0, on_batch=lambda _: None)
    task = asyncio.create_task(batcher.serve())
    with pytest.raises(ArithmeticError, match="broken"):
        await batcher.submit(0)
    assert await batcher.submit(1) == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_worker_that_loses_an_answer_fails_the_batch_instead_of_hanging() -> None:
    async def run(batch: list[int]) -> Sequence[int]:
        return batch[:-1]

    batcher = Batcher[int, int](run, batch_size=1, wait_seconds=0, on_batch=lambda _: None)
    task = asyncio.create_task(batcher.serve())
    with pytest.raises(ValueError, match="shorter"):
        await batcher.submit(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_batch_size_below_one_is_refused() -> None:
    async def run(batch: list[int]) -> Sequence[int]:
        return batch

    with pytest.raises(ValueError, match="batch_size=0"):
        Batcher[int, int](run, batch_size=0, wait_seconds=0, on_batch=lambda _: None)
