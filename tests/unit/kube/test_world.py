"""The mirrors of a cluster, asked from memory."""

import asyncio
import math
from typing import Any

import pytest

from tests.sure import sure
from tests.unit.observe_assembly.bench import (
    OPTIONAL,
    FakeClient,
    _resources,
    deployment,
    meta,
    node,
    patient,
    pod,
    replica_set,
    shop,
    started_world,
)
from trimtab.kube.discovery import Discovery
from trimtab.kube.errors import Forbidden, Unavailable
from trimtab.kube.polled import TargetKey
from trimtab.kube.world import World

FORBIDDEN = Forbidden(403, "Forbidden", "no")


@pytest.fixture
async def client() -> Any:
    return FakeClient()


def hpa(name: str = "scaler", target: str = "web", kind: str = "Deployment") -> Any:
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": meta(name),
        "spec": {"scaleTargetRef": {"kind": kind, "name": target}},
    }


async def test_pods_of_a_deployment_come_through_all_its_replica_sets(client: FakeClient) -> None:
    owner = deployment()
    old, new = replica_set(owner, "aaaa", 1), replica_set(owner, "bbbb", 2)
    stranger = replica_set(deployment("other"), "cccc")
    client.put(owner, old, new, stranger, pod(old, "1"), pod(new, "2"), pod(stranger, "3"), pod(None, "orphan"))
    world = await started_world(client)
    target = sure(world.target("shop", "apps/v1", "Deployment", "web"))
    assert sorted(one.name for one in world.pods_of(target)) == ["web-aaaa-1", "web-bbbb-2"]
    assert sure(world.current_replicaset(target)).name == "web-bbbb"
    await world.stop()


async def test_trial_pods_and_swapped_pods_are_found_apart_from_the_workloads(client: FakeClient) -> None:
    owner = shop(client)
    trial = pod(None, "web-trial", metadata={"labels": {"app": "web", "trimtab.dev/trial": "cfg"}})
    sets = client.objects["/apis/apps/v1/replicasets"].values()
    swapped = pod(next(iter(sets)), "swapped", metadata={"annotations": {"trimtab.dev/swapped": "true"}})
    client.put(trial, swapped)
    world = await started_world(client)
    target = sure(world.target("shop", "apps/v1", "Deployment", "web"))
    assert [one.name for one in world.trial_pods("shop", "cfg")] == ["web-trial"]
    assert "web-trial" not in {one.name for one in world.pods_of(target)}
    assert {one.name for one in world.marked_pods()} == {"web-trial", swapped["metadata"]["name"]}
    assert owner["metadata"]["uid"] == target.uid
    await world.stop()


async def test_a_change_in_the_cluster_is_seen_without_asking(client: FakeClient) -> None:
    shop(client)
    world = await started_world(client)
    raw = deployment(replicas=9)
    client.put(raw)
    await client.settle()
    assert sure(world.target("shop", "apps/v1", "Deployment", "web")).replicas == 9
    client.remove(raw)
    await client.settle()
    assert world.target("shop", "apps/v1", "Deployment", "web") is None
    await world.stop()


async def test_the_template_comes_only_when_asked_for(client: FakeClient) -> None:
    owner = shop(client)
    world = await started_world(client)
    assert sure(world.target("shop", "apps/v1", "Deployment", "web")).template == {}
    full = sure(world.target("shop", "apps/v1", "Deployment", "web", template=True))
    assert full.template == owner["spec"]["template"]
    await world.stop()


async def test_rivals_budgets_nodes_and_namespaces_are_found(client: FakeClient) -> None:
    shop(client)
    budget = {
        "kind": "PodDisruptionBudget",
        "metadata": meta("pdb"),
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
    }
    space = {"kind": "Namespace", "metadata": {"name": "shop", "annotations": {"trimtab.dev/pause": "true"}}}
    client.put(hpa(), hpa("else", "other"), budget, node("node-2", cpu="16"), space)
    world = await started_world(client)
    target = sure(world.target("shop", "apps/v1", "Deployment", "web"))
    assert [rival.name for rival in world.rivals(target)] == ["scaler"]
    assert [one.name for one in world.budgets_for(world.pods_of(target)[0])] == ["pdb"]
    assert {one.name for one in world.nodes()} == {"node-1", "node-2"}
    assert world.namespace_paused("shop")
    assert not world.namespace_paused("elsewhere")
    await world.stop()


async def test_optional_kinds_are_watched_only_where_they_are_installed(client: FakeClient) -> None:
    owner = shop(client)
    client.objects["/apis/keda.sh/v1alpha1/scaledobjects"]["shop/s"] = {
        "kind": "ScaledObject",
        "metadata": meta("s"),
        "spec": {"scaleTargetRef": {"name": "web"}},
    }
    world = await started_world(client)
    target = sure(world.target("shop", "apps/v1", "Deployment", "web"))
    assert world.rivals(target) == []
    assert "/apis/keda.sh/v1alpha1/scaledobjects" not in client.watchers
    await world.stop()

    client.gets[OPTIONAL["ScaledObject"]] = _resources(("scaledobjects", "ScaledObject"))
    world = await started_world(client)
    assert [rival.kind for rival in world.rivals(target)] == ["ScaledObject"]
    assert owner["metadata"]["uid"] == target.uid
    await world.stop()


def serves_vpas(world: World) -> bool | None:
    return world.capabilities.vertical_autoscalers


