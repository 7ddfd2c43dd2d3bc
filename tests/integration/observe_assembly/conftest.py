"""A client of the bed, a namespace of one's own, and the mirrors of the real cluster."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from testbed.bed import Bed
from trimtab.kube.client import KubeClient
from trimtab.kube.paths import resource_path
from trimtab.kube.world import World

CRDS = Path(__file__).parents[3] / "crds"


@pytest.fixture
async def client(cluster: Bed) -> AsyncIterator[KubeClient]:
    cluster.kubectl("apply", "--server-side", "-f", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "crd/tuningprofiles.trimtab.dev")
    async with await KubeClient.connect(cluster.kubeconfig) as connected:
        yield connected


@pytest.fixture
async def namespace(client: KubeClient) -> AsyncIterator[str]:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "observe-"}}
    made = await client.create(resource_path("", "v1", "namespaces"), body)
    name = made["metadata"]["name"]
    yield name
    await client.delete(resource_path("", "v1", "namespaces", None, name))


@pytest.fixture
async def world(client: KubeClient) -> AsyncIterator[World]:
    made = World(client)
    await made.start()
    await made.wait_synced()
    yield made
    await made.stop()


Apply = Callable[..., str]


@pytest.fixture
def apply(cluster: Bed, namespace: str) -> Apply:
    def put(*objects: dict[str, object]) -> str:
        text = "\n---\n".join(json.dumps(one) for one in objects)
        return cluster.kubectl("apply", "-n", namespace, "-f", "-", input=text)

    return put
