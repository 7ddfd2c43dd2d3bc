"""The dashboards on a real Prometheus: after a load every panel has series, with the labels that it asks for."""

from __future__ import annotations

import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.probe import answers
from testbed.run import wait_until
from tests.e2e.images import load_recipe
from tests.e2e.operating import ROOT, Json
from tests.integration.chart.helm import CHART, helm

pytestmark = pytest.mark.pods

SYSTEM, SHOP, RELEASE = "boards-system", "boards-shop", "boards"
OPERATOR = f"{RELEASE}-trimtab"
SECONDS = 400.0
VALUES: dict[str, Any] = {
    "image": {"tag": "dev", "pullPolicy": "Never"},
    "replicas": 1,
    "tickSeconds": 2,
    "crds": {"install": False},
    "admissionPolicy": {"enabled": False},
    "dashboards": {"enabled": True},
    "prometheus": {
        "enabled": True,
        "image": "trimtab/prometheus:dev",
        "imagePullPolicy": "Never",
        "scrapeIntervalSeconds": 5,
    },
}
# Counts requests by the clock, a tenth of them slow and one in fifty failed, and keeps a processor a little busy.
SERVICE = """
import http.server, threading, time
began = time.time()
class Service(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words): pass
    def do_GET(self):
        n = int((time.time() - began) * 20)
        lines = ['shop_seconds_bucket{le="0.1"} %d' % (n * 9 // 10), 'shop_seconds_bucket{le="+Inf"} %d' % n]
        lines += ["shop_seconds_count %d" % n, "shop_seconds_sum %f" % (n * 0.06)]
        lines += ['shop_total{code="200"} %d' % (n - n // 50), 'shop_total{code="500"} %d' % (n // 50), ""]
        body = "\\n".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("", 8000), Service)
threading.Thread(target=server.serve_forever).start()
while True:
    end = time.thread_time() + 0.005
    while time.thread_time() < end: pass
    time.sleep(0.1)
"""
WORKLOAD: Json = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {
                "labels": {"app": "web"},
                "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"},
            },
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": "app",
                        "image": "trimtab/python:dev",
                        "imagePullPolicy": "Never",
                        "args": ["-c", SERVICE],
                        "env": [{"name": "BATCH", "value": "8"}],
                        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}},
                    }
                ],
            },
        },
    },
}
CONFIG: Json = {
    "apiVersion": "trimtab.dev/v1alpha1",
    "kind": "PerformanceConfig",
    "metadata": {"name": "web"},
    "spec": {
        "targetRef": {"name": "web"},
        "monitoring": {
            "sampleRate": 12,
            "metrics": [
                {
                    "name": "totalLatency",
                    "query": "histogram_quantile(0.5, sum by (le) (rate(shop_seconds_bucket[30s])))",
                    "unit": "seconds",
                }
            ],
            "alertThresholds": {"totalLatency": "0.01"},
            "objectives": [
                {"name": "fast", "metric": "totalLatency", "atMost": "0.5", "target": "0.99"},
                {
                    "name": "answered",
                    "good": 'sum(rate(shop_total{code!~"5.."}[30s]))',
                    "total": "sum(rate(shop_total[30s]))",
                    "target": "0.9",
                },
            ],
        },
        "optimization": {
            "autoTune": True,
            "targetMetrics": {"totalLatency": "1"},
            "constraints": {
                "replicas": {"min": 2, "max": 3},
                "containers": [{"name": "app", "memory": {"min": "192Mi", "max": "512Mi"}}],
                "knobs": [{"name": "batch", "container": "app", "env": "BATCH", "role": "Batch", "min": 8, "max": 8}],
            },
            "behavior": {"verifySeconds": 10, "minHistorySeconds": 30},
        },
        "cost": {"monthlyBudget": "0.01"},
    },
}


# What an operator before this one wrote: two days of baseline and two days since, so that savings are known at once.
UNIT: Json = {"hours": "48", "units": "345600", "memory": "1e9", "nodes": "0"}
SAVINGS: Json = {
    "summary": "learning",
    "verdict": "Learning",
    "unit": "Requests",
    "baseline": UNIT | {"cost": "2", "error": "1e-8", "cpu": "2"},
    "actual": UNIT | {"cost": "1", "error": "1e-8", "cpu": "1"},
}
# A fleet without errors has no series of them: these say none while an operator leads.
MAY_BE_EMPTY = {
    ("operator", "Errors caught in an hour"),
    ("operator", "Errors caught, an hour"),
    ("operator", "Set points that could not be carried out, an hour"),
}
VARYING = {
    ("operator", "Since the last tick"),
    ("operator", "Mean time by phase"),
    ("operator", "Queries a second, by datasource and answer"),
    ("operator", "Writes to the API server a second"),
    ("operator", "CPU"),
    ("operator", "Alerts of workloads"),
    ("workload", "CPU: use of all pods"),
    ("workload", "Memory: use of all pods"),
    ("workload", "Metrics that have a target"),
    ("workload", "Burn rate"),
    ("workload", "Alerts: 0 quiet, 1 pending, 2 firing, -1 no data"),
    ("fleet", "Fastest burn over an hour"),
}


