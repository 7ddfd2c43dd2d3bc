"""OOM kills out of restarts and the reasons for them."""

import numpy as np

from trimtab.backtest.kills import kills
from trimtab.observe.source import Series

HOUR = 3600.0
LABELS = {"pod": "web-0", "container": "app"}


def series(values: dict[int, float]) -> Series:
    times = np.array([hour * HOUR for hour in values])
    return Series(LABELS, times, np.array(list(values.values())))


def counted(reasons: list[Series], restarts: list[Series], start: float = 0.0) -> dict[float, float]:
    found = kills(reasons, restarts, start)
    return {} if not found else dict(zip(*(column.tolist() for column in found["web-0", "app"]), strict=True))


def test_restarts_count_where_the_last_end_was_a_kill() -> None:
    restarts = series({0: 3, 1: 3, 2: 5, 3: 5, 4: 6})
    assert counted([series({2: 1, 3: 1})], [restarts]) == {2 * HOUR: 2.0}


def test_parts_of_one_pod_are_one_history_in_any_order() -> None:
    parts = [series({3: 2, 4: 2}), series({0: 0, 1: 0, 2: 1})]
    assert counted([series({1: 1, 2: 1, 3: 1, 4: 1})], parts) == {2 * HOUR: 1.0, 3 * HOUR: 1.0}


def test_what_was_before_the_first_look_does_not_count_but_in_a_new_pod_it_does() -> None:
    assert counted([series({0: 1})], [series({0: 7})]) == {}
    assert counted([series({5: 1})], [series({5: 2})]) == {5 * HOUR: 2.0}


def test_a_pod_of_the_same_name_starts_again_from_nothing() -> None:
    assert counted([series({2: 1})], [series({0: 9, 1: 9, 2: 1})]) == {2 * HOUR: 1.0}


def test_a_reason_without_restarts_and_a_reason_of_zero_are_no_kill() -> None:
    assert counted([series({1: 1})], []) == {}
    assert counted([series({1: 0})], [series({0: 0, 1: 1})]) == {}
