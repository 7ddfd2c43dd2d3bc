"""The demo's verdict: every check holds for a good run and fails for a bad one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from demo.checks import busy, judge
from demo.view import line, sparkline
from demo.watch import Pod, Snapshot

TARGET = 0.6


def pod(name: str = "a", shares: str = "256", batch: str = "1", restarts: int = 0) -> Pod:
    cgroup = {"cpu_shares": shares, "cpu_quota": "25000", "memory_limit": "805306368", "batch": batch}
    return Pod(name, f"uid-{name}", True, restarts, {"cpu": "250m"}, {}, cgroup)


def snapshot(at: float, replicas: int, *pods: Pod, **changes: Any) -> Snapshot:
    decisions = [
        {"id": lever, "lever": f"{lever}/x", "message": "why", "reason": "Because"}
        for lever in ("Replicas", "CPU", "Knob")
    ]
    applied = {"replicas": replicas, "containers": [{"name": "app", "env": {"BATCH_SIZE": 2}}]}
    alerts = [{"name": "slow", "firing": True}]
    status = {"decisions": decisions, "conditions": [{}] * 9, "applied": applied, "alerts": alerts}
    made = Snapshot(at, replicas, "template", pods, {"status": status}, 1)
    return replace(made, **changes)


HISTORY = [
    snapshot(0, 1, pod()),
    snapshot(60, 3, pod(shares="192"), pod("b"), pod("c", batch="2")),
    snapshot(120, 2, pod("b", batch="2"), pod("c", batch="2")),
]
LINES = [
    {"seconds": float(s), "planned_rps": 1.0 if s < 10 or s > 110 else 10.0, "p95_seconds": 2.0 if s < 50 else 0.3}
    for s in range(121)
]
EVENTS = [{"reason": "AlertFiring"}, {"reason": "AlertResolved"}]


def failed(
    history: list[Snapshot] = HISTORY, lines: list[dict[str, Any]] = LINES, events: list[dict[str, Any]] = EVENTS
) -> list[str]:
    return [check.name for check in judge(history, lines, events, TARGET) if not check.ok]


def test_a_good_run_passes_every_check() -> None:
    assert failed() == []


def changed(where: int, **changes: Any) -> list[Snapshot]:
    history = list(HISTORY)
    history[where] = replace(history[where], **changes)
    return history


BAD: dict[str, Callable[[], list[str]]] = {
    "requests changed on a running pod, without a restart": lambda: failed(
        changed(1, pods=(pod(shares="192", restarts=1), pod("b"), pod("c", batch="2")))
    ),
    "replicas went up": lambda: failed([replace(s, replicas=1) for s in HISTORY]),
    "replicas came down": lambda: failed(changed(2, replicas=3)),
    "the batch size of running pods changed": lambda: failed([replace(s, pods=(pod("b"),)) for s in HISTORY]),
    "clients missed the latency target before": lambda: failed(
        lines=[{**entry, "p95_seconds": 0.3} for entry in LINES]
    ),
    "clients had the latency target after": lambda: failed(lines=[{**entry, "p95_seconds": 2.0} for entry in LINES]),
    "an alert fired and resolved, as events": lambda: failed(events=EVENTS[:1]),
    "status and decisions say it": lambda: failed([replace(s, config={}) for s in HISTORY]),
    "the Deployment's template was never edited": lambda: failed(changed(1, template="another")),
}


@pytest.mark.parametrize("name", BAD)
def test_each_check_fails_when_its_thing_did_not_happen(name: str) -> None:
    assert name in BAD[name]()


@pytest.mark.parametrize("lost", ["applied", "alerts", "decisions"])
def test_a_status_that_leaves_something_out_is_seen(lost: str) -> None:
    history = [
        replace(s, config={"status": {**s.config["status"], lost: {} if lost == "applied" else []}}) for s in HISTORY
    ]
    assert failed(history) == ["status and decisions say it"]


def test_a_status_that_claims_another_value_than_the_processes_have_is_seen() -> None:
    other = {"replicas": 2, "containers": [{"name": "app", "env": {"BATCH_SIZE": 4}}]}
    history = [replace(s, config={"status": {**s.config["status"], "applied": other}}) for s in HISTORY]
    assert failed(history) == ["status and decisions say it"]


def test_without_any_load_line_the_latency_checks_fail() -> None:
    assert {"clients missed the latency target before", "clients had the latency target after"} <= set(failed(lines=[]))


def test_busy_seconds_are_those_above_the_middle_of_the_load() -> None:
    before, after = busy(LINES)
    assert before[0]["seconds"] == 10
    assert after[-1]["seconds"] == 110


def test_the_view_shows_missing_numbers_as_missing() -> None:
    assert sparkline([None, 0.5, 9.0], 1.0, 3) == " ▄█"
    assert "p95   -   s" in line(HISTORY[0], [{"planned_rps": 1.0, "p95_seconds": None}])
