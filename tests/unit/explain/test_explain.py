"""What `trimtab explain` says: numbers, steps, the other levers, what came; and what it lacks."""

import base64
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.explain.scene import ALL, Recorded, advised, busy, config, killed, roomy, slow, throttled, tried
from trimtab.api.status import DecisionStatus
from trimtab.cli.explain import known_of
from trimtab.decide.settings import Settings
from trimtab.explain.build import explanation
from trimtab.explain.model import ExplainError, Explanation, Source, Verdict
from trimtab.explain.render import rendered
from trimtab.explain.whatif import parse
from trimtab.record.journals import Entry


def explained(recorded: Recorded, *changes: str, identity: str = "", **more: Any) -> Explanation:
    known = list(known_of(config(recorded), recorded.entries))
    return explanation(
        config(recorded), known, identity=identity, changes=[parse(change) for change in changes], **more
    )


def first(recorded: Recorded, reason: str) -> DecisionStatus:
    return next(entry.decision for entry in reversed(recorded.entries) if entry.decision.reason == reason)


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_every_recorded_decision_is_explained_from_its_inputs(make: Any) -> None:
    recorded = make()
    for entry in recorded.entries[:10]:
        found = explained(recorded, identity=entry.decision.id)
        assert found.source is Source.INPUTS
        assert found.equal
        assert found.decision == entry.decision
        assert len(found.checks) == 13
        assert all(says and says[-1] in ".!?…" for check in found.checks for says in check.says)
        text = rendered(found)
        assert entry.decision.id in text
        assert "nan" not in text
        assert "None" not in text


def test_a_scale_up_says_load_and_capacity_and_which_check_moved() -> None:
    recorded = busy()
    made = first(recorded, "ScaledUp")
    found = explained(recorded, identity=made.id)
    assert "60 requests a second arrived." in found.seen
    assert any(says.startswith("2 of 2 replicas were ready; allowed are 1 to 20") for says in found.seen)
    moved = [check for check in found.checks if check.verdict is Verdict.MOVED]
    assert [check.step for check in moved] == ["Replicas for the load"]
    assert made.message in moved[0].says[0]
    assert found.predicted == made.predicted
    assert found.came


def test_the_other_levers_are_tried_with_the_chosen_one_kept_still() -> None:
    recorded = roomy()
    found = explained(recorded, identity=recorded.entries[-1].decision.id)
    assert found.alternatives[0].without == ["CPU"]
    assert [one.lever for one in found.alternatives[0].decisions] == ["Memory/app"]
    assert found.alternatives[-1].decisions == []
    assert found.alternatives[-1].says.startswith("Without CPU and memory: nothing would have moved.")


def test_an_emergency_names_the_kill_and_comes_before_everything() -> None:
    recorded = killed()
    found = explained(recorded, identity=first(recorded, "RaisedAfterOOM").id)
    assert found.checks[0].verdict is Verdict.MOVED
    assert "killed for lack of memory" in found.checks[0].says[0]
    assert all("another lever had moved" in " ".join(check.says) or check.verdict is not Verdict.MOVED
               for check in found.checks[1:11])  # fmt: skip


def test_a_target_that_can_t_be_met_is_told_with_the_raises_that_did_not_help() -> None:
    found = explained(slow(), identity=first(slow(), "MoveRolledBack").id)
    assert "did not help" in " ".join(says for check in found.checks for says in check.says)


def test_throttling_is_told_with_its_share() -> None:
    found = explained(throttled(), identity=first(throttled(), "RaisedForThrottling").id)
    assert "is throttled in" in found.checks[1].says[0]


def test_a_trial_and_what_it_became_are_told() -> None:
    found = explained(tried(), identity=first(tried(), "KnobTrialKept").id)
    assert found.equal
    assert "Knob to" in next(check.step for check in found.checks if check.verdict is Verdict.MOVED)


def test_a_recommendation_is_explained_too_and_what_if_it_acted() -> None:
    recorded = advised()
    found = explained(recorded, "autoTune=true")
    assert found.equal
    assert found.came == "It was only recommended: nothing was moved."
    assert found.what_if is not None
    assert [one.outcome for one in found.what_if.decisions] == ["Pending"]


def test_with_fewer_replicas_allowed_another_step_would_have_been_made_and_its_limit_is_named() -> None:
    recorded = busy()
    made = first(recorded, "ScaledUp")
    found = explained(recorded, "spec.optimization.constraints.replicas.max=3", identity=made.id)
    assert found.what_if is not None
    assert not found.what_if.same
    assert [(one.lever, one.to) for one in found.what_if.decisions] == [("Replicas", "3")]
    found = explained(recorded, "replicas.max=2", identity=made.id)
    assert found.what_if is not None
    assert any("replicas.max is 2" in says for says in found.what_if.says)
    assert explained(recorded, "replicas.max=19", identity=made.id).what_if.same  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        "replicas.min=1",
        "containers.app.cpu.min=100m",
        "containers.app.memory.max=4Gi",
        "containers.app.limits=Scale",
        "targetMetrics.p95 totalLatency=0.4",
        "resources.maxMemory=64Gi",
        "behavior.minHistorySeconds=60",
        "disruption.maxResizesPerDay=3",
        "behavior.targetUtilizationPercent=60",
    ],
)
def test_every_constraint_can_be_another_one(change: str) -> None:
    assert explained(roomy(), change).what_if is not None


