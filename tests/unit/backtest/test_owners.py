"""Whose pod a pod was."""

import numpy as np
import pytest

from trimtab.backtest.owners import Workload, by_metrics, by_name, owner
from trimtab.observe.source import Series


def series(**labels: str) -> Series:
    return Series(labels, np.zeros(1), np.ones(1))


@pytest.mark.parametrize(
    ("pod", "kind", "name"),
    [
        ("web-6b7f8c9d5f-x2v4k", "Deployment", "web"),
        ("rag-api-5bf7d5d5db-ta0a0", "Pod", "rag-api-5bf7d5d5db-ta0a0"),
        ("my-app-v2-66b6c48dd5-7zq9b", "Deployment", "my-app-v2"),
        ("db-0", "StatefulSet", "db"),
        ("kafka-broker-12", "StatefulSet", "kafka-broker"),
        ("node-exporter-7kx2z", "DaemonSet", "node-exporter"),
        ("report-28945670-bq7wl", "CronJob", "report"),
        ("lonely", "Pod", "lonely"),
    ],
)
def test_a_name_tells_its_owner_as_far_as_it_can(pod: str, kind: str, name: str) -> None:
    assert by_name("shop", pod) == Workload("shop", kind, name)


def test_metrics_lead_from_a_pod_over_its_replica_set_to_the_deployment() -> None:
    pods = [series(pod="odd", owner_kind="ReplicaSet", owner_name="web-1")]
    sets = [series(replicaset="web-1", owner_kind="Deployment", owner_name="web")]
    assert by_metrics("shop", pods, sets) == {"odd": Workload("shop", "Deployment", "web")}


def test_a_replica_set_of_its_own_and_a_cron_jobs_job_are_told_apart() -> None:
    pods = [
        series(pod="a", owner_kind="ReplicaSet", owner_name="alone"),
        series(pod="b", owner_kind="Job", owner_name="report-28945670"),
        series(pod="c", owner_kind="<none>", owner_name="<none>"),
        series(pod="d", owner_kind="Node", owner_name="n1"),
    ]
    found = by_metrics("shop", pods, [])
    assert found == {"a": Workload("shop", "ReplicaSet", "alone"), "b": Workload("shop", "CronJob", "report")}


def test_what_metrics_do_not_know_is_told_by_its_name() -> None:
    known = {"db-0": Workload("shop", "Deployment", "really")}
    assert owner("shop", "db-0", known).name == "really"
    assert owner("shop", "db-1", known) == Workload("shop", "StatefulSet", "db")
