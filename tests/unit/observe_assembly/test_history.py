"""Back-fill: bounded, by the shape of pod names, and never fatal."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.observe_assembly.bench import (
    NOW,
    SPEC,
    FakeClient,
    FakePrometheus,
    config,
    deployment,
    replica_set,
    settings,
    shop,
    started_world,
    usage,
)
from trimtab.decide.observation import Observation
from trimtab.observe.history import History
from trimtab.observe.observer import Observer
from trimtab.observe.source import Series, SourceError, SourceReason

DAY = 86_400.0
DOWN = SourceError(SourceReason.TIMEOUT, "Datasource default did not answer in time.")


def series(pods: Any, step: float = 300.0) -> Any:
    """One flat series a pod over whatever is asked for; memory is a thousand times the CPU."""

    def answer(text: Any, start: Any, end: Any) -> Any:
        times = np.arange(start, end + 1, step)
        factor = 1000.0 if "working_set" in text else 1.0
        return [
            Series({"pod": pod, "container": "app"}, times, np.full(len(times), value * factor))
            for pod, value in pods.items()
        ]

    return answer


@pytest.fixture
async def scene() -> Any:
    client, prometheus = FakeClient(), FakePrometheus(usage({}))
    shop(client)
    other = deployment("web-api")
    client.put(other, replica_set(other, "zzzz"))
    world = await started_world(client)
    observer = Observer(world, {"default": prometheus}, {}, settings())

    async def seen(*configs: Any) -> Any:
        return await observer.observe({one.key: one for one in configs or (config(),)}, NOW)

    yield prometheus, seen
    await observer.close()
    await world.stop()


def history(prometheus: Any, **options: Any) -> Any:
    return History({"default": prometheus}, settings().datasources, **options)


async def test_the_samples_of_living_and_dead_pods_come_oldest_first(scene: Any) -> None:
    prometheus, look = scene
    prometheus.series = series({"web-6bcf4d8f-bcdfg": 0.2, "web-55555-zzzzz": 0.3, "web-api-6bcf4d8f-bcdfg": 9.0})
    seen = await look()
    reader = history(prometheus)
    past = await reader.read(seen, ["shop/web"], NOW)
    assert past.keys == ("shop/web/app",)
    assert reader.wanted(seen, NOW + 1e6) == []
    samples = past.samples
    assert set(samples.cpu.tolist()) == {0.2, 0.3}, "another workload's pods are not ours"
    assert set(samples.memory.tolist()) == {200.0, 300.0}
    assert (np.diff(samples.time) >= 0).all()
    assert samples.time.min() >= NOW - 8 * DAY
    assert samples.time.max() <= NOW
    per_pod = len(samples) / 2
    assert per_pod == 8 * 288 + 1 or per_pod == 8 * 288
    assert len(np.unique(samples.time)) == per_pod, "no point twice"
    assert set(samples.span.tolist()) == {300.0}


async def test_only_what_a_checkpoint_does_not_know_is_read(scene: Any) -> None:
    prometheus, look = scene
    prometheus.series = series({"web-6bcf4d8f-bcdfg": 0.2})
    reader = history(prometheus)
    reader.known("shop/web", {"shop/web/app": NOW - 3600.0})
    past = await reader.read(await look(), ["shop/web"], NOW)
    assert past.samples.time.min() == NOW - 3300.0, "a point stands for the five minutes before it"
    assert len(past.samples) == 12
    reader.forget([])
    reader.known("shop/web", {"shop/web/other": NOW})
    whole = await reader.read(await look(), ["shop/web"], NOW)
    assert len(whole.samples) > 2000, "of this container nothing is known"


async def test_samples_are_put_onto_the_rows_of_a_later_observation(scene: Any) -> None:
    prometheus, look = scene
    prometheus.series = series({"web-6bcf4d8f-bcdfg": 0.2})
    api = config(SPEC.replace("name: web}", "name: web-api}"), name="api")
    past = await history(prometheus).read(await look(), ["shop/web"], NOW)
    later = (await look(api, config())).observation
    placed = past.onto(later)
    assert placed.containers is later.containers
    assert set(placed.samples.container.tolist()) == {1}
    assert len(past.onto(Observation(now=NOW)).samples) == 0


async def test_every_query_is_by_namespace_a_day_at_a_time_newest_first(scene: Any) -> None:
    prometheus, look = scene
    past = history(prometheus, max_days=2.0)
    await past.read(await look(), ["shop/web"], NOW)
    assert all('namespace="shop"' in text for text, _, _ in prometheus.ranges)
    starts = [start for text, start, _ in prometheus.ranges if "cpu_usage" in text]
    assert len(starts) in (2, 3)
    assert starts == sorted(starts, reverse=True)
    assert all(end - start <= DAY for _, start, end in prometheus.ranges)


async def test_retention_days_bound_how_far_back_it_goes(scene: Any) -> None:
    prometheus, look = scene
    prometheus.series = series({"web-6bcf4d8f-bcdfg": 0.2})
    short = config(SPEC.replace("monitoring:\n", "monitoring:\n  retentionDays: 1\n"))
    past = await history(prometheus).read(await look(short), [short.key], NOW)
    assert past.samples.time.min() >= NOW - DAY


async def test_the_budget_keeps_the_newest_samples_and_says_so(scene: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    prometheus, look = scene
    prometheus.series = series({"web-6bcf4d8f-bcdfg": 0.2})
    past = await history(prometheus, max_samples=300).read(await look(), ["shop/web"], NOW)
    assert "older ones left out" in caplog.text
    assert 300 <= len(past.samples) <= 2 * 288
    assert past.samples.time.min() > NOW - 2.1 * DAY


async def test_a_failure_is_told_and_tried_again_later(scene: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    prometheus, look = scene
    seen = await look()
    reader = history(prometheus)
    assert reader.wanted(seen, NOW) == ["shop/web"]
    prometheus.error = DOWN
    past = await reader.read(seen, ["shop/web"], NOW)
    assert DOWN.message in caplog.text
    assert len(past.samples) == 0
    assert reader.wanted(seen, NOW + 59) == []
    assert reader.wanted(seen, NOW + 60) == ["shop/web"]
    prometheus.error = None
    await reader.read(seen, ["shop/web"], NOW + 60)
    assert reader.wanted(seen, NOW + 1e6) == []


async def test_a_fault_of_ours_is_a_failure_like_any_other(scene: Any, caplog: pytest.LogCaptureFixture) -> None:
    prometheus, look = scene
    prometheus.series = lambda text, start, end: 1 / 0
    reader, seen = history(prometheus), await look()
    await reader.read(seen, ["shop/web"], NOW)
    assert "ZeroDivisionError" in caplog.text
    assert reader.wanted(seen, NOW) == []
    assert reader.wanted(seen, NOW + 60) == ["shop/web"]


async def test_a_resource_that_was_made_anew_is_read_anew(scene: Any) -> None:
    prometheus, look = scene
    reader = history(prometheus)
    await reader.read(await look(), ["shop/web"], NOW)
    assert reader.wanted(await look(config(uid="another")), NOW) == ["shop/web"]
    reader.forget(set())
    assert reader.wanted(await look(), NOW) == ["shop/web"]


async def test_resources_without_a_row_or_a_datasource_are_not_waited_for(scene: Any) -> None:
    prometheus, look = scene
    lost = config(SPEC.replace("name: web}", "name: nothing}"), name="lost")
    nowhere = config(SPEC.replace("monitoring:\n", "monitoring:\n  datasource: nowhere\n"), name="nowhere")
    assert history(prometheus).wanted(await look(lost, nowhere), NOW) == []


async def test_points_that_are_no_numbers_are_left_out(scene: Any) -> None:
    prometheus, look = scene

    def answer(text: Any, start: Any, end: Any) -> Any:
        times = np.array([end - 600, end - 300, end])
        values = [-1.0, np.nan, 0.5] if "cpu_usage" in text else [np.inf, 7.0, 8.0]
        return [Series({"pod": "web-6bcf4d8f-bcdfg", "container": "app"}, times, np.array(values))]

    prometheus.series = answer
    past = await history(prometheus, max_days=0.01).read(await look(), ["shop/web"], NOW)
    assert past.samples.memory.tolist() == [7.0, 8.0]
    assert past.samples.cpu.tolist()[1] == 0.5
    assert np.isnan(past.samples.cpu[0])
    assert re.search("rate", prometheus.ranges[0][0])


async def test_what_does_not_fit_into_one_go_is_read_in_the_next(scene: Any) -> None:
    prometheus, look = scene
    prometheus.series = series({"web-6bcf4d8f-bcdfg": 0.2})
    there, here = config(namespace="there"), config()
    seen = await look(here)
    facts = replace(seen.facts["shop/web"], config=there)
    both = replace(seen, facts={"shop/web": seen.facts["shop/web"], "there/web": facts})
    reader = history(prometheus, max_samples=4000)
    await reader.read(both, ["shop/web", "there/web"], NOW)
    assert reader.wanted(both, NOW) == ["there/web"]
