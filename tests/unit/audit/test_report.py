"""What an audit says, and that it says the same each time."""

import re
from typing import Any

import pytest

from tests.unit.audit.scene import NOW, Json, condition, decision, journal, resource
from trimtab.api.settings import OperatorSettings
from trimtab.audit.collect import collect
from trimtab.audit.model import Report
from trimtab.audit.page import page
from trimtab.audit.render import html, markdown
from trimtab.audit.report import MOST_LISTED, report
from trimtab.decide.settings import Settings

TARGET = {
    "monitoring": {"metrics": [{"name": "totalLatency", "preset": "http-server-p95"}]},
    "optimization": {"targetMetrics": {"totalLatency": "0.3"}},
}


def audited(*configs: Json, journals: tuple[Json, ...] = (), **more: Any) -> Report:
    gathered = collect(configs, journals, NOW)
    (namespace,) = gathered
    return report(namespace, gathered[namespace], NOW, **more)


def recommended(cpu: str = "1", memory: str = "1Gi") -> Json:
    return {"containers": [{"name": "app", "requests": {"cpu": cpu, "memory": memory}}]}


def test_decisions_of_status_and_journal_are_counted_once_with_the_newer_outcome() -> None:
    config = resource(decisions=[decision("d2", outcome="RolledBack", outcomeMessage="the target is missed")])
    kept = journal(config, [decision("d2", outcome="Pending"), decision("d1", lever="Replicas")])
    made = audited(config, journals=(kept,))
    assert [one.decision.id for one in made.decisions] == ["d1", "d2"]
    assert made.outcomes == {"Kept": 1, "RolledBack": 1}
    assert made.levers == {"CPU": 1, "Replicas": 1}
    assert [one.decision.outcome_message for one in made.rollbacks] == ["the target is missed"]


def test_decisions_outside_the_days_of_the_report_are_left_out() -> None:
    made = audited(resource(decisions=[decision("new"), decision("old", "2027-01-01T08:00:00Z")]), days=7)
    assert [one.decision.id for one in made.decisions] == ["new"]


def test_what_is_older_than_the_retention_of_its_resource_is_gone_whatever_the_days_of_the_report() -> None:
    config = resource(
        spec={"monitoring": {"retentionDays": 2}},
        decisions=[decision("new"), decision("old", "2027-01-12T07:00:00Z")],
    )
    made = audited(config, journals=(journal(config, [decision("older", "2027-01-10T08:00:00Z")]),), days=30)
    assert [one.decision.id for one in made.decisions] == ["new"]


def test_a_journal_of_a_deleted_namesake_or_a_damaged_one_is_not_used() -> None:
    config = resource()
    kept = journal(config, [decision("d1")])
    stranger = {**kept, "metadata": {**kept["metadata"], "ownerReferences": [{"uid": "another"}]}}
    assert audited(config, journals=(stranger,)).decisions == []
    made = audited(config, journals=({**kept, "spec": {"version": 1, "entries": "AAAA"}},))
    assert "journal of web can't be read" in made.notes[0]


def test_the_five_most_telling_changes_put_workloads_in_trouble_first_then_what_saves_most() -> None:
    savers = [resource(f"w{n}", recommendation=recommended(cpu=f"{900 - 100 * n}m", memory="1Gi")) for n in range(1, 7)]
    slow = resource(
        "slow",
        spec=TARGET,
        recommendation=recommended(cpu="2"),
        metrics={"timing": {"totalLatency": "400m"}, "sampledAt": "2027-01-15T07:59:00Z"},
    )
    calm = resource("calm", spec=TARGET, recommendation=recommended(cpu="2"))
    made = audited(*savers, slow, calm)
    assert [(one.resource, one.kind) for one in made.changes] == [
        ("slow", "Helps"),
        ("w6", "Saves"),
        ("w5", "Saves"),
        ("w4", "Saves"),
        ("w3", "Saves"),
    ]
    assert "totalLatency is 400m, its target is 300m" in made.changes[0].why.replace("0.3", "300m")
    # 0.7 cores less on each of 2 pods, 730 hours at 0.031611 a core.
    assert made.changes[1].money_per_month == "32.31"
    assert (made.changes[1].from_, made.changes[1].to) == ("1", "300m")


def test_a_change_is_valued_at_what_the_nodes_of_its_own_pods_cost() -> None:
    def worth(**cost: str) -> str:
        shown = {"currency": "USD", "prices": "OpenCost", **cost}
        (change,) = audited(resource(recommendation=recommended(cpu="500m"), cost=shown)).changes
        return change.money_per_month

    # Half a core less on each of 2 pods, 730 hours.
    assert worth(cpuHour="0.1", memoryGibHour="0.01") == "73.00"
    assert worth() == "23.08"
    assert worth(cpuHour="0.1", currency="EUR") == "23.08"


def test_a_difference_of_a_tenth_is_no_change_and_replicas_count_with_their_pods() -> None:
    assert audited(resource(recommendation=recommended(cpu="950m"))).changes == []
    (change,) = audited(resource(recommendation={"replicas": 1})).changes
    assert (change.lever, change.from_, change.to) == ("Replicas", "2", "1")


