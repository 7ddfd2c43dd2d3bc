"""A surge on real pods: running pods have more CPU at once, new ones come, and the loan is handed back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from tests.e2e.operating import Crew, Shop, opened, ready
from tests.e2e.surging import CALM, LIMIT, NAME, PODS, SURGE, Customers, loan, prepare, quotas, told
from trimtab.api.quantity import Quantity

pytestmark = pytest.mark.pods

NAMESPACE = f"surge-{os.getpid()}"
RATES_SECONDS = 300.0
"""CPU and latency are means over half a minute; a start of the operator comes before."""


@pytest.fixture(scope="module")
def shop(pods_cluster: Bed) -> Iterator[Shop]:
    with opened(pods_cluster, NAMESPACE) as made:
        prepare(made)
        yield made


@pytest.fixture(scope="module")
def crew(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    # What the nodes have free can be seen only where all pods can be.
    made = Crew(shop.bed, NAMESPACE, tmp_path_factory.mktemp("operators"), shop.bed.prometheus_url, {"namespaces": []})
    made.start()
    yield made
    if made.runs:
        assert made.one.end() == 0, made.one.log


def test_a_surge_is_bridged_by_lent_cpu_which_is_handed_back_when_new_pods_are_ready(shop: Shop, crew: Crew) -> None:
    first = {pod["metadata"]["name"] for pod in shop.pods(NAME)}
    with Customers(shop, rate=CALM * PODS).coming() as customers:
        shop.until(lambda: len(customers.answered) > 20, "answers from the calm service", 60.0)
        customers.rate = SURGE * PODS
        shop.until(lambda: told(shop, "SurgeBridged"), "a loan", RATES_SECONDS)
        lent, limit = cores(loan(shop)["cpu"]), cores(shop.entry(NAME)["limits"]["cpu"])
        assert lent > 0
        shop.until(lambda: all(quotas(shop)[name] >= limit + 0.9 * lent for name in first), "CPU in the cgroups", 60.0)
        new = [p for p in shop.pods(NAME) if p["metadata"]["name"] not in first]
        assert all(cores(p["spec"]["containers"][0]["resources"]["limits"]["cpu"]) <= limit for p in new)
        crew.kill()  # at the worst moment: the loan is out, nobody is there to take it back
        crew.start()
        shop.until(lambda: sum(map(ready, shop.pods(NAME))) > PODS, "a new pod that is ready", RATES_SECONDS)
        customers.rate = CALM * PODS
        shop.until(lambda: not loan(shop), "the return of the loan", RATES_SECONDS)
    shop.until(lambda: set(quotas(shop).values()) == {entry_limit(shop)}, "CPU as without the loan", 120.0)
    assert told(shop, "BridgeReturned")
    assert {pod["metadata"]["name"] for pod in shop.pods(NAME)} >= first, "no pod was replaced for it"


def cores(quantity: str) -> float:
    """A CPU quantity as a number."""
    return float(Quantity(quantity))


def entry_limit(shop: Shop) -> float:
    """CPU limit that new pods get, as the kernel counts it."""
    return round(cores(shop.entry(NAME).get("limits", {}).get("cpu", LIMIT)), 5)
