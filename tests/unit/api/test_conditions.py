"""Conditions: all of them always, and times that say when the status last changed."""

from hypothesis import given
from hypothesis import strategies as st

from trimtab.api.conditions import ConditionStatus, ConditionType, Finding, merge
from trimtab.api.reasons import Reason

T0, T1 = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"
READY = Finding(ConditionType.READY, ConditionStatus.TRUE, Reason.UP_TO_DATE, "fine")
FINDINGS = st.lists(
    st.builds(
        Finding, st.sampled_from(ConditionType), st.sampled_from(ConditionStatus), st.sampled_from(Reason), st.text()
    )
)


def test_at_first_all_are_there_and_unknown() -> None:
    conditions = merge([], [], T0, 1)

    assert [condition.type for condition in conditions] == [
        *("Ready", "Reconciling", "Stalled", "TargetFound", "MetricsAvailable"),
        *("Tuning", "Limited", "Conflicted", "Alerting"),
    ]
    assert {(c.status, c.reason, c.last_transition_time) for c in conditions} == {("Unknown", "Pending", T0)}


def test_a_new_reason_with_the_same_status_keeps_the_time() -> None:
    before = merge([], [READY], T0, 1)

    after = merge(before, [Finding(READY.type, READY.status, Reason.PROGRESSING, "other")], T1, 2)[0]

    assert (after.last_transition_time, after.reason, after.message) == (T0, "Progressing", "other")
    assert after.observed_generation == 2


def test_a_new_status_has_a_new_time() -> None:
    before = merge([], [READY], T0, 1)

    after = merge(before, [Finding(READY.type, ConditionStatus.FALSE, Reason.PROGRESSING)], T1, 1)[0]

    assert (after.status, after.last_transition_time) == ("False", T1)


def test_what_was_not_looked_at_stays_as_it_was() -> None:
    before = merge([], [READY], T0, 1)

    assert merge(before, [], T1, 2) == before


def test_what_another_version_wrote_is_dropped() -> None:
    before = merge([], [READY], T0, 1)
    foreign = before[0].model_copy(update={"type": "Foreign"})

    assert merge([*before, foreign], [], T1, 1) == before


def test_true_false_and_not_known_have_their_words() -> None:
    assert [ConditionStatus.of(value) for value in (True, False, None)] == ["True", "False", "Unknown"]


@given(FINDINGS, FINDINGS)
def test_merging_twice_changes_nothing(first: list[Finding], second: list[Finding]) -> None:
    once = merge(merge([], first, T0, 1), second, T1, 2)

    assert merge(once, second, "2026-01-01T00:02:00Z", 2) == once
    assert [condition.type for condition in once] == [kind.value for kind in ConditionType]
