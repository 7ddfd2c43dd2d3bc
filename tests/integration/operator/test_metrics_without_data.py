"""A declared query without one fresh number, asked of a real Prometheus: named by a condition with its remedy.

The pods are Pending ones of a real ReplicaSet; an exporter on loopback says what they would say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from tests.integration.observe.bed import Exporter, bed
from tests.integration.operator.conftest import NAMESPACE, Cluster, Operator, config, deployment, until

pytestmark = pytest.mark.cluster

SERIES = {
    "app_latency_seconds": ['path="/a"} 0.1', 'path="/b"} 0.2'],
    "app_undefined": ["} NaN"],
    "app_endless": ["} +Inf"],
    "app_number": ["} 0.1"],
}
"""What every pod shows: by metric, the rest of each line after the labels that name the pod."""

CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # name: (query, reason, words of the message: what is wrong, and the remedy)
    "no-such-metric": ("no_such_metric", "MetricEmpty", (f'namespace="{NAMESPACE}"', "check that the metric exists")),
    "no-such-label": ('app_number{path="/c"}', "MetricEmpty", ("no series", "carries these labels")),
    "many-series": ("app_latency_seconds", "MetricAmbiguous", ("2 series", "wrap it in sum() or max()")),
    "not-a-number": ("max(app_undefined)", "MetricNaN", ("NaN", "check for 0/0")),
    "without-end": ("max(app_endless)", "MetricInf", ("infinite", "the largest bucket's bound")),
    "no-match": (
        "app_latency_seconds / ignoring (path) app_number",
        "MetricsError",
        ("refused the query (HTTP 422", "multiple matches for labels", "correct the query"),
    ),
}
WORKLOADS = (*CASES, "dying", "measured")


@pytest.fixture(scope="module")
def pods() -> list[str]:
    """Names of the pods that the exporter speaks for."""
    return []


@pytest.fixture(scope="module")
def exporter(pods: list[str]) -> Exporter:
    def living() -> str:
        named = [f'namespace="{NAMESPACE}",pod="{pod}",' for pod in pods]
        return "".join(f"{metric}{{{who}{end}\n" for metric, ends in SERIES.items() for who in named for end in ends)

    made = Exporter()
    made.add("living", living)
    made.add("mortal", lambda: living().replace("app_", "mortal_"))
    return made


@pytest.fixture(scope="module")
def running(crds: Bed, exporter: Exporter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator whose datasource is a Prometheus that scrapes the exporter."""
    with bed(tmp_path_factory.mktemp("prometheus"), exporter) as prometheus:
        source = {"name": "default", "url": prometheus.url, "timeoutSeconds": 5, "scrapeIntervalSeconds": 2}
        operator = Operator(crds.kubeconfig, tmp_path_factory.mktemp("operator"), {"datasources": [source]}).start()
        until(operator.leads, 30, "the operator leads")
        yield operator
        assert operator.end() == 0, operator.log


@pytest.fixture(scope="module")
def asked(crds: Bed, running: Operator, pods: list[str]) -> Iterator[Cluster]:
    """A workload and a resource for each case, all at once: each test then waits for its own."""
    made = Cluster(crds)
    queries = {name: query for name, (query, _, _) in CASES.items()}
    queries |= {"dying": "max(max_over_time(mortal_number[5m]))", "measured": "max(app_number)"}
    for name in WORKLOADS:
        metric = {"name": "totalLatency", "query": queries[name]}
        monitoring = {"sampleRate": 12, "metrics": [metric]}
        made.apply(deployment(name), config(name, monitoring=monitoring))

    def found() -> list[str]:
        items = json.loads(crds.kubectl("get", "pods", "-n", NAMESPACE, "-o", "json"))["items"]
        return [item["metadata"]["name"] for item in items if item["metadata"]["labels"]["app"] in WORKLOADS]

    until(lambda: len(found()) == len(WORKLOADS), 30, "every workload has its pod")
    pods[:] = found()
    yield made
    crds.kubectl("delete", "performanceconfigs,deployments", "--all", "-n", NAMESPACE, "--wait=true", timeout=60)


@pytest.mark.parametrize("name", CASES)
def test_a_query_without_one_number_is_named_with_its_reason_and_the_remedy(asked: Cluster, name: str) -> None:
    _, reason, words = CASES[name]
    message = asked.condition(name, "MetricsAvailable", "False", reason)["message"]
    assert message.startswith("totalLatency: ")
    for said in words:
        assert said in message
    assert asked.condition(name, "Ready", "False", reason)
    assert asked.condition(name, "Tuning", "False", "LatencyUnknown")


def test_beside_them_a_query_with_one_number_is_measured(asked: Cluster) -> None:
    asked.condition("measured", "MetricsAvailable", "True", "AllMetricsKnown")


def test_a_number_whose_exporter_is_gone_is_stale_and_fresh_again_once_it_is_back(
    asked: Cluster, exporter: Exporter
) -> None:
    asked.condition("dying", "MetricsAvailable", "True", "AllMetricsKnown")
    exporter.alive["mortal"] = False
    message = asked.condition("dying", "MetricsAvailable", "False", "MetricStale")["message"]
    assert "check that the exporter is scraped" in message
    exporter.alive["mortal"] = True
    asked.condition("dying", "MetricsAvailable", "True", "AllMetricsKnown")
