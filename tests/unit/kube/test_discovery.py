from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kube.discovery import ABSENT_SECONDS, FRESH_SECONDS, MAX_VERSIONS, Discovery, ResourceInfo
from trimtab.kube.errors import NotFound, NotServed, Unavailable

APPS = {
    "resources": [
        {"name": "deployments", "kind": "Deployment", "namespaced": True},
        {
            "name": "deployments/scale",
            "kind": "Scale",
            "group": "autoscaling",
            "version": "v1",
            "namespaced": True,
        },
        {"name": "deployments/status", "kind": "Deployment", "namespaced": True},
        {"name": "things", "kind": "Thing", "namespaced": False},
    ]
}


class Server:
    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def get(self, path: str) -> Any:
        self.asked.append(path)
        await asyncio.sleep(0)
        answer = self.answers.get(path, NotFound(404, "NotFound"))
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_kind_is_found_with_its_plural_scope_and_subresources() -> None:
    info = await Discovery(Server({"/apis/apps/v1": APPS})).resource_for("apps/v1", "Deployment")
    assert info == ResourceInfo("apps", "v1", "Deployment", "deployments", True, frozenset({"scale", "status"}))
    assert info.scalable
    assert info.path("shop", "a", "scale") == "/apis/apps/v1/namespaces/shop/deployments/a/scale"


async def test_a_kind_that_is_not_served_is_told_apart_from_an_object_that_is_not_there() -> None:
    discovery = Discovery(Server({"/apis/apps/v1": APPS}))
    for api_version, kind in (("apps/v1", "Nothing"), ("nobody.dev/v1", "Deployment")):
        with pytest.raises(NotServed, match="does not serve"):
            await discovery.resource_for(api_version, kind)


async def test_a_cluster_wide_kind_has_no_namespace_in_its_path() -> None:
    info = await Discovery(Server({"/apis/apps/v1": APPS})).resource_for("apps/v1", "Thing")
    assert info.path("shop", "a") == "/apis/apps/v1/things/a"
    assert not info.scalable


async def test_the_server_is_asked_once_however_many_ask() -> None:
    server, clock = Server({"/apis/apps/v1": APPS}), Clock()
    discovery = Discovery(server, clock)
    await asyncio.gather(*(discovery.resource_for("apps/v1", "Deployment") for _ in range(50)))
    clock.now = FRESH_SECONDS - 1
    await discovery.resource_for("apps/v1", "Thing")
    assert len(server.asked) == 1
    clock.now = FRESH_SECONDS
    await discovery.resource_for("apps/v1", "Thing")
    assert len(server.asked) == 2
    assert discovery._asking == {}


async def test_a_kind_that_is_not_served_is_asked_for_again_soon_but_not_at_once() -> None:
    server, clock = Server({}), Clock()
    discovery = Discovery(server, clock)
    for _ in range(3):
        with pytest.raises(NotFound, match="install its CRD"):
            await discovery.resource_for("x.dev/v1", "Rollout")
    assert len(server.asked) == 1
    server.answers["/apis/x.dev/v1"] = {"resources": [{"name": "rollouts", "kind": "Rollout", "namespaced": True}]}
    clock.now = ABSENT_SECONDS
    assert (await discovery.resource_for("x.dev/v1", "Rollout")).plural == "rollouts"


async def test_a_server_that_cannot_be_asked_is_not_remembered_as_not_serving() -> None:
    server = Server({"/apis/apps/v1": Unavailable(503, "ServiceUnavailable")})
    discovery = Discovery(server)
    with pytest.raises(Unavailable):
        await discovery.resource_for("apps/v1", "Deployment")
    server.answers["/apis/apps/v1"] = APPS
    assert (await discovery.resource_for("apps/v1", "Deployment")).plural == "deployments"


async def test_what_is_remembered_is_bounded() -> None:
    discovery = Discovery(Server({}))
    for at in range(MAX_VERSIONS + 10):
        with pytest.raises(NotFound):
            await discovery.resource_for(f"g{at}/v1", "X")
    assert len(discovery._known) == MAX_VERSIONS


async def test_an_api_version_cannot_reach_another_path() -> None:
    server = Server({})
    for api_version in ("../v1", "a?b/v1", "a%2f/v1"):
        with pytest.raises((NotFound, ValueError)):
            await Discovery(server).resource_for(api_version, "X")
    assert server.asked == ["/apis/a%3Fb/v1", "/apis/a%252f/v1"]


ENTRY = st.none() | st.integers() | st.text(max_size=5)


@given(st.lists(st.dictionaries(st.sampled_from(["name", "kind", "namespaced", "group"]), ENTRY) | ENTRY))
def test_malformed_entries_are_left_out(entries: list[Any]) -> None:
    async def ask() -> None:
        listed = {"resources": [*entries, {"name": "things", "kind": "Thing!", "namespaced": False}]}
        assert (await Discovery(Server({"/api/v1": listed})).resource_for("v1", "Thing!")).plural == "things"

    asyncio.run(ask())
