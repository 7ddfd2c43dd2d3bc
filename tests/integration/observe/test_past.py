"""Against a real Prometheus with three weeks of history: objectives and cost baselines come back as they were."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.observe.bed import Exporter, Prometheus, bed
from tests.integration.observe.pages import HISTORY_END
from tests.unit.observe_assembly.bench import SPEC, FakeClient, config, settings, shop, started_world
from trimtab.api.datasource import Datasource
from trimtab.decide.cost import COUNT
from trimtab.decide.engine import decide, learn_costs, learn_objectives
from trimtab.decide.settings import Settings
from trimtab.decide.state import State
from trimtab.observe.costhistory import CostHistory
from trimtab.observe.counted import CountedSource
from trimtab.observe.facts import Seen
from trimtab.observe.goalhistory import EMPTY_DAYS, GoalHistory
from trimtab.observe.observer import Observer
from trimtab.observe.prometheus import PrometheusSource
from trimtab.observe.spent import Spent

DAY, STEP = 86_400.0, 120.0
DAYS = 20
START = HISTORY_END - DAYS * DAY
SWITCH = START + 10 * DAY
"""When the pod was replaced by another one."""
OUTAGE = (HISTORY_END - 2 * DAY, HISTORY_END - 2 * DAY + 6 * 3600.0)
"""All of it failed, and was slow."""
OBJECTIVES = SPEC.replace(
    "optimization:",
    """  objectives:
  - {name: answered, good: 'sum(rate(shop_total{code="200"}[5m]))', total: 'sum(rate(shop_total[5m]))', target: "0.99"}
  - {name: fast, metric: totalLatency, atMost: "0.5", target: "0.99", windowDays: 14}
  retentionDays: 14
optimization:""",
    1,
).replace("histogram_quantile(0.95, sum by (le) (rate(dur_bucket[2m])))", "max(shop_latency_seconds)")


def history() -> str:
    """OpenMetrics text: ten requests a second, 1% of which fail, but for the outage; half a core and 1 GiB used."""
    lines: dict[str, list[str]] = {
        name: [] for name in ("shop", "shop_latency_seconds", "container_cpu_usage_seconds", "container_memory")
    }
    counts = {"200": 0.0, "500": 0.0}
    cpu = 0.0
    for at in np.arange(START, HISTORY_END, STEP):
        pod = "web-6bcf4d8f-bcdfg" if at < SWITCH else "web-55555555-zzzzz"
        if abs(at - SWITCH) < STEP / 2:
            counts, cpu = {"200": 0.0, "500": 0.0}, 0.0
        out = OUTAGE[0] <= at < OUTAGE[1]
        counts["500"] += STEP * (10.0 if out else 0.1)
        counts["200"] += STEP * (0.0 if out else 9.9)
        cpu += STEP * 0.5
        labels = f'namespace="shop",pod="{pod}"'
        for code, count in counts.items():
            lines["shop"].append(f'shop_total{{{labels},code="{code}"}} {count} {at:.0f}')
        lines["shop_latency_seconds"].append(f"shop_latency_seconds{{{labels}}} {2.0 if out else 0.1} {at:.0f}")
        inside = f'{labels},container="app"'
        lines["container_cpu_usage_seconds"].append(f"container_cpu_usage_seconds_total{{{inside}}} {cpu} {at:.0f}")
        lines["container_memory"].append(f"container_memory_working_set_bytes{{{inside}}} {1 << 30} {at:.0f}")
    names = {"container_memory": "container_memory_working_set_bytes"}
    text = []
    for name, rows in lines.items():
        kind = "counter" if name in ("shop", "container_cpu_usage_seconds") else "gauge"
        text += [f"# TYPE {names.get(name, name)} {kind}", *sorted(rows, key=lambda row: row.rpartition(" ")[0])]
    return "\n".join([*_by_series(text), "# EOF", ""])


def _by_series(text: list[str]) -> list[str]:
    """Samples of one series together and in the order of time, as OpenMetrics wants them."""
    kept: list[str] = []
    series: dict[str, list[str]] = {}
    for line in [*text, "#"]:
        if line.startswith("#"):
            for rows in series.values():
                kept += sorted(rows, key=lambda row: int(row.rsplit(" ", 1)[1]))
            series = {}
            if line != "#":
                kept.append(line)
        else:
            series.setdefault(line.partition("}")[0], []).append(line)
    return kept


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder: Path = tmp_path_factory.mktemp("past")
    with bed(folder, Exporter(), history()) as running:
        yield running


class Desk:
    """An Observer over a cluster in memory and the real Prometheus; queries are counted."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.asked: list[str] = []
        self.datasource = Datasource(name="default", url=prometheus.url, timeout_seconds=20.0)
        self.source = PrometheusSource(self.datasource, random.Random(1))
        self.sources: dict[str, Any] = {"default": CountedSource(self.source, self.asked.append)}

    async def seen(self, spec: str) -> Seen:
        client = FakeClient()
        shop(client)
        self.world = await started_world(client)
        self.observer = Observer(self.world, self.sources, {}, settings())
        one = config(spec)
        return await self.observer.observe({one.key: one}, HISTORY_END)

    async def close(self) -> None:
        await self.observer.close()
        await self.world.stop()
        await self.source.aclose()


