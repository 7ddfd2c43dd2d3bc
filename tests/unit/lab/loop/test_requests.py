"""The queue against closed forms: processor sharing, quota, routing."""

import numpy as np
import pytest

from trimtab.lab.horizontal.load import Load
from trimtab.lab.loop.pods import Pods
from trimtab.lab.loop.requests import MOST_IN_FLIGHT, PERIOD, Requests


def load_of(rate: float, work: np.ndarray, seconds: float, seed: int = 3) -> Load:
    rng = np.random.default_rng(seed)
    count = len(work)
    times = np.sort(rng.random(count)) * seconds
    assert count == pytest.approx(rate * seconds, rel=0.01)
    return Load(times, work, rng.random(count), rng.random(count), seconds, 0.0)


def served(
    load: Load, cores: list[float], mean: float = 0.2, node: float = 1e9, request: float | None = None
) -> tuple[Requests, Pods]:
    pods = Pods()
    for limit in cores:
        row = pods.add(0.0, request or limit, limit, 1.0, 1.0)
        pods.node[row], pods.ready[row], pods.ready_at[row] = 0, True, 0.0
    pods.kinds()
    queue = Requests(load, pods, mean, np.array([node]))
    for second in range(int(load.seconds)):
        queue.second(float(second), node < 1e8)
    return queue, pods


def exponential(rate: float, mean: float, seconds: float, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).exponential(mean, round(rate * seconds))


@pytest.mark.parametrize("utilization", [0.3, 0.6, 0.8])
def test_mean_time_in_a_pod_of_one_core_is_that_of_processor_sharing(utilization: float) -> None:
    mean, seconds = 1.0, 8000.0
    rate = utilization / mean
    queue, _ = served(load_of(rate, exponential(rate, mean, seconds), seconds), [1.0], mean)
    _, latency, _ = queue.take_ended()
    latency = latency[np.isfinite(latency)]
    assert len(latency) > 0.99 * rate * seconds  # a few clients gave up, or were still waiting at the end
    assert latency.mean() == pytest.approx(mean / (1.0 - utilization), rel=0.12)


def test_with_processor_sharing_the_mean_does_not_depend_on_the_distribution() -> None:
    seconds, rate = 8000.0, 0.6
    even = np.full(round(rate * seconds), 1.0)
    queue, _ = served(load_of(rate, even, seconds), [1.0], 1.0)
    assert queue.take_ended()[1].mean() == pytest.approx(2.5, rel=0.12)


def test_a_request_alone_takes_its_own_time_whatever_the_limit() -> None:
    load = Load(np.array([0.05]), np.array([0.4]), np.array([0.0]), np.array([0.0]), 3.0, 0.0)
    queue, pods = served(load, [4.0])
    _, latency, _ = queue.take_ended()
    assert latency.tolist() == pytest.approx([0.4])
    assert pods.throttled[0] == 0


def test_a_limit_below_one_core_stretches_a_request_and_throttles_its_periods() -> None:
    load = Load(np.array([0.0]), np.array([0.5]), np.array([0.0]), np.array([0.0]), 4.0, 0.0)
    queue, pods = served(load, [0.5])
    _, latency, _ = queue.take_ended()
    assert latency.tolist() == pytest.approx([0.95])  # nine whole periods, and the first half of the tenth
    assert pods.throttled[0] == 9
    assert pods.cpu_seconds[0] == pytest.approx(0.5)


def test_no_work_is_lost_and_no_pod_uses_more_than_its_quota() -> None:
    rate, mean, seconds = 12.0, 0.2, 200.0
    work = exponential(rate, mean, seconds)
    load = load_of(rate, work, seconds)
    queue, pods = served(load, [0.7, 0.7])
    _, latency, _ = queue.take_ended()
    failed = np.isinf(latency).sum()
    assert pods.cpu_seconds[:2].max() <= 0.7 * seconds + 1e-6
    assert len(latency) + len(queue.in_flight) >= len(work) - 2 * MOST_IN_FLIGHT
    assert failed > 0


def test_an_overloaded_pod_refuses_and_its_clients_give_up() -> None:
    rate, seconds = 50.0, 60.0
    load = load_of(rate, np.full(3000, 0.2), seconds)
    queue, pods = served(load, [1.0])
    _, latency, _ = queue.take_ended()
    assert queue.in_flight.max() <= MOST_IN_FLIGHT + rate * PERIOD
    assert np.isinf(latency).mean() > 0.7
    assert pods.cpu_seconds[0] == pytest.approx(seconds, rel=0.02)


def test_of_two_pods_the_one_with_fewer_in_flight_takes_a_request() -> None:
    rate, seconds = 8.0, 400.0
    load = load_of(rate, np.full(3200, 0.2), seconds)
    _, pods = served(load, [1.0, 3.0])
    slow, fast = pods.cpu_seconds[:2]
    assert fast > slow


def test_without_a_ready_pod_requests_fail() -> None:
    load = load_of(5.0, np.full(50, 0.1), 10.0)
    pods = Pods()
    queue = Requests(load, pods, 0.1, np.array([8.0]))
    queue.second(0.0, False)
    at, latency, pod = queue.take_ended()
    assert np.isinf(latency).all()
    assert (pod == -1).all()
    assert (at < 1.0).all()


def test_on_a_crowded_node_pods_get_what_they_request_and_share_the_rest() -> None:
    rate, seconds = 40.0, 30.0
    load = load_of(rate, np.full(1200, 0.5), seconds)
    queue, pods = served(load, [4.0, 4.0], node=4.0, request=1.0)
    assert pods.cpu_seconds[:2].sum() <= 4.0 * seconds + 1e-6
    assert pods.cpu_seconds[0] == pytest.approx(pods.cpu_seconds[1], rel=0.1)
    assert queue.arrived == 1200
