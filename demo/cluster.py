"""Where the demo runs: the project's own test bed, a kind cluster, or the current context."""

import os
import shlex
import sys
from dataclasses import dataclass

from demo import current
from demo.tools import PROJECT, DemoError, Step, Tools, say

BED = "demo"
IMAGES = {"operator": "trimtab/operator:dev", "rag-api": "trimtab/rag-api:dev"}
KUBECONFIG = PROJECT / ".build" / "kind.kubeconfig"
"""Of the demo's own kind cluster: the user's file, and the context chosen there, stay as they are."""
_CONTEXTS = {"operator": PROJECT, "rag-api": PROJECT / "examples" / "rag-api"}


@dataclass(frozen=True)
class Cluster:
    """A cluster with the demo's images in it, and the chart values that fit it."""

    kind: str
    tools: Tools
    values: tuple[str, ...]
    """`--set` arguments for helm."""


def prepare(kind: str, prometheus: str = "") -> Cluster:
    """Bring the cluster up (testbed, kind) or check that it is there (current), with the images loaded.

    `prometheus` is the URL of one that the cluster of the current context has; without it the chart brings its own.

    Raises:
        DemoError: a part is missing; the message says which.
    """
    if kind == "current":
        return _current(prometheus)
    return {"testbed": _testbed, "kind": _kind}[kind]()


def remove(kind: str) -> None:
    """Remove the cluster that `prepare` brought up; from a cluster of the user's own, what the demo put there."""
    tools = Tools()
    if kind == "testbed":
        tools.run(sys.executable, "-m", "testbed", "down", "--name", BED, timeout=180)
    elif kind == "kind":
        kind_tools().run("kind", "delete", "cluster", "--name", "trimtab", timeout=180)
    else:
        current.remove(tools)


def bed_tools() -> Tools:
    """Tools that reach the demo's test bed."""
    done = Tools().run(sys.executable, "-m", "testbed", "env", "--name", BED, check=False)
    if done.returncode != 0:
        raise DemoError("The demo's test bed is not up; run `make demo KEEP=1` first.")
    env = dict(os.environ)
    for line in done.stdout.splitlines():
        key, _, value = line.removeprefix("export ").removesuffix(";").partition("=")
        words = shlex.split(value.replace('"$PATH"', shlex.quote(env.get("PATH", ""))))
        env[key] = words[0] if words else ""
    return Tools(env)


def kind_tools() -> Tools:
    """Tools that reach the demo's kind cluster."""
    KUBECONFIG.parent.mkdir(exist_ok=True)
    return Tools({**os.environ, "KUBECONFIG": str(KUBECONFIG)})


def _testbed() -> Cluster:
    """A bed of our own; its Prometheus scrapes cAdvisor and annotated pods."""
    plain = Tools()
    say("Test bed: API server, kubelet, containerd and Prometheus in a network namespace of their own")
    _loud(plain, sys.executable, "-m", "testbed", "up", "--name", BED)
    _loud(plain, sys.executable, "-m", "testbed", "image", "load", *IMAGES, "--name", BED)
    values = (
        "image.tag=dev",
        "image.pullPolicy=Never",
        *current.datasource("http://prometheus.monitoring:9090"),
    )
    return Cluster("testbed", bed_tools(), values)


def _kind() -> Cluster:
    tools = kind_tools()
    tools.need("docker", "kind", "kubectl", "helm")
    clusters = tools.run("kind", "get", "clusters").stdout.split()
    if "trimtab" not in clusters:
        with Step("kind cluster"):
            tools.run("kind", "create", "cluster", "--config", PROJECT / "kind-config.yaml", timeout=600)
    tools.run("kind", "export", "kubeconfig", "--name", "trimtab")
    for name, image in IMAGES.items():
        with Step(f"image {image}"):
            tools.run("docker", "build", "-t", image, _CONTEXTS[name], timeout=900)
            tools.run("kind", "load", "docker-image", image, "--name", "trimtab", timeout=300)
    return Cluster("kind", tools, ("image.tag=dev", "image.pullPolicy=Never", *current.datasource("")))


def _current(prometheus: str) -> Cluster:
    tools = Tools()
    tools.need("kubectl", "helm")
    context = tools.run("kubectl", "config", "current-context").stdout.strip()
    say(f"Current context: {context}")
    current.check(tools, list(IMAGES.values()))
    current.claim(tools)
    values = ("image.tag=dev", "image.pullPolicy=IfNotPresent", *current.datasource(prometheus))
    return Cluster("current", tools, values)


def _loud(tools: Tools, *command: str) -> None:
    """Run a command of ours that shows its own progress."""
    import subprocess

    if subprocess.run(list(command), env=dict(tools.env), cwd=PROJECT, check=False).returncode != 0:
        raise DemoError(f"`{' '.join(command[1:5])}` failed; its message is above.")
