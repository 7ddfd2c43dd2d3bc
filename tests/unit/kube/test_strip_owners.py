"""Who wrote what last, read from managedFields, whatever stands there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kube.strip_owners import foreign_fields, resized_by

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["manager", "time", "subresource", "fieldsV1", "f:spec", "f:workloads", "f:containers", "."]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def entry(manager: str, spec: Any, time: str = "2027-01-15T08:00:00Z", subresource: str = "") -> dict[str, Any]:
    return {"manager": manager, "time": time, "subresource": subresource, "fieldsV1": {"f:spec": spec}}


def tree(container: str, **owned: Any) -> dict[str, Any]:
    return {"f:workloads": {"f:Deployment/web": {".": {}, "f:containers": {f'k:{{"name":"{container}"}}': owned}}}}


def test_the_last_resize_of_a_pod_is_the_one_that_counts() -> None:
    spec: dict[str, Any] = {"f:containers": {}}
    entries = [
        entry("trimtab", spec, "2027-01-15T08:00:00Z", "resize"),
        entry("vpa-updater", spec, "2027-01-15T08:00:30Z", "resize"),
        entry("kubelet", {}, "2027-01-15T09:00:00Z", "status"),
        entry("kube-controller-manager", spec, "2027-01-15T09:00:00Z"),
    ]
    assert resized_by({"metadata": {"managedFields": entries}}) == ("vpa-updater", 1_800_000_030.0)
    assert resized_by({"metadata": {}}) == ("", 0.0)


def test_fields_of_others_are_told_apart_from_ours() -> None:
    ours = tree("app", **{"f:requests": {"f:memory": {}}, "f:env": {"f:BATCH": {}}})
    theirs = tree("app", **{"f:requests": {"f:cpu": {}}, "f:limits": {"f:memory": {}}, "f:env": {"f:BATCH": {}}})
    entries = [entry("trimtab", ours), entry("their-sync", theirs)]
    found = foreign_fields({"metadata": {"managedFields": entries}})
    assert found == {("Deployment/web", "app", "cpu"): "their-sync"}, "what we own too was not set by them"
    assert foreign_fields({"metadata": {"managedFields": entries[:1]}}) == {}


@pytest.mark.parametrize("key", ["v:1", 'k:{"name":"app","port":1}extra', "f:app", 'k:{"port":80}'])
def test_a_list_entry_that_is_keyed_otherwise_is_nobodys(key: str) -> None:
    spec: dict[str, Any] = {"f:workloads": {"f:Deployment/web": {"f:containers": {key: {"f:requests": {"f:cpu": {}}}}}}}
    found = foreign_fields({"metadata": {"managedFields": [entry("them", spec)]}})
    assert not {name for _, name, _ in found} & {"app"}


@given(ANYTHING)
def test_nothing_that_stands_there_raises(raw: Any) -> None:
    for given_ in (
        raw,
        {"metadata": raw},
        {"metadata": {"managedFields": raw}},
        {"metadata": {"managedFields": [raw]}},
    ):
        if isinstance(given_, dict):
            resized_by(given_)
            foreign_fields(given_)
