from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.kube.fakes import bookmark, event
from tests.unit.kube.mirror import END, LIST, Mirror, Pod
from trimtab.kube import errors
from trimtab.kube.store import Store


async def test_the_store_fills_when_the_initial_list_is_complete_and_not_before() -> None:
    async with Mirror(label_selector="a=b") as mirror:
        await mirror.say(event("ADDED", "a", 1), event("ADDED", "b", 2))
        assert mirror.names == []
        assert not mirror.reflector.synced.is_set()
        assert mirror.reflector.staleness() == float("inf")
        await mirror.say(bookmark(2), bookmark(3, ends_list=True))
        assert mirror.names == ["ns/a", "ns/b"]
        assert mirror.reflector.synced.is_set()
        assert mirror.reflector.staleness() == 0
    assert mirror.api.watches == [
        {
            "allowWatchBookmarks": "true",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "labelSelector": "a=b",
        }
    ]


async def test_creations_updates_and_deletions_are_mirrored() -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), bookmark(1, ends_list=True))
        await mirror.say(event("ADDED", "b", 2), event("MODIFIED", "a", 3, seen=7), event("DELETED", "b", 4))
        assert mirror.reflector.store == {"ns/a": Pod("a", 7)}


async def test_an_object_that_strip_leaves_out_leaves_the_store() -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), event("ADDED", "b", 1, skip=True), bookmark(1, ends_list=True))
        assert mirror.names == ["ns/a"]
        await mirror.say(event("MODIFIED", "a", 2, skip=True))
        assert mirror.names == []


async def test_a_deletion_during_the_initial_list_counts() -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), event("DELETED", "a", 2), bookmark(2, ends_list=True))
        assert mirror.names == []


async def test_an_interrupted_watch_goes_on_from_the_last_version_without_a_new_list() -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), bookmark(5, ends_list=True), event("ADDED", "b", 7))
        await mirror.say(errors.Unavailable(0, "ConnectionFailed"))
        await mirror.say(event("ADDED", "c", 8))
        assert mirror.names == ["ns/a", "ns/b", "ns/c"]
    assert mirror.api.watches[1] == {"allowWatchBookmarks": "true", "resourceVersion": "7"}


async def test_a_bookmark_moves_the_version_from_which_a_watch_goes_on() -> None:
    async with Mirror() as mirror:
        await mirror.say(bookmark(5, ends_list=True), bookmark(90), END)
        await mirror.say(bookmark(91))
    assert mirror.api.watches[1]["resourceVersion"] == "90"


async def test_an_expired_version_lists_anew_and_the_store_is_never_empty_in_between() -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), event("ADDED", "b", 1), bookmark(5, ends_list=True), END)
        await mirror.say(errors.Gone(410, "Expired"))
        assert mirror.names == ["ns/a", "ns/b"]
        await mirror.say(event("ADDED", "b", 2, seen=2), event("ADDED", "c", 3))
        assert mirror.names == ["ns/a", "ns/b"]
        await mirror.say(bookmark(9, ends_list=True))
        assert mirror.names == ["ns/b", "ns/c"]
    assert mirror.api.watches[2].items() >= LIST.items()


async def test_the_store_is_one_dict_for_life() -> None:
    async with Mirror() as mirror:
        store = mirror.reflector.store
        await mirror.say(event("ADDED", "a", 1), bookmark(5, ends_list=True), END, errors.Gone(410, "Expired"))
        await mirror.say(event("ADDED", "b", 1), bookmark(6, ends_list=True))
        assert list(store) == ["ns/b"]


async def test_an_interrupted_initial_list_is_thrown_away() -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), END)
        await mirror.say(event("ADDED", "b", 1), bookmark(2, ends_list=True))
        assert mirror.names == ["ns/b"]
    assert all(watch.items() >= LIST.items() for watch in mirror.api.watches)


