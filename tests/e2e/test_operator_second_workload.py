"""A workload of another kind with metrics of its own, put under a PerformanceConfig as the README tells a new user."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed import cgroups
from testbed.bed import Bed
from testbed.run import run
from tests.e2e.operating import ROOT, Crew, Shop, opened, requests, workload

pytestmark = pytest.mark.pods

NAMESPACE = f"second-{os.getpid()}"
README = ROOT.joinpath("README.md").read_text().replace("my-namespace", NAMESPACE)
REPLICAS = 2
CPU_SECONDS = 300.0
"""CPU is a mean over half a minute: a pod's first one takes that long, a scrape and a sample more."""

# Sells to itself: twenty checkouts a second, each a few milliseconds of work, measured in a histogram of its own.
SHOP = """
import http.client, http.server, threading, time
bounds, counts, total = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25), [0] * 7, [0.0]
class Checkout(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *words): pass
    def do_GET(self):
        if self.path == "/metrics":
            sums = [sum(counts[:i + 1]) for i in range(7)]
            lines = ['checkout_seconds_bucket{le="%s"} %d' % line for line in zip((*bounds, "+Inf"), sums)]
            lines += ["checkout_seconds_count %d" % sums[-1], "checkout_seconds_sum %f" % total[0], ""]
            body = "\\n".join(lines)
        else:
            began, end, body = time.perf_counter(), time.thread_time() + 0.002, "sold"
            while time.thread_time() < end: pass
            took = time.perf_counter() - began
            counts[sum(took > bound for bound in bounds)] += 1
            total[0] += took
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
server = http.server.ThreadingHTTPServer(("", 8000), Checkout)
threading.Thread(target=server.serve_forever).start()
customer = http.client.HTTPConnection("127.0.0.1", 8000)
while True:
    customer.request("GET", "/buy")
    customer.getresponse().read()
    time.sleep(0.05)
"""


def block(language: str, words: str) -> str:
    """The code block of the README that holds these words."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.S) if words in text]
    return str(found)


def manifest(auto: bool) -> str:
    """The README's PerformanceConfig, changed as somebody with this workload would, with short timings."""
    made: dict[str, Any] = yaml.safe_load(block("yaml", "kind: PerformanceConfig"))
    spec = made["spec"]
    spec["targetRef"]["kind"] = "StatefulSet"
    query = "histogram_quantile(0.95, sum by (le) (rate(checkout_seconds_bucket[30s])))"
    spec["monitoring"]["metrics"] = [{"name": "totalLatency", "query": query, "unit": "seconds"}]
    spec["monitoring"]["sampleRate"] = 12
    optimization = spec["optimization"]
    assert optimization["autoTune"] is False, "the README starts without acting"
    optimization["autoTune"] = auto
    (container,) = optimization["constraints"]["containers"]
    optimization["constraints"] = {"containers": [{"name": container["name"], "cpu": container["cpu"]}]}
    optimization["behavior"] = {"verifySeconds": 10, "minHistorySeconds": 10}
    return yaml.safe_dump(made)


def stateful_set() -> dict[str, Any]:
    """Two pods that request ten times the CPU that they use."""
    made = workload("my-app", REPLICAS, kind="StatefulSet")
    made["spec"] |= {"serviceName": "my-app", "podManagementPolicy": "Parallel"}
    template = made["spec"]["template"]
    template["metadata"]["annotations"]["prometheus.io/path"] = "/metrics"
    (container,) = template["spec"]["containers"]
    container["args"] = ["-c", SHOP]
    container["readinessProbe"]["httpGet"]["path"] = "/metrics"
    container["resources"]["requests"] = {"cpu": "800m", "memory": "64Mi"}
    return made


class User:
    """Somebody with a shell, kubectl and trimtab."""

    def __init__(self, bed: Bed, folder: Path) -> None:
        self._folder = folder
        programs = f"{Path(sys.executable).parent}:{bed.bin_dir}:{os.environ['PATH']}"
        self._env = {**os.environ, "PATH": programs, "KUBECONFIG": str(bed.kubeconfig)}

    def write(self, text: str) -> None:
        self._folder.joinpath("performanceconfig.yaml").write_text(text)

    def type(self, line: str) -> str:
        """Run a line of the README and return what it says."""
        return run(["sh", "-ec", line], env=self._env, cwd=self._folder).stdout


@pytest.fixture(scope="module")
def shop(pods_cluster: Bed) -> Iterator[Shop]:
    with opened(pods_cluster, NAMESPACE) as made:
        made.apply(stateful_set())
        made.kubectl("rollout", "status", "statefulset/my-app", "--timeout=180s", timeout=200)
        yield made


