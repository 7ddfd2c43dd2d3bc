"""Pods on nodes: start-up, resizes, kills, rollouts, what is counted."""

import numpy as np
import pytest

from trimtab.lab.loop.cluster import OOM_SECONDS, Cluster, Sizes
from trimtab.lab.loop.scenario import Scenario, Window, Workload

SIZES = Sizes(2.0, 2.0, 1e9, 2e9)


def cluster_of(replicas: int = 4, length: float = 1000.0, **scenario: object) -> Cluster:
    made = Cluster(Scenario(**scenario), length, SIZES)  # type: ignore[arg-type]
    made.begin(replicas)
    made.scored = True
    return made


def later(cluster: Cluster, seconds: int) -> None:
    for _ in range(seconds):
        cluster.advance(cluster.now + 1.0)


def test_a_new_pod_is_ready_after_its_start_up() -> None:
    cluster = cluster_of()
    cluster.scale(6)
    later(cluster, 150)
    assert len(cluster.pods.serving) == 4
    later(cluster, 1)
    assert len(cluster.pods.serving) == 6


def test_scaling_down_removes_pods_that_start_first_and_then_the_youngest() -> None:
    cluster = cluster_of()
    cluster.scale(6)
    later(cluster, 5)
    cluster.scale(3)
    later(cluster, 2)
    assert cluster.pods.serving.tolist() == [0, 1, 2] or len(cluster.pods.serving) == 3
    assert cluster.pods.created[cluster.pods.serving].max() == 0.0


def test_a_resize_is_in_the_cgroup_a_moment_later_and_in_the_requests_at_once() -> None:
    cluster = cluster_of()
    assert cluster.resize(0, 3.0, 3.0, 1e9, 2e9)
    assert cluster.pods.request[0] == 3.0
    assert cluster.pods.cap[0] == 2.0
    later(cluster, 1)
    assert cluster.pods.cap[0] == 3.0


def test_a_resize_that_the_node_has_no_room_for_is_deferred() -> None:
    cluster = cluster_of(replicas=2, nodes=1, node_cores=4.5)
    assert not cluster.resize(0, 3.0, 3.0, 1e9, 2e9)
    assert cluster.resize(0, 2.5, 3.0, 1e9, 2e9)
    assert cluster.pods.request[:2].sum() == 4.5


def test_a_pod_without_a_node_waits_for_room() -> None:
    cluster = cluster_of(replicas=2, nodes=1, node_cores=5.0)
    cluster.scale(3)
    later(cluster, 300)
    assert len(cluster.pods.serving) == 2
    cluster.resize(0, 1.0, 1.0, 1e9, 2e9)
    later(cluster, 152)
    assert len(cluster.pods.serving) == 3


def test_requests_never_pass_what_a_node_has() -> None:
    cluster = cluster_of(replicas=30, nodes=3, node_cores=7.0)
    later(cluster, 10)
    assert (cluster.taken() <= 7.0).all()


def test_nodes_that_others_fill_have_no_room() -> None:
    cluster = cluster_of(replicas=2, full=Window(0.5, 1.0))
    later(cluster, 500)
    assert not cluster.resize(0, 2.1, 2.1, 1e9, 2e9)
    cluster.scale(3)
    later(cluster, 5)
    assert (cluster.pods.node[cluster.pods.staying] < 0).tolist() == [False, False, True]


def test_a_container_above_its_limit_is_killed_and_out_for_a_minute() -> None:
    cluster = cluster_of(workload=Workload(memory_base=3e9), replicas=1)
    later(cluster, 1)
    assert cluster.score.ooms == 1
    assert cluster.kill.limit == 2e9
    assert len(cluster.pods.serving) == 0
    cluster.resize(0, 2.0, 2.0, 4e9, 4e9)
    later(cluster, int(OOM_SECONDS) + 1)
    assert len(cluster.pods.serving) == 1
    assert cluster.score.ooms == 1


def test_a_rollout_replaces_every_pod_and_never_goes_below_the_replicas() -> None:
    cluster = cluster_of(replicas=8, length=5000.0)
    cluster.deploy()
    least = 8
    for _ in range(1500):
        cluster.advance(cluster.now + 1.0)
        least = min(least, len(cluster.pods.serving))
        if not cluster.rolling:
            break
    assert not cluster.rolling
    assert least >= 8
    later(cluster, 40)
    assert cluster.pods.staying.size == 8
    assert set(cluster.pods.revision[cluster.pods.staying].tolist()) == {1}


def test_slow_starts_take_three_times_as_long() -> None:
    cluster = cluster_of(slow_start=Window(0.0, 1.0))
    cluster.scale(5)
    later(cluster, 440)
    assert len(cluster.pods.serving) == 4
    later(cluster, 20)
    assert len(cluster.pods.serving) == 5


def test_what_is_requested_is_summed_by_the_second() -> None:
    cluster = cluster_of(replicas=3)
    later(cluster, 100)
    assert cluster.score.core_seconds == pytest.approx(600.0)
    assert cluster.score.memory_seconds == pytest.approx(300.0 * 1e9 / 2**30)
    assert cluster.score.pod_seconds == pytest.approx(300.0)


def test_limits_that_add_up_to_more_than_a_node_make_it_crowded() -> None:
    cluster = cluster_of(replicas=2, nodes=1, node_cores=6.0)
    assert not cluster.crowded
    cluster.resize(0, 2.0, 5.0, 1e9, 2e9)
    later(cluster, 1)
    assert cluster.crowded


def test_a_knob_an_octave_off_its_best_costs_three_percent() -> None:
    cluster = cluster_of()
    assert cluster.pods.factor[0] == pytest.approx(1.0)  # 8, where 16 is best
    cluster.trial(16)
    assert cluster.pods.factor[4] == pytest.approx(1 / 1.03)
    assert np.flatnonzero(cluster.pods.trial).tolist() == [4]
