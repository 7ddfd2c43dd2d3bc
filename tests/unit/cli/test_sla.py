"""The SLA page: what was promised, what was delivered, what is not known."""

from typing import Any

from trimtab.api.resource import PerformanceConfig, parse_config
from trimtab.cli.sla import page

GOALS = [
    {"name": "fast", "metric": "totalLatency", "atMost": "300m", "target": "0.99", "windowDays": 30},
    {"name": "answered", "good": "sum(up)", "total": "count(up)", "target": "0.999", "windowDays": 7},
]
FAST = {
    "name": "fast",
    "target": "0.99",
    "attainment": "0.9953",
    "errorBudgetRemaining": "0.53",
    "unknown": "0.02",
    "burnRate": [{"window": "1h", "rate": "0.5"}],
    "weeks": [
        {"start": "2027-01-11T00:00:00Z", "attainment": "0.9871", "knownHours": 80},
        {"start": "2027-01-04T00:00:00Z", "attainment": "0.999", "knownHours": 168},
    ],
}


def config(goals: list[Any] = GOALS, slo: list[Any] | None = None) -> PerformanceConfig:
    monitoring = {"metrics": [{"name": "totalLatency", "query": "up"}], "objectives": goals}
    found = parse_config(
        {
            "metadata": {"name": "rag", "namespace": "shop", "uid": "u"},
            "spec": {"targetRef": {"name": "rag-api"}, "monitoring": monitoring},
            "status": {"slo": slo if slo is not None else [FAST]},
        }
    )
    assert isinstance(found, PerformanceConfig), found
    return found


def test_the_page_says_what_was_promised_and_delivered_by_week() -> None:
    text = page(config())
    assert "| fast | 99% over 30 days | 99.53% | 53% | 2% | kept |" in text
    assert "Promised: 99% of the time `totalLatency` is at most 300m, over 30 days." in text
    assert "| 2027-01-11 to 2027-01-17 | 98.71% | 80 of 168 h | **no** |" in text
    assert "| 2027-01-04 to 2027-01-10 | 99.9% | 168 of 168 h | yes |" in text
    assert "1h 0.5" in text


def test_an_objective_without_data_is_said_not_guessed() -> None:
    text = page(config())
    assert "| answered | 99.9% over 7 days | not known |  | all of it | not known |" in text
    assert "Nothing was measured yet." in text


def test_a_missed_objective_is_called_missed() -> None:
    missed = FAST | {"attainment": "0.98", "errorBudgetRemaining": "-1"}
    assert "| 98% | -100% | 2% | **missed** |" in page(config(slo=[missed]))


def test_without_an_objective_the_page_says_how_to_declare_one() -> None:
    assert "spec.monitoring.objectives" in page(config(goals=[], slo=[]))
