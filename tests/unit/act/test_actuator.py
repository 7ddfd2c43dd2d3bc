"""The whole of `act` against a cluster in memory."""

import asyncio
from typing import Any

import pytest

from tests.sure import sure
from tests.unit.act.shop import MI, Shop, container, spec
from trimtab.act.gate import Priority
from trimtab.act.outcomes import explain
from trimtab.api.reasons import Reason
from trimtab.api.settings import Mode
from trimtab.kube.errors import Unavailable

RAISED = {"cpu": 0.25, "memory": 200 * MI}


async def test_nothing_is_written_when_everything_is_as_wanted() -> None:
    shop = Shop()
    assert await shop.tick() == []
    assert shop.cluster.writes == []


async def test_the_profile_is_written_before_any_pod_is_resized() -> None:
    shop = Shop()
    await shop.tick(app=RAISED)
    verbs = [verb for verb, _ in shop.cluster.writes]
    assert verbs == ["POST", "RESIZE", "RESIZE", "RESIZE"]
    assert sure(shop.entry())["containers"][0]["requests"] == {"cpu": "250m", "memory": "200Mi"}
    assert sure(shop.entry())["containers"][0]["templateRequests"] == {"cpu": "100m", "memory": "128Mi"}
    assert shop.requests() == ["250m"] * 3


async def test_a_second_tick_with_the_same_wish_writes_nothing() -> None:
    shop = Shop()
    await shop.tick(app=RAISED)
    before = len(shop.cluster.writes)
    assert await shop.tick(app=RAISED) == []
    assert await shop.tick() == []
    assert len(shop.cluster.writes) == before


async def test_new_pods_get_the_entry() -> None:
    shop = Shop()
    await shop.tick(app=RAISED)
    await shop.tick(replicas=5)
    assert shop.requests() == ["250m"] * 5


async def test_cuts_go_in_waves_and_raises_at_once() -> None:
    shop = Shop(replicas=8)
    await shop.tick(app={"cpu": 0.05}, settle=False)
    assert shop.requests().count("50m") == 2
    await shop.tick(settle=False)
    assert shop.requests().count("50m") == 2, "the kubelet has not confirmed the first wave"
    for _ in range(4):
        shop.cluster.settle()
        await shop.tick()
    assert shop.requests() == ["50m"] * 8


async def test_a_plan_that_returns_to_the_template_removes_the_entry_and_the_profile() -> None:
    shop = Shop(replicas=1)
    await shop.tick(app=RAISED)
    await shop.tick(app={"cpu": 0.1, "memory": 128 * MI})
    await shop.tick()
    assert shop.cluster.all("tuningprofiles") == []
    assert shop.requests() == ["100m"]


async def test_a_workload_that_is_not_acted_on_is_never_written_to() -> None:
    shop = Shop()
    assert await shop.tick(acting=False, app=RAISED, replicas=9, knob=32, trial=16) == []
    assert shop.cluster.writes == []


async def test_when_acting_stops_the_trial_pod_goes_and_the_entry_stays() -> None:
    shop = Shop()
    await shop.tick(app=RAISED)
    await shop.tick(trial=16)
    assert shop.batches() == ["16", "8", "8", "8"]
    await shop.tick(acting=False)
    assert shop.batches() == ["8", "8", "8"]
    assert shop.entry() is not None


