"""CLUSTER=current: what is looked at before anything is written, and what is removed again."""

from __future__ import annotations

import json
import subprocess
from typing import Any, cast

import pytest

from demo import current
from demo.tools import DemoError, Tools

IMAGES = ["trimtab/operator:dev", "trimtab/rag-api:dev"]


class Kubectl:
    """A cluster that answers kubectl and helm."""

    def __init__(self) -> None:
        self.version = {"major": "1", "minor": "36+"}
        self.images = [f"docker.io/{name}" for name in IMAGES]
        self.namespaces: dict[str, dict[str, str]] = {"default": {}}
        self.crds: list[str] = []
        self.done: list[str] = []

    def kubectl(self, *words: str, text: str | None = None, timeout: float = 60) -> str:
        return self.run("kubectl", *words).stdout

    def run(self, *words: str, timeout: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
        printed = ""
        match words[1:]:
            case ["version", *_]:
                printed = json.dumps({"serverVersion": self.version})
            case ["get", "crd", *_]:
                printed = "\n".join(f"customresourcedefinition.apiextensions.k8s.io/{crd}" for crd in self.crds)
            case ["create", "namespace", name]:
                self.namespaces[name] = {}
            case ["label", "namespace", name, pair]:
                key, _, value = pair.partition("=")
                self.namespaces[name][key] = value
            case ["delete", "namespace", name, *_]:
                self.namespaces.pop(name, None)
        if words[1] in ("delete", "uninstall"):
            self.done.append(" ".join(words[1:4]))
        return subprocess.CompletedProcess(words, 0, printed, "")

    def get(self, *words: str) -> dict[str, Any]:
        if words == ("nodes",):
            return {"items": [{"metadata": {"name": "n"}, "status": {"images": [{"names": [n]} for n in self.images]}}]}
        found = self.namespaces.get(words[1])
        return {} if found is None else {"metadata": {"name": words[1], "labels": found}}


@pytest.fixture
def cluster() -> Kubectl:
    return Kubectl()


def tools(cluster: Kubectl) -> Tools:
    return cast(Tools, cluster)


def test_a_cluster_that_has_all_it_needs_is_taken(cluster: Kubectl) -> None:
    current.check(tools(cluster), IMAGES)
    assert cluster.done == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": {"major": "1", "minor": "35"}}, "runs Kubernetes 1.35"),
        ({"version": {}}, "runs Kubernetes 0.0"),
        ({"images": ["docker.io/trimtab/operator:dev"]}, "Node n lacks the images trimtab/rag-api:dev"),
        ({"namespaces": {"trimtab-system": {}}}, "leaves an installed Trimtab alone"),
    ],
)
def test_what_is_in_the_way_is_said_before_anything_is_written(
    cluster: Kubectl, changes: dict[str, Any], words: str
) -> None:
    for name, value in changes.items():
        setattr(cluster, name, value)
    with pytest.raises(DemoError, match=words):
        current.check(tools(cluster), IMAGES)


def test_of_a_node_with_more_images_than_it_reports_nothing_is_claimed(cluster: Kubectl) -> None:
    cluster.images = [f"example.org/{number}" for number in range(current.MOST_IMAGES)]
    current.check(tools(cluster), IMAGES)


@pytest.mark.parametrize("before", [[], ["performanceconfigs.trimtab.dev"]])
def test_what_the_demo_made_is_removed_and_crds_only_if_it_brought_them(cluster: Kubectl, before: list[str]) -> None:
    cluster.crds = list(before)
    current.claim(tools(cluster))
    current.claim(tools(cluster))  # a demo that was left running goes on
    cluster.crds = ["performanceconfigs.trimtab.dev", "others.example.org"]
    current.remove(tools(cluster))
    assert set(cluster.namespaces) == {"default"}
    assert ("delete customresourcedefinition.apiextensions.k8s.io/performanceconfigs.trimtab.dev" in cluster.done) is (
        not before
    )
    assert "uninstall trimtab -n" in cluster.done


def test_an_installed_trimtab_is_left_alone(cluster: Kubectl) -> None:
    cluster.namespaces["trimtab-system"] = {}
    current.remove(tools(cluster))
    assert cluster.done == []
    assert "trimtab-system" in cluster.namespaces
