"""What requests cost a month, and what is said of requests that are not known for a while."""

import numpy as np
import pytest

from tests.unit.backtest.scene import DAY, END, MIB, daily
from trimtab.backtest import notes, report
from trimtab.backtest.owners import Workload
from trimtab.backtest.reader import KSM, Past, Sources
from trimtab.backtest.replay import CARRIED, CORE_PRICE, MONTH_HOURS, TODAY, Judged, Prices, Result, replay
from trimtab.backtest.tracks import STEP, Fleet
from trimtab.decide.columns import F8

HOUR = 3600.0
DAYS = 14
A_CORE = CORE_PRICE * MONTH_HOURS


def add(fleet: Fleet, name: str, times: F8, cores: float = 1.0, asked: F8 | None = None, pods: int = 1) -> None:
    workload = Workload("shop", "Deployment", name)
    usage = daily(0.1, 0.5)(times)
    for _ in range(pods):
        fleet.add_usage(workload, "app", "cpu", times, usage)
        fleet.add_usage(workload, "app", "memory", times, 200 * MIB * (1 + usage))
    asked = times if asked is None else asked
    fleet.add_request(workload, "app", "cpu", asked, np.full(len(asked), cores))
    fleet.add_request(workload, "app", "memory", asked, np.full(len(asked), 1024 * MIB))


def fleet_of(days: float = DAYS) -> Fleet:
    return Fleet(END, int(days * DAY / STEP))


def cpu(result: Result, name: str) -> Judged:
    return next(one for one in result.judged if one.track.workload.name == name and one.usage.resource == "cpu")


def cost(result: Result, name: str, policy: str = TODAY) -> float:
    return cpu(result, name).verdicts[policy].monthly_cost


def test_a_workload_that_was_renamed_counts_once_in_the_total() -> None:
    fleet = fleet_of()
    half = fleet.steps // 2
    add(fleet, "old", fleet.times[:half], pods=2)
    add(fleet, "new", fleet.times[half:], pods=2)
    result = replay(fleet, Prices(), policies=("vpa",))
    assert cost(result, "old") == pytest.approx(A_CORE)
    assert cost(result, "old") + cost(result, "new") == pytest.approx(2 * A_CORE)
    total = next(row for row in report.totals(result) if (row["resource"], row["policy"]) == ("cpu", TODAY))
    assert total["monthly_cost"] == pytest.approx(2 * A_CORE)


@pytest.mark.parametrize("alone", [True, False])
def test_an_hourly_cron_job_costs_the_time_that_it_runs(alone: bool) -> None:
    fleet = fleet_of()
    times = fleet.times
    add(fleet, "job", times[times % HOUR < 2 * STEP])
    if alone:
        fleet.measured(times)
    else:
        add(fleet, "web", times)
    result = replay(fleet, Prices(), policies=("vpa",))
    assert cost(result, "job") == pytest.approx(A_CORE * 2 / 12)
    assert cost(result, "job", "vpa") < A_CORE * 2 / 12


def test_time_in_which_nothing_was_measured_is_no_time_without_pods() -> None:
    fleet = fleet_of()
    times = fleet.times[fleet.times % DAY > DAY / 5]
    add(fleet, "web", times)
    assert cost(replay(fleet, Prices(), policies=("vpa",)), "web") == pytest.approx(A_CORE)


def test_without_the_nodes_own_metric_it_is_said_how_the_measured_time_is_known() -> None:
    fleet = fleet_of()
    add(fleet, "web", fleet.times)
    result = replay(fleet, Prices(), policies=("vpa",))
    past = Past(fleet, {"shop": Sources(KSM, KSM)})
    assert any("machine_cpu_cores" in note for note in notes.notes(past, result, DAYS))
    fleet.measured(fleet.times)
    assert not any("machine_cpu_cores" in note for note in notes.notes(past, result, DAYS))


def lost(hours: float, days: float = DAYS) -> tuple[Fleet, Result]:
    """A request that is known but for so many hours in the middle."""
    fleet = fleet_of(days)
    times = fleet.times
    middle = times[len(times) // 2]
    known = times[(times < middle) | (times >= middle + hours * HOUR)]
    add(fleet, "web", times, asked=known[known % HOUR == 0])
    return fleet, replay(fleet, Prices(), policies=("vpa",))


def said(fleet: Fleet, result: Result) -> str:
    return " ".join(notes.notes(Past(fleet, {"shop": Sources(KSM, KSM)}), result, DAYS))


def test_a_request_stands_for_a_few_hours_that_nobody_tells_it() -> None:
    fleet, result = lost(CARRIED / HOUR - 1)
    assert TODAY in cpu(result, "web").verdicts
    assert "request is not known" not in said(fleet, result)


def test_a_request_lost_for_a_day_is_not_scored_for_that_time_and_said() -> None:
    fleet, result = lost(24)
    found = cpu(result, "web")
    assert found.verdicts[TODAY].level == 1.0
    assert 0.02 < found.unknown < 0.1
    unknown = ~np.isfinite(found.replays[TODAY].levels)
    assert unknown.sum() == pytest.approx((24 * HOUR - CARRIED) / STEP, abs=HOUR / STEP + 1)
    assert "2 recordings the request is not known for a part of the time" in said(fleet, result)


def test_a_request_lost_for_ten_days_says_nothing_of_today() -> None:
    fleet, result = lost(7 * 24)
    assert TODAY not in cpu(result, "web").verdicts
    assert "2 recordings the request is not known for more than" in said(fleet, result)
    assert report.rows(result)[0]["today"] is None


def test_a_pod_that_starts_between_two_looks_has_the_request_of_the_look_after_it() -> None:
    fleet = fleet_of()
    times = fleet.times
    night = (times - times[0]) % DAY
    add(fleet, "nightly", times[night < 25 * STEP], asked=np.arange(times[0] + HOUR, times[-1], DAY))
    add(fleet, "web", times)
    found = cpu(replay(fleet, Prices(), policies=("vpa",)), "nightly")
    assert found.unknown == 0.0
    assert found.verdicts[TODAY].monthly_cost == pytest.approx(A_CORE * 25 / 288, rel=0.01)
