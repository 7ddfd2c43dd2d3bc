"""Service level objectives: what is measured each tick, and what is read of the past, once."""

import math
from typing import Any

import numpy as np
import pytest

from tests.unit.observe_assembly.bench import NOW, SPEC, config, settings, shop, usage
from tests.unit.observe_assembly.scene import DOWN, PODS, PRESETS, Bench
from trimtab.api.answers import AnswerKind
from trimtab.observe.goalhistory import EMPTY_DAYS, GoalHistory
from trimtab.observe.source import Sample, Series

DAY = 86_400.0
METRIC = SPEC.replace(
    "optimization:",
    '  objectives: [{name: fast, metric: totalLatency, atMost: "0.25", target: "0.99", windowDays: 7}]\noptimization:',
    1,
)
EVENTS = SPEC.replace(
    "optimization:",
    """  objectives:
  - name: answered
    good: 'sum(rate(http_total{code!~"5.."}[5m]))'
    total: 'sum(rate(http_total[5m]))'
    target: "0.999"
optimization:""",
    1,
)


@pytest.mark.parametrize(("latency", "good"), [(0.2, 1.0), (0.25, 1.0), (0.3, 0.0)])
async def test_an_interval_is_good_while_the_metric_is_inside_its_bound(
    bench: Bench, latency: float, good: float
) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.answer = usage(PODS, latency=latency)
    rows = (await bench.look(config(METRIC))).observation.objectives
    assert (rows.name[0], rows.target[0], rows.window_days[0]) == ("fast", 0.99, 7)
    assert (rows.kind[0], rows.good[0], rows.total[0]) == (AnswerKind.VALUE, good, 1.0)


async def test_each_measurement_stands_for_the_time_since_the_one_before_and_a_gap_is_left_unknown(
    bench: Bench,
) -> None:
    shop(bench.client)
    await bench.start()
    spans = []
    for at in (NOW, NOW + 15, NOW + 31, NOW + 1000):
        spans.append(float((await bench.look(config(METRIC), now=at)).observation.objectives.span[0]))
    assert spans == [15.0, 15.0, 16.0, 60.0]


