"""The HPA's replica calculation, case by case, in milli-units as Kubernetes counts. Each case says why."""

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.lab.peers.hpa import (
    MetricsMissing,
    Pod,
    Replicas,
    Tolerance,
    largest,
    object_average_value_replicas,
    object_value_replicas,
    pods_replicas,
    utilization_replicas,
)

NOW = 10_000.0


def pods(*usages: int | None, request: int | None = 1000, **more: Any) -> list[Pod]:
    """Ready pods that run for long; None: no sample."""
    return [Pod(usage=usage, request=request, **more) for usage in usages]


def starting(usage: int | None, request: int = 1000, age: float = 60.0) -> Pod:
    """A pod that started `age` seconds ago and is not ready."""
    return Pod(
        usage=usage, request=request, ready=False, started=NOW - age, ready_changed=NOW - age, measured=NOW, window=30.0
    )


def young(usage: int, ready_for: float, request: int = 1000, window: float = 30.0) -> Pod:
    """A pod that started two minutes ago and has been ready for a while."""
    return Pod(
        usage=usage, request=request, started=NOW - 120, ready_changed=NOW - ready_for, measured=NOW, window=window
    )


def once(age: float, changed: float) -> Pod:
    """A pod that is not ready and has not been since `changed` seconds ago."""
    return Pod(usage=900, request=1000, ready=False, started=NOW - age, ready_changed=NOW - changed)


PENDING = Pod(usage=None, request=1000, ready=False, started=None, phase="Pending")
FAILED = Pod(usage=5000, request=1000, phase="Failed")
DELETED = Pod(usage=5000, request=1000, deleted=True)


@dataclass(frozen=True)
class Case:
    says: str
    current: int
    target: int
    pods: list[Pod]
    replicas: int
    utilization: int
    tolerance: Tolerance = Tolerance()


