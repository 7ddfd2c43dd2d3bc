"""Facts and decisions for the tests of the record."""

from typing import Any

from trimtab.api.answers import Answer, AnswerKind, no_value
from trimtab.api.reasons import Reason
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision
from trimtab.record.facts import AlertFact, Facts, MetricFact

NOW = 1_800_000_000.0
SPEC = PerformanceConfigSpec.model_validate({"targetRef": {"name": "rag-api"}})


def value(number: float) -> Answer:
    return Answer(AnswerKind.VALUE, number, "Value", "", NOW)


def metric(name: str = "totalLatency", answer: Answer | None = None, target: float | None = 0.5) -> MetricFact:
    return MetricFact(name, answer or value(0.31), target)


def missing(kind: AnswerKind, message: str = 'no series under namespace="shop"') -> Answer:
    return no_value(kind, message)


def facts(**changes: Any) -> Facts:
    given: dict[str, Any] = {
        "key": "shop/rag",
        "uid": "uid-1",
        "generation": 3,
        "spec": SPEC,
        "target": (Reason.TARGET_FOUND, "Deployment/rag-api has 2 ready pods."),
        "metrics": (metric(),),
        "ready": 2,
    }
    return Facts(**(given | changes))


def decision(number: int = 1, **changes: Any) -> Decision:
    given: dict[str, Any] = {
        "id": f"d{number}",
        "workload": "shop/rag",
        "time": NOW + number,
        "lever": Lever.CPU,
        "subject": "app",
        "before": 0.4,
        "after": 0.3,
        "reason": Reason.CUT_UNUSED,
        "message": "p95 of CPU is 0.2 cores.",
        "inputs": {"p95": 0.2},
    }
    return Decision(**(given | changes))


def alert(**changes: Any) -> AlertFact:
    given: dict[str, Any] = {
        "name": "slow",
        "metric": "totalLatency",
        "state": "Firing",
        "severity": "Critical",
        "firing": True,
        "since": NOW,
        "cleared_since": float("nan"),
        "value": 0.81,
        "threshold": 0.5,
        "below": False,
        "changed": True,
    }
    return AlertFact(**(given | changes))
