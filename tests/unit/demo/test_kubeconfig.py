"""The demo's kind cluster has a kubeconfig of its own."""

import os
from pathlib import Path

import pytest

from demo import cli, cluster


def test_kind_never_writes_the_users_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/me/.kube/config")
    monkeypatch.setattr(cluster, "KUBECONFIG", tmp_path / "build" / "kind.kubeconfig")
    tools = cluster.kind_tools()
    assert tools.env["KUBECONFIG"] == str(tmp_path / "build" / "kind.kubeconfig")
    assert os.environ["KUBECONFIG"] == "/home/me/.kube/config"


@pytest.mark.parametrize(
    ("kind", "reach"),
    [("testbed", 'eval "$(.venv/bin/python -m testbed env --name demo)"; kubectl'), ("current", "explore: kubectl")],
)
def test_what_is_left_running_is_told_with_the_way_to_reach_it(kind: str, reach: str) -> None:
    assert reach in cli._kept(kind)
    assert f"make down CLUSTER={kind}" in cli._kept(kind)


def test_a_kind_cluster_is_reached_by_its_own_kubeconfig() -> None:
    assert f"export KUBECONFIG={cluster.KUBECONFIG}; kubectl" in cli._kept("kind")
