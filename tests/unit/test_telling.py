"""Facts of a tick become facts for the record without two of them taking one place."""

from typing import Any

import pytest

from trimtab.api.answers import Answer, AnswerKind, no_value
from trimtab.api.reasons import Reason
from trimtab.api.resource import Invalid, parse_config
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.decide.observation import Observation
from trimtab.decide.plan import AlertPlan, ContainerPlan, KnobPlan, Plan, WorkloadPlan
from trimtab.observe.config import ConfigRecord
from trimtab.observe.configs import InvalidRecord
from trimtab.observe.facts import Facts as SeenFacts
from trimtab.observe.facts import Seen
from trimtab.observe.targets import Found
from trimtab.record.facts import Facts
from trimtab.record.journal import iso
from trimtab.record.status import build, document_of
from trimtab.telling import facts_of

NOW = 1_800_000_000.0
NOTHING = Plan(WorkloadPlan.blank(0), ContainerPlan.blank(0), KnobPlan.blank(0), AlertPlan.blank(0))


def told(metrics: dict[str, Answer], groups: dict[str, str], sampled_at: float = 0.0, **spec: Any) -> Facts:
    raw = {
        "targetRef": {"name": "web"},
        "monitoring": {"metrics": [{"name": name, "query": "up"} for name in metrics]},
    }
    config = ConfigRecord("shop", "tune", "uid-1", 3, NOW, PerformanceConfigSpec.model_validate(raw | spec))
    missing = Found(None, Reason.TARGET_NOT_FOUND, "create it.")
    seen = SeenFacts(config, missing, metrics=metrics, groups=groups, sampled_at=sampled_at)
    return facts_of(Seen(Observation(NOW), {"shop/tune": seen}), NOTHING, (), {})["shop/tune"]


def number(value: float) -> Answer:
    return Answer(AnswerKind.VALUE, value, "Value", "", NOW)


def test_a_metric_is_shown_under_the_group_of_its_preset() -> None:
    facts = told({"slow": number(0.2)}, {"slow": "totalLatency"})
    assert [fact.name for fact in facts.metrics] == ["totalLatency"]


@pytest.mark.parametrize(
    ("names", "groups", "shown"),
    [
        (["a", "b"], {"a": "totalLatency", "b": "totalLatency"}, ["totalLatency", "b"]),
        (["a", "totalLatency"], {"a": "totalLatency"}, ["a", "totalLatency"]),
        (["totalLatency", "b"], {"totalLatency": "totalLatency", "b": "totalLatency"}, ["totalLatency", "b"]),
        (["a", "cpuUsage"], {"a": "cpuUsage"}, ["a", "cpuUsage"]),
    ],
)
def test_two_metrics_never_share_a_name_in_the_status(
    names: list[str], groups: dict[str, str], shown: list[str]
) -> None:
    lost = no_value(AnswerKind.EMPTY, "no series")
    facts = told(dict.fromkeys(names, lost), groups)
    assert [fact.name for fact in facts.metrics] == shown
    # status.metrics.unknown is a list keyed by name: the API server refuses a status with a key twice.
    unknown = document_of(build(facts, [], [], NOW))["metrics"]["unknown"]
    assert len({one["name"] for one in unknown}) == len(names)


def test_a_target_stays_with_its_metric_whatever_name_it_is_shown_under() -> None:
    facts = told({"slow": number(0.2)}, {"slow": "totalLatency"}, optimization={"targetMetrics": {"slow": "300m"}})
    assert facts.targets() == {"totalLatency": 0.3}


def test_the_status_says_when_the_pods_were_measured_not_when_it_was_written() -> None:
    assert "sampledAt" not in document_of(build(told({}, {}), [], [], NOW))["metrics"]
    facts = told({"slow": number(0.2)}, {}, sampled_at=NOW - 90.0)
    assert document_of(build(facts, [], [], NOW))["metrics"]["sampledAt"] == iso(NOW - 90.0)


def test_a_resource_that_can_not_be_read_is_told_with_its_problems() -> None:
    invalid = parse_config({"metadata": {"name": "tune", "namespace": "shop", "uid": "u"}, "spec": {}})
    assert isinstance(invalid, Invalid)
    facts = facts_of(
        Seen(Observation(NOW), {}), NOTHING, (), {"shop/tune": InvalidRecord("shop/tune", "u", 1, invalid)}
    )
    assert facts["shop/tune"].spec is None
    assert facts["shop/tune"].problems[0][0] == "spec.targetRef"
