"""The store of resources: what the watch says while a list is read is newer than the list."""

from collections.abc import Callable
from typing import Any

import pytest

from trimtab.kube.errors import Unavailable
from trimtab.observe.configs import ConfigStore


def manifest(name: str = "tune", *, version: int = 1, uid: str = "", auto_tune: bool = True, **meta: Any) -> Any:
    constraints = {"replicas": {"min": 1, "max": 4}}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
        | meta,
        "spec": {
            "targetRef": {"name": "web"},
            "optimization": {"autoTune": auto_tune, "constraints": constraints},
        },
    }


class Client:
    """Gives a list that was made before `meanwhile` happened."""

    def __init__(self, listed: list[Any], meanwhile: Callable[[], None] = lambda: None) -> None:
        self.listed, self.meanwhile = listed, meanwhile

    async def list(self, path: str) -> dict[str, Any]:
        self.meanwhile()
        return {"items": self.listed}


def store(*seen: Any) -> ConfigStore:
    made = ConfigStore()
    for raw in seen:
        made.see(raw)
    return made


async def confirm(known: ConfigStore, client: Client) -> None:
    await known.confirm(client)  # type: ignore[arg-type]


async def test_a_list_brings_what_is_new_and_drops_what_is_gone() -> None:
    known = store(manifest("old"))
    await confirm(known, Client([manifest("new")]))
    assert list(known.configs) == ["shop/new"]
    assert list(known.statuses) == ["shop/new"]


async def test_a_resource_that_was_created_while_the_list_was_read_stays() -> None:
    known = store()
    await confirm(known, Client([], lambda: known.see(manifest("young", version=9))))
    assert list(known.configs) == ["shop/young"]


async def test_an_edit_that_came_while_the_list_was_read_is_not_undone_by_the_list() -> None:
    known = store(manifest(version=3))
    await confirm(known, Client([manifest(version=3)], lambda: known.see(manifest(version=7, auto_tune=False))))
    assert not known.configs["shop/tune"].spec.optimization.auto_tune


async def test_a_resource_that_was_deleted_while_the_list_was_read_does_not_come_back() -> None:
    known = store(manifest())
    await confirm(known, Client([manifest()], lambda: known.gone("shop", "tune", "uid-tune")))
    assert not known.configs


async def test_a_resource_that_was_made_anew_under_the_same_name_is_taken_whatever_its_version() -> None:
    known = store(manifest(version=9))
    known.see(manifest(version=2, uid="uid-other", auto_tune=False))
    assert known.configs["shop/tune"].uid == "uid-other"
    known.gone("shop", "tune", "uid-tune")
    assert "shop/tune" in known.configs


async def test_a_list_that_can_not_be_read_changes_nothing() -> None:
    known = store(manifest())

    def broken() -> None:
        raise Unavailable(0, "Timeout", "no answer")

    with pytest.raises(Unavailable):
        await confirm(known, Client([], broken))
    assert list(known.configs) == ["shop/tune"]


async def test_a_resource_that_becomes_unreadable_is_known_as_such_and_recovers() -> None:
    known = store(manifest(version=1))
    known.see(manifest(version=2) | {"spec": {}})
    assert (list(known.configs), list(known.invalid)) == ([], ["shop/tune"])
    known.see(manifest(version=3))
    assert (list(known.configs), list(known.invalid)) == (["shop/tune"], [])


@pytest.mark.parametrize(("value", "paused"), [("true", True), ("", False), ("false", False), ("yes", True)])
def test_the_annotation_pauses_a_resource(value: str, paused: bool) -> None:
    known = store(manifest(annotations={"trimtab.dev/pause": value}))
    assert known.configs["shop/tune"].paused is paused


@pytest.mark.parametrize("raw", [None, [], "text", {"metadata": 3}, {"metadata": {"name": "x"}, "spec": []}])
def test_nothing_that_is_sent_can_make_the_store_fail(raw: Any) -> None:
    ConfigStore().see(raw)


def test_other_namespaces_are_not_served() -> None:
    known = ConfigStore.within(["other"])
    known.see(manifest())
    assert not known.configs
