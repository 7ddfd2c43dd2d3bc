"""The whole of observe: raw objects and a Prometheus in, one Observation out."""

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.observe_assembly.bench import (
    NOW,
    SPEC,
    FakeClient,
    FakePrometheus,
    config,
    deployment,
    meta,
    node,
    pod,
    replica_set,
    settings,
    shop,
    started_world,
    template,
    usage,
)
from trimtab.api.answers import AnswerKind
from trimtab.api.reasons import Reason
from trimtab.api.settings import Mode
from trimtab.decide.observation import Lever
from trimtab.observe import observer as module
from trimtab.observe.observer import Observer
from trimtab.observe.presets import load_presets
from trimtab.observe.source import Sample, SourceError, SourceReason

PODS = {"web-6bcf4d8f-pod0": 0.3, "web-6bcf4d8f-pod1": 0.5}
PRESETS = load_presets()
DOWN = SourceError(SourceReason.UNREACHABLE, "Datasource default can't be reached.")


class Bench:
    """A cluster, a Prometheus and an Observer over both."""

    def __init__(self) -> None:
        self.client = FakeClient()
        self.prometheus = FakePrometheus(usage(PODS))
        self.observer = None
        self.world = None

    async def start(self, **options):
        self.world = await started_world(self.client)
        self.observer = Observer(self.world, {"default": self.prometheus}, PRESETS, settings(**options))
        return self

    async def look(self, *configs, now=NOW):
        await self.client.settle()
        chosen = configs or (config(),)
        return await self.observer.observe({one.key: one for one in chosen}, now)


@pytest.fixture
async def bench():
    made = Bench()
    yield made
    if made.observer is not None:
        await made.observer.close()
        await made.world.stop()


async def test_a_workload_becomes_one_row_in_every_table(bench):
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


async def test_every_query_is_confined_to_the_namespace_and_declared_ones_to_the_pods(bench):
    shop(bench.client)
    await bench.start()
    await bench.look()
    assert bench.prometheus.asked
    assert all('namespace="shop"' in text for text in bench.prometheus.asked)
    declared = [text for text in bench.prometheus.asked if text.startswith("histogram_quantile")]
    assert len(declared) == 1
    assert "web-6bcf4d8f-pod0|web-6bcf4d8f-pod1" in declared[0]


async def test_a_reading_becomes_samples_once(bench):
    shop(bench.client)
    await bench.start()
    assert len((await bench.look()).observation.samples) == 2
    bench.prometheus.error = DOWN
    again = await bench.look(now=NOW + 15)
    assert len(again.observation.samples) == 0
    bench.prometheus.error = None
    third = await bench.look(now=NOW + 30)
    assert third.observation.samples.span.tolist() == [30.0, 30.0]


async def test_without_prometheus_rows_pods_and_ooms_are_still_there_and_metrics_say_error(bench):
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


async def test_an_error_after_a_number_carries_the_age_of_the_number(bench):
    shop(bench.client)
    await bench.start()
    await bench.look()
    bench.prometheus.error = DOWN
    seen = await bench.look(now=NOW + 15)
    t = seen.observation.targets
    assert t.kind[0] == AnswerKind.ERROR
    assert t.age[0] == pytest.approx(16.0)


async def test_a_slow_datasource_costs_the_tick_its_budget_and_no_more(bench, monkeypatch):
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


async def test_sample_rate_says_which_rows_are_due(bench):
    shop(bench.client)
    await bench.start()
    slow = config(SPEC.replace("monitoring:\n", "monitoring:\n  sampleRate: 1\n"))
    due = [bool((await bench.look(slow, now=NOW + 15 * step)).observation.workloads.due[0]) for step in range(9)]
    assert due == [True, False, False, False, True, False, False, False, True]


async def test_the_same_question_of_two_resources_is_asked_once(bench):
    shop(bench.client)
    await bench.start()
    text = SPEC.replace("unit: seconds}", "unit: seconds, scope: Namespace}")
    await bench.look(config(text, name="a"), config(text, name="b"))
    declared = [one for one in bench.prometheus.asked if one.startswith("histogram_quantile")]
    assert len(declared) == 1
    assert len([one for one in bench.prometheus.asked if "container_cpu_usage" in one]) == 1


async def test_a_pod_younger_than_its_first_window_gives_memory_but_no_cpu(bench):
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


