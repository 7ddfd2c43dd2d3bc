"""The recorder writes what is new, once, and one resource's failure never stops the others."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.record.builders import NOW, alert, decision, facts, metric
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState, PerformanceConfigStatus
from trimtab.kube.errors import KubeError, NotFound, Unavailable
from trimtab.record.events import EventRecorder
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.recorder import Recorder


class Api:
    """Remembers statuses and events; can refuse a resource."""

    def __init__(self) -> None:
        self.statuses: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.refuse: dict[str, KubeError] = {}

    async def apply(self, path: str, body: dict[str, Any], *, force: bool, timeout_seconds: float) -> dict[str, Any]:
        name = body["metadata"]["name"]
        assert path == f"/apis/trimtab.dev/v1alpha1/namespaces/shop/performanceconfigs/{name}/status"
        if name in self.refuse:
            raise self.refuse[name]
        self.statuses.append(body)
        return body

    async def create(self, _path: str, body: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        self.events.append(body)
        return body

    async def merge_patch(self, _path: str, body: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        return body


def recorder(api: Api, allowed: bool = True, **options: Any) -> Recorder:
    async def may_write(_urgent: bool) -> bool:
        return allowed

    events = EventRecorder(api, "trimtab-0")  # type: ignore[arg-type]
    return Recorder(api, events, OperatorMetrics.create(), may_write, **options)  # type: ignore[arg-type]


async def test_the_same_facts_are_written_once() -> None:
    api = Api()
    tell = recorder(api)
    for tick in range(5):
        await tell.record({"shop/rag": facts()}, [], NOW + 15 * tick)
    assert len(api.statuses) == 1
    assert api.statuses[0]["metadata"]["uid"] == "uid-1"


async def test_a_decision_and_its_outcome_are_events_with_the_decision_id() -> None:
    api = Api()
    tell = recorder(api)
    made = decision()
    await tell.record({"shop/rag": facts()}, [made], NOW)
    await tell.record({"shop/rag": facts()}, [made.ended(OutcomeState.ROLLED_BACK, "p95 rose to 0.9 s.")], NOW + 60)
    assert [(e["reason"], e["type"]) for e in api.events] == [("CutUnused", "Normal"), ("MoveRolledBack", "Warning")]
    assert all("[d1]" in e["note"] for e in api.events)
    assert "400m → 300m" in api.events[0]["note"]
    assert api.statuses[-1]["status"]["decisions"][0]["outcome"] == "RolledBack"


async def test_that_a_move_is_in_force_is_no_event_of_its_own() -> None:
    api = Api()
    one = recorder(api)
    await one.record({"shop/rag": facts()}, [decision(1)], NOW)
    known = len(api.events)
    await one.record({"shop/rag": facts()}, [replace(decision(1), outcome=OutcomeState.VERIFYING)], NOW + 60)
    assert len(api.events) == known


async def test_in_a_large_fleet_a_verdict_is_an_event_only_where_a_move_did_harm() -> None:
    api = Api()
    one = recorder(api)
    fleet = {f"shop/w{n}": facts(key=f"shop/w{n}", uid=f"uid-{n}") for n in range(601)}
    made = decision(1, workload="shop/w0")
    await one.record(fleet, [made.ended(OutcomeState.KEPT, "fine")], NOW)
    await one.record(fleet, [made.ended(OutcomeState.ROLLED_BACK, "worse")], NOW + 1)
    reasons = [event["reason"] for event in api.events]
    assert Reason.MOVE_ROLLED_BACK in reasons
    assert Reason.MOVE_KEPT not in reasons


async def test_an_alert_that_fires_and_resolves_is_two_events() -> None:
    api = Api()
    tell = recorder(api)
    await tell.record({"shop/rag": facts(alerts=(alert(),))}, [], NOW)
    await tell.record({"shop/rag": facts(alerts=(alert(changed=False),))}, [], NOW + 15)
    resolved = alert(state="Inactive", firing=False, value=0.3)
    await tell.record({"shop/rag": facts(alerts=(resolved,))}, [], NOW + 30)
    assert [e["reason"] for e in api.events] == ["AlertFiring", "AlertResolved"]


async def test_one_refused_status_does_not_stop_the_others_and_is_tried_again() -> None:
    api = Api()
    api.refuse["bad"] = Unavailable(0, "Timeout", "no answer")
    tell = recorder(api)
    both = {"shop/bad": facts(key="shop/bad"), "shop/rag": facts()}
    await tell.record(both, [], NOW)
    assert [s["metadata"]["name"] for s in api.statuses] == ["rag"]
    api.refuse.clear()
    await tell.record(both, [], NOW + 15)
    assert [s["metadata"]["name"] for s in api.statuses] == ["rag", "bad"]


async def test_a_resource_that_is_gone_is_forgotten() -> None:
    api = Api()
    tell = recorder(api)
    await tell.record({"shop/rag": facts()}, [decision()], NOW)
    api.refuse["rag"] = NotFound(404, "NotFound", "gone")
    await tell.record({"shop/rag": facts(generation=4)}, [], NOW + 15)
    await tell.record({}, [], NOW + 30)
    assert tell.journal.of("shop/rag") == []
    assert "trimtab_ready_replicas{" not in "".join(str(m.samples) for m in tell.metrics.registry.collect())


async def test_a_process_that_may_not_write_says_nothing() -> None:
    api = Api()
    await recorder(api, allowed=False).record({"shop/rag": facts()}, [], NOW)
    assert api.statuses == []


async def test_after_a_restart_times_and_decisions_go_on() -> None:
    api = Api()
    first = recorder(api)
    await first.record({"shop/rag": facts()}, [decision()], NOW)
    status = PerformanceConfigStatus.model_validate(api.statuses[-1]["status"])
    second = recorder(api)
    second.resume("shop/rag", "uid-1", status, [decision()])
    await second.record({"shop/rag": facts()}, [], NOW + 60)
    assert api.statuses[-1]["status"]["conditions"] == api.statuses[0]["status"]["conditions"]
    assert [d["id"] for d in api.statuses[-1]["status"]["decisions"]] == ["d1"]


async def test_a_new_move_stands_in_the_status_before_it_is_carried_out_and_is_told_once_after_it() -> None:
    """A process that dies while it changes pods leaves to its successor what it has to go on with and to watch."""
    api = Api()
    tell = recorder(api)
    await tell.record({"shop/rag": facts()}, [], NOW)
    before = api.statuses[-1]["status"]
    await tell.announce([decision()], NOW + 15)
    status = api.statuses[-1]["status"]
    assert [(d["id"], d["outcome"]) for d in status["decisions"]] == [("d1", "Pending")]
    assert "CutUnused" in status["summary"]
    assert {key: value for key, value in status.items() if key not in ("decisions", "summary")} == {
        key: value for key, value in before.items() if key not in ("decisions", "summary")
    }
    assert api.events == []
    await tell.record({"shop/rag": facts()}, [decision()], NOW + 15)
    assert [e["reason"] for e in api.events] == ["CutUnused"]


async def test_a_move_that_was_told_or_only_recommended_is_not_announced() -> None:
    api = Api()
    tell = recorder(api)
    await tell.record({"shop/rag": facts()}, [decision()], NOW)
    await tell.announce([decision(), replace(decision(), id="d2", outcome=OutcomeState.RECOMMENDED)], NOW + 15)
    assert len(api.statuses) == 1


async def test_the_first_move_after_a_restart_is_announced_too() -> None:
    api = Api()
    first = recorder(api)
    await first.record({"shop/rag": facts()}, [], NOW)
    second = recorder(api)
    second.resume("shop/rag", "uid-1", PerformanceConfigStatus.model_validate(api.statuses[-1]["status"]), [])
    await second.announce([decision()], NOW + 15)
    assert [d["id"] for d in api.statuses[-1]["status"]["decisions"]] == ["d1"]


@pytest.mark.parametrize("fault", [Unavailable(503, "down"), NotFound(404, "gone")])
async def test_an_announcement_that_fails_stops_no_move(fault: KubeError) -> None:
    api = Api()
    tell = recorder(api)
    await tell.record({"shop/rag": facts()}, [], NOW)
    api.refuse["rag"] = fault
    await tell.announce([decision()], NOW + 15)
    api.refuse.clear()
    await tell.record({"shop/rag": facts()}, [decision()], NOW + 15)
    assert [d["id"] for d in api.statuses[-1]["status"]["decisions"]] == ["d1"]


async def test_an_announcement_that_takes_long_is_given_up() -> None:
    """A raise after an OOM kill does not wait for a slow API server."""
    api, asked = Api(), asyncio.Event()

    async def may_write(urgent: bool) -> bool:
        if asked.is_set():
            await asyncio.Event().wait()
        return urgent or True

    tell = recorder(api, announce_seconds=0.01)
    await tell.record({"shop/rag": facts()}, [], NOW)
    tell.may_write = may_write
    asked.set()
    await tell.announce([decision()], NOW + 15)
    assert len(api.statuses) == 1


async def test_a_resource_created_anew_under_the_same_name_gets_a_status_of_its_own() -> None:
    api = Api()
    tell = recorder(api)
    await tell.record({"shop/rag": facts()}, [decision()], NOW)
    await tell.record({"shop/rag": facts(uid="uid-2")}, [], NOW + 15)
    assert [s["metadata"]["uid"] for s in api.statuses] == ["uid-1", "uid-2"]
    assert api.statuses[1]["status"]["decisions"] == []


async def test_what_the_budget_of_a_tick_leaves_over_is_written_in_the_next_the_longest_unwritten_first() -> None:
    api, time = Api(), [0.0]
    tell = recorder(api, clock=lambda: time[0])
    names = [f"c{number}" for number in range(20)]
    everybody = {f"shop/{name}": facts(key=f"shop/{name}") for name in names}
    slow = api.apply

    async def apply(path: str, body: dict[str, Any], *, force: bool, timeout_seconds: float) -> dict[str, Any]:
        time[0] += 1.0
        return await slow(path, body, force=force, timeout_seconds=timeout_seconds)

    api.apply = apply  # type: ignore[method-assign]
    await tell.record(everybody, [], NOW)
    first = [status["metadata"]["name"] for status in api.statuses]
    assert 10 <= len(first) < 20
    await tell.record(everybody, [], NOW + 15)
    assert sorted(status["metadata"]["name"] for status in api.statuses) == sorted(names)


async def test_a_resource_with_a_new_decision_comes_before_the_quiet_ones() -> None:
    api = Api()
    quiet = {f"shop/c{number}": facts(key=f"shop/c{number}") for number in range(20)}
    await recorder(api).record(quiet | {"shop/rag": facts()}, [decision()], NOW)
    assert api.statuses[0]["metadata"]["name"] == "rag"


async def test_a_metric_and_a_target_that_are_no_longer_declared_are_no_longer_exported() -> None:
    tell = recorder(Api())
    await tell.record({"shop/rag": facts(metrics=(metric(), metric("other")))}, [], NOW)
    await tell.record({"shop/rag": facts(metrics=(metric(target=None),))}, [], NOW + 15)
    series = [sample for family in tell.metrics.registry.collect() for sample in family.samples]
    assert [s.labels["metric"] for s in series if s.name == "trimtab_metric"] == ["totalLatency"]
    assert [s for s in series if s.name == "trimtab_target"] == []


def _alert_states(metrics: OperatorMetrics) -> dict[str, float]:
    family = next(one for one in metrics.registry.collect() if one.name == "trimtab_alert_state")
    return {sample.labels["alert"]: sample.value for sample in family.samples}


async def test_alerts_are_metrics_and_one_that_is_no_longer_told_is_quiet() -> None:
    api = Api()
    told = recorder(api)
    lost = alert(name="lost", state="Unknown", firing=True, changed=False)
    throttled = alert(name="CPUThrottling", state="Pending", firing=False, changed=False, derived=True)
    quiet = alert(name="calm", state="Inactive", firing=False, changed=False)
    await told.record({"shop/rag": facts(alerts=(alert(), lost, throttled, quiet))}, [], NOW)
    assert _alert_states(told.metrics) == {"slow": 2, "lost": 2, "CPUThrottling": 1, "calm": 0}
    await told.record({"shop/rag": facts(alerts=(alert(state="Unknown", firing=False),))}, [], NOW + 15)
    assert _alert_states(told.metrics) == {"slow": -1, "lost": 0, "CPUThrottling": 0, "calm": 0}
    await told.record({}, [], NOW + 30)
    assert _alert_states(told.metrics) == {}


async def test_a_flapping_alert_whose_value_differs_each_time_is_one_event_with_a_count() -> None:
    api = Api()
    told = recorder(api)
    for tick in range(1000):
        flapping = alert(value=0.6 + tick / 1000, changed=True)
        await told.record({"shop/rag": facts(alerts=(flapping,))}, [], NOW + 15 * tick)
    assert [event["reason"] for event in api.events] == ["AlertFiring"]
