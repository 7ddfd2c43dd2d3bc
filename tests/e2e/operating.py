"""The operator as a process over real pods: small services in a namespace, faults to inject, and what is then seen."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from testbed.bed import Bed
from testbed.run import wait_until
from tests import reading
from tests.e2e.images import load_recipe
from tests.integration.act.policy import install
from tests.integration.operator.conftest import LEASE_NAMESPACE, Operator

ROOT = Path(__file__).parents[2]
TICK_SECONDS = 1.0
WAIT_SECONDS = 180.0
"""For what takes seconds on a machine with nothing else to do."""
TARGET = "0.5"
TRIAL, SWAPPED = "trimtab.dev/trial", "trimtab.dev/swapped"
Json = dict[str, Any]

# A service without load: what it says of itself is set from outside, and it takes as much memory as it is told to.
SERVICE = """
import http.server, os, urllib.parse
said = {"latency": 0.1}
eaten = []
class Service(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words): pass
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        asked = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/latency":
            said["latency"] = float(asked["seconds"])
        if url.path == "/eat":
            eaten.append(b"x" * (int(asked["mib"]) << 20))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"app_latency_seconds %f\\n" % said["latency"])
http.server.ThreadingHTTPServer(("", 8000), Service).serve_forever()
"""


def workload(name: str, replicas: int = 1, *, kind: str = "Deployment", limit: str = "256Mi", **env: int) -> Json:
    """A workload of the service, with 256 MiB requested of which it needs a tenth; `limit` may be less than that."""
    memory = "256Mi" if limit == "256Mi" else limit
    container = {
        "name": "app",
        "image": "trimtab/python:dev",
        "imagePullPolicy": "Never",
        "args": ["-c", SERVICE],
        "env": [{"name": name, "value": str(value)} for name, value in env.items()],
        "resources": {"requests": {"cpu": "10m", "memory": memory}, "limits": {"memory": limit}},
        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1},
    }
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}, "annotations": scraped}, "spec": pod},
        },
    }


def config(name: str, target: str = "", *, auto: bool = False, **constraints: Any) -> Json:
    """A PerformanceConfig with the shortest public timings; memory may go down to 192 MiB."""
    memory = {"name": "app", "memory": {"min": "192Mi", "max": "1Gi"}}
    metric = {"name": "totalLatency", "query": "max(app_latency_seconds)", "unit": "seconds"}
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "PerformanceConfig",
        "metadata": {"name": name},
        "spec": {
            "targetRef": {"kind": "Deployment", "name": target or name},
            "monitoring": {"sampleRate": 12, "metrics": [metric]},
            "optimization": {
                "autoTune": auto,
                "targetMetrics": {"totalLatency": TARGET},
                "constraints": constraints or {"containers": [memory]},
                "behavior": {
                    "verifySeconds": 10,
                    "trialSeconds": 10,
                    "minHistorySeconds": 10,
                    "humanHoldSeconds": 10,
                },
            },
        },
    }


def knob(low: int, high: int) -> Json:
    """The knob BATCH, to be given to `config` as constraint."""
    return {"name": "batch", "container": "app", "env": "BATCH", "role": "Batch", "min": low, "max": high}


@dataclass
class Shop:
    """One namespace."""

    bed: Bed
    namespace: str

    def kubectl(self, *words: str, **options: Any) -> str:
        """Run kubectl in the namespace."""
        return self.bed.kubectl(*words, "-n", self.namespace, **options)

    def apply(self, *objects: Json) -> None:
        """Apply objects as `kubectl apply` does."""
        self.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def get(self, kind: str, name: str) -> Json:
        """An object; empty when it is not there."""
        return reading.one(self.bed, kind, self.namespace, name)

    def all(self, kind: str, selector: str = "") -> list[Json]:
        """Objects of a kind."""
        return reading.several(self.bed, kind, self.namespace, selector)

    def auto(self, name: str, on: bool = True) -> None:
        """Let Trimtab act on a resource, or no longer."""
        patch = {"spec": {"optimization": {"autoTune": on}}}
        self.kubectl("patch", "performanceconfig", name, "--type=merge", "-p", json.dumps(patch))

    def pods(self, name: str) -> list[Json]:
        """Pods of a workload that are not being deleted, trial pods included."""
        return [p for p in self.all("pods", f"app={name}") if "deletionTimestamp" not in p["metadata"]]

    def clones(self, name: str) -> list[Json]:
        """Pods that Trimtab made and the ReplicaSet has not adopted."""
        return [p for p in self.all("pods", f"app={name}") if TRIAL in p["metadata"]["labels"]]

    def entry(self, name: str, kind: str = "Deployment") -> Json:
        """The workload's entry in the namespace's TuningProfile: of its container `app`; empty without one."""
        workloads = self.get("tuningprofile", "trimtab").get("spec", {}).get("workloads", {})
        found: Json = workloads.get(f"{kind}/{name}", {"containers": [{}]})["containers"][0]
        return found

    def status(self, name: str) -> Json:
        """Status of a PerformanceConfig."""
        found: Json = self.get("performanceconfig", name).get("status", {})
        return found

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """Status and reason of a condition."""
        found = [c for c in self.status(name).get("conditions", []) if c["type"] == kind]
        return (found[0]["status"], found[0]["reason"]) if found else ("", "")

    def decisions(self, name: str) -> list[Json]:
        """Decisions of the status, newest first."""
        found: list[Json] = self.status(name).get("decisions", [])
        return found

    def events(self, name: str, reason: str) -> list[Json]:
        """Events of this reason on a PerformanceConfig."""
        found = self.all("events.events.k8s.io")
        return [e for e in found if e["reason"] == reason and e.get("regarding", {}).get("name") == name]

    def until(self, holds: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait for it; when it does not come, the error shows the namespace."""

        def detail() -> str:
            kinds = "pods,tuningprofiles,performanceconfigs"
            return self.kubectl("get", kinds, "-o", "wide") + self.kubectl("get", "performanceconfigs", "-o", "yaml")

        wait_until(lambda: bool(holds()), seconds=seconds, what=what, detail=detail)

    def ask(self, pod: Json, path: str) -> None:
        """Ask a pod's service; one that dies over it gives no answer."""
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://{pod['status']['podIP']}:8000{path}", timeout=5).close()


