"""Against a real Prometheus: presets, built-ins and history."""

import time
from functools import partial

import numpy as np
import pytest

from tests.integration.observe.bed import Prometheus, eventually
from tests.integration.observe.pages import HISTORY_END, SCRAPE_SECONDS, TENANCY, answer_of, source_of
from trimtab.api.answers import AnswerKind
from trimtab.observe.builtin import (
    Builtin,
    Readings,
    backfill_chunks,
    backfill_query,
    builtin_query,
    history,
    readings,
)
from trimtab.observe.podmatcher import PodMatcher
from trimtab.observe.presetbatch import PresetBatch
from trimtab.observe.presets import load_presets
from trimtab.observe.prometheus import PrometheusSource
from trimtab.observe.promql import parse
from trimtab.observe.source import Sample


async def batched(source: PrometheusSource, batch: PresetBatch, at: float) -> dict[str, list[Sample]]:
    return {part: await source.query(text, at) for part, text in batch.texts.items()}


async def test_a_preset_by_namespace_gives_the_quantile_that_prometheus_gives(prometheus: Prometheus) -> None:
    preset = load_presets()["http-server-p95"]
    batch = PresetBatch.build(preset, TENANCY, "mine", SCRAPE_SECONDS, window=10.0)
    async with source_of(prometheus) as source:
        for pods in (["web-1"], ["web-2"], ["web-1", "web-2"]):
            exact = PodMatcher.exact(pods)
            await eventually(partial(answer_of, source, preset.promql(10.0), exact), lambda a: a.known)
            at = time.time()
            single = (await source.query(parse(preset.promql(10.0)).confine(TENANCY, "mine", exact).text, at))[0]
            answer = batch.answer(await batched(source, batch, at), pods, at)
            assert answer.kind is AnswerKind.VALUE
            assert answer.value == pytest.approx(single.value)
        at = time.time()
        assert batch.answer(await batched(source, batch, at), ["idle-1"], at).kind is AnswerKind.NO_TRAFFIC
        assert batch.answer(await batched(source, batch, at), ["gone"], at).kind is AnswerKind.EMPTY


async def test_every_preset_and_built_in_is_taken_by_prometheus(prometheus: Prometheus) -> None:
    async with source_of(prometheus) as source:
        now = time.time()
        for preset in load_presets().values():
            await source.query(parse(preset.promql()).confine(TENANCY, "mine", PodMatcher.exact(["a"])).text, now)
            if preset.by_pod:
                await batched(source, PresetBatch.build(preset, TENANCY, "mine", SCRAPE_SECONDS), now)
        for builtin in Builtin:
            await source.query(builtin_query(builtin, TENANCY, "mine", 60.0).text, now)


async def measured(source: PrometheusSource, builtin: Builtin) -> Readings:
    at = time.time()
    stamps = builtin_query(Builtin.SAMPLED, TENANCY, "mine", 30.0)
    sampled = readings(stamps, await source.query(stamps.text, at)).values
    query = builtin_query(builtin, TENANCY, "mine", 4.0)
    return readings(query, await source.query(query.text, at), sampled, at, SCRAPE_SECONDS)


async def test_built_ins_read_containers_and_tell_the_living_from_the_remembered(prometheus: Prometheus) -> None:
    app = ("web-1", "app")
    async with source_of(prometheus) as source:
        cpu = await eventually(lambda: measured(source, Builtin.CPU), lambda found: found.values.get(app, 0.0) > 0.45)
        assert cpu.values == {app: pytest.approx(0.5, rel=0.1)}
        memory = await measured(source, Builtin.MEMORY)
        assert memory.values == {app: 1000.0}
        throttled = await measured(source, Builtin.THROTTLED)
        assert throttled.values == {app: pytest.approx(0.2, rel=0.1)}
        received = await measured(source, Builtin.RECEIVED)
        assert received.values == {("web-1", ""): pytest.approx(4.0, rel=0.1)}
        total = builtin_query(Builtin.MEMORY, TENANCY, "mine", 300.0)
        at = time.time()
        stamps = builtin_query(Builtin.SAMPLED, TENANCY, "mine", 30.0)
        sampled = readings(stamps, await source.query(stamps.text, at)).values
        seen = readings(total, await source.query(total.text, at), sampled, at, SCRAPE_SECONDS)
        assert seen.values == {app: 1000.0}
        assert seen.kinds.get(("web-0", "app")) is AnswerKind.STALE


async def test_history_is_read_back_in_chunks(prometheus: Prometheus) -> None:
    start, end = HISTORY_END - 2 * 86_400 + 600.0, HISTORY_END - 600.0
    old = ("old-1", "app")
    async with source_of(prometheus) as source:
        for builtin, expected in ((Builtin.CPU, 0.25), (Builtin.MEMORY, 1004.0)):
            query = backfill_query(builtin, TENANCY, "mine")
            points = 0
            for begin, last in backfill_chunks(start, end):
                times, values = history(query, await source.query_range(query.text, begin, last, 300.0))[old]
                assert (times[0], times[-1]) == (begin, last)
                np.testing.assert_allclose(values, expected)
                points += values.size
            assert points == int(end // 300 - -(-start // 300)) + 1
