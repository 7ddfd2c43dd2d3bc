"""What is scraped, when it is seen, and how it is broken."""

import math
from typing import Any

import numpy as np
import pytest

from trimtab.lab.horizontal.load import Load
from trimtab.lab.loop.cluster import Cluster, Sizes
from trimtab.lab.loop.metrics import Prometheus, Reading
from trimtab.lab.loop.requests import Requests
from trimtab.lab.loop.scenario import Scenario, Window

SECONDS = 400.0
WHOLE = Window(0.0, 1.0)


def watched(until: int = 300, **scenario: Any) -> tuple[Prometheus, Cluster]:
    """Ten requests a second of 0.1 CPU seconds on two pods, scraped at 7, 37, 67…"""
    made = Scenario(**scenario)
    times = np.arange(0.0, SECONDS, 0.1)
    draws = np.random.default_rng(1).random((2, len(times)))
    load = Load(times, np.full(len(times), 0.1), draws[0], draws[1], SECONDS, 7.0)
    cluster = Cluster(made, SECONDS, Sizes(1.0, 1.0, 1e9, 2e9))
    cluster.requests = Requests(load, cluster.pods, 0.1, np.full(made.nodes, made.node_cores))
    cluster.begin(2)
    prometheus = Prometheus(made, SECONDS, load.phase)
    for second in range(until):
        cluster.advance(float(second))
        cluster.requests.second(float(second), False)
        _, latency, pod = cluster.requests.take_ended()
        prometheus.scrape(cluster, cluster.requests, (latency, pod))
    return prometheus, cluster


def test_rates_are_means_over_the_last_minute() -> None:
    prometheus, _ = watched()
    seen = prometheus.ask(300.0)
    assert seen.arrival_rate == pytest.approx(10.0, abs=0.1)
    assert seen.cpu.sum() == pytest.approx(1.0, abs=0.02)
    assert seen.latency >= 0.1


@pytest.mark.parametrize(("now", "at"), [(127.0, 127.0), (156.0, 127.0), (158.0, 157.0)])
def test_what_is_seen_is_as_old_as_the_last_scrape(now: float, at: float) -> None:
    prometheus, _ = watched(int(now) + 1)
    assert prometheus.ask(now).at == at


def test_nothing_is_known_before_the_second_scrape() -> None:
    prometheus, _ = watched(30)
    assert prometheus.ask(30.0).lost


def test_the_working_set_is_the_largest_since_the_scrape_before() -> None:
    prometheus, cluster = watched()
    base = cluster.scenario.workload.memory_base
    assert (prometheus.ask(300.0).memory >= base).all()


def ask(kind: str) -> Reading:
    prometheus, _ = watched(metrics=kind, metrics_window=WHOLE)
    return prometheus.ask(300.0)


def test_lost_metrics_are_no_answer() -> None:
    assert ask("lost").lost


def test_broken_metrics_are_answers_that_are_wrong() -> None:
    assert math.isnan(ask("nan").arrival_rate)
    assert np.isnan(ask("nan").cpu).all()
    assert ask("zero").latency == 0.0
    assert ask("tenfold").arrival_rate == pytest.approx(100.0, abs=1.0)


def test_late_metrics_are_those_of_two_minutes_before() -> None:
    assert ask("late").at == 157.0


def test_outside_the_window_nothing_is_broken() -> None:
    prometheus, _ = watched(metrics="lost", metrics_window=Window(0.9, 1.0))
    assert not prometheus.ask(300.0).lost
