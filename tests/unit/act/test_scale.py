"""Replicas by the scale subresource (RULES 9), and failures that stay with their workload."""

from typing import Any

import pytest

from tests.unit.act.shop import Shop
from trimtab.api.reasons import Reason
from trimtab.decide.observation import Lever
from trimtab.kube.errors import Conflict, Forbidden, KubeError, NotFound, TooManyRequests, Unavailable


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Conflict(409, "Conflict", "the object has been modified"), Reason.PROGRESSING),
        (Forbidden(403, "Forbidden", "no right"), Reason.SCALE_FORBIDDEN),
        (NotFound(404, "NotFound", ""), Reason.LEVER_NOT_SUPPORTED),
        (Unavailable(503, "Down", ""), Reason.MOVE_FAILED),
        (TooManyRequests(429, "TooManyRequests", "later"), Reason.MOVE_FAILED),
    ],
)
async def test_rule_09_a_refused_scale_says_why_and_is_tried_again(error: KubeError, reason: Reason) -> None:
    shop = Shop()
    shop.cluster.fail = lambda verb, path, body: error if path.endswith("/scale") else None
    (outcome,) = await shop.tick(replicas=5)
    assert (outcome.lever, outcome.ok, outcome.reason) == (Lever.REPLICAS, False, reason)
    shop.cluster.fail = lambda verb, path, body: None
    (outcome,) = await shop.tick(replicas=5)
    assert outcome.ok
    assert len(shop.cluster.pods()) == 5


async def test_rule_09_scale_carries_the_resource_version_that_was_read() -> None:
    shop = Shop()
    sent: list[dict[str, Any]] = []
    shop.cluster.fail = lambda verb, path, body: sent.append(body) if path.endswith("/scale") else None
    version = shop.cluster.objects["deployments", "shop", "web"]["metadata"]["resourceVersion"]
    await shop.tick(replicas=5)
    assert sent == [{"metadata": {"resourceVersion": version}, "spec": {"replicas": 5}}]


async def test_scale_to_zero_is_never_sent() -> None:
    shop = Shop()
    assert await shop.tick(replicas=0) == []
    assert shop.cluster.writes == []


async def test_a_kind_without_scale_says_so() -> None:
    shop = Shop(kind="StatefulSet")
    shop.cluster.fail = lambda verb, path, body: NotFound(404, "NotFound") if path.endswith("/scale") else None
    (outcome,) = await shop.tick(replicas=5)
    assert outcome.reason is Reason.LEVER_NOT_SUPPORTED


async def test_a_write_that_hangs_is_given_up_and_goes_on_in_the_next_tick() -> None:
    import asyncio

    shop = Shop()
    shop.actuator = shop.new_actuator(workload_seconds=0.01)
    real = shop.cluster.strategic_patch

    async def hang(*args: Any, **kwargs: Any) -> Any:
        await asyncio.Event().wait()

    shop.cluster.strategic_patch = hang  # type: ignore[method-assign]
    outcomes = await shop.tick(app={"cpu": 0.2})
    assert Reason.MOVE_FAILED in {o.reason for o in outcomes}
    shop.cluster.strategic_patch = real  # type: ignore[method-assign]
    shop.actuator = shop.new_actuator()
    await shop.tick(app={"cpu": 0.2})
    assert shop.requests() == ["200m"] * 3
