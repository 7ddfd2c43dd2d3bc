"""The story: cluster, install, service, load, tuning, verdict."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.live import Live

from demo import cluster as clusters
from demo.checks import Check, judge, mib
from demo.cluster import Cluster
from demo.current import RELEASE, SYSTEM, label
from demo.tools import PROJECT, DemoError, Step, Tools, say, table, unready
from demo.view import console, line, render
from demo.watch import APP, NAMESPACE, Load, Snapshot, snapshots, surely

EXAMPLE = PROJECT / "examples" / "rag-api"
DURATION = 480
GRACE = 45
"""Seconds after the load in which the last scale-down may still come: its window began when the load fell."""
BASE, PEAK = 1.0, 8.0
MINUTES = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 when every check holds, 1 when one does not, 2 when the demo could not run."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--cluster", choices=["testbed", "kind", "current"], default="testbed")
    parser.add_argument("--load", choices=["steps", "spiky"], default="steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duration", type=float, default=DURATION, help="seconds of load")
    parser.add_argument(
        "--prometheus", default="", help="URL of the current cluster's Prometheus; without it the chart brings one"
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    parser.add_argument("--down", action="store_true", help="remove what a demo left, and do nothing else")
    options = parser.parse_args(arguments)
    try:
        if options.down:
            clusters.remove(options.cluster)
            return 0
        return _run(options)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"demo: interrupted; `make down CLUSTER={options.cluster}` removes what is left.", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    try:
        cluster = clusters.prepare(options.cluster, options.prometheus)
    except DemoError as error:
        raise DemoError(f"{error}\n`make down CLUSTER={options.cluster}` removes what is left.") from error
    prepared = time.monotonic()
    ok = False
    try:
        ok = _story(cluster, options)
    finally:
        if options.keep:
            say(_kept(options.cluster))
        elif options.cluster == "current":
            clusters.remove(options.cluster)
        else:
            with Step("removing the cluster"):
                clusters.remove(options.cluster)
    took = time.monotonic() - prepared
    say(f"The demo took {took:.0f} s, the cluster and its images {prepared - began:.0f} s.")
    if options.duration <= DURATION and took > 60 * MINUTES:
        say(f"FAILED: that is more than {MINUTES} minutes.")
        return 1
    return 0 if ok else 1


def _or_why(tools: Tools, namespace: str, *command: str) -> None:
    """Run a command that waits for pods.

    Raises:
        DemoError: it failed; with what keeps the pods of the namespace from being ready.
    """
    try:
        tools.run(*command, timeout=240)
    except DemoError as error:
        raise DemoError(f"{error}\n{unready(tools, namespace)}".strip()) from error


def _story(cluster: Cluster, options: argparse.Namespace) -> bool:
    tools = cluster.tools
    say("Install")
    if tools.get("namespace", NAMESPACE):
        if options.cluster == "current" and label(tools) is None:
            raise DemoError(f"Namespace {NAMESPACE} exists and is not the demo's; rename it, or use CLUSTER=testbed.")
        with Step("removing what an earlier demo left"):
            tools.run("kubectl", "delete", "namespace", NAMESPACE, "--wait", timeout=180)
    with Step("helm install trimtab"):
        sets = [word for value in cluster.values for word in ("--set", value)]
        install = ("helm", "upgrade", "--install", RELEASE, str(PROJECT / "charts" / "trimtab"), "-n", SYSTEM)
        _or_why(tools, SYSTEM, *install, "--create-namespace", "--wait", "--timeout", "180s", *sets)
    with Step("the service: one replica, BATCH_SIZE 1, requests by guess"):
        tools.kubectl("apply", "-f", str(EXAMPLE / "manifests.yaml"))
        _or_why(
            tools, NAMESPACE, "kubectl", "rollout", "status", f"deployment/{APP}", "-n", NAMESPACE, "--timeout=120s"
        )
    first = surely(tools, 0.0)
    manifest = EXAMPLE / "performanceconfig.yaml"
    with Step("kubectl apply -f examples/rag-api/performanceconfig.yaml"):
        tools.kubectl("apply", "-f", str(manifest))
    say("Times that are shortened, so that a few minutes show every move:")
    for text in manifest.read_text().splitlines():
        if "# default" in text:
            say(f"  {text.strip()}")
    say("  scrapes every 5 s, rates over 30 s         # usual 30 s, 5 min")
    load = _start_load(tools, options)
    history = [first, *_watch(tools, load, options.duration + 60 + GRACE)]
    with Step("a last look"):
        history.append(surely(tools, history[-1].at))
    say("\n$ kubectl describe performanceconfig rag-api -n rag-demo\n")
    say(tools.kubectl("describe", "performanceconfig", APP, "-n", NAMESPACE))
    events = tools.get("events.events.k8s.io", "-n", NAMESPACE).get("items", [])
    ours = [event for event in events if event.get("regarding", {}).get("name") == APP]
    target = _target(history[-1])
    checks = judge(history, load.lines, ours, target)
    say(_before_after(history, load.lines, load.summary))
    say(_verdict(checks))
    return all(check.ok for check in checks)


def _start_load(tools: Tools, options: argparse.Namespace) -> Load:
    address = tools.get("service", APP, "-n", NAMESPACE)["spec"]["clusterIP"]
    arguments = [
        "/app/load.py", "--url", f"http://{address}:80", "--shape", options.load, "--seed", str(options.seed),
        "--duration", f"{options.duration:g}", "--base", f"{BASE:g}", "--peak", f"{PEAK:g}", "--json",
    ]  # fmt: skip
    security = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "load", "image": clusters.IMAGES["rag-api"], "imagePullPolicy": "IfNotPresent",
        "command": ["python3", *arguments], "securityContext": security,
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }  # fmt: skip
    pod = {
        "restartPolicy": "Never", "containers": [container],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    }  # fmt: skip
    job = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "rag-load", "namespace": NAMESPACE},
        "spec": {"backoffLimit": 0, "activeDeadlineSeconds": int(options.duration) + 120, "template": {"spec": pod}},
    }  # fmt: skip
    with Step(f"load: {options.load}, seed {options.seed}, {BASE:g} to {PEAK:g} requests/s for {options.duration:g} s"):
        tools.run("kubectl", "delete", "job", "rag-load", "-n", NAMESPACE, "--ignore-not-found", "--wait")
        tools.kubectl("create", "-f", "-", text=json.dumps(job))
        tools.kubectl(
            "wait",
            "pod",
            "-l",
            "job-name=rag-load",
            "-n",
            NAMESPACE,
            "--for=condition=Ready",
            "--timeout=60s",
            timeout=70,
        )
    load = Load(tools)
    load.start()
    return load


def _watch(tools: Tools, load: Load, seconds: float) -> list[Snapshot]:
    history: list[Snapshot] = []

    def settled() -> bool:
        """Whether pods that were added are gone again."""
        return bool(history) and history[-1].replicas <= history[0].replicas

    screen = console()
    target = 0.0
    if not screen.is_terminal:
        for number, snapshot in enumerate(snapshots(tools, load, seconds, settled, GRACE)):
            history.append(snapshot)
            if number % 4 == 0:
                say(line(snapshot, load.lines))
        return history
    with Live(console=screen, refresh_per_second=2, transient=True) as live:
        for snapshot in snapshots(tools, load, seconds, settled, GRACE):
            history.append(snapshot)
            target = _target(snapshot)
            live.update(render(snapshot, load.lines, target, screen.width))
    screen.print(render(history[-1], load.lines, target, screen.width))
    return history


def _target(snapshot: Snapshot) -> float:
    text = snapshot.config.get("spec", {}).get("optimization", {}).get("targetMetrics", {}).get("totalLatency", "1")
    return float(str(text).removesuffix("m")) / (1000 if str(text).endswith("m") else 1)


def _before_after(history: Sequence[Snapshot], lines: Sequence[dict[str, Any]], summary: dict[str, Any]) -> str:
    first, last = history[0], history[-1]

    def column(snapshot: Snapshot) -> list[str]:
        pod = next((pod for pod in snapshot.pods if pod.cgroup), None)
        group = pod.cgroup if pod else {}
        return [
            str(snapshot.replicas), pod.requests.get("cpu", "-") if pod else "-", group.get("cpu_shares", "?"),
            group.get("cpu_quota", "?"), pod.requests.get("memory", "-") if pod else "-",
            mib(group.get("memory_limit", "")), mib(group.get("memory_usage", "")), group.get("batch", "?"),
        ]  # fmt: skip

    names = [
        "replicas", "CPU request", "cgroup cpu shares/weight", "cgroup cpu quota", "memory request",
        "cgroup memory limit", "cgroup memory usage", "BATCH_SIZE of the process",
    ]  # fmt: skip
    rows = [["", "before", "after"], *([n, a, b] for n, a, b in zip(names, column(first), column(last), strict=True))]
    rows.append(["most replicas on the way", "", str(max(snapshot.replicas for snapshot in history))])
    answered = summary.get("results", {})
    rows.append(
        [
            "requests answered / failed",
            "",
            f"{answered.get('ok', 0)} / {sum(answered.values()) - answered.get('ok', 0)}",
        ]
    )
    return "\nBefore and after, as read from the pods and their cgroups\n\n" + table(rows)


def _verdict(checks: Sequence[Check]) -> str:
    rows = [["", "check", "seen"], *([("ok" if c.ok else "FAILED"), c.name, c.seen] for c in checks)]
    failed = sum(not check.ok for check in checks)
    closing = "Every check holds." if not failed else f"{failed} of {len(checks)} checks FAILED."
    return f"\n{table(rows)}\n\n{closing}"


def _kept(kind: str) -> str:
    reach = {
        "testbed": 'eval "$(.venv/bin/python -m testbed env --name demo)"; ',
        "kind": f"export KUBECONFIG={clusters.KUBECONFIG}; ",
    }.get(kind, "")
    explore = f"{reach}kubectl describe performanceconfig rag-api -n rag-demo"
    return f"Left running.\n  explore: {explore}\n  remove:  make down CLUSTER={kind}"
