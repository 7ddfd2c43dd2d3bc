"""How a declared metric is measured, and what stands in for one that can't be."""

from typing import Any

import pytest

from tests.sure import sure
from tests.unit.observe_assembly.bench import SPEC, config
from trimtab.api.datasource import Datasource, Tenancy, TenancyOverride
from trimtab.api.monitoring import Better
from trimtab.observe.arrivals import arrival_preset, arrival_query
from trimtab.observe.meters import Broken, PresetMeter, QueryMeter, plan_metrics
from trimtab.observe.presets import load_presets
from trimtab.observe.promql import parse

PRESETS = load_presets()
SOURCES = {"default": Datasource(name="default", url="http://prometheus.test")}


def plans(metrics: str, targets: str = "{}", **monitoring: str) -> Any:
    text = f"""
targetRef: {{name: web}}
monitoring: {{{", ".join(f"{k}: {v}" for k, v in monitoring.items())}{", " if monitoring else ""}metrics: [{metrics}]}}
optimization: {{targetMetrics: {targets}}}
"""
    return plan_metrics(config(text).spec, "shop", SOURCES, PRESETS)


def test_a_query_is_confined_to_the_pods_unless_its_scope_is_the_namespace() -> None:
    found = plans("{name: a, query: up}, {name: b, query: up, scope: Namespace}")
    assert [plan.meter.by_pod for plan in found.metrics] == [True, False]


@pytest.mark.parametrize(
    ("metric", "reason", "says"),
    [
        ("{name: a, query: 'sum('}", "PromQLInvalid", "The query is no PromQL"),
        ("{name: a, query: 'info(up)'}", "PromQLRefused", "info() reads series"),
        ("{name: a, preset: no-such}", "PresetUnknown", "`trimtab presets` lists them"),
    ],
)
def test_a_metric_that_cannot_be_measured_says_why_and_spoils_no_other(metric: Any, reason: Any, says: Any) -> None:
    found = plans(f"{metric}, {{name: fine, query: up}}")
    broken, fine = found.metrics
    assert isinstance(broken.meter, Broken)
    assert broken.meter.answer.reason == reason
    assert says in broken.meter.answer.message
    assert isinstance(fine.meter, QueryMeter)


def test_an_unknown_datasource_is_said_of_every_metric() -> None:
    found = plans("{name: a, query: up}", datasource="nowhere")
    assert found.datasource is None
    assert found.metrics[0].meter.answer.reason == "DatasourceUnknown"
    assert "nowhere" in found.metrics[0].meter.answer.message


def test_a_preset_brings_its_direction_and_its_unit() -> None:
    found = plans("{name: hits, preset: redis-hit-ratio}, {name: slow, preset: vllm-e2e-p95}", "{slow: 1}")
    hits, slow = found.metrics
    assert (hits.better, hits.latency) == (Better.HIGHER, False)
    assert (slow.better, slow.latency) == (Better.LOWER, True)
    assert isinstance(slow.meter, PresetMeter)
    assert found.judged is slow


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ("{name: a, query: up, unit: ms}", "ms"),
        ("{name: aLatency, query: up, unit: Milliseconds}", "ms"),
        ("{name: a, query: up, unit: s}", "s"),
        ("{name: aLatency, query: up}", "s"),
    ],
)
def test_a_latency_is_told_in_the_unit_it_is_declared_with(declared: str, told: str) -> None:
    (metric,) = plans(declared).metrics
    assert (metric.latency, metric.unit) == (True, told)


def test_trials_go_by_the_first_latency_among_the_targets_that_can_be_told_apart_by_pod() -> None:
    found = plans(
        "{name: hits, query: up, better: Higher}, {name: wide, query: up, unit: s, scope: Namespace},"
        " {name: own, query: up, unit: s}",
        "{hits: 1, wide: 1, own: 1}",
    )
    assert found.judged.metric.name == "own"
    assert plans("{name: own, query: up, unit: s}").judged is None, "no target, nothing to judge by"


def test_a_declared_rate_of_requests_is_the_arrival_rate() -> None:
    found = plans("{name: rps, preset: http-server-rate}, {name: slow, preset: vllm-e2e-p95}", "{slow: 1}")
    assert found.arrival_name == "rps"
    assert plans("{name: q, query: 'sum(rate(x[1m]))', unit: requests/s}").arrival_name == "q"
    assert plans("{name: tokens, preset: vllm-generation-rate}").arrival is None


def test_the_arrival_rate_is_derived_from_the_latency_that_is_judged() -> None:
    by_preset = plans("{name: slow, preset: vllm-e2e-p95}", "{slow: 1}")
    assert isinstance(by_preset.arrival, PresetMeter)
    assert isinstance(sure(by_preset.judged).meter, PresetMeter)
    assert by_preset.arrival.batch.preset.metric == "vllm:e2e_request_latency_seconds_count"
    assert by_preset.arrival.key != sure(by_preset.judged).meter.key
    by_query = plan_metrics(config(SPEC).spec, "shop", SOURCES, PRESETS)
    assert isinstance(by_query.arrival, QueryMeter)
    assert by_query.arrival.query.text == "sum(rate(dur_count[120s]))"


def test_a_preset_over_metrics_with_different_tenant_labels_is_asked_one_workload_at_a_time() -> None:
    tenancy = Tenancy(overrides=(TenancyOverride(metric_pattern="pg_.*_hit", label="exported_namespace"),))
    source = Datasource(name="default", url="http://prometheus.test", tenancy=tenancy)
    preset = PRESETS["pg-cache-hit-ratio"]
    names = (*preset.numerator, *preset.denominator)
    found = plan_metrics(
        config("{targetRef: {name: web}, monitoring: {metrics: [{name: hits, preset: pg-cache-hit-ratio}]}}").spec,
        "shop",
        {"default": source},
        PRESETS,
    )
    mixed = len({tenancy.labels_for(name) for name in names}) > 1
    assert isinstance(found.metrics[0].meter, QueryMeter if mixed else PresetMeter)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (
            'histogram_quantile(0.95, sum by (le) (rate(d_bucket{code="200",le=~".+"}[2m])))',
            'sum(rate(d_count{code="200"}[120s]))',
        ),
        ("sum(rate(d_sum[1m])) / sum(rate(d_count[1m] offset 5m))", "sum(rate(d_count[60s] offset 300s))"),
        ("histogram_quantile(0.9, sum(rate(d[2m])))", "sum(histogram_count(rate(d[120s])))"),
        ("1000 * histogram_quantile(0.9, rate(d_bucket[5m]))", "sum(rate(d_count[300s]))"),
        ("histogram_quantile(0.9, rate(a_bucket[5m])) + histogram_quantile(0.9, rate(b_bucket[5m]))", None),
        ("max(queue_depth)", None),
        ("sum(rate(errors[1m])) / sum(rate(total[1m]))", None),
        ("histogram_quantile(0.9, rate(d_bucket[5m] @ 5))", None),
    ],
)
def test_the_requests_behind_a_latency_are_counted_in_its_own_series(query: Any, wanted: Any) -> None:
    found = arrival_query(parse(query))
    assert (found.text if found is not None else None) == wanted


def test_a_preset_that_counts_no_requests_has_no_arrival_rate() -> None:
    assert arrival_preset(PRESETS["redis-hit-ratio"]) is None
    assert arrival_preset(PRESETS["vllm-waiting"]) is None