@pytest.mark.parametrize("refusal", [errors.Invalid(422, "Invalid"), errors.BadRequest(400, "BadRequest")])
async def test_a_server_without_streaming_lists_gets_paged_lists_and_plain_watches(
    refusal: errors.KubeError,
) -> None:
    async with Mirror() as mirror:
        mirror.api.pages_of = [
            {"metadata": {"resourceVersion": "5"}, "items": [event("", "a", 1)["object"]]},
            {"metadata": {"resourceVersion": "5"}, "items": [event("", "b", 2)["object"]]},
        ]
        await mirror.say(refusal)
        await mirror.say(event("MODIFIED", "b", 6, seen=1))
        assert mirror.reflector.store == {"ns/a": Pod("a", 0), "ns/b": Pod("b", 1)}
        assert mirror.api.watches[1] == {"allowWatchBookmarks": "true", "resourceVersion": "5"}
        mirror.api.pages_of = mirror.api.pages_of[:1]
        await mirror.say(errors.Gone(410, "Expired"))
        await mirror.say(bookmark(7))
        assert mirror.names == ["ns/a"]
    assert mirror.api.lists == 2


async def test_a_paged_list_that_fails_half_way_changes_nothing() -> None:
    async with Mirror() as mirror:
        page = {"metadata": {"resourceVersion": "5"}, "items": [event("", "a", 1)["object"]]}
        mirror.api.pages_of = [page, errors.Gone(410, "Expired")]

        async def heal(_: float) -> None:
            mirror.api.pages_of = [page]

        mirror.reflector._sleep = heal
        await mirror.say(errors.Invalid(422, "Invalid"))
        await mirror.say(bookmark(6))
        assert mirror.names == ["ns/a"]


async def test_silence_beyond_the_idle_timeout_lists_anew() -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), bookmark(5, ends_list=True))
        await mirror.say(errors.Unavailable(0, "Timeout"))
        await mirror.say(event("ADDED", "b", 1), bookmark(6, ends_list=True))
        assert mirror.names == ["ns/b"]


async def test_a_server_whose_versions_went_back_is_listed_anew() -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "a", 1), bookmark(500, ends_list=True))
        await mirror.say(bookmark(20))
        await mirror.say(event("ADDED", "b", 1), bookmark(21, ends_list=True))
        assert mirror.names == ["ns/b"]


async def test_objects_of_cluster_scope_are_keyed_by_name() -> None:
    async with Mirror() as mirror:
        await mirror.say(event("ADDED", "n1", 1, namespace=None), bookmark(5, ends_list=True))
        assert mirror.names == ["n1"]


def owners(pod: Pod) -> list[str]:
    return pod.owner.split()


async def test_records_are_found_by_what_their_index_names() -> None:
    async with Mirror(index=owners) as mirror:
        await mirror.say(event("ADDED", "b", 1, owner="rs"), event("ADDED", "a", 1, owner="rs"))
        await mirror.say(event("ADDED", "c", 1, owner="other rs"), bookmark(5, ends_list=True))
        assert [pod.name for pod in mirror.reflector.by_index("rs")] == ["a", "b", "c"]
        await mirror.say(event("MODIFIED", "a", 6, owner="other"), event("DELETED", "b", 7))
        assert [pod.name for pod in mirror.reflector.by_index("rs")] == ["c"]
        assert [pod.name for pod in mirror.reflector.by_index("other")] == ["a", "c"]
        assert mirror.reflector.by_index("unknown") == []


async def test_an_index_that_raises_makes_the_object_malformed() -> None:
    def index(pod: Pod) -> list[str]:
        return [str(1 // len(pod.owner))]

    async with Mirror(index=index) as mirror:
        await mirror.say(event("ADDED", "a", 1, owner="x"), event("ADDED", "b", 1), bookmark(5, ends_list=True))
        assert mirror.names == ["ns/a"]
    assert mirror.reflector.malformed == 1


PUT = st.tuples(st.sampled_from("abcde"), st.none() | st.text("xyz ", max_size=4))


@given(st.lists(PUT, max_size=40))
@settings(max_examples=200)
def test_an_index_always_agrees_with_a_search_of_all_records(puts: list[tuple[str, str | None]]) -> None:
    store: Store[str] = Store(str.split)
    model: dict[str, str] = {}
    for key, record in puts:
        store.put(key, record)
        if record is None:
            model.pop(key, None)
        else:
            model[key] = record
    assert store.records == model
    words = {word for record in model.values() for word in record.split()}
    assert set(store._keys) == words
    for word in words:
        assert store.by_index(word) == [model[key] for key in sorted(model) if word in model[key].split()]
