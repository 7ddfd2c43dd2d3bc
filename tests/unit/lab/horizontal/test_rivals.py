"""The peers and the oracle on cases."""

from functools import partial

import numpy as np

from tests.unit.lab.horizontal.cases import case, waves
from trimtab.lab.horizontal.oracle import BUDGET, oracle, schedule
from trimtab.lab.horizontal.rivals import HPA_TARGETS, Hpa, Keda, Static
from trimtab.lab.horizontal.run import PolicyMaker, simulate
from trimtab.lab.traces import Arrivals

STEP = Arrivals("step", np.concatenate([np.full(25, 30.0), np.full(15, 60.0)]), 60.0)


def test_every_hpa_target_from_50_to_95_is_there() -> None:
    assert HPA_TARGETS == (50, 55, 60, 65, 70, 75, 80, 85, 90, 95)


def test_a_higher_hpa_target_uses_fewer_pods() -> None:
    targets = (50, 65, 80)
    found = simulate([case(arrivals=waves(60))], {str(t): partial(Hpa, target=t) for t in targets})
    hours = [found[str(t)][0].pod_hours for t in targets]
    assert hours == sorted(hours, reverse=True)
    assert hours[0] > 1.2 * hours[-1]


def test_the_hpa_comes_close_to_its_target_on_a_steady_load() -> None:
    steady = Arrivals("steady", np.full(60, 50.0), 60.0)
    for target in (50, 70):
        outcome = simulate([case(service="two-40", arrivals=steady)], {"hpa": partial(Hpa, target=target)})["hpa"][0]
        use = 0.7 * 40 / outcome.replicas[-1]
        assert 0.9 <= use / (target / 100) <= 1.1


def test_the_hpa_waits_five_minutes_before_it_goes_down() -> None:
    fall = Arrivals("fall", np.concatenate([np.full(25, 60.0), np.full(15, 20.0)]), 60.0)
    outcome = simulate([case(arrivals=fall)], {"hpa": partial(Hpa, target=70)})["hpa"][0]
    before = outcome.replicas[1500 // 15 - 1]
    assert (outcome.replicas[1500 // 15 : 1755 // 15] >= before - 1).all()
    assert outcome.replicas[-1] <= 0.5 * before


def test_an_hpa_whose_ratio_cannot_pass_its_tolerance_never_goes_up() -> None:
    # All of a pod's CPU is its request here: utilization ends at 100%, and 100/95 is within 1.1.
    outcome = simulate([case(arrivals=STEP, initial=3)], {"hpa": partial(Hpa, target=95)})["hpa"][0]
    assert outcome.replicas.max() == 3


def test_keda_follows_the_arrival_rate() -> None:
    outcome = simulate([case(arrivals=STEP)], {"keda": Keda})["keda"][0]
    low, high = outcome.replicas[1480 // 15], outcome.replicas[-1]
    assert 4 <= low <= 6
    assert 9 <= high <= 11


def test_static_peak_never_changes() -> None:
    outcome = simulate([case()], {"static": Static})["static"][0]
    assert outcome.changes_per_day == 0
    assert set(outcome.replicas.tolist()) == {10}
    assert outcome.violations < BUDGET


def test_the_oracle_orders_a_start_up_ahead_and_keeps_pods_through_short_dips() -> None:
    dip = Arrivals("dip", np.concatenate([np.full(20, 60.0), np.full(2, 20.0), np.full(18, 60.0)]), 60.0)
    for startup, kept in ((45.0, False), (150.0, True)):
        wanted = schedule(case(startup, arrivals=dip), 0.8)
        assert (wanted[1260 // 15] > 7) == kept
    late, early = (schedule(case(startup, arrivals=STEP), 0.8) for startup in (45.0, 150.0))
    first = [int(np.argmax(wanted > 7)) for wanted in (late, early)]
    assert first[0] - first[1] == (150 - 45) // 15


def test_the_oracle_keeps_the_budget_with_fewer_pods_than_every_policy_that_keeps_it() -> None:
    makers: dict[str, PolicyMaker] = {f"hpa-{t}": partial(Hpa, target=t) for t in HPA_TARGETS}
    makers |= {"keda": Keda, "static": Static}
    for one in (case(), case(150.0), case(service="random-10", arrivals=STEP)):
        best = oracle(one)
        assert best.violations <= BUDGET
        for name, (outcome,) in simulate([one], makers).items():
            assert outcome.violations > BUDGET or outcome.pod_hours > best.pod_hours, name


def test_the_oracle_on_what_no_pods_can_serve_does_its_best() -> None:
    # One request at a time, each longer than the target by itself.
    one = case()
    load = one.load
    slow = type(load)(load.times, load.work * 20, load.first, load.second, load.seconds, load.phase)
    hopeless = type(one)(one.trace, one.service, one.seed, one.startup_seconds, slow)
    assert oracle(hopeless).violations > BUDGET
