"""The loop closed: what the operator's own engine does, fault by fault, beside the controllers that people run."""

import numpy as np
import pytest

from tests.unit.lab.loop.small import SMALL, Result, flat, run, surge, trimtab
from trimtab.api.reasons import Reason
from trimtab.decide.observation import Lever
from trimtab.lab.loop.rivals import HpaAndVpa, HpaPolicy
from trimtab.lab.loop.run import policies
from trimtab.lab.loop.scenario import Window
from trimtab.lab.loop.trimtab import EPOCH, Trimtab

FAULT = Window(0.4, 0.7)
"""From the start of the surge to its end."""


def during(result: Result, window: Window = FAULT) -> np.ndarray:
    share = result.series.time / result.series.time[-1]
    return np.asarray((share >= window.begin) & (share < window.end))


@pytest.fixture(scope="module")
def surged() -> tuple[Trimtab, Result]:
    """Trimtab, and how it fared in the usual surge."""
    policy = trimtab()
    return policy, run(policy)


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = run(trimtab(), surge(600)), run(trimtab(), surge(600))
    assert first.core_hours == second.core_hours
    assert np.array_equal(first.series.latency, second.series.latency, equal_nan=True)


def test_another_seed_gives_another_run() -> None:
    first, second = run(trimtab(), surge(600), seed=1), run(trimtab(), surge(600), seed=2)
    assert not np.array_equal(first.series.rate, second.series.rate)


def test_a_steady_load_is_left_in_peace() -> None:
    result = run(trimtab(), flat(1800))
    assert result.violations < 0.005
    assert result.evictions == 0
    late = result.series.replicas[result.series.time > 1200]
    assert np.ptp(late) <= 1


def test_a_surge_is_carried_by_lent_cpu_and_the_loan_is_handed_back(surged: tuple[Trimtab, Result]) -> None:
    policy, result = surged
    reasons = [d.reason for d in policy.decisions.values()]
    assert Reason.SURGE_BRIDGED in reasons
    assert Reason.BRIDGE_RETURNED in reasons
    assert result.series.lent.max() > 0
    assert result.series.lent[-1] == 0
    assert result.violations < 0.01


def test_trimtab_meets_the_target_where_an_hpa_at_70_percent_does_not(surged: tuple[Trimtab, Result]) -> None:
    mine, theirs = surged[1], run(HpaPolicy(70))
    assert mine.violations < theirs.violations
    assert theirs.violations > 0.01


def test_an_hpa_and_a_vpa_on_one_workload_fight(surged: tuple[Trimtab, Result]) -> None:
    both = run(HpaAndVpa())
    assert both.evictions > 0
    assert both.violations > surged[1].violations


@pytest.mark.parametrize("kind", ["lost", "nan", "zero", "late"])
def test_missing_and_wrong_metrics_never_lower_capacity(kind: str) -> None:
    policy = trimtab()
    result = run(policy, metrics=kind, metrics_window=FAULT)
    # The rates that are seen look back: what comes in just after the fault begins is still sound.
    blind = during(result, Window(FAULT.begin + 0.05, FAULT.end))
    assert (np.diff(result.series.replicas[blind]) >= 0).all()
    begin, end = (EPOCH + share * result.series.time[-1] for share in (FAULT.begin + 0.05, FAULT.end))
    made = [d for d in policy.decisions.values() if begin <= d.time < end]
    assert not [d for d in made if d.reason in (Reason.CUT_UNUSED, Reason.SCALED_DOWN)]
    if kind != "late":  # late metrics still show the surge: CPU is lent and returned, and new pods lower the mean
        quota = result.series.quota[blind] - result.series.lent[blind]
        assert (np.diff(quota) >= -1e-6).all()
    assert result.rollbacks == 0


def test_metrics_ten_times_too_large_add_capacity_within_the_ceilings_alone() -> None:
    result = run(trimtab(), metrics="tenfold", metrics_window=FAULT)
    assert result.series.replicas.max() <= SMALL.most_pods
    assert result.series.quota[np.isfinite(result.series.quota)].max() <= SMALL.cpu_max * 1.001


def test_on_full_nodes_nothing_is_lent_and_no_request_passes_what_they_have() -> None:
    result = run(trimtab(), full=Window(0.0, 1.0), nodes=2)
    assert result.series.lent.max() == 0
    assert result.series.request.max() <= 2 * 16.0 + 1e-6


def test_with_pods_that_start_slowly_the_loan_lasts_longer_and_ends_all_the_same() -> None:
    policy = trimtab()
    result = run(policy, slow_start=Window(0.0, 1.0))
    lent = result.series.lent > 0
    longest = max((len(part) for part in "".join("x" if one else " " for one in lent).split()), default=0)
    assert 15.0 * longest <= policy.settings.bridge_seconds + 90.0
    assert result.series.lent[-1] == 0


def test_an_oom_loop_from_a_memory_four_times_too_small_ends_after_three_kills_a_pod_at_most() -> None:
    result = run(trimtab(), flat(1800), hungry=Window(0.3, 1.0))
    assert result.ooms > 0
    assert result.ooms <= 3 * result.series.replicas.max()
    last = during(result, Window(0.7, 1.0))
    assert (result.series.ready[last] >= 1).all()
    assert (result.series.bad[last][np.isfinite(result.series.bad[last])] < 0.05).mean() > 0.9


def test_a_deploy_that_costs_twice_the_cpu_is_followed() -> None:
    result = run(trimtab(), flat(2400), deploy_at=0.3, deploy_cost=2.0)
    before = result.series.request[during(result, Window(0.2, 0.3))].mean()
    after = result.series.request[during(result, Window(0.8, 1.0))].mean()
    assert after > before * 1.2
    late = result.series.bad[during(result, Window(0.8, 1.0))]
    assert np.nanmean(late) < 0.02


def test_a_trial_is_started_only_where_a_knob_is_listed() -> None:
    def trials(name: str) -> int:
        policy = policies()[name]()
        assert isinstance(policy, Trimtab)
        run(policy, flat(1500))
        return sum(decision.lever == Lever.KNOB for decision in policy.decisions.values())

    assert trials("trimtab") > 0
    assert trials("trimtab-no-knob") == 0
