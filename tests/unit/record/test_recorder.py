"""The recorder writes what is new, once, and one resource's failure never stops the others."""

from typing import Any

from tests.unit.record.builders import NOW, alert, decision, facts
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

    async def apply(self, path: str, body: dict[str, Any], *, force: bool) -> dict[str, Any]:
        name = body["metadata"]["name"]
        assert path == f"/apis/trimtab.dev/v1alpha1/namespaces/shop/performanceconfigs/{name}/status"
        if name in self.refuse:
            raise self.refuse[name]
        self.statuses.append(body)
        return body

    async def create(self, _path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.events.append(body)
        return body


def recorder(api: Api, allowed: bool = True) -> Recorder:
    events = EventRecorder(api, "trimtab-0")  # type: ignore[arg-type]
    return Recorder(api, events, OperatorMetrics.create(), lambda _kind: allowed)  # type: ignore[arg-type]


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


async def test_a_resource_created_anew_under_the_same_name_gets_a_status_of_its_own() -> None:
    api = Api()
    tell = recorder(api)
    await tell.record({"shop/rag": facts()}, [decision()], NOW)
    await tell.record({"shop/rag": facts(uid="uid-2")}, [], NOW + 15)
    assert [s["metadata"]["uid"] for s in api.statuses] == ["uid-1", "uid-2"]
    assert api.statuses[1]["status"]["decisions"] == []
