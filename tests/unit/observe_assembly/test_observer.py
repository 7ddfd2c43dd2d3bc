"""The whole of observe: raw objects and a Prometheus in, one Observation out."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.observe_assembly.bench import (
    NOW,
    SPEC,
    config,
    deployment,
    node,
    pod,
    shop,
    usage,
)
from tests.unit.observe_assembly.scene import DOWN, PODS, Bench
from trimtab.api.answers import AnswerKind
from trimtab.observe import observer as module


async def test_a_workload_becomes_one_row_in_every_table(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    seen = await bench.look()
    w, c, t = seen.observation.workloads, seen.observation.containers, seen.observation.targets
    assert (len(w), len(c), len(t)) == (1, 1, 1)
    assert w.key[0] == "shop/web"
    assert (w.replicas[0], w.ready[0], w.acting[0], w.due[0]) == (2, 2, True, True)
    assert w.allowed[0].tolist() == [True, True, True, False]
    assert w.cpu_usage[0] == pytest.approx(0.8)
    assert w.cpu_per_pod[0] == 1.0
    assert w.arrival_rate[0] == 50.0
    assert (w.node_cpu[0], w.node_memory[0]) == (8.0, 16 * 2**30)
    assert w.up_value[0].tolist()[:2] == [4.0, 100.0]
    assert w.up_percent[0].tolist()[:2] == [False, True]
    assert (c.key[0], c.cpu[0], c.memory_limit[0]) == ("shop/web/app", 0.5, 512 * 2**20)
    assert (c.cpu_min[0], c.cpu_max[0]) == (0.1, 2.0)
    assert (c.throttled[0], c.working_set[0]) == (pytest.approx(0.1), 100e6)
    assert (t.kind[0], t.value[0], t.limit[0], t.latency[0]) == (AnswerKind.VALUE, 0.2, 0.3, True)
    assert t.age[0] == pytest.approx(1.0)
    s = seen.observation.samples
    assert sorted(s.cpu.tolist()) == [0.3, 0.5]
    assert set(s.container.tolist()) == {0}
    facts = seen.facts["shop/web"]
    assert facts.row == 0
    assert facts.stopped is None
    assert facts.metrics["cpuUsage"].value == pytest.approx(0.8)
    assert facts.metrics["networkUsage"].value == pytest.approx(4000.0)
    assert facts.metrics["totalLatency"].value == 0.2


async def test_every_query_is_confined_to_the_namespace_and_declared_ones_to_the_pods(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    await bench.look()
    assert bench.prometheus.asked
    # Prices are the cluster's, and asked by the operator alone.
    asked = [text for text in bench.prometheus.asked if not text.startswith("max by (node) (node_")]
    assert all('namespace="shop"' in text for text in asked)
    declared = [text for text in bench.prometheus.asked if text.startswith("histogram_quantile")]
    assert len(declared) == 1
    assert "web-6bcf4d8f-pod0|web-6bcf4d8f-pod1" in declared[0]


async def test_a_reading_becomes_samples_once(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    assert len((await bench.look()).observation.samples) == 2
    bench.prometheus.error = DOWN
    again = await bench.look(now=NOW + 15)
    assert len(again.observation.samples) == 0
    bench.prometheus.error = None
    third = await bench.look(now=NOW + 30)
    assert third.observation.samples.span.tolist() == [30.0, 30.0]


async def test_without_prometheus_rows_pods_and_ooms_are_still_there_and_metrics_say_error(bench: Bench) -> None:
    owner = shop(bench.client, count=1)
    bench.prometheus.error = DOWN
    sets = next(iter(bench.client.objects["/apis/apps/v1/replicasets"].values()))
    dead = pod(
        sets,
        "pod9",
        owner["spec"]["template"]["spec"],
        status={
            "containerStatuses": [
                {
                    "name": "app",
                    "lastState": {"terminated": {"reason": "OOMKilled", "finishedAt": "2027-01-15T07:59:50Z"}},
                    "resources": {"limits": {"memory": "300Mi"}},
                }
            ]
        },
    )
    bench.client.put(dead)
    await bench.start()
    seen = await bench.look()
    w, c, t = seen.observation.workloads, seen.observation.containers, seen.observation.targets
    assert (w.replicas[0], w.ready[0]) == (1, 2)
    assert (c.oom_at[0], c.oom_limit[0]) == (NOW - 10, 300 * 2**20)
    assert math.isnan(w.cpu_usage[0])
    assert math.isnan(w.arrival_rate[0])
    assert math.isnan(c.working_set[0])
    assert (t.kind[0], t.age[0]) == (AnswerKind.ERROR, math.inf)
    assert math.isnan(t.value[0])
    assert len(seen.observation.samples) == 0
    assert seen.facts["shop/web"].metrics["cpuUsage"].kind is AnswerKind.ERROR


async def test_an_error_after_a_number_carries_the_age_of_the_number(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    await bench.look()
    bench.prometheus.error = DOWN
    seen = await bench.look(now=NOW + 15)
    t = seen.observation.targets
    assert t.kind[0] == AnswerKind.ERROR
    assert t.age[0] == pytest.approx(16.0)


async def test_a_slow_datasource_costs_the_tick_its_budget_and_no_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUDGET_SHARE", 1e-6)
    shop(bench.client)
    bench.prometheus.gate = asyncio.Event()
    await bench.start()
    async with asyncio.timeout(5):
        seen = await bench.look()
    assert seen.observation.workloads.ready[0] == 2
    assert seen.observation.targets.kind[0] == AnswerKind.EMPTY
    assert "not answered yet" in seen.facts["shop/web"].metrics["totalLatency"].message
    bench.prometheus.gate.set()
    monkeypatch.setattr(module, "BUDGET_SHARE", 0.5)
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("ask ")))
    later = await bench.look(now=NOW + 1)
    assert later.observation.targets.value[0] == 0.2
    assert len(later.observation.samples) == 0, "not due yet"
    assert later.observation.workloads.cpu_usage[0] == pytest.approx(0.8)


async def test_sample_rate_says_which_rows_are_due(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    slow = config(SPEC.replace("monitoring:\n", "monitoring:\n  sampleRate: 1\n"))
    due = [bool((await bench.look(slow, now=NOW + 15 * step)).observation.workloads.due[0]) for step in range(9)]
    assert due == [True, False, False, False, True, False, False, False, True]


async def test_the_same_question_of_two_resources_is_asked_once(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    text = SPEC.replace("unit: seconds}", "unit: seconds, scope: Namespace}")
    await bench.look(config(text, name="a"), config(text, name="b"))
    declared = [one for one in bench.prometheus.asked if one.startswith("histogram_quantile")]
    assert len(declared) == 1
    assert len([one for one in bench.prometheus.asked if "container_cpu_usage" in one]) == 1


async def test_a_pod_younger_than_its_first_window_gives_memory_but_no_cpu(bench: Bench) -> None:
    owner = shop(bench.client, count=1)
    sets = next(iter(bench.client.objects["/apis/apps/v1/replicasets"].values()))
    young = pod(sets, "pod1", owner["spec"]["template"]["spec"], status={"startTime": "2027-01-15T07:59:30Z"})
    bench.client.put(young)
    await bench.start()
    seen = await bench.look()
    cpu, memory = seen.observation.samples.cpu, seen.observation.samples.memory
    assert np.isnan(cpu).sum() == 1
    assert np.isfinite(memory).all()
    assert seen.observation.workloads.cpu_usage[0] == pytest.approx(0.6), "a young pod counts as the mean"


async def test_usage_is_unknown_when_most_pods_were_not_measured(bench: Bench) -> None:
    shop(bench.client, count=3)
    bench.prometheus.answer = usage({"web-6bcf4d8f-pod0": 0.3})
    await bench.start()
    seen = await bench.look()
    assert math.isnan(seen.observation.workloads.cpu_usage[0])
    assert seen.observation.samples.cpu.tolist() == [0.3]


async def test_a_built_in_metric_without_series_says_that_some_workloads_have_none(bench: Bench) -> None:
    shop(bench.client)
    known = usage(PODS)
    bench.prometheus.answer = lambda text, at: [] if "container_fs" in text else known(text, at)
    await bench.start()
    metrics = (await bench.look()).facts["shop/web"].metrics
    assert metrics["cpuUsage"].kind is AnswerKind.VALUE
    assert metrics["diskUsage"].kind is AnswerKind.EMPTY
    assert "containers that used no block device have none" in metrics["diskUsage"].message


async def test_stale_samples_are_no_numbers(bench: Bench) -> None:
    shop(bench.client)
    bench.prometheus.answer = usage(PODS, age=300.0)
    await bench.start()
    seen = await bench.look()
    assert len(seen.observation.samples) == 0
    assert seen.observation.targets.kind[0] == AnswerKind.STALE
    assert seen.facts["shop/web"].metrics["memoryUsage"].kind is AnswerKind.STALE
    assert math.isnan(seen.observation.workloads.arrival_rate[0])


async def test_alerts_have_their_metrics_answer_and_thresholds(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    text = SPEC.replace(
        "monitoring:\n",
        """monitoring:
  alertThresholds: {totalLatency: "0.5", cpuUsage: 4}
  alerts: [{name: slow, metric: totalLatency, below: "0.1", forSeconds: 60, severity: Critical}]
