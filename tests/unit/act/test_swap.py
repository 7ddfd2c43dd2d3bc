"""Knob trials and rolls: clones, adoption, budgets, deadlines (RULES 6, 7)."""

from typing import Any

import pytest

from tests.unit.act.shop import START, Shop
from trimtab.api.reasons import Reason
from trimtab.kube.strip_pods import DEADLINE_ANNOTATION, DELETION_COST, SWAPPED_ANNOTATION, TRIAL_LABEL


def budget(shop: Shop, minimum: int) -> None:
    shop.cluster.put(
        "poddisruptionbudgets",
        {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": minimum}},
    )
    shop.cluster.settle()


def trials(shop: Shop) -> list[dict[str, Any]]:
    return [p for p in shop.cluster.pods() if TRIAL_LABEL in p["metadata"]["labels"]]


async def roll(shop: Shop, value: int, ticks: int = 12) -> None:
    for _ in range(ticks):
        await shop.tick(knob=value)


async def test_rule_07_a_trial_is_one_clone_outside_the_replicaset() -> None:
    shop = Shop()
    await shop.tick(app={"cpu": 0.25})
    await shop.tick(trial=16)
    await shop.tick(trial=16)
    (pod,) = trials(shop)
    meta = pod["metadata"]
    assert meta["labels"] == {"app": "web", TRIAL_LABEL: "tune"}
    assert [o["controller"] for o in meta["ownerReferences"]] == [False]
    assert meta["annotations"][DELETION_COST] == "1000"
    assert float(meta["annotations"][DEADLINE_ANNOTATION]) == START + 15 + 600 + 4 * 600
    assert meta["annotations"]["trimtab.dev/trial-knob"] == "batch=16"
    assert meta["name"].startswith("web-abc12-t")
    container = pod["spec"]["containers"][0]
    assert container["env"] == [{"name": "BATCH", "value": "16"}]
    assert container["resources"]["requests"] == {"cpu": "250m", "memory": "128Mi"}
    assert len(shop.cluster.pods()) == 4


async def test_rule_07_the_clone_comes_from_the_template_never_from_a_running_pod() -> None:
    shop = Shop()
    for pod in shop.cluster.pods():
        pod["spec"]["containers"].append({"name": "injected", "image": "mesh"})
        pod["spec"]["nodeName"] = "node-1"
    await shop.tick(trial=16)
    (pod,) = trials(shop)
    assert [c["name"] for c in pod["spec"]["containers"]] == ["app"]
    assert "nodeName" not in pod["spec"]


async def test_a_trial_that_is_no_longer_wanted_is_evicted() -> None:
    shop = Shop()
    await shop.tick(trial=16)
    await shop.tick()
    assert shop.batches() == ["8", "8", "8"]
    assert [v for v, _ in shop.cluster.writes] == ["POST", "EVICT"]


async def test_a_kept_trial_is_adopted_and_the_others_follow_one_at_a_time() -> None:
    shop = Shop()
    await shop.tick(trial=16)
    (clone,) = trials(shop)
    shop.cluster.lowest_ready = 99
    seen = []
    await shop.tick(knob=16, keep=True)
    for _ in range(10):
        seen.append(shop.batches().count("8"))
        assert len(trials(shop)) <= 1
        await shop.tick(knob=16)
    assert seen == sorted(seen, reverse=True)
    assert shop.batches() == ["16", "16", "16"]
    assert clone["metadata"]["name"] in {p["metadata"]["name"] for p in shop.cluster.pods()}, "it was the first of them"
    assert shop.cluster.lowest_ready >= 3, "capacity never dips"


async def test_rule_07_swapped_pods_keep_their_deletion_cost_until_the_roll_ends_then_lose_it() -> None:
    shop = Shop()
    await shop.tick(knob=16)
    await shop.tick(knob=16)
    swapped = [p for p in shop.cluster.pods() if SWAPPED_ANNOTATION in p["metadata"]["annotations"]]
    assert [p["metadata"]["annotations"][DELETION_COST] for p in swapped] == ["1000"]
    await roll(shop, 16)
    assert shop.batches() == ["16", "16", "16"]
    assert shop.marks() == []


async def test_the_templates_own_deletion_cost_comes_back_after_the_roll() -> None:
    shop = Shop(replicas=1)
    rs = shop.cluster.objects["replicasets", "shop", "web-abc12"]
    rs["spec"]["template"]["metadata"]["annotations"] = {DELETION_COST: "7"}
    await roll(shop, 16)
    assert [p["metadata"]["annotations"] for p in shop.cluster.pods()] == [{DELETION_COST: "7"}]


async def test_rule_07_a_budget_that_allows_nothing_keeps_the_clone_waiting() -> None:
    shop = Shop()
    budget(shop, 4)
    await shop.tick(knob=16)
    outcomes = await shop.tick(knob=16)
    assert [o.reason for o in outcomes] == [Reason.PDB_BLOCKS]
    assert shop.batches().count("8") == 3
    shop.cluster.objects["poddisruptionbudgets", "shop", "web"]["spec"]["minAvailable"] = 3
    await roll(shop, 16)
    assert shop.batches() == ["16", "16", "16"]


async def test_rule_07_a_clone_of_an_old_revision_is_not_adopted_but_removed() -> None:
    shop = Shop()
    await shop.tick(trial=16)
    deployment = shop.cluster.objects["deployments", "shop", "web"]
    deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "y"
    shop.add_revision(deployment, "new99", 2)
    old = shop.cluster.objects["replicasets", "shop", "web-abc12"]
    old["spec"]["replicas"] = 0
    shop.cluster.settle()
    old["spec"]["replicas"] = 0
    await shop.tick(knob=16, keep=True)
    assert trials(shop) == []


async def test_a_clone_that_never_gets_ready_is_removed_and_said_so() -> None:
    shop = Shop()
    shop.cluster.start_pods = False
    await shop.tick(trial=16)
    assert len(trials(shop)) == 1
    assert await shop.tick(trial=16, seconds=600) == []
    outcomes = await shop.tick(trial=16)
    assert [(o.ok, o.reason) for o in outcomes] == [(False, Reason.CANARY_NOT_READY)]
    assert trials(shop) == []
    shop.cluster.start_pods = True
    outcomes = await shop.tick(trial=16)
    assert trials(shop) == [], "not tried again at once"
    assert outcomes[0].reason is Reason.CANARY_NOT_READY
    await shop.tick(seconds=900)
    await shop.tick(trial=16)
    assert len(trials(shop)) == 1


async def test_a_forgotten_trial_is_removed_after_its_deadline_by_any_successor() -> None:
    shop = Shop()
    await shop.tick(trial=16)
    shop.actuator = shop.new_actuator()
    shop.time.now += 10_000
    await shop.tick(trial=16)
    assert trials(shop) == []


async def test_no_swap_begins_while_pods_are_not_ready_or_the_workload_rolls_out() -> None:
    shop = Shop()
    outcomes = await shop.tick(trial=16, rollout=True)
    assert [o.reason for o in outcomes] == [Reason.ROLLOUT_IN_PROGRESS]
    shop.cluster.pods()[0]["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    outcomes = await shop.tick(trial=16)
    assert [o.reason for o in outcomes] == [Reason.PROGRESSING]
    assert len(shop.cluster.pods()) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"strategy": {"type": "Recreate"}}, "STRATEGY_RECREATE"),
        ({"hostPort": 80}, "SWAP_REFUSED_HOST_PORT"),
    ],
)
async def test_rule_06_swap_is_refused_for_what_can_not_run_twice(change: dict[str, Any], reason: str) -> None:
    shop = Shop()
    deployment = shop.cluster.objects["deployments", "shop", "web"]
    if "hostPort" in change:
        deployment["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80, **change}]
    else:
        deployment["spec"] |= change
    outcomes = await shop.tick(trial=16)
    assert [o.reason.name for o in outcomes] == [reason]
    assert shop.cluster.writes == []


async def test_knobs_switched_off_create_and_evict_nothing() -> None:
    shop = Shop()
    shop.actuator = shop.new_actuator(knobs_enabled=False)
    await shop.tick(trial=16)
    await shop.tick(knob=32)
    assert not {v for v, p in shop.cluster.writes if "/pods" in p}


async def test_rule_06_a_statefulset_rolls_from_the_highest_ordinal_one_at_a_time() -> None:
    shop = Shop(kind="StatefulSet")
    order = []
    for _ in range(8):
        await shop.tick(knob=16)
        order.append([p["spec"]["containers"][0]["env"][0]["value"] for p in shop.cluster.pods()])
    assert order[0] == ["8", "8", "8"], "the profile has to stand before a pod comes back"
    assert order[1] == ["8", "8", "16"]
    assert order[2] == ["8", "16", "16"]
    assert order[-1] == ["16", "16", "16"]


async def test_rule_06_a_statefulset_has_no_trial_pods() -> None:
    shop = Shop(kind="StatefulSet")
    outcomes = await shop.tick(trial=16)
    assert [o.reason for o in outcomes] == [Reason.LEVER_NOT_SUPPORTED]
    assert len(shop.cluster.pods()) == 3


async def test_a_statefulset_is_not_rolled_in_circles_when_the_policy_does_not_work() -> None:
    shop = Shop(kind="StatefulSet")
    shop.cluster.admission = False
    for _ in range(10):
        outcomes = await shop.tick(knob=16)
    assert [v for v, _ in shop.cluster.writes].count("EVICT") == 1
    assert [o.reason for o in outcomes] == [Reason.ADMISSION_POLICY_MISSING]


async def test_a_statefulset_waits_for_its_budget() -> None:
    shop = Shop(kind="StatefulSet")
    budget(shop, 3)
    await shop.tick(knob=16)
    outcomes = await shop.tick(knob=16)
    assert [o.reason for o in outcomes] == [Reason.PDB_BLOCKS]
    assert shop.batches() == ["8", "8", "8"]
