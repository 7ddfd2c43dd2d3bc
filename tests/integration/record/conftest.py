"""A client of the bed's API server, and a namespace with a PerformanceConfig in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testbed.bed import Bed
from trimtab.kube.client import KubeClient
from trimtab.kube.paths import resource_path
from trimtab.record.owned import Owner

ROOT = Path(__file__).parents[3]
KINDS = ("performanceconfigs", "tuningcheckpoints", "tuningjournals")


@pytest.fixture(scope="session")
def bed(cluster: Bed) -> Bed:
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    names = [f"crd/{kind}.trimtab.dev" for kind in KINDS]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    return cluster


@pytest.fixture
async def client(bed: Bed) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(bed.kubeconfig) as connected:
        yield connected


@pytest.fixture
async def namespace(client: KubeClient) -> AsyncIterator[str]:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "record-"}}
    made = await client.create(resource_path("", "v1", "namespaces"), body)
    name = made["metadata"]["name"]
    yield name
    await client.delete(resource_path("", "v1", "namespaces", None, name))


async def make(client: KubeClient, namespace: str, name: str) -> Owner:
    """A PerformanceConfig of this name."""
    body = {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "PerformanceConfig",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"targetRef": {"name": name}},
    }
    made = await client.create(resource_path("trimtab.dev", "v1alpha1", "performanceconfigs", namespace), body)
    return Owner(f"{namespace}/{name}", made["metadata"]["uid"])


@pytest.fixture
async def owner(client: KubeClient, namespace: str) -> Owner:
    return await make(client, namespace, "web")
