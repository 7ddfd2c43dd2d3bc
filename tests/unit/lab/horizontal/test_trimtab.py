"""Trimtab's replica policy in the lab: the operator's own engine on the simulator's metrics."""

import numpy as np
import pytest

from tests.unit.lab.horizontal.cases import case
from trimtab.decide.settings import Settings
from trimtab.lab.horizontal.policy import Metrics
from trimtab.lab.horizontal.run import simulate
from trimtab.lab.horizontal.trimtab import Trimtab, make
from trimtab.lab.traces import Arrivals

HILLS = Arrivals("hills", 60 + 30 * np.sin(np.arange(60) / 8.0), 60.0)


def test_replicas_are_held_until_there_is_a_metric() -> None:
    policy = make([case().terms])
    seen = Metrics.blank(1)
    seen.replicas[:] = seen.ready[:] = 7
    for now in (0.0, 15.0, 30.0):
        assert policy.step(now, seen).tolist() == [7]


@pytest.mark.parametrize("startup", [45.0, 150.0])
def test_a_service_is_served_within_its_target_with_fewer_pods_than_at_its_peak(startup: float) -> None:
    one = case(startup, arrivals=HILLS)
    (outcome,) = simulate([one], {"trimtab": make})["trimtab"]
    assert outcome.violations <= 0.01
    hours = (one.load.seconds - one.load.scored_from) / 3600
    assert outcome.pod_hours < 10 * hours


def test_the_same_inputs_give_the_same_replicas_whatever_other_rows_there_are() -> None:
    cases = [case(), case(150.0)]
    both = simulate(cases, {"trimtab": make})["trimtab"]
    (alone,) = simulate(cases[:1], {"trimtab": make})["trimtab"]
    np.testing.assert_array_equal(both[0].replicas, alone.replicas)


def test_settings_can_be_handed_in() -> None:
    careful = Settings(load_shortfall=1e-4, load_shortfall_raise=2e-4)
    cases = [case()]
    out = simulate(cases, {"trimtab": make, "careful": lambda terms: Trimtab(terms, careful)})
    assert out["careful"][0].pod_hours > out["trimtab"][0].pod_hours