async def test_usage_is_unknown_when_most_pods_were_not_measured(bench):
    shop(bench.client, count=3)
    bench.prometheus.answer = usage({"web-6bcf4d8f-pod0": 0.3})
    await bench.start()
    seen = await bench.look()
    assert math.isnan(seen.observation.workloads.cpu_usage[0])
    assert seen.observation.samples.cpu.tolist() == [0.3]


async def test_stale_samples_are_no_numbers(bench):
    shop(bench.client)
    bench.prometheus.answer = usage(PODS, age=300.0)
    await bench.start()
    seen = await bench.look()
    assert len(seen.observation.samples) == 0
    assert seen.observation.targets.kind[0] == AnswerKind.STALE
    assert seen.facts["shop/web"].metrics["memoryUsage"].kind is AnswerKind.STALE
    assert math.isnan(seen.observation.workloads.arrival_rate[0])


PROFILE = {
    "config": "web",
    "containers": [
        {
            "name": "app",
            "requests": {"cpu": "250m", "memory": "200Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
            "env": {"BATCH": 16},
            "templateRequests": {"cpu": "500m", "memory": "256Mi"},
            "templateLimits": {"cpu": "1", "memory": "512Mi"},
            "templateEnv": {"BATCH": "8"},
        }
    ],
}
KNOBS = (
    SPEC
    + """
    knobs: [{name: batch, container: app, env: BATCH, role: Batch, min: 1, max: 64}]
resources: {maxBatchSize: 32}
"""
)


def profile(entry):
    return {"kind": "TuningProfile", "metadata": meta("trimtab"), "spec": {"workloads": {"Deployment/web": entry}}}


async def test_the_profile_is_in_force_while_its_template_is_the_one_it_was_learned_from(bench):
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    bench.client.put(profile(PROFILE))
    await bench.start()
    seen = await bench.look(config(KNOBS))
    c, k = seen.observation.containers, seen.observation.knobs
    assert (c.cpu[0], c.memory[0], c.template_cpu[0]) == (0.25, 200 * 2**20, 0.5)
    assert (k.value[0], k.off_value[0], k.ceiling[0]) == (16, 2, 32.0)
    assert seen.facts["shop/web"].entry.config == "web"


@pytest.mark.parametrize(("cpu", "env"), [("600m", "8"), ("500m", "9")], ids=["another request", "another variable"])
async def test_a_changed_template_wins_over_the_profile_and_is_said(bench, cpu, env):
    shop(bench.client, pod_template=template(cpu=cpu, env={"BATCH": env}))
    bench.client.put(profile(PROFILE))
    await bench.start()
    seen = await bench.look(config(KNOBS))
    c, k = seen.observation.containers, seen.observation.knobs
    assert c.cpu[0] == c.template_cpu[0]
    assert k.value[0] == int(env)
    assert Reason.TEMPLATE_CHANGED in {remark.reason for remark in seen.facts["shop/web"].remarks}


async def test_a_profile_entry_of_another_resource_is_not_ours(bench):
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    bench.client.put(profile({**PROFILE, "config": "somebody"}))
    await bench.start()
    seen = await bench.look(config(KNOBS))
    assert seen.observation.containers.cpu[0] == 0.5
    assert seen.facts["shop/web"].entry is None


async def test_a_trial_is_measured_on_its_pod_and_on_the_others_by_the_same_query(bench):
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    trial = pod(
        None,
        "web-trial",
        template(env={"BATCH": "16"})["spec"],
        metadata={
            "labels": {"app": "web", "trimtab.dev/trial": "web"},
            "annotations": {"trimtab.dev/trial-knob": "batch=16"},
        },
    )
    bench.client.put(trial)
    every = usage({**PODS, "web-trial": 0.4})

    def answer(text, at):
        found = every(text, at)
        only_trial = '"web-trial"' in text
        if text.startswith("histogram_quantile"):
            return [replace(found[0], value=0.1 if only_trial else 0.2)]
        if text.startswith("sum(rate(dur_count"):
            return [replace(found[0], value=20.0 if only_trial else 40.0)]
        return found

    bench.prometheus.answer = answer
    await bench.start()
    seen = await bench.look(config(KNOBS))
    k, w = seen.observation.knobs, seen.observation.workloads
    assert (k.trial[0], k.trial_ready[0], k.value[0]) == (16, True, 8)
    assert (k.trial_latency[0], k.base_latency[0]) == (0.1, 0.2)
    assert k.trial_cost[0] == pytest.approx(0.4 / 20)
    assert k.base_cost[0] == pytest.approx(0.8 / 40)
    assert (w.ready[0], w.extra_pods[0]) == (2, 1)
    texts = [text for text in bench.prometheus.asked if text.startswith("histogram_quantile")]
    assert any('pod=~"web-trial"' in text for text in texts)
    assert any('pod=~"web-6bcf4d8f-pod0|web-6bcf4d8f-pod1"' in text for text in texts)


async def test_no_trial_query_is_asked_without_a_trial_pod(bench):
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    await bench.start()
    seen = await bench.look(config(KNOBS))
    assert (seen.observation.knobs.trial[0], math.isnan(seen.observation.knobs.trial_latency[0])) == (-1, True)
    assert len([text for text in bench.prometheus.asked if text.startswith("histogram_quantile")]) == 1


async def test_a_preset_is_asked_once_for_the_namespace(bench):
    shop(bench.client)
    other = deployment("api")
    sets = replica_set(other, "zzzz")
    bench.client.put(other, sets, pod(sets, "x"))
    await bench.start()
    text = """
targetRef: {name: NAME}
monitoring: {metrics: [{name: p, preset: http-server-rate}]}
"""
    await bench.look(config(text.replace("NAME", "web")), config(text.replace("NAME", "api"), name="api"))
    assert len([one for one in bench.prometheus.asked if "http_server_request" in one]) == 2  # rate and sample times


STOPS = [
    ({"paused": True}, {}, Reason.PAUSED),
    ({}, {"mode": Mode.RECOMMEND}, Reason.OPERATOR_MODE),
    ({"text": SPEC.replace("autoTune: true", "autoTune: false")}, {}, Reason.RECOMMEND_ONLY),
]


@pytest.mark.parametrize(("of_config", "of_settings", "reason"), STOPS)
async def test_a_stop_of_any_kind_leaves_the_row_and_takes_the_acting(bench, of_config, of_settings, reason):
    shop(bench.client)
    await bench.start(**of_settings)
    seen = await bench.look(config(of_config.pop("text", SPEC), **of_config))
    assert not seen.observation.workloads.acting[0]
    assert seen.facts["shop/web"].stopped[0] is reason


async def test_a_pause_of_the_workload_or_of_the_namespace_stops_acting(bench):
    shop(bench.client)
    bench.client.put(deployment(metadata={"annotations": {"trimtab.dev/pause": "true"}}))
    await bench.start()
    seen = await bench.look()
    assert seen.facts["shop/web"].stopped[0] is Reason.PAUSED
    assert "Deployment web" in seen.facts["shop/web"].stopped[1]
    bench.client.put(deployment())
    space = {"kind": "Namespace", "metadata": {"name": "shop", "annotations": {"trimtab.dev/pause": "true"}}}
    bench.client.put(space)
    seen = await bench.look(now=NOW + 15)
    assert "Namespace shop" in seen.facts["shop/web"].stopped[1]


MISSING = [
    (config(SPEC.replace("name: web}", "name: nothing}")), Reason.TARGET_NOT_FOUND),
    (config(namespace="kube-system"), Reason.NAMESPACE_EXCLUDED),
    (config(SPEC.replace("monitoring:\n", "monitoring:\n  enabled: false\n")), Reason.MONITORING_DISABLED),
    (config(problems=("spec.x: wrong",)), Reason.SPEC_INVALID),
]


@pytest.mark.parametrize(("one", "reason"), MISSING)
async def test_a_resource_without_a_row_says_why_and_asks_nothing(bench, one, reason):
    shop(bench.client)
    await bench.start()
    seen = await bench.look(one)
    facts = seen.facts[one.key]
    assert (facts.row, facts.stopped[0]) == (-1, reason)
    assert len(seen.observation.workloads) == 0
    assert bench.prometheus.asked == []


async def test_the_second_resource_on_a_workload_is_observed_and_moves_nothing(bench):
    shop(bench.client)
    await bench.start()
    seen = await bench.look(config(name="old"), config(name="new", created=2.0))
    facts = seen.facts["shop/new"]
    assert facts.stopped[0] is Reason.OLDER_CONFIG_WINS
    assert seen.observation.workloads.allowed[facts.row].tolist() == [False] * 4
    assert seen.observation.workloads.allowed[seen.facts["shop/old"].row].tolist()[:3] == [True] * 3
    assert {block.lever for block in seen.observation.blocks[facts.row]} == set(Lever) - {Lever.KNOB}


async def test_one_resources_fault_leaves_the_others_alone(bench, monkeypatch):
    shop(bench.client)
    await bench.start()
    real = module.knob_rows

    def faulty(view, row, now):
        if view.config.name == "bad":
            raise ZeroDivisionError
        return real(view, row, now)

    monkeypatch.setattr(module, "knob_rows", faulty)
    seen = await bench.look(config(name="bad", created=5.0), config(name="good"))
    assert seen.facts["shop/bad"].stopped[0] is Reason.INTERNAL_ERROR
    assert seen.observation.workloads.key.tolist() == ["shop/good"]
    assert seen.facts["shop/good"].row == 0


def scaled_by(manager, when, replicas):
    entry = {
        "manager": manager,
        "operation": "Update",
        "subresource": "scale",
        "time": when,
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    return deployment(replicas=replicas, metadata={"managedFields": [entry]})


async def test_a_persons_scale_is_held_and_told_once(bench):
    shop(bench.client)
    bench.client.put(scaled_by("kubectl", "2027-01-15T07:59:00Z", 7))
    await bench.start()
    seen = await bench.look()
    assert seen.observation.workloads.human_hold_until[0] == NOW - 60 + 3600
    assert seen.facts["shop/web"].hold.fresh
    seen = await bench.look(now=NOW + 15)
    assert not seen.facts["shop/web"].hold.fresh
    assert Reason.HUMAN_HOLD in {remark.reason for remark in seen.facts["shop/web"].remarks}


async def test_a_manager_that_sets_our_replicas_back_twice_is_named(bench):
    shop(bench.client)
    await bench.start()
    for step in range(2):
        bench.observer.wrote("shop/web", Lever.REPLICAS, 5)
        bench.client.put(scaled_by("argocd-controller", f"2027-01-15T07:5{step}:00Z", 2))
        seen = await bench.look(now=NOW + 15 * step)
    (block,) = seen.observation.blocks[0]
    assert (block.lever, block.reason) == (Lever.REPLICAS, Reason.REVERT_WAR)
    assert "argocd-controller" in block.message
    assert seen.observation.workloads.allowed[0].tolist()[:3] == [False, True, True]


async def test_a_rollout_and_a_closed_window_freeze_and_say_so(bench):
    shop(bench.client)
    bench.client.put(deployment(status={"updatedReplicas": 1}))
    await bench.start()
    text = SPEC + "    disruption: {windows: [{effect: Deny, cron: '0 * * * *', durationSeconds: 3600}]}\n"
    seen = await bench.look(config(text))
    w = seen.observation.workloads
    assert (w.rollout[0], w.window_closed[0]) == (True, True)
    reasons = {remark.reason for remark in seen.facts["shop/web"].remarks}
    assert {Reason.ROLLOUT_IN_PROGRESS, Reason.WINDOW_CLOSED} <= reasons


async def test_a_limit_range_narrows_the_bounds_and_gives_what_the_template_leaves_out(bench):
    bare = template()
    bare["spec"]["containers"][0]["resources"] = {}
    shop(bench.client, pod_template=bare)
    bench.client.put(
        {
            "kind": "LimitRange",
            "metadata": meta("limits"),
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        "max": {"cpu": "1"},
                        "min": {"memory": "200Mi"},
                        "defaultRequest": {"cpu": "300m", "memory": "200Mi"},
                        "default": {"memory": "400Mi"},
                    }
                ]
            },
        }
    )
    await bench.start()
    seen = await bench.look()
    c = seen.observation.containers
    assert (c.template_cpu[0], c.template_memory_limit[0]) == (0.3, 400 * 2**20)
    assert (c.cpu_max[0], c.memory_min[0]) == (1.0, 200 * 2**20)


