"""Profiles, knobs and trials in one Observation."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.observe_assembly.bench import (
    config,
    deployment,
    pod,
    replica_set,
    shop,
    template,
    usage,
)
from tests.unit.observe_assembly.scene import KNOBS, PODS, PROFILE, Bench, profile
from trimtab.api.reasons import Reason
from trimtab.observe.source import Sample


async def test_the_profile_is_in_force_while_its_template_is_the_one_it_was_learned_from(bench: Bench) -> None:
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    bench.client.put(profile(PROFILE))
    await bench.start()
    seen = await bench.look(config(KNOBS))
    c, k = seen.observation.containers, seen.observation.knobs
    assert (c.cpu[0], c.memory[0], c.template_cpu[0]) == (0.25, 200 * 2**20, 0.5)
    assert (k.value[0], k.off_value[0], k.ceiling[0]) == (16, 2, 32.0)
    assert seen.facts["shop/web"].entry.config == "web"


@pytest.mark.parametrize(("cpu", "env"), [("600m", "8"), ("500m", "9")], ids=["another request", "another variable"])
async def test_a_changed_template_wins_over_the_profile_and_is_said(bench: Bench, cpu: Any, env: Any) -> None:
    shop(bench.client, pod_template=template(cpu=cpu, env={"BATCH": env}))
    bench.client.put(profile(PROFILE))
    await bench.start()
    seen = await bench.look(config(KNOBS))
    c, k = seen.observation.containers, seen.observation.knobs
    assert c.cpu[0] == c.template_cpu[0]
    assert k.value[0] == int(env)
    assert Reason.TEMPLATE_CHANGED in {remark.reason for remark in seen.facts["shop/web"].remarks}


async def test_a_profile_entry_of_another_resource_is_not_ours(bench: Bench) -> None:
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    bench.client.put(profile({**PROFILE, "config": "somebody"}))
    await bench.start()
    seen = await bench.look(config(KNOBS))
    assert seen.observation.containers.cpu[0] == 0.5
    assert seen.facts["shop/web"].entry is None


async def test_a_trial_is_measured_on_its_pod_and_on_the_others_by_the_same_query(bench: Bench) -> None:
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

    def answer(text: Any, at: Any) -> Any:
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


@pytest.mark.parametrize(("since", "known"), [("07:59:00", True), ("07:59:15", False)])
async def test_what_a_pod_used_for_its_start_is_no_cost_of_its_requests(bench: Bench, since: str, known: bool) -> None:
    """CPU is a mean over 55 s where scrapes are 15 s apart: a pod that is ready for 45 s has its start in it."""
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": f"2027-01-15T{since}Z"}
    labels = {
        "labels": {"app": "web", "trimtab.dev/trial": "web"},
        "annotations": {"trimtab.dev/trial-knob": "batch=16"},
    }
    spec = template(env={"BATCH": "16"})["spec"]
    bench.client.put(pod(None, "web-trial", spec, metadata=labels, status={"conditions": [ready]}))
    bench.prometheus.answer = usage({**PODS, "web-trial": 0.4})
    await bench.start()
    k = (await bench.look(config(KNOBS))).observation.knobs
    assert bool(math.isfinite(k.trial_cost[0])) is known
    assert math.isfinite(k.base_cost[0])


async def test_no_trial_query_is_asked_without_a_trial_pod(bench: Bench) -> None:
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    await bench.start()
    seen = await bench.look(config(KNOBS))
    assert (seen.observation.knobs.trial[0], math.isnan(seen.observation.knobs.trial_latency[0])) == (-1, True)
    assert len([text for text in bench.prometheus.asked if text.startswith("histogram_quantile")]) == 1


async def test_a_preset_is_asked_once_for_the_namespace(bench: Bench) -> None:
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


PRESET = KNOBS.replace(
    "query: 'histogram_quantile(0.95, sum by (le) (rate(dur_bucket[2m])))'", "preset: http-server-p95"
)


async def test_a_trial_by_a_preset_is_read_from_the_same_answer(bench: Bench) -> None:
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    labels = {
        "labels": {"app": "web", "trimtab.dev/trial": "web"},
        "annotations": {"trimtab.dev/trial-knob": "batch=4"},
    }
    bench.client.put(pod(None, "web-trial", template(env={"BATCH": "4"})["spec"], metadata=labels))
    every = usage({**PODS, "web-trial": 0.4})

    def answer(text: Any, at: Any) -> Any:
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
