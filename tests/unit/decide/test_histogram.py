"""Decaying histograms as matrices."""

import numpy as np
import pytest

from trimtab.decide import histogram
from trimtab.decide.histogram import CPU, MEMORY, Buckets


def test_buckets_start_where_the_published_formula_says() -> None:
    buckets = Buckets(0.01, 1000.0)
    for n in (0, 1, 10, 100):
        start = 0.01 * (1.05**n - 1) / 0.05
        assert buckets.index(np.array([start * 1.0001 + 1e-12])).tolist() == [n]
        assert buckets.ends[n] == pytest.approx(0.01 * (1.05 ** (n + 1) - 1) / 0.05)


def test_the_ranges_cover_a_milli_core_to_a_thousand_cores_and_a_megabyte_to_a_terabyte() -> None:
    assert CPU.ends[0] == pytest.approx(0.001)
    assert CPU.ends[-1] >= 1000.0
    assert MEMORY.ends[0] == pytest.approx(1e6)
    assert MEMORY.ends[-1] >= 1e12


def test_amounts_outside_the_range_fall_into_the_outermost_buckets() -> None:
    assert CPU.index(np.array([-5.0, 0.0, 1e9])).tolist() == [0, 0, CPU.count - 1]


def test_a_percentile_is_within_a_bucket_of_the_exact_one() -> None:
    rng = np.random.default_rng(1)
    values = np.exp(rng.normal(-1.0, 0.7, 5000))
    matrix = np.zeros((3, CPU.count), dtype=np.float32)
    histogram.add(matrix, CPU, np.full(5000, 1), values, np.ones(5000))
    result = histogram.percentile(matrix, CPU, 0.95)
    exact = np.quantile(values, 0.95)
    assert np.isnan(result[[0, 2]]).all()
    assert exact <= result[1] <= exact * 1.11


def test_an_old_sample_weighs_half_as_much_after_each_half_life() -> None:
    weights = histogram.weight(np.array([0.0, 3600.0, 7200.0]), 3600.0, 3600.0)
    assert weights.tolist() == [0.5, 1.0, 2.0]


def test_recent_samples_outweigh_many_old_ones() -> None:
    matrix = np.zeros((1, CPU.count), dtype=np.float32)
    day = 86400.0
    histogram.add(matrix, CPU, np.zeros(100, dtype=int), np.full(100, 8.0), histogram.weight(np.zeros(100), 0.0, day))
    late = histogram.weight(np.full(100, 10 * day), 0.0, day)
    histogram.add(matrix, CPU, np.zeros(100, dtype=int), np.full(100, 0.5), late)
    assert histogram.percentile(matrix, CPU, 0.95)[0] < 0.6


def test_taking_a_sample_away_never_leaves_a_negative_weight() -> None:
    matrix = np.zeros((1, MEMORY.count), dtype=np.float32)
    histogram.add(matrix, MEMORY, np.array([0]), np.array([1e8]), np.array([-1.0]))
    assert matrix.min() == 0.0
    assert np.isnan(histogram.percentile(matrix, MEMORY, 0.9)).all()


def test_no_sample_changes_nothing() -> None:
    matrix = np.zeros((1, MEMORY.count), dtype=np.float32)
    histogram.add(matrix, MEMORY, np.zeros(0, dtype=int), np.zeros(0), np.zeros(0))
    assert not matrix.any()
