"""The circuit breaker and the token bucket, on virtual time."""

import asyncio

import pytest

from trimtab.observe.breaker import BreakerState, CircuitBreaker
from trimtab.observe.limiter import RateLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> CircuitBreaker:
    breaker = CircuitBreaker(clock, failures=3, open_seconds=10.0, max_open_seconds=30.0)
    for _ in range(3):
        assert breaker.admit()
        breaker.failed()
    return breaker


def state_of(breaker: CircuitBreaker) -> BreakerState:
    return breaker.state


def test_failures_in_a_row_open_it_and_a_success_between_starts_the_count_again() -> None:
    breaker = CircuitBreaker(Clock(), failures=3)
    for outcome in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed, breaker.failed):
        assert breaker.admit()
        outcome()
    assert state_of(breaker) is BreakerState.CLOSED
    assert breaker.admit()
    breaker.failed()
    assert state_of(breaker) is BreakerState.OPEN
    assert not breaker.admit()


def test_after_its_time_one_trial_at_a_time_goes_out() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 9.9
    assert not breaker.admit()
    assert breaker.retry_in() == pytest.approx(0.1)
    clock.now = 10.0
    assert state_of(breaker) is BreakerState.HALF_OPEN
    assert [breaker.admit(), breaker.admit()] == [True, False]
    breaker.abandoned()
    assert breaker.admit()
    breaker.succeeded()
    assert state_of(breaker) is BreakerState.CLOSED


def test_failed_trials_double_the_wait_up_to_a_bound_and_success_resets_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    waits = []
    for _ in range(4):
        clock.now += breaker.retry_in()
        assert breaker.admit()
        breaker.failed()
        waits.append(breaker.retry_in())
    assert waits == [20.0, 30.0, 30.0, 30.0]
    clock.now += 30.0
    assert breaker.admit()
    breaker.succeeded()
    for _ in range(3):
        breaker.failed()
    assert breaker.retry_in() == 10.0


def test_late_outcomes_of_requests_from_before_change_nothing() -> None:
    breaker = opened(Clock())
    breaker.succeeded()
    assert state_of(breaker) is BreakerState.OPEN
    breaker.failed()
    assert breaker.retry_in() == 10.0


async def test_a_burst_passes_and_the_rest_is_spaced() -> None:
    clock = Clock()
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    limiter = RateLimiter(rate=2.0, burst=3.0, clock=clock, sleep=sleep)
    for _ in range(5):
        await limiter.acquire()
    assert waits == [0.5, 1.0]
    clock.now = 100.0
    for _ in range(3):
        await limiter.acquire()
    assert waits == [0.5, 1.0]


async def test_a_cancelled_caller_gives_its_turn_back() -> None:
    clock = Clock()
    waits: list[float] = []
    forever = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await forever.wait()

    limiter = RateLimiter(rate=1.0, burst=1.0, clock=clock, sleep=sleep)
    await limiter.acquire()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(limiter.acquire(), 0.01)
    assert waits == [1.0, 1.0, 1.0]