async def test_an_oom_kill_is_remembered_when_its_pod_is_gone(bench):
    owner = shop(bench.client, count=1)
    sets = next(iter(bench.client.objects["/apis/apps/v1/replicasets"].values()))
    dead = pod(
        sets,
        "dead",
        owner["spec"]["template"]["spec"],
        status={
            "containerStatuses": [
                {"name": "app", "state": {"terminated": {"reason": "OOMKilled", "finishedAt": "2027-01-15T07:59:50Z"}}}
            ]
        },
    )
    bench.client.put(dead)
    await bench.start()
    await bench.look()
    bench.client.remove(dead)
    seen = await bench.look(now=NOW + 15)
    c = seen.observation.containers
    assert (c.oom_at[0], c.oom_limit[0]) == (NOW - 10, 512 * 2**20)


async def test_a_kill_that_only_prometheus_saw_counts_once(bench):
    shop(bench.client)
    plain = usage(PODS)

    def answer(text, at):
        found = plain(text, at)
        return [replace(one, value=1.0) for one in found] if "oom_events" in text else found

    bench.prometheus.answer = answer
    await bench.start()
    first = (await bench.look()).observation.containers.oom_at[0]
    assert first == NOW
    again = (await bench.look(now=NOW + 60)).observation.containers.oom_at[0]
    assert again == first