async def test_a_template_that_changed_since_the_plan_is_left_alone() -> None:
    shop = Shop()
    stale = shop.info()
    template = shop.cluster.objects["deployments", "shop", "web"]["spec"]["template"]
    template["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "77m"}}
    original = shop.info
    shop.info = lambda key="shop/tune": stale  # type: ignore[method-assign]
    await shop.tick(trial=16)  # the plan is of the stale template, the API server says otherwise
    shop.info = original  # type: ignore[method-assign]
    assert [v for v, _ in shop.cluster.writes] == []


async def test_replicas_are_set_only_while_they_are_what_the_plan_saw() -> None:
    shop = Shop()
    shop.cluster.objects["deployments", "shop", "web"]["spec"]["replicas"] = 3
    assert (await shop.tick(replicas=5))[0].reason is Reason.SCALED_UP
    stale = shop.info()
    shop.cluster.objects["deployments", "shop", "web"]["spec"]["replicas"] = 7  # a person was faster
    shop.info = lambda key="shop/tune": stale  # type: ignore[method-assign]
    outcomes = await shop.tick(replicas=6)
    assert not outcomes[0].ok
    assert shop.cluster.objects["deployments", "shop", "web"]["spec"]["replicas"] == 7


async def test_a_replica_count_that_fails_is_counted_once_towards_the_fleets_cap() -> None:
    shop = Shop()
    shop.gate = shop.new_gate(changes_per_minute=2)
    shop.actuator = shop.new_actuator()
    shop.cluster.fail = lambda verb, path, body: Unavailable(503, "Down") if path.endswith("/scale") else None
    for _ in range(3):
        outcomes = await shop.tick(replicas=5, seconds=1)
        assert [o.reason for o in outcomes] == [Reason.MOVE_FAILED]
    outcomes = await shop.tick(replicas=6, seconds=1)
    assert [o.reason for o in outcomes] == [Reason.MOVE_FAILED], "the second set point is within the cap"
    outcomes = await shop.tick(replicas=7, seconds=1)
    assert [o.reason for o in outcomes] == [Reason.RATE_LIMITED]


async def test_a_replica_count_that_is_wanted_again_later_is_counted_again() -> None:
    shop = Shop()
    shop.gate = shop.new_gate(changes_per_minute=2)
    shop.actuator = shop.new_actuator()
    for replicas in (5, 4):
        await shop.tick(replicas=replicas, seconds=1)
        await shop.tick(replicas=replicas, seconds=1)
    outcomes = await shop.tick(replicas=5, seconds=1)
    assert [o.reason for o in outcomes] == [Reason.RATE_LIMITED]


async def test_one_leftover_that_hangs_holds_up_no_other() -> None:
    shop = Shop(replicas=6)
    for _ in range(4):
        await shop.tick(knob=16)
    marked = sum(1 for pod in shop.cluster.marked_pods() if not pod.trial_of)
    assert marked > 1
    together = asyncio.Barrier(marked)
    patch = shop.cluster.json_patch

    async def meet(path: str, operations: Any, **options: Any) -> Any:
        await together.wait()
        return await patch(path, operations, **options)

    shop.cluster.json_patch = meet  # type: ignore[method-assign]
    shop.configs = {}
    async with asyncio.timeout(5):
        await shop.idle()
    assert shop.marks() == []


async def test_one_workloads_error_stops_no_other_lever() -> None:
    shop = Shop()
    shop.cluster.fail = lambda verb, path, body: _boom() if path.endswith("/scale") else None
    outcomes = await shop.tick(app=RAISED, replicas=4)
    assert {o.reason for o in outcomes if not o.ok} == {Reason.INTERNAL_ERROR}
    assert shop.requests() == ["250m"] * 3


def _boom() -> None:
    raise RuntimeError("a fault")


async def test_a_profile_that_can_not_be_written_holds_the_pods() -> None:
    shop = Shop()
    shop.cluster.fail = lambda verb, path, body: Unavailable(503, "Down") if "tuningprofiles" in path else None
    outcomes = await shop.tick(app=RAISED)
    assert outcomes
    assert not any(o.ok for o in outcomes)
    assert shop.requests() == ["100m"] * 3


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.RECOMMEND])
async def test_rule_15_in_modes_other_than_act_nothing_moves(mode: Mode) -> None:
    shop = Shop()
    shop.gate.mode = mode
    outcomes = await shop.tick(app=RAISED, replicas=9, trial=16)
    assert shop.cluster.writes == []
    assert {o.reason for o in outcomes} == {Reason.OPERATOR_MODE}


async def test_a_replica_that_does_not_lead_writes_nothing() -> None:
    shop = Shop()
    shop.gate = shop.new_gate(leading=lambda: False)
    shop.actuator = shop.new_actuator()
    await shop.tick(app=RAISED, replicas=9, trial=16)
    assert shop.cluster.writes == []


async def test_a_dry_run_stores_nothing() -> None:
    shop = Shop()
    shop.gate = shop.new_gate(dry_run=True)
    shop.actuator = shop.new_actuator()
    await shop.tick(app=RAISED, replicas=9, trial=16)
    assert shop.cluster.all("tuningprofiles") == []
    assert shop.requests() == ["100m"] * 3


