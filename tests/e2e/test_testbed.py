"""The test bed itself: pods run, are resized in place and measured, and nothing is left behind."""

import json
import os
import signal
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed import bed as beds
from testbed import cgroups, net, processes
from testbed.bed import Bed
from testbed.run import run, wait_until
from tests.conftest import bring_up, run_testbed
from tests.e2e.images import load_recipe

pytestmark = pytest.mark.pods
WAIT_SECONDS = 60.0


def pod(name: str, image: str = "trimtab/pause:dev", **changes: Any) -> dict[str, Any]:
    container = {
        "name": "app",
        "image": image,
        "imagePullPolicy": "Never",
        "resources": {
            "requests": {"cpu": "100m", "memory": "32Mi"},
            "limits": {"cpu": "200m", "memory": "64Mi"},
        },
    } | changes
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }


def create(bed: Bed, manifest: dict[str, Any]) -> str:
    name = str(manifest["metadata"]["name"])
    bed.kubectl("create", "--filename=-", input=json.dumps(manifest))
    bed.kubectl("wait", f"pod/{name}", "--for=condition=Ready", f"--timeout={WAIT_SECONDS:.0f}s", timeout=90)
    return name


def field(bed: Bed, name: str, path: str) -> str:
    return bed.kubectl("get", "pod", name, f"--output=jsonpath={{{path}}}")


def memory_limit_in_cgroup(bed: Bed, name: str) -> int:
    """Return what the kernel enforces for the pod's container, in bytes."""
    container = field(bed, name, ".status.containerStatuses[0].containerID").removeprefix("containerd://")
    root, file = (
        (cgroups.ROOT, "memory.max") if cgroups.unified() else (cgroups.ROOT / "memory", "memory.limit_in_bytes")
    )
    (folder,) = (root / bed.tag).rglob(container)
    return int((folder / file).read_text())


def query(bed: Bed, promql: str) -> list[dict[str, Any]]:
    url = f"{bed.prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': promql})}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as response:
        result: list[dict[str, Any]] = json.load(response)["data"]["result"]
    return result


@pytest.fixture
def running_pod(pods_cluster: Bed) -> Iterator[str]:
    name = create(pods_cluster, pod(f"testbed-pause-{os.getpid()}"))
    yield name
    pods_cluster.kubectl("delete", "pod", name, "--now")


def test_a_resize_changes_the_cgroup_of_a_running_pod_without_a_restart(pods_cluster: Bed, running_pod: str) -> None:
    assert memory_limit_in_cgroup(pods_cluster, running_pod) == 64 * 2**20
    resources = {"requests": {"memory": "48Mi"}, "limits": {"memory": "96Mi"}}
    patch = json.dumps({"spec": {"containers": [{"name": "app", "resources": resources}]}})
    pods_cluster.kubectl("patch", "pod", running_pod, "--subresource=resize", f"--patch={patch}")

    wait_until(
        lambda: memory_limit_in_cgroup(pods_cluster, running_pod) == 96 * 2**20,
        seconds=WAIT_SECONDS,
        what="The new limit in the cgroup",
    )
    assert field(pods_cluster, running_pod, ".status.containerStatuses[0].restartCount") == "0"


def test_prometheus_has_the_cpu_time_of_a_pods_container_by_namespace_pod_and_container(
    pods_cluster: Bed, running_pod: str
) -> None:
    selector = f'{{namespace="default",pod="{running_pod}",container="app",metrics_path="/metrics/cadvisor"}}'
    wait_until(
        lambda: len(query(pods_cluster, f"container_cpu_usage_seconds_total{selector}")) == 1,
        seconds=WAIT_SECONDS,
        what="The pod's series",
    )


SERVER = """
import http.server, urllib.request
class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        # Answered only when the pod reaches Prometheus by its Service's name.
        up = urllib.request.urlopen("http://prometheus.monitoring:9090/-/ready", timeout=3).status
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"testbed_ready %d\\n" % up)
http.server.ThreadingHTTPServer(("", 8000), Metrics).serve_forever()
"""