async def test_alerts_have_their_metrics_answer_and_thresholds(bench):
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


async def test_the_largest_schedulable_node_bounds_requests_and_is_infinite_when_nodes_are_hidden(bench):
    shop(bench.client)
    big = node("node-9", cpu="64")
    big["spec"] = {"unschedulable": True}
    bench.client.put(node("node-2", cpu="16", memory="4Gi"), big)
    await bench.start()
    w = (await bench.look()).observation.workloads
    assert (w.node_cpu[0], w.node_memory[0]) == (16.0, 16 * 2**30)


async def test_unknown_datasources_and_workloads_without_pods_have_answers_too(bench):
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


async def test_no_traffic_is_told_apart_and_is_no_load(bench):
    shop(bench.client)
    plain = usage(PODS, latency=math.nan, rate=0.0)

    def answer(text, at):
        if "trimtab_probe" in text and "timestamp" not in text.split(" or ")[-1]:
            found = plain(text, at)
            return [*found[:-1], replace(found[-1], value=0.0)]
        return plain(text, at)

    bench.prometheus.answer = answer
    await bench.start()
    seen = await bench.look()
    assert seen.observation.targets.kind[0] == AnswerKind.NO_TRAFFIC
    assert seen.observation.workloads.arrival_rate[0] == 0.0


