"""The VPA that runs beside Trimtab's estimator and the `vpa` peer, on samples closer and farther apart than a minute.

The estimator learns one number a minute, the largest sample of it; the peer takes every sample. So they are the same on
samples a minute or five apart; on closer ones the estimator's is the peer of the minutes' maxima, which asks for more.
"""

import numpy as np
import pytest

from trimtab.decide.columns import F8
from trimtab.decide.estimator.learn import learn
from trimtab.decide.estimator.table import Levels
from trimtab.decide.settings import Settings
from trimtab.lab.peers.vpa_updater import Vpa
from trimtab.lab.traces import Usage

MIDNIGHT = 1_728_000_000.0
DAY = 86400.0
BUCKET = 1.05
"""Width of a bucket of VPA's histogram."""


def daily(step: float, days: float) -> tuple[F8, F8]:
    """Unix times, and cores that follow the day with noise of 20%."""
    times = np.arange(0.0, days * DAY, step)
    noise = np.random.default_rng(5).normal(0, 0.2, len(times))
    return MIDNIGHT + times, np.asarray((1 + 0.5 * np.sin(2 * np.pi * times / DAY)) * np.exp(noise), dtype=np.float64)


def shadow(times: F8, values: F8) -> F8:
    """What the estimator's own VPA has in force during every sample."""
    table, row, rate = Levels.blank(1), np.zeros(1, dtype=np.int64), np.full(1, np.nan, dtype=np.float32)
    found = np.full(len(values), np.nan)
    for k in range(1, len(values)):
        learn(table, row, times[k - 1 : k], values[k - 1 : k], rate, times[k : k + 1], Settings(), finish=row)
        found[k] = table.vpa[0]
    return found


def peer(times: F8, values: F8, step: float) -> F8:
    (levels,) = Vpa().cpu([Usage("made", "cpu", times, values, step)])
    return levels


@pytest.mark.parametrize(("step", "days"), [(60.0, 1.0), (300.0, 4.0)])
def test_a_minute_or_more_apart_they_are_the_same(step: float, days: float) -> None:
    times, values = daily(step, days)
    np.testing.assert_allclose(shadow(times, values)[100:], peer(times, values, step)[100:], rtol=1e-3)


@pytest.mark.parametrize("step", [15.0, 30.0])
def test_closer_together_the_shadow_is_the_peer_of_the_minutes_maxima_and_asks_for_more(step: float) -> None:
    times, values = daily(step, 1.0)
    each = int(60 / step)
    of_maxima = np.repeat(peer(times[::each], values.reshape(-1, each).max(axis=1), 60.0), each)
    after = slice(100 * each, None)
    own, every = shadow(times, values)[after], peer(times, values, step)[after]
    np.testing.assert_allclose(own, of_maxima[after], rtol=1e-3)
    assert 1.05 < (own / every).mean() < 1.25
    assert (values[after] > own).mean() < (values[after] > every).mean()


def test_an_hour_apart_the_shadow_asks_for_a_little_more_and_strays_by_buckets() -> None:
    """Its counts are whole numbers that lose 3% an hour: a bucket with few samples stops shrinking."""
    times, values = daily(3600.0, 12.0)
    ratio = (shadow(times, values) / peer(times, values, 3600.0))[48:]
    assert 1.0 < ratio.mean() < BUCKET
    assert (np.abs(np.log(ratio)) < 5 * np.log(BUCKET)).all()
