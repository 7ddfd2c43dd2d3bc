from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config

from testbed.bed import Bed
from tests.sure import sure
from trimtab.kube import errors
from trimtab.kube.client import KubeClient
from trimtab.kube.credentials import Credentials
from trimtab.kube.discovery import Discovery
from trimtab.kube.paths import resource_path
from trimtab.kube.strip import strip_pod
from trimtab.kube.transport import Json

pytestmark = pytest.mark.cluster


def config_maps(namespace: str, name: str | None = None) -> str:
    return resource_path("", "v1", "configmaps", namespace, name)


def config_map(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_an_object_is_created_read_changed_by_every_patch_and_deleted(client: KubeClient, namespace: str) -> None:
    path = config_maps(namespace, "a")
    made = await client.create(config_maps(namespace), config_map("a", x="1"))
    assert made["metadata"]["managedFields"][0]["manager"] == "trimtab"
    await client.merge_patch(path, {"data": {"y": "2"}})
    await client.strategic_patch(path, {"data": {"z": "3"}})
    operations = [{"op": "test", "path": "/data/x", "value": "1"}, {"op": "remove", "path": "/data/x"}]
    await client.json_patch(path, operations)
    live = await client.get(path)
    assert live["data"] == {"y": "2", "z": "3"}
    live["data"] = {"only": "this"}
    assert (await client.replace(path, live))["data"] == {"only": "this"}
    await client.merge_patch(path, {"data": {"only": "dry"}}, dry_run=True)
    assert (await client.get(path))["data"] == {"only": "this"}
    with pytest.raises(errors.Conflict):
        await client.delete(path, uid="another")
    await client.delete(path, uid=live["metadata"]["uid"])
    with pytest.raises(errors.NotFound):
        await client.get(path)


async def test_refusals_have_their_types(client: KubeClient, namespace: str) -> None:
    path = config_maps(namespace, "a")
    made = await client.create(config_maps(namespace), config_map("a"))
    with pytest.raises(errors.AlreadyExists):
        await client.create(config_maps(namespace), config_map("a"))
    await client.merge_patch(path, {"data": {"x": "1"}})
    with pytest.raises(errors.Conflict) as stale:
        await client.replace(path, made)
    assert not stale.value.conflicting_managers
    with pytest.raises(errors.Invalid) as invalid:
        await client.create(config_maps(namespace), config_map("Not A Name"))
    assert invalid.value.causes[0].field == "metadata.name"
    with pytest.raises(errors.Invalid):
        await client.json_patch(path, [{"op": "test", "path": "/data/x", "value": "2"}])
    with pytest.raises(errors.BadRequest):
        await client.replace(path, config_map("another"))
    with pytest.raises(errors.NotFound):
        await client.get(resource_path("nobody.dev", "v1", "things", namespace))


async def test_a_service_account_without_rights_is_forbidden_and_a_wrong_token_unauthorized(
    client: KubeClient, namespace: str, cluster: Bed
) -> None:
    account = resource_path("", "v1", "serviceaccounts", namespace, "visitor")
    await client.create(
        resource_path("", "v1", "serviceaccounts", namespace),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "visitor"}},
    )
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    token = (await client.create(f"{account}/token", request))["status"]["token"]
    configuration = Configuration()
    await load_kube_config(config_file=str(cluster.kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
    configuration.cert_file = configuration.key_file = None
    configuration.api_key["BearerToken"] = f"Bearer {token}"
    async with KubeClient(Credentials(configuration)) as visitor:
        with pytest.raises(errors.Forbidden, match="visitor") as forbidden:
            await visitor.list(config_maps(namespace))
        assert not forbidden.value.node_capacity
    configuration.api_key["BearerToken"] = "Bearer wrong"
    async with KubeClient(Credentials(configuration)) as stranger:
        with pytest.raises(errors.Unauthorized):
            await stranger.list(config_maps(namespace))


async def test_a_server_that_is_not_who_it_should_be_is_not_talked_to(cluster: Bed) -> None:
    configuration = Configuration(host=cluster.api_url)
    async with KubeClient(Credentials(configuration)) as unsure:
        with pytest.raises(errors.Unavailable, match="Certificate"):
            await unsure.get("/version")


async def test_a_list_is_whole_however_small_its_pages(client: KubeClient, namespace: str) -> None:
    names = [f"m{at:02}" for at in range(11)]
    for name in names:
        await client.create(config_maps(namespace), config_map(name))
    selector = "metadata.name!=kube-root-ca.crt"
    whole = await client.list(config_maps(namespace), field_selector=selector, limit=3)
    assert [item["metadata"]["name"] for item in whole["items"]] == names
    assert int(whole["metadata"]["resourceVersion"]) > 0
    assert "continue" not in whole["metadata"]


async def test_an_apply_conflict_names_the_other_manager_and_force_takes_over(
    client: KubeClient, namespace: str
) -> None:
    path = config_maps(namespace, "a")
    await client.apply(path, config_map("a", x="theirs"), field_manager="helm")
    with pytest.raises(errors.Conflict) as conflict:
        await client.apply(path, config_map("a", x="ours"))
    assert conflict.value.conflicting_managers == ("helm",)
    assert (await client.apply(path, config_map("a", x="ours"), force=True))["data"] == {"x": "ours"}


async def test_kinds_are_discovered_with_their_subresources(client: KubeClient) -> None:
    discovery = Discovery(client)
    found = await discovery.resource_for("apps/v1", "Deployment")
    assert (found.plural, found.namespaced, found.scalable) == ("deployments", True, True)
    pods = await discovery.resource_for("v1", "Pod")
    assert {"resize", "eviction", "status"} <= pods.subresources
    assert not pods.scalable
    assert not (await discovery.resource_for("v1", "Node")).namespaced
    for api_version in ("apps/v1", "nobody.dev/v1"):
        with pytest.raises(errors.NotFound, match="does not serve"):
            await discovery.resource_for(api_version, "Nothing")


async def running_pod(client: KubeClient, namespace: str, node: str) -> str:
    """A pod that the API server believes to run; no kubelet is needed for that. Returns its path."""
    resources = {"requests": {"cpu": "100m", "memory": "32Mi"}}
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": {"app": "p"}},
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "app", "resources": resources}]},
    }
    await client.create(resource_path("", "v1", "pods", namespace), body)
    path = resource_path("", "v1", "pods", namespace, "p")
    started = {
        "name": "app",
        "ready": True,
        "restartCount": 0,
        "image": "app",
        "imageID": "app",
        "resources": resources,
    }
    started["state"] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [started],
    }
    await client.strategic_patch(f"{path}/status", {"status": status})
    return path


