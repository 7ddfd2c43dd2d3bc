"""Label selectors match as the API server's do."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.kube.selectors import matches, parse_selector

LABELS = {"app": "web", "tier": "front", "track": ""}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app=web,tier=back", False),
        ("app!=web", False),
        ("gone!=x", True),
        ("tier in (front, back)", True),
        ("tier notin (front,back)", False),
        ("gone notin (a)", True),
        ("app", True),
        ("!app", False),
        ("!gone", True),
        ("track=", True),
        ("example.com/name=web", False),
        ("", False),
        ("app=web,,tier=front", False),
        ("app>5", False),
        ("app in (a", False),
        ("a" * 5000, False),
    ],
)
def test_the_string_form_of_a_scale_is_read_and_what_cannot_be_read_matches_nothing(text: Any, wanted: Any) -> None:
    assert matches(parse_selector(text), LABELS) is wanted


def test_an_empty_selector_matches_everything_and_an_unknown_operator_nothing() -> None:
    assert matches({}, {})
    assert not matches({"matchExpressions": [{"key": "app", "operator": "Near", "values": ["web"]}]}, LABELS)
    assert not matches({"matchExpressions": [{"key": "app", "operator": "In", "values": "web"}]}, LABELS)


@settings(deadline=None)
@given(text=st.text(alphabet="ab=!,() in/.-", max_size=40))
def test_any_text_gives_a_selector(text: Any) -> None:
    assert matches(parse_selector(text), LABELS) in (True, False)
