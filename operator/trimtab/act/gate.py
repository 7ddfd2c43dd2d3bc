"""The gate before every write: who leads, what mode it is, how fast, and when the fleet stops by itself (RULES 15, 16).

Two bounds of different kinds: tokens bound requests to the API server, changes bound decisions that move workloads.
"""

import asyncio
import heapq
import itertools
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from enum import IntEnum

from trimtab.api.reasons import Reason
from trimtab.api.settings import Mode

MINUTE = 60.0
ROLLBACK_WINDOW = 24 * 3600.0
ROLLBACK_SAMPLES = 10
"""Verified moves within the window before their share of rollbacks means anything."""
RESERVE = 0.1
"""Share of the burst that each priority leaves to the next higher one, so that an OOM raise never queues."""
WRITE_SECONDS = 5.0
"""Bound of one write with the usual lease (lease − renew, see kube/lease.py)."""


class Priority(IntEnum):
    """Who writes first when not all can (RULES 16); smaller goes first."""

    OOM = 0
    LATENCY = 1
    ALERT = 2
    CUT = 3
    STATUS = 4
    CHECKPOINT = 5


class HeldError(Exception):
    """A write that may not be made now; nothing was sent. `reason` and `message` say why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Bucket:
    """A token bucket that serves waiters by priority, then by arrival.

    `rate` tokens a second, at most `burst` of them. A priority p may only take tokens while more than
    p × RESERVE × burst are left. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._rate, self._burst = rate, max(1.0, burst)
        self._clock, self._sleep = clock, sleep
        self._tokens, self._at = self._burst, clock()
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._pump: asyncio.Task[None] | None = None

    async def take(self, priority: Priority) -> None:
        """Return when a token is had. Cancelling gives the place up."""
        if not self._waiting and self._delay(priority) <= 0:
            self._tokens -= 1
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (int(priority), next(self._order), future))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._serve(), name="write gate")
        await future

    async def close(self) -> None:
        """End the task that serves waiters; they are cancelled."""
        pump, self._pump = self._pump, None
        waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            future.cancel()
        if pump is not None:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    async def _serve(self) -> None:
        while self._waiting:
            priority, _, future = self._waiting[0]
            if future.done():
                heapq.heappop(self._waiting)
                continue
            delay = self._delay(Priority(priority))
            if delay <= 0:
                heapq.heappop(self._waiting)
                self._tokens -= 1
                future.set_result(None)
                continue
            # No longer than one token takes: a higher priority that comes meanwhile needs less.
            await self._sleep(min(delay, 1.0 / self._rate))

    def _delay(self, priority: Priority) -> float:
        """Seconds until a waiter of this priority may have a token; 0: now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        # A burst of a few tokens has no room for reserves.
        floor = min(priority * RESERVE * self._burst, self._burst - 1.0)
        missing = floor + 1.0 - self._tokens
        return max(0.0, missing / self._rate) if missing > 1e-9 else 0.0


class Gate:
    """Asked before every write (`enter`) and before every change of a set point (`change`).

    `leading` is asked right before each write, after its wait for a token. `dry_run` sends every write as a server
    dry run: validated, never stored. `write_seconds` bounds one write: no longer than others wait for after this
    process stopped renewing its lease, or two would write at once. `released` gives the seconds since a person let a
    fleet that had stopped itself go on, infinite if nobody did: moves that ended before do not count any more.
    """

    def __init__(
        self,
        *,
        mode: Mode = Mode.ACT,
        leading: Callable[[], bool] = lambda: True,
        writes_per_second: float = 50.0,
        changes_per_minute: int = 60,
        rollback_stop_share: float = 0.5,
        dry_run: bool = False,
        write_seconds: float = WRITE_SECONDS,
        released: Callable[[], float] = lambda: math.inf,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.mode = mode
        self.dry_run = dry_run
        self.write_seconds = write_seconds
        self._leading = leading
        self._released = released
        self._clock = clock
        self._bucket = Bucket(writes_per_second, 2 * writes_per_second, clock, sleep)
        self._cap = changes_per_minute
        self._share = rollback_stop_share
        self._changes: deque[float] = deque()
        self._verdicts: deque[tuple[float, bool]] = deque(maxlen=1000)

    async def enter(self, priority: Priority, *, tidy: bool = False) -> None:
        """Wait for the turn to write.

        `tidy` marks the removal of what a move left behind (trial pods, deletion costs), which every mode allows.

        Raises:
            HeldError: the mode forbids it, or this process does not lead.
        """
        self._check(tidy)
        await self._bucket.take(priority)
        self._check(tidy)

    async def tell(self, priority: Priority) -> bool:
        """Wait for the turn to write what is said of a resource, which every mode allows; False: do not write it."""
        if not self._leading():
            return False
        await self._bucket.take(priority)
        return self._leading()

    def change(self, priority: Priority, *, emergency: bool = False, again: bool = False) -> None:
        """Count one change of a workload's set point; `again`: it was counted before, and is tried once more.

        Emergencies (OOM, saturation, rollbacks) count, and are never blocked (RULES 16).

        Raises:
            HeldError: the mode forbids it, the fleet has stopped itself, or its cap is reached.
        """
        self._check(tidy=False)
        now = self._clock()
        while self._changes and self._changes[0] <= now - MINUTE:
            self._changes.popleft()
        if not emergency and priority is not Priority.OOM:
            if self.stopped:
                raise HeldError(
                    Reason.FLEET_STOPPED,
                    f"{self.rollback_share:.0%} of the last moves were rolled back, more than {self._share:.0%}; "
                    "only emergencies move until a person has looked and released it (annotation trimtab.dev/resume)",
                )
            if len(self._changes) >= self._cap and not again:
                raise HeldError(
                    Reason.RATE_LIMITED,
                    f"the fleet made {len(self._changes)} changes within a minute, its cap is {self._cap}",
                )
        if not again:
            self._changes.append(now)

    def verdict(self, rolled_back: bool, *, age: float = 0.0) -> None:
        """Tell how a verified move ended, `age` seconds ago (after a restart: from the recorded decisions)."""
        self._verdicts.append((self._clock() - age, rolled_back))

    @property
    def rollback_share(self) -> float:
        """Share of rollbacks among the moves verified within 24 h, since the last release; NaN of fewer than 10."""
        since = self._clock() - min(ROLLBACK_WINDOW, self._released())
        recent = [rolled_back for at, rolled_back in self._verdicts if at > since]
        return sum(recent) / len(recent) if len(recent) >= ROLLBACK_SAMPLES else math.nan

    @property
    def stopped(self) -> bool:
        """Whether too large a share of moves was rolled back."""
        return self.rollback_share > self._share

    async def close(self) -> None:
        """End what the gate runs."""
        await self._bucket.close()

    def _check(self, tidy: bool) -> None:
        if not self._leading():
            raise HeldError(Reason.OPERATOR_MODE, "this replica of the operator does not lead")
        if self.mode is not Mode.ACT and not tidy:
            raise HeldError(
                Reason.OPERATOR_MODE,
                f"the operator's mode is {self.mode}; set mode: Act in the chart's values to let it move",
            )
