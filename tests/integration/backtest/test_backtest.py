"""`trimtab backtest` against a real Prometheus with two weeks of history in it, as a person runs it."""

import csv
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.integration.observe.bed import Exporter, Prometheus, bed
from trimtab.cli.backtest import backtest

DAYS, SCRAPE = 14, 120
END = 1_790_000_000 // 3600 * 3600
MIB = 2**20
WEB = ("web-6b7f8c9d5f-x2v4k", "web-6b7f8c9d5f-z9v4k")


def history() -> str:
    """OpenMetrics text: three namespaces, each with other things that are known of it."""
    cpu: list[str] = []
    memory: list[str] = []
    owners: list[str] = []
    sets: list[str] = []
    asked: list[str] = []
    pod_asked: list[str] = []
    start = END - DAYS * 86400
    containers = [
        ("shop", WEB[0], "app", 0.2, 0.6),
        ("shop", WEB[1], "app", 0.3, 0.5),
        ("lab", "db-0", "db", 0.5, 0.9),
        ("blind", "job-7kx2z", "work", 0.1, 0.2),
    ]
    for namespace, pod, container, low, high in containers:
        labels = f'{{namespace="{namespace}",pod="{pod}",container="{container}"}}'
        total = 0.0
        for at in range(start, END + 1, SCRAPE):
            if namespace == "blind" and at < END - 3 * 86400 and at >= END - 5 * 86400:
                continue  # two days without a scrape
            wave = 0.5 - 0.5 * math.cos(2 * math.pi * at / 86400)
            total += (low + (high - low) * wave) * SCRAPE
            cpu.append(f"container_cpu_usage_seconds_total{labels} {total:.3f} {at}")
            memory.append(f"container_memory_working_set_bytes{labels} {int((200 + 100 * wave) * MIB)} {at}")
    for at in range(start, END + 1, 300):
        for pod in WEB:
            where = f'namespace="shop",pod="{pod}"'
            owners.append(f'kube_pod_owner{{{where},owner_kind="ReplicaSet",owner_name="web-6b7f8c9d5f"}} 1 {at}')
            for resource, value in (("cpu", 2), ("memory", 1024 * MIB)):
                labels = f'{{{where},container="app",resource="{resource}"}}'
                asked.append(f"kube_pod_container_resource_requests{labels} {value} {at}")
        sets.append(
            'kube_replicaset_owner{namespace="shop",replicaset="web-6b7f8c9d5f",owner_kind="Deployment",'
            f'owner_name="storefront"}} 1 {at}'
        )
        for resource, value in (("cpu", 1), ("memory", 512 * MIB)):
            pod_asked.append(
                f'kube_pod_resource_request{{namespace="lab",pod="db-0",resource="{resource}"}} {value} {at}'
            )
    families: list[tuple[str, str, list[str]]] = [
        ("container_cpu_usage_seconds", "counter", cpu),
        ("container_memory_working_set_bytes", "gauge", memory),
        ("kube_pod_owner", "gauge", owners),
        ("kube_replicaset_owner", "gauge", sets),
        ("kube_pod_container_resource_requests", "gauge", asked),
        ("kube_pod_resource_request", "gauge", pod_asked),
    ]
    text = [line for name, kind, lines in families for line in (f"# TYPE {name} {kind}", *lines)]
    return "\n".join([*text, "# EOF\n"])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with bed(tmp_path_factory.mktemp("prometheus"), Exporter(), history()) as running:
        yield running


def run(prometheus: Prometheus, *words: str | Path) -> Result:
    end = datetime.fromtimestamp(END, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return CliRunner().invoke(
        backtest, ["--prometheus", prometheus.url, "--days", str(DAYS), "--end", end, *map(str, words)]
    )


def test_two_weeks_of_three_namespaces_are_replayed_and_told(prometheus: Prometheus, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"report.{kind}" for kind in ("html", "json", "csv")}
    kept = tmp_path / "kept"
    done = run(prometheus, "--resume", kept, *(word for kind, file in files.items() for word in (f"--{kind}", file)))
    assert done.exit_code == 0, done.output
    document = json.loads(files["json"].read_text())

    found = {(row["name"], row["resource"], row["policy"]): row for row in document["rows"]}
    assert found["shop/storefront/app", "cpu", "today"]["level"] == 2.0
    assert found["lab/db/db", "cpu", "today"]["level"] == 1.0
    assert ("blind/job/work", "cpu", "today") not in found
    for name in ("shop/storefront/app", "lab/db/db", "blind/job/work"):
        for policy in ("trimtab", "vpa"):
            assert found[name, "cpu", policy]["level"] < 1.5
            assert found[name, "memory", policy]["level"] < 1024 * MIB
    assert found["shop/storefront/app", "cpu", "trimtab"]["monthly_cost"] < 2 * 2 * 0.0317 * 730 / 2

    assert document["sources"]["shop"] == {
        "owners": "kube-state-metrics",
        "requests": "kube-state-metrics",
        "kills": "",
    }
    assert document["sources"]["lab"] == {"owners": "pod names", "requests": "the scheduler", "kills": ""}
    assert document["sources"]["blind"] == {"owners": "pod names", "requests": "", "kills": ""}
    said = " ".join(document["notes"])
    assert "nothing is said of today's settings, in: blind" in said
    assert "gaps are not scored" in said
    assert "OOM kills under today's settings are not known" in said
    assert {row["name"] for row in document["workloads"]} == {"shop/storefront", "lab/db", "blind/job"}

    assert "storefront" in done.output
    assert "storefront" in files["html"].read_text()
    assert len(list(csv.DictReader(files["csv"].read_text().splitlines()))) == len(document["rows"])

    again = tmp_path / "again.json"
    prometheus.stop()
    try:
        resumed = run(prometheus, "--resume", kept, "--json", again)
    finally:
        prometheus.start()
    assert resumed.exit_code == 0, resumed.output
    assert again.read_bytes() == files["json"].read_bytes()


def test_one_namespace_can_be_chosen(prometheus: Prometheus, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert run(prometheus, "--namespace", "lab", "--json", file).exit_code == 0
    assert {row["name"] for row in json.loads(file.read_text())["rows"]} == {"lab/db/db"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--namespace", "nowhere"], "no container's usage was found"),
        (["--html", "/nonexistent/report.html", "--namespace", "lab"], "folder that exists"),
        (["--tenant", "with a blank"], "--prometheus, --tenant or --tenant-header"),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(prometheus: Prometheus, words: list[str], said: str) -> None:
    done = run(prometheus, *words)
    assert done.exit_code != 0
    assert said in done.output


def test_a_prometheus_that_is_not_there_is_named() -> None:
    done = CliRunner().invoke(backtest, ["--prometheus", "http://127.0.0.1:9"])
    assert done.exit_code == 1
    assert "can't be reached" in done.output
