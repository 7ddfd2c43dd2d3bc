"""The admission policy installed on the bed's API server, and a namespace to meet it in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from testbed.bed import Bed
from tests.integration.act.policy import Admission, install, make_namespace
from trimtab.kube.client import KubeClient
from trimtab.kube.paths import resource_path


@pytest.fixture(scope="session")
def policy(cluster: Bed) -> Bed:
    install(cluster)
    return cluster


@pytest.fixture
async def admission(policy: Bed) -> AsyncIterator[Admission]:
    async with await KubeClient.connect(policy.kubeconfig) as client:
        namespace = await make_namespace(client, "act")
        yield Admission(client, namespace)
        await client.delete(resource_path("", "v1", "namespaces", None, namespace))
