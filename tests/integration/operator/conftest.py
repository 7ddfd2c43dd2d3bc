"""The operator as its own process against a real API server, with a datasource that nobody answers."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.run import wait_until
from tests import reading

ROOT = Path(__file__).parents[3]
NAMESPACE, LEASE_NAMESPACE = "operated", "trimtab-test"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(look: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `look` gives once it is true, asked again and again until a deadline."""
    found: list[Any] = []

    def asked() -> bool:
        found[:] = [look()]
        return bool(found[0])

    wait_until(asked, seconds=seconds, what=what)
    return found[0]


@dataclass
class Operator:
    """One `trimtab run`."""

    kubeconfig: Path
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    name: str = "one"
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def start(self) -> "Operator":
        self.port = free_port()
        lease = {"name": "trimtab", "durationSeconds": 4, "renewSeconds": 3, "retrySeconds": 0.5}
        datasource = {"name": "default", "url": "http://127.0.0.1:9", "timeoutSeconds": 1}
        given = {"tickSeconds": 1, "port": self.port, "lease": lease, "datasources": [datasource]} | self.settings
        path = self.folder / f"{self.name}.json"
        path.write_text(json.dumps(given))
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig), "POD_NAME": self.name}
        command = [sys.executable, "-m", "trimtab.cli.main", "run", "--settings", str(path)]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--namespace", LEASE_NAMESPACE], env=env, stderr=log, stdout=log, cwd=self.folder
            )
        return self

    def get(self, path: str) -> str:
        """Text of an HTTP path of the operator; empty while it does not answer 200."""
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as r,
        ):
            return str(r.read().decode())
        return ""

    def leads(self) -> bool:
        return "trimtab_leader 1.0" in self.get("/metrics")

    def ticks(self) -> float:
        """Ticks that were finished."""
        lines = [
            x for x in self.get("/metrics").splitlines() if x.startswith('trimtab_tick_seconds_count{phase="record"}')
        ]
        return float(lines[0].split()[-1]) if lines else 0.0

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(90)

    @property
    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text()


@pytest.fixture(scope="session")
def crds(cluster: Bed) -> Bed:
    """The bed with our CRDs and the tests' namespaces."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    cluster.kubectl("wait", "--for=condition=Established", "crd/performanceconfigs.trimtab.dev", "--timeout=30s")
    cluster.kubectl("wait", "--for=condition=Established", "crd/tuningprofiles.trimtab.dev", "--timeout=30s")
    for name in (NAMESPACE, LEASE_NAMESPACE):
        cluster.kubectl("create", "namespace", name, check=False)
    return cluster


@pytest.fixture
def operators(crds: Bed, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Makes operators, ended at the end."""
    made: list[Operator] = []

    def make(name: str = "one", **settings: Any) -> Operator:
        made.append(Operator(crds.kubeconfig, tmp_path, settings, name))
        return made[-1].start()

    yield make
    for operator in made:
        operator.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def running(crds: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """One operator for the tests of a module."""
    operator = Operator(crds.kubeconfig, tmp_path_factory.mktemp("operator")).start()
    until(operator.leads, 90, "the operator leads")
    yield operator
    assert operator.end() == 0, operator.log


@dataclass
class Cluster:
    """Objects of the tests' namespace."""

    bed: Bed

    def apply(self, *objects: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.bed.kubectl("apply", "-n", NAMESPACE, "-f", "-", input=json.dumps(items))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return reading.one(self.bed, kind, NAMESPACE, name)

    def condition(self, name: str, kind: str, status: str, reason: str = "", seconds: float = 120) -> dict[str, Any]:
        """The condition, once it has this status (and reason), and is not about a first answer still to come."""

        def look() -> dict[str, Any] | None:
            conditions = self.get("performanceconfig", name).get("status", {}).get("conditions", [])
            found = [c for c in conditions if c["type"] == kind and c["status"] == status]
            found = [c for c in found if "has not answered yet" not in c["message"]]
            return next((c for c in found if not reason or c["reason"] == reason), None)

        found: dict[str, Any] = until(look, seconds, f"{name}: {kind}={status} {reason}")
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        found = reading.several(self.bed, "events.events.k8s.io", NAMESPACE)
        return [e for e in found if e.get("regarding", {}).get("name") == name]


@pytest.fixture
def shop(crds: Bed) -> Iterator[Cluster]:
    """An empty namespace to put objects into."""
    yield Cluster(crds)
    kinds = "performanceconfigs,deployments,statefulsets,horizontalpodautoscalers"
    crds.kubectl("delete", kinds, "--all", "-n", NAMESPACE, "--wait=true", timeout=60)


def deployment(name: str, env: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    container = {
        "name": "app",
        "image": "none",
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "env": env or [{"name": "BATCH_SIZE", "value": "4"}],
    }
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def config(name: str, target: str = "", **changes: Any) -> dict[str, Any]:
    """A PerformanceConfig; `changes` replace parts of its spec."""
    spec: dict[str, Any] = {
        "targetRef": {"kind": "Deployment", "name": target or name},
        "monitoring": {"metrics": [{"name": "totalLatency", "preset": "http-server-p95"}]},
        "optimization": {
            "autoTune": True,
            "targetMetrics": {"totalLatency": "0.3"},
            "constraints": {
                "replicas": {"min": 1, "max": 3},
                "containers": [{"name": "app", "cpu": {"min": "50m", "max": "1"}}],
                "knobs": [
                    {"name": "batch", "container": "app", "env": "BATCH_SIZE", "role": "Batch", "min": 1, "max": 64}
                ],
            },
        },
    } | changes
    return {"apiVersion": "trimtab.dev/v1alpha1", "kind": "PerformanceConfig", "metadata": {"name": name}, "spec": spec}
