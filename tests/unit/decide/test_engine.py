"""The engine as a whole: purity, keys, remarks, settings, text."""

import copy
from dataclasses import fields, replace

import numpy as np
import pytest

from tests.unit.decide.sameness import same
from tests.unit.decide.simulator import KEY, MIB, NAN, START, Simulator
from trimtab.api.reasons import Reason
from trimtab.decide import text
from trimtab.decide.columns import column
from trimtab.decide.engine import decide
from trimtab.decide.observation import Containers, Knobs, Observation, Samples, Targets, Workloads
from trimtab.decide.settings import Settings
from trimtab.decide.state import State
from trimtab.decide.tally import Tally


def test_nothing_in_gives_nothing_out() -> None:
    plan, state = decide(Observation(START), State(), Settings())
    assert len(plan.workloads) == len(plan.containers) == len(plan.knobs) == len(plan.alerts) == 0
    assert not plan.decisions
    assert not plan.remarks
    assert not state.pending


def test_a_tick_in_the_middle_of_moves_changes_neither_the_observation_nor_the_state() -> None:
    sim = Simulator(rate=lambda t: 60.0, knob={"value": 4}, replicas=2)
    sim.run(300)
    seen, state = sim.observe(), sim.state
    kept_seen, kept_state = copy.deepcopy(seen), copy.deepcopy(state)
    first, _ = decide(seen, state, sim.settings)
    second, _ = decide(seen, state, sim.settings)
    assert first.decisions == second.decisions
    assert same(seen, kept_seen)
    assert same(state, kept_state)


def test_rows_may_come_in_another_order_every_tick() -> None:
    def seen(order: list[str], now: float) -> Observation:
        workloads = Workloads.of(
            [{"key": f"ns/{key}", "acting": True, "allowed": [True] * 4, "min_history_seconds": 0.0} for key in order]
        )
        containers, samples = [], []
        for w, key in enumerate(order):
            use = 0.1 if key == "small" else 0.8
            containers.append(
                {
                    "key": f"ns/{key}/app",
                    "name": "app",
                    "workload": w,
                    "template_cpu": 1.0,
                    "cpu": 1.0,
                    "cpu_max": 2.0,
                }
            )
            samples.append({"container": w, "time": now, "cpu": use})
        return Observation(now, workloads, containers=Containers.of(containers), samples=Samples.of(samples))

    state = State()
    for i, order in enumerate((["small", "large"], ["large", "small"], ["large", "new", "small"])):
        plan, state = decide(seen(order, START + 60 * i), state, Settings())
        recommended = dict(zip(order, plan.containers.recommended_cpu, strict=True))
        if i == 0:
            continue  # no minute is over yet
        assert recommended["small"] == pytest.approx(0.11 * 1.15, rel=0.02)
        assert recommended["large"] == pytest.approx(0.8 * 1.15, rel=0.1)


def test_a_workload_that_vanishes_takes_its_moves_along() -> None:
    sim = Simulator(rate=lambda t: 2.0, replicas=1, knob={"value": 4})
    sim.run(30)
    assert sim.state.trials or sim.state.pending
    _, state = decide(Observation(sim.now), sim.state, sim.settings)
    assert not state.trials
    assert not state.pending


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ({}, Reason.ACTIVE),
        ({"rollout": True}, Reason.ROLLOUT_IN_PROGRESS),
        ({"window_closed": True}, Reason.WINDOW_CLOSED),
        ({"min_history_seconds": 86400.0}, Reason.LEARNING_HISTORY),
        ({"extra_pods": 1}, Reason.VERIFYING),
    ],
)
def test_what_tuning_is_doing_is_said(override: dict[str, object], reason: Reason) -> None:
    sim = Simulator(rate=lambda t: 20.0, override={"workload": {"min_history_seconds": 0.0, **override}})
    sim.container = {"cpu_max": NAN, "memory_max": NAN}
    plan = sim.step()
    assert plan.remarks[0][0].reason is reason
    assert plan.remarks[0][0].condition == "Tuning"


