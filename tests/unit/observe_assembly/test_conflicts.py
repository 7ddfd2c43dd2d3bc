"""People are respected, wars are left."""

from typing import Any

import pytest

from trimtab.decide.observation import Lever
from trimtab.observe.conflicts import HumanHolds, RevertWatch, is_person


@pytest.mark.parametrize(
    ("manager", "operation", "person"),
    [
        ("kubectl", "scale", True),
        ("kubectl-edit", "Update", True),
        ("kubectl-patch", "Update", True),
        ("k9s", "scale", True),
        ("my-script", "scale", True),
        ("kubectl-client-side-apply", "Update", False),
        ("kubectl", "Apply", False),
        ("kubectl-create", "Update", False),
        ("helm", "Update", False),
        ("argocd-controller", "Apply", False),
        ("argocd-application-controller", "scale", False),
        ("kustomize-controller", "Apply", False),
        ("kube-controller-manager", "scale", False),
        ("keda-operator", "scale", False),
        ("trimtab", "scale", False),
        ("", "scale", False),
    ],
)
def test_a_person_is_told_from_a_deployer_and_from_a_controller(manager: Any, operation: Any, person: Any) -> None:
    assert is_person(manager, operation) is person


def seen(holds: Any, now: Any, *, manager: str = "kubectl", written: float = 1000.0, value: int = 7) -> Any:
    return holds.seen(
        "ns/c", value=value, manager=manager, operation="scale", written=written, hold_seconds=3600, now=now
    )


def test_rule_14_a_persons_replicas_hold_for_an_hour_and_are_told_once() -> None:
    holds = HumanHolds()
    first = seen(holds, 1010.0)
    assert (first.until, first.value, first.fresh) == (4600.0, 7, True)
    assert not seen(holds, 1025.0).fresh
    assert seen(holds, 4600.0) is None
    assert seen(holds, 5000.0, written=4990.0, value=8).fresh, "a new choice is told anew"


def test_a_choice_whose_time_nobody_knows_counts_from_when_it_was_first_seen() -> None:
    holds = HumanHolds()
    assert seen(holds, 1010.0, written=0.0).until == 4610.0
    assert seen(holds, 2000.0, written=0.0).until == 4610.0
    assert seen(holds, 3000.0, written=2990.0).until == 4610.0, "a time that comes later changes nothing"


def test_a_choice_of_long_ago_is_no_hold_at_first_sight() -> None:
    assert seen(HumanHolds(), 10_000.0) is None


def test_a_hold_ends_when_somebody_else_writes() -> None:
    holds = HumanHolds()
    assert seen(holds, 1010.0) is not None
    assert seen(holds, 1020.0, manager="trimtab") is None
    assert seen(holds, 1030.0).fresh, "the same number after it is a new choice"


def saw(watch: Any, value: Any, manager: Any, now: Any, generation: int = 1) -> Any:
    return watch.saw("ns/c", Lever.REPLICAS, value, manager=manager, generation=generation, now=now)


def test_rule_09_a_value_set_back_twice_in_ten_minutes_is_a_war_that_names_the_manager() -> None:
    watch = RevertWatch()
    watch.wrote("ns/c", Lever.REPLICAS, 5)
    assert saw(watch, 3, "argocd-controller", 10) is None
    assert saw(watch, 3, "argocd-controller", 25) is None, "one revert counts once"
    watch.wrote("ns/c", Lever.REPLICAS, 5)
    war = saw(watch, 3, "argocd-controller", 600)
    assert war.manager == "argocd-controller"
    assert saw(watch, 3, "argocd-controller", 4199) is not None
    assert saw(watch, 3, "argocd-controller", 4200) is None, "peace after an hour"


def test_our_own_value_seen_in_the_cluster_counts_as_written() -> None:
    watch = RevertWatch()
    for now in (0, 100):
        assert saw(watch, 5, "trimtab", now) is None
        last = saw(watch, 3, "flux", now + 15)
    assert last is not None


def test_rule_09_two_reverts_far_apart_are_no_war() -> None:
    watch = RevertWatch()
    for now in (0, 700, 1400):
        watch.wrote("ns/c", Lever.REPLICAS, 5)
        assert saw(watch, 3, "helm", now) is None


def test_rule_09_a_change_of_the_spec_ends_a_war() -> None:
    watch = RevertWatch()
    for now in (0, 60):
        watch.wrote("ns/c", Lever.REPLICAS, 5)
        war = saw(watch, 3, "flux", now)
    assert war is not None
    assert saw(watch, 3, "flux", 70, generation=2) is None


def test_the_same_value_by_another_manager_is_no_revert() -> None:
    watch = RevertWatch()
    for now in (0, 60):
        watch.wrote("ns/c", Lever.REPLICAS, 5)
        assert saw(watch, 5, "helm", now) is None


def test_a_war_over_one_lever_leaves_the_others_alone() -> None:
    watch = RevertWatch()
    for now in (0, 60):
        watch.wrote("ns/c", Lever.REPLICAS, 5)
        saw(watch, 3, "flux", now)
    assert watch.saw("ns/c", Lever.CPU, 3, manager="flux", generation=1, now=70, subject="app") is None


def test_a_mirror_that_lags_behind_our_own_write_is_no_revert() -> None:
    watch = RevertWatch()
    for now in (0, 15, 30):
        watch.wrote("ns/c", Lever.REPLICAS, 5, revision=7)
        behind = watch.saw("ns/c", Lever.REPLICAS, 3, manager="kubectl", generation=1, now=now, revision=7)
        assert behind is None
    for now in (45, 60):
        watch.wrote("ns/c", Lever.REPLICAS, 5, revision=7)
        war = watch.saw("ns/c", Lever.REPLICAS, 3, manager="kubectl", generation=1, now=now, revision=9)
    assert war is not None, "a revision after ours is somebody's write"


def test_resources_that_are_gone_are_forgotten() -> None:
    watch, holds = RevertWatch(), HumanHolds()
    watch.wrote("ns/c", Lever.REPLICAS, 5)
    seen(holds, 1010.0)
    watch.forget(set())
    holds.forget(set())
    assert saw(watch, 3, "flux", 10) is None
    assert seen(holds, 1020.0).fresh
