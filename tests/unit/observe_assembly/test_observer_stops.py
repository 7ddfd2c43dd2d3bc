"""What stops or narrows the moves of a workload, as one Observation says it."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.observe_assembly.bench import (
    NOW,
    SPEC,
    config,
    deployment,
    meta,
    pod,
    shop,
    template,
    usage,
)
from tests.unit.observe_assembly.scene import PODS, Bench
from trimtab.api.reasons import Reason
from trimtab.api.settings import Mode
from trimtab.decide.observation import Lever
from trimtab.observe import observer as module
from trimtab.observe import rows

STOPS = [
    ({"paused": True}, {}, Reason.PAUSED),
    ({}, {"mode": Mode.RECOMMEND}, Reason.OPERATOR_MODE),
    ({"text": SPEC.replace("autoTune: true", "autoTune: false")}, {}, Reason.RECOMMEND_ONLY),
]


@pytest.mark.parametrize(("of_config", "of_settings", "reason"), STOPS)
async def test_a_stop_of_any_kind_leaves_the_row_and_takes_the_acting(
    bench: Bench, of_config: Any, of_settings: Any, reason: Reason
) -> None:
    shop(bench.client)
    await bench.start(**of_settings)
    seen = await bench.look(config(of_config.pop("text", SPEC), **of_config))
    assert not seen.observation.workloads.acting[0]
    assert seen.facts["shop/web"].stopped[0] is reason


async def test_a_pause_of_the_workload_or_of_the_namespace_stops_acting(bench: Bench) -> None:
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
]


@pytest.mark.parametrize(("one", "reason"), MISSING)
async def test_a_resource_without_a_row_says_why_and_asks_nothing(bench: Bench, one: Any, reason: Reason) -> None:
    shop(bench.client)
    await bench.start()
    seen = await bench.look(one)
    facts = seen.facts[one.key]
    assert (facts.row, facts.stopped[0]) == (-1, reason)
    assert len(seen.observation.workloads) == 0
    assert bench.prometheus.asked == []


async def test_rule_10_the_second_resource_on_a_workload_is_observed_and_moves_nothing(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    seen = await bench.look(config(name="old"), config(name="new", created=2.0))
    facts = seen.facts["shop/new"]
    assert facts.stopped[0] is Reason.OLDER_CONFIG_WINS
    assert seen.observation.workloads.allowed[facts.row].tolist() == [False] * 4
    assert seen.observation.workloads.allowed[seen.facts["shop/old"].row].tolist()[:3] == [True] * 3
    assert {block.lever for block in seen.observation.blocks[facts.row]} == set(Lever) - {Lever.KNOB}


async def test_one_resources_fault_leaves_the_others_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(bench.client)
    await bench.start()
    real = rows.knob_rows

    def faulty(view: Any, row: Any, now: Any) -> Any:
        if view.config.name == "bad":
            raise ZeroDivisionError
        return real(view, row, now)

    monkeypatch.setattr(module, "knob_rows", faulty)
    seen = await bench.look(config(name="bad", created=5.0), config(name="good"))
    assert seen.facts["shop/bad"].stopped[0] is Reason.INTERNAL_ERROR
    assert seen.observation.workloads.key.tolist() == ["shop/good"]
    assert seen.facts["shop/good"].row == 0


def scaled_by(manager: Any, when: Any, replicas: Any, generation: int = 1) -> Any:
    entry = {
        "manager": manager,
        "operation": "Update",
        "subresource": "scale",
        "time": when,
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    return deployment(replicas=replicas, metadata={"managedFields": [entry], "generation": generation})


async def test_a_persons_scale_is_held_and_told_once(bench: Bench) -> None:
    shop(bench.client)
    bench.client.put(scaled_by("kubectl", "2027-01-15T07:59:00Z", 7))
    await bench.start()
    seen = await bench.look()
    assert seen.observation.workloads.human_hold_until[0] == NOW - 60 + 3600
    assert seen.facts["shop/web"].hold.fresh
    seen = await bench.look(now=NOW + 15)
    assert not seen.facts["shop/web"].hold.fresh
    assert Reason.HUMAN_HOLD in {remark.reason for remark in seen.facts["shop/web"].remarks}


async def test_rule_09_a_manager_that_sets_our_replicas_back_twice_is_named(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    for step in range(2):
        bench.observer.wrote("shop/web", Lever.REPLICAS, 5)
        bench.client.put(scaled_by("argocd-controller", f"2027-01-15T07:5{step}:00Z", 2, generation=3 + 2 * step))
        seen = await bench.look(now=NOW + 15 * step)
    (block,) = seen.observation.blocks[0]
    assert (block.lever, block.reason) == (Lever.REPLICAS, Reason.REVERT_WAR)
    assert "argocd-controller" in block.message
    assert seen.observation.workloads.allowed[0].tolist()[:3] == [False, True, True]


async def test_rule_09_a_mirror_that_lags_behind_our_own_write_names_nobody(bench: Bench) -> None:
    shop(bench.client)
    bench.client.put(scaled_by("argocd-controller", "2027-01-15T07:50:00Z", 2, generation=3))
    await bench.start()
    for step in range(4):
        seen = await bench.look(now=NOW + 15 * step)
        bench.observer.wrote("shop/web", Lever.REPLICAS, 5)
    assert Reason.REVERT_WAR not in {block.reason for block in seen.facts["shop/web"].blocks}


async def test_a_rollout_and_a_closed_window_freeze_and_say_so(bench: Bench) -> None:
    shop(bench.client)
    bench.client.put(deployment(status={"updatedReplicas": 1}))
    await bench.start()
    text = SPEC + "    disruption: {windows: [{effect: Deny, cron: '0 * * * *', durationSeconds: 3600}]}\n"
    seen = await bench.look(config(text))
    w = seen.observation.workloads
    assert (w.rollout[0], w.window_closed[0]) == (True, True)
    reasons = {remark.reason for remark in seen.facts["shop/web"].remarks}
    assert {Reason.ROLLOUT_IN_PROGRESS, Reason.WINDOW_CLOSED} <= reasons


async def test_pods_that_no_node_takes_for_a_minute_are_told_with_the_scheduler_s_words(bench: Bench) -> None:
    shop(bench.client)
    sets = next(iter(bench.client.objects["/apis/apps/v1/replicasets"].values()))
    waiting = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
        "lastTransitionTime": "2027-01-15T07:59:30Z",  # half a minute before NOW
    }
    bench.client.put(pod(sets, "pod9", ready=False, status={"phase": "Pending", "conditions": [waiting]}))
    await bench.start()
    seen = await bench.look()
    assert Reason.PODS_UNSCHEDULABLE not in {remark.reason for remark in seen.facts["shop/web"].remarks}
    seen = await bench.look(now=NOW + 30)
    (said,) = [r.message for r in seen.facts["shop/web"].remarks if r.reason is Reason.PODS_UNSCHEDULABLE]
    assert said == (
        "1 of 3 pods of Deployment web find no node (0/1 nodes are available: 1 Insufficient cpu); add room, or lower "
        "replicas.max or the requests."
    )


async def test_a_limit_range_narrows_the_bounds_and_gives_what_the_template_leaves_out(bench: Bench) -> None:
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


async def test_an_oom_kill_is_remembered_when_its_pod_is_gone(bench: Bench) -> None:
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


async def test_a_kill_that_only_prometheus_saw_counts_once(bench: Bench) -> None:
    shop(bench.client)
    plain = usage(PODS)

    def answer(text: Any, at: Any) -> Any:
        found = plain(text, at)
        return [replace(one, value=1.0) for one in found] if "oom_events" in text else found

    bench.prometheus.answer = answer
    await bench.start()
    first = (await bench.look()).observation.containers.oom_at[0]
    assert first == NOW
    again = (await bench.look(now=NOW + 60)).observation.containers.oom_at[0]
    assert again == first
