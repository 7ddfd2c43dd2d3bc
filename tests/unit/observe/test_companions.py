"""Companion questions: sample times and traffic, derived from the tree."""

import math

import promql_parser as pp
import pytest

from trimtab.observe.companions import Either, Every, Newest, freshness_of, newest_sample, sample_time, traffic_of
from trimtab.observe.probes import MAX_BATCH, joined
from trimtab.observe.promql import parse


@pytest.mark.parametrize(
    ("text", "freshness"),
    [
        ("1 + 1", None),
        ("time() - vector(1)", None),
        ("up", Newest("up", 0.0)),
        ("-(rate(up[5m]))", Newest("up", 0.0)),
        ("rate(up[5m] offset 1h)", Newest("up offset 3600s", 3600.0)),
        ("up offset 1500ms", Newest("up offset 1500ms", 1.5)),
        ("max_over_time(rate(up[5m] offset 1m)[1h:1m] offset 1h)", Newest("up offset 3660s", 3660.0)),
        ("up @ end()", Newest("up", 0.0)),
        ("up @ 100", None),
        ("up / (up @ 100)", Newest("up", 0.0)),
        ("max_over_time(up[1h:1m] @ 100)", None),
        ("a / b", Every((Newest("a", 0.0), Newest("b", 0.0)))),
        ("a and b", Every((Newest("a", 0.0), Newest("b", 0.0)))),
        ("a or b", Either((Newest("a", 0.0), Newest("b", 0.0)))),
        ("a unless b", Newest("a", 0.0)),
        ("absent(a) or b", Newest("b", 0.0)),
        ("absent_over_time(a[5m])", None),
        ("topk(scalar(a), b)", Every((Newest("a", 0.0), Newest("b", 0.0)))),
        ('up{a="x"}', Newest('up{a="x"}', 0.0)),
    ],
)
def test_the_time_of_samples_follows_the_operators(text: str, freshness: object) -> None:
    assert freshness_of(pp.parse(text)) == freshness


def test_the_oldest_of_what_is_needed_and_the_newest_of_alternatives_count() -> None:
    a, b = Newest("a", 0.0), Newest("b", 60.0)
    times = {"a": 100.0, "b": 30.0}
    assert sample_time(Every((a, b)), times) == 90.0
    assert sample_time(Either((a, b)), times) == 100.0
    assert math.isnan(sample_time(Every((a, b)), {"a": 100.0}))
    assert sample_time(Either((a, b)), {"b": 30.0}) == 90.0
    assert math.isnan(sample_time(Either((a, b)), {}))


def test_a_selectors_newest_sample_stays_in_sight_for_four_intervals() -> None:
    text = newest_sample("up offset 60s", 15.0)
    assert text == "max (timestamp(up offset 60s)) or max (max_over_time(timestamp(up offset 60s)[60s:15s]))"
    parse(text)
    assert "max by (pod)" in newest_sample("up", 0.2, by="pod")


@pytest.mark.parametrize(
    ("text", "traffic"),
    [
        ("up", ()),
        ("a / b", ()),
        ("histogram_quantile(0.9, a_bucket)", ()),
        ("histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))", ("sum(rate(a_bucket[300s]))",)),
        ("histogram_quantile(0.9, sum(rate(a[5m])))", ("sum(histogram_count(rate(a[300s])))",)),
        ("rate(a_sum[1m]) / rate(a_count[1m])", ("sum(rate(a_count[60s]))",)),
        ("rate(h[1m]) / (rate(h[1m]) + rate(m[1m]))", ("sum(rate(h[60s])) + sum(rate(m[60s]))",)),
        ("rate(a[1m] offset 1h) / rate(b[1m] offset 1h)", ("sum(rate(b[60s] offset 3600s))",)),
        ("rate(a[1m]) / rate(b[1m] @ 100)", ()),
        ("max_over_time((rate(a[1m]) / rate(b[1m]))[5m:1m])", ("sum(rate(b[60s]))",)),
        (
            "increase(a[1m]) / increase(b[1m]) + increase(c[1m]) / increase(d[1m])",
            ("sum(rate(b[60s]))", "sum(rate(d[60s]))"),
        ),
    ],
)
def test_traffic_is_the_rate_that_a_quantile_or_ratio_divides_by(text: str, traffic: tuple[str, ...]) -> None:
    assert traffic_of(pp.parse(text)) == traffic
    for rate in traffic:
        parse(rate)


def test_probes_are_joined_in_requests_of_bounded_size_and_each_only_once() -> None:
    texts = [f"max(a_{number})" for number in range(40)]
    requests = list(joined([*texts, *texts]))
    assert [text for _, batch in requests for text in batch] == texts
    assert all(len(batch) <= MAX_BATCH for _, batch in requests)
    for request, batch in requests:
        assert request.count("label_replace") == len(batch)
        pp.parse(request)
    assert len(list(joined(["max(a)" + " " * 20_000, "max(b)" + " " * 20_000]))) == 2
    assert list(joined([])) == []
