"""What is really there, read from the cluster, the cgroups and the load: a snapshot every few seconds."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from demo.tools import DemoError, Tools

NAMESPACE, APP = "rag-demo", "rag-api"

# Runs in the container: cgroup v1 or v2, and the environment that the process really has.
PROBE = """
import json, pathlib
def read(*paths):
    for path in paths:
        try:
            return pathlib.Path("/sys/fs/cgroup", path).read_text().strip()
        except OSError:
            pass
    return ""
env = dict(e.split("=", 1) for e in pathlib.Path("/proc/1/environ").read_text().split("\\0") if "=" in e)
print(json.dumps({
    "cpu_shares": read("cpu/cpu.shares", "cpu.weight"),
    "cpu_quota": read("cpu/cpu.cfs_quota_us", "cpu.max"),
    "memory_limit": read("memory/memory.limit_in_bytes", "memory.max"),
    "memory_usage": read("memory/memory.usage_in_bytes", "memory.current"),
    "batch": env.get("BATCH_SIZE", ""),
}))
"""


@dataclass(frozen=True)
class Pod:
    """A running pod of the service, as the API server and its cgroup show it."""

    name: str
    uid: str
    ready: bool
    restarts: int
    requests: dict[str, str]
    limits: dict[str, str]
    cgroup: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """Everything at one instant; `at` is seconds since the load began."""

    at: float
    replicas: int
    template: str
    pods: tuple[Pod, ...]
    config: dict[str, Any]
    replica_sets: int

    @property
    def ready(self) -> int:
        """Ready pods, a trial pod included."""
        return sum(pod.ready for pod in self.pods)

    @property
    def status(self) -> dict[str, Any]:
        """Status of the PerformanceConfig."""
        found: dict[str, Any] = self.config.get("status", {})
        return found


@dataclass
class Load:
    """The load job's own lines, read in the background: what clients really saw."""

    tools: Tools
    lines: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Follow the job's log until it ends."""
        process = self.tools.follow(
            "kubectl", "logs", "-f", "-n", NAMESPACE, "job/rag-load", "--pod-running-timeout=60s"
        )

        def read() -> None:
            for line in process.stdout or ():
                try:
                    found = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if "summary" in found:
                    self.summary = found["summary"]
                elif "seconds" in found:
                    self.lines.append(found)

        threading.Thread(target=read, daemon=True).start()

    @property
    def last(self) -> dict[str, Any]:
        """The newest line."""
        return self.lines[-1] if self.lines else {}


def snapshots(
    tools: Tools,
    load: Load,
    seconds: float,
    settled: Callable[[], bool],
    grace: float,
    every: float = 3.0,
    probe_every: float = 15.0,
) -> Iterator[Snapshot]:
    """Look at the cluster every few seconds until the load ends, and into the cgroups of running pods less often.

    At most for so many seconds; after the load for `grace` seconds more while nothing is `settled`.
    """
    began = time.monotonic()
    ended = float("inf")
    probed, cgroups = -probe_every, dict[str, dict[str, str]]()
    while (at := time.monotonic() - began) < seconds:
        if load.summary:
            ended = min(ended, at)
            if settled() or at - ended > grace:
                return
        if at - probed >= probe_every:
            probed, cgroups = at, {}
        snapshot = look(tools, at, cgroups)
        if snapshot is not None:
            yield snapshot
        time.sleep(max(0.0, every - (time.monotonic() - began - at)))


def look(tools: Tools, at: float, cgroups: dict[str, dict[str, str]]) -> Snapshot | None:
    """One look, in one request; a ready pod without an entry in `cgroups` is probed and entered. None: not seen."""
    found = tools.get("deployments,replicasets,pods,performanceconfigs", "-n", NAMESPACE).get("items", [])
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for item in found:
        by_kind.setdefault(item["kind"], []).append(item)
    pods = []
    for raw in by_kind.get("Pod", []):
        pod = _pod(raw)
        if pod is None:
            continue
        if pod.ready and pod.uid not in cgroups:
            cgroups[pod.uid] = _probe(tools, pod.name)
        pods.append(replace(pod, cgroup=cgroups.get(pod.uid, {})))
    deployment = next((item for item in by_kind.get("Deployment", []) if item["metadata"]["name"] == APP), None)
    if deployment is None:
        return None
    return Snapshot(
        at=at,
        replicas=deployment.get("spec", {}).get("replicas", 0),
        template=json.dumps(deployment.get("spec", {}).get("template", {}), sort_keys=True),
        pods=tuple(sorted(pods, key=lambda pod: pod.name)),
        config=next((item for item in by_kind.get("PerformanceConfig", []) if item["metadata"]["name"] == APP), {}),
        replica_sets=len(by_kind.get("ReplicaSet", [])),
    )


def surely(tools: Tools, at: float, tries: int = 10) -> Snapshot:
    """One look that shows the Deployment.

    Raises:
        DemoError: it can't be read.
    """
    for _ in range(tries):
        if (seen := look(tools, at, {})) is not None:
            return seen
    raise DemoError(f"Deployment {APP} in {NAMESPACE} can't be read; see `kubectl get deployment -n {NAMESPACE}`.")


def _pod(raw: dict[str, Any]) -> Pod | None:
    meta, status = raw["metadata"], raw.get("status", {})
    if meta.get("labels", {}).get("app.kubernetes.io/name") != APP:
        return None
    if meta.get("deletionTimestamp") or status.get("phase") != "Running":
        return None
    container: dict[str, Any] = next((c for c in status.get("containerStatuses", []) if c["name"] == "app"), {})
    resources = container.get("resources", {})
    return Pod(
        name=meta["name"],
        uid=meta["uid"],
        ready=bool(container.get("ready")),
        restarts=int(container.get("restartCount", 0)),
        requests=resources.get("requests", {}),
        limits=resources.get("limits", {}),
    )


def _probe(tools: Tools, pod: str) -> dict[str, str]:
    return tools.ask("kubectl", "exec", "-n", NAMESPACE, pod, "-c", "app", "--", "python3", "-c", PROBE)
