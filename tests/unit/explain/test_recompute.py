"""A decision that was made is made again from its recorded inputs: the same, in published quantities (RULES 24)."""

import base64
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from tests.unit.explain.scene import ALL, Recorded, busy, roomy, slow, tried
from tests.unit.loop.rooms import KEY, MIB, Archive, House
from trimtab.api.reasons import Reason
from trimtab.decide.engine import decide
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision
from trimtab.decide.replay import recall
from trimtab.decide.settings import Settings
from trimtab.decide.trace import Step, Trace
from trimtab.explain.recompute import differences, recompute
from trimtab.memory import Memory
from trimtab.record.journal import to_status


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_rule_24_every_decision_of_a_run_is_made_again_in_published_quantities(make: Callable[[], Recorded]) -> None:
    recorded = make()
    assert recorded.made
    for made, packed in recorded.made:
        again = [one for one in recompute(recall(packed), Settings()).made if one.id == made.id]
        assert [to_status(one) for one in again] == [to_status(made)]


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_what_became_of_a_decision_later_is_no_difference(make: Callable[[], Recorded]) -> None:
    entries = [entry for entry in make().entries if entry.inputs]
    assert entries
    for entry in entries:
        inputs = recall(base64.b64decode(entry.inputs))
        (again,) = [one for one in recompute(inputs, Settings()).made if one.id == entry.decision.id]
        assert differences(entry.decision, again) == []


def test_a_text_that_the_status_cut_short_is_no_difference() -> None:
    made, _ = roomy().made[0]
    recorded = to_status(made)
    assert differences(recorded.model_copy(update={"message": f"{recorded.message[:10]}…"}), made) == []
    assert differences(recorded.model_copy(update={"message": "another…"}), made) == ["message"]


def test_another_value_reason_or_number_is_a_difference() -> None:
    made, _ = roomy().made[0]
    recorded = to_status(made)
    for field, value in (("to", "7m"), ("reason", "ScaledUp"), ("message", "?"), ("from_", "9"), ("predicted", "x")):
        assert differences(recorded.model_copy(update={field: value}), made) == [field]
    fewer = {name: value for name, value in recorded.inputs.items() if name != "replicas"}
    assert differences(recorded.model_copy(update={"inputs": fewer}), made) == ["inputs.replicas"]


async def test_rule_24_every_decision_of_some_ticks_of_the_loop_is_made_again() -> None:
    class Pages:
        """The journals."""

        def __init__(self) -> None:
            self.noted: list[tuple[Decision, bytes]] = []

        def note(self, decisions: tuple[Decision, ...], _settings: str, inputs: Mapping[str, bytes]) -> None:
            self.noted += [(made, inputs[made.workload]) for made in decisions if made.workload in inputs]

    pages = Pages()
    nothing = cast(Any, None)

    class Notes(Archive):
        """The archive, with the operator's own way of keeping inputs."""

        memory = Memory(nothing, cast(Any, pages), nothing, nothing)

        def note(self, *arguments: Any) -> None:
            self.memory.note(*arguments)

    house = House()
    house.archive = Notes()
    house.loop = house.new_loop()
    for n in range(6):
        house.eyes.container = {"oom_at": house.now + 14.0, "oom_limit": (512 + 100 * n) * MIB}
        await house.tick()
    assert {made.workload for made, _ in pages.noted} == {KEY}
    new = [(made, packed) for made, packed in pages.noted if recall(packed).seen.now == made.time]
    assert len(new) >= 2
    for made, packed in new:
        assert to_status(made) in [to_status(one) for one in recompute(recall(packed), Settings()).made]


def test_a_trace_changes_nothing_and_names_every_step_in_the_arbiter_s_order() -> None:
    inputs = recall(busy().made[0][1])
    trace = Trace()
    traced, _ = decide(inputs.seen, inputs.state, Settings(), trace=trace)
    plain, _ = decide(inputs.seen, inputs.state, Settings())
    assert repr(traced) == repr(plain)
    assert [said.step for said in trace.said] == list(Step)
    told = [made for said in trace.said for made in said.decisions]
    assert all(made in told for made in plain.decisions)


def test_a_barred_lever_does_not_move_and_what_is_pending_on_it_stays() -> None:
    for made, packed in [*busy().made, *slow().made, *tried().made]:
        again = recompute(recall(packed), Settings(), frozenset({made.lever}))
        moved = [one for one in again.made if one.lever is made.lever and one.id == made.id]
        # A rollback is never blocked; what it would have moved stays all the same.
        assert {one.reason for one in moved} <= {Reason.MOVE_ROLLED_BACK}
        assert again.plan.workloads.replicas[0] in (-1, made.before) or made.lever is not Lever.REPLICAS
        if made.lever is not Lever.KNOB:
            assert not [one for one in again.plan.decisions if "out of Trimtab's hands" in one.outcome_message]