def test_an_unknown_target_is_said_and_a_workload_that_is_not_acted_on_has_no_remark() -> None:
    sim = Simulator(rate=lambda t: 20.0, override={"target": {"kind": 7, "value": NAN}})
    assert sim.step().remarks[0][0].reason is Reason.LATENCY_UNKNOWN
    sim = Simulator(rate=lambda t: 20.0, override={"workload": {"acting": False}})
    assert 0 not in sim.step().remarks


def test_no_more_than_one_lever_moves_in_a_tick() -> None:
    sim = Simulator(rate=lambda t: 100.0, knob={"value": 4}, cpu=0.05, cpu_limit=1.0, burst=2.0, memory_limit=100 * MIB)
    sim.memory = 100 * MIB
    for _ in range(80):
        plan = sim.step()
        made = [d for d in plan.decisions if d.time == sim.now - sim.tick]
        assert len({d.lever for d in made}) <= 1


def test_the_digest_of_the_settings_changes_with_any_constant() -> None:
    assert Settings().digest() == Settings().digest()
    assert len(Settings().digest()) == 12
    assert {Settings().digest(), Settings(dead_band=0.2).digest(), Settings(futile_raises=4).digest()}.__len__() == 3


def test_decision_ids_are_made_of_time_lever_and_subject() -> None:
    sim = Simulator(rate=lambda t: 100.0)
    plan = sim.step()
    assert plan.decisions[0].id == f"{START:.0f}-replicas"
    assert plan.decisions[0].workload == KEY


def test_a_tally_of_nothing_has_no_mean_and_one_sample_has_no_error() -> None:
    empty = Tally()
    assert empty.mean != empty.mean
    assert empty.plus(NAN) == empty
    assert empty.plus(2.0).mean == 2.0
    assert empty.plus(2.0).error(1.3) == float("inf")
    assert empty.plus(1.0).plus(3.0).error(1.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (text.number(0.8123), "0.812"),
        (text.number(1240.0), "1240"),
        (text.number(6.1), "6.1"),
        (text.number(0.0), "0"),
        (text.number(NAN), "unknown"),
        (text.cores(0.25), "250m"),
        (text.cores(1.5), "1.5"),
        (text.cores(NAN), "none"),
        (text.memory(512 * MIB), "512Mi"),
        (text.memory(1536 * MIB), "1.5Gi"),
        (text.memory(NAN), "none"),
        (text.percent(0.0421), "4.21%"),
        (text.seconds(45), "45 s"),
        (text.seconds(300), "5 min"),
        (text.seconds(86400), "24 h"),
        (text.change(1.0, 0.88), "−12%"),
        (text.change(1.0, 1.4), "+40%"),
        (text.change(0.0, 1.4), "unknown"),
    ],
)
def test_numbers_are_written_as_people_read_them(said: str, expected: str) -> None:
    assert said == expected


def test_a_table_refuses_a_column_that_it_does_not_know() -> None:
    with pytest.raises(KeyError, match="Targets has no column"):
        Targets.of([{"valeu": 1.0}])


def test_blank_rows_hold_the_defaults_of_every_column() -> None:
    blank, made = Knobs.blank(2), Knobs.of([{}, {}])
    for f in fields(Knobs):
        np.testing.assert_array_equal(getattr(blank, f.name), getattr(made, f.name))
    taken = made.take(np.array([1, -1]), missing=True)
    assert len(taken) == 2
    assert column("f8", 0.0) is not None
    assert len(made.take(np.array([0]))) == 1


def test_ten_thousand_workloads_are_decided_in_bulk() -> None:
    count = 10_000
    workloads = Workloads.blank(count)
    workloads.key[:] = [f"ns/{i}" for i in range(count)]
    workloads.acting[:] = True
    workloads.allowed[:] = True
    workloads.replicas[:] = workloads.ready[:] = 2
    workloads.replicas_max[:] = 10
    workloads.cpu_usage[:] = 1.0
    workloads.cpu_per_pod[:] = 1.0
    plan, _ = decide(Observation(START, workloads), State(), Settings())
    assert (plan.workloads.recommended_replicas == 2).all()
    plan, _ = decide(replace(Observation(START, workloads), now=START), State(), Settings())
    assert not plan.decisions
