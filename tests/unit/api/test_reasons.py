"""Every reason is one word that people can look up."""

import copy
import pickle
import re

import pytest

from trimtab.api.reasons import REASONS, Reason, find_reason


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_one_camel_case_word_with_a_title_a_cause_and_a_remedy(reason: Reason) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]{1,62}", reason.value)
    doc = REASONS[reason]
    assert doc.title
    assert not doc.title.endswith(".")
    assert doc.cause.endswith(".")
    assert doc.remedy.endswith(".")


def test_the_member_is_named_like_its_value() -> None:
    for reason in Reason:
        assert reason.name.replace("_", "") == reason.value.upper()


def test_no_two_reasons_have_one_title() -> None:
    assert len({doc.title for doc in REASONS.values()}) == len(Reason)


def test_a_reason_is_its_text() -> None:
    assert f"{Reason.PAUSED}" == "Paused"
    assert find_reason("Paused") is Reason.PAUSED
    assert pickle.loads(pickle.dumps(Reason.PAUSED)) is Reason.PAUSED
    assert copy.deepcopy(Reason.PAUSED) is Reason.PAUSED


def test_what_is_no_reason_is_none() -> None:
    assert find_reason("Nonsense") is None
