"""Against a real Prometheus: tenants apart, staleness, traffic, bounds and loss."""

import math
import time
from pathlib import Path

import pytest

from tests.integration.observe.bed import Exporter, Prometheus, bed, eventually
from tests.integration.observe.pages import HIDDEN, HISTORY_END, NAMES, TENANCY, answer_of, scraped, source_of, tenants
from tests.unit.observe.test_promql import ADVERSARIAL
from trimtab.api.answers import AnswerKind
from trimtab.observe.answers import ask
from trimtab.observe.breaker import BreakerState
from trimtab.observe.podmatcher import PodMatcher
from trimtab.observe.promql import parse
from trimtab.observe.source import Sample, SourceError, SourceReason

HOSTILE = [
    *ADVERSARIAL,
    '{__name__=~"kube_.*"}',
    'kube_pod_info{exported_namespace="other"}',
    'kube_pod_info{namespace="mine"} or {__name__=~"kube.*", namespace="mine"}',
    'max_over_time({__name__=~".+"}[1m]) or last_over_time({secret="other"}[1m])',
    'label_replace({secret="other"}, "namespace", "mine", "", "")',
    'sum by (secret) ({secret=~".+"})',
    'count by (secret) ({secret!=""})',
]


async def test_a_users_query_can_not_read_the_other_tenant(prometheus: Prometheus) -> None:
    async with source_of(prometheus) as source:
        await scraped(source, '{secret="other"}', at_least=2 * len(NAMES))
        answered, refused = 0, set()
        for text in HOSTILE:
            query = parse(text).confine(TENANCY, "mine", None)
            try:
                now = time.time()
                found = await source.query(query.text, now)
                ranges = await source.query_range(query.text, now - 5.0, now, 1.0)
            except SourceError as error:
                # This Prometheus knows neither UTF-8 names nor `or` between matchers, and some joins are many to many.
                refused.add(error.reason)
                continue
            answered += 1
            for labels, values in [(s.labels, [s.value]) for s in found] + [(s.labels, s.values) for s in ranges]:
                assert "other" not in labels.values(), text
                assert all(not value >= HIDDEN for value in values), text
        assert answered >= 30
        assert refused == {SourceReason.BAD_QUERY}
        # The same questions, unconfined, do see it: the data is there to be read.
        seen = await source.query('sum by (secret) ({secret=~".+"})', time.time())
        assert {sample.labels["secret"] for sample in seen} == {"mine", "other"}


async def test_metrics_owned_through_another_label_are_confined_by_it(prometheus: Prometheus) -> None:
    async with source_of(prometheus) as source:
        await scraped(source, "kube_pod_info", at_least=4)
        assert (await answer_of(source, "sum(kube_pod_info)")).value == 2.0
        by_pattern = await answer_of(source, 'sum({__name__=~"kube_pod_info"})')
        assert by_pattern.kind is AnswerKind.EMPTY


async def test_the_scope_of_a_workload_is_its_pods(prometheus: Prometheus) -> None:
    async with source_of(prometheus) as source:
        await scraped(source, "vllm:num_requests_waiting", at_least=3)
        query = "sum(vllm:num_requests_waiting)"
        assert (await answer_of(source, query)).value == 11.0
        assert (await answer_of(source, query, PodMatcher.exact(["web-1"]))).value == 9.0
        assert (await answer_of(source, query, PodMatcher.owner("StatefulSet", "web"))).value == 11.0
        assert (await answer_of(source, query, PodMatcher.exact([]))).kind is AnswerKind.EMPTY


async def test_many_series_and_no_series_are_told_apart(prometheus: Prometheus) -> None:
    async with source_of(prometheus) as source:
        await scraped(source, "vllm:num_requests_waiting", at_least=3)
        assert (await answer_of(source, "vllm:num_requests_waiting")).kind is AnswerKind.AMBIGUOUS
        empty = await answer_of(source, "no_such_metric", PodMatcher.exact(["web-1"]))
        assert empty.kind is AnswerKind.EMPTY
        assert 'namespace="mine", pod=~"web-1"' in empty.message
        assert (await answer_of(source, "1 / 0")).kind is AnswerKind.INF
        assert (await answer_of(source, "scalar(vector(2)) * 3")).value == 6.0


