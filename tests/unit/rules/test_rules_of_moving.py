"""Rules of moving pods (6–17) that one act or one simulated workload can show; the others stand beside their rooms."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.unit.act.shop import Shop
from tests.unit.decide.simulator import GIB, MIB, START, Simulator, limited
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision
from trimtab.kube.errors import Forbidden, Invalid, KubeError

HOUR = 3600.0
FIXED = {"replicas_max": 0}


def sized(**changes: Any) -> Simulator:
    """One pod with ten times the CPU and twice the memory that it uses, five hours known."""
    workload = {**FIXED, **changes.pop("workload", {})}
    sim = Simulator(rate=lambda t: 2.0, workload=workload, **changes)
    sim.learn_history(5, cpu=0.1, memory=200 * MIB)
    return sim


def made(sim: Simulator, reason: Reason) -> list[Decision]:
    return [decision for decision in sim.decisions.values() if decision.reason is reason]


def daemons() -> Shop:
    """A DaemonSet with a pod on each of three nodes, which its controller brings back."""
    shop = Shop(kind="DaemonSet")
    cluster, settle = shop.cluster, shop.cluster.settle

    def work() -> None:
        (owner,) = cluster.all("daemonsets")
        for name in {"web-a", "web-b", "web-c"} - {pod["metadata"]["name"] for pod in cluster.pods()}:
            cluster.spawn(owner, "DaemonSet", name)
        settle()
        counts = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady")
        owner["status"] = dict.fromkeys(counts, 3) | {"observedGeneration": 1}

    cluster.settle = work  # type: ignore[method-assign]
    work()
    return shop


async def test_rule_06_a_daemonset_is_resized_and_rolls_its_knob_by_eviction() -> None:
    shop = daemons()
    await shop.tick(app={"cpu": 0.2})
    assert shop.requests() == ["200m"] * 3
    for _ in range(12):
        await shop.tick(app={"cpu": 0.2}, knob=16)
    assert shop.batches() == ["16"] * 3
    assert {verb for verb, path in shop.cluster.writes if "/pods/" in path} == {"RESIZE", "EVICT"}


@pytest.mark.parametrize("kind", [Forbidden, Invalid])
async def test_rule_06_a_refused_resize_is_said_in_every_tick_until_it_is_tried_again(kind: type[KubeError]) -> None:
    shop = Shop(replicas=1)
    tried: list[str] = []

    def refuse(_verb: str, path: str, _body: Any) -> KubeError | None:
        if not path.endswith("/resize"):
            return None
        tried.append(path)
        return kind(403, "Forbidden", "somebody's policy says no")

    shop.cluster.fail = refuse
    for _ in range(10):
        outcomes = await shop.tick(app={"cpu": 0.2})
        said = [o.message for o in outcomes if not o.ok and o.lever is Lever.CPU]
        assert len(said) == 1
        assert "somebody's policy says no" in said[0]
    assert len(tried) == 1, "asked once, not in every tick"
    shop.cluster.fail = lambda verb, path, body: None
    await shop.tick(app={"cpu": 0.2}, seconds=300)
    outcomes = await shop.tick(app={"cpu": 0.2})
    assert shop.requests() == ["200m"]
    assert all(o.ok for o in outcomes)


async def test_rule_07_every_delete_of_ours_is_an_eviction() -> None:
    shop = Shop()
    await shop.tick(trial=16)
    await shop.tick()  # the trial is dropped
    for _ in range(20):
        await shop.tick(knob=16)
    assert shop.batches() == ["16"] * 3
    deletes = [path for verb, path in shop.cluster.writes if verb == "DELETE" and "/pods/" in path]
    evictions = [path for verb, path in shop.cluster.writes if verb == "EVICT"]
    assert (deletes, len(evictions)) == ([], 1)


@pytest.mark.parametrize(
    "frozen", [{"workload": {"rollout": True}}, {"workload": {"window_closed": True}}, {"target": {"age": 1e6}}]
)
def test_rule_11_freezing_stops_cuts_and_raises_for_oom_go_on(frozen: dict[str, dict[str, Any]]) -> None:
    sim = sized(override=frozen, memory_limit=512 * MIB)
    sim.run(600)
    assert sim.decisions == {}
    sim.memory_need = 600 * MIB
    sim.step()
    assert [d.reason for d in sim.decisions.values()] == [Reason.RAISED_AFTER_OOM]
    assert sim.memory_limit >= 612 * MIB


def test_rule_12_nothing_is_saved_while_the_target_is_missed() -> None:
    sim = sized(floor=lambda knob: 0.9, replicas=4, workload={"replicas_max": 4})
    sim.run(HOUR)
    assert not made(sim, Reason.CUT_UNUSED)
    assert not made(sim, Reason.SCALED_DOWN)
    assert (sim.cpu, sim.replicas) == (1.0, 4)


def test_rule_12_a_ceiling_lowered_by_the_user_is_obeyed_gradually_even_so() -> None:
    sim = sized(floor=lambda knob: 0.9, container={"cpu_max": 0.3})
    seen = [sim.cpu]
    while seen[-1] > 0.3 + 1e-9 and sim.now < START + 8 * HOUR:
        sim.step()
        if sim.cpu != seen[-1]:
            seen.append(sim.cpu)
    assert seen[-1] == pytest.approx(0.3)
    shares = [after / before for before, after in itertools.pairwise(seen)]
    assert shares[0] >= 0.75
    assert min(shares) >= 0.5
    assert {d.reason for d in sim.decisions.values()} == {Reason.OBEYED_CONSTRAINT}


def test_rule_12_three_futile_raises_are_taken_back_and_held() -> None:
    sim = Simulator(rate=lambda t: 10.0, floor=lambda k: 0.8, service=lambda k: 0.02)
    assert sim.run(HOUR, until=lambda s: Reason.TARGET_UNREACHABLE in limited(s))
    sim.run(180)
    assert sim.replicas == 2
    assert len(made(sim, Reason.RAISED_FOR_TARGET)) == 3


def test_rule_13_a_pending_verify_blocks_savings_never_a_raise_and_is_then_confounded() -> None:
    sim = sized(memory_limit=512 * MIB)
    assert sim.run(120, until=lambda s: len(s.decisions) == 1)
    cut = next(iter(sim.decisions))
    assert sim.decisions[cut].lever is Lever.CPU
    sim.run(150)
    assert list(sim.decisions) == [cut], "no second saving while the first is watched"
    sim.memory_need = 600 * MIB
    sim.step()
    assert len(made(sim, Reason.RAISED_AFTER_OOM)) == 1
    assert sim.decisions[cut].outcome is OutcomeState.CONFOUNDED


def test_rule_14_no_cut_before_the_history_is_known_and_a_first_move_of_a_quarter_at_most() -> None:
    sim = Simulator(rate=lambda t: 2.0, workload={**FIXED, "min_history_seconds": 86400.0})
    plan = sim.step()
    assert [remark.reason for remark in plan.remarks[0]] == [Reason.LEARNING_HISTORY]
    sim.learn_history(23, cpu=0.1, memory=200 * MIB)
    sim.run(600)
    assert sim.decisions == {}
    sim.run(HOUR, until=lambda s: bool(s.decisions))
    (first,) = sim.decisions.values()
    assert first.after >= 0.75 * first.before
    assert Reason.FIRST_MOVE_CAPPED in limited(sim)


def test_rule_16_emergencies_count_in_the_budget_and_are_never_blocked_by_it() -> None:
    sim = sized(memory_limit=512 * MIB, workload={"resizes_per_day": 0})
    sim.run(300)
    assert sim.decisions == {}
    assert Reason.BUDGET_SPENT in limited(sim)
    sim.memory_need = 600 * MIB
    plan = sim.step()
    assert len(made(sim, Reason.RAISED_AFTER_OOM)) == 1
    assert plan.workloads.resizes_today[0] == 1


def test_rule_17_nothing_grows_past_max_memory_and_nothing_is_cut_for_it() -> None:
    sim = sized(memory_limit=512 * MIB, workload={"max_memory": 1.1 * GIB, "min_history_seconds": 1e9})
    sim.memory_need = 2 * GIB
    sim.run(300)
    assert sim.memory_limit * sim.replicas <= 1.1 * GIB
    assert Reason.MEMORY_CEILING in limited(sim)
    sim.workload["max_memory"] = 0.5 * GIB
    held = sim.memory_limit
    sim.run(300)
    assert sim.memory_limit == held, "already exceeded: no growth, and no forced cut"