UTILIZATION = [
    # Ratio and rounding
    Case("1.5 × 2 pods", 2, 50, pods(750, 750), 3, 75),
    Case("3 × 3 pods: 300 + 600 + 900 of 3000 at a target of 20%", 3, 20, pods(300, 600, 900), 9, 60),
    Case("the ratio is of the sums, not a mean of ratios", 2, 50, [*pods(900), *pods(100, request=3000)], 1, 25),
    Case("5/7 of 4 pods is 2.86: rounded up", 4, 70, pods(500, 500, 500, 500), 3, 50),
    Case("a target above 100% works the same", 2, 200, pods(3000, 3000), 3, 300),
    Case("no use at all asks for none; the bounds come later", 3, 50, pods(0, 0, 0), 0, 0),
    Case("100·100/300 is 33.3, cut off to 33: 33/50 of 3 is 1.98", 3, 50, pods(100, 100, 100, request=300), 2, 33),
    Case("61.9% counts as 61: 61/60 is held, 3 × 2 stays", 3, 60, pods(619, 619, 619), 3, 61),
    Case("cut-off at the edge: 55.9% is 55, and 55/50 is 1.1, held", 10, 50, pods(*[559] * 10), 10, 55),
    Case("one more percent is acted on: 56/50 of 10 is 11.2", 10, 50, pods(*[560] * 10), 12, 56),
    # Tolerance
    Case("exactly 1.1 is held", 10, 50, pods(*[550] * 10), 10, 55),
    Case("exactly 0.9 is held", 10, 50, pods(*[450] * 10), 10, 45),
    Case("0.88 is acted on: 8.8", 10, 50, pods(*[440] * 10), 9, 44),
    Case("44.9% is cut off to 44, below 0.9", 10, 50, pods(*[449] * 10), 9, 44),
    Case("held means spec.replicas, not the ready pods", 7, 50, pods(500, 500), 7, 50),
    Case("tolerance 0 acts on 2% up: 51/50 of 10", 10, 50, pods(*[510] * 10), 11, 51, Tolerance(0.0, 0.0)),
    Case("tolerance 0 acts on 2% down: 49/50 of 100", 100, 50, pods(*[490] * 100), 98, 49, Tolerance(0.0, 0.0)),
    Case("up 0 and down 0.3: 1.02 is acted on", 10, 50, pods(*[510] * 10), 11, 51, Tolerance(0.0, 0.3)),
    Case("up 0 and down 0.3: 0.72 is held", 10, 50, pods(*[360] * 10), 10, 36, Tolerance(0.0, 0.3)),
    Case("up 0.5 and down 0.05: 1.4 is held", 10, 50, pods(*[700] * 10), 10, 70, Tolerance(0.5, 0.05)),
    Case("up 0.5 and down 0.05: 0.94 is acted on", 10, 50, pods(*[470] * 10), 10, 47, Tolerance(0.5, 0.05)),
    Case("the same with more pods: 0.94 × 20 is 18.8", 20, 50, pods(*[470] * 20), 19, 47, Tolerance(0.5, 0.05)),
    # Missing samples
    Case("going down, a missing pod counts 100%: 1600/3000 = 53%, held", 3, 50, pods(300, 300, None), 3, 30),
    Case("going down far enough: (100·3 + 1000)/4000 = 32%, 0.64 × 4", 4, 50, pods(100, 100, 100, None), 3, 10),
    Case("missing pods that turn the direction hold: 2400/3000 = 80%", 3, 50, pods(400, None, None), 3, 40),
    Case("above 100%, missing pods count the target: 2400/2000, 0.8 × 2", 2, 150, pods(900, None), 2, 90),
    Case("going up, a missing pod counts 0: 1800/3000 = 60%, 1.2 × 3", 3, 50, pods(900, 900, None), 4, 90),
    Case("going up, missing pods may bring it into tolerance: 1600/3000 = 53%", 3, 50, pods(800, 800, None), 3, 80),
    Case("going up, missing pods may turn it: 800/3000 = 26%, held", 3, 50, pods(800, None, None), 3, 80),
    Case("at a ratio of exactly 1, missing pods change nothing", 3, 50, pods(500, 500, None), 3, 50),
    Case("no rise turns into a fall: 1.2 × 4 is 5 < 8", 8, 50, pods(800, 800, 800, None), 8, 80),
    Case("no fall turns into a rise: 0.74 × 4 is 3 > 2", 2, 50, pods(160, 160, 180, None), 2, 16),
    # Unready pods
    Case("going up, an unready pod counts 0: 1800/3000, 1.2 × 3", 3, 50, [*pods(900, 900), starting(900)], 4, 90),
    Case("its own sample is not used, however high", 3, 50, [*pods(900, 900), starting(9000)], 4, 90),
    Case("going down, an unready pod is left out: 0.6 × 2", 3, 50, [*pods(300, 300), starting(900)], 2, 30),
    Case("unready pods may turn a rise: 700/3000, held", 3, 50, [*pods(700), starting(700), starting(700)], 3, 70),
    Case("unready pods may bring a rise into tolerance", 2, 50, [*pods(1080), starting(0)], 2, 108),
    Case("unequal requests: 2600/4000 = 65%, 1.3 × 2", 2, 50, [*pods(2600), starting(0, request=3000)], 3, 260),
    Case("a pending pod counts as unready: 1800/3000, 1.2 × 3", 3, 50, [*pods(900, 900), PENDING], 4, 90),
    Case("a pending pod with a sample is unready too", 3, 50, [*pods(900, 900), replace(PENDING, usage=900)], 4, 90),
    Case("a starting pod without a sample is missing, not unready", 3, 50, [*pods(300, 300), starting(None)], 3, 30),
    Case("both kinds on the way up: 2700/5000 = 54%, held", 5, 50, [*pods(900, 900, 900, None), starting(0)], 5, 90),
    Case("both kinds on the way down: 1600/4000 = 40%", 5, 50, [*pods(200, 200, 200, None), starting(0)], 4, 20),
    # Readiness
    Case("ready for less than the sample's window: unready", 2, 50, [*pods(900), young(900, 29)], 2, 90),
    Case("ready for exactly the window: counts: 1.8 × 2", 2, 50, [*pods(900), young(900, 30)], 4, 90),
    Case("ready for longer than the window: counts", 2, 50, [*pods(900), young(900, 90)], 4, 90),
    Case("after the initialization period: early transition, never ready", 2, 50, [*pods(900), once(400, 380)], 2, 90),
    Case("after it a late transition means it was ready once: counts", 2, 50, [*pods(900), once(400, 360)], 4, 90),
    Case("exactly at the end of the period the later rule holds: counts", 2, 50, [*pods(900), once(300, 100)], 4, 90),
    Case("no Ready condition: unready", 2, 50, [*pods(900), Pod(usage=900, request=1000, ready=None)], 2, 90),
    Case("no start time: unready", 2, 50, [*pods(900), Pod(usage=900, request=1000, started=None)], 2, 90),
    # Pods that are gone
    Case("a failed pod is left out, sample and all: 1.5 × 2", 3, 50, [*pods(750, 750), FAILED], 3, 75),
    Case("a pod that is being deleted is left out too", 3, 50, [*pods(750, 750), DELETED], 3, 75),
    Case("a failed pod without a sample is not missing", 3, 50, [*pods(300, 300), replace(FAILED, usage=None)], 2, 30),
    Case("a deleted pending pod is not unready", 3, 50, [*pods(900, 900), replace(PENDING, deleted=True)], 4, 90),
    Case("a succeeded pod counts like a running one", 2, 50, [*pods(750), *pods(750, phase="Succeeded")], 3, 75),
]  # fmt: skip


