"""Observe on real pods with a real Prometheus: numbers are true, OOM kills are seen at once, loss is no zero."""

import math
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.recipes import load_recipe
from tests.integration.observe.bed import eventually
from tests.integration.observe_assembly.test_real_cluster import seen_by, workload
from tests.unit.observe_assembly.bench import SPEC, config
from trimtab.api.answers import AnswerKind
from trimtab.api.datasource import Datasource
from trimtab.api.settings import OperatorSettings
from trimtab.observe.history import History
from trimtab.observe.observer import Observer
from trimtab.observe.presets import load_presets
from trimtab.observe.prometheus import PrometheusSource

pytestmark = pytest.mark.pods
BUSY = """
import time
while True:
    end = time.process_time() + 0.02
    while time.process_time() < end: pass
    time.sleep(0.08)
"""
HUNGRY = "x = bytearray(200 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nimport time; time.sleep(3600)"


class Bench:
    def __init__(self, url: str) -> None:
        self.datasource = Datasource(name="default", url=url, scrape_interval_seconds=5, timeout_seconds=5)
        self.source = PrometheusSource(self.datasource, random.Random(1))
        self.settings = OperatorSettings(datasources=[self.datasource])


@pytest.fixture
async def bench(pods_cluster: Bed) -> AsyncIterator[Bench]:
    load_recipe(pods_cluster, "python")
    made = Bench(pods_cluster.prometheus_url)
    yield made
    await made.source.aclose()


async def test_a_busy_workload_is_measured_and_its_history_is_read(
    bench: Bench, world: Any, namespace: Any, apply: Any
) -> None:
    apply(workload(replicas=1, command=["python3", "-c", BUSY]))
    target = await seen_by(world, namespace, pods=1)
    observer = Observer(world, {"default": bench.source}, load_presets(), bench.settings)
    one = config(SPEC, namespace=namespace)

    async def look() -> Any:
        return await observer.observe({one.key: one}, time.time())

    first = await eventually(look, lambda s: bool((s.observation.samples.memory > 0).any()))
    assert not (first.observation.samples.cpu > 0).any(), "its first window is not full yet"
    seen = await eventually(look, lambda s: bool((s.observation.samples.cpu > 0).any()))
    w, c = seen.observation.workloads, seen.observation.containers
    assert w.ready[0] == 1
    assert 0.02 < w.cpu_usage[0] < 0.4, "20 ms of every 100 ms, less on a busy machine"
    assert 1e6 < c.working_set[0] < 64 * 2**20
    assert seen.observation.samples.time[0] == pytest.approx(time.time(), abs=30)
    metrics = seen.facts[one.key].metrics
    assert metrics["cpuUsage"].value == pytest.approx(w.cpu_usage[0])
    assert metrics["memoryUsage"].kind is AnswerKind.VALUE
    assert metrics["totalLatency"].kind is AnswerKind.EMPTY
    assert f'namespace="{namespace}"' in metrics["totalLatency"].message
    assert w.node_cpu[0] >= 1
    assert target.kind == "Deployment"

    past = History({"default": bench.source}, [bench.datasource])

    async def read() -> Any:
        return await past.read(seen, [one.key], time.time() + 300)

    found = await eventually(read, lambda p: len(p.samples) > 0)
    assert found.keys == (f"{one.key}/app",)
    assert (found.samples.memory > 0).any()
    await observer.close()


async def test_an_oom_kill_is_seen_from_the_kubelet_without_any_prometheus(
    bench: Bench, world: Any, namespace: Any, apply: Any
) -> None:
    apply(workload(replicas=1, command=["python3", "-c", HUNGRY]))
    await seen_by(world, namespace, pods=1)
    nowhere = PrometheusSource(
        Datasource(name="default", url="http://127.0.0.1:9", timeout_seconds=1), random.Random(1)
    )
    observer = Observer(world, {"default": nowhere}, {}, bench.settings)
    one = config(SPEC, namespace=namespace)

    async def look() -> Any:
        return await observer.observe({one.key: one}, time.time())

    seen = await eventually(look, lambda s: bool(s.observation.containers.oom_at[0] > 0))
    c = seen.observation.containers
    assert c.oom_limit[0] == 64 * 2**20
    assert time.time() - c.oom_at[0] < 120
    assert math.isnan(seen.observation.workloads.cpu_usage[0])
    assert seen.facts[one.key].metrics["cpuUsage"].kind is AnswerKind.ERROR
    await observer.close()
    await nowhere.aclose()
