"""The simulated queue against closed forms, and the life of a pod."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.decide.columns import F8
from trimtab.lab.horizontal.fleet import GRACE, Fleet
from trimtab.lab.horizontal.load import Load
from trimtab.lab.horizontal.service import Service

REQUESTS = 200_000
CLOSE = 0.06
"""Relative error allowed: four standard errors of a mean wait over this many requests at 80%."""


def service(workers: int, *, balanced: bool = False) -> Service:
    return Service("test", workers, 2.0, 1.0, balanced, 10)


def poisson(rate: float, mean: float, seed: int = 1) -> Load:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(1 / rate, REQUESTS))
    draws = rng.random((2, REQUESTS))
    return Load(times, rng.exponential(mean, REQUESTS), draws[0], draws[1], float(times[-1]) + 1, 0.0)


def served(load: Load, kind: Service, pods: int) -> F8:
    """Waits of all requests by this many pods."""
    starts, _ = Fleet(kind, 45.0, pods).run(load.window(0.0, load.seconds))
    return np.asarray(starts - load.times, dtype=np.float64)


def erlang_c(workers: int, load: float) -> float:
    """Probability to wait with that many workers and that much work (Erlang 1917)."""
    terms = [load**k / math.factorial(k) for k in range(workers)]
    last = load**workers / math.factorial(workers) * workers / (workers - load)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("workers", "use"), [(1, 0.7), (2, 0.8), (4, 0.8), (8, 0.85)])
def test_one_pod_waits_as_erlang_c_says(workers: int, use: float) -> None:
    waits = served(poisson(use * workers / 2.0, 2.0), service(workers), 1)
    chance = erlang_c(workers, use * workers)
    assert (waits > 1e-9).mean() == pytest.approx(chance, rel=CLOSE)
    assert waits.mean() == pytest.approx(chance * 2.0 / (workers * (1 - use)), rel=2 * CLOSE)
    tail = chance * math.exp(-workers * (1 - use) * 4.0 / 2.0)
    assert (waits > 4.0).mean() == pytest.approx(tail, rel=4 * CLOSE)


def test_random_routing_makes_each_pod_a_queue_of_its_own() -> None:
    waits = served(poisson(0.8 * 4 * 5 / 2.0, 2.0), service(4), 5)
    assert (waits > 1e-9).mean() == pytest.approx(erlang_c(4, 3.2), rel=CLOSE)


def test_two_choices_wait_less_than_random_and_more_than_one_queue_for_all() -> None:
    load = poisson(0.85 * 4 * 5 / 2.0, 2.0)
    random, two = served(load, service(4), 5), served(load, service(4, balanced=True), 5)
    pooled = erlang_c(20, 17.0) * 2.0 / (20 * 0.15)
    assert pooled < two.mean() < random.mean() / 2


def test_deterministic_arrivals_and_service_times_wait_exactly_what_the_recursion_says() -> None:
    times, work = np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, 5.0, 1.0, 1.0])
    load = Load(times, work, np.zeros(4), np.zeros(4), 10.0, 0.0)
    assert (served(load, service(2), 1) == [0.0, 0.0, 3.0, 3.0]).all()


@given(
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=60),
    work=st.floats(0.1, 20),
    pods=st.integers(1, 6),
    balanced=st.booleans(),
)
def test_no_request_starts_before_it_came_and_no_worker_does_two_at_once(
    gaps: list[float], work: float, pods: int, balanced: bool
) -> None:
    times = np.cumsum(gaps)
    rng = np.random.default_rng(0)
    load = Load(times, np.full(len(times), work), rng.random(len(times)), rng.random(len(times)), times[-1] + 1, 0.0)
    starts, uids = Fleet(service(2, balanced=balanced), 45.0, pods).run(load.window(0.0, load.seconds))
    assert (starts >= times).all()
    for uid in set(uids.tolist()):
        own = np.sort(starts[uids == uid])
        assert (own[2:] >= own[:-2] + work - 1e-9).all()


def test_a_pod_serves_its_start_up_after_it_was_ordered() -> None:
    fleet = Fleet(service(4), 45.0, 2)
    fleet.scale(0.0, 5)
    for now, ready in ((15.0, 2), (30.0, 2), (45.0, 5)):
        fleet.start_due(now)
        assert (now, len(fleet.serving), fleet.replicas) == (now, ready, 5)


def test_a_start_up_between_ticks_ends_at_the_next_one() -> None:
    fleet = Fleet(service(4), 50.0, 1)
    fleet.scale(0.0, 2)
    fleet.start_due(45.0)
    assert len(fleet.serving) == 1
    fleet.start_due(60.0)
    assert len(fleet.serving) == 2


def test_starting_pods_go_first_and_the_last_one_stays() -> None:
    fleet = Fleet(service(4), 45.0, 3)
    fleet.scale(0.0, 5)
    fleet.scale(15.0, 4)
    assert (len(fleet.serving), len(fleet.starting)) == (3, 1)
    fleet.scale(30.0, 2)
    assert ([pod.uid for pod in fleet.serving], fleet.starting) == ([0, 1], [])
    fleet.scale(45.0, 0)
    assert fleet.replicas == 1


def test_a_removed_pod_is_paid_for_while_it_finishes_but_no_longer_than_the_grace() -> None:
    kind = service(1)
    for work, paid in ((8.0, 8.0), (100.0, GRACE)):
        load = Load(np.array([0.0]), np.array([work]), np.array([0.99]), np.array([0.0]), 60.0, 0.0)
        fleet = Fleet(kind, 45.0, 2)
        fleet.run(load.window(0.0, 15.0))
        fleet.scale(0.0, 1)
        assert fleet.paid == paid


def test_with_no_wait_left_a_start_up_of_zero_serves_at_once() -> None:
    fleet = Fleet(service(1), 0.0, 1)
    fleet.scale(0.0, 3)
    assert (len(fleet.serving), fleet.starting) == (3, [])
