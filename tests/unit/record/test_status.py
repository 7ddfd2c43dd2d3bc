"""The status says what is new, at once when it matters, and stays small."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.record.builders import NOW, alert, decision, facts, metric, missing, value
from trimtab.api.answers import AnswerKind, no_value
from trimtab.api.reasons import Reason
from trimtab.api.resource import PerformanceConfig, parse_config
from trimtab.api.status import ContainerResources, OutcomeState, Recommendation, Resources, UnknownMetric
from trimtab.decide.observation import Block, Lever
from trimtab.decide.plan import Outcome, Remark
from trimtab.record.facts import Facts, Hold, ObjectiveFact
from trimtab.record.journal import Journal, from_status, to_status
from trimtab.record.status import NUMBERS_EVERY, Written, build, document_of, numbers_every, worth_writing
from trimtab.record.verdicts import verdicts
from trimtab.telling import prior_of


def said(given: Facts) -> dict[str, tuple[str, str]]:
    return {finding.type.value: (finding.status.value, finding.reason.value) for finding in verdicts(given)}


def test_every_condition_is_always_set() -> None:
    names = [
        "Ready",
        "Reconciling",
        "Stalled",
        "TargetFound",
        "MetricsAvailable",
        "Tuning",
        "Limited",
        "Conflicted",
        "Alerting",
    ]
    assert list(said(facts())) == names
    assert list(said(facts(target=None, metrics=()))) == names


def test_nothing_is_claimed_before_the_first_look() -> None:
    unknown = said(facts(target=None, metrics=()))
    assert unknown.pop("Reconciling") == ("True", "Progressing")
    assert set(unknown.values()) == {("Unknown", "Pending")}


def test_a_missing_target_stalls_and_names_it() -> None:
    conditions = said(facts(target=(Reason.TARGET_NOT_FOUND, "There is no Deployment/rag-api in shop; create it.")))
    assert conditions["TargetFound"] == ("False", "TargetNotFound")
    assert conditions["Stalled"] == ("True", "TargetNotFound")
    assert conditions["Ready"] == ("False", "TargetNotFound")
    assert conditions["Tuning"] == ("False", "TargetNotFound")


def test_a_spec_that_can_not_be_used_says_field_and_remedy() -> None:
    problem = ("spec.optimization.constraints.disruption.windows[0].cron", Reason.WINDOW_INVALID, "write five fields.")
    finding = next(f for f in verdicts(facts(spec=None, problems=(problem, problem))) if f.type.value == "Stalled")
    assert finding.message.startswith("spec.optimization.constraints.disruption.windows[0].cron: write five fields.")
    assert "1 more" in finding.message


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (AnswerKind.EMPTY, "MetricEmpty"),
        (AnswerKind.STALE, "MetricStale"),
        (AnswerKind.NAN, "MetricNaN"),
        (AnswerKind.INF, "MetricInf"),
        (AnswerKind.AMBIGUOUS, "MetricAmbiguous"),
        (AnswerKind.ERROR, "MetricsError"),
    ],
)
def test_a_metric_without_a_number_is_said_and_never_shown_as_zero(kind: AnswerKind, reason: str) -> None:
    given = facts(metrics=(metric(answer=missing(kind)),))
    assert said(given)["MetricsAvailable"] == ("False", reason)
    status = build(given, [], [], NOW)
    assert status.metrics.timing == {}
    assert status.metrics.unknown[0].name == "totalLatency"


def test_no_traffic_is_no_fault() -> None:
    given = facts(metrics=(metric(answer=missing(AnswerKind.NO_TRAFFIC)),))
    assert said(given)["MetricsAvailable"] == ("True", "NoTraffic")
    assert said(given)["Ready"][0] == "True"


def test_metrics_stand_in_their_groups_with_two_significant_digits() -> None:
    given = facts(
        metrics=(metric(answer=value(0.31234)), metric("cpuUsage", value(1.26)), metric("rate", value(1234.5)))
    )
    groups = document_of(build(given, [], [], NOW))["metrics"]
    assert groups["timing"] == {"totalLatency": "310m"}
    assert groups["resources"] == {"cpuUsage": "1300m"}
    assert groups["other"] == {"rate": "1200"}


def test_a_hold_a_block_a_conflict_and_a_refusal_each_have_their_condition() -> None:
    given = facts(
        hold=Hold(Reason.PAUSED, "Paused by an annotation."),
        blocks=(
            Block(Lever.REPLICAS, Reason.HPA_OWNS_REPLICAS, "HorizontalPodAutoscaler rag scales it."),
            Block(Lever.KNOB, Reason.KNOB_ENV_VALUE_FROM, "BATCH_SIZE comes from a ConfigMap."),
        ),
        remarks=(Remark("Limited", Reason.REPLICAS_AT_MAX, "4 replicas are the most allowed."),),
        outcomes=(Outcome("shop/rag", Lever.CPU, "app", False, Reason.RESIZE_DEFERRED, "The node is full."),),
    )
    conditions = said(given)
    assert conditions["Tuning"] == ("False", "Paused")
    assert conditions["Conflicted"] == ("True", "HpaOwnsReplicas")
    assert conditions["Limited"] == ("True", "ResizeDeferred")


def test_an_alert_without_data_still_fires() -> None:
    given = facts(alerts=(alert(state="Unknown"),))
    finding = next(f for f in verdicts(given) if f.type.value == "Alerting")
    assert (finding.status.value, finding.reason.value) == ("True", "AlertFiring")
    assert "no data" in finding.message


def test_the_transition_time_stays_while_the_status_does() -> None:
    first = build(facts(), [], [], NOW)
    later = build(facts(hold=None), [], list(first.conditions), NOW + 100)
    assert [c.last_transition_time for c in later.conditions] == [c.last_transition_time for c in first.conditions]


def written(given: Facts, at: float = NOW) -> Written:
    return Written(document_of(build(given, [], [], at)), at)


def again(given: Facts, at: float) -> dict[str, object]:
    return document_of(build(given, [], [], at))


def test_a_first_status_and_a_change_of_state_are_written_at_once() -> None:
    assert worth_writing(None, again(facts(), NOW), NOW)
    changed = facts(alerts=(alert(),))
    assert worth_writing(written(facts()), again(changed, NOW + 1), NOW + 1)


def test_rule_25_a_number_that_hardly_moved_waits_ten_minutes() -> None:
    base = facts(metrics=(metric(answer=value(0.31)),))
    near = facts(metrics=(metric(answer=value(0.32)),))
    assert not worth_writing(written(base), again(near, NOW + 61), NOW + 61)
    assert worth_writing(written(base), again(near, NOW + 600), NOW + 600)


def test_rule_25_a_number_that_moved_by_a_tenth_waits_a_minute() -> None:
    base = facts(metrics=(metric(answer=value(0.31)),))
    far = facts(metrics=(metric(answer=value(0.40)),))
    assert not worth_writing(written(base), again(far, NOW + 59), NOW + 59)
    assert worth_writing(written(base), again(far, NOW + 60), NOW + 60)


def test_every_reason_that_an_answer_can_have_is_in_the_schema_of_unknown_metrics() -> None:
    described = UnknownMetric.model_fields["reason"].description or ""
    kinds = {metric(answer=missing(kind)).reason for kind in AnswerKind if kind is not AnswerKind.VALUE}
    down = no_value(AnswerKind.ERROR, "", reason="CircuitOpen")
    own = {Reason.DATASOURCE_UNKNOWN, Reason.PRESET_UNKNOWN, Reason.PROMQL_INVALID, Reason.PROMQL_REFUSED}
    assert set(re.findall(r"[A-Z]\w+", described)) == {*kinds, *own, metric(answer=down).reason}


def test_nothing_new_is_only_refreshed_every_ten_minutes() -> None:
    assert not worth_writing(written(facts()), again(facts(), NOW + 599), NOW + 599)
    assert worth_writing(written(facts()), again(facts(), NOW + 600), NOW + 600)


def test_a_recommendation_that_moves_is_a_number() -> None:
    def recommending(cpu: str) -> Facts:
        containers = [ContainerResources(name="app", requests=Resources.model_validate({"cpu": cpu}))]
        return facts(recommendation=Recommendation(replicas=2, containers=containers))

    assert not worth_writing(written(recommending("200m")), again(recommending("205m"), NOW + 61), NOW + 61)
    assert worth_writing(written(recommending("200m")), again(recommending("300m"), NOW + 61), NOW + 61)


def test_rule_24_the_largest_status_stays_under_32_kib_and_keeps_every_decision() -> None:
    metrics = tuple(metric(f"metric{n:02}", missing(AnswerKind.EMPTY, "ä" * 1024), None) for n in range(32))
    alerts = tuple(alert(name=f"alert{n:03}") for n in range(64))
    weeks = tuple((NOW - n * 604_800.0, 0.98765, 6e5) for n in range(14))
    burn = dict.fromkeys(("5m", "30m", "1h", "2h", "6h", "1d", "3d"), 1.234)
    goals = tuple(ObjectiveFact(f"goal{n}", 0.99, 0.98765, 0.9, burn, weeks) for n in range(8))
    long = {"message": "m" * 1024, "predicted": "p" * 1024, "outcome_message": "o" * 1024}
    decisions = [decision(n, **long, inputs={f"i{k}": 0.123456 for k in range(12)}) for n in range(10)]
    document = document_of(build(facts(metrics=metrics, alerts=alerts, objectives=goals), decisions, [], NOW))
    assert len(json.dumps(document, ensure_ascii=False).encode()) <= 32 * 1024
    assert len(document["decisions"]) == 10
    assert {len(goal["weeks"]) for goal in document["slo"]} == {5}


def test_a_decision_survives_the_way_through_the_status() -> None:
    made = decision(before=0.4, after=0.3, outcome=OutcomeState.VERIFYING, predicted="less", inputs={"p95": 0.123456})
    back = from_status("shop/rag", to_status(made))
    assert back == replace(made, time=float(int(made.time)))


def test_bytes_and_cores_come_back_exactly_through_the_status() -> None:
    inputs = {"requestAfter": 201326592.0, "limitAfter": 68719476736.0, "cpu": 0.117, "ratio": 0.123456789}
    back = from_status("shop/rag", to_status(decision(inputs=inputs)))
    assert back is not None
    assert back.inputs == inputs


def test_a_decision_written_by_a_stranger_is_left_out() -> None:
    shown = to_status(decision())
    assert from_status("shop/rag", shown.model_copy(update={"reason": "Whatever"})) is None
    assert from_status("shop/rag", shown.model_copy(update={"to": "many"})) is None
    assert from_status("shop/rag", shown.model_copy(update={"lever": "Luck/app"})) is None


@given(st.lists(st.integers(0, 30), max_size=60))
def test_the_journal_keeps_the_ten_newest_and_one_of_each(numbers: list[int]) -> None:
    journal = Journal()
    for number in sorted(numbers):
        journal.note([decision(number)])
    kept = journal.of("shop/rag")
    assert [d.id for d in kept] == [f"d{n}" for n in sorted(set(numbers), reverse=True)[:10]]


def test_a_new_outcome_replaces_the_decision_in_its_place() -> None:
    journal = Journal()
    journal.note([decision(1), decision(2)])
    journal.note([decision(1).ended(OutcomeState.KEPT, "Latency stayed under its target.")])
    assert [(d.id, d.outcome.value) for d in journal.of("shop/rag")] == [("d2", "Pending"), ("d1", "Kept")]


def test_decisions_older_than_the_retention_are_not_shown() -> None:
    journal = Journal()
    journal.note([decision(1), decision(100)])
    assert [d.id for d in journal.of("shop/rag", NOW + 50)] == ["d100"]


def test_in_a_large_fleet_verdicts_and_numbers_wait_and_new_moves_do_not() -> None:
    every = numbers_every(10_000)
    assert numbers_every(600) == NUMBERS_EVERY < every
    made = decision(1)
    base = document_of(build(facts(), [made], [], NOW))
    judged = document_of(build(facts(), [made.ended(OutcomeState.KEPT, "fine")], [], NOW))
    more = document_of(build(facts(), [decision(2), made], [], NOW))
    assert worth_writing(Written(base, NOW), judged, NOW + 1)
    assert not worth_writing(Written(base, NOW), judged, NOW + every - 1, every)
    assert worth_writing(Written(base, NOW), judged, NOW + every, every)
    assert worth_writing(Written(base, NOW), more, NOW + 1, every)
    loud = document_of(build(facts(alerts=(alert(),)), [made], [], NOW))
    assert worth_writing(Written(base, NOW), loud, NOW + 1, every)


def test_the_clock_of_a_breach_comes_back_through_the_status_when_its_data_is_gone() -> None:
    pending = alert(state="Unknown", firing=False, since=NOW, breach_since=NOW - 60.0)
    shown = document_of(build(facts(alerts=(pending,)), [], [], NOW))
    raw = {"metadata": {"name": "rag", "namespace": "shop", "uid": "u"}, "spec": {"targetRef": {"name": "x"}}}
    config = parse_config(raw | {"status": shown})
    assert isinstance(config, PerformanceConfig)
    known = prior_of("shop/rag", config.status).alerts["slow"]
    assert (known.state, known.firing, known.since, known.breach_since) == ("Unknown", False, NOW, NOW - 60.0)
    assert "breachSince" not in document_of(build(facts(alerts=(alert(),)), [], [], NOW))["alerts"][0]
