"""Alerts that every workload has: when they fire, and when they don't."""

import math
from dataclasses import replace
from typing import Any

import pytest

from trimtab.api.builtin_alerts import BUILTIN_ALERT_NAMES, BUILTIN_ALERTS
from trimtab.api.reasons import Reason
from trimtab.api.status import AlertState
from trimtab.decide.engine import decide
from trimtab.decide.observation import Block, Containers, Lever, Observation, Targets, Workloads
from trimtab.decide.plan import DerivedAlerts
from trimtab.decide.restore import Prior, PriorAlert, restore
from trimtab.decide.settings import Settings
from trimtab.decide.state import State

pytestmark = pytest.mark.long
START = 1_800_000_000.0
MIB = 2.0**20


class Watch:
    """One workload with one container, ticked; columns may be changed between ticks."""

    def __init__(self) -> None:
        self.now, self.state = START, State()
        self.workload: dict[str, Any] = {"key": "ns/w", "ready": 2, "replicas": 2, "imbalance": 1.0}
        self.container: dict[str, Any] = {"key": "ns/w/app", "name": "app", "working_set": 100 * MIB}
        self.blocks: tuple[Block, ...] = ()

    @property
    def seen(self) -> Observation:
        workloads, containers = Workloads.of([self.workload]), Containers.of([self.container])
        blocks = {0: self.blocks} if self.blocks else {}
        return Observation(self.now, workloads, containers=containers, blocks=blocks)

    def step(self, seconds: float = 60.0) -> DerivedAlerts:
        plan, self.state = decide(self.seen, self.state, Settings())
        self.now += seconds
        return plan.derived

    def run(self, minutes: int) -> DerivedAlerts:
        for _ in range(minutes - 1):
            self.step()
        return self.step()


def told(alerts: DerivedAlerts) -> dict[str, AlertState]:
    return dict(zip(alerts.name, alerts.state, strict=True))


def test_a_quiet_workload_shows_no_alert_at_all() -> None:
    assert told(Watch().run(20)) == {}


def test_throttling_above_a_quarter_for_a_quarter_of_an_hour_fires() -> None:
    watch = Watch()
    watch.container |= {"cpu_limit": 1.0, "throttled": 0.4}
    assert told(watch.run(15)) == {"CPUThrottling": AlertState.PENDING}
    alerts = watch.step()
    assert told(alerts) == {"CPUThrottling": AlertState.FIRING}
    assert (alerts.value[0], alerts.threshold[0], alerts.severity[0]) == (0.4, 0.25, "Warning")


def test_a_container_without_a_limit_is_never_throttled_and_one_without_a_reading_is_unknown() -> None:
    watch = Watch()
    watch.container |= {"throttled": 0.9}
    assert told(watch.run(20)) == {}
    watch.container |= {"cpu_limit": 1.0, "throttled": 0.9}
    watch.run(20)
    watch.container |= {"throttled": math.nan}
    alerts = watch.run(30)
    assert told(alerts) == {"CPUThrottling": AlertState.UNKNOWN}
    assert alerts.firing[0]


def test_an_oom_kill_is_alerted_at_once_and_for_a_quarter_of_an_hour() -> None:
    watch = Watch()
    watch.container["oom_at"] = START
    alerts = watch.step()
    assert told(alerts) == {"OOMKilled": AlertState.FIRING}
    assert alerts.changed[0]
    assert told(watch.run(14)) == {"OOMKilled": AlertState.FIRING}
    assert told(watch.step()) == {"OOMKilled": AlertState.INACTIVE}, "its end is told once"
    assert told(watch.step()) == {}


@pytest.mark.parametrize(("imbalance", "fires"), [(1.4, False), (1.8, True), (math.nan, False)])
def test_one_pod_that_does_half_as_much_again_as_the_mean_is_an_imbalance(imbalance: float, fires: bool) -> None:
    watch = Watch()
    watch.workload["imbalance"] = imbalance
    assert told(watch.run(16)) == ({"PodImbalance": AlertState.FIRING} if fires else {})


def test_a_budget_that_a_month_would_pass_is_alerted_after_an_hour() -> None:
    watch = Watch()
    watch.workload |= {"cost_per_hour": 1.2, "monthly_budget": 730.0}
    assert told(watch.run(61)) == {"MonthlyBudget": AlertState.PENDING}
    assert told(watch.step()) == {"MonthlyBudget": AlertState.FIRING}