async def test_a_crd_that_is_installed_later_is_noticed(client: Any) -> None:
    clock = [0.0]
    world = World(client, discovery=Discovery(client, clock=lambda: clock[0]), clock=lambda: clock[0], sleep=patient)
    await world.refresh()
    assert serves_vpas(world) is False
    client.gets[OPTIONAL["VerticalPodAutoscaler"]] = _resources(("verticalpodautoscalers", "VerticalPodAutoscaler"))
    await world.refresh()
    assert serves_vpas(world) is False
    clock[0] = 121.0
    await world.refresh()
    assert serves_vpas(world) is True
    await world.stop()


async def test_nothing_counts_as_synced_before_the_api_server_said_what_it_serves(client: Any) -> None:
    client.gets[OPTIONAL["ScaledObject"]] = Unavailable(503, "Unavailable", "down")
    world = World(client, clock=lambda: 0.0, sleep=patient)
    await world.refresh()
    assert world.capabilities.scaled_objects is None
    assert not world.synced
    await world.stop()


async def test_forbidden_nodes_are_unknown_with_a_note_and_do_not_hold_up_the_rest(client: FakeClient) -> None:
    shop(client)
    client.refused["/api/v1/nodes"] = FORBIDDEN
    world = await started_world(client)
    assert world.nodes() == []
    (note,) = world.notes()
    assert "nodes cannot be watched" in note
    assert "grant" in note
    assert world.target("shop", "apps/v1", "Deployment", "web") is not None
    await world.stop()


HPAS = "/apis/autoscaling/v2/horizontalpodautoscalers"


@pytest.mark.parametrize("error", [FORBIDDEN, Unavailable(503, "Unavailable", "etcd is down")])
async def test_autoscalers_that_were_never_listed_are_told_apart_from_none(
    client: FakeClient, error: Exception
) -> None:
    shop(client)
    world = await started_world(client)
    assert world.unseen_rivals == ()
    await world.stop()
    client.refused[HPAS] = error
    world = World(client, clock=lambda: 0.0, sleep=patient)  # type: ignore[arg-type]
    await world.start()
    await client.settle()
    assert world.unseen_rivals == ("horizontalpodautoscalers.autoscaling",)
    await world.stop()


async def test_in_namespaced_mode_only_the_listed_namespaces_are_watched(client: FakeClient) -> None:
    shop(client)
    elsewhere = deployment("web", metadata={"namespace": "other"})
    client.put(elsewhere)
    client.gets["/api/v1/namespaces/shop"] = {"metadata": {"name": "shop", "annotations": {"trimtab.dev/pause": "1"}}}
    client.refused["/api/v1/namespaces"] = FORBIDDEN
    world = await started_world(client, namespaces=["shop"])
    assert world.target("shop", "apps/v1", "Deployment", "web") is not None
    assert world.target("other", "apps/v1", "Deployment", "web") is None
    assert world.namespace_paused("shop")
    await world.stop()


async def test_a_namespace_that_may_not_be_read_is_noted(client: FakeClient) -> None:
    client.gets["/api/v1/namespaces/shop"] = FORBIDDEN
    world = await started_world(client, namespaces=["shop"])
    assert not world.namespace_paused("shop")
    assert any("trimtab.dev/pause" in note for note in world.notes())
    await world.stop()


async def test_a_kind_that_is_not_watched_is_read_through_its_scale(client: FakeClient) -> None:
    key = TargetKey("shop", "argoproj.io/v1alpha1", "Rollout", "canary")
    client.gets["/apis/argoproj.io/v1alpha1"] = _resources(("rollouts", "Rollout"), ("rollouts/scale", "Scale"))
    path = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/canary"
    client.gets[path] = {"metadata": meta("canary")}
    client.gets[f"{path}/scale"] = {"spec": {"replicas": 3}, "status": {"replicas": 3, "selector": "app=web"}}
    client.put(pod(None, "one"), pod(None, "two", metadata={"labels": {"app": "no"}}))
    world = await started_world(client)
    where = (key.namespace, key.api_version, key.kind, key.name)
    world.follow([key])
    assert world.target(*where) is None
    await world.refresh()
    target = sure(world.target(*where))
    assert target.replicas == 3
    assert [one.name for one in world.pods_of(target)] == ["one"]
    client.gets[path] = Unavailable(503, "Unavailable", "down")
    await world.refresh()
    assert sure(world.target(*where)) == target, "no answer is not an answer"
    del client.gets[path]
    await world.refresh()
    assert world.target(*where) is None
    world.follow([])
    assert world.target_error(*where) is None
    await world.stop()


async def test_a_kind_without_a_scale_subresource_is_told_apart_from_one_that_is_absent(client: FakeClient) -> None:
    world = await started_world(client)
    client.gets["/apis/batch/v1"] = _resources(("cronjobs", "CronJob"))
    key = TargetKey("shop", "batch/v1", "CronJob", "nightly")
    world.follow([key])
    await world.refresh()
    assert world.target_scalable("shop", "batch/v1", "CronJob", "nightly") is False
    await world.stop()


async def test_the_cluster_says_whether_it_can_resize_and_shape_pods(client: FakeClient) -> None:
    world = await started_world(client)
    assert world.capabilities.version == "v1.36.3"
    assert world.capabilities.pod_resize is True
    assert world.capabilities.shapes_new_pods
    await world.stop()


async def test_staleness_is_infinite_before_the_first_list(client: Any) -> None:
    world = World(client, clock=lambda: 0.0, sleep=patient)
    assert world.staleness == math.inf
    await world.start()
    async with asyncio.timeout(5):
        await world.wait_synced()
    assert world.staleness == 0.0
    assert world.counts()["pods"] == 0
    await world.stop()