@pytest.fixture(scope="module")
def crew(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    made = Crew(shop.bed, NAMESPACE, tmp_path_factory.mktemp("operator"), shop.bed.prometheus_url)
    made.start()
    yield made
    assert made.one.end() == 0, made.one.log


@pytest.fixture(scope="module")
def user(shop: Shop, crew: Crew, tmp_path_factory: pytest.TempPathFactory) -> User:
    return User(shop.bed, tmp_path_factory.mktemp("user"))


def recommended(shop: Shop) -> str:
    """CPU that Trimtab would request."""
    found = shop.status("my-app").get("recommendation", {}).get("containers", [{}])[0]
    return str(found.get("requests", {}).get("cpu", ""))


def weight(bed: Bed, pod: dict[str, Any]) -> int:
    """What the kernel goes by when CPU is short: shares (cgroup v1) or weight (v2) of the pod's container."""
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    unified = cgroups.unified()
    (folder,) = ((cgroups.ROOT if unified else cgroups.ROOT / "cpu") / bed.tag).rglob(container)
    return int((folder / ("cpu.weight" if unified else "cpu.shares")).read_text())


def written_by_trimtab(shop: Shop) -> list[str]:
    """Objects of the namespace that Trimtab has written to, events and the resource's own status left out."""
    kinds = "pods,statefulsets,controllerrevisions,tuningprofiles,configmaps,services"
    listed = json.loads(shop.kubectl("get", kinds, "-o", "json", "--show-managed-fields"))["items"]
    fields = {f"{o['kind']}/{o['metadata']['name']}": o["metadata"].get("managedFields", []) for o in listed}
    return [name for name, managers in fields.items() if any(one["manager"] == "trimtab" for one in managers)]


def test_a_new_user_sees_what_trimtab_would_do_and_nothing_is_written(shop: Shop, crew: Crew, user: User) -> None:
    user.write(manifest(auto=False))
    check, *commands = block("console", "trimtab check").splitlines()
    assert "no problem found" in user.type(check)
    for command in commands:
        user.type(command)
    shop.until(lambda: recommended(shop), "a recommendation", CPU_SECONDS)
    amount = recommended(shop)
    assert amount.endswith("m")
    assert 20 <= int(amount[:-1]) <= 400, "twenty checkouts of 2 ms a second and what goes with them"
    shop.until(lambda: shop.condition("my-app", "Tuning") == ("False", "RecommendOnly"), "it says that it only looks")
    shop.until(crew.ticks(5), "some ticks more")
    described = user.type(commands[-1])
    assert f"Cpu:  {amount}" in re.sub(r"Cpu: +", "Cpu:  ", described)
    assert "my-app" in user.type(commands[-2])
    assert written_by_trimtab(shop) == []
    assert [requests(p)["cpu"] for p in shop.pods("my-app")] == ["800m"] * REPLICAS


def test_set_to_act_it_cuts_running_pods_in_place_by_a_quarter_at_first(shop: Shop, crew: Crew, user: User) -> None:
    pods = shop.pods("my-app")
    before = {p["metadata"]["name"]: weight(shop.bed, p) for p in pods}
    seen: set[str] = set()

    def cut() -> bool:
        now = [requests(p).get("cpu", "") for p in shop.pods("my-app")]
        seen.update(now)
        return now == ["600m"] * REPLICAS

    user.write(manifest(auto=True))
    user.type("kubectl apply -f performanceconfig.yaml")
    shop.until(cut, "every pod requests a quarter less")
    assert seen <= {"800m", "600m", ""}
    after = shop.pods("my-app")
    assert [p["metadata"]["uid"] for p in after] == [p["metadata"]["uid"] for p in pods]
    assert [s["restartCount"] for p in after for s in p["status"]["containerStatuses"]] == [0] * REPLICAS
    for pod in after:
        assert weight(shop.bed, pod) == pytest.approx(0.75 * before[pod["metadata"]["name"]], rel=0.05)
    assert shop.get("statefulset", "my-app")["metadata"]["generation"] == 1
    assert shop.entry("my-app", "StatefulSet")["requests"]["cpu"] == "600m"
    shop.until(lambda: shop.events("my-app", "CutUnused"), "it is told")
    newest = [made for made in shop.decisions("my-app") if made["outcome"] != "Recommended"][-1]
    assert (newest["from"], newest["to"]) == ("800m", "600m"), newest
