"""A token bucket for queries a second."""

import asyncio
from collections.abc import Awaitable, Callable


class RateLimiter:
    """Lets ``rate`` callers a second pass, with bursts of up to ``burst``; the others wait in order of arrival.

    ``clock`` gives monotonic seconds; ``sleep`` waits for some.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate = rate
        self._burst = max(1.0, burst)
        self._clock = clock
        self._sleep = sleep
        self._tokens = self._burst
        self._at = clock()

    async def acquire(self) -> None:
        """Take one token, waiting for it where there is none. A caller that is cancelled gives its turn back."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1.0  # below zero: reserved ahead of time
        if self._tokens < 0.0:
            try:
                await self._sleep(-self._tokens / self._rate)
            except asyncio.CancelledError:
                self._tokens += 1.0
                raise