async def test_rule_18_a_deleted_config_with_keep_leaves_pods_and_frees_new_ones() -> None:
    shop = Shop()
    await shop.tick(app=RAISED)
    shop.configs = {}
    await shop.idle()
    assert shop.requests() == ["250m"] * 3
    assert shop.cluster.all("tuningprofiles") == []


async def test_rule_18_a_deleted_config_with_revert_brings_pods_back_first() -> None:
    shop = Shop()
    shop.configs = {"shop/tune": spec(onDelete="Revert")}
    await shop.tick(app=RAISED)
    shop.configs = {}
    for _ in range(6):
        await shop.idle()
    assert shop.requests() == ["100m"] * 3
    assert shop.cluster.all("tuningprofiles") == []


async def test_a_deleted_config_leaves_no_trial_pod_and_no_deletion_cost() -> None:
    shop = Shop()
    await shop.tick(knob=16)
    await shop.tick(knob=16)
    await shop.tick(knob=16)
    assert shop.marks()
    shop.configs = {}
    await shop.idle()
    assert shop.marks() == []
    assert len(shop.cluster.pods()) == 3


async def test_a_config_that_moves_to_another_workload_frees_the_first() -> None:
    shop = Shop()
    await shop.tick(app=RAISED)
    shop.configs = {"shop/tune": spec(targetRef={"kind": "Deployment", "name": "other"})}
    await shop.idle()
    assert shop.cluster.all("tuningprofiles") == []


async def test_an_entry_that_another_config_took_over_is_not_reverted() -> None:
    shop = Shop()
    shop.configs = {"shop/tune": spec(onDelete="Revert")}
    await shop.tick(app=RAISED)
    shop.configs = {"shop/heir": spec()}
    await shop.tick(key="shop/heir", app=RAISED)
    await shop.tick(key="shop/heir")
    assert shop.requests() == ["250m"] * 3
    assert sure(shop.entry())["config"] == "heir"


async def test_a_replica_set_that_does_not_answer_gets_no_second_clone() -> None:
    shop = Shop()
    shop.cluster._replica_sets = lambda: False  # type: ignore[method-assign]
    for _ in range(6):
        await shop.tick(knob=16)
    for pod in shop.cluster.pods():  # adopted, but no pod was removed for it
        pod["metadata"]["ownerReferences"][0]["controller"] = True
    for _ in range(6):
        await shop.tick(knob=16)
    assert len(shop.cluster.pods()) == 4


async def test_rule_11_in_a_rollout_raises_reach_old_pods_and_cuts_wait() -> None:
    shop = Shop()
    await shop.tick(app={"cpu": 0.25, "memory": 64 * MI}, rollout=True)
    assert shop.requests("cpu") == ["250m"] * 3
    assert shop.requests("memory") == ["128Mi"] * 3


async def test_rule_10_containers_that_are_not_listed_are_never_changed() -> None:
    shop = Shop(containers=[container(), container("proxy")])
    await shop.tick(app=RAISED)
    pods = shop.cluster.pods()
    assert {p["spec"]["containers"][1]["resources"]["requests"]["cpu"] for p in pods} == {"100m"}
    assert [c["name"] for c in sure(shop.entry())["containers"]] == ["app"]


async def test_rule_16_the_priority_of_a_move_follows_its_reason() -> None:
    assert Priority.OOM < Priority.LATENCY < Priority.ALERT < Priority.CUT < Priority.STATUS


@pytest.mark.parametrize("on_delete", ["Keep", "Revert"])
async def test_a_resource_that_can_no_longer_be_read_keeps_what_its_pods_have(on_delete: str) -> None:
    shop = Shop()
    shop.configs["shop/tune"] = spec(onDelete=on_delete)
    await shop.tick(app=RAISED)
    before = len(shop.cluster.writes)
    unreadable = {"shop/tune": None}
    shop.configs = unreadable  # type: ignore[assignment]
    await shop.idle()
    assert len(shop.cluster.writes) == before
    assert shop.entry() is not None
    assert shop.requests() == ["250m"] * 3


def test_a_lost_connection_is_told_without_the_address_of_the_api_server() -> None:
    lost = Unavailable(0, "ConnectionFailed", "Cannot connect to host 10.0.0.1:6443", request="PATCH /apis/apps/v1/x")
    told = explain(lost)
    assert told.reason is Reason.MOVE_FAILED
    assert "ConnectionFailed" in told.message
    assert "10.0.0.1" not in told.message
    assert "/apis" not in told.message
