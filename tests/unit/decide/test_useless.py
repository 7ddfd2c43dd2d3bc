"""Raises that change nothing are taken back and say that the process needs a restart (RULES 8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.decide.simulator import KEY, NAN, Simulator, limited
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide.plan import Decision
from trimtab.decide.restore import Prior, restore
from trimtab.decide.state import State

FIXED = {"replicas_max": 0}


def stuck(share: Callable[[Simulator], float] = lambda sim: 0.4, **more: Any) -> Simulator:
    """A container whose throttling does not depend on its limit, as of threads that were sized at its start."""
    sim = Simulator(rate=lambda t: 2.0, workload=FIXED, cpu=0.5, cpu_limit=0.5, **more)
    observe = sim.observe

    def seen() -> Any:
        sim.override["container"] = {"throttled": share(sim)}
        sim.override["workload"] = {"cpu_usage": 0.2}
        sim.override.setdefault("target", {"value": 0.3})
        return observe()

    sim.observe = seen  # type: ignore[method-assign]
    return sim


def raises(sim: Simulator) -> list[Decision]:
    return [made for made in sim.decisions.values() if made.reason is Reason.RAISED_FOR_THROTTLING]


@pytest.mark.long
def test_rule_08_a_raise_that_changes_nothing_is_rolled_back_and_says_needs_a_restart() -> None:
    sim = stuck()
    assert sim.run(600, lambda sim: any(made.reason is Reason.MOVE_ROLLED_BACK for made in sim.decisions.values()))
    sim.run(600)
    assert (sim.cpu, sim.cpu_limit) == (0.5, 0.5)
    assert raises(sim)[-1].outcome is OutcomeState.ROLLED_BACK
    assert "it needs a restart" in raises(sim)[-1].outcome_message
    assert Reason.NEEDS_RESTART in limited(sim)
    assert sim.plan is not None
    (said,) = [r.message for r in sim.plan.remarks[0] if r.reason is Reason.NEEDS_RESTART]
    assert "raise the CPU limit in the pod template" in said
    before = len(raises(sim))
    sim.run(2 * 3600)
    assert len(raises(sim)) == before, "once a day is often enough"


@pytest.mark.long
def test_rule_08_less_than_twice_the_cpu_is_not_enough_to_call_a_raise_useless() -> None:
    sim = stuck(container={"cpu_max": 0.9})
    sim.run(3600)
    assert sim.cpu_limit == 0.9
    assert Reason.CPU_AT_MAX in limited(sim)
    assert Reason.NEEDS_RESTART not in limited(sim)


@pytest.mark.parametrize(
    "changes",
    [
        {"workload": {"cpu_usage": NAN}},
        {"container": {"throttled": 0.4}, "workload": {"arrival_rate": 8.0}},
    ],
    ids=["use is not known", "the load is another one"],
)
def test_rule_08_what_can_not_be_judged_is_not_called_useless(changes: dict[str, dict[str, Any]]) -> None:
    sim = stuck()
    observe = sim.observe

    def seen() -> Any:
        observe()
        for table, columns in changes.items():
            if "arrival_rate" not in columns or sim.decisions:
                sim.override[table] = sim.override.get(table, {}) | columns
        return Simulator.observe(sim)

    sim.observe = seen  # type: ignore[method-assign]
    sim.run(1200)
    assert Reason.NEEDS_RESTART not in limited(sim)
    assert sim.cpu_limit > 1.0


@pytest.mark.long
@pytest.mark.parametrize("share", [0.4, 0.99])
def test_rule_08_raises_go_on_while_each_of_them_does_something(share: float) -> None:
    """A container that is far too small is throttled as before for long, but uses what it gets."""
    sim = stuck(lambda sim: share)
    observe = sim.observe

    def seen() -> Any:
        observe()
        sim.override["workload"] = {"cpu_usage": 2 * sim.cpu_limit}
        return Simulator.observe(sim)

    sim.observe = seen  # type: ignore[method-assign]
    sim.run(1200)
    assert sim.cpu_limit == 4.0
    assert {made.outcome for made in raises(sim)} <= {OutcomeState.CONFOUNDED, OutcomeState.KEPT}


def test_rule_08_a_restart_of_the_operator_remembers_what_was_useless() -> None:
    sim = stuck()
    sim.run(900)
    before = len(sim.decisions)
    prior = Prior(template="t1", decisions=tuple(sim.decisions.values()))
    sim.state = restore(State(), sim.observe(), {KEY: prior}, sim.settings)
    sim.run(900)
    assert len(sim.decisions) == before
    assert Reason.NEEDS_RESTART in limited(sim)


def test_rule_08_a_new_template_is_raised_again() -> None:
    sim = stuck()
    sim.run(900)
    before = len(raises(sim))
    sim.workload = {**FIXED, "template": "t2"}
    sim.run(300)
    assert len(raises(sim)) > before
