"""A client of the bed's API server and a namespace of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from testbed.bed import Bed
from trimtab.kube.client import KubeClient
from trimtab.kube.paths import resource_path


@pytest.fixture
async def client(cluster: Bed) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect(cluster.kubeconfig) as connected:
        yield connected


@pytest.fixture
async def namespace(client: KubeClient) -> AsyncIterator[str]:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "kube-"}}
    made = await client.create(resource_path("", "v1", "namespaces"), body)
    name = made["metadata"]["name"]
    yield name
    await client.delete(resource_path("", "v1", "namespaces", None, name))