async def test_a_datasource_that_hangs_makes_its_numbers_stale_in_the_end(bench, monkeypatch):
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


PRESET = KNOBS.replace(
    "query: 'histogram_quantile(0.95, sum by (le) (rate(dur_bucket[2m])))'", "preset: http-server-p95"
)


async def test_a_trial_by_a_preset_is_read_from_the_same_answer(bench):
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    labels = {
        "labels": {"app": "web", "trimtab.dev/trial": "web"},
        "annotations": {"trimtab.dev/trial-knob": "batch=4"},
    }
    bench.client.put(pod(None, "web-trial", template(env={"BATCH": "4"})["spec"], metadata=labels))
    every = usage({**PODS, "web-trial": 0.4})

    def answer(text, at):
        if "http_server_request" not in text:
            return every(text, at)
        pods = [*PODS, "web-trial"]
        if "timestamp" in text:
            return [Sample({"pod": one}, at - 1, at) for one in pods]
        if "_bucket" in text:
            slow = {one: 0.0 if one == "web-trial" else 10.0 for one in pods}
            bounds = [("0.1", 90.0), ("1.0", 100.0), ("+Inf", 100.0)]
            return [
                Sample({"pod": one, "le": le}, 100.0 if not slow[one] else count, at)
                for one in pods
                for le, count in bounds
            ]
        return [Sample({"pod": one}, 25.0, at) for one in pods]

    bench.prometheus.answer = answer
    await bench.start()
    seen = await bench.look(config(PRESET))
    k, w = seen.observation.knobs, seen.observation.workloads
    assert k.trial[0] == 4
    assert k.trial_latency[0] < 0.1 < k.base_latency[0]
    assert k.trial_cost[0] == pytest.approx(0.4 / 25)
    assert k.base_cost[0] == pytest.approx(0.8 / 50)
    assert w.arrival_rate[0] == 75.0
    assert seen.facts["shop/web"].groups == {"totalLatency": "totalLatency"}
    assert len([text for text in bench.prometheus.asked if "_bucket" in text and "timestamp" not in text]) == 1
