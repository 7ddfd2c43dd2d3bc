"""Rules of telling (3, 24–27): what a status may hold, when it is written, one engine, the tick."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from bench import fleet, tick
from tests.unit.loop.rooms import House
from tests.unit.record.builders import NOW, alert, decision, facts, metric, value
from trimtab import loop
from trimtab.api.conditions import ConditionStatus, ConditionType
from trimtab.api.reasons import Reason
from trimtab.api.settings import OperatorSettings
from trimtab.backtest import replay
from trimtab.backtest import report as backtest_report
from trimtab.backtest.reader import Past
from trimtab.backtest.tracks import Fleet
from trimtab.decide import engine
from trimtab.decide.estimator import learn as estimator
from trimtab.decide.observation import Observation
from trimtab.decide.plan import Plan, Remark
from trimtab.decide.settings import Settings
from trimtab.decide.state import State
from trimtab.lab.horizontal import command as replica_command
from trimtab.lab.horizontal import trimtab as replica_policy
from trimtab.lab.loop import command as loop_command
from trimtab.lab.loop import trimtab as loop_policy
from trimtab.lab.vertical import lab, policies
from trimtab.lab.vertical import report as size_report
from trimtab.lab.vertical import trimtab as size_policy
from trimtab.record.status import MAX_BYTES, NUMBERS_EVERY, REFRESH_EVERY, Written, build, document_of, worth_writing
from trimtab.record.verdicts import verdicts

ROOT = Path(__file__).parents[3]


def test_rule_03_a_changed_template_stops_tuning_with_its_reason() -> None:
    remark = Remark("Tuning", Reason.TEMPLATE_CHANGED, "The pod template changed; learning starts from its values.")
    (tuning,) = [found for found in verdicts(facts(remarks=(remark,))) if found.type is ConditionType.TUNING]
    assert (tuning.status, tuning.reason) == (ConditionStatus.FALSE, Reason.TEMPLATE_CHANGED)


def test_rule_24_a_status_is_never_larger_than_32_kib() -> None:
    long = "x" * 1024
    decisions = [decision(n, message=long, predicted=long, outcome_message=long) for n in range(10)]
    remarks = tuple(Remark("Limited", Reason.MEMORY_AT_MAX, long) for _ in range(50))
    alerts = tuple(alert(name=f"a{n}") for n in range(64))
    document = document_of(build(facts(remarks=remarks, alerts=alerts), decisions, [], NOW))
    assert len(json.dumps(document, ensure_ascii=False).encode()) <= MAX_BYTES == 32 * 1024
    assert len(document["decisions"]) == 10


@pytest.mark.parametrize(
    ("change", "after", "written"),
    [
        ({"alerts": (alert(),)}, 1.0, True),
        ({"generation": 4}, 1.0, True),
        ({"metrics": (metric(answer=value(0.62)),)}, NUMBERS_EVERY - 1, False),
        ({"metrics": (metric(answer=value(0.62)),)}, NUMBERS_EVERY, True),
        ({"metrics": (metric(answer=value(0.32)),)}, REFRESH_EVERY - 1, False),
        ({}, REFRESH_EVERY - 1, False),
        ({}, REFRESH_EVERY, True),
    ],
)
def test_rule_25_changes_are_told_at_once_and_numbers_once_a_minute(
    change: dict[str, object], after: float, written: bool
) -> None:
    def document(at: float, **changes: object) -> dict[str, object]:
        return document_of(build(facts(**changes), [], [], at))

    assert worth_writing(Written(document(NOW), NOW), document(NOW + after, **change), NOW + after) is written


def test_rule_25_kstatus_finds_what_it_reads() -> None:
    status = build(facts(), [], [], NOW)
    assert status.observed_generation == 3
    conditions = {c.type: (c.status, c.observed_generation) for c in status.conditions}
    assert conditions["Reconciling"] == conditions["Stalled"] == ("False", 3)


def test_rule_26_the_operator_calls_the_one_engine_with_the_default_settings() -> None:
    assert vars(loop)["decide"] is engine.decide
    assert House().loop.settings == Settings()


def test_rule_26_lab_bench_and_backtest_call_the_same_engine_and_estimator() -> None:
    for module in (loop_policy, replica_policy, tick):
        assert vars(module)["decide"] is engine.decide, module
    assert vars(fleet)["learn"] is engine.learn
    assert vars(engine)["usage"].learn is vars(size_policy)["learn"] is estimator.learn
    assert vars(engine)["usage"].memory is vars(size_policy)["memory"]
    assert vars(replay)["known"] is policies.known


def test_rule_26_lab_bench_and_backtest_use_the_default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    made = policies.known()["trimtab"]()
    assert isinstance(made, size_policy.Trimtab)
    assert made.settings == loop_policy.Trimtab().settings == replica_policy.Trimtab([])._settings == Settings()
    assert set(replay.POLICIES) <= set(policies.known())
    used: list[Settings] = []

    def decide(seen: Observation, state: State, settings: Settings, *, reuse: bool) -> tuple[Plan, State]:
        used.append(settings)
        return engine.decide(seen, state, settings, reuse=reuse)

    monkeypatch.setattr(tick, "decide", decide)
    tick.measure(2, 20, 1)
    assert set(used) == {Settings()}


def test_rule_26_what_lab_and_backtest_write_names_the_same_settings(tmp_path: Path) -> None:
    nothing = lab.Set([], [], {}, [], [])
    sizes = size_report.document(lab.Result([], nothing, nothing, []))
    loop_command.report([], [], 1, tmp_path / "loop.json", None)
    replica_command.report(Console(quiet=True), [], [], [], tmp_path / "replicas.json", None)
    written = [json.loads((tmp_path / name).read_text()) for name in ("loop.json", "replicas.json")]
    past = Past(Fleet(0.0, 0))
    backtested = backtest_report.document(past, replay.Result([], [], replay.POLICIES), 14)
    assert {document["settings"] for document in (sizes, backtested, *written)} == {Settings().digest()}


def test_rule_26_no_branch_of_the_operator_knows_the_demo() -> None:
    sources = sorted((ROOT / "operator").rglob("*.py"))
    assert sources
    assert [path for path in sources if "demo" in path.read_text().lower()] == []


async def test_rule_26_the_operator_prints_the_hash_of_its_settings(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "trimtab.loop"):
        await House().run(1)
    assert Settings().digest() in {getattr(record, "settings", "") for record in caplog.records}


def test_rule_27_the_tick_is_fifteen_seconds_by_default_in_the_operator_and_in_the_chart() -> None:
    values = yaml.safe_load((ROOT / "charts/trimtab/values.yaml").read_text())
    assert values["tickSeconds"] == OperatorSettings().tick_seconds == House().loop.tick_seconds == 15.0
