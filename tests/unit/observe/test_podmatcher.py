"""Pods as a regular expression: exact lists, and the shape of an owner's pod names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.observe.podmatcher import MAX_EXACT_PODS, NO_POD, PodMatcher

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,60}[a-z0-9])?", fullmatch=True)


def matches(matcher: PodMatcher, pod: str) -> bool:
    return re.fullmatch(matcher.regex, pod) is not None


def generated(base: str, suffix: str) -> str:
    return base[:58] + suffix


@given(st.lists(NAMES, max_size=20), NAMES)
def test_an_exact_list_matches_its_pods_and_no_other(names: list[str], other: str) -> None:
    matcher = PodMatcher.exact(names)
    assert all(matches(matcher, name) for name in names)
    assert matches(matcher, other) == (other in names)


def test_no_pods_match_nothing_rather_than_everything() -> None:
    assert PodMatcher.exact([]).regex == NO_POD
    assert not matches(PodMatcher.exact([]), "web-1")
    assert not matches(PodMatcher.exact([]), "")


@pytest.mark.parametrize("name", ["", "a|b", ".*", "A", "a b", 'a"', "-a", "a" * 254])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no Kubernetes name"):
        PodMatcher.exact([name])
    with pytest.raises(ValueError, match="no Kubernetes name"):
        PodMatcher.owner("Deployment", name)


@given(NAMES, st.text(ALPHABET, min_size=1, max_size=10), st.text(ALPHABET, min_size=5, max_size=5))
def test_every_pod_of_a_deployment_matches_its_owner_also_with_a_cut_name(name: str, hashed: str, suffix: str) -> None:
    assert matches(PodMatcher.owner("Deployment", name), generated(f"{name}-{hashed}-", suffix))


@given(NAMES, st.text(ALPHABET, min_size=5, max_size=5))
def test_every_pod_of_a_daemonset_matches_its_owner(name: str, suffix: str) -> None:
    assert matches(PodMatcher.owner("DaemonSet", name), generated(f"{name}-", suffix))


@given(NAMES, st.integers(0, 5000))
def test_every_pod_of_a_statefulset_matches_its_owner(name: str, ordinal: int) -> None:
    assert matches(PodMatcher.owner("StatefulSet", name), f"{name}-{ordinal}")


@pytest.mark.parametrize(
    "pod", ["web-canary-5d4f8b7c9d-x2x4z", "webx-5d4f8b7c9d-x2x4z", "xweb-5d4f8b7c9d-x2x4z", "web-0", "web", "api-1"]
)
def test_siblings_of_a_deployment_do_not_match(pod: str) -> None:
    assert matches(PodMatcher.owner("Deployment", "web"), "web-5d4f8b7c9d-x2x4z")
    assert not matches(PodMatcher.owner("Deployment", "web"), pod)


def test_dots_are_dots() -> None:
    assert not matches(PodMatcher.exact(["a.b"]), "axb")
    assert not matches(PodMatcher.owner("StatefulSet", "a.b"), "axb-0")


def test_other_kinds_match_by_prefix() -> None:
    matcher = PodMatcher.owner("Rollout", "web")
    assert matches(matcher, "web-5d4f8b7c9d-x2x4z")
    assert not matches(matcher, "website-0")


def test_the_present_is_exact_and_history_or_a_crowd_goes_by_owner() -> None:
    few = [f"web-5d4f8b7c9d-x2x4{char}" for char in "bcd"]
    crowd = [f"web-{number}" for number in range(MAX_EXACT_PODS + 1)]
    owner = PodMatcher.owner("Deployment", "web")
    assert PodMatcher.choose("Deployment", "web", few) == PodMatcher.exact(few)
    assert PodMatcher.choose("Deployment", "web", few, history=True) == owner
    assert PodMatcher.choose("Deployment", "web", crowd) == owner
    with pytest.raises(ValueError, match=r"use PodMatcher\.owner"):
        PodMatcher.exact(crowd)


def test_very_long_names_are_not_listed_beyond_the_bound() -> None:
    long = [f"{'x' * 240}-{number}" for number in range(100)]
    assert PodMatcher.choose("Deployment", "web", long) == PodMatcher.owner("Deployment", "web")
    with pytest.raises(ValueError, match="too many"):
        PodMatcher.exact(long)
