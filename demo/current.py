"""A cluster of the user's own: looked at before anything is written, and left as it was found.

What the demo made is told by a label on the operator's namespace; a Trimtab that somebody installed is never touched.
"""

import json
from typing import Any

from demo.tools import DemoError, Step, Tools

RELEASE, SYSTEM, SERVICE = "trimtab", "trimtab-system", "rag-demo"
LABEL = "trimtab.dev/demo"
WITH_CRDS, WITHOUT_CRDS = "with-crds", "without-crds"
OLDEST = (1, 36)
MOST_IMAGES = 50
"""The kubelet reports this many images at most (nodeStatusMaxImages); of longer lists nothing can be told."""
OWN_SCRAPES = ("prometheus.enabled=true", "prometheus.scrapeIntervalSeconds=5")


def check(tools: Tools, images: list[str]) -> None:
    """Whether the demo can run on the cluster of the current context.

    Raises:
        DemoError: it can't be reached, is too old, lacks the images, or holds somebody's Trimtab.
    """
    version = json.loads(tools.kubectl("version", "-o", "json")).get("serverVersion", {})
    served = tuple(int("".join(c for c in version.get(part, "0") if c.isdigit()) or 0) for part in ("major", "minor"))
    if served < OLDEST:
        raise DemoError(
            f"The cluster runs Kubernetes {served[0]}.{served[1]}; the demo shows knobs, which need "
            f"{OLDEST[0]}.{OLDEST[1]}. Use CLUSTER=testbed."
        )
    for node in tools.get("nodes").get("items", []):
        lacking = missing_images(node, images)
        if lacking:
            raise DemoError(
                f"Node {node['metadata']['name']} lacks the images {', '.join(lacking)}; build them from the two "
                "Dockerfiles (here and in examples/rag-api) and load them onto every node."
            )
    if label(tools) == "":
        raise DemoError(f"Namespace {SYSTEM} exists and is not the demo's; the demo leaves an installed Trimtab alone.")


def missing_images(node: dict[str, Any], images: list[str]) -> list[str]:
    """Images that a schedulable node does not report."""
    reported = node.get("status", {}).get("images") or []
    if node.get("spec", {}).get("unschedulable") or len(reported) >= MOST_IMAGES:
        return []
    names = {name.removeprefix("docker.io/") for image in reported for name in image.get("names") or []}
    return [image for image in images if image not in names]


def label(tools: Tools) -> str | None:
    """The demo's label of the operator's namespace; empty: the namespace is not ours, None: there is none."""
    found = tools.get("namespace", SYSTEM)
    return str(found["metadata"].get("labels", {}).get(LABEL, "")) if found else None


def claim(tools: Tools) -> None:
    """Make the operator's namespace, and note whether the CRDs are the demo's to remove."""
    if label(tools):
        return
    crds = _crds(tools)
    tools.kubectl("create", "namespace", SYSTEM)
    tools.kubectl("label", "namespace", SYSTEM, f"{LABEL}={WITHOUT_CRDS if crds else WITH_CRDS}")


def remove(tools: Tools) -> None:
    """Remove what the demo made in the cluster, and nothing else."""
    ours = label(tools)
    if not ours:
        return
    with Step("removing the service and the release"):
        tools.run("kubectl", "delete", "namespace", SERVICE, "--ignore-not-found", timeout=180)
        tools.run("helm", "uninstall", RELEASE, "-n", SYSTEM, "--wait", "--ignore-not-found", timeout=180)
        if ours == WITH_CRDS and (crds := _crds(tools)):
            tools.run("kubectl", "delete", *crds, timeout=120)
        tools.run("kubectl", "delete", "namespace", SYSTEM, timeout=180)


def _crds(tools: Tools) -> list[str]:
    return [name for name in tools.kubectl("get", "crd", "-o", "name").split() if name.endswith(".trimtab.dev")]


def datasource(url: str) -> tuple[str, ...]:
    """Chart values for a Prometheus that is there already; without one the chart brings its own."""
    if not url:
        return OWN_SCRAPES
    return (
        "datasources[0].name=default",
        f"datasources[0].url={url}",
        "datasources[0].scrapeIntervalSeconds=5",
        "datasources[0].tenancy.label=namespace",
    )