def test_binding_constraints_and_missing_data_are_named() -> None:
    held = resource(
        conditions=[condition("Limited", "True", "ReplicasAtMax", "replicas.max is 2.")],
        metrics={
            "sampledAt": "2027-01-15T06:00:00Z",
            "unknown": [
                {"name": "totalLatency", "reason": "MetricEmpty", "message": "The query found no series."},
                {"name": "queryLatency", "reason": "NoTraffic", "message": "There was no traffic."},
            ],
        },
        learning={"historySeconds": 3600, "requiredSeconds": 86400},
    )
    made = audited(held, resource("new", conditions=[]))
    assert [(one.resource, one.reason) for one in made.binding] == [("web", "ReplicasAtMax")]
    assert [(one.resource, one.what) for one in made.without_data] == [
        ("new", "status"),
        ("web", "usage"),
        ("web", "totalLatency"),
        ("web", "history"),
    ]
    assert "1.0 of the 24 hours" in made.without_data[-1].message


def test_a_resource_whose_spec_can_t_be_used_is_reported_as_such() -> None:
    broken = resource("broken")
    broken["spec"] = {}
    made = audited(broken)
    assert made.resources == 1
    assert [(one.resource, one.what) for one in made.without_data] == [("broken", "spec")]


def test_service_levels_costs_alerts_and_rules_are_in_the_report() -> None:
    objective = {"name": "fast", "metric": "totalLatency", "atMost": "0.3", "target": "0.99"}
    spec = {
        "monitoring": {
            "metrics": [{"name": "totalLatency", "preset": "http-server-p95"}],
            "objectives": [objective, {**objective, "name": "faster"}],
        },
        "optimization": {
            "autoTune": True,
            "constraints": {"replicas": {"min": 1, "max": 5}, "containers": [{"name": "app", "cpu": {"max": "2"}}]},
        },
    }
    config = resource(
        spec=spec,
        slo=[
            {"name": "fast", "target": "0.99", "attainment": "0.985", "errorBudgetRemaining": "-0.5", "unknown": "0.1"}
        ],
        cost={"currency": "USD", "prices": "Static", "perMonth": "12.5", "budgetUsed": "1.2"},
        savings={"summary": "3.10 USD/month", "verdict": "Saves", "unit": "Hours"},
        alerts=[
            {
                "name": "slow",
                "state": "Firing",
                "severity": "Critical",
                "value": "0.5",
                "threshold": "0.3",
                "firing": True,
            },
            {"name": "lost", "state": "Unknown", "firing": True},
            {"name": "quiet", "state": "Inactive"},
        ],
    )
    made = audited(config, settings=OperatorSettings())
    assert [(one.name, one.verdict, one.attainment) for one in made.objectives] == [
        ("fast", "missed", "98.5%"),
        ("faster", "not known", ""),
    ]
    assert [(one.per_month, one.budget_used, one.savings) for one in made.costs] == [("12.5", "120%", "3.10 USD/month")]
    assert [(one.name, one.state) for one in made.alerts] == [("slow", "Firing"), ("lost", "Unknown (was firing)")]
    (rules,) = made.rules
    assert rules.bounds == "replicas 1 to 5, app CPU 0 to 2"
    assert rules.presets == ["http-server-p95"]
    assert made.engine == Settings().digest()
    assert made.operator[0].startswith("Mode Act; namespaces served: all")


def test_the_same_input_gives_the_same_bytes_in_whatever_order_it_comes() -> None:
    configs = [resource(name, decisions=[decision("d1"), decision("d2")]) for name in ("b", "a", "c")]
    one, other = audited(*configs), audited(*reversed(configs))
    assert one == other
    assert markdown(page(one)) == markdown(page(other))
    assert html(page(one)) == html(page(other))


def test_a_long_list_of_decisions_is_cut_and_counted() -> None:
    config = resource()
    many = [decision(f"d{n}", f"2027-01-14T{n % 24:02}:{n // 24:02}:00Z") for n in range(MOST_LISTED + 7)]
    made = audited(config, journals=(journal(config, many),))
    assert len(made.decisions) == MOST_LISTED
    assert made.left_out == 7
    assert sum(made.outcomes.values()) == MOST_LISTED + 7
    assert "7 more are counted above" in markdown(page(made))


def test_namespaces_are_reported_apart() -> None:
    found = collect([resource("a", "shop"), resource("a", "lab")], [], NOW)
    assert list(found) == ["lab", "shop"]


HOSTILE = "<script>alert(1)</script> | `x` [a](javascript:b) \x1b[31m\n# head"


@pytest.mark.parametrize("render", [html, markdown], ids=["html", "markdown"])
def test_html_and_marks_in_names_and_messages_are_text(render: Any) -> None:
    config = resource(
        decisions=[decision("d1", lever=f"Knob/{HOSTILE}"[:200], message=HOSTILE, outcomeMessage=HOSTILE)],
        conditions=[condition("Limited", "True", "ReplicasAtMax", HOSTILE)],
        alerts=[{"name": HOSTILE, "state": "Firing", "firing": True}],
    )
    config["metadata"] |= {"name": "<img src=x onerror=alert(2)>", "namespace": "shop"}
    text = render(page(audited(config)))
    assert "<script" not in text
    assert "<img" not in text
    assert "\x1b" not in text
    if render is markdown:
        assert re.search(r"(?<!\\)\]\(", text) is None
        assert "\n# head" not in text
        assert all(line.count("|") - line.count("\\|") == 8 for line in text.splitlines() if "Knob/" in line)
    else:
        assert "&lt;script&gt;" in text
        assert "Content-Security-Policy" in text
        assert "http://" not in text
        assert "https://" not in text


def test_an_empty_section_says_so() -> None:
    text = markdown(page(audited(resource())))
    for nothing in ("None was made.", "Nothing was taken back.", "No objective is declared.", "Nothing holds a lever."):
        assert nothing in text
