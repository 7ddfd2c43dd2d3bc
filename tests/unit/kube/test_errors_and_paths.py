from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kube import errors
from trimtab.kube.errors import KubeError, from_status
from trimtab.kube.paths import resource_path, split_api_version

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", errors.BadRequest),
        (401, "Unauthorized", errors.Unauthorized),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (409, "Conflict", errors.Conflict),
        (409, "AlreadyExists", errors.AlreadyExists),
        (410, "Expired", errors.Gone),
        (0, "Expired", errors.Gone),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.TooManyRequests),
        (500, "InternalError", errors.Unavailable),
        (503, "ServiceUnavailable", errors.Unavailable),
        (504, "Timeout", errors.Unavailable),
        (418, "", KubeError),
    ],
)
def test_each_status_has_its_own_type(code: int, reason: str, kind: type[KubeError]) -> None:
    assert type(from_status({"code": code, "reason": reason})) is kind


def test_a_resize_beyond_the_node_is_told_from_other_refusals() -> None:
    causes = {"causes": [{"reason": "NodeCapacity", "message": "Pod requests more cpu than the node has"}]}
    assert from_status({"code": 403, "reason": "Forbidden", "details": causes}).node_capacity
    assert not from_status({"code": 403, "reason": "Forbidden"}).node_capacity


def test_an_eviction_that_a_budget_refuses_is_told_from_load_shedding() -> None:
    causes = {"causes": [{"reason": "DisruptionBudget", "message": "needs 2"}], "retryAfterSeconds": 10}
    refused = from_status({"code": 429, "details": causes})
    assert refused.disruption_budget
    assert refused.retry_after == 10
    assert not from_status({"code": 429}, retry_after=1).disruption_budget


def test_an_apply_conflict_names_each_other_manager_once() -> None:
    causes = [
        {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl" using v1', "field": ".data.a"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl" using v1', "field": ".data.b"},
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "argo cd" with subresource',
            "field": ".d",
        },
    ]
    error = from_status({"code": 409, "reason": "Conflict", "details": {"causes": causes}})
    assert error.conflicting_managers == ("kubectl", "argo cd")


def test_a_message_is_cut_to_one_printable_line() -> None:
    error = KubeError(400, "BadRequest", "a\n\x1b[31m" + "b" * 10_000_000)
    assert len(error.message) == errors.MAX_MESSAGE
    assert error.message.isprintable()


def test_an_error_says_which_request_failed_and_how() -> None:
    error = from_status({"code": 404, "reason": "NotFound", "message": "no pod x"}, request="GET /api/v1/pods/x")
    assert str(error) == "GET /api/v1/pods/x: 404 NotFound: no pod x"


@given(JSON, JSON, JSON, JSON)
def test_no_status_body_is_too_malformed_for_a_typed_error(code: Any, reason: Any, causes: Any, entry: Any) -> None:
    body = {"code": code, "reason": reason, "details": {"causes": [entry, {"reason": causes}]}}
    assert isinstance(from_status(body, 409), KubeError)
    assert isinstance(from_status({"details": causes, "message": code}), KubeError)


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("", "v1", "pods"), "/api/v1/pods"),
        (("", "v1", "pods", "shop", "a", "resize"), "/api/v1/namespaces/shop/pods/a/resize"),
        (("apps", "v1", "deployments", "shop", "a"), "/apis/apps/v1/namespaces/shop/deployments/a"),
        (("", "v1", "nodes", None, "n1"), "/api/v1/nodes/n1"),
    ],
)
def test_paths_are_those_of_the_api(parts: tuple[str, ...], path: str) -> None:
    assert resource_path(*parts) == path


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_reach_another_path_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="give the name of an object"):
        resource_path("", "v1", "pods", "shop", name)


def test_a_subresource_needs_an_object() -> None:
    with pytest.raises(ValueError, match="needs the name"):
        resource_path("", "v1", "pods", "shop", None, "resize")


@given(st.text(min_size=1).filter(lambda name: name not in (".", "..")))
def test_no_name_adds_or_removes_a_part_of_the_path(name: str) -> None:
    path = resource_path("", "v1", "pods", "shop", name)
    assert path.count("/") == 6
    assert not set("?#& \\") & set(path)


@pytest.mark.parametrize(("text", "parts"), [("v1", ("", "v1")), ("apps/v1", ("apps", "v1"))])
def test_an_api_version_is_split(text: str, parts: tuple[str, str]) -> None:
    assert split_api_version(text) == parts


@pytest.mark.parametrize("text", ["", "/", "apps/", "/v1", "a/b/v1"])
def test_a_malformed_api_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="GROUP/VERSION"):
        split_api_version(text)
