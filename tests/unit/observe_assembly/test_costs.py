"""What a workload costs: node prices or static ones, claims, tokens; what is not known is no zero."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.observe_assembly.bench import NOW, SPEC, config, shop, template, usage
from tests.unit.observe_assembly.scene import PODS, Bench
from trimtab.api.settings import StaticPrices
from trimtab.observe.costs import MONTH_HOURS
from trimtab.observe.prices import suspect
from trimtab.observe.source import Sample, SourceError, SourceReason

GIB = 2.0**30
STATIC = 0.031611, 0.004237
Answer = Callable[[str, float], list[Sample]]


def priced(cpu: float = 0.05, memory: float = 0.01, base: Answer | None = None, **more: float) -> Answer:
    """A Prometheus with OpenCost, and further answers by what stands in the query."""
    known = base or usage(PODS, memory=GIB)

    def answer(text: str, at: float) -> list[Sample]:
        for part, value in more.items():
            if part in text and "probe" not in text:
                return [Sample({"persistentvolumeclaim": "data"}, value, at)]
        if text == "max by (node) (node_cpu_hourly_cost)":
            return [Sample({"node": "node-1"}, cpu, at)]
        if text == "max by (node) (node_ram_hourly_cost)":
            return [Sample({"node": "node-1"}, memory, at)]
        return known(text, at) if "hourly_cost" not in text else []

    return answer


async def twice(bench: Bench, text: str = SPEC) -> Any:
    """Prices come after the first tick."""
    await bench.look(config(text))
    return await bench.look(config(text), now=NOW + 15)


async def test_compute_is_the_larger_of_request_and_use_at_the_price_of_the_node(bench: Bench) -> None:
    shop(bench.client)  # two pods that request 0.5 cores and 256 MiB, and use 0.3 and 0.5 cores and 1 GiB
    await bench.start()
    bench.prometheus.answer = priced()
    seen = await twice(bench)
    spent = seen.facts["shop/web"].spent
    assert spent.source == "OpenCost"
    assert spent.compute == pytest.approx(2 * 0.5 * 0.05 + 2 * 1.0 * 0.01)
    assert (spent.cores, spent.memory) == (1.0, 2 * 256 * 2**20)
    assert seen.observation.workloads.cost_per_hour[0] == pytest.approx(spent.compute)
    assert seen.facts["shop/web"].metrics["computeCosts"].value == pytest.approx(MONTH_HOURS * spent.compute)
    unit = seen.facts["shop/web"].metrics["costPerThousandRequests"].value
    assert unit == pytest.approx(1000 * spent.compute / (3600 * 50.0))


async def test_without_opencost_the_static_prices_hold(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.answer = usage(PODS, memory=GIB)
    spent = (await twice(bench)).facts["shop/web"].spent
    assert spent.source == "Static"
    assert spent.compute == pytest.approx(2 * 0.5 * STATIC[0] + 2 * STATIC[1])
    assert spent.bill == pytest.approx(8 * STATIC[0] + 16 * STATIC[1])


async def test_node_prices_that_stop_hold_for_a_day(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.answer = priced()
    measured = (await twice(bench)).facts["shop/web"].spent
    bench.prometheus.answer = usage(PODS, memory=GIB)
    for hours, source in ((1, "OpenCost"), (23, "OpenCost"), (25, "Static")):
        at = NOW + hours * 3600
        await bench.look(config(SPEC), now=at)
        spent = (await bench.look(config(SPEC), now=at + 75)).facts["shop/web"].spent
        assert spent.source == source, hours
        assert (spent.cpu_price == measured.cpu_price) == (source == "OpenCost")
        assert any("no series" in problem for problem in spent.problems) == (source == "OpenCost")
    assert (await bench.look(config(SPEC), now=NOW + 25 * 3600 + 150)).observation.workloads.prices[0] == 2


async def test_a_resource_may_ask_for_static_prices(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.answer = priced()
    assert (await twice(bench, SPEC + "cost: {prices: Static}\n")).facts["shop/web"].spent.source == "Static"


@pytest.mark.parametrize(("cpu", "doubted"), [(0.05, False), (0.5, True), (0.001, True)])
async def test_prices_ten_times_off_the_static_ones_are_flagged(bench: Bench, cpu: float, doubted: bool) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.answer = priced(cpu=cpu)
    problems = (await twice(bench)).facts["shop/web"].spent.problems
    assert any("node_cpu_hourly_cost" in problem for problem in problems) == doubted


@pytest.mark.parametrize(
    ("metric", "prices", "named"),
    [
        ("cpu", {"a": 0.03, "b": 0.03, "c": 3.0}, "c"),
        ("memory", {"a": 0.004, "b": 0.0, "c": 0.004}, "b"),
        ("gpu", {"a": 0.0, "b": 95.0, "c": 0.9}, "b"),
        ("cpu", {"a": 0.03, "b": 0.05, "c": 0.02}, ""),
    ],
)
def test_one_node_whose_price_can_not_be_right_is_named(metric: str, prices: dict[str, float], named: str) -> None:
    found = suspect({metric: prices}, StaticPrices())
    assert [f"node {named} " in problem for problem in found] == ([True] if named else [])


async def test_another_currency_is_said_and_not_converted(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    seen = await twice(bench, SPEC + "cost: {currency: EUR}\n")
    assert math.isnan(seen.observation.workloads.cost_per_hour[0])
    assert "EUR" in seen.facts["shop/web"].metrics["computeCosts"].message


async def test_without_usage_the_cost_is_not_known(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.answer = priced(base=usage({}))
    seen = await twice(bench)
    assert math.isnan(seen.observation.workloads.cost_per_hour[0])
    assert "computeCosts" not in seen.facts["shop/web"].metrics


def with_claim() -> Any:
    return template(volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}])


async def test_a_claim_that_two_pods_mount_is_paid_once_at_its_own_price_where_known(bench: Bench) -> None:
    shop(bench.client, pod_template=with_claim())
    await bench.start()
    bench.prometheus.answer = priced(pv_hourly_cost=0.001, storage_bytes=100 * GIB)
    seen = await twice(bench)
    assert seen.facts["shop/web"].spent.storage == pytest.approx(0.1)
    assert "storageCosts" in seen.facts["shop/web"].metrics
    asked = [text for text in bench.prometheus.asked if "storage_bytes" in text]
    assert all('namespace="shop"' in text for text in asked)


@pytest.mark.parametrize(("price", "doubted"), [(0.001, True), (0.0001, False)])
async def test_a_volume_whose_price_can_not_be_right_is_named(bench: Bench, price: float, doubted: bool) -> None:
    shop(bench.client, pod_template=with_claim())
    await bench.start()
    bench.prometheus.answer = priced(pv_hourly_cost=price, storage_bytes=100 * GIB)
    problems = (await twice(bench)).facts["shop/web"].spent.problems
    assert any("claim data" in problem for problem in problems) == doubted


async def test_a_claim_of_unknown_size_makes_the_cost_unknown_and_says_which(bench: Bench) -> None:
    shop(bench.client, pod_template=with_claim())
    await bench.start()
    bench.prometheus.answer = priced()
    seen = await twice(bench)
    assert math.isnan(seen.observation.workloads.cost_per_hour[0])
    lost = seen.facts["shop/web"].metrics["storageCosts"]
    assert lost.reason == "PriceUnknown"
    assert "claim data" in lost.message


API = SPEC + 'cost: {api: {models: [{name: gpt-4.1, inputPerMillion: "2", outputPerMillion: "8"}]}}\n'


async def test_tokens_are_paid_by_model_and_side_of_this_workloads_pods(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.answer = priced(base=usage(PODS, memory=GIB))
    base = bench.prometheus.answer

    def answer(text: str, at: float) -> list[Sample]:
        if "gen_ai_client_token_usage" in text and "probe" not in text:
            return [Sample({}, 0.002, at)] if "!~" not in text else []
        return base(text, at)

    bench.prometheus.answer = answer
    seen = await twice(bench, API)
    assert seen.facts["shop/web"].spent.api == pytest.approx(7.2)
    (asked,) = {t for t in bench.prometheus.asked if "output" in t and "probe" not in t}
    assert "8e-06" in asked or "0.000008" in asked
    assert asked.count('namespace="shop"') == 2
    assert asked.count("pod=~") == 2


async def test_tokens_of_a_model_without_a_price_and_a_price_without_tokens_are_said(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    base = priced()

    def answer(text: str, at: float) -> list[Sample]:
        if "!~" in text and "gen_ai" in text and "probe" not in text:
            return [Sample({}, 50.0, at)]
        return base(text, at)

    bench.prometheus.answer = answer
    spent = (await twice(bench, API)).facts["shop/web"].spent
    assert math.isnan(spent.api)
    assert any("cost.api.models" in problem for problem in spent.problems)


async def test_a_cost_that_is_declared_as_a_metric_is_the_users(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    text = SPEC.replace("  metrics:\n", "  metrics:\n  - {name: computeCosts, query: 'sum(rate(my_count[5m]))'}\n")
    assert (await twice(bench, text)).facts["shop/web"].metrics["computeCosts"].value == 50.0


async def test_a_datasource_that_is_down_leaves_the_static_prices(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    down = SourceError(SourceReason.TIMEOUT, "late")

    def answer(text: str, at: float) -> list[Sample]:
        if "hourly_cost" in text:
            raise down
        return usage(PODS, memory=GIB)(text, at)

    bench.prometheus.answer = answer
    assert (await twice(bench)).facts["shop/web"].spent.source == "Static"


@pytest.mark.parametrize(
    ("prefer", "room", "utilization"), [("Cost", 0.02, 0.8), ("Balanced", 0.08, 0.7), ("Latency", 0.25, 0.55)]
)
async def test_what_is_preferred_sets_the_room_and_the_utilization(
    bench: Bench, prefer: str, room: float, utilization: float
) -> None:
    shop(bench.client)
    await bench.start()
    text = SPEC.replace("optimization:\n", f"optimization:\n  prefer: {prefer}\n")
    w = (await bench.look(config(text))).observation.workloads
    assert w.room[0] == room
    assert w.target_utilization[0] == pytest.approx(utilization)
