"""Gathers single requests into batches for a worker that takes a list and gives back a list."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Entry(Generic[Request, Answer]):
    request: Request
    answer: asyncio.Future[Answer]
    queued_at: float


class Batcher(Generic[Request, Answer]):
    """Runs one batch at a time, of at most `batch_size` requests.

    While a batch runs, requests queue and form the next one. A batch that is not full waits until its oldest
    request has waited `wait_seconds`. A request whose caller has gone away is dropped before it costs
    anything.
    """

    def __init__(
        self,
        run: Callable[[list[Request]], Awaitable[Sequence[Answer]]],
        *,
        batch_size: int,
        wait_seconds: float,
        on_batch: Callable[[list[float]], None],
    ) -> None:
        """Call `run` with each batch, and `on_batch` with the seconds that each of its requests waited."""
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} can't hold a request: use 1 or more.")
        self._run = run
        self._batch_size = batch_size
        self._wait_seconds = wait_seconds
        self._on_batch = on_batch
        self._queue: deque[_Entry[Request, Answer]] = deque()
        self._arrived = asyncio.Event()

    @property
    def depth(self) -> int:
        """Requests that wait for a batch."""
        return len(self._queue)

    async def submit(self, request: Request) -> Answer:
        """Queue a request and return its answer, or raise what its batch raised."""
        loop = asyncio.get_running_loop()
        entry = _Entry[Request, Answer](request, loop.create_future(), loop.time())
        self._queue.append(entry)
        self._arrived.set()
        try:
            return await entry.answer
        finally:
            if entry.answer.cancelled() and entry in self._queue:
                self._queue.remove(entry)

    async def serve(self) -> None:
        """Form and run batches until cancelled."""
        while True:
            batch = await self._next_batch()
            now = asyncio.get_running_loop().time()
            self._on_batch([now - entry.queued_at for entry in batch])
            try:
                answers = await self._run([entry.request for entry in batch])
                answered = list(zip(batch, answers, strict=True))
            except Exception as error:
                for entry in batch:
                    if not entry.answer.done():
                        entry.answer.set_exception(error)
                continue
            for entry, answer in answered:
                if not entry.answer.done():
                    entry.answer.set_result(answer)

    async def _next_batch(self) -> list[_Entry[Request, Answer]]:
        """Wait for a request, then for a full batch or the end of the oldest one's patience."""
        while len(self._queue) < self._batch_size:
            deadline = self._queue[0].queued_at + self._wait_seconds if self._queue else None
            if not await self._arrives_before(deadline) and self._queue:
                break
        return [self._queue.popleft() for _ in range(min(self._batch_size, len(self._queue)))]

    async def _arrives_before(self, deadline: float | None) -> bool:
        """Return True when a request arrives, False at the deadline (loop time; None waits for ever)."""
        self._arrived.clear()
        try:
            async with asyncio.timeout_at(deadline):
                await self._arrived.wait()
        except TimeoutError:
            return False
        return True
