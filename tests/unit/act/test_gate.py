"""The write gate in virtual time (RULES 15, 16)."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.act.gate import Bucket, Gate, HeldError, Priority
from trimtab.api.reasons import Reason
from trimtab.api.settings import Mode


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def gate(time: Time, **settings: object) -> Gate:
    return Gate(clock=time, sleep=time.sleep, **settings)  # type: ignore[arg-type]


async def test_writes_are_spread_at_the_rate() -> None:
    time = Time()
    bucket = Bucket(10, 5, time, time.sleep)
    for _ in range(25):
        await bucket.take(Priority.OOM)
    assert time.now == pytest.approx(2.0)


async def test_rule_16_waiters_are_served_by_priority_then_by_arrival() -> None:
    time = Time()
    bucket = Bucket(1, 1, time, time.sleep)
    await bucket.take(Priority.OOM)
    served: list[tuple[Priority, int]] = []

    async def wait(priority: Priority, number: int) -> None:
        await bucket.take(priority)
        served.append((priority, number))

    order = [Priority.STATUS, Priority.CUT, Priority.CUT, Priority.LATENCY, Priority.OOM]
    tasks = [asyncio.create_task(wait(p, n)) for n, p in enumerate(order)]
    await asyncio.gather(*tasks)
    assert served == [
        (Priority.OOM, 4),
        (Priority.LATENCY, 3),
        (Priority.CUT, 1),
        (Priority.CUT, 2),
        (Priority.STATUS, 0),
    ]


async def test_rule_16_low_priorities_leave_tokens_for_an_oom_raise() -> None:
    time = Time()
    bucket = Bucket(1, 10, time, time.sleep)
    taken = 0
    while time.now == 0:
        await bucket.take(Priority.STATUS)
        taken += time.now == 0
    assert taken == 6
    before = time.now
    await bucket.take(Priority.OOM)
    assert time.now == before


async def test_a_cancelled_waiter_gives_its_place_up() -> None:
    time = Time()
    bucket = Bucket(1, 1, time, time.sleep)
    await bucket.take(Priority.OOM)
    first = asyncio.create_task(bucket.take(Priority.OOM))
    await asyncio.sleep(0)
    second = asyncio.create_task(bucket.take(Priority.OOM))
    first.cancel()
    await second
    assert time.now == pytest.approx(1.0)


async def test_closing_ends_those_who_wait() -> None:
    time = Time()

    async def never(seconds: float) -> None:
        await asyncio.Event().wait()

    bucket = Bucket(1, 1, time, never)
    await bucket.take(Priority.OOM)
    waiter = asyncio.create_task(bucket.take(Priority.OOM))
    await asyncio.sleep(0)
    await bucket.close()
    with pytest.raises(asyncio.CancelledError):
        await waiter


async def test_leading_is_asked_again_after_the_wait_for_a_token() -> None:
    time = Time()
    held = gate(time, writes_per_second=1.0, leading=lambda: time.now < 0.5)
    await held.enter(Priority.OOM)
    await held.enter(Priority.OOM)
    with pytest.raises(HeldError):
        await held.enter(Priority.OOM)


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.RECOMMEND])
async def test_rule_15_only_leftovers_are_removed_outside_of_act(mode: Mode) -> None:
    held = gate(Time(), mode=mode)
    with pytest.raises(HeldError) as error:
        await held.enter(Priority.OOM)
    assert error.value.reason is Reason.OPERATOR_MODE
    with pytest.raises(HeldError):
        held.change(Priority.OOM, emergency=True)
    await held.enter(Priority.CUT, tidy=True)


def test_rule_15_the_fleet_wide_cap_slides_over_a_minute_and_spares_emergencies() -> None:
    time = Time()
    held = gate(time, changes_per_minute=3)
    for _ in range(3):
        held.change(Priority.CUT)
        time.now += 10
    with pytest.raises(HeldError) as error:
        held.change(Priority.LATENCY)
    assert error.value.reason is Reason.RATE_LIMITED
    held.change(Priority.OOM)
    held.change(Priority.LATENCY, emergency=True)
    time.now = 80.5  # the first three are out of the window, the emergencies count
    held.change(Priority.CUT)
    with pytest.raises(HeldError):
        held.change(Priority.CUT)


def test_rule_15_too_many_rollbacks_stop_the_fleet_but_for_emergencies() -> None:
    time = Time()
    held = gate(time, rollback_stop_share=0.5)
    for _ in range(9):
        held.verdict(True)
    held.change(Priority.CUT)
    assert math.isnan(held.rollback_share), "nine moves say nothing yet"
    held.verdict(True)
    with pytest.raises(HeldError) as error:
        held.change(Priority.CUT)
    assert error.value.reason is Reason.FLEET_STOPPED
    held.change(Priority.LATENCY, emergency=True)


def test_rule_15_a_person_lets_a_stopped_fleet_go_on_and_old_rollbacks_do_not_count_any_more() -> None:
    time = Time()
    age = [math.inf]
    held = gate(time, released=lambda: age[0])
    for _ in range(12):
        held.verdict(True, age=60)
    before = held.stopped
    age[0] = 30
    assert (before, held.stopped) == (True, False)
    held.change(Priority.CUT)
    for _ in range(12):
        held.verdict(True)
    assert held.stopped, "what is rolled back after that stops it again"


def test_the_stop_wears_off_with_its_verdicts() -> None:
    time = Time()
    held = gate(time)
    for _ in range(12):
        held.verdict(True, age=3600)
    assert held.stopped
    time.now += 23 * 3600 + 1
    assert not held.stopped


@given(share=st.integers(0, 20), bound=st.floats(0.05, 1))
def test_the_fleet_stops_exactly_above_the_bound(share: int, bound: float) -> None:
    held = gate(Time(), rollback_stop_share=bound)
    for number in range(20):
        held.verdict(number < share)
    assert held.stopped == (share / 20 > bound)


@pytest.mark.parametrize("mode", list(Mode))
async def test_rule_16_what_is_told_passes_the_same_bucket_in_every_mode(mode: Mode) -> None:
    time = Time()
    one = gate(time, mode=mode, writes_per_second=1.0)
    for _ in range(4):
        assert await one.tell(Priority.STATUS)
    assert time.now >= 2.0, "a burst of two, then one a second"


async def test_a_process_that_does_not_lead_tells_nothing() -> None:
    assert not await gate(Time(), leading=lambda: False).tell(Priority.ALERT)


async def test_a_process_that_loses_the_lease_while_it_waits_tells_nothing() -> None:
    time = Time()
    one = gate(time, leading=lambda: time.now < 1.0, writes_per_second=1.0)
    told = [await one.tell(Priority.STATUS) for _ in range(5)]
    assert told[0]
    assert not told[-1]
