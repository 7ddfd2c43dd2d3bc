"""From results to answers: only one finite, fresh number is a value."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.observe.fakes import FakeSource
from trimtab.api.answers import REASONS, Answer, AnswerKind, no_value
from trimtab.api.datasource import Tenancy
from trimtab.observe.answers import ask, classify
from trimtab.observe.promql import ConfinedQuery, parse
from trimtab.observe.source import Sample, SourceError, SourceReason

NOW = 1_000.0
INTERVAL = 15.0


def confined(text: str) -> ConfinedQuery:
    return parse(text).confine(Tenancy(), "mine", None)


def one(value: float) -> list[Sample]:
    return [Sample({}, value, NOW)]


def judged(text: str, samples: list[Sample], newest: float = NOW - 5.0, traffic: float | None = None) -> Answer:
    query = confined(text)
    times = {} if math.isnan(newest) else dict.fromkeys(_selectors(query), newest)
    rates = {} if traffic is None else dict.fromkeys(query.traffic, traffic)
    return classify(samples, query, NOW, INTERVAL, times, rates)


def _selectors(query: ConfinedQuery) -> list[str]:
    from trimtab.observe.companions import selectors_in

    return list(selectors_in(query.freshness))


def test_one_finite_fresh_number_is_a_value_with_the_time_of_its_samples() -> None:
    answer = judged("up", one(2.5))
    assert (answer.kind, answer.value, answer.reason, answer.at) == (AnswerKind.VALUE, 2.5, "Value", NOW - 5.0)
    assert answer.known


def test_many_series_are_ambiguous_and_say_what_to_do() -> None:
    answer = judged("up", one(1.0) * 3)
    assert (answer.kind, answer.reason) == (AnswerKind.AMBIGUOUS, "Ambiguous")
    assert "3 series" in answer.message
    assert "sum()" in answer.message
    assert "by (" in answer.message


def test_no_series_are_empty_and_the_forced_matcher_is_named() -> None:
    answer = judged("up", [])
    assert answer.kind is AnswerKind.EMPTY
    assert 'namespace="mine"' in answer.message


@pytest.mark.parametrize(
    ("value", "kind"), [(math.nan, AnswerKind.NAN), (math.inf, AnswerKind.INF), (-math.inf, AnswerKind.INF)]
)
def test_nan_and_infinity_are_no_numbers(value: float, kind: AnswerKind) -> None:
    answer = judged("up", one(value))
    assert (answer.kind, answer.reason) == (kind, REASONS[kind])
    assert math.isnan(answer.value)


@pytest.mark.parametrize(
    ("age", "kind"), [(30.0, AnswerKind.VALUE), (30.5, AnswerKind.STALE), (600.0, AnswerKind.STALE)]
)
def test_samples_older_than_two_scrape_intervals_are_stale(age: float, kind: AnswerKind) -> None:
    assert judged("up", one(1.0), newest=NOW - age).kind is kind


def test_a_number_whose_series_have_ended_is_stale() -> None:
    assert judged("sum(rate(up[5m]))", one(1.0), newest=math.nan).kind is AnswerKind.STALE


def test_staleness_is_judged_before_traffic() -> None:
    query = "histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))"
    assert judged(query, one(math.nan), newest=NOW - 100.0, traffic=0.0).kind is AnswerKind.STALE


QUANTILE = "histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))"


@pytest.mark.parametrize(
    ("text", "traffic", "kind"),
    [
        (QUANTILE, 0.0, AnswerKind.NO_TRAFFIC),
        (QUANTILE, 0.1, AnswerKind.NAN),
        (QUANTILE, None, AnswerKind.NAN),
        (QUANTILE, math.nan, AnswerKind.NAN),
        ("sum(rate(a_sum[5m])) / sum(rate(a_count[5m]))", 0.0, AnswerKind.NO_TRAFFIC),
        ("a / b", 0.0, AnswerKind.NAN),
    ],
)
def test_nan_is_no_traffic_only_where_the_rate_exists_at_zero(
    text: str, traffic: float | None, kind: AnswerKind
) -> None:
    assert judged(text, one(math.nan), traffic=traffic).kind is kind


def test_a_query_without_series_needs_no_freshness() -> None:
    answer = classify(one(3.0), confined("1 + 2"), NOW, INTERVAL, {}, {})
    assert (answer.kind, answer.at) == (AnswerKind.VALUE, NOW)


@given(st.sampled_from(AnswerKind), st.floats())
def test_no_answer_carries_a_number_it_does_not_have(kind: AnswerKind, value: float) -> None:
    if math.isfinite(value) == (kind is AnswerKind.VALUE):
        assert Answer(kind, value, "R", "M", NOW).known == (kind is AnswerKind.VALUE)
    else:
        with pytest.raises(ValueError, match="only VALUE"):
            Answer(kind, value, "R", "M", NOW)


def test_every_kind_has_a_camel_case_reason_and_a_stable_number() -> None:
    assert set(REASONS) == set(AnswerKind)
    assert [kind.value for kind in AnswerKind] == list(range(8))
    assert all(reason[0].isupper() and reason.isalpha() for reason in REASONS.values())
    assert no_value(AnswerKind.ERROR, "m", reason="Timeout").reason == "Timeout"


def by_text(table: dict[str, float]) -> Callable[[str], list[Sample]]:
    """Answers plain queries from a table, and companions per probe by the selector they hold."""

    def answer(text: str) -> list[Sample]:
        if not text.startswith("label_replace("):
            return one(table[text]) if text in table else []
        probes = text.split('"__name__", ".*")')[:-1]
        return [
            Sample({"trimtab_probe": str(place)}, value, NOW)
            for place, probe in enumerate(probes)
            for key, value in table.items()
            if key.startswith("probe:") and key[6:] in probe
        ]

    return answer


async def test_equal_questions_are_asked_once_and_companions_travel_together() -> None:
    source = FakeSource(by_text({'a{namespace="mine"}': 1.0, 'b{namespace="mine"}': 2.0, "probe:timestamp": NOW}))
    queries = [confined("a"), confined("b"), confined("a"), confined("c")]
    answers = await ask(source, queries, NOW)
    assert [answer.kind for answer in answers] == [
        AnswerKind.VALUE,
        AnswerKind.VALUE,
        AnswerKind.VALUE,
        AnswerKind.EMPTY,
    ]
    assert [answer.value for answer in answers[:3]] == [1.0, 2.0, 1.0]
    assert len(source.asked) == 4  # three texts, and one request for both selectors' times


async def test_a_quantile_without_requests_is_no_traffic() -> None:
    query = confined(QUANTILE)
    source = FakeSource(by_text({query.text: math.nan, "probe:timestamp": NOW, "probe:sum(rate(": 0.0}))
    (answer,) = await ask(source, [query], NOW)
    assert answer.kind is AnswerKind.NO_TRAFFIC


async def test_without_its_companions_a_number_is_an_error_and_the_others_keep_their_kinds() -> None:
    def answer(text: str) -> list[Sample] | SourceError:
        if text.startswith("label_replace("):
            return SourceError(SourceReason.TIMEOUT, "Too slow.")
        return one(1.0) if text.startswith("a") else []

    answers = await ask(FakeSource(answer), [confined("a"), confined("b")], NOW)
    assert [(one_.kind, one_.reason) for one_ in answers] == [
        (AnswerKind.ERROR, "Timeout"),
        (AnswerKind.EMPTY, "Empty"),
    ]


async def test_one_failing_question_does_not_harm_the_others() -> None:
    def answer(text: str) -> list[Sample] | SourceError:
        if text.startswith("bad"):
            return SourceError(SourceReason.BAD_QUERY, "Refused.")
        return by_text({'a{namespace="mine"}': 1.0, "probe:timestamp": NOW})(text)

    answers = await ask(FakeSource(answer), [confined("bad"), confined("a")], NOW)
    assert [(one_.kind, one_.reason) for one_ in answers] == [
        (AnswerKind.ERROR, "BadQuery"),
        (AnswerKind.VALUE, "Value"),
    ]


async def test_no_questions_ask_nothing() -> None:
    source = FakeSource(by_text({}))
    assert await ask(source, [], NOW) == []
    assert source.asked == []
