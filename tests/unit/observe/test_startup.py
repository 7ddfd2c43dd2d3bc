"""How long pods of a workload take to start."""

import math

from trimtab.kube.records import PodRecord
from trimtab.observe.measure import startup_seconds


def pod(created: float, ready_since: float, *, ready: bool = True) -> PodRecord:
    return PodRecord("shop", f"api-{created}", "u", "1", created, ready=ready, ready_since=ready_since)


def test_it_is_the_median_of_creation_until_ready() -> None:
    assert startup_seconds([pod(100.0, 130.0), pod(200.0, 240.0), pod(300.0, 400.0)]) == 40.0


def test_pods_that_are_not_ready_say_nothing() -> None:
    assert math.isnan(startup_seconds([]))
    assert math.isnan(startup_seconds([pod(100.0, 130.0, ready=False), pod(100.0, 0.0)]))


def test_a_pod_that_lost_its_readiness_long_after_its_start_is_left_out() -> None:
    assert startup_seconds([pod(100.0, 130.0), pod(100.0, 90_000.0)]) == 30.0


def test_a_clock_that_runs_backwards_is_left_out() -> None:
    assert math.isnan(startup_seconds([pod(100.0, 90.0)]))
