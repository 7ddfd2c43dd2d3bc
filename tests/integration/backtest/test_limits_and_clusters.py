"""`trimtab backtest` against a real Prometheus with a limit of samples and two clusters, and behind a tenant header."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner, Result

from tests.integration.observe.bed import Exporter, Prometheus, bed
from tests.unit.observe.fakes import Exchange, http_server
from trimtab.cli.backtest import backtest

DAYS, SCRAPE, PODS = 2, 120, 24
END = 1_790_000_000 // 3600 * 3600
MIB = 2**20
USED = {"prod": 0.5, "test": 2.0}
KILLED_AT = END - 86400 // 2


def history() -> str:
    """OpenMetrics text: the same pods in two clusters, which use and ask for different things."""
    families: dict[str, list[str]] = {
        "container_cpu_usage_seconds counter": [],
        "container_memory_working_set_bytes gauge": [],
        "machine_cpu_cores gauge": [],
        "kube_pod_container_resource_requests gauge": [],
        "kube_pod_container_status_restarts counter": [],
        "kube_pod_container_status_last_terminated_reason gauge": [],
    }
    cpu, memory, nodes, asked, restarts, reasons = families.values()
    for cluster, cores in USED.items():
        for at in range(END - DAYS * 86400, END + 1, SCRAPE):
            nodes.append(f'machine_cpu_cores{{cluster="{cluster}",node="a"}} 64 {at}')
        for number in range(PODS):
            labels = f'cluster="{cluster}",namespace="shop",pod="db-{number}",container="db"'
            for at in range(END - DAYS * 86400, END + 1, SCRAPE):
                seconds = cores * (at - END + DAYS * 86400)
                cpu.append(f"container_cpu_usage_seconds_total{{{labels}}} {seconds:.1f} {at}")
                memory.append(f"container_memory_working_set_bytes{{{labels}}} {200 * MIB} {at}")
            for at in range(END - DAYS * 86400, END + 1, 300):
                for resource, value in (("cpu", 2 * cores), ("memory", 512 * MIB)):
                    what = f'{labels},resource="{resource}"'
                    asked.append(f"kube_pod_container_resource_requests{{{what}}} {value} {at}")
                if (cluster, number) == ("prod", 3):
                    killed = at >= KILLED_AT
                    restarts.append(f"kube_pod_container_status_restarts_total{{{labels}}} {4 + 2 * killed} {at}")
                    reason = f'{labels},reason="OOMKilled"'
                    if killed:
                        reasons.append(f"kube_pod_container_status_last_terminated_reason{{{reason}}} 1 {at}")
    text = [line for name, lines in families.items() for line in (f"# TYPE {name}", *lines)]
    return "\n".join([*text, "# EOF\n"])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    flags = ("--query.max-samples=5000",)
    with bed(tmp_path_factory.mktemp("prometheus"), Exporter(), history(), flags) as running:
        yield running


def run(url: str, *words: str) -> Result:
    end = datetime.fromtimestamp(END, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return CliRunner().invoke(backtest, ["--prometheus", url, "--days", str(DAYS), "--end", end, *words])


def figures(file: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["resource"], row["policy"]): row for row in json.loads(file.read_text())["rows"]}


def refused(prometheus: Prometheus) -> bool:
    """Whether this server refuses what a day of the namespace gives."""
    query = 'container_memory_working_set_bytes{namespace="shop"}'
    asked = urlencode({"query": query, "start": END - 86400, "end": END, "step": 300})
    try:
        urllib.request.urlopen(f"{prometheus.url}/api/v1/query_range?{asked}").close()
    except urllib.error.HTTPError as error:
        with error:
            return error.code == 422
    return False


def test_a_servers_limit_of_samples_is_kept_by_asking_in_parts(prometheus: Prometheus, tmp_path: Path) -> None:
    assert refused(prometheus)
    file = tmp_path / "report.json"
    done = run(prometheus.url, "--matcher", "cluster=prod", "--json", str(file))
    assert done.exit_code == 0, done.output
    found = figures(file)
    assert found["cpu", "today"]["level"] == pytest.approx(2 * USED["prod"])
    assert found["cpu", "today"]["monthly_cost"] == pytest.approx(PODS * 2 * USED["prod"] * 0.031611 * 730)
    assert found["memory", "today"]["ooms"] == 2


def test_a_matcher_tells_clusters_apart(prometheus: Prometheus, tmp_path: Path) -> None:
    levels = {}
    for cluster in USED:
        file = tmp_path / f"{cluster}.json"
        assert run(prometheus.url, "--matcher", f"cluster={cluster}", "--json", str(file)).exit_code == 0
        levels[cluster] = figures(file)["cpu", "today"]["level"]
        assert "2 clusters" not in file.read_text()
    assert levels == {cluster: pytest.approx(2 * cores) for cluster, cores in USED.items()}
    both = run(prometheus.url)
    assert both.exit_code == 0
    assert "This server holds 2 clusters (prod, test)" in both.output
    nowhere = run(prometheus.url, "--matcher", "cluster=none")
    assert nowhere.exit_code == 1
    assert "no container's usage was found" in nowhere.output
    wrong = run(prometheus.url, "--matcher", "prod")
    assert wrong.exit_code == 2
    assert "cluster=prod" in wrong.output


def test_a_tenant_is_named_in_every_request(prometheus: Prometheus, tmp_path: Path) -> None:
    tenants: list[str | None] = []

    def forward(exchange: Exchange) -> None:
        tenants.append(exchange.headers.get("X-Scope-OrgID"))
        if tenants[-1] != "shop-team":
            exchange.send(401, b"no org id")
            return
        request = urllib.request.Request(prometheus.url + exchange.path, urlencode(exchange.form).encode())
        try:
            with urllib.request.urlopen(request) as answer:
                exchange.send(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                exchange.send(error.code, error.read())

    file = tmp_path / "report.json"
    with http_server(forward) as url:
        without = run(url)
        assert without.exit_code == 1
        assert "refused the credentials" in without.output
        done = run(url, "--tenant", "shop-team", "--matcher", "cluster=prod", "--json", str(file))
        assert done.exit_code == 0, done.output
    assert figures(file)["cpu", "today"]["level"] == pytest.approx(2 * USED["prod"])
    assert set(tenants) == {None, "shop-team"}
