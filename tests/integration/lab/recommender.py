"""The real VPA recommender, fed with given samples: a Prometheus of our own answers its queries for history."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from testbed.bed import Bed
from tests.sure import sure
from tests.unit.lab.peers.vpa_cases import KILLED, REQUEST, Case
from trimtab.api.quantity import parse_quantity

NAMESPACE = "vpa-lab"
POD = f"{KILLED.name}-0"
MANIFESTS = Path(__file__).parent / "manifests" / "vpa-crds.yaml"
Series = list[dict[str, Any]]


class _Handler(BaseHTTPRequestHandler):
    """Prometheus's HTTP API, as far as a recommender asks it."""

    def do_GET(self) -> None:
        """A query in the URL."""
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        """A query in the body."""
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def _answer(self, form: str) -> None:
        asked = parse_qs(form)
        found = cast(_Server, self.server).history(asked.get("query", [""])[0])
        body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": found}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    history: Callable[[str], Series]


@contextmanager
def prometheus(cases: Sequence[Case], now: float) -> Iterator[str]:
    """A server on loopback that knows these containers' history up to `now`; yields its address."""

    def history(query: str) -> Series:
        if "container_cpu_usage_seconds_total" in query:
            return [_series(case, now, case.cpu.tolist()) for case in cases]
        if "container_memory_working_set_bytes" in query:
            return [_series(case, now, case.memory.tolist()) for case in cases]
        return [{"metric": _labels(case), "values": [[now, "1"]]} for case in cases]

    server = _Server(("127.0.0.1", 0), _Handler)
    server.history = history
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _series(case: Case, now: float, values: list[float]) -> dict[str, Any]:
    times = (now - case.ages).tolist()
    metric = {"namespace": NAMESPACE, "pod_name": f"{case.name}-0", "name": "app"}
    return {"metric": metric, "values": [[at, repr(value)] for at, value in zip(times, values, strict=True)]}


def _labels(case: Case) -> dict[str, str]:
    return {"kubernetes_namespace": NAMESPACE, "kubernetes_pod_name": f"{case.name}-0", "pod_label_app": case.name}


def apply_objects(bed: Bed, cases: Sequence[Case]) -> None:
    """What the recommender reads: a Deployment with a VerticalPodAutoscaler for every case, and a pod for KILLED."""
    bed.kubectl("apply", "-f", str(MANIFESTS))
    for name in ("verticalpodautoscalers.autoscaling", "pods.metrics"):
        bed.kubectl("wait", "--for=condition=Established", f"crd/{name}.k8s.io")
    objects: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]
    for case in cases:
        objects += _objects(case)
    bed.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    if KILLED in cases:
        _patch_status(bed, {"phase": "Running", "containerStatuses": [_container(ready=True, state={"running": {}})]})


def _objects(case: Case) -> list[dict[str, Any]]:
    meta: dict[str, Any] = {"name": case.name, "namespace": NAMESPACE}
    labels = {"app": case.name}
    requests = {"cpu": "1", "memory": str(REQUEST)}
    pod = {"containers": [{"name": "app", "image": "none", "resources": {"requests": requests}}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": case.name}
    autoscaler = {"targetRef": target, "updatePolicy": {"updateMode": "Off"}}
    made = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment},
        {"apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler", "metadata": meta, "spec": autoscaler},
    ]
    if case is KILLED:
        named = {"name": POD, "namespace": NAMESPACE, "labels": labels}
        made.append({"apiVersion": "v1", "kind": "Pod", "metadata": named, "spec": pod})
    return made


def _patch_status(bed: Bed, status: dict[str, Any]) -> None:
    """What a kubelet would say of KILLED's pod."""
    patch = json.dumps({"status": status})
    bed.kubectl("patch", "pod", POD, "-n", NAMESPACE, "--subresource=status", "--type=merge", "-p", patch)


def _container(*, ready: bool, state: dict[str, Any]) -> dict[str, Any]:
    return {"name": "app", "image": "none", "imageID": "", "restartCount": 0, "ready": ready, "state": state}


@contextmanager
def running(bed: Bed, binary: Path, cases: Sequence[Case], log: Path) -> Iterator[None]:
    """The recommender at work on these cases, with its first recommendations written."""
    apply_objects(bed, cases)
    with prometheus(cases, float(int(time.time()))) as address, log.open("wb") as said:
        flags = {
            "kubeconfig": bed.kubeconfig,
            "storage": "prometheus",
            "prometheus-address": address,
            "history-length": "8d",
            "history-resolution": "1m",
            "recommender-interval": "3s",
            "address": "127.0.0.1:0",
            "vpa-object-namespace": NAMESPACE,
        }
        command = [str(binary), *(f"--{name}={value}" for name, value in flags.items())]
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        try:
            wait = ("wait", "--for=condition=RecommendationProvided", "vpa", "--all", "--timeout=150s")
            bed.kubectl(*wait, "-n", NAMESPACE, timeout=160)
            yield
        finally:
            process.terminate()
            process.wait(30)
            bed.kubectl("delete", "namespace", NAMESPACE)
            bed.kubectl("delete", "-f", str(MANIFESTS))


def recommendations(bed: Bed, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """A row a case and resource with target, lower and upper, in cores or bytes, as the recommender wrote them."""
    return [
        {"case": case.name, "resource": resource, **_amounts(_read(bed, case), resource)}
        for case in cases
        for resource in ("cpu", "memory")
    ]


def after_oom_kill(bed: Bed) -> dict[str, Any]:
    """The memory row of KILLED after its pod was OOM-killed once, as its status tells."""
    before = _read(bed, KILLED)["target"]["memory"]
    path = "jsonpath={.status.recommendation.containerRecommendations}{'\\n'}"
    words = ["get", "vpa", KILLED.name, "-n", NAMESPACE, "--watch", "-o", path]
    command = [str(bed.bin_dir / "kubectl"), f"--kubeconfig={bed.kubeconfig}", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        overdue = threading.Timer(60, process.kill)
        overdue.start()
        try:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            ended = {"reason": "OOMKilled", "exitCode": 137, "startedAt": now, "finishedAt": now}
            _patch_status(bed, {"containerStatuses": [_container(ready=False, state={"terminated": ended})]})
            said = (json.loads(line)[0] for line in sure(process.stdout) if line.strip())
            after = next((one for one in said if one["target"]["memory"] != before), None)
        finally:
            overdue.cancel()
            process.kill()
    assert after is not None, "the recommendation did not change after the OOM kill"
    return {"case": f"{KILLED.name}, killed", "resource": "memory", **_amounts(after, "memory")}


def _read(bed: Bed, case: Case) -> dict[str, Any]:
    """The recommendation for the case's container."""
    found = json.loads(bed.kubectl("get", "vpa", case.name, "-n", NAMESPACE, "-o", "json"))
    (container,) = found["status"]["recommendation"]["containerRecommendations"]
    return dict(container)


def _amounts(container: dict[str, Any], resource: str) -> dict[str, float]:
    keys = {"target": "uncappedTarget", "lower": "lowerBound", "upper": "upperBound"}
    return {name: float(parse_quantity(container[key][resource])) for name, key in keys.items()}