def requests(pod: Json) -> Json:
    """Requests that a pod asks for, once the kubelet says that it has them; empty before."""
    asked: Json = pod["spec"]["containers"][0]["resources"]
    states = pod["status"].get("containerStatuses", [])
    return dict(asked["requests"]) if states and states[0].get("resources") == asked else {}


def variable(pod: Json, name: str = "BATCH") -> str:
    """Value of a variable of a pod."""
    return next(str(e["value"]) for e in pod["spec"]["containers"][0]["env"] if e["name"] == name)


def ready(pod: Json) -> bool:
    """Whether a pod is Ready."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


@dataclass
class Crew:
    """Operators one after the other. Each has a lease of its own: the one before is surely dead, and not waited for."""

    bed: Bed
    namespace: str
    folder: Path
    url: str
    settings: Json = field(default_factory=dict)
    made: list[Operator] = field(default_factory=list)

    def start(self) -> Operator:
        """Start the next operator."""
        name = f"op{len(self.made)}"
        lease = {
            "name": f"{self.namespace}-{name}",
            "durationSeconds": 10,
            "renewSeconds": 8,
            "retrySeconds": 0.5,
        }
        source = {"name": "default", "url": self.url, "scrapeIntervalSeconds": 10, "timeoutSeconds": 5}
        given = {"namespaces": [self.namespace], "lease": lease, "datasources": [source], "tickSeconds": TICK_SECONDS}
        self.made.append(Operator(self.bed.kubeconfig, self.folder, given | self.settings, name).start())
        return self.made[-1]

    @property
    def one(self) -> Operator:
        """The operator that runs."""
        return self.made[-1]

    @property
    def runs(self) -> bool:
        """Whether it does."""
        return self.one.process is not None and self.one.process.poll() is None

    def kill(self) -> None:
        """SIGKILL, whatever it is doing."""
        assert self.runs, self.one.log
        self.one.end(signal.SIGKILL)

    def ticks(self, more: int) -> Callable[[], bool]:
        """Whether so many more ticks were finished from now on."""
        goal = self.one.ticks() + more
        return lambda: self.one.ticks() >= goal


class Line:
    """A TCP connection to Prometheus that can be cut: what listens on loopback, and passes bytes on while it is up."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._up = threading.Event()
        self._up.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._up.clear()
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Pass bytes on again."""
        self._up.set()

    def close(self) -> None:
        """End it for good."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                end, _ = self._listener.accept()
                if self._up.is_set():
                    threading.Thread(target=self._pass, args=(end,), daemon=True).start()
                else:
                    end.close()

    def _pass(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection(self._target, 5) as far:
            self._ends |= {near, far}
            other = {near: far, far: near}
            try:
                while True:
                    for end in select.select([near, far], [], [])[0]:
                        if not (data := end.recv(1 << 16)):
                            return
                        other[end].sendall(data)
            finally:
                self._ends -= {near, far}


@contextmanager
def watched(shop: Shop, name: str, replicas: int) -> Iterator[list[int]]:
    """Counts of Ready pods that belong to the workload (clones not) as the API server reports each change of a pod."""
    words = ["get", "pods", f"--selector=app={name}", "--watch", "--output-watch-events", "--output=json"]
    command = [str(shop.bed.bin_dir / "kubectl"), f"--kubeconfig={shop.bed.kubeconfig}", "-n", shop.namespace, *words]
    counts: list[int] = []
    full = threading.Event()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def follow() -> None:
        serving: dict[str, bool] = {}
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            pod = event["object"]
            meta = pod["metadata"]
            owned = any(owner.get("controller") for owner in meta.get("ownerReferences", []))
            alive = event["type"] != "DELETED" and "deletionTimestamp" not in meta
            serving[meta["name"]] = owned and alive and ready(pod)
            counts.append(sum(serving.values()))
            if counts[-1] >= replicas and not full.is_set():
                counts.clear()
                full.set()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        assert full.wait(WAIT_SECONDS), f"{name} never had {replicas} ready pods"
        yield counts
    finally:
        process.terminate()
        follower.join(10)
        process.communicate()


@contextmanager
def opened(bed: Bed, namespace: str) -> Iterator[Shop]:
    """A namespace on a bed that has our CRDs, the admission policy and the image of the service."""
    load_recipe(bed, "python")
    bed.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    bed.kubectl("wait", "--for=condition=Established", "crd/performanceconfigs.trimtab.dev", "--timeout=30s")
    install(bed)
    for name in (LEASE_NAMESPACE, namespace):
        bed.kubectl("create", "namespace", name, check=False)
    yield Shop(bed, namespace)
    bed.kubectl("delete", "namespace", namespace, "--wait=false")