async def test_good_and_total_have_queries_of_their_own_confined_to_the_pods(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    base = usage(PODS)

    def answer(text: str, at: float) -> list[Sample]:
        if "http_total" in text and "probe" not in text:
            return [Sample({}, 9.9 if "code" in text else 10.0, at)]
        return base(text, at)

    bench.prometheus.answer = answer
    rows = (await bench.look(config(EVENTS))).observation.objectives
    assert (rows.kind[0], rows.good[0], rows.total[0]) == (AnswerKind.VALUE, 9.9, 10.0)
    asked = [text for text in bench.prometheus.asked if "http_total" in text and "probe" not in text]
    assert asked
    assert all('namespace="shop"' in text and "pod=~" in text for text in asked)


@pytest.mark.parametrize(
    ("good", "total", "kind"),
    [(None, 10.0, AnswerKind.EMPTY), (5.0, None, AnswerKind.EMPTY), (0.0, 0.0, AnswerKind.NO_TRAFFIC)],
)
async def test_without_both_numbers_nothing_is_known_and_no_events_are_no_traffic(
    bench: Bench, good: float | None, total: float | None, kind: AnswerKind
) -> None:
    shop(bench.client)
    await bench.start()
    base = usage(PODS)

    def answer(text: str, at: float) -> list[Sample]:
        if "http_total" in text and "probe" not in text:
            number = good if "code" in text else total
            return [] if number is None else [Sample({}, number, at)]
        return base(text, at)

    bench.prometheus.answer = answer
    assert (await bench.look(config(EVENTS))).observation.objectives.kind[0] == kind


async def test_an_edit_of_the_bound_is_another_objective_and_an_edit_of_the_target_is_not(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    keys = [
        str((await bench.look(config(text, generation=place))).observation.objectives.key[0])
        for place, text in enumerate(
            (METRIC, METRIC.replace('"0.25"', '"0.2"'), METRIC.replace('"0.99"', '"0.999"'), METRIC.replace("2m", "5m"))
        )
    ]
    assert keys[0] == keys[2]
    assert len({keys[0], keys[1], keys[3]}) == 3


def flat(value: float, since: float = -math.inf) -> Any:
    def answer(_text: str, start: float, end: float) -> list[Series]:
        times = np.arange(start, end + 1, 300.0)
        times = times[times >= since]
        return [Series({}, times, np.full(len(times), value))] if len(times) else []

    return answer


def history(bench: Bench, **options: Any) -> GoalHistory:
    sources = {"default": bench.prometheus}
    return GoalHistory(sources, settings().datasources, bench.observer.plans, **options)


async def read_all(reader: GoalHistory, seen: Any) -> list[Any]:
    parts = []
    while keys := reader.wanted(seen, NOW):
        parts.append(await reader.read(seen, keys, NOW))
    return parts


async def test_the_window_is_read_once_a_day_at_a_time_newest_first_and_no_point_twice(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.series = flat(0.2)
    seen = await bench.look(config(METRIC))
    reader = history(bench)
    parts = await read_all(reader, seen)
    starts = [start for _, start, _ in bench.prometheus.ranges]
    assert starts == sorted(starts, reverse=True)
    assert all(end - start <= DAY for _, start, end in bench.prometheus.ranges)
    times = np.concatenate([part.time for part in parts])
    assert len(times) == len(np.unique(times))
    assert len(times) == pytest.approx(7 * 288, abs=2)
    assert all(part.good.all() for part in parts)
    assert all('pod=~"web-' in text for text, _, _ in bench.prometheus.ranges), "pods that are gone count"


async def test_what_the_datasource_no_longer_keeps_is_not_asked_for_day_after_day(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.series = flat(0.2, since=NOW - 1.5 * DAY)
    seen = await bench.look(config(METRIC.replace("windowDays: 7", "windowDays: 90")))
    await read_all(history(bench), seen)
    assert len(bench.prometheus.ranges) == 2 + EMPTY_DAYS


async def test_the_budget_of_a_reading_is_kept_and_the_rest_is_read_next(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.series = flat(1.0)
    seen = await bench.look(config(EVENTS), config(METRIC, name="web2"))
    reader = history(bench, max_queries=2)
    first = await reader.read(seen, reader.wanted(seen, NOW), NOW)
    assert len(bench.prometheus.ranges) <= 2
    assert len(first.keys) == 1
    second = await reader.read(seen, reader.wanted(seen, NOW), NOW)
    assert set(second.keys) != set(first.keys), "the one with the least history comes first"


async def test_a_datasource_that_is_down_is_asked_again_later_and_the_day_is_not_lost(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    seen = await bench.look(config(METRIC))
    reader = history(bench)
    bench.prometheus.error = DOWN
    assert len((await reader.read(seen, reader.wanted(seen, NOW), NOW)).row) == 0
    assert reader.wanted(seen, NOW + 60) == []
    bench.prometheus.error = None
    bench.prometheus.series = flat(0.2)
    assert len((await reader.read(seen, reader.wanted(seen, NOW + 301), NOW + 301)).row) == 288


@pytest.mark.parametrize("series", [2, 0])
async def test_several_series_or_none_are_unknown_time(bench: Bench, series: int) -> None:
    shop(bench.client)
    await bench.start()
    one = flat(0.2)
    bench.prometheus.series = lambda *args: one(*args) * series
    seen = await bench.look(config(METRIC))
    reader = history(bench)
    assert len((await reader.read(seen, reader.wanted(seen, NOW), NOW)).row) == 0


async def test_nan_is_unknown_time_and_a_forgotten_objective_is_read_anew(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.series = flat(math.nan)
    seen = await bench.look(config(METRIC))
    reader = history(bench)
    assert sum(len(part.row) for part in await read_all(reader, seen)) == 0
    reader.forget(set())
    assert reader.wanted(seen, NOW)


async def test_a_built_in_metric_starts_without_history(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    goal = METRIC.replace('metric: totalLatency, atMost: "0.25"', 'metric: cpuUsage, atMost: "2"')
    seen = await bench.look(config(goal))
    assert (seen.observation.objectives.good[0], seen.observation.objectives.total[0]) == (1.0, 1.0)
    assert await read_all(history(bench), seen)
    assert bench.prometheus.ranges == []


async def test_the_history_of_a_preset_is_its_query(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    name = "http-server-p95"
    assert name in PRESETS
    text = METRIC.replace("query: 'histogram_quantile(0.95, sum by (le) (rate(dur_bucket[2m])))'", f"preset: {name}")
    seen = await bench.look(config(text))
    bench.prometheus.series = flat(0.2)
    reader = history(bench)
    assert len((await reader.read(seen, reader.wanted(seen, NOW), NOW)).row) == 288
    assert "histogram_quantile" in bench.prometheus.ranges[0][0]
