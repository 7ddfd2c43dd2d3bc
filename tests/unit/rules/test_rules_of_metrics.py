"""Rules of reading metrics (9, 19–23): kinds of answer, tenants, pods, batches, direction."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import promql_parser as pp
import pytest

from tests.unit.observe_assembly.bench import NOW, SPEC, config, meta, pod, shop, template, usage
from tests.unit.observe_assembly.scene import KNOBS, PODS, Bench
from trimtab.api.answers import Answer, AnswerKind
from trimtab.api.datasource import Datasource, Tenancy, TenancyOverride
from trimtab.api.monitoring import Better, Metric, Scope
from trimtab.api.reasons import Reason
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.decide.observation import Lever
from trimtab.observe.answers import classify
from trimtab.observe.companions import selectors_in
from trimtab.observe.errors import PromQLError
from trimtab.observe.meters import PresetMeter, QueryMeter, plan_metrics
from trimtab.observe.presets import load_presets
from trimtab.observe.promql import parse
from trimtab.observe.source import Sample
from trimtab.record.status import group_of

INTERVAL = 15.0
QUANTILE = "histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))"
FOREIGN = [
    'up or up{namespace="other"}',
    '{__name__=~".+", namespace=~".*"}',
    'max_over_time(sum(up{namespace="other"})[10m:1m])',
    'up * on (pod) group_left (node) up{namespace="other"}',
]


@pytest.fixture
async def bench() -> Any:
    made = Bench()
    shop(made.client, pod_template=template(env={"BATCH": "8"}))
    yield made
    await made.observer.close()
    await made.world.stop()


def answer(text: str, value: float | None, *, age: float = 5.0, traffic: float = math.nan, series: int = 1) -> Answer:
    """The kind of answer to a query whose samples are so old and whose requests are so many a second."""
    query = parse(text).confine(Tenancy(), "mine", None)
    samples = [] if value is None else [Sample({}, value, NOW)] * series
    times = dict.fromkeys(selectors_in(query.freshness), NOW - age)
    return classify(samples, query, NOW, INTERVAL, times, dict.fromkeys(query.traffic, traffic))


async def test_rule_09_beside_an_hpa_on_cpu_utilisation_cpu_and_replicas_rest_and_memory_goes_on(bench: Bench) -> None:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "metrics": [metric]}
    bench.client.put({"kind": "HorizontalPodAutoscaler", "metadata": meta("theirs"), "spec": spec})
    await bench.start()
    seen = await bench.look()
    allowed = seen.observation.workloads.allowed[0]
    assert (allowed[Lever.REPLICAS], allowed[Lever.CPU], allowed[Lever.MEMORY]) == (False, False, True)
    assert {Reason.HPA_OWNS_REPLICAS, Reason.HPA_USES_CPU} == {b.reason for b in seen.observation.blocks[0]}
    assert all("theirs" in block.message for block in seen.observation.blocks[0])


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"value": 0.2}, AnswerKind.VALUE),
        ({"value": math.nan, "traffic": 0.0}, AnswerKind.NO_TRAFFIC),
        ({"value": None}, AnswerKind.EMPTY),
        ({"value": 0.2, "age": 2 * INTERVAL + 1}, AnswerKind.STALE),
        ({"value": math.nan, "traffic": 1.0}, AnswerKind.NAN),
        ({"value": math.inf}, AnswerKind.INF),
        ({"value": 0.2, "series": 2}, AnswerKind.AMBIGUOUS),
    ],
)
def test_rule_19_only_a_finite_fresh_single_number_is_a_value(given: dict[str, Any], kind: AnswerKind) -> None:
    found = answer(QUANTILE, **given)
    assert found.kind is kind
    assert math.isfinite(found.value) == (kind is AnswerKind.VALUE)


@pytest.mark.parametrize("text", FOREIGN)
def test_rule_20_no_query_reads_another_tenant(text: str) -> None:
    confined = parse(text).confine(Tenancy(), "mine", None)
    found: list[Any] = []
    pp.walk(pp.parse(confined.text), lambda n: found.append(n) if isinstance(n, pp.VectorSelector) else None, None)
    assert found
    for selector in found:
        rows = selector.matchers.or_matchers or [selector.matchers.matchers]
        equal = pp.MatchOp.Equal
        assert all(any(m.name == "namespace" and m.value == "mine" and m.op == equal for m in row) for row in rows)


def test_rule_20_info_is_refused_and_an_empty_answer_names_the_matcher() -> None:
    with pytest.raises(PromQLError, match=r"info\(\)"):
        parse("info(up)")
    tenancy = Tenancy(overrides=(TenancyOverride(metric_pattern="istio_.*", label="destination_workload_namespace"),))
    query = parse("sum(istio_requests_total)").confine(tenancy, "mine", None)
    found = classify([], query, NOW, INTERVAL, {}, {})
    assert 'destination_workload_namespace="mine"' in found.message


def test_rule_21_presets_always_carry_the_pods_and_queries_unless_they_ask_for_the_namespace() -> None:
    metrics = [
        Metric(name="a", preset="http-server-p95"),
        Metric(name="b", query="up"),
        Metric(name="c", query="up", scope=Scope.NAMESPACE),
    ]
    spec = PerformanceConfigSpec.model_validate({"targetRef": {"name": "web"}})
    spec = spec.model_copy(update={"monitoring": spec.monitoring.model_copy(update={"metrics": metrics})})
    sources = {"default": Datasource(name="default", url="http://prometheus.test")}
    a, b, c = plan_metrics(spec, "shop", sources, load_presets()).metrics
    assert isinstance(a.meter, PresetMeter)
    assert isinstance(b.meter, QueryMeter)
    assert (a.by_pod, b.by_pod, c.by_pod) == (True, True, False)
    for preset in load_presets().values():
        assert preset.by_pod or parse(preset.promql()).confine(Tenancy(), "shop", None).text


async def test_rule_21_a_trial_is_judged_by_the_same_query_on_both_sides(bench: Bench) -> None:
    labels = {"labels": {"app": "web", "trimtab.dev/trial": "web"}}
    marks = {"annotations": {"trimtab.dev/trial-knob": "batch=16"}}
    bench.client.put(pod(None, "web-trial", template(env={"BATCH": "16"})["spec"], metadata=labels | marks))
    bench.prometheus.answer = usage({**PODS, "web-trial": 0.4})
    await bench.start()
    await bench.look(config(KNOBS))
    asked = [text for text in bench.prometheus.asked if text.startswith("histogram_quantile")]
    bare = {re.sub(r'pod=~?"[^"]*"|\s', "", text) for text in asked}
    assert len(bare) == 1, "one query but for its pods"
    matched = {match for text in asked for match in re.findall(r'pod=~?"([^"]*)"', text)}
    assert "web-trial" in matched
    assert "|".join(PODS) in matched


async def test_rule_22_queries_are_asked_once_for_all_who_want_them_and_built_ins_once_a_namespace(
    bench: Bench,
) -> None:
    await bench.start()
    again = replace(config(), name="again", uid="uid-again", created=2.0)
    await bench.look(config())
    alone = len(bench.prometheus.asked)
    other = Bench()
    shop(other.client, pod_template=template(env={"BATCH": "8"}))
    await other.start()
    await other.look(config(), again)
    assert len(other.prometheus.asked) == alone
    assert sum("container_cpu_usage" in text for text in other.prometheus.asked) == 1
    await other.observer.close()
    await other.world.stop()


async def test_rule_23_lower_is_better_unless_said_otherwise_and_names_have_their_groups(bench: Bench) -> None:
    assert Metric(name="a", query="up").better is Better.LOWER
    await bench.start()
    higher = SPEC.replace("unit: seconds}", "unit: seconds, better: Higher}")
    for text, expected in ((SPEC, False), (higher, True)):
        seen = await bench.look(config(text, uid=text[:40] + str(expected), generation=2 + expected))
        assert bool(seen.observation.targets.higher_is_better[0]) is expected
    groups = [group_of(name) for name in ("totalLatency", "memoryUsage", "apiCosts", "checkoutShare")]
    assert groups == ["timing", "resources", "costs", "other"]