@pytest.mark.parametrize("case", UTILIZATION, ids=lambda case: case.says)
def test_utilization_asks_for(case: Case) -> None:
    found = utilization_replicas(case.current, case.target, case.pods, now=NOW, tolerance=case.tolerance)
    assert found == Replicas(case.replicas, case.utilization)


def test_memory_ignores_readiness_but_not_the_phase() -> None:
    late = [*pods(900), starting(900)]
    assert utilization_replicas(2, 50, late, now=NOW, resource="memory") == (4, 90)
    assert utilization_replicas(2, 50, [*pods(900), PENDING], now=NOW, resource="memory") == (2, 90)


@pytest.mark.parametrize(
    ("unusable", "why"),
    [
        ([], "selector"),
        (pods(None, None), "no metrics"),
        ([starting(500)], "no metrics"),
        ([PENDING], "no metrics"),
        ([FAILED, DELETED], "no metrics"),
        ([*pods(500), *pods(500, request=None)], "no request"),
        (pods(500, request=0), "add up to nothing"),
    ],
)
def test_what_can_not_be_calculated_is_an_error_that_says_why(unusable: list[Pod], why: str) -> None:
    with pytest.raises(MetricsMissing, match=why):
        utilization_replicas(1, 50, unusable, now=NOW)


def test_periods_are_settings() -> None:
    mixed = [*pods(900), Pod(usage=900, request=1000, ready=False, started=NOW - 100, ready_changed=NOW - 60)]
    assert utilization_replicas(2, 50, mixed, now=NOW).replicas == 2
    assert utilization_replicas(2, 50, mixed, now=NOW, cpu_initialization=90).replicas == 4
    assert utilization_replicas(2, 50, mixed, now=NOW, cpu_initialization=90, initial_readiness=50).replicas == 2


AVERAGES = [
    ("mean 20 of a target of 15: 1.33 × 3", 3, 15_000, pods(20_000, 10_000, 30_000), 4, 20_000),
    ("mean 10 of 15: 0.67 × 5 is 3.33", 5, 15_000, pods(*[10_000] * 5), 4, 10_000),
    ("mean 16 of 15 is held", 3, 15_000, pods(16_000, 16_000, 16_000), 3, 16_000),
    ("the mean is cut off to a whole number: 10/3 is 3, and 3/3 is held", 2, 3, pods(3, 3, 4), 2, 3),
    ("going down, a missing pod counts the target: 35/3, 0.78 × 3", 3, 15_000, pods(10_000, 10_000, None), 3, 10_000),
    ("and the others still go down: 35/5 = 7, 0.47 × 5", 5, 15_000, pods(*[5_000] * 4, None), 3, 5_000),
    ("going up, a missing pod counts 0: 60/3 = 20", 3, 15_000, pods(30_000, 30_000, None), 4, 30_000),
    ("going up, less is added: 50/3 = 16.67, 1.11 × 3", 3, 15_000, pods(25_000, 25_000, None), 4, 25_000),
    ("going up, it may turn it: 20/2 = 10, held", 2, 15_000, pods(20_000, None), 2, 20_000),
    ("at exactly the target a missing pod changes nothing", 3, 15_000, pods(15_000, 15_000, None), 3, 15_000),
    ("a pending pod counts 0 on the way up: 60/3 = 20", 3, 15_000, [*pods(30_000, 30_000), PENDING], 4, 30_000),
    ("a running unready pod counts: only CPU asks", 2, 15_000, [*pods(30_000), starting(30_000)], 4, 30_000),
    ("a deleted pod does not", 2, 15_000, [*pods(30_000), DELETED], 2, 30_000),
]  # fmt: skip


@pytest.mark.parametrize(("says", "current", "target", "seen", "replicas", "mean"), AVERAGES, ids=lambda v: str(v)[:60])
def test_a_pods_metric_asks_for(
    says: str, current: int, target: int, seen: list[Pod], replicas: int, mean: int
) -> None:
    assert pods_replicas(current, target, seen, now=NOW) == (replicas, mean), says


def test_cpu_as_an_average_value_does_ask_for_readiness() -> None:
    seen = [*pods(900), starting(900)]
    assert pods_replicas(2, 500, seen, now=NOW) == (4, 900)
    assert pods_replicas(2, 500, seen, now=NOW, resource="cpu") == (2, 900)