async def default_account(client: KubeClient, namespace: str) -> None:
    """Wait until the controller has made it: without it no pod is admitted."""
    path = resource_path("", "v1", "serviceaccounts", namespace)
    async with asyncio.timeout(30):
        async for event in client.stream_watch(path):
            if event["type"] == "ADDED" and event["object"]["metadata"]["name"] == "default":
                return


async def test_a_resize_beyond_the_node_and_an_eviction_beyond_the_budget_are_told_apart(
    client: KubeClient, namespace: str
) -> None:
    await default_account(client, namespace)
    node = f"{namespace}-node"
    nodes = resource_path("", "v1", "nodes")
    await client.create(nodes, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    try:
        capacity = {"cpu": "1", "memory": "1Gi", "pods": "10"}
        await client.strategic_patch(
            f"{nodes}/{node}/status", {"status": {"capacity": capacity, "allocatable": capacity}}
        )
        pod = await running_pod(client, namespace, node)
        larger = {"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "200m"}}}]}}
        await client.strategic_patch(f"{pod}/resize", larger)
        resized = sure(strip_pod(await client.get(pod)))
        assert (resized.resized_by, resized.resized_at > 0) == ("trimtab", True), "who resized it stands in the pod"
        larger["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "64"}}
        with pytest.raises(errors.Forbidden) as too_large:
            await client.strategic_patch(f"{pod}/resize", larger)
        assert too_large.value.node_capacity
        budgets = resource_path("policy", "v1", "poddisruptionbudgets", namespace)
        budget = {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "b"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "p"}}},
        }
        await client.create(budgets, budget)
        async with asyncio.timeout(30):
            async for event in client.stream_watch(budgets):
                if event["object"].get("status", {}).get("currentHealthy") == 1:
                    break
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p", "namespace": namespace}}
        with pytest.raises(errors.TooManyRequests) as refused:
            await client.create(f"{pod}/eviction", eviction)
        assert refused.value.disruption_budget
    finally:
        await client.delete(f"{nodes}/{node}")
