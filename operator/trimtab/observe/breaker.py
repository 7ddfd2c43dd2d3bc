"""A circuit breaker: after repeated failures a datasource is left alone, then tried with one request at a time."""

from collections.abc import Callable
from enum import StrEnum


class BreakerState(StrEnum):
    """States of the breaker (Nygard, Release It!, 2nd ed., ch. 5)."""

    CLOSED = "Closed"
    OPEN = "Open"
    HALF_OPEN = "HalfOpen"


class CircuitBreaker:
    """Opens after ``failures`` failures in a row, tries again after ``open_seconds``, doubled at each failed trial.

    Failures must come in a row: one tenant's heavy query that times out between others' good ones must not cut
    everybody off. ``clock`` gives monotonic seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        failures: int = 5,
        open_seconds: float = 5.0,
        max_open_seconds: float = 120.0,
    ) -> None:
        self._clock = clock
        self._threshold = failures
        self._first_open = open_seconds
        self._max_open = max_open_seconds
        self._in_a_row = 0
        self._open_for = open_seconds
        self._opened_at: float | None = None
        self._trial = False

    @property
    def state(self) -> BreakerState:
        """The state now."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.retry_in() > 0.0 else BreakerState.HALF_OPEN

    def retry_in(self) -> float:
        """Seconds until a request may be tried; 0 when one may now."""
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + self._open_for - self._clock())

    def admit(self) -> bool:
        """Whether a request may go out now. Half-open, only one at a time may.

        Who was admitted reports back with exactly one of succeeded, failed and abandoned.
        """
        state = self.state
        if state is BreakerState.CLOSED:
            return True
        if state is BreakerState.OPEN or self._trial:
            return False
        self._trial = True
        return True

    def succeeded(self) -> None:
        """An admitted request was answered: close, unless it went out before the breaker opened."""
        if self._opened_at is not None and not self._trial:
            return
        self._in_a_row = 0
        self._opened_at = None
        self._open_for = self._first_open
        self._trial = False

    def failed(self) -> None:
        """An admitted request failed."""
        if self._opened_at is not None:
            if self._trial:
                self._trial = False
                self._opened_at = self._clock()
                self._open_for = min(self._max_open, 2.0 * self._open_for)
            return
        self._in_a_row += 1
        if self._in_a_row >= self._threshold:
            self._opened_at = self._clock()

    def abandoned(self) -> None:
        """An admitted request was given up before its outcome was known."""
        self._trial = False