VALUES = [
    ("2 × 3 ready pods", 3, 10_000, 20_000, pods(*[None] * 3), 6),
    ("0.5 × 5", 5, 40_000, 20_000, pods(*[None] * 5), 3),
    ("1.1 is held", 3, 10_000, 11_000, pods(*[None] * 3), 3),
    ("only ready pods are multiplied: 2 × 2", 4, 10_000, 20_000, [*pods(None, None), starting(None), PENDING], 4),
    ("so a rise may be a fall: 1.5 × 1", 4, 10_000, 15_000, [*pods(None), starting(None), starting(None)], 2),
    ("no value: none", 3, 10_000, 0, pods(*[None] * 3), 0),
    ("from 0 replicas the ratio alone counts: 2.5", 0, 10_000, 25_000, [], 3),
    ("and tolerance does not: 1.05", 0, 10_000, 10_500, [], 2),
]  # fmt: skip


@pytest.mark.parametrize(("says", "current", "target", "value", "seen", "replicas"), VALUES, ids=lambda v: str(v)[:60])
def test_an_object_value_asks_for(
    says: str, current: int, target: int, value: int, seen: list[Pod], replicas: int
) -> None:
    assert object_value_replicas(current, target, value, seen) == (replicas, value), says


def test_an_object_value_needs_pods() -> None:
    with pytest.raises(MetricsMissing):
        object_value_replicas(1, 10, 20, [])


SHARES = [
    ("60/15 is 4, whatever runs", 2, 15_000, 60_000, 4, 30_000),
    ("rounded up: 61/15", 2, 15_000, 61_000, 5, 30_500),
    ("33 for 2 pods at 15 is 1.1 times the target: held", 2, 15_000, 33_000, 2, 16_500),
    ("34 is not", 2, 15_000, 34_000, 3, 17_000),
    ("27 is 0.9 times: held", 2, 15_000, 27_000, 2, 13_500),
    ("15 is half", 2, 15_000, 15_000, 1, 7_500),
    ("the value shown is rounded up", 3, 10_000, 40_000, 4, 13_334),
    ("nothing asks for none", 3, 10_000, 0, 0, 0),
]


@pytest.mark.parametrize(("says", "current", "target", "value", "replicas", "shown"), SHARES, ids=lambda v: str(v)[:60])
def test_an_average_value_asks_for(says: str, current: int, target: int, value: int, replicas: int, shown: int) -> None:
    assert object_average_value_replicas(current, target, value) == (replicas, shown), says


def test_an_average_value_from_zero_replicas_is_the_quotient() -> None:
    assert object_average_value_replicas(0, 15_000, 60_000).replicas == 4
    assert object_average_value_replicas(0, 15_000, 0).replicas == 0


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([3, 5, 4], 5),
        ([3, None], 4),
        ([5, None], 5),
        ([None, None], None),
        ([3, 3], 3),
        ([4, None], 4),
    ],
)
def test_of_several_metrics_the_largest_wins_and_a_missing_one_stops_the_way_down(
    asked: list[int | None], expected: int | None
) -> None:
    assert largest(4, [None if n is None else Replicas(n, 0) for n in asked]) == expected


@given(
    usages=st.lists(st.one_of(st.none(), st.integers(0, 4000)), min_size=1, max_size=30),
    unready=st.integers(0, 5),
    target=st.integers(1, 200),
)
def test_pods_that_give_no_sample_never_make_the_change_larger(
    usages: list[int | None], unready: int, target: int
) -> None:
    known = [usage for usage in usages if usage is not None]
    if not known:
        return
    current = len(usages) + unready
    plain = utilization_replicas(current, target, pods(*known), now=NOW)
    mixed = utilization_replicas(current, target, [*pods(*usages), *[starting(50)] * unready], now=NOW)
    assert mixed.utilization == plain.utilization
    ratio = plain.utilization / target
    if ratio > 1:
        assert mixed.replicas >= current
        assert mixed.replicas <= max(current, math.ceil(ratio * current))
    if ratio < 1:
        assert mixed.replicas <= current


@given(cores=st.lists(st.integers(0, 4000), min_size=1, max_size=20), target=st.integers(1, 150))
def test_units_and_milli_units_agree(cores: list[int], target: int) -> None:
    whole = utilization_replicas(5, target, pods(*cores), now=NOW)
    parts = utilization_replicas(5, target, [Pod(usage=c / 1000, request=1.0) for c in cores], now=NOW)
    assert whole == parts