def panels() -> Iterator[tuple[str, str, str]]:
    """Dashboard, title and PromQL of every panel, with values for the variables and without what stands in for none."""
    for path in sorted((ROOT / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                query = target["expr"].replace("$namespace", SHOP).replace("$name", "web")
                yield path.stem, panel["title"], query.partition(" or ")[0]


def ask(address: str, query: str, **span: float) -> list[Json]:
    """The instant vector of a query, or with start, end and step its matrix."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    path = "query_range" if span else "query"
    url = f"http://{address}:9090/api/v1/{path}?{urllib.parse.urlencode({'query': query, **span})}"
    with opener.open(url, timeout=10) as response:
        found: list[Json] = json.loads(response.read())["data"]["result"]
    return found


def varies(address: str, query: str) -> bool:
    """Whether one of the query's series had two values within the last minutes."""
    end = time.time()
    series = ask(address, query, start=end - SECONDS, end=end, step=5)
    return any(len({value for _, value in one["values"]} - {"NaN"}) > 1 for one in series)


@pytest.fixture(scope="module")
def prometheus(pods_cluster: Bed) -> Iterator[str]:
    """Address of the Prometheus that scrapes the operator and a workload under it."""
    bed = pods_cluster
    for image in ("operator", "prometheus", "python"):
        load_recipe(bed, image)
    bed.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    bed.kubectl("wait", "--for=condition=Established", "crd/performanceconfigs.trimtab.dev", "--timeout=30s")
    bed.kubectl("create", "namespace", SHOP, check=False)
    objects = {"apiVersion": "v1", "kind": "List", "items": [WORKLOAD, CONFIG]}
    bed.kubectl("apply", "-n", SHOP, "-f", "-", input=json.dumps(objects))
    patch = ("--type=merge", "--subresource=status", f"--patch={json.dumps({'status': {'savings': SAVINGS}})}")
    bed.kubectl("patch", "performanceconfig", "web", "-n", SHOP, *patch)
    helm("install", RELEASE, CHART, "--namespace", SYSTEM, "--create-namespace", "--wait", values=VALUES, bed=bed)
    path = "--output=jsonpath={.spec.clusterIP}"
    yield bed.kubectl("get", "service", f"{OPERATOR}-prometheus", "-n", SYSTEM, path)
    helm("uninstall", RELEASE, "--namespace", SYSTEM, bed=bed)
    for namespace in (SHOP, SYSTEM):
        bed.kubectl("delete", "namespace", namespace, "--wait=false")


def test_every_panel_returns_series_after_a_load(pods_cluster: Bed, prometheus: str) -> None:
    waiting = {panel for panel in panels() if panel[:2] not in MAY_BE_EMPTY}

    def detail() -> str:
        status = pods_cluster.kubectl("get", "performanceconfigs", "-n", SHOP, "--output=yaml", check=False)
        return f"without series: {sorted(waiting)}\n{status}"

    def all_answered() -> bool:
        if not answers(f"http://{prometheus}:9090/-/ready"):
            return False  # the Service is new
        waiting.difference_update([panel for panel in waiting if ask(prometheus, panel[2])])
        return not waiting

    wait_until(all_answered, seconds=SECONDS, what="every panel has series", detail=detail)


def test_panels_show_what_changes(prometheus: str) -> None:
    still = {panel for panel in panels() if panel[:2] in VARYING}
    assert {panel[:2] for panel in still} == VARYING

    def all_varied() -> bool:
        # One query of a panel is enough: a target does not change.
        done = {panel[:2] for panel in still if varies(prometheus, panel[2])}
        still.difference_update([panel for panel in still if panel[:2] in done])
        return not still

    wait_until(all_varied, seconds=SECONDS, what="every such panel changes", detail=lambda: str(sorted(still)))


def test_series_carry_the_labels_that_legends_name(prometheus: str) -> None:
    for path in sorted((ROOT / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                names = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                query = target["expr"].replace("$namespace", SHOP).replace("$name", "web")
                # What stands in for no series at all has none of the labels.
                found = [one["metric"] for one in ask(prometheus, query.partition(" or ")[0])]
                assert all(names <= one.keys() for one in found), f"{path.stem}: {panel['title']}"


def test_the_chart_ships_the_dashboards_for_the_sidecar(pods_cluster: Bed, prometheus: str) -> None:
    text = pods_cluster.kubectl("get", "configmaps", "-n", SYSTEM, "-l", "grafana_dashboard=1", "--output=json")
    shipped = {name: body for item in json.loads(text)["items"] for name, body in item["data"].items()}
    for path in (ROOT / "dashboards").glob("*.json"):
        assert json.loads(shipped[f"trimtab-{path.name}"]) == json.loads(Path(path).read_text())
