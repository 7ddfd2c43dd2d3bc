"""Where a resource points, and what it is told when there is nothing."""

from typing import Any

import pytest

from tests.unit.observe_assembly.bench import (
    SPEC,
    FakeClient,
    _resources,
    config,
    meta,
    shop,
    started_world,
)
from trimtab.api.reasons import Reason
from trimtab.kube.errors import Forbidden, Unavailable
from trimtab.kube.polled import TargetKey
from trimtab.observe.targets import find_target

ROLLOUT = config(SPEC.replace("{kind: Deployment, name: web}", "{apiVersion: argo.test/v1, kind: Rollout, name: web}"))
PATH = "/apis/argo.test/v1/namespaces/shop/rollouts/web"


@pytest.fixture
async def scene() -> Any:
    client = FakeClient()
    shop(client)
    world = await started_world(client)

    async def find(one: Any, **options: Any) -> Any:
        world.follow([TargetKey("shop", "argo.test/v1", "Rollout", "web")])
        await world.refresh()
        return find_target(world, one, options.get("excluded", ()), options.get("served", ()))

    yield client, find
    await world.stop()


SERVED = _resources(("rollouts", "Rollout"), ("rollouts/scale", "Scale"))
OTHER_KINDS = [
    ({}, Reason.KIND_NOT_SUPPORTED, "does not serve"),
    ({"/apis/argo.test/v1": _resources(("rollouts", "Rollout"))}, Reason.KIND_NOT_SUPPORTED, "no scale subresource"),
    ({"/apis/argo.test/v1": SERVED}, Reason.TARGET_NOT_FOUND, "has no Rollout web"),
    (
        {"/apis/argo.test/v1": SERVED, PATH: Forbidden(403, "Forbidden", "no")},
        Reason.TARGET_FORBIDDEN,
        "rbac.extraScaleTargets",
    ),
    ({"/apis/argo.test/v1": SERVED, PATH: Unavailable(503, "Unavailable", "down")}, Reason.PENDING, "tried again"),
    (
        {
            "/apis/argo.test/v1": SERVED,
            PATH: Unavailable(0, "ConnectionFailed", "Cannot connect to host 10.0.0.1:6443"),
        },
        Reason.PENDING,
        "could not be read now (ConnectionFailed); it is tried again",
    ),
]


@pytest.mark.parametrize(("served", "reason", "says"), OTHER_KINDS)
async def test_a_kind_of_others_that_cannot_be_read_says_what_to_do(
    scene: Any, served: Any, reason: Reason, says: Any
) -> None:
    client, find = scene
    client.gets |= served
    found = await find(ROLLOUT)
    assert (found.target, found.reason) == (None, reason)
    assert says in found.message


async def test_a_scalable_kind_of_others_is_found(scene: Any) -> None:
    client, find = scene
    client.gets |= {
        "/apis/argo.test/v1": SERVED,
        PATH: {"metadata": meta("web")},
        f"{PATH}/scale": {"spec": {"replicas": 2}, "status": {"selector": "app=web"}},
    }
    found = await find(ROLLOUT)
    assert (found.reason, found.target.replicas) == (Reason.TARGET_FOUND, 2)


async def test_a_kind_of_others_is_pending_before_it_was_asked_for(scene: Any) -> None:
    _client, find = scene
    found = await find(
        config(SPEC.replace("{kind: Deployment, name: web}", "{apiVersion: a.test/v1, kind: X, name: w}"))
    )
    assert found.reason is Reason.PENDING


async def test_namespaces_that_are_excluded_or_not_served_are_left_alone(scene: Any) -> None:
    _client, find = scene
    assert (await find(config(), excluded=["shop"])).reason is Reason.NAMESPACE_EXCLUDED
    found = await find(config(), served=["elsewhere"])
    assert found.reason is Reason.NAMESPACE_EXCLUDED
    assert "add it to namespaces" in found.message
    assert (await find(config(), served=["shop"])).reason is Reason.TARGET_FOUND


async def test_the_template_is_there_only_where_knobs_need_it(scene: Any) -> None:
    _client, find = scene
    assert (await find(config())).target.template == {}
    knobs = SPEC + "    knobs: [{name: b, container: app, env: B, role: Batch, min: 1, max: 4}]\n"
    assert (await find(config(knobs))).target.template["spec"]["containers"]
