from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kube import errors
from trimtab.kube.apply import MAX_REMEMBERED, Applier, managed_part

PATH = "/apis/trimtab.dev/v1alpha1/namespaces/shop/tuningprofiles/trimtab"


def body(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "TuningProfile",
        "metadata": {"name": "trimtab", "namespace": "shop"},
        "spec": spec,
    }


def fields_of(value: Any) -> dict[str, Any]:
    """FieldsV1 of an applied value whose lists are atomic."""
    if not isinstance(value, dict) or not value:
        return {}
    return {f"f:{key}": fields_of(below) for key, below in value.items()}


def stored(sent: Mapping[str, Any], manager: str = "trimtab", subresource: str = "", **extra: Any) -> dict[str, Any]:
    """What a server holds after `sent` was applied, and others wrote `extra` into the spec."""
    live = copy.deepcopy(dict(sent))
    owned = {key: value for key, value in sent.items() if key not in ("apiVersion", "kind", "metadata")}
    live.setdefault("spec", {}).update(extra)
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": fields_of(owned)}
    if subresource:
        entry["subresource"] = subresource
    live["metadata"]["managedFields"] = [{"manager": "kubectl", "operation": "Update", "fieldsV1": {}}, entry]
    return live


class Server:
    """Counts writes; answers as `stored` makes it."""

    field_manager = "trimtab"

    def __init__(self) -> None:
        self.writes: list[tuple[str, bool]] = []
        self.fails: Exception | None = None

    async def apply(
        self, path: str, body: Mapping[str, object], field_manager: str | None = None, force: bool = False
    ) -> dict[str, Any]:
        self.writes.append((path, force))
        if self.fails is not None:
            raise self.fails
        return stored(body, subresource="status" if path.endswith("/status") else "")


async def test_an_object_is_written_once_and_then_only_when_it_changes() -> None:
    applier = Applier(Server())
    assert await applier.apply(PATH, body(a=1))
    assert not await applier.apply(PATH, body(a=1))
    assert await applier.apply(PATH, body(a=2))
    assert await applier.apply(PATH, body(a=1))


async def test_a_new_process_writes_nothing_when_the_live_object_holds_what_it_wants() -> None:
    server = Server()
    live = stored(body(a={"b": [1, 2]}, c={}), others="theirs")
    assert not await Applier(server).apply(PATH, body(a={"b": [1, 2]}), live)
    assert server.writes == []


@pytest.mark.parametrize(
    "live",
    [
        None,
        {},
        {"metadata": {}},
        stored(body(a=1, b=2)),
        stored(body(a=[2, 1])),
        stored(body(a=[1, 2]), manager="someone"),
    ],
    ids=["absent", "empty", "no managedFields", "a field of ours is in the way", "another order", "not ours"],
)
async def test_an_object_that_differs_is_written(live: dict[str, Any] | None) -> None:
    applier = Applier(Server())
    assert await applier.apply(PATH, body(a=[1, 2]), live)


async def test_a_field_of_ours_edited_by_hand_is_written_again() -> None:
    server = Server()
    applier = Applier(server)
    await applier.apply(PATH, body(a=1))
    live = stored(body(a=1))
    assert not await applier.apply(PATH, body(a=1), live)
    live["spec"]["a"] = 99
    assert await applier.apply(PATH, body(a=1), live)


async def test_a_value_that_the_server_stores_in_another_form_is_not_written_for_ever() -> None:
    class Normalising(Server):
        async def apply(self, path: str, body: Mapping[str, object], *rest: Any, **more: Any) -> dict[str, Any]:
            live = await super().apply(path, body, *rest, **more)
            live["spec"]["cpu"] = "1"
            return live

    applier = Applier(Normalising())
    assert await applier.apply(PATH, body(cpu="1000m"))
    assert not await applier.apply(PATH, body(cpu="1000m"), stored(body(cpu="1")))
    assert await applier.apply(PATH, body(cpu="1000m"), stored(body(cpu="3")))


async def test_a_deleted_object_is_written_again() -> None:
    applier = Applier(Server())
    await applier.apply(PATH, body(a=1))
    applier.forget(PATH)
    assert await applier.apply(PATH, body(a=1))
    assert await applier.apply(PATH, body(a=1), None)


async def test_a_write_that_failed_is_tried_again() -> None:
    server = Server()
    applier = Applier(server)
    await applier.apply(PATH, body(a=1))
    server.fails = errors.Unavailable(0, "Timeout")
    with pytest.raises(errors.Unavailable):
        await applier.apply(PATH, body(a=2))
    server.fails = None
    assert await applier.apply(PATH, body(a=1))


async def test_status_is_compared_apart_from_the_rest() -> None:
    applier = Applier(Server())
    status = body() | {"status": {"phase": "Fine"}}
    live = stored({"metadata": {}, "status": {"phase": "Fine"}}, subresource="status")
    assert not await applier.apply(f"{PATH}/status", status, live)
    live["status"]["phase"] = "Bad"
    assert await applier.apply(f"{PATH}/status", status, live)


async def test_an_owned_object_is_taken_over_unless_told_otherwise() -> None:
    server = Server()
    await Applier(server).apply(PATH, body(a=1))
    await Applier(server).apply(PATH, body(a=1), force=False)
    assert [force for _, force in server.writes] == [True, False]


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.kube.apply.MAX_REMEMBERED", 10)
    assert MAX_REMEMBERED > 10
    applier = Applier(Server())
    for at in range(20):
        await applier.apply(f"{PATH}{at}", body(a=at))
    assert len(applier._writes) == 10


def test_the_managed_part_of_an_associative_list_is_our_items_and_our_fields_of_them() -> None:
    live = {
        "metadata": {
            "managedFields": [
                {
                    "manager": "trimtab",
                    "operation": "Apply",
                    "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:x": {}}, "f:finalizers": {".": {}, 'v:"a"': {}}},
                        "f:spec": {
                            "f:ports": {
                                'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:protocol": {}},
                            },
                            "f:env": {'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}},
                            "f:whole": {},
                            "f:vanished": {},
                        },
                    },
                }
            ],
            "labels": {"x": "1", "y": "2"},
            "finalizers": ["b", "a"],
        },
        "spec": {
            "ports": [{"port": 80, "protocol": "TCP", "name": "theirs"}, {"port": 81, "protocol": "TCP"}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "whole": {"all": [3]},
        },
    }
    assert managed_part(live, "trimtab") == {
        "metadata": {"labels": {"x": "1"}, "finalizers": ["a"]},
        "spec": {
            "ports": [{"port": 80, "protocol": "TCP"}],
            "env": [{"name": "B", "value": "2"}],
            "whole": {"all": [3]},
        },
    }
    assert managed_part(live, "nobody") == {}
    assert managed_part(live, "trimtab", "status") == {}


VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), st.text(min_size=5))
def test_the_managed_part_of_what_was_applied_is_what_was_applied(spec: dict[str, Any], other: str) -> None:
    live = stored(body(**{f"k{key}": value for key, value in spec.items()}), **{other: "theirs"})
    expected = {f"k{key}": value for key, value in spec.items()}
    if other not in expected and spec:
        assert managed_part(live, "trimtab")["spec"] == expected