""",
    )
    seen = await bench.look(config(text))
    a = seen.observation.alerts
    assert a.name.tolist() == ["slow", "totalLatency", "cpuUsage"]
    assert a.threshold.tolist() == [0.1, 0.5, 4.0]
    assert a.below.tolist() == [True, False, False]
    assert a.value.tolist() == [0.2, 0.2, pytest.approx(0.8)]


async def test_the_largest_schedulable_node_bounds_requests_and_is_infinite_when_nodes_are_hidden(bench: Bench) -> None:
    shop(bench.client)
    big = node("node-9", cpu="64")
    big["spec"] = {"unschedulable": True}
    bench.client.put(node("node-2", cpu="16", memory="4Gi"), big)
    await bench.start()
    w = (await bench.look()).observation.workloads
    assert (w.node_cpu[0], w.node_memory[0]) == (16.0, 16 * 2**30)


async def test_unknown_datasources_and_workloads_without_pods_have_answers_too(bench: Bench) -> None:
    bench.client.put(deployment(replicas=0))
    await bench.start()
    seen = await bench.look(
        config(SPEC.replace("monitoring:\n", "monitoring:\n  datasource: nowhere\n"), name="lost"), config()
    )
    lost, empty = seen.facts["shop/lost"].metrics, seen.facts["shop/web"].metrics
    assert {answer.reason for answer in lost.values()} == {"DatasourceUnknown"}
    assert empty["totalLatency"].kind is AnswerKind.EMPTY
    assert "no pod to measure" in empty["totalLatency"].message
    assert empty["cpuUsage"].kind is AnswerKind.EMPTY
    assert bench.prometheus.asked != []


async def test_no_traffic_is_told_apart_and_is_no_load(bench: Bench) -> None:
    shop(bench.client)
    plain = usage(PODS, latency=math.nan, rate=0.0)

    def answer(text: Any, at: Any) -> Any:
        if "trimtab_probe" in text and "timestamp" not in text.split(" or ")[-1]:
            found = plain(text, at)
            return [*found[:-1], replace(found[-1], value=0.0)]
        return plain(text, at)

    bench.prometheus.answer = answer
    await bench.start()
    seen = await bench.look()
    assert seen.observation.targets.kind[0] == AnswerKind.NO_TRAFFIC
    assert seen.observation.workloads.arrival_rate[0] == 0.0


async def test_a_datasource_that_hangs_makes_its_numbers_stale_in_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(bench.client)
    await bench.start()
    await bench.look()
    monkeypatch.setattr(module, "BUDGET_SHARE", 1e-6)
    bench.prometheus.gate = asyncio.Event()
    soon = await bench.look(now=NOW + 15)
    assert soon.observation.targets.kind[0] == AnswerKind.VALUE
    assert soon.observation.targets.age[0] == pytest.approx(16.0)
    late = await bench.look(now=NOW + 300)
    assert late.observation.targets.kind[0] == AnswerKind.STALE
    assert math.isnan(late.observation.workloads.cpu_usage[0])


async def test_a_pod_that_was_not_measured_counts_as_the_mean_of_the_others(bench: Bench) -> None:
    shop(bench.client)
    bench.prometheus.answer = usage({"web-6bcf4d8f-pod0": 0.3})
    await bench.start()
    cpu = (await bench.look()).facts["shop/web"].metrics["cpuUsage"]
    assert cpu.value == pytest.approx(0.6)
    assert "1 of 2 pods" in cpu.message


async def test_a_sum_over_fewer_than_half_of_the_pods_is_no_number(bench: Bench) -> None:
    shop(bench.client, 3)
    bench.prometheus.answer = usage({"web-6bcf4d8f-pod0": 0.3})
    await bench.start()
    cpu = (await bench.look()).facts["shop/web"].metrics["cpuUsage"]
    assert cpu.kind is AnswerKind.EMPTY
    assert "1 of 3 pods" in cpu.message
