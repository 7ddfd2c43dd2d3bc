"""`trimtab backtest`, and the operator's queries, against a real Mimir with two tenants."""

import json
import math
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pytest

from tests.integration.backtest.stores import DAYS, PODS, Sample, fetched, program, run, running, samples, today
from tests.integration.observe.bed import free_port, wait_for
from tests.unit.observe.sources import source_at
from trimtab.api.datasource import TenantHeader
from trimtab.observe.source import SourceError, SourceReason

END = int(time.time()) // 3600 * 3600 - 3600
"""Mimir takes nothing of the future."""
LONGEST = "20h"
"""The longest range that this Mimir lets a query have: less than the day that is asked for."""
RINGS = (
    *("alertmanager.sharding-ring", "compactor.ring", "distributor.ring", "ingester.ring", "querier.ring"),
    *("overrides-exporter.ring", "query-scheduler.ring", "ruler.ring", "store-gateway.sharding-ring"),
)


def flags(folder: Path, port: int) -> list[str]:
    """Everything in one process, files for storage, tenants told apart."""
    words: dict[str, object] = {
        "target": "all",
        "auth.multitenancy-enabled": "true",
        "server.http-listen-address": "127.0.0.1",
        "server.http-listen-port": port,
        "server.grpc-listen-address": "127.0.0.1",
        "server.grpc-listen-port": free_port(),
        "memberlist.bind-addr": "127.0.0.1",
        "memberlist.bind-port": free_port(),
        "query-frontend.instance-addr": "127.0.0.1",
        "usage-stats.enabled": "false",
        "common.storage.backend": "filesystem",
        "common.storage.filesystem.dir": folder / "common",
        "blocks-storage.storage-prefix": "blocks",
        "blocks-storage.tsdb.dir": folder / "tsdb",
        "blocks-storage.bucket-store.sync-dir": folder / "sync",
        "activity-tracker.filepath": folder / "activity.log",
        "compactor.data-dir": folder / "compactor",
        "ruler.rule-path": folder / "rules",
        "alertmanager.storage.path": folder / "alertmanager",
        "ingester.ring.replication-factor": 1,
        "ingester.ring.min-ready-duration": "0s",
        "store-gateway.sharding-ring.replication-factor": 1,
        "ingester.out-of-order-time-window": "10y",
        "distributor.ingestion-rate-limit": 10**6,
        "distributor.ingestion-burst-size": 10**7,
        "querier.query-ingesters-within": "0s",
        "query-frontend.max-total-query-length": LONGEST,
        "log.level": "warn",
    }
    words |= {f"{ring}.store": "inmemory" for ring in RINGS}
    words |= {f"{ring}.instance-addr": "127.0.0.1" for ring in RINGS}
    return [f"-{name}={value}" for name, value in words.items()]


def otlp(made: Sequence[Sample]) -> bytes:
    """The samples as a JSON body of the OpenTelemetry protocol."""
    metrics = []
    for name, found in groupby(sorted(made, key=lambda one: one.name), key=lambda one: one.name):
        points = [
            {
                "timeUnixNano": str(one.at * 10**9),
                "asDouble": one.value,
                "attributes": [{"key": key, "value": {"stringValue": text}} for key, text in one.labels.items()],
            }
            for one in found
        ]
        metrics.append({"name": name, "gauge": {"dataPoints": points}})
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()


@contextmanager
def mimir(folder: Path) -> Iterator[str]:
    """Mimir; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = folder / "mimir.log"
    with running([program("mimir"), *flags(folder, port)], log) as process:

        def up() -> bool:
            assert process.poll() is None, log.read_text()[-2000:]
            return bool(fetched(f"{url}/ready") == "ready")

        wait_for(up)
        yield url


def push(url: str, tenant: str, made: Sequence[Sample]) -> None:
    """Write these samples as a tenant."""
    headers = {"X-Scope-OrgID": tenant, "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{url}/otlp/v1/metrics", otlp(made), headers)
    urllib.request.urlopen(asked, timeout=60.0).close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mimir(tmp_path_factory.mktemp("mimir")) as address:
        push(address, "shop-team", samples(0.5, END, more={"cluster": "prod"}))
        push(address, "lab-team", samples(2.0, END, more={"cluster": "test"}))
        yield f"{address}/prometheus"


def test_a_tenant_reads_its_own_series_and_without_one_it_is_refused(url: str, tmp_path: Path) -> None:
    for tenant, cores in (("shop-team", 0.5), ("lab-team", 2.0)):
        file = tmp_path / f"{tenant}.json"
        done = run(url, END, file, "--tenant", tenant)
        assert done.exit_code == 0, done.output
        assert today(file)["level"] == pytest.approx(2 * cores)
        assert today(file)["monthly_cost"] == pytest.approx(PODS * 2 * cores * 0.031611 * 730)
        assert "clusters" not in done.output
    nobody = run(url, END, tmp_path / "none.json")
    assert nobody.exit_code == 1
    assert "refused the credentials (HTTP 401" in nobody.output


async def test_ranges_past_the_server_s_limit_are_refused_and_the_backtest_asks_in_halves(url: str) -> None:
    async with source_at(url, tenant_header=TenantHeader(value="shop-team")) as source:
        with pytest.raises(SourceError) as refused:
            await source.query_range("machine_cpu_cores", END - DAYS * 86400, END, 300)
        assert refused.value.reason is SourceReason.BAD_QUERY
        assert LONGEST in refused.value.message


async def test_answers_are_a_tenants_own_and_a_wrong_query_is_told_as_one(url: str) -> None:
    async with source_at(url, tenant_header=TenantHeader(value="lab-team")) as source:
        (cores,) = await source.query("sum by (cluster) (machine_cpu_cores)", END)
        assert (cores.labels, cores.value, cores.at) == ({"cluster": "test"}, 64.0, END)
        used = "sum(rate(container_cpu_usage_seconds_total[5m]))"
        (rate,) = await source.query_range(used, END - 3600, END, 300)
        assert rate.values == pytest.approx([2.0 * PODS] * 13)
        assert math.isnan((await source.query("sum(machine_cpu_cores) * NaN", END))[0].value)
        assert await source.query("nothing", END) == []
        with pytest.raises(SourceError) as wrong:
            await source.query("sum(rate(nothing))", END)
        assert wrong.value.reason is SourceReason.BAD_QUERY