def test_an_annotated_pod_is_scraped_and_reaches_services_by_name(pods_cluster: Bed) -> None:
    load_recipe(pods_cluster, "python")
    server = pod(f"testbed-server-{os.getpid()}", image="trimtab/python:dev", args=["-c", SERVER])
    server["metadata"]["annotations"] = {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"}
    name = create(pods_cluster, server)
    try:
        selector = f'{{namespace="default",pod="{name}"}}'
        wait_until(
            lambda: [row["value"][1] for row in query(pods_cluster, f"testbed_ready{selector}")] == ["200"],
            seconds=WAIT_SECONDS,
            what="The pod's metric in Prometheus",
            detail=lambda: str(query(pods_cluster, 'up{job="pods"}')),
        )
    finally:
        pods_cluster.kubectl("delete", "pod", name, "--now")


@pytest.fixture
def second_bed(pods_cluster: Bed) -> Iterator[Bed]:
    name = f"{pods_cluster.name[:8]}-{os.getpid()}"
    yield bring_up(name, "pods")
    assert run_testbed("down", "--name", name).returncode == 0


def traces(bed: Bed) -> list[str]:
    """Return everything of a bed that is still on this machine."""
    found = [str(path) for path in (bed.state, net.NAMESPACES / bed.tag) if path.exists()]
    found += [str(path) for path in Path("/sys/class/net").iterdir() if path.name == bed.host_interface]
    found += [str(path) for path in cgroups.ROOT.glob(f"*/{bed.tag}")]
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(bed.state) in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(bed.state) in (process / "cmdline").read_text():
                found.append(str(process))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_taking_down_a_second_bed_leaves_nothing_of_it_and_the_first_as_it_is(
    pods_cluster: Bed, second_bed: Bed, running_pod: str
) -> None:
    create(second_bed, pod("testbed-other"))
    assert traces(second_bed)

    assert run_testbed("down", "--name", second_bed.name).returncode == 0
    assert traces(second_bed) == []
    again = run_testbed("down", "--name", second_bed.name)
    assert (again.returncode, "nothing to do" in again.stderr) == (0, True)
    assert field(pods_cluster, running_pod, ".status.phase") == "Running"
    assert run_testbed("status", "--name", pods_cluster.name).returncode == 0


def test_up_starts_over_when_a_process_of_the_bed_was_killed(second_bed: Bed) -> None:
    create(second_bed, pod("testbed-lost"))
    (api_server,) = [one for one in processes.records(second_bed.state) if one.name == "kube-apiserver"]
    handle = os.pidfd_open(api_server.pid)
    assert api_server.alive
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)
    wait_until(lambda: not api_server.alive, seconds=10, what="The end of the API server")

    done = run_testbed("up", "--name", second_bed.name)
    assert done.returncode == 0, done.stderr
    assert "not whole (kube-apiserver)" in done.stderr
    fresh = beds.load(second_bed.name)
    assert fresh is not None
    assert fresh.kubectl("get", "pods", "--output=name") == ""


def test_a_bed_that_is_up_is_left_as_it_is(pods_cluster: Bed) -> None:
    before = processes.records(pods_cluster.state)
    done = run_testbed("up", "--name", pods_cluster.name)
    assert "is up already" in done.stderr
    assert processes.records(pods_cluster.state) == before


def test_env_gives_a_shell_what_kubectl_and_prometheus_users_need(pods_cluster: Bed) -> None:
    script = 'eval $("$0" -m testbed env --name "$1"); kubectl get nodes --output=name; echo "$PROMETHEUS_URL"'

    said = run(["sh", "-c", script, sys.executable, pods_cluster.name]).stdout.split()
    assert said == [f"node/{pods_cluster.node}", pods_cluster.prometheus_url]
