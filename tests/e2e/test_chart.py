"""The chart as users install it: two operators in pods, a Prometheus of its own, restricted Pod Security."""

import json
import os
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.bed import Bed
from testbed.recipes import load_recipe
from testbed.run import wait_until
from tests.integration.chart.helm import CHART, helm

pytestmark = pytest.mark.pods

SYSTEM, SHOP, RELEASE = "chart-system", "chart-shop", "charted"
OPERATOR = f"{RELEASE}-trimtab"
PODS = f"--selector=app.kubernetes.io/name=trimtab,app.kubernetes.io/instance={RELEASE}"
TAKEOVER_SECONDS = 20.0
WAIT_SECONDS = 90.0
VALUES: dict[str, Any] = {
    "image": {"tag": "dev", "pullPolicy": "Never"},
    "tickSeconds": 2,
    "mode": "Act",
    "prometheus": {
        "enabled": True,
        "image": "trimtab/prometheus:dev",
        "imagePullPolicy": "Never",
        "scrapeIntervalSeconds": 5,
    },
    "audit": {"enabled": True, "schedule": "0 6 1 1 *", "existingClaim": "reports"},
}
USER = 65532
"""The chart's runAsUser."""
WORKLOAD = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: {SHOP}}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: app
        image: trimtab/pause:dev
        imagePullPolicy: Never
        resources: {{requests: {{cpu: 10m, memory: 16Mi}}}}
---
apiVersion: trimtab.dev/v1alpha1
kind: PerformanceConfig
metadata: {{name: web, namespace: {SHOP}}}
spec:
  targetRef: {{name: web}}
  monitoring:
    metrics:
    - {{name: totalLatency, query: 'sum(container_memory_working_set_bytes{{container="app"}})', unit: bytes}}
  optimization:
    autoTune: true
    targetMetrics: {{totalLatency: "1e9"}}
    constraints: {{replicas: {{min: 1, max: 2}}}}
"""


def claim(folder: Path) -> list[dict[str, Any]]:
    """A volume in this folder and a claim on it, for the audit's reports."""
    size = {"storage": "16Mi"}
    volume = {"capacity": size, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": str(folder)}}
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": size}}
    bound = {"storageClassName": "", "volumeName": "chart-reports"}
    volume |= {"storageClassName": "", "claimRef": {"namespace": SYSTEM, "name": "reports"}}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "chart-reports"}, "spec": volume},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "reports", "namespace": SYSTEM},
            "spec": wanted | bound,
        },
    ]


def reports(bed: Bed) -> Path:
    """The folder of the volume."""
    return bed.path("chart-reports")


def objects(bed: Bed, kind: str, *arguments: str, namespace: str = SYSTEM) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(bed.kubectl("get", kind, "-n", namespace, *arguments, "--output=json"))[
        "items"
    ]
    return found


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def ready_pods(bed: Bed) -> dict[str, dict[str, Any]]:
    return {pod["metadata"]["name"]: pod for pod in objects(bed, "pods", PODS) if is_ready(pod)}


def holder(bed: Bed) -> str:
    return bed.kubectl("get", "lease", OPERATOR, "-n", SYSTEM, "--output=jsonpath={.spec.holderIdentity}")


def fetch(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as response:
        text: str = response.read().decode()
    return text


def metric(pod: dict[str, Any], name: str) -> float:
    (line,) = re.findall(rf"^{name} (\S+)$", fetch(f"http://{pod['status']['podIP']}:8080/metrics"), re.MULTILINE)
    return float(line)


def query(bed: Bed, promql: str) -> list[dict[str, Any]]:
    """Ask the bundled Prometheus, at the address of its Service."""
    path = "--output=jsonpath={.spec.clusterIP}"
    address = bed.kubectl("get", "service", f"{OPERATOR}-prometheus", "-n", SYSTEM, path)
    answer = fetch(f"http://{address}:9090/api/v1/query?{urllib.parse.urlencode({'query': promql})}")
    result: list[dict[str, Any]] = json.loads(answer)["data"]["result"]
    return result


def condition(bed: Bed, kind: str) -> tuple[str, str]:
    """Status and reason of a condition of the PerformanceConfig."""
    (config,) = objects(bed, "performanceconfigs", namespace=SHOP)
    found = [c for c in config.get("status", {}).get("conditions", []) if c["type"] == kind]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")


def wait(bed: Bed, what: str, holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    def detail() -> str:
        logs = bed.kubectl("logs", PODS, "-n", SYSTEM, "--tail=15", "--prefix", check=False)
        status = bed.kubectl("get", "performanceconfigs", "-n", SHOP, "--output=yaml", check=False)
        return bed.kubectl("get", "pods", "-A", check=False) + logs + status

    wait_until(holds, seconds=seconds, what=what, detail=detail, poll=0.5)


@pytest.fixture(scope="module")
def bed(pods_cluster: Bed) -> Iterator[Bed]:
    """The chart, installed with its Prometheus, and a workload under a PerformanceConfig."""
    for recipe in ("operator", "prometheus"):
        load_recipe(pods_cluster, recipe)
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    spaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name, labels in ((SYSTEM, restricted), (SHOP, {}))
    ]
    folder = reports(pods_cluster)
    folder.mkdir(exist_ok=True)
    os.chown(folder, USER, USER)
    pods_cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all([*spaces, *claim(folder)]))
    # Other tests of the bed apply the CRDs by hand.
    arguments = ("-n", SYSTEM, "--take-ownership", "--force-conflicts", "--wait", "--timeout=120s")
    helm("install", RELEASE, CHART, *arguments, values=VALUES, bed=pods_cluster)
    pods_cluster.kubectl("apply", "--filename=-", input=WORKLOAD)
    yield pods_cluster
    if RELEASE in helm("list", "-n", SYSTEM, "--short", bed=pods_cluster):
        helm("uninstall", RELEASE, "-n", SYSTEM, bed=pods_cluster)
    pods_cluster.kubectl("delete", "namespace", SYSTEM, SHOP, timeout=120)
    pods_cluster.kubectl("delete", "persistentvolume", "chart-reports")


