"""CPU lent to running pods: written before it is given, never to new pods, and found again after a crash."""

from typing import Any

import pytest

from tests.sure import sure
from tests.unit.act.fake import Crash
from tests.unit.act.shop import START, Shop, container
from trimtab.act.gate import Priority
from trimtab.api.reasons import Reason
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision

SIZES: dict[str, Any] = {
    "requests": {"cpu": "500m", "memory": "128Mi"},
    "limits": {"cpu": "1", "memory": "512Mi"},
}
LENT = {"lent": 0.25, "lent_before": START + 60.0, "lent_until": START + 660.0}
RETURNED = {"lent": 0.0}
SURGE = Decision("1-cpu-app", "shop/tune", START, Lever.CPU, "app", 1.0, 1.25, Reason.SURGE_BRIDGED, "", emergency=True)


def shop_of(replicas: int = 4) -> Shop:
    shop = Shop(replicas=replicas, containers=[container(**SIZES)])
    shop.time.now = START + 60.0
    return shop


def limits(shop: Shop) -> list[str]:
    return sorted(p["spec"]["containers"][0]["resources"]["limits"]["cpu"] for p in shop.cluster.pods())


async def test_a_loan_is_written_into_the_profile_before_any_pod_has_it() -> None:
    shop = shop_of()
    await shop.tick(app=LENT, decisions=(SURGE,))
    assert [verb for verb, _ in shop.cluster.writes] == ["POST", *["RESIZE"] * 4]
    (part,) = sure(shop.entry())["containers"]
    assert part["lent"]["cpu"] == "250m"
    assert part["lent"]["until"] == "2027-01-15T08:11:00Z"
    assert part["requests"]["cpu"] == "500m"
    assert part["limits"]["cpu"] == "1"


async def test_request_and_limit_of_running_pods_grow_alike() -> None:
    shop = shop_of()
    await shop.tick(app=LENT, decisions=(SURGE,))
    assert shop.requests() == ["750m"] * 4
    assert limits(shop) == ["1250m"] * 4


async def test_new_pods_start_without_the_loan_and_stay_so() -> None:
    shop = shop_of()
    await shop.tick(app=LENT, decisions=(SURGE,))
    await shop.tick(replicas=6)
    await shop.tick()
    assert shop.requests() == ["500m"] * 2 + ["750m"] * 4


async def test_a_pod_that_is_not_ready_keeps_the_cpu_it_has() -> None:
    shop = shop_of()
    shop.cluster.start_pods = False
    pod = shop.cluster.pods()[0]
    pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    await shop.tick(app=LENT, decisions=(SURGE,))
    assert shop.requests() == ["500m"] + ["750m"] * 3


async def test_memory_is_never_part_of_a_loan() -> None:
    shop = shop_of()
    await shop.tick(app=LENT, decisions=(SURGE,))
    assert shop.requests("memory") == ["128Mi"] * 4


async def test_a_plan_that_says_nothing_keeps_the_loan() -> None:
    shop = shop_of()
    await shop.tick(app=LENT, decisions=(SURGE,))
    before = len(shop.cluster.writes)
    await shop.tick()
    assert len(shop.cluster.writes) == before


async def test_what_is_returned_leaves_the_pods_in_waves_and_the_profile_at_once() -> None:
    shop = shop_of(8)
    await shop.tick(app=LENT, decisions=(SURGE,))
    await shop.tick(app=RETURNED)
    assert shop.entry() is None
    assert shop.requests().count("500m") == 2
    for _ in range(5):
        await shop.tick()
    assert shop.requests() == ["500m"] * 8
    assert limits(shop) == ["1"] * 8


@pytest.mark.parametrize("writes", range(1, 6))
async def test_after_a_crash_at_any_write_the_loan_is_found_and_handed_back(writes: int) -> None:
    shop = shop_of()
    shop.cluster.crash_after = writes
    with pytest.raises(Crash):
        await shop.tick(app=LENT, decisions=(SURGE,))
    shop.cluster.crash_after = None
    shop.actuator = shop.new_actuator()
    await shop.tick()
    assert "lent" in sure(shop.entry())["containers"][0]
    assert shop.requests() == ["750m"] * 4
    for _ in range(6):
        await shop.tick(app=RETURNED)
    assert shop.requests() == ["500m"] * 4


async def test_a_deleted_config_takes_its_loan_back_and_leaves_the_rest() -> None:
    shop = shop_of()
    await shop.tick(app={"cpu": 0.6, "cpu_limit": 1.0, **LENT}, decisions=(SURGE,))
    shop.configs = {}
    for _ in range(6):
        await shop.idle()
    assert shop.requests() == ["600m"] * 4
    assert limits(shop) == ["1"] * 4
    assert shop.cluster.all("tuningprofiles") == []


async def test_while_nothing_may_be_moved_a_loan_is_neither_given_nor_taken() -> None:
    shop = shop_of()
    await shop.tick(app=LENT, decisions=(SURGE,))
    await shop.tick(app=RETURNED, acting=False)
    assert shop.requests() == ["750m"] * 4
    await shop.tick(app=RETURNED)
    assert "500m" in shop.requests()


async def test_a_full_quota_refuses_the_loan() -> None:
    shop = shop_of()
    hard = {"requests.cpu": "2100m"}
    status = {"hard": hard, "used": {"requests.cpu": "2"}}
    shop.cluster.put("resourcequotas", {"metadata": {"name": "few"}, "spec": {"hard": hard}, "status": status})
    outcomes = await shop.tick(app=LENT, decisions=(SURGE,))
    assert {o.reason for o in outcomes} == {Reason.QUOTA_EXCEEDED}
    assert shop.requests() == ["500m"] * 4


async def test_a_loan_goes_out_as_urgently_as_what_the_target_needs() -> None:
    shop = shop_of()
    taken: list[Priority] = []
    enter = shop.gate.enter

    async def noted(priority: Priority, *, tidy: bool = False) -> None:
        taken.append(priority)
        await enter(priority, tidy=tidy)

    shop.gate.enter = noted  # type: ignore[method-assign]
    await shop.tick(app=LENT, decisions=(SURGE,))
    assert taken == [Priority.LATENCY] * 5