async def test_objectives_come_back_as_they_were_and_in_a_bounded_number_of_queries(past: Prometheus) -> None:
    desk = Desk(past)
    seen = await desk.seen(OBJECTIVES)
    reader = GoalHistory(desk.sources, [desk.datasource], desk.observer.plans)
    state = State()
    desk.asked.clear()
    while keys := reader.wanted(seen, HISTORY_END):
        found = await reader.read(seen, keys, HISTORY_END)
        state = learn_objectives(state, seen.observation, found, Settings())
    # 20 days there are and three that are empty for two queries, and 14 days for one.
    assert len(desk.asked) == 2 * (DAYS + EMPTY_DAYS) + 14
    plan, _ = decide(replace(seen.observation, now=HISTORY_END + 60), state, Settings())
    answered, fast = plan.objectives.attainment
    bad = (6 * 3600.0 * 10 + (DAYS * DAY - 6 * 3600.0) * 0.1) / (DAYS * DAY * 10)
    assert answered == pytest.approx(1 - bad, abs=5e-4)
    assert fast == pytest.approx(1 - 6 / (14 * 24), abs=5e-4)
    assert plan.objectives.known[0] == pytest.approx(DAYS / 30, abs=0.01), "the rest of the window is not known"
    assert plan.objectives.known[1] == pytest.approx(1.0, abs=0.01)
    rates = plan.objectives.burn
    assert rates[0, 0] == pytest.approx(1.0, abs=0.05)
    assert rates[1, -1] == pytest.approx(6 / 72 / 0.01, rel=0.1)
    await desk.close()


async def test_the_cost_of_hours_that_are_gone_is_the_baseline(past: Prometheus) -> None:
    desk = Desk(past)
    metric = "totalLatency, query: 'sum(rate(shop_total[5m]))', unit: req/s"
    seen = await desk.seen(
        OBJECTIVES.replace("totalLatency, query: 'max(shop_latency_seconds)', unit: seconds", metric)
    )
    spent = Spent("USD", "Static", 1.0, 0.0, 0.0, 1.0, 1.0, cpu_price=0.03, memory_price=0.004, gpu_price=0.9)
    facts = replace(seen.facts["shop/web"], spent=spent, arrival=10.0)
    seen = replace(seen, facts={"shop/web": facts})
    found = await CostHistory(desk.sources, [desk.datasource], desk.observer.plans).read(
        seen, ["shop/web"], HISTORY_END
    )
    assert len(found.cost) == pytest.approx(14 * 24, abs=2)
    # One pod that asked for half a core and 256 MiB, and used half a core and 1 GiB.
    assert np.median(found.cost) == pytest.approx(0.5 * 0.03 + 0.004, rel=0.01)
    assert np.nanmedian(found.requests) == pytest.approx(36_000.0, rel=0.01)
    state = learn_costs(State(), seen.observation, found, Settings())
    assert state.standing.costs.baseline[0, COUNT] == pytest.approx(14 * 24, abs=2)
    await desk.close()