def test_both_replicas_are_ready_one_leads_and_each_serves_its_metrics(bed: Bed) -> None:
    wait(bed, "Two ready operators", lambda: len(ready_pods(bed)) == 2)
    wait(bed, "A leader", lambda: holder(bed) != "")
    leader = holder(bed).partition("_")[0]
    for name, pod in ready_pods(bed).items():
        address = f"http://{pod['status']['podIP']}:8080"
        assert (fetch(f"{address}/healthz"), fetch(f"{address}/readyz")) == ("ok\n", "ok\n")
        assert metric(pod, "trimtab_leader") == float(name == leader)
    wait(bed, "The PerformanceConfig", lambda: metric(ready_pods(bed)[leader], "trimtab_performanceconfigs") >= 1)


def test_the_bundled_prometheus_scrapes_cadvisor_and_pods_and_answers_the_operator(bed: Bed) -> None:
    wait(
        bed,
        "A series of cAdvisor",
        lambda: len(query(bed, f'container_memory_working_set_bytes{{namespace="{SHOP}",container="app"}}')) == 1,
    )
    wait(bed, "Scrapes of both operators", lambda: len(query(bed, f'trimtab_leader{{namespace="{SYSTEM}"}}')) == 2)
    wait(bed, "A number from the datasource", lambda: condition(bed, "MetricsAvailable") == ("True", "AllMetricsKnown"))
    (config,) = objects(bed, "performanceconfigs", namespace=SHOP)
    assert float(config["status"]["metrics"]["timing"]["totalLatency"]) > 1e5


def run_audit(bed: Bed, name: str) -> str:
    """Run the CronJob's Job now, as docs/audit.md says, and return what it printed."""
    bed.kubectl("create", "job", f"--from=cronjob/{OPERATOR}-audit", name, "-n", SYSTEM)
    bed.kubectl("wait", "job", name, "-n", SYSTEM, "--for=condition=Complete", "--timeout=60s", timeout=90)
    return bed.kubectl("logs", f"job/{name}", "-n", SYSTEM)


def test_the_audits_job_leaves_a_dated_report_of_each_namespace_on_its_claim_or_in_its_log(bed: Bed) -> None:
    old = reports(bed) / f"trimtab-audit-{SHOP}-2020-01-01.md"
    old.write_text("")
    before = datetime.now(UTC)
    printed = run_audit(bed, "audit-now")
    assert f"removed {old.name}" in printed
    made = {path.suffix: path for path in reports(bed).iterdir()}
    assert sorted(made) == [".html", ".json", ".md"]
    report = json.loads(made[".json"].read_text())
    assert before.replace(microsecond=0) <= datetime.fromisoformat(report["at"]) <= datetime.now(UTC)
    for suffix, path in made.items():
        assert path.name == f"trimtab-audit-{SHOP}-{report['at'][:10]}{suffix}"
        assert f"/reports/{path.name}" in printed
        assert f"Audit of namespace {SHOP}" in path.read_text() or suffix == ".json"
    assert (report["namespace"], report["rules"][0]["resource"]) == (SHOP, "web")
    assert "Mode Act" in report["operator"][0]
    operators = set(ready_pods(bed))
    helm("upgrade", RELEASE, CHART, "-n", SYSTEM, "--reuse-values", "--set", "audit.existingClaim=", bed=bed)
    assert f"# Audit of namespace {SHOP}" in run_audit(bed, "audit-printed")
    # What the audit does with its reports is no business of the operators.
    assert set(ready_pods(bed)) == operators


