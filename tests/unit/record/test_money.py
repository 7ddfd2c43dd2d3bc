"""Costs, savings and objectives as the status and the metrics show them."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.record.builders import NOW, facts, metric, value
from trimtab.api.reasons import Reason
from trimtab.api.resource import parse_config
from trimtab.record.facts import CostFact, ObjectiveFact, UnitCostFact
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.money import money
from trimtab.record.status import build, document_of
from trimtab.telling import prior_of

NAN = float("nan")
BASELINE = UnitCostFact(168.0, 168.0, 6.048e6, 1.25e-7, 4.0, 8e9, 3.0)
ACTUAL = UnitCostFact(90.5, 54.3, 3.258e6, 1.5e-7, 2.0, 4e9, 3.0)
COST = CostFact(
    currency="USD",
    prices="OpenCost",
    problems=(),
    mean=0.6,
    parts={"compute": 0.5, "storage": 0.1, "api": NAN},
    bill=3.0,
    budget_used=0.876,
    verdict="Saves",
    by_requests=True,
    saved=292.0,
    low=250.0,
    high=334.0,
    freed_cpu=2.0,
    freed_memory=4e9,
    bill_reduced=0.0,
    baseline=BASELINE,
    actual=ACTUAL,
)
GOAL = ObjectiveFact("fast", 0.99, 0.99531, 0.98, {"5m": 0.5, "1h": 12.345}, ((NOW - NOW % 86_400, 0.9871, 288_000.0),))


def document(**changes: Any) -> dict[str, Any]:
    return document_of(build(facts(**changes), [], [], NOW))


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0, "0.00"), (12.345, "12.35"), (1234.5, "1234"), (0.01234, "0.0123"), (-3.0, "-3.00"), (4.5e-6, "0.0000045")],
)
def test_money_is_written_as_people_do(amount: float, text: str) -> None:
    assert str(money(amount)) == text


def test_savings_stand_with_their_interval_and_capacity_apart_from_the_bill() -> None:
    saved = document(cost=COST)["savings"]
    assert (saved["summary"], saved["perMonth"], saved["low"], saved["high"]) == (
        "292.00 USD/month",
        "292.00",
        "250.00",
        "334.00",
    )
    assert saved["capacityFreed"] == {"cpu": "2", "memory": "3815Mi"}
    assert saved["clusterBillReducedPerMonth"] == "0.00"
    assert document(cost=COST)["cost"] == {
        "currency": "USD",
        "prices": "OpenCost",
        "perMonth": "438.00",
        "budgetUsed": "0.88",
        "problems": [],
    }


@pytest.mark.parametrize(
    ("verdict", "saved", "summary"),
    [("Inconclusive", 0.0, "0 (inconclusive)"), ("Learning", NAN, "learning"), ("NoBaseline", NAN, "no baseline")],
)
def test_what_is_not_sure_is_not_claimed(verdict: str, saved: float, summary: str) -> None:
    shown = document(cost=replace(COST, verdict=verdict, saved=saved))["savings"]
    assert shown["summary"] == summary
    assert shown.get("perMonth", "0.00") == "0.00"


def test_more_requested_than_before_is_no_capacity_freed() -> None:
    assert "capacityFreed" not in document(cost=replace(COST, freed_cpu=-1.0, freed_memory=-1.0))["savings"]


def test_a_restart_goes_on_from_what_the_status_says() -> None:
    raw = {"metadata": {"name": "rag", "namespace": "shop", "uid": "u"}, "spec": {"targetRef": {"name": "x"}}}
    config = parse_config(raw | {"status": document(cost=COST)})
    prior = prior_of("shop/rag", config.status).costs
    assert prior is not None
    for told, fact in zip(prior[:2], (BASELINE, ACTUAL), strict=True):
        expected = (fact.hours, fact.cost, fact.units, fact.error, fact.cpu, fact.memory, fact.nodes)
        assert told == pytest.approx(expected, rel=1e-5)
    assert prior[2]


def test_costs_stand_in_their_group() -> None:
    found = document(metrics=(metric("computeCosts", value(23.456)), metric("costPerThousandRequests", value(0.00123))))
    assert found["metrics"]["costs"] == {"computeCosts": "23.46", "costPerThousandRequests": "0.00123"}


def test_an_objective_stands_with_its_budget_its_unknown_time_and_its_weeks() -> None:
    (goal,) = document(objectives=(GOAL,))["slo"]
    assert (goal["target"], goal["attainment"]) == ("0.99", "0.99531")
    assert (goal["errorBudgetRemaining"], goal["unknown"]) == ("0.531", "0.02")
    assert goal["burnRate"] == [{"window": "5m", "rate": "0.5"}, {"window": "1h", "rate": "12.3"}]
    assert goal["weeks"] == [{"start": "2027-01-15T00:00:00Z", "attainment": "0.9871", "knownHours": 80}]


def test_an_objective_without_data_has_no_attainment() -> None:
    (goal,) = document(objectives=(ObjectiveFact("fast", 0.99, NAN, 0.0, {}, ()),))["slo"]
    assert "attainment" not in goal
    assert goal["unknown"] == "1"


def test_costs_and_objectives_are_metrics_and_unknown_ones_are_not() -> None:
    metrics = OperatorMetrics.create()
    metrics.set_cost("shop", "rag", COST)
    metrics.set_objectives("shop", "rag", (GOAL,))
    labels = {"config_namespace": "shop", "config_name": "rag"}

    def read(name: str, **more: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels | more)

    assert read("trimtab_cost_monthly", component="compute", currency="USD") == pytest.approx(365.0)
    assert read("trimtab_cost_monthly", component="api", currency="USD") is None
    assert read("trimtab_savings_monthly", bound="low", currency="USD") == 250.0
    assert read("trimtab_slo_burn_rate", objective="fast", window="1h") == 12.345
    assert read("trimtab_slo_error_budget_remaining", objective="fast") == pytest.approx(0.531)
    metrics.set_objectives("shop", "rag", ())
    assert read("trimtab_slo_attainment", objective="fast") is None
    metrics.forget("shop", "rag", [])
    assert read("trimtab_freed_cpu_cores") is None


def test_the_prices_of_the_pods_nodes_are_told_and_what_is_not_known_is_left_out() -> None:
    told = document(cost=replace(COST, cpu_hour=0.1546, memory_gib_hour=0.0042375))["cost"]
    assert (told["cpuHour"], told["memoryGibHour"]) == ("0.155", "0.00424")
    assert "cpuHour" not in document(cost=COST)["cost"]


def test_every_decision_that_may_come_is_counted_from_zero() -> None:
    registry = OperatorMetrics.create().registry
    for lever in ("Replicas", "CPU", "Memory", "Knob"):
        for reason in (Reason.RAISED_AFTER_OOM, Reason.SCALED_UP, Reason.CUT_UNUSED, Reason.MOVE_ROLLED_BACK):
            assert registry.get_sample_value("trimtab_decisions_total", {"lever": lever, "reason": reason}) == 0
