"""What the exporters of the bed show, what is in the past, and sources that ask for it."""

import itertools
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.integration.observe.bed import Prometheus, eventually
from trimtab.api.answers import Answer
from trimtab.api.datasource import Datasource, Tenancy, TenancyOverride
from trimtab.observe.answers import ask
from trimtab.observe.podmatcher import PodMatcher
from trimtab.observe.prometheus import PrometheusSource
from trimtab.observe.promql import parse

TENANCY = Tenancy(overrides=(TenancyOverride(metric_pattern="kube_.*", label="exported_namespace"),))
SCRAPE_SECONDS = 2.0
"""The interval the datasource declares; it is scraped twice as often, so that a busy machine makes nothing stale."""
HIDDEN = 1e15
"""Every number of the other tenant is at least this, ours are below."""
COUNT = itertools.count(1)
NAMES = ("up", "secret", "secret_bucket")


def tenants() -> str:
    """The same metrics for two namespaces; the other one's numbers and labels give it away."""
    lines = []
    for namespace, base in (("mine", 1.0), ("other", HIDDEN)):
        for pod in ("web-1", "web-2"):
            labels = f'namespace="{namespace}",pod="{pod}",secret="{namespace}"'
            lines += [f'{name}{{{labels},le="+Inf"}} {base}' for name in NAMES]
            lines.append(
                f'kube_pod_info{{namespace="mine",exported_namespace="{namespace}",exported_pod="{pod}"}} {base}'
            )
    return "\n".join(lines) + "\n"


def service() -> str:
    """Two pods that serve requests, and a third that has none."""
    step = next(COUNT)
    lines = []
    for pod, counts in {"web-1": (4, 9, 10), "web-2": (1, 2, 10), "idle-1": (0, 0, 0)}.items():
        for le, count in zip(("0.1", "0.5", "+Inf"), counts, strict=True):
            labels = f'namespace="mine",pod="{pod}",le="{le}"'
            lines.append(f"http_server_request_duration_seconds_bucket{{{labels}}} {step * count}")
        lines.append(f'vllm:num_requests_waiting{{namespace="mine",pod="{pod}"}} {counts[1]}')
    return "\n".join(lines) + "\n"


def mortal() -> str:
    return f'requests_total{{namespace="mine",pod="web-1"}} {next(COUNT) * 10}\n'


def cadvisor() -> str:
    """A kubelet's page: a live container, one remembered from ten minutes ago, and the pause container. Explicit
    times, as cAdvisor gives them: such series do not end when the container does."""
    now, then = int(time.time() * 1000), int((time.time() - 120.0) * 1000)
    live = 'namespace="mine",pod="web-1",id="/a",image="i",name="n",container='
    gone = 'namespace="mine",pod="web-0",id="/b",image="i",name="n",container='
    cores = time.time() * 0.5
    return "\n".join(
        [
            f'container_cpu_usage_seconds_total{{{live}"app"}} {cores} {now}',
            f'container_cpu_usage_seconds_total{{{live}"POD"}} {cores} {now}',
            f'container_memory_working_set_bytes{{{live}"app"}} 1000 {now}',
            f'container_memory_working_set_bytes{{{live}"POD"}} 7 {now}',
            f'container_memory_working_set_bytes{{{live}""}} 1007 {now}',
            f'container_memory_working_set_bytes{{{gone}"app"}} 5000 {then}',
            f'container_cpu_cfs_periods_total{{{live}"app"}} {time.time() * 10} {now}',
            f'container_cpu_cfs_throttled_periods_total{{{live}"app"}} {time.time() * 2} {now}',
            f'container_network_receive_bytes_total{{namespace="mine",pod="web-1",interface="eth0"}} {cores * 8} {now}',
            f'container_network_receive_bytes_total{{namespace="mine",pod="web-1",interface="lo"}} {cores * 900} {now}',
            "",
        ]
    )


def past(end: float) -> str:
    """Two days of a container's life in OpenMetrics: 0.25 cores, and a sawtooth of memory."""
    cpu, memory = [], []
    for step in range(2 * 86_400 // 60):
        at = end - 2 * 86_400 + step * 60
        labels = 'namespace="mine",pod="old-1",container="app"'
        cpu.append(f"container_cpu_usage_seconds_total{{{labels}}} {step * 15.0} {at:.0f}")
        memory.append(f"container_memory_working_set_bytes{{{labels}}} {1000 + step % 5} {at:.0f}")
    return "\n".join(
        [
            "# TYPE container_cpu_usage_seconds counter",
            *cpu,
            "# TYPE container_memory_working_set_bytes gauge",
            *memory,
            "# EOF",
            "",
        ]
    )


HISTORY_END = (time.time() // 7200 - 1) * 7200


@asynccontextmanager
async def source_of(prometheus: Prometheus, **settings: Any) -> AsyncIterator[PrometheusSource]:
    values = {"scrape_interval_seconds": SCRAPE_SECONDS, "timeout_seconds": 20.0, **settings}
    source = PrometheusSource(Datasource(name="main", url=prometheus.url, **values), random.Random(1))
    try:
        yield source
    finally:
        await source.aclose()


async def answer_of(source: PrometheusSource, text: str, pods: PodMatcher | None = None) -> Answer:
    query = parse(text).confine(TENANCY, "mine", pods)
    (answer,) = await ask(source, [query], time.time())
    return answer


async def scraped(source: PrometheusSource, text: str, at_least: int) -> None:
    await eventually(lambda: source.query(text, time.time()), lambda samples: len(samples) >= at_least)