def test_losing_prometheus_shows_in_the_status_and_so_does_its_return(bed: Bed) -> None:
    scale = ("scale", f"deployment/{OPERATOR}-prometheus", "-n", SYSTEM)
    bed.kubectl(*scale, "--replicas=0")
    try:
        wait(bed, "The loss in the status", lambda: condition(bed, "MetricsAvailable")[0] == "False")
        (config,) = objects(bed, "performanceconfigs", namespace=SHOP)
        assert "timing" not in config["status"]["metrics"]
        assert {fact["name"] for fact in config["status"]["metrics"]["unknown"]} >= {"totalLatency"}
    finally:
        bed.kubectl(*scale, "--replicas=1")
    wait(bed, "The return in the status", lambda: condition(bed, "MetricsAvailable")[0] == "True")


def refusals(bed: Bed) -> list[str]:
    """What the operators could not have; an API server that was slow to answer on a busy machine refused nothing."""
    logs = bed.kubectl("logs", PODS, "-n", SYSTEM, "--tail=-1")
    return [
        line
        for line in logs.splitlines()
        if "orbidden" in line or ("cannot be watched" in line and "Timeout" not in line)
    ]


def test_the_operator_is_refused_nothing_that_it_asks_for(bed: Bed) -> None:
    wait(bed, "A tick", lambda: condition(bed, "Ready")[0] == "True")
    assert refusals(bed) == []


def test_another_operator_leads_within_twenty_seconds_after_the_leaders_pod_was_deleted(bed: Bed) -> None:
    wait(bed, "Two ready operators", lambda: len(ready_pods(bed)) == 2)
    before = holder(bed)
    leader = before.partition("_")[0]
    began = time.monotonic()
    bed.kubectl("delete", "pod", leader, "-n", SYSTEM, "--wait=false")
    wait(bed, "A new leader", lambda: holder(bed) not in ("", before), TAKEOVER_SECONDS)
    assert time.monotonic() - began < TAKEOVER_SECONDS
    # Whichever was quicker: the pod that stood by, or the one that replaces the leader's.
    assert holder(bed).partition("_")[0] != leader
    wait(bed, "Two ready operators again", lambda: len(ready_pods(bed)) == 2)


def test_another_process_leads_within_twenty_seconds_after_the_leader_was_killed(bed: Bed) -> None:
    wait(bed, "Two ready operators", lambda: len(ready_pods(bed)) == 2)
    before = holder(bed)
    status = ready_pods(bed)[before.partition("_")[0]]["status"]["containerStatuses"][0]
    bed.ctr("tasks", "kill", "--signal", "SIGKILL", status["containerID"].removeprefix("containerd://"))
    wait(bed, "A new leader", lambda: holder(bed) not in ("", before), TAKEOVER_SECONDS)
    wait(bed, "Two ready operators again", lambda: len(ready_pods(bed)) == 2)


def upgrade(bed: Bed, *settings: str) -> None:
    """Change values of the release, and return when new operators are ready."""
    before = set(ready_pods(bed))
    changed = [word for setting in settings for word in ("--set", setting)]
    helm("upgrade", RELEASE, CHART, "-n", SYSTEM, "--reuse-values", *changed, "--wait", "--timeout=120s", bed=bed)
    wait(bed, "New operators", lambda: len(ready_pods(bed)) == 2 and not before & set(ready_pods(bed)))


def test_with_rights_in_one_namespace_it_goes_on_there_and_sees_that_namespaces_pause(bed: Bed) -> None:
    upgrade(bed, f"namespaces={{{SHOP}}}")
    wait(bed, "Tuning", lambda: condition(bed, "Tuning")[1] not in ("", "Paused"))
    bed.kubectl("annotate", "namespace", SHOP, "trimtab.dev/pause=true")
    wait(bed, "The pause in the status", lambda: condition(bed, "Tuning") == ("False", "Paused"))
    bed.kubectl("annotate", "namespace", SHOP, "trimtab.dev/pause-")
    wait(bed, "The end of the pause", lambda: condition(bed, "Tuning")[1] != "Paused")
    assert refusals(bed) == []


def test_an_upgrade_to_observe_rolls_the_operators_and_stops_tuning(bed: Bed) -> None:
    upgrade(bed, "mode=Observe")
    wait(bed, "The mode in the status", lambda: condition(bed, "Tuning") == ("False", "OperatorMode"))


def test_an_uninstall_leaves_crds_and_resources_which_can_be_deleted_without_the_operator(bed: Bed) -> None:
    helm("uninstall", RELEASE, "-n", SYSTEM, bed=bed)
    bed.kubectl("wait", "pods", PODS, "-n", SYSTEM, "--for=delete", "--timeout=60s", timeout=90)
    assert len(objects(bed, "performanceconfigs", namespace=SHOP)) == 1
    bed.kubectl("delete", "performanceconfig", "web", "-n", SHOP, "--timeout=10s")
    (workload,) = objects(bed, "deployments", namespace=SHOP)
    assert workload["status"]["readyReplicas"] == 1
