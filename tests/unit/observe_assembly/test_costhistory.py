"""The cost baseline out of history: four queries a workload, once, and only before the first move."""

import math
from typing import Any

import numpy as np
import pytest

from tests.unit.observe_assembly.bench import NOW, SPEC, config, settings, shop, template, usage
from tests.unit.observe_assembly.scene import DOWN, KNOBS, PODS, PROFILE, Bench, profile
from trimtab.observe.costhistory import CostHistory
from trimtab.observe.source import Series

GIB = 2.0**30
HOUR = 3600.0
CPU, MEMORY = 0.031611, 0.004237


def past(pods: float = 3.0, cores: float = 0.9, memory: float = 6 * GIB, rate: float | None = 20.0) -> Any:
    def answer(text: str, start: float, end: float) -> list[Series]:
        times = np.arange(start, end + 1, HOUR)
        number = (
            rate
            if "_count" in text
            else pods
            if text.startswith("count(")
            else cores
            if "cpu_usage" in text
            else memory
        )
        return [] if number is None else [Series({}, times, np.full(len(times), number))]

    return answer


async def reader(bench: Bench, text: str = SPEC) -> tuple[CostHistory, Any]:
    await bench.start()
    bench.prometheus.answer = usage(PODS, memory=GIB)
    bench.prometheus.series = past()
    await bench.look(config(text))
    seen = await bench.look(config(text), now=NOW + 15)
    return CostHistory({"default": bench.prometheus}, settings().datasources, bench.observer.plans), seen


async def test_an_hour_costs_what_its_pods_asked_for_or_used_at_the_prices_of_now(bench: Bench) -> None:
    shop(bench.client)
    history, seen = await reader(bench)
    found = await history.read(seen, history.wanted(seen, NOW), NOW)
    assert found.keys == ("shop/web",)
    assert len(found.cost) == 14 * 24 + 1
    assert found.cost[0] == pytest.approx(3 * 0.5 * CPU + 6 * MEMORY)
    assert (found.requests[0], found.cpu[0], found.memory[0]) == (72_000.0, 1.5, 3 * 256 * 2**20)
    assert len(bench.prometheus.ranges) == 4
    assert all('namespace="shop"' in text and 'pod=~"web-' in text for text, _, _ in bench.prometheus.ranges)
    assert history.wanted(seen, NOW + 1e6) == []


async def test_where_values_of_trimtab_are_in_force_nothing_is_read(bench: Bench) -> None:
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    bench.client.put(profile(PROFILE))
    history, seen = await reader(bench, KNOBS)
    assert history.wanted(seen, NOW) == []


async def test_without_a_rate_the_hours_are_known_and_the_requests_are_not(bench: Bench) -> None:
    shop(bench.client)
    history, seen = await reader(bench)
    bench.prometheus.series = past(rate=None)
    found = await history.read(seen, ["shop/web"], NOW)
    assert np.isnan(found.requests).all()
    assert np.isfinite(found.cost).all()


async def test_hours_without_pods_or_data_are_left_out(bench: Bench) -> None:
    shop(bench.client)
    history, seen = await reader(bench)
    bench.prometheus.series = past(pods=math.nan)
    assert len((await history.read(seen, ["shop/web"], NOW)).cost) == 0


async def test_a_datasource_that_is_down_is_asked_again_later(bench: Bench) -> None:
    shop(bench.client)
    history, seen = await reader(bench)
    bench.prometheus.error = DOWN
    assert len((await history.read(seen, ["shop/web"], NOW)).cost) == 0
    assert history.wanted(seen, NOW) == []
    bench.prometheus.error = None
    assert history.wanted(seen, NOW + 601) == ["shop/web"]
