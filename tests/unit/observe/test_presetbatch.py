"""Presets by namespace: one result serves any set of pods, with the same kinds of answer as a single query."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.api.answers import AnswerKind
from trimtab.api.datasource import Tenancy, TenancyOverride
from trimtab.observe.presetbatch import BELOW, MAIN, SAMPLED, PresetBatch, bucket_quantile
from trimtab.observe.presets import load_presets
from trimtab.observe.promql import parse
from trimtab.observe.source import Sample

OURS = load_presets()
NOW = 1_000.0


def batch(name: str, tenancy: Tenancy | None = None) -> PresetBatch:
    return PresetBatch.build(OURS[name], tenancy or Tenancy(), "shop", 15.0)


def row(pod: str, value: float, **labels: str) -> Sample:
    return Sample({"pod": pod, **labels}, value, NOW)


def fresh(*pods: str) -> list[Sample]:
    return [row(pod, NOW - 5.0) for pod in pods]


@pytest.mark.parametrize("name", sorted(name for name, preset in OURS.items() if preset.by_pod))
def test_each_batch_is_promql_of_one_namespace_by_pod(name: str) -> None:
    made = batch(name)
    for text in made.texts.values():
        query = parse(text)
        assert not query.is_scalar
        assert 'namespace="shop",pod!=""' in text
        assert "by (pod" in text
    assert (BELOW in made.texts) == (made.preset.kind == "Ratio")


def test_a_query_preset_and_mixed_tenant_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="by namespace"):
        batch("pgvector-search-mean")
    mixed = Tenancy(overrides=(TenancyOverride(metric_pattern="redis_keyspace_hits_total", label="ns"),))
    with pytest.raises(ValueError, match="one tenant label"):
        batch("redis-hit-ratio", mixed)
    with pytest.raises(ValueError, match="one tenant label"):
        batch("vllm-waiting", Tenancy(allow_unlabelled=("vllm.*",)))


def test_a_gauge_adds_up_the_asked_pods_only() -> None:
    results = {MAIN: [row("a", 1.0), row("b", 2.0), row("c", 40.0)], SAMPLED: fresh("a", "b", "c")}
    assert batch("vllm-waiting").answer(results, ["a", "b"], NOW).value == 3.0
    assert batch("vllm-kv-cache").answer(results, ["a", "b"], NOW).value == 2.0


def test_canary_and_baseline_are_read_from_one_result() -> None:
    def buckets(pod: str, low: float) -> list[Sample]:
        return [row(pod, low, le="0.1"), row(pod, 10.0, le="1"), row(pod, 10.0, le="+Inf")]

    results = {MAIN: [*buckets("canary", 10.0), *buckets("base", 0.0)], SAMPLED: fresh("canary", "base")}
    made = batch("http-server-p95")
    assert made.answer(results, ["canary"], NOW).value == pytest.approx(0.095)
    assert made.answer(results, ["base"], NOW).value == pytest.approx(0.955)
    assert made.answer(results, ["canary", "base"], NOW).value == pytest.approx(0.91)


def test_a_ratio_divides_sums() -> None:
    results = {
        MAIN: [row("a", 1.0), row("b", 5.0)],
        BELOW: [row("a", 2.0), row("b", 10.0)],
        SAMPLED: fresh("a", "b"),
    }
    assert batch("redis-hit-ratio").answer(results, ["a", "b"], NOW).value == 0.5


def test_kinds_of_answer_are_told_apart() -> None:
    ratio, quantile, gauge = batch("redis-hit-ratio"), batch("http-server-p95"), batch("vllm-waiting")
    idle = [row("a", 0.0, le="1"), row("a", 0.0, le="+Inf")]
    headless = [row("a", 1.0, le="1")]
    stale = [row("a", NOW - 31.0)]
    kinds = [
        (gauge, {}, AnswerKind.EMPTY),
        (gauge, {MAIN: [row("b", 1.0)], SAMPLED: fresh("b")}, AnswerKind.EMPTY),
        (gauge, {SAMPLED: fresh("a")}, AnswerKind.EMPTY),
        (gauge, {MAIN: [row("a", 1.0)], SAMPLED: stale}, AnswerKind.STALE),
        (gauge, {MAIN: [row("a", math.nan)], SAMPLED: fresh("a")}, AnswerKind.NAN),
        (gauge, {MAIN: [row("a", math.inf)], SAMPLED: fresh("a")}, AnswerKind.INF),
        (quantile, {MAIN: idle, SAMPLED: fresh("a")}, AnswerKind.NO_TRAFFIC),
        (quantile, {MAIN: headless, SAMPLED: fresh("a")}, AnswerKind.NAN),
        (ratio, {MAIN: [row("a", 0.0)], BELOW: [row("a", 0.0)], SAMPLED: fresh("a")}, AnswerKind.NO_TRAFFIC),
        (ratio, {MAIN: [row("a", 0.0)], SAMPLED: fresh("a")}, AnswerKind.NAN),
    ]
    for made, results, kind in kinds:
        answer = made.answer(results, ["a"], NOW)
        assert answer.kind is kind
        assert answer.message.endswith(".")
    assert 'namespace="shop"' in gauge.answer({}, ["a"], NOW).message


def test_a_stale_pod_is_left_out_of_the_number() -> None:
    results = {MAIN: [row("a", 1.0), row("dead", 50.0)], SAMPLED: [*fresh("a"), row("dead", NOW - 100.0)]}
    answer = batch("vllm-waiting").answer(results, ["a", "dead"], NOW)
    assert (answer.value, answer.at) == (1.0, NOW - 5.0)


@pytest.mark.parametrize(
    ("q", "bounds", "counts", "value"),
    [
        (0.5, [1.0, 2.0, math.inf], [5.0, 10.0, 10.0], 1.0),
        (0.75, [1.0, 2.0, math.inf], [5.0, 10.0, 10.0], 1.5),
        (0.25, [1.0, 2.0, math.inf], [5.0, 10.0, 10.0], 0.5),
        (0.99, [1.0, 2.0, math.inf], [5.0, 6.0, 10.0], 2.0),
        (0.1, [-1.0, 1.0, math.inf], [5.0, 10.0, 10.0], -1.0),
        (0.5, [1.0, 2.0], [5.0, 10.0], math.nan),
        (0.5, [math.inf], [5.0], math.nan),
        (0.5, [1.0, math.inf], [0.0, 0.0], math.nan),
        (0.9, [1.0, 2.0, math.inf], [10.0, 9.0, 9.0], 0.9),
    ],
)
def test_quantiles_interpolate_as_prometheus_does(
    q: float, bounds: list[float], counts: list[float], value: float
) -> None:
    np.testing.assert_allclose(bucket_quantile(q, np.array(bounds), np.array(counts)), value)


@given(
    st.floats(0.01, 0.99),
    st.lists(st.tuples(st.floats(0.001, 100), st.floats(0, 1e6)), min_size=1, max_size=12),
)
def test_a_quantile_lies_within_the_buckets_or_is_no_number(q: float, rows: list[tuple[float, float]]) -> None:
    bounds = np.array([bound for bound, _ in rows] + [math.inf])
    counts = np.array([count for _, count in rows] + [max(count for _, count in rows)])
    value = bucket_quantile(q, bounds, counts)
    assert math.isnan(value) or 0.0 <= value <= bounds[:-1].max()