def test_a_lost_metric_is_alerted_after_five_minutes() -> None:
    watch = Watch()
    watch.workload["metrics_lost"] = 1
    assert told(watch.run(6)) == {"MetricsLost": AlertState.FIRING}


def test_another_controller_is_a_conflict_and_a_window_is_none() -> None:
    watch = Watch()
    watch.blocks = (Block(Lever.REPLICAS, Reason.WINDOW_CLOSED, "closed"),)
    assert told(watch.run(3)) == {}
    watch.blocks = (Block(Lever.REPLICAS, Reason.HPA_OWNS_REPLICAS, "HPA web"),)
    assert told(watch.run(2)) == {"Conflict": AlertState.FIRING}


def test_a_target_that_no_lever_can_reach_is_alerted() -> None:
    watch = Watch()
    watch.workload |= {"replicas_max": 2, "replicas_min": 1, "acting": True, "allowed": [True] * 4}

    def step() -> DerivedAlerts:
        row = {"name": "slow", "kind": 0, "value": 0.9, "limit": 0.5, "age": 0.0}
        plan, watch.state = decide(replace(watch.seen, targets=Targets.of([row])), watch.state, Settings())
        watch.now += 60.0
        return plan.derived

    alerts = [step() for _ in range(10)]
    assert told(alerts[-1]) == {"TargetUnreachable": AlertState.FIRING}
    assert alerts[-1].severity[0] == "Critical"


class Growing(Watch):
    """Its working set is set by the minute, over hours."""

    def hours(self, memory: Any, load: Any = lambda h: 10.0, hours: float = 8.0) -> bool:
        fired = False
        for minute in range(int(hours * 12)):
            self.container["working_set"] = memory(minute / 12) * MIB
            self.workload["arrival_rate"] = load(minute / 12)
            fired |= "MemoryLeak" in told(self.step(300.0))
        return fired


def test_memory_that_only_grows_is_a_leak() -> None:
    assert Growing().hours(lambda h: 200 + 20 * h)


@pytest.mark.parametrize(
    ("name", "memory", "load"),
    [
        ("flat", lambda h: 200.0, lambda h: 10.0),
        ("slow growth below both bounds", lambda h: 1000 + 5 * h, lambda h: 10.0),
        ("a saw tooth", lambda h: 200 + 100 * (h % 1), lambda h: 10.0),
        ("a cache that fills ever more slowly", lambda h: 200 + 400 * (1 - math.exp(-h / 1.5)), lambda h: 10.0),
        ("growth with the load", lambda h: 200 + 20 * h, lambda h: 10 + h),
        ("a restart in between", lambda h: 200 + 40 * (h % 4), lambda h: 10.0),
    ],
)
def test_other_growth_is_no_leak(name: str, memory: Any, load: Any) -> None:
    assert not Growing().hours(memory, load), name


def test_a_leak_is_not_judged_from_a_part_of_the_window() -> None:
    assert not Growing().hours(lambda h: 200 + 20 * h, hours=4.0)


def test_a_gap_of_a_day_in_between_is_no_leak() -> None:
    watch = Growing()
    assert not watch.hours(lambda h: 200.0, hours=4.0)
    watch.now += 86_400.0
    assert not watch.hours(lambda h: 400.0, hours=4.0)


def test_a_built_in_alert_keeps_its_clock_over_a_restart() -> None:
    watch = Watch()
    watch.container |= {"cpu_limit": 1.0, "throttled": 0.4}
    alerts = watch.run(10)
    prior = Prior(alerts={"CPUThrottling": PriorAlert(alerts.state[0], bool(alerts.firing[0]), float(alerts.since[0]))})
    watch.state = restore(State(), watch.seen, {"ns/w": prior}, Settings())
    assert told(watch.run(5)) == {"CPUThrottling": AlertState.PENDING}
    assert told(watch.step()) == {"CPUThrottling": AlertState.FIRING}


def test_every_built_in_alert_says_what_it_means_and_what_to_do() -> None:
    assert len(set(BUILTIN_ALERT_NAMES)) == len(BUILTIN_ALERTS)
    assert all(alert.cause.endswith(".") and alert.remedy.endswith(".") for alert in BUILTIN_ALERTS)
