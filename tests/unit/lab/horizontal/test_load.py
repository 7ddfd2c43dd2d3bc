"""Requests made from a recording."""

import numpy as np
import pytest

from trimtab.lab.horizontal.load import Load, make_load, peak_rate
from trimtab.lab.horizontal.service import PEAK_UTILIZATION, SERVICES
from trimtab.lab.traces import Arrivals

TWO = SERVICES["two-10"]


def recording(minutes: int = 60, name: str = "waves") -> Arrivals:
    return Arrivals(name, 100 + 50 * np.sin(np.arange(minutes) / 5.0), 60.0)


def test_the_busiest_minute_needs_the_pods_of_the_peak() -> None:
    arrivals = recording()
    load = make_load(arrivals, TWO, 0)
    busiest = int(np.argmax(arrivals.rate))
    seen = np.bincount((load.times // 60).astype(int), minlength=60)[busiest] / 60
    wanted = TWO.peak_pods * PEAK_UTILIZATION * TWO.capacity
    assert seen == pytest.approx(wanted, rel=4 / np.sqrt(wanted * 60))


def test_arrivals_follow_the_recording_and_service_times_their_mean() -> None:
    arrivals = recording(600)
    load = make_load(arrivals, TWO, 0)
    counts = np.bincount((load.times // 600).astype(int), minlength=60)
    expected = arrivals.rate.reshape(-1, 10).mean(axis=1)
    assert np.corrcoef(counts, expected)[0, 1] > 0.97
    assert load.work.mean() == pytest.approx(TWO.mean_seconds, rel=0.02)
    assert load.work.std() / load.work.mean() == pytest.approx(TWO.variation, rel=0.03)
    assert (np.diff(load.times) >= 0).all()
    assert 0 <= load.phase < 15


def test_the_same_seed_gives_the_same_requests_and_another_one_others() -> None:
    first, again, other = (make_load(recording(), TWO, seed) for seed in (3, 3, 4))
    assert (first.times == again.times).all()
    assert (first.work == again.work).all()
    assert first.phase == again.phase
    assert len(first.times) != len(other.times) or (first.times != other.times).any()


def test_two_recordings_and_two_services_draw_apart() -> None:
    one, two = make_load(recording(name="a"), TWO, 0), make_load(recording(name="b"), TWO, 0)
    assert len(one.times) != len(two.times) or (one.times != two.times).any()
    random = make_load(recording(name="a"), SERVICES["random-10"], 0)
    assert len(one.times) != len(random.times) or (one.times != random.times).any()


def test_a_recording_by_the_second_has_its_peak_over_a_minute() -> None:
    spiky = Arrivals("spiky", np.concatenate([np.full(120, 10.0), [1000.0], np.full(59, 10.0)]), 1.0)
    assert peak_rate(spiky) == pytest.approx((1000 + 59 * 10) / 60)
    assert peak_rate(Arrivals("short", np.array([2.0, 4.0]), 1.0)) == 3.0


def test_scoring_starts_after_a_quarter_or_two_days() -> None:
    assert make_load(recording(60), TWO, 0).scored_from == 900.0
    none = np.empty(0)
    assert Load(none, none, none, none, 9 * 86400.0, 0.0).scored_from == 2 * 86400.0


def test_a_silent_recording_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="still has no arrivals"):
        make_load(Arrivals("still", np.zeros(60), 60.0), TWO, 0)


def test_pods_are_drawn_evenly_and_the_second_is_another_one() -> None:
    window = make_load(recording(), TWO, 0).window(0.0, 3600.0)
    first, drawn, others = window.routes(7)
    assert first.tolist() == drawn
    assert all(a != b for a, b in zip(drawn, others, strict=True))
    for side in (drawn, others):
        counts = np.bincount(side, minlength=7)
        assert counts.min() > 0.9 * len(window) / 7
    assert set(window.routes(1)[1]) == {0}
