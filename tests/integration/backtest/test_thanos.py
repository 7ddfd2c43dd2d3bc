"""`trimtab backtest`, and the operator's queries, against a real Thanos: two clusters, one with two replicas."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.backtest.stores import DAYS, PODS, prometheus, querier, run, samples, sidecar, thanos, today
from tests.integration.observe.bed import wait_for
from tests.unit.observe.sources import source_at
from trimtab.observe.source import SourceError, SourceReason

END = 1_790_000_000 // 3600 * 3600
BEGIN = END - DAYS * 86400
DAY_TWO = BEGIN + 86400
"""Each replica misses six hours of the second day; the other has them."""
PASTS = [
    ({"cluster": "prod", "replica": "a", "team": "shop"}, samples(0.5, END, gap=(DAY_TWO, DAY_TWO + 21600))),
    ({"cluster": "prod", "replica": "b", "team": "shop"}, samples(0.5, END, gap=(DAY_TWO + 30000, DAY_TWO + 51600))),
    ({"cluster": "test", "replica": "a", "team": "lab"}, samples(2.0, END)),
]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with thanos(tmp_path_factory.mktemp("thanos"), PASTS) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def url(stores: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with querier(tmp_path_factory.mktemp("query"), stores) as address:
        yield address


def test_replicas_of_a_cluster_are_one_and_fill_each_other_s_gaps(url: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    done = run(url, END, file, "--matcher", "cluster=prod")
    assert done.exit_code == 0, done.output
    assert today(file)["level"] == pytest.approx(1.0)
    assert today(file)["monthly_cost"] == pytest.approx(PODS * 1.0 * 0.031611 * 730)
    assert "recordings miss more than" not in done.output
    assert "This server holds 2 clusters (prod, test)" in run(url, END, file).output


def test_a_store_that_does_not_answer_is_an_error_and_no_smaller_sum(tmp_path: Path) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(prometheus(tmp_path / name, *PASTS[at])) for name, at in (("a", 0), ("b", 2))]
        addresses = [stack.enter_context(sidecar(server)) for server in servers]
        url = stack.enter_context(querier(tmp_path, addresses))
        servers[1].stop()
        done = run(url, END, tmp_path / "report.json")
        assert done.exit_code == 1
        assert "can't answer now (HTTP 422, unavailable)" in done.output
        assert "single moment" not in done.output


def test_a_store_that_is_never_given_up_is_no_smaller_sum_either(tmp_path: Path) -> None:
    """Thanos then answers, with a warning, in spite of partial_response=false."""
    file = tmp_path / "report.json"
    with ExitStack() as stack:
        servers = [stack.enter_context(prometheus(tmp_path / name, *PASTS[at])) for name, at in (("a", 0), ("b", 2))]
        first = stack.enter_context(sidecar(servers[0]))
        with sidecar(servers[1]) as second:
            flags = [f"--endpoint-strict={address}" for address in (first, second)]
            url = stack.enter_context(querier(tmp_path, [], *flags))
            wait_for(lambda: run(url, END, file).output.count("This server holds 2 clusters") == 1)
        servers[1].stop()
        done = run(url, END, file)
        assert done.exit_code == 1
        assert "a store behind it did not answer" in done.output


def test_a_tenant_reads_its_own_series_under_thanos_s_header(stores: list[str], tmp_path: Path) -> None:
    flags = ("--query.enforce-tenancy", "--query.tenant-label-name=team")
    file = tmp_path / "report.json"
    with querier(tmp_path, stores, *flags) as url:
        done = run(url, END, file, "--tenant", "lab", "--tenant-header", "THANOS-TENANT")
        assert done.exit_code == 0, done.output
        assert today(file)["level"] == pytest.approx(4.0)
        assert "clusters" not in done.output
        other = run(url, END, file, "--tenant", "lab")
        assert other.exit_code == 1
        assert "no container's usage was found" in other.output


async def test_answers_are_prometheus_own_and_a_wrong_query_is_told_as_one(url: str) -> None:
    async with source_at(url) as source:
        (cores,) = await source.query("sum(machine_cpu_cores)", END)
        assert (cores.value, cores.at) == (128.0, END)
        (mean,) = await source.query_range(
            'sum(rate(container_cpu_usage_seconds_total{cluster="prod"}[5m]))', END - 3600, END, 300
        )
        assert mean.values == pytest.approx([0.5 * PODS] * 13)
        assert math.isnan((await source.query('sum(machine_cpu_cores{cluster="test"}) * NaN', END))[0].value)
        assert await source.query("nothing", END) == []
        with pytest.raises(SourceError) as wrong:
            await source.query("sum(rate(nothing))", END)
        assert wrong.value.reason is SourceReason.BAD_QUERY
