"""Exponential buckets."""

import numpy as np
import pytest

from trimtab.decide.histogram import Buckets


def test_buckets_start_where_the_published_formula_says() -> None:
    buckets = Buckets(0.01, 1000.0)
    for n in (0, 1, 10, 100):
        start = 0.01 * (1.05**n - 1) / 0.05
        assert buckets.index(np.array([start * 1.0001 + 1e-12])).tolist() == [n]
        assert buckets.ends[n] == pytest.approx(0.01 * (1.05 ** (n + 1) - 1) / 0.05)


def test_amounts_outside_the_range_fall_into_the_outermost_buckets() -> None:
    buckets = Buckets(0.01, 1000.0)
    assert buckets.index(np.array([-5.0, 0.0, 1e9])).tolist() == [0, 0, buckets.count - 1]
    assert buckets.ends[-1] >= 1000.0
