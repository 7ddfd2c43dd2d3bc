"""Maintenance windows on real calendars."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.api.constraints import Window, WindowEffect
from trimtab.observe.windows import Windows

PARIS = ZoneInfo("Europe/Paris")


def at(*when: int, zone: ZoneInfo = PARIS, fold: int = 0) -> float:
    year, month, day, hour, minute, second = (*when, 0, 0, 0)[:6]
    return datetime(year, month, day, hour, minute, second, tzinfo=zone, fold=fold).timestamp()


def window(effect: str = "Deny", cron: str = "0 9 * * 1-5", hours: float = 8, zone: str = "Europe/Paris") -> Window:
    return Window.model_validate(
        {"effect": effect, "cron": cron, "durationSeconds": int(hours * 3600), "timeZone": zone}
    )


@pytest.mark.parametrize(
    ("now", "closed"),
    [
        (at(2026, 11, 20, 8, 59, 59), False),
        (at(2026, 11, 20, 9, 0), True),
        (at(2026, 11, 20, 16, 59, 59), True),
        (at(2026, 11, 20, 17, 0), False),
        (at(2026, 11, 21, 12, 0), False),  # a Saturday
    ],
)
def test_a_deny_window_closes_inside_and_only_inside(now: Any, closed: Any) -> None:
    assert Windows().verdict([window()], now).closed is closed


@pytest.mark.parametrize(("now", "closed"), [(at(2026, 11, 20, 3, 0), False), (at(2026, 11, 20, 12, 0), True)])
def test_an_allow_window_opens_inside_and_only_inside(now: Any, closed: Any) -> None:
    verdict = Windows().verdict([window("Allow", "0 2 * * *", 2)], now)
    assert verdict.closed is closed
    assert bool(verdict.message) is closed


def test_no_window_at_all_is_open() -> None:
    assert not Windows().verdict([], at(2026, 11, 20, 12)).closed


def test_deny_wins_over_allow_and_one_open_allow_window_is_enough() -> None:
    always = window("Allow", "0 * * * *", 2)
    night = window("Allow", "0 2 * * *", 1)
    assert not Windows().verdict([night, always], at(2026, 11, 20, 18)).closed
    assert Windows().verdict([always, window()], at(2026, 11, 20, 12)).closed


def test_a_window_keeps_its_local_hour_over_the_change_to_summer_time() -> None:
    nightly = [window("Deny", "0 9 * * *", 1)]
    for day in (28, 29, 30):  # clocks go forward on 29 March 2026
        assert Windows().verdict(nightly, at(2026, 3, day, 9, 30)).closed
        assert not Windows().verdict(nightly, at(2026, 3, day, 8, 30)).closed
        assert not Windows().verdict(nightly, at(2026, 3, day, 10, 30)).closed


def test_a_window_in_the_hour_that_is_skipped_opens_when_the_clock_jumps() -> None:
    skipped = [window("Deny", "30 2 * * *", 1)]
    jump = at(2026, 3, 29, 3, 0)  # 02:00 becomes 03:00
    assert not Windows().verdict(skipped, jump - 1).closed
    assert Windows().verdict(skipped, jump).closed
    assert Windows().verdict(skipped, jump + 3599).closed
    assert not Windows().verdict(skipped, jump + 3600).closed


def test_a_window_in_the_hour_that_comes_twice_opens_once_and_lasts_real_seconds() -> None:
    twice = [window("Deny", "30 2 * * *", 0.5)]
    first = at(2026, 10, 25, 2, 30)
    assert Windows().verdict(twice, first).closed
    assert not Windows().verdict(twice, first + 1800).closed
    second = at(2026, 10, 25, 2, 30, fold=1)
    assert second == first + 3600
    assert not Windows().verdict(twice, second).closed


def test_a_window_over_midnight_is_still_open_on_the_next_day() -> None:
    assert Windows().verdict([window("Deny", "0 22 * * 5", 12)], at(2026, 11, 21, 3)).closed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"zone": "Mars/Olympus"}, "time zone"),
        ({"zone": "../etc/passwd"}, "time zone"),
        ({"zone": "Europe"}, "time zone"),
        ({"cron": "99 9 * * *"}, "can't be read"),
        ({"cron": "0 9 31 2 *"}, "can't be read"),
        ({"cron": "0 0 9 * * *"}, "five cron fields"),
    ],
)
def test_a_window_that_cannot_be_read_counts_as_closed_and_says_why(changes: Any, says: Any) -> None:
    verdict = Windows().verdict([window(**changes)], at(2026, 11, 20, 3))
    assert verdict.closed
    assert says in verdict.invalid


def test_what_is_remembered_changes_no_answer() -> None:
    windows, plan = Windows(), [window()]
    moments = [at(2026, 11, 16) + step * 1800.0 for step in range(7 * 48)]
    kept = [windows.verdict(plan, moment).closed for moment in moments]
    assert kept == [Windows().verdict(plan, moment).closed for moment in moments]
    assert windows.verdict(plan, moments[0]).closed == kept[0], "time may go back"


@settings(deadline=None)
@given(
    cron=st.text(alphabet="0123456789*/,-#LA SUN", min_size=9, max_size=40),
    zone=st.text(max_size=12) | st.sampled_from(["UTC", "Asia/Kolkata"]),
    now=st.floats(0, 4e9),
)
def test_any_cron_text_and_zone_give_a_verdict(cron: Any, zone: Any, now: Any) -> None:
    raw = Window.model_construct(effect=WindowEffect.DENY, cron=cron, duration_seconds=60, time_zone=zone)
    assert Windows().verdict([raw], now).closed in (True, False)
