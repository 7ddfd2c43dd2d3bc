"""Samples into the estimator, peaks and known history."""

import math
from dataclasses import replace

import numpy as np
import pytest

from trimtab.decide import usage
from trimtab.decide.engine import learn
from trimtab.decide.observation import Containers, Observation, Samples, Workloads
from trimtab.decide.settings import DAY, Settings
from trimtab.decide.state import State
from trimtab.lab.traces import Usage
from trimtab.lab.vertical.trimtab import Trimtab

NOW = 1_800_000_000.0
SETTINGS = Settings()
MB = 1e6


def seen(samples: list[dict[str, object]], now: float = NOW) -> Observation:
    return Observation(
        now,
        Workloads.of([{"key": "ns/w"}]),
        containers=Containers.of([{"key": "ns/w/a", "name": "a"}, {"key": "ns/w/b", "name": "b"}]),
        samples=Samples.of(samples),
    )


def sample(time: float, cpu: float = math.nan, memory: float = math.nan, **more: object) -> dict[str, object]:
    return {"container": 0, "time": time, "cpu": cpu, "memory": memory, "span": 60.0, **more}


def learned(*samples: dict[str, object], state: State | None = None, now: float = NOW) -> State:
    return learn(state or State(), seen(list(samples), now), SETTINGS)


def test_in_the_first_hours_usage_fits_with_fifteen_percent_and_what_was_never_seen_is_not_known() -> None:
    state = learned(*(sample(NOW - 60 * i, cpu=0.5, memory=200 * MB) for i in range(1, 100)))
    cpu, memory = usage.estimates(state)
    assert 0.5 * 1.14 <= cpu[0] <= 0.5 * 1.15 * 1.06
    assert memory[0] == pytest.approx(200 * MB * 1.15)
    assert math.isnan(cpu[1])
    assert math.isnan(memory[1])


def test_of_eight_hours_only_the_largest_working_set_counts() -> None:
    start = math.floor(NOW / DAY) * DAY
    rising = learned(*(sample(start + 60 * i, memory=(100 + i) * MB) for i in range(100)))
    alone = learned(sample(start + 60 * 99, memory=199 * MB))
    assert usage.estimates(rising)[1][0] == usage.estimates(alone)[1][0]
    np.testing.assert_array_equal(rising.containers.peaks, alone.containers.peaks)


def test_a_peak_of_yesterday_is_not_forgotten_today() -> None:
    state = learned(sample(NOW - DAY, memory=800 * MB))
    state = learned(*(sample(NOW - 60 * i, memory=100 * MB) for i in range(60)), state=state)
    assert usage.estimates(state)[1][0] > 800 * MB


def test_history_read_back_after_live_samples_adds_its_own_peaks() -> None:
    state = learned(sample(NOW, memory=100 * MB))
    state = learned(sample(NOW - 2 * DAY, memory=900 * MB), state=state)
    assert usage.estimates(state)[1][0] > 900 * MB


def test_history_read_back_after_live_samples_is_learned_in_its_own_order() -> None:
    past = [sample(NOW - 3600.0 + 60 * i, cpu=0.2 + 0.001 * i) for i in range(55)]
    live = [sample(NOW - 240.0 + 60 * i, cpu=0.3) for i in range(4)]
    late = learned(*past, *live, state=learned(*live))
    at_once = learned(*past, *live)
    assert usage.estimates(late)[0][0] == usage.estimates(at_once)[0][0]
    assert late.containers.begun_at[0] == NOW - 3600.0


def test_known_history_is_time_not_pods_times_time() -> None:
    pods = [sample(NOW - 60 * i, cpu=0.1) for i in range(60) for _ in range(5)]
    assert learned(*pods).containers.covered[0] == pytest.approx(3600.0)


def test_a_gap_in_the_samples_is_not_history() -> None:
    state = learned(sample(NOW - DAY, cpu=0.1), sample(NOW, cpu=0.1))
    assert state.containers.covered[0] == pytest.approx(120.0)


@pytest.mark.parametrize(
    "bad",
    [
        sample(NOW - 90, cpu=math.nan),
        sample(NOW - 90, cpu=math.inf, memory=-1.0),
        sample(NOW - 90, cpu=0.0, memory=0.0),
        sample(NOW + 3600, cpu=1.0),
        sample(math.nan, cpu=1.0),
        sample(NOW - 90, cpu=1.0, container=7),
        sample(NOW - 90, cpu=1.0, container=-1),
    ],
)
def test_a_sample_that_is_no_amount_or_no_time_is_left_out(bad: dict[str, object]) -> None:
    state = learned(bad)
    assert np.isnan(usage.estimates(state)).all()
    assert not state.containers.peaks.any()
    assert not state.containers.steps.any()
    assert not state.containers.covered.any()


def test_while_an_exporter_says_zero_there_is_no_history_and_nothing_newer_than_the_last_real_sample() -> None:
    state = learned(*(sample(NOW - 3600 + 60 * i, cpu=0.5) for i in range(30)))
    before = float(state.containers.covered[0])
    state = learned(*(sample(NOW - 1800 + 60 * i, cpu=0.0) for i in range(30)), state=state)
    assert state.containers.covered[0] == before
    assert state.containers.sampled_at[0] == NOW - 3600 + 60 * 29


@pytest.mark.long
@pytest.mark.parametrize("step", [60.0, 300.0])
def test_rule_26_the_operator_learns_of_a_recording_what_the_lab_learns(step: float) -> None:
    random = np.random.default_rng(7)
    values = np.exp(random.normal(-1, 0.4, 500))
    values[random.random(500) < 0.2] = 0.0
    kept = np.sort(random.choice(500, 420, replace=False))
    kept = kept[(kept < 200) | (kept > 290)]
    times = (NOW - step * (600 - kept)).astype(np.float64)
    recording = Usage("made", "cpu", times, values[kept], step)
    (lab,) = Trimtab().cpu([recording])
    state, own = State(), np.full(len(times), np.nan)
    for k, (time, value) in enumerate(zip(times.tolist(), values[kept].tolist(), strict=True)):
        state = learn(state, seen([], now=time), SETTINGS)
        own[k] = state.containers.wanted[0]
        state = learn(state, seen([sample(time, cpu=value)], now=time), SETTINGS)
    np.testing.assert_allclose(np.fmax(own, 1e-6)[1:], lab[1:], rtol=1e-6)  # before the first sample nothing is asked
    assert (values[kept] == 0).any()
    assert len(np.unique(own)) > 10


def test_vanished_containers_are_dropped_and_new_ones_start_blank() -> None:
    state = learned(sample(NOW - 90, cpu=0.5), {**sample(NOW - 90, cpu=0.4), "container": 1})
    other = Containers.of([{"key": "ns/w/b", "name": "b"}, {"key": "ns/w/new", "name": "new"}])
    after = learn(state, replace(seen([]), containers=other), SETTINGS)
    assert after.containers.key.tolist() == ["ns/w/b", "ns/w/new"]
    assert after.containers.steps.tolist() == [1.0, 0.0]
