"""What a restart, a namesake or a workload that comes back goes on with: moves, clocks, alerts, rollbacks."""

from typing import Any

import pytest

from tests.unit.loop.rooms import KEY, MIB, NOW, House, moved, resource
from trimtab.api.reasons import Reason
from trimtab.api.status import AlertState, OutcomeState
from trimtab.record.journal import to_status


@pytest.fixture
def house() -> House:
    return House()


def remembered(*decisions: Any, **status: Any) -> dict[str, Any]:
    """A status with these decisions, as it stands in the API server."""
    shown = [to_status(decision).model_dump(mode="json", by_alias=True, exclude_none=True) for decision in decisions]
    return {"decisions": shown} | status


async def test_a_namesake_made_anew_between_two_ticks_is_another_resource(house: House) -> None:
    house.api.items = [resource(status=remembered(moved(house, outcome=OutcomeState.KEPT)))]
    await house.tick()
    house.loop.store.gone("shop", "web", "uid-1")
    house.loop.store.see(resource(uid="uid-2"))
    await house.tick()
    assert [reason for _, reason, _ in house.scribe.told] == [Reason.CONFIG_DELETED]
    assert house.scribe.resumed == [(KEY, "uid-1", 1), (KEY, "uid-2", 0)]


async def test_a_restart_goes_on_watching_a_move_with_the_clock_it_had(house: House) -> None:
    made = moved(house, outcome=OutcomeState.VERIFYING, inputs=moved(house).inputs | {"verifyAfter": 10.0})
    house.api.items = [resource(status=remembered(made))]
    house.eyes.container = {"memory": 384 * MIB}
    await house.tick(0)
    ((watched,),) = house.loop.state.pending.values()
    assert watched.since == pytest.approx(made.time + 10)
    assert house.scribe.resumed == [(KEY, "uid-1", 1)]
    await house.tick(5)
    assert house.scribe.resumed == [(KEY, "uid-1", 1)], "once"
    assert house.scribe.decisions == []
    await house.tick(5)
    assert [(d.id, d.outcome) for d in house.scribe.decisions] == [(made.id, OutcomeState.KEPT)]


async def test_a_restart_carries_on_a_move_that_was_not_in_force_yet(house: House) -> None:
    house.api.items = [resource(status=remembered(moved(house)))]
    await house.tick()
    assert house.hands.plans[-1].containers.memory[0] == pytest.approx(384 * MIB, rel=1e-5)
    assert house.scribe.decisions == [], "it is no new decision"


async def test_a_restart_keeps_the_clock_of_an_alert_and_the_budgets(house: House) -> None:
    since = "2027-01-15T07:57:00Z"  # three minutes before
    alert = {"name": "slow", "state": "Pending", "since": since}
    learning = {"movesToday": 3, "resizesToday": 7, "templateHash": "t1"}
    house.api.items = [resource(status=remembered(alerts=[alert], learning=learning))]
    house.eyes.alerts = [{"name": "slow", "metric": "totalLatency", "kind": 0, "value": 1.0, "threshold": 0.5}]
    await house.tick(0)
    told = house.scribe.recorded[-1][KEY]
    assert (told.moves_today, told.resizes_today) == (3, 7)
    assert [(a.state, a.since) for a in told.alerts] == [(AlertState.PENDING, NOW - 180)]
    await house.tick(120)
    told = house.scribe.recorded[-1][KEY]
    assert [a.state for a in told.alerts] == [AlertState.FIRING], "after five minutes in all"


async def firing(house: House) -> None:
    """An alert fires, as the last status says."""
    rule = {"name": "slow", "metric": "totalLatency", "kind": 0, "value": 1.0, "threshold": 0.5, "for_seconds": 60.0}
    house.eyes.alerts = [rule]
    await house.tick(0)
    await house.tick(60)
    assert [a.state for a in house.scribe.recorded[-1][KEY].alerts] == [AlertState.FIRING]


async def test_an_alert_of_a_workload_that_is_gone_is_unknown_and_fires_on_when_it_is_back(house: House) -> None:
    await firing(house)
    house.eyes.missing = (Reason.TARGET_NOT_FOUND, "create it.")
    for changed in (True, False, False):
        await house.tick()
        (alert,) = house.scribe.recorded[-1][KEY].alerts
        assert (alert.state, alert.firing, alert.changed) == (AlertState.UNKNOWN, True, changed)
    house.eyes.missing = None
    await house.tick()
    (alert,) = house.scribe.recorded[-1][KEY].alerts
    assert (alert.state, alert.firing) == (AlertState.FIRING, True)
    assert len(house.scribe.resumed) == 2
    assert house.loop.store.statuses == {}


async def test_an_alert_of_a_workload_that_was_gone_before_a_restart_is_unknown(house: House) -> None:
    alert = {"name": "slow", "state": "Firing", "firing": True, "since": "2027-01-15T07:57:00Z"}
    quiet = {"name": "calm", "state": "Inactive", "since": "2027-01-15T07:57:00Z"}
    house.api.items = [resource(status=remembered(alerts=[alert, quiet]))]
    house.eyes.missing = (Reason.TARGET_NOT_FOUND, "create it.")
    await house.tick(0)
    assert [(a.name, a.state) for a in house.scribe.recorded[-1][KEY].alerts] == [("slow", AlertState.UNKNOWN)]


async def test_an_alert_of_a_resource_that_was_switched_off_ends(house: House) -> None:
    await firing(house)
    house.eyes.missing = (Reason.MONITORING_DISABLED, "off.")
    await house.tick()
    assert house.scribe.recorded[-1][KEY].alerts == ()


async def test_rollbacks_of_a_workload_that_comes_back_are_not_counted_twice(house: House) -> None:
    undone = [moved(house, id=f"d{n}", outcome=OutcomeState.ROLLED_BACK) for n in range(3)]
    house.api.items = [resource(status=remembered(*undone))]
    counted: list[bool] = []

    def count(rolled_back: bool, age: float) -> None:
        counted.append(rolled_back)

    house.gate.verdict = count  # type: ignore[assignment, method-assign]
    await house.tick(0)
    house.eyes.missing = (Reason.TARGET_NOT_FOUND, "create it.")
    await house.tick()
    house.eyes.missing = None
    await house.tick()
    assert counted == [True] * 3
    assert [number for _, _, number in house.scribe.resumed] == [3, 3]


async def test_a_restart_remembers_the_fleets_rollbacks(house: House) -> None:
    undone = [moved(house, id=f"d{n}", outcome=OutcomeState.ROLLED_BACK) for n in range(6)]
    kept = [moved(house, id=f"k{n}", outcome=OutcomeState.KEPT) for n in range(4)]
    house.api.items = [resource(status=remembered(*undone, *kept))]
    await house.tick()
    assert house.gate.rollback_share == pytest.approx(0.6)
    assert house.gate.stopped
