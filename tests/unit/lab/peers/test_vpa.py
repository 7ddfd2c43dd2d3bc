"""Conformance of the `vpa` peer with VPA 1.8 as documented: histogram, confidence, OOM bump, updater."""

from math import inf, nan

import numpy as np
import pytest

from trimtab.decide.histogram import Buckets
from trimtab.lab.peers import vpa
from trimtab.lab.peers.histogram import quantiles
from trimtab.lab.peers.vpa import Advice, MemoryRecommender, after_oom, confidence, cpu_advice
from trimtab.lab.peers.vpa_updater import Vpa, acts, follow
from trimtab.lab.traces import DAY, Usage
from trimtab.lab.vertical.replay import replay_memory
from trimtab.lab.vertical.score import score

MIB = 2.0**20
GIB = 2.0**30
MINUTE = 60.0


def bucket_above(buckets: Buckets, value: float) -> float:
    """Upper border of the value's bucket, from the formula start(n) = first·(1.05ⁿ − 1)/0.05."""
    n = 0
    while buckets.first * (1.05 ** (n + 1) - 1) / 0.05 <= value:
        n += 1
    return float(buckets.first * (1.05 ** (n + 1) - 1) / 0.05)


@pytest.mark.parametrize("buckets", [vpa.CPU, vpa.MEMORY], ids=["cpu", "memory"])
def test_there_are_176_buckets_each_five_percent_wider(buckets: Buckets) -> None:
    assert buckets.count == 176
    widths = np.diff(buckets.ends)
    assert widths[1:] / widths[:-1] == pytest.approx(1.05)
    assert buckets.ends[0] == pytest.approx(buckets.first)


@pytest.mark.parametrize(("value", "end"), [(0.0, 0.01), (0.005, 0.01), (0.012, 0.0205), (0.03, 0.031525)])
def test_a_quantile_is_the_upper_border_of_its_bucket(value: float, end: float) -> None:
    found = quantiles(np.array([value]), np.array([0.0]), vpa.CPU, DAY, (0.5,))
    assert found[0, 0] == pytest.approx(end)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("spacing", [MINUTE, 3600.0, DAY])
def test_quantiles_of_many_samples_are_those_of_one_decaying_histogram(share: float, spacing: float) -> None:
    random = np.random.default_rng(3)
    values, times = random.lognormal(0, 1, 700), 1e9 + spacing * np.arange(700.0)
    found = quantiles(values, times, vpa.CPU, DAY, (share,))[0]
    for i in (0, 1, 99, 511, 512, 699):
        order = np.argsort(values[: i + 1], kind="stable")
        weights = 2.0 ** ((times[: i + 1] - times[i]) / DAY)
        reached = np.cumsum(weights[order]) >= share * weights.sum() * (1 - 1e-12)
        exact = values[: i + 1][order][np.argmax(reached)]
        assert found[i] == pytest.approx(bucket_above(vpa.CPU, exact), rel=0.051)


def test_a_sample_counts_half_after_24_hours() -> None:
    times = np.array([0.0, 0.0, 0.0, DAY, DAY])
    values = np.array([8.0, 8.0, 8.0, 1.0, 1.0])
    low, high = quantiles(values, times, vpa.CPU, DAY, (0.57, 0.58))[:, -1]
    assert (low < 1.1, high > 7.9) == (True, True)


def test_a_hundred_years_do_not_overflow() -> None:
    times = np.linspace(0, 36_500 * DAY, 2000)
    assert np.isfinite(quantiles(np.ones(2000), times, vpa.CPU, DAY, (0.9,))).all()


@pytest.mark.parametrize(
    ("days", "samples", "expected"),
    [(0.0, 1, 0.0), (1.0, 1440, 1.0), (0.5, 1440, 0.5), (7.0, 720, 0.5), (7.0, 7 * 1440, 7.0)],
)
def test_confidence_is_the_smaller_of_days_and_samples_over_1440(days: float, samples: int, expected: float) -> None:
    assert confidence(np.array([days * DAY]), np.array([samples]))[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sure", "lower", "upper"),
    [
        (0.0, 0.0, inf),
        (1.0, (1 + 0.001) ** -2, 2.0),
        (0.5, (1 + 0.002) ** -2, 3.0),
        (10.0, (1 + 0.0001) ** -2, 1.1),
    ],
)
def test_bounds_widen_with_little_history(sure: float, lower: float, upper: float) -> None:
    said = vpa.advice(np.array([[2.0], [1.0], [4.0]]), np.array([sure]), 0.0)
    assert said.target[0] == pytest.approx(2.0 * 1.15)
    assert said.lower[0] == pytest.approx(1.0 * 1.15 * lower)
    assert said.upper[0] == pytest.approx(4.0 * 1.15 * upper)


def test_the_floor_comes_last() -> None:
    times = MINUTE * np.arange(3.0)
    said = cpu_advice(times, np.zeros(3), MINUTE)
    assert said.target.tolist() == [0.025] * 3
    assert said.lower.tolist() == [0.025] * 3
    memory = MemoryRecommender(1, MINUTE)
    memory.add(0.0, np.array([1 * MIB]))
    assert memory.advice().target[0] == 250 * MIB


