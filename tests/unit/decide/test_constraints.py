"""The last word: what no plan passes, and what the decisions say after it."""

from dataclasses import replace
from typing import Any

import numpy as np

from tests.unit.decide.simulator import GIB, KEY, MIB, NAN, START, Simulator, limited
from trimtab.api.reasons import Reason
from trimtab.decide.engine import decide
from trimtab.decide.observation import Containers, Observation, Samples
from trimtab.decide.state import State

LONG = {"min_history_seconds": 1e9}


def busy(rate: float, **more: Any) -> Simulator:
    workload = {**LONG, **more.pop("workload", {})}
    return Simulator(rate=lambda t: rate, workload=workload, **more)


def test_rule_17_replicas_grow_only_as_far_as_max_memory_has_room() -> None:
    sim = busy(200.0, memory=512 * MIB, workload={"max_memory": 2.1 * GIB})
    sim.run(300)
    assert sim.replicas == 4
    assert Reason.MEMORY_CEILING in limited(sim)
    assert all(made.after <= 4 for made in sim.decisions.values())


def test_rule_17_a_workload_above_max_memory_neither_grows_nor_is_cut_for_it() -> None:
    sim = busy(200.0, memory=512 * MIB, workload={"max_memory": 0.5 * GIB})
    sim.run(300)
    assert sim.replicas == 2
    assert not [made for made in sim.decisions.values() if made.lever.name in ("REPLICAS", "MEMORY")]
    assert Reason.MEMORY_CEILING in limited(sim)


def test_rule_17_a_trial_pod_counts_in_max_memory() -> None:
    sim = busy(10.0, memory=512 * MIB, knob={"value": 4}, workload={"max_memory": 1.2 * GIB, "replicas_max": 0})
    plan = sim.step()
    assert plan.knobs.trial[0] == -1
    assert not plan.decisions
    assert not sim.state.trials
    assert Reason.MEMORY_CEILING in limited(sim)
    sim.workload["max_memory"] = 1.6 * GIB
    assert sim.step().knobs.trial[0] == 8


def test_without_room_for_a_single_pod_more_nothing_is_decided() -> None:
    sim = busy(200.0, memory=512 * MIB, workload={"max_memory": GIB})
    plan = sim.step()
    assert plan.workloads.replicas[0] == 2
    assert not plan.decisions
    assert not sim.state.pending


def pod(**columns: list[Any]) -> tuple[Observation, Simulator]:
    """One pod of several containers, 10 minutes of usage known."""
    sim = busy(10.0, replicas=1, workload={"replicas_max": 0})
    seen = sim.observe()
    count = len(next(iter(columns.values())))
    rows = [
        {
            "key": f"{KEY}/c{i}",
            "name": f"c{i}",
            "template_cpu": 0.1,
            "template_memory": 128 * MIB,
            "cpu": 0.1,
            "memory": 128 * MIB,
            "cpu_max": 8.0,
            "memory_max": 8 * GIB,
            **{name: values[i] for name, values in columns.items() if name not in ("use_cpu", "use_memory")},
        }
        for i in range(count)
    ]
    samples = [
        {
            "container": i,
            "time": START - 30 * n,
            "cpu": columns.get("use_cpu", [0.01] * count)[i],
            "memory": columns.get("use_memory", [50 * MIB] * count)[i],
            "span": 30.0,
        }
        for i in range(count)
        for n in range(30)
    ]
    return Observation(START, seen.workloads, seen.targets, Containers.of(rows), Samples.of(samples)), sim


def test_the_containers_of_a_pod_together_stay_inside_the_largest_node() -> None:
    seen, sim = pod(use_cpu=[1.0, 1.0, 1.0])
    seen.workloads.node_cpu[:] = 2.0
    plan, _ = decide(seen, State(), sim.settings)
    assert np.nansum(plan.containers.cpu) <= 2.0
    assert (plan.containers.cpu > 0.5).all()
    (remark,) = [one for one in plan.remarks[0] if one.condition == "Limited"]
    assert remark.reason is Reason.RESIZE_INFEASIBLE
    assert [made.after for made in plan.decisions] == plan.containers.cpu.tolist()
    assert all("held back" in made.message for made in plan.decisions)


def test_memory_of_a_pod_stays_inside_the_largest_node() -> None:
    seen, sim = pod(use_memory=[GIB, GIB])
    seen.workloads.node_memory[:] = GIB
    plan, _ = decide(seen, State(), sim.settings)
    assert np.nansum(plan.containers.memory) <= GIB


def test_growth_that_is_shrunk_keeps_guaranteed_limits_equal_and_other_limits_above() -> None:
    seen, sim = pod(
        use_memory=[300 * MIB, 300 * MIB],
        memory_limit=[128 * MIB, 128 * MIB],
        cpu_limit=[0.1, 0.1],
        guaranteed=[True, True],
    )
    seen.workloads.max_memory[:] = 400 * MIB
    plan, _ = decide(seen, State(), sim.settings)
    assert (plan.containers.memory == plan.containers.memory_limit).all()
    assert plan.containers.memory.sum() <= 400 * MIB
    assert (plan.containers.memory > 128 * MIB).all()


def test_a_pod_that_is_not_guaranteed_is_kept_from_becoming_so() -> None:
    seen, sim = pod(use_memory=[300 * MIB], memory_limit=[130 * MIB], cpu_limit=[0.1])
    plan, _ = decide(seen, State(), sim.settings)
    assert plan.containers.memory[0] == plan.containers.memory_limit[0] - MIB
    seen, sim = pod(use_cpu=[1.0], cpu_limit=[0.15], memory_limit=[128 * MIB])
    plan, _ = decide(seen, State(), sim.settings)
    assert round(plan.containers.cpu_limit[0] - plan.containers.cpu[0], 9) == 0.001


def test_where_the_request_may_go_no_lower_the_limit_stays_a_little_higher_for_the_qos_class() -> None:
    seen, sim = pod(
        memory=[256 * MIB],
        memory_min=[192 * MIB],
        memory_limit=[300 * MIB],
        template_memory=[192 * MIB],
        template_memory_limit=[192 * MIB],
        scale_limits=[True],
        limit_below_template=[True],
        working_set=[50 * MIB],
        cpu_limit=[0.1],
        cpu_max=[NAN],
    )
    seen.workloads.min_history_seconds[:] = 0.0
    plan, _ = decide(seen, State(), sim.settings)
    assert (plan.containers.memory[0], plan.containers.memory_limit[0]) == (192 * MIB, 193 * MIB)
    seen = replace(seen, containers=replace(seen.containers, memory_limit=np.array([NAN])))
    plan, _ = decide(seen, State(), sim.settings)
    assert plan.containers.memory[0] == 192 * MIB
    seen, sim = pod(
        cpu=[0.4],
        cpu_min=[0.3],
        cpu_limit=[0.5],
        template_cpu=[0.3],
        template_cpu_limit=[0.3],
        scale_limits=[True],
        memory_limit=[128 * MIB],
        memory_max=[NAN],
    )
    seen.workloads.min_history_seconds[:] = 0.0
    plan, _ = decide(seen, State(), sim.settings)
    assert (plan.containers.cpu[0], round(plan.containers.cpu_limit[0], 9)) == (0.3, 0.301)


def test_nonsense_in_one_row_leaves_the_others_working() -> None:
    seen, sim = pod(use_cpu=[1.0, 1.0], cpu=[0.1, NAN], cpu_max=[8.0, float("inf")])
    plan, _ = decide(seen, State(), sim.settings)
    assert plan.containers.cpu[0] > 1.0
    assert np.isnan(plan.containers.cpu[1])
