"""The process: one leads, another takes over, signals end it cleanly, and a restart goes on where it was."""

import signal
from collections.abc import Callable

from tests import reading
from tests.integration.operator.conftest import LEASE_NAMESPACE, Cluster, Operator, config, deployment, until


def holder(shop: Cluster) -> str:
    found = reading.one(shop.bed, "lease", LEASE_NAMESPACE, "trimtab")
    return str(found.get("spec", {}).get("holderIdentity") or "")


def test_sigterm_ends_a_leader_at_once_and_releases_the_lease(
    operators: Callable[..., Operator], shop: Cluster
) -> None:
    operator = operators("leaver")
    until(operator.leads, 90, "it leads")
    assert holder(shop).startswith("leaver_")
    assert operator.end(signal.SIGTERM) == 0, operator.log
    assert holder(shop) == ""


def test_a_follower_is_ready_and_takes_over_after_a_kill(operators: Callable[..., Operator], shop: Cluster) -> None:
    first = operators("first")
    until(first.leads, 90, "the first leads")
    second = operators("second")
    until(lambda: second.get("/readyz"), 90, "the second is ready")
    assert not second.leads()
    assert second.get("/healthz") == "ok\n"
    first.end(signal.SIGKILL)
    until(second.leads, 30, "the second leads")
    assert holder(shop).startswith("second_")


def test_a_follower_ends_at_once_on_sigterm(operators: Callable[..., Operator]) -> None:
    first = operators("first")
    until(first.leads, 90, "the first leads")
    second = operators("second")
    until(lambda: second.get("/readyz"), 90, "the second is ready")
    assert second.end(signal.SIGTERM) == 0, second.log


def test_after_a_kill_conditions_keep_their_times(operators: Callable[..., Operator], shop: Cluster) -> None:
    first = operators("first")
    shop.apply(deployment("app"), config("app"))
    before = shop.condition("app", "TargetFound", "True")["lastTransitionTime"]
    first.end(signal.SIGKILL)
    second = operators("second")
    until(second.leads, 90, "the second leads")
    until(lambda: second.ticks() >= 2, 90, "two ticks")
    assert shop.condition("app", "TargetFound", "True")["lastTransitionTime"] == before


def test_a_resource_deleted_while_nobody_ran_is_not_missed(operators: Callable[..., Operator], shop: Cluster) -> None:
    first = operators("first")
    shop.apply(deployment("app"), config("app"))
    shop.condition("app", "TargetFound", "True")
    first.end(signal.SIGKILL)
    shop.bed.kubectl("delete", "performanceconfig", "app", "-n", "operated", "--wait=true", timeout=60)
    second = operators("second")
    until(lambda: second.ticks() >= 1, 90, "a tick")
    assert "trimtab_performanceconfigs 0.0" in second.get("/metrics")


def test_wrong_settings_are_refused_with_the_field(operators: Callable[..., Operator]) -> None:
    operator = operators("wrong", tickSeconds=-1)
    assert operator.process is not None
    assert operator.process.wait(30) == 1
    assert "tickSeconds" in operator.log
