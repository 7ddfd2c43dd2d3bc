"""No week of an objective is told of that ended before the resource's retentionDays."""

import pytest

from trimtab import telling
from trimtab.api.reasons import Reason
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.decide.observation import Objectives, Observation, Workloads
from trimtab.decide.plan import AlertPlan, ContainerPlan, KnobPlan, ObjectivePlan, Plan, WorkloadPlan
from trimtab.decide.settings import DAY
from trimtab.decide.slo import week_start
from trimtab.decide.standing import WEEKS
from trimtab.observe.config import ConfigRecord
from trimtab.observe.facts import Facts
from trimtab.observe.targets import Found

MONDAY = week_start(3000)


@pytest.mark.parametrize(
    ("days", "now", "weeks"), [(14, 3.0, 3), (14, 0.0, 3), (1, 3.0, 1), (1, 0.5, 2), (90, 3.0, 14), (84, 3.0, 13)]
)
def test_weeks_that_ended_before_the_retention_are_gone(days: int, now: float, weeks: int) -> None:
    spec = PerformanceConfigSpec.model_validate({"targetRef": {"name": "web"}, "monitoring": {"retentionDays": days}})
    fact = Facts(ConfigRecord("shop", "web", "uid", 1, MONDAY, spec), Found(None, Reason.TARGET_NOT_FOUND, ""))
    rows = Objectives.of([{"key": "shop/web/fast", "name": "fast", "target": 0.99, "window_days": 90}])
    seen = Observation(MONDAY + now * DAY, Workloads.of([{"key": "shop/web"}]), objectives=rows)
    told = ObjectivePlan.blank(1)
    told.week_attainment[:] = 1.0
    assert told.week_attainment.shape[1] == WEEKS
    plan = Plan(WorkloadPlan.blank(1), ContainerPlan.blank(0), KnobPlan.blank(0), AlertPlan.blank(0), objectives=told)
    (found,) = telling._objectives(fact, seen, plan, 0)
    assert len(found.weeks) == weeks
    assert all(start + 7 * DAY > seen.now - days * DAY for start, _, _ in found.weeks)
    assert found.weeks[0][0] == MONDAY
