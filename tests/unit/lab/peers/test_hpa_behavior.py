"""The HPA's windows and rate policies, case by case; times in seconds, now is 1000."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.lab.peers.hpa import (
    DEFAULT_DOWN,
    DEFAULT_UP,
    Change,
    Policy,
    Recommendation,
    Rules,
    bounded_without_behavior,
    rate_limited,
    scale_down_limit,
    scale_up_limit,
    stabilized,
)

NOW = 1000.0


def past(*entries: tuple[float, int]) -> list[Recommendation]:
    return [Recommendation(NOW - age, replicas) for age, replicas in entries]


def changes(*entries: tuple[float, int]) -> list[Change]:
    return [Change(NOW - age, replicas) for age, replicas in entries]


WINDOWS = [
    ("by default a rise is taken at once", 4, 9, past((15, 4), (30, 3)), 0, 300, 9),
    ("by default a fall waits for the highest of five minutes", 9, 4, past((15, 7), (299, 8)), 0, 300, 8),
    ("what is as old as the window is no longer counted", 9, 4, past((300, 9)), 0, 300, 4),
    ("a higher one of the past does not raise", 5, 4, past((15, 9)), 0, 300, 5),
    ("an up window takes the lowest", 4, 9, past((15, 6), (59, 5)), 60, 300, 5),
    ("but goes no lower than what runs", 4, 9, past((15, 2)), 60, 300, 4),
    ("no windows at all: what is asked", 9, 4, past((15, 9)), 0, 0, 4),
    ("no past: what is asked", 9, 4, [], 60, 300, 4),
    ("both windows open: between lowest and highest it stays", 6, 6, past((15, 9), (30, 3)), 60, 60, 6),
]


@pytest.mark.parametrize(
    ("says", "current", "desired", "seen", "up", "down", "expected"), WINDOWS, ids=lambda v: str(v)[:50]
)
def test_stabilization(
    says: str, current: int, desired: int, seen: list[Recommendation], up: float, down: float, expected: int
) -> None:
    assert stabilized(current, desired, seen, NOW, up, down) == expected, says


PODS = Rules(0, (Policy("Pods", 2, 60),))
PERCENT = Rules(0, (Policy("Percent", 30, 60),))
PERIODS = Rules(0, (Policy("Pods", 4, 15), Policy("Pods", 5, 60)))
BOTH = Rules(0, (Policy("Pods", 2, 60), Policy("Percent", 50, 60)))

UPS = [
    ("by default a small one may add 4", DEFAULT_UP, 1, [], [], 5),
    ("by default a large one may double", DEFAULT_UP, 10, [], [], 20),
    ("what was added in the period counts: 10 − 6 + 4 against 2 × 4", DEFAULT_UP, 10, changes((10, 6)), [], 8),
    ("what was added before it does not", DEFAULT_UP, 10, changes((15, 6)), [], 20),
    ("what was removed in it is given back: start is 13", DEFAULT_UP, 10, [], changes((5, 3)), 26),
    ("pods a minute", PODS, 10, [], [], 12),
    ("half of it used: one left", PODS, 10, changes((30, 1)), [], 11),
    ("all of it used: none left", PODS, 10, changes((30, 1), (59, 1)), [], 10),
    ("a percentage is rounded up: 1.3 × 1", PERCENT, 1, [], [], 2),
    ("1.3 × 7 is 9.1: 10", PERCENT, 7, [], [], 10),
    ("the percentage is of the period's start: 1.3 × 7 again", PERCENT, 9, changes((20, 2)), [], 10),
    ("Max takes the larger change: 1.5 × 10", BOTH, 10, [], [], 15),
    ("Min the smaller: 10 + 2", replace(BOTH, select="Min"), 10, [], [], 12),
    ("Disabled adds none", replace(BOTH, select="Disabled"), 10, [], [], 10),
    ("each policy has its own period", PERIODS, 10, changes((30, 4)), [], 14),
]  # fmt: skip


@pytest.mark.parametrize(("says", "rules", "current", "added", "removed", "expected"), UPS, ids=lambda v: str(v)[:50])
def test_most_replicas_allowed(
    says: str, rules: Rules, current: int, added: list[Change], removed: list[Change], expected: int
) -> None:
    assert scale_up_limit(current, added, removed, NOW, rules) == expected, says


DOWNS = [
    ("by default all may go", DEFAULT_DOWN, 10, [], [], 0),
    ("pods a minute", PODS, 10, [], [], 8),
    ("what was removed in the period counts", PODS, 9, [], changes((30, 1)), 8),
    ("what was added in it is taken off: start is 7", PODS, 10, changes((30, 3)), [], 5),
    ("the rest of a percentage is cut off: 0.7 × 5 is 3.5: 3", PERCENT, 5, [], [], 3),
    ("0.7 × 1 is 0.7: 0", PERCENT, 1, [], [], 0),
    ("Max takes the larger change: 10 · 0.5", BOTH, 10, [], [], 5),
    ("Min the smaller: 10 − 2", replace(BOTH, select="Min"), 10, [], [], 8),
    ("Disabled removes none", replace(BOTH, select="Disabled"), 10, [], [], 10),
]


@pytest.mark.parametrize(("says", "rules", "current", "added", "removed", "expected"), DOWNS, ids=lambda v: str(v)[:50])
def test_fewest_replicas_allowed(
    says: str, rules: Rules, current: int, added: list[Change], removed: list[Change], expected: int
) -> None:
    assert scale_down_limit(current, added, removed, NOW, rules) == expected, says


RATES = [
    ("a rise within everything", 10, 14, [], [], DEFAULT_UP, DEFAULT_DOWN, 14),
    ("a rise cut by the policies", 10, 30, [], [], DEFAULT_UP, DEFAULT_DOWN, 20),
    ("a rise cut by maxReplicas", 60, 110, [], [], DEFAULT_UP, DEFAULT_DOWN, 100),
    ("a fall cut by minReplicas", 10, 0, [], [], DEFAULT_UP, DEFAULT_DOWN, 2),
    ("a fall cut by the policies", 10, 3, [], [], DEFAULT_UP, PODS, 8),
    ("more added than the policy allows: it stays", 10, 12, changes((1, 5)), [], PODS, DEFAULT_DOWN, 10),
    ("more removed than the policy allows: it stays", 10, 8, [], changes((1, 5)), DEFAULT_UP, PODS, 10),
    ("no change asked for", 10, 10, [], [], DEFAULT_UP, DEFAULT_DOWN, 10),
    ("without policies nothing moves up", 10, 12, [], [], Rules(0, ()), DEFAULT_DOWN, 10),
    ("without policies nothing moves down", 10, 8, [], [], DEFAULT_UP, Rules(0, ()), 10),
    ("Min of no policies sets no limit up", 10, 90, [], [], Rules(0, (), "Min"), DEFAULT_DOWN, 90),
    ("Min of no policies sets no limit down", 10, 2, [], [], DEFAULT_UP, Rules(0, (), "Min"), 2),
]


@pytest.mark.parametrize(
    ("says", "current", "desired", "added", "removed", "up", "down", "expected"), RATES, ids=lambda v: str(v)[:50]
)
def test_rates_and_bounds(
    says: str,
    current: int,
    desired: int,
    added: list[Change],
    removed: list[Change],
    up: Rules,
    down: Rules,
    expected: int,
) -> None:
    assert rate_limited(current, desired, 2, 100, added, removed, NOW, up, down) == expected, says


@pytest.mark.parametrize(
    ("current", "desired", "expected"),
    [(1, 10, 4), (2, 10, 4), (3, 10, 6), (10, 30, 20), (15, 28, 25), (10, 1, 2), (10, 7, 7), (2, 3, 3)],
)
def test_without_behavior_one_step_doubles_or_reaches_four(current: int, desired: int, expected: int) -> None:
    assert bounded_without_behavior(current, desired, 2, 25) == expected


@given(
    current=st.integers(1, 200),
    desired=st.integers(0, 400),
    seen=st.lists(st.tuples(st.floats(0, 600), st.integers(0, 300)), max_size=20),
    windows=st.tuples(st.integers(0, 3600), st.integers(0, 3600)),
)
def test_a_window_never_moves_past_what_is_asked_nor_away_from_it(
    current: int, desired: int, seen: list[tuple[float, int]], windows: tuple[int, int]
) -> None:
    found = stabilized(current, desired, past(*seen), NOW, *windows)
    assert min(current, desired) <= found <= max(current, desired)
