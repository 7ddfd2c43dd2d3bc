"""The HPA and the VPA in the loop: what they are shown, and how they act."""

import math

import numpy as np

from trimtab.lab.loop.cluster import Cluster, Sizes
from trimtab.lab.loop.metrics import Reading
from trimtab.lab.loop.rivals import HpaAndVpa, HpaPolicy, pods_of
from trimtab.lab.loop.scenario import Scenario


def cluster_of(replicas: int = 6) -> Cluster:
    scenario = Scenario()
    made = Cluster(scenario, 3600.0, Sizes.of(scenario.workload))
    made.begin(replicas)
    made.scored = True
    return made


def reading(cluster: Cluster, cores: float, *, at: float = 60.0, memory: float = 3e8) -> Reading:
    rows = cluster.pods.staying
    count = len(rows)
    return Reading(
        at=at, arrival_rate=10.0, latency=0.2, pods=rows, cpu=np.full(count, cores), memory=np.full(count, memory)
    )


def test_a_pod_without_a_node_is_pending_and_one_without_a_rate_has_no_usage() -> None:
    cluster = cluster_of(2)
    seen = reading(cluster, 1.0)
    cluster.scale(3)
    cluster.advance(61.0)
    cluster.pods.node[2] = -1
    shown = pods_of(cluster, seen)
    assert [pod.phase for pod in shown] == ["Running", "Running", "Pending"]
    assert [pod.usage for pod in shown] == [1.0, 1.0, None]
    assert [pod.ready for pod in shown] == [True, True, False]


def test_a_usage_that_is_no_number_is_a_missing_one() -> None:
    cluster = cluster_of(2)
    assert [pod.usage for pod in pods_of(cluster, reading(cluster, math.nan))] == [None, None]


def test_an_hpa_scales_by_utilization_and_holds_without_metrics() -> None:
    cluster = cluster_of(6)
    cluster.now = 400.0
    policy = HpaPolicy(50)
    policy.tick(cluster, Reading(lost=True))
    assert cluster.replicas == 6
    policy.tick(cluster, reading(cluster, 1.5, at=390.0))
    assert cluster.replicas == 9


def test_a_vpa_evicts_half_of_the_replicas_at_once_and_shapes_those_that_come() -> None:
    cluster = cluster_of(6)
    cluster.now = 400.0
    policy = HpaAndVpa(70)
    before = cluster.template
    cluster.pods.request[:6] = 0.2  # below the lower bound of a recommender that saw 1.4 cores for eight days
    policy.tick(cluster, reading(cluster, 0.14, at=390.0))
    assert cluster.score.evictions == 3
    assert cluster.template != before
    assert cluster.template.limit / cluster.template.request == before.limit / before.request


def test_a_kill_for_lack_of_memory_raises_what_the_vpa_gives_the_next_pods() -> None:
    calm, killed = cluster_of(), cluster_of()
    for cluster in (calm, killed):
        cluster.now = 400.0
    killed.kill.at, killed.kill.limit = 395.0, 1.5e9
    for cluster in (calm, killed):
        HpaAndVpa(70).tick(cluster, reading(cluster, 1.4, at=390.0))
    assert killed.template.memory_request > calm.template.memory_request