async def test_a_latency_without_requests_is_no_traffic_and_with_requests_a_value(prometheus: Prometheus) -> None:
    query = "histogram_quantile(0.5, sum by (le) (rate(http_server_request_duration_seconds_bucket[10s])))"
    async with source_of(prometheus) as source:
        idle = await eventually(
            lambda: answer_of(source, query, PodMatcher.exact(["idle-1"])),
            lambda answer: answer.kind not in {AnswerKind.EMPTY, AnswerKind.STALE},
        )
        assert (idle.kind, idle.reason) == (AnswerKind.NO_TRAFFIC, "NoTraffic")
        busy = await eventually(
            lambda: answer_of(source, query, PodMatcher.exact(["web-1"])), lambda answer: answer.known
        )
        assert busy.value == pytest.approx(0.1 + 0.4 / 5)
        assert time.time() - busy.at < 5.0
        ratio = "sum(rate(http_server_request_duration_seconds_bucket[10s])) / sum(rate(no_such_total[10s]))"
        assert (await answer_of(source, ratio)).kind is AnswerKind.EMPTY


async def test_an_offset_does_not_make_a_sample_stale(prometheus: Prometheus) -> None:
    async with source_of(prometheus) as source:
        answer = await eventually(
            lambda: answer_of(source, "sum(vllm:num_requests_waiting offset 3s)"), lambda answer: answer.known
        )
        assert answer.value == 11.0
        assert time.time() - answer.at < 5.0


async def test_a_rate_goes_stale_soon_after_its_exporter_stops_though_it_still_gives_numbers(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    text = "sum(rate(requests_total[5m]))"
    async with source_of(prometheus) as source:
        alive = await eventually(lambda: answer_of(source, text), lambda answer: answer.known)
        assert alive.value > 0.0
        exporter.alive["mortal"] = False
        stale = await eventually(lambda: answer_of(source, text), lambda answer: not answer.known)
        assert (stale.kind, stale.reason) == (AnswerKind.STALE, "Stale")
        assert math.isnan(stale.value)
        (number,) = await source.query(parse(text).confine(TENANCY, "mine", None).text, time.time())
        assert number.value > 0.0
        exporter.alive["mortal"] = True
        await eventually(lambda: answer_of(source, text), lambda answer: answer.known)


async def test_a_series_that_ended_within_two_intervals_is_not_stale_yet(prometheus: Prometheus) -> None:
    async with source_of(prometheus, scrape_interval_seconds=3600.0) as source:
        # With hours between scrapes allowed, a sample of a series that ended is still looked for, and found.
        text = 'sum(rate(container_cpu_usage_seconds_total{pod="old-1"}[6h]))'
        query = parse(text).confine(TENANCY, "mine", None)
        (answer,) = await ask(source, [query], HISTORY_END + 3600.0)
        assert answer.kind is AnswerKind.VALUE
        assert answer.value == pytest.approx(0.25 * 5 / 6, rel=0.01)  # an hour of the six has no samples
        assert answer.at == HISTORY_END - 60.0
        (late,) = await ask(source, [query], HISTORY_END + 3600.0 * 2.5)
        assert late.kind is AnswerKind.STALE


async def test_a_huge_answer_stops_at_the_byte_cap(prometheus: Prometheus) -> None:
    async with source_of(prometheus, max_response_bytes=1024) as source:
        with pytest.raises(SourceError) as caught:
            await eventually(lambda: source.query('{__name__=~".+"}', time.time()), lambda samples: len(samples) > 50)
        assert caught.value.reason is SourceReason.TOO_LARGE
        assert source._breaker.state is BreakerState.CLOSED


async def test_what_prometheus_refuses_is_a_bad_query_in_its_words_without_series(prometheus: Prometheus) -> None:
    async with source_of(prometheus) as source:
        with pytest.raises(SourceError, match="bad_data") as caught:
            await source.query('up{secret="hidden"', time.time())
        assert caught.value.reason is SourceReason.BAD_QUERY
        assert "parse error" in caught.value.message
        assert "hidden" not in caught.value.message
        await scraped(source, "vllm:num_requests_waiting", at_least=3)
        with pytest.raises(SourceError, match=r"\[\{…\}, \{…\}\];many-to-many matching not allowed"):
            await source.query("vllm:num_requests_waiting + on () vllm:num_requests_waiting", time.time())


async def test_losing_prometheus_opens_the_circuit_and_its_return_closes_it(tmp_path: Path) -> None:
    own = Exporter()
    own.add("tenants", tenants)
    with bed(tmp_path, own) as prometheus:
        async with source_of(prometheus) as source:
            await scraped(source, "secret", at_least=4)
            prometheus.stop()
            reasons = set()
            for _ in range(3):
                with pytest.raises(SourceError) as caught:
                    await source.query("secret", time.time())
                reasons.add(caught.value.reason)
            assert reasons == {SourceReason.UNREACHABLE, SourceReason.CIRCUIT_OPEN}
            prometheus.start()

            async def again() -> list[Sample] | SourceError:
                try:
                    return await source.query("vector(1)", time.time())
                except SourceError as error:
                    return error

            await eventually(again, lambda result: isinstance(result, list))
            assert source._breaker.state is BreakerState.CLOSED