def test_knobs_have_other_bounds_and_ceilings() -> None:
    made = first(tried(), "KnobTrialKept")
    for change in ("knobs.batch.max=2", "resources.maxBatchSize=2"):
        found = explained(tried(), change, identity=made.id)
        assert found.what_if is not None
        assert "4" not in [one.to for one in found.what_if.decisions]


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ("replicas.max", "PATH=VALUE"),
        ("=3", "PATH=VALUE"),
        ("replicas.most=3", "replicas.max"),
        ("replicas.max=many", "not a quantity"),
        ("replicas.max=-1", "below 0"),
        ("containers.web.cpu.max=1", "it had app"),
        ("knobs.batch.max=1", "it had none"),
        ("containers.app.limits=Drop", "Scale or Keep"),
        ("autoTune=maybe", "true or false"),
    ],
)
def test_a_change_that_can_t_be_made_is_refused_with_the_remedy(change: str, remedy: str) -> None:
    with pytest.raises(ExplainError, match=remedy):
        explained(roomy(), change)


def test_recorded_inputs_are_not_changed_by_what_if() -> None:
    recorded = busy()
    known = list(known_of(config(recorded), recorded.entries))
    before = [repr(one.inputs) for one in known]
    explanation(config(recorded), known, changes=[parse("replicas.max=1"), parse("containers.app.cpu.max=1m")])
    assert [repr(one.inputs) for one in known] == before


def test_without_a_journal_it_is_told_from_the_status_and_what_is_missing() -> None:
    recorded = busy()
    known = list(known_of(config(recorded), []))
    found = explanation(config(recorded), known, notes=["There is no TuningJournal of it yet."])
    assert found.source is Source.STATUS
    assert found.equal is None
    assert found.checks == []
    assert any(says.startswith("arrivalRate was ") for says in found.seen)
    assert [says for says in found.seen if not re.fullmatch(r"\w+ was -?[0-9.]{1,6}\.", says)] == []
    text = rendered(found)
    assert "From the status alone." in text
    assert "There is no TuningJournal of it yet." in text
    assert "inputs are kept for the last 10 decisions" in text
    with pytest.raises(ExplainError, match="not kept"):
        explanation(config(recorded), known, changes=[parse("replicas.max=3")])


def test_damaged_inputs_are_told_and_the_rest_is_explained() -> None:
    recorded = busy()
    broken = [Entry(entry.decision, "x", base64.b64encode(b"TT?").decode()) for entry in recorded.entries]
    found = explanation(config(recorded), list(known_of(config(recorded), broken)))
    assert found.source is Source.JOURNAL
    assert any("can't be read" in lack for lack in found.missing)


def test_other_constants_or_another_engine_than_recorded_are_told() -> None:
    recorded = busy()
    other = replace(Settings(), dead_band=0.11)
    assert any(
        "constants" in lack and Settings().digest() in lack for lack in explained(recorded, settings=other).missing
    )
    wrong = [
        replace(entry, decision=entry.decision.model_copy(update={"message": "as an older engine put it"}))
        for entry in recorded.entries
    ]
    found = explanation(config(), list(known_of(config(), wrong)))
    assert found.equal is False
    assert any("This version of the engine decides otherwise" in lack for lack in found.missing)
    assert any("differs in message" in lack for lack in found.missing)


def test_an_unknown_decision_names_those_that_are_known() -> None:
    with pytest.raises(ExplainError, match=busy().entries[0].decision.id):
        explained(busy(), identity="nope")


def test_without_any_decision_the_conditions_say_what_is_waited_for() -> None:
    condition = {
        "type": "Tuning",
        "status": "True",
        "reason": "LearningHistory",
        "message": "40% of the 24 h of usage that a cut needs are known.",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    shown = config(conditions=[condition])
    found = explanation(shown, [])
    assert found.decision is None
    assert found.now == ["Tuning is True (LearningHistory): 40% of the 24 h of usage that a cut needs are known."]
    assert "No decision was made yet" in rendered(found)
    with pytest.raises(ExplainError, match="no decision yet"):
        explanation(shown, [], changes=[parse("replicas.max=3")])


def test_the_newest_outcome_is_told_whether_status_or_journal_has_it() -> None:
    recorded = busy()
    older = [
        replace(entry, decision=entry.decision.model_copy(update={"outcome": "Pending"})) for entry in recorded.entries
    ]
    known = list(known_of(config(recorded), older))
    assert [one.decision.outcome for one in known[:3]] == [entry.decision.outcome for entry in recorded.entries[:3]]
    assert all(one.inputs is not None for one in known[:3])