def test_target_is_p90_and_bounds_p50_and_p95_of_cpu() -> None:
    values = np.concatenate((np.full(60, 1.0), np.full(32, 2.0), np.full(8, 4.0)))
    said = cpu_advice(MINUTE * 1e-6 * np.arange(100.0), values, MINUTE)
    assert said.target[-1] == pytest.approx(1.15 * bucket_above(vpa.CPU, 2.0))
    sure = min(99 * MINUTE * 1e-6, 100 * 60) / DAY
    assert said.lower[-1] == pytest.approx(max(1.15 * bucket_above(vpa.CPU, 1.0) * (1 + 0.001 / sure) ** -2, 0.025))


def test_a_recording_of_five_minutes_counts_as_five_samples_a_step() -> None:
    times = 300.0 * np.arange(float(288 * 2))
    said = cpu_advice(times, np.ones(len(times)), 300.0)
    days = times[-1] / DAY
    assert said.upper[-1] == pytest.approx(1.15 * bucket_above(vpa.CPU, 1.0) * (1 + 1 / days))


def test_memory_counts_one_peak_a_day() -> None:
    memory = MemoryRecommender(1, MINUTE)
    for hour, size in enumerate([1, 2, 1, 3, 1, 1]):
        memory.add(hour * 3600.0, np.array([size * GIB]))
    assert memory.advice().target[0] == pytest.approx(1.15 * bucket_above(vpa.MEMORY, 3 * GIB))
    assert memory._weights.sum() == pytest.approx(memory._weights.max())


def test_yesterdays_peak_weighs_half_of_todays() -> None:
    memory = MemoryRecommender(1, 3600.0)
    for hour in range(48):
        memory.add(hour * 3600.0, np.array([(4.0 if hour < 24 else 1.0) * GIB]))
    weights = np.sort(memory._weights[0])[-2:]
    assert weights[0] / weights[1] == pytest.approx(0.5)
    assert memory.advice().target[0] == pytest.approx(1.15 * bucket_above(vpa.MEMORY, 4 * GIB))


@pytest.mark.parametrize(
    ("size", "expected"),
    [(100 * MIB, 200 * MIB), (500 * MIB, 600 * MIB), (1000 * MIB, 1200 * MIB), (4 * GIB, 4.8 * GIB)],
)
def test_an_oom_kill_counts_as_100_mib_or_20_percent_more(size: float, expected: float) -> None:
    assert after_oom(np.array([size]))[0] == pytest.approx(expected)


def test_an_oom_kill_raises_the_larger_of_limit_and_peak() -> None:
    memory = MemoryRecommender(2, MINUTE)
    memory.add(0.0, np.array([2.0 * GIB, 2.0 * GIB]))
    memory.add_oom(60.0, np.array([3.0 * GIB, 1.0 * GIB]), np.array([True, True]))
    expected = [1.15 * bucket_above(vpa.MEMORY, 1.2 * size * GIB) for size in (3.0, 2.0)]
    assert memory.advice().target.tolist() == pytest.approx(expected)


HOURS = 3600.0


@pytest.mark.parametrize(
    ("request_", "age", "quick", "expected"),
    [
        (1.0, 60.0, False, False),  # inside the bounds, young
        (1.0, 11.9 * HOURS, False, False),
        (1.0, 12 * HOURS, False, True),  # 50% off after 12 h
        (1.36, 12 * HOURS, False, True),  # 10.3% off
        (1.37, 12 * HOURS, False, False),  # 9.5% off
        (1.64, 12 * HOURS, False, False),
        (1.67, 12 * HOURS, False, True),
        (0.79, 60.0, False, True),  # under the lower bound
        (2.01, 60.0, False, True),  # over the upper bound
        (0.80, 60.0, False, False),
        (2.00, 60.0, False, False),
        (1.0, 60.0, True, True),  # killed soon after its start
        (1.5, 60.0, True, False),  # nothing to change
        (nan, 0.0, False, True),  # a new pod
    ],
)
def test_the_updater_replaces_pods_by_its_rules(request_: float, age: float, quick: bool, expected: bool) -> None:
    said = Advice(np.array([1.5]), np.array([0.8]), np.array([2.0]))
    assert bool(acts(np.array([request_]), np.array([age]), said, np.array([quick]))[0]) is expected


def test_without_advice_nothing_is_replaced() -> None:
    said = Advice(np.array([nan]), np.array([nan]), np.array([nan]))
    assert not acts(np.array([nan]), np.array([0.0]), said, np.array([False])).any()


def test_the_scalar_updater_follows_the_same_rules() -> None:
    random = np.random.default_rng(5)
    n = 2000
    times = np.cumsum(random.choice([60.0, 300.0, 5000.0], n))
    target = np.exp(np.cumsum(random.normal(0, 0.05, n)))
    said = Advice(target, target * 0.8, target * 1.4)
    levels = follow(times, said)
    level, since = np.array([nan]), 0.0
    for i in range(1, n):
        now = Advice(*(a[i - 1 : i] for a in (said.target, said.lower, said.upper)))
        if acts(level, np.array([times[i] - since]), now, np.array([False])).any():
            level, since = now.target, times[i]
        assert levels[i] == level[0]
    assert len(np.unique(levels[1:])) > 20


def test_after_a_kill_the_pod_is_replaced_by_a_larger_one_before_it_is_killed_often() -> None:
    values = np.concatenate((np.full(600, 1.0), np.full(300, 4.0))) * GIB
    usage = Usage("step", "memory", 300.0 * np.arange(900.0), values, 300.0)
    (done,) = replay_memory(Vpa(), [usage])
    assert 1 <= score(done).ooms <= 9
    assert done.levels[-1] > 4 * GIB
