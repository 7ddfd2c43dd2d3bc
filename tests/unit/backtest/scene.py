"""A Prometheus of the test's making: weeks of usage that follow from the queries' text."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from trimtab.decide.columns import F8
from trimtab.observe.source import Sample, Series, SourceError, SourceReason

END = 1_800_000_000.0
DAY = 86_400.0
MIB = 2.0**20


def daily(low: float, high: float) -> Callable[[F8], F8]:
    """Usage with a day's wave and some noise, the same for the same times."""

    def usage(times: F8) -> F8:
        wave = 0.5 - 0.5 * np.cos(2 * math.pi * times / DAY)
        noise = 0.1 * np.sin(times / 37.0) * np.sin(times / 911.0)
        return np.asarray(low + (high - low) * np.clip(wave + noise, 0, 1), dtype=np.float64)

    return usage


@dataclass
class FakeHistory:
    """A MetricSource. `pods`: (namespace, pod, container) → cores."""

    pods: dict[tuple[str, str, str], Callable[[F8], F8]]
    owners: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """(namespace, pod) → kind and name, as kube-state-metrics tells."""
    requests: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """(namespace, pod, container) → cores, as kube-state-metrics tells."""
    pod_requests: dict[tuple[str, str], float] = field(default_factory=dict)
    """(namespace, pod) → cores, as the scheduler tells."""
    most: int = 1_000_000
    """Samples of one answer; more is refused."""
    took: float = 0.0
    """Seconds by the clock that a query takes."""
    now: float = 0.0
    asked: list[str] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    """Namespaces whose queries fail."""
    failure: SourceError = field(
        default_factory=lambda: SourceError(SourceReason.SERVER_ERROR, "The datasource answered 503.")
    )
    """What is said of them."""
    away: tuple[float, float] = (math.inf, math.inf)
    """From when to when, by the clock, nothing is answered."""
    refusal: SourceReason = SourceReason.TOO_LARGE
    """What is said of an answer that is too large."""
    kills: dict[tuple[str, str, str], Callable[[F8], F8]] = field(default_factory=dict)
    """(namespace, pod, container) → restarts so far, each after an OOM kill."""
    tells_reasons: bool = False
    """Whether kube-state-metrics tells why anything ended."""
    nodes: bool = False
    """Whether nodes are measured."""
    sizes: list[int] = field(default_factory=list)
    """Samples of every answer."""
    name: str = "backtest"
    scrape_interval_seconds: float = 30.0

    def clock(self) -> float:
        return self.now

    async def aclose(self) -> None:
        pass

    async def query(self, promql: str, at: float) -> list[Sample]:
        raise AssertionError("a backtest asks for ranges only")

    async def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        self.asked.append(promql)
        self.now += self.took
        times = np.arange(start, end + 1, step)
        if self.away[0] <= self.now < self.away[1]:
            raise SourceError(SourceReason.UNREACHABLE, "Datasource backtest can't be reached.")
        namespace = found[1] if (found := re.search(r'namespace="([^"]*)"', promql)) else ""
        if namespace in self.down:
            raise self.failure
        result = self._answer(promql, namespace, times)
        self.sizes.append(sum(len(one.times) for one in result))
        if self.sizes[-1] > self.most:
            if self.refusal is SourceReason.TIMEOUT:
                self.now += 60.0
            raise SourceError(self.refusal, "The answer is too long.")
        return result

    def _answer(self, promql: str, namespace: str, times: F8) -> list[Series]:
        mine = {key: usage for key, usage in self.pods.items() if key[0] == namespace}
        memory = 'resource="memory"' in promql
        if promql.startswith("group by (namespace)"):
            return [Series({"namespace": one}, times, np.ones(len(times))) for one in {key[0] for key in self.pods}]
        if promql.startswith("count("):
            return [Series({}, times, np.full(len(times), float(len(mine))))]
        if "machine_cpu_cores" in promql:
            return [Series({}, times, np.ones(len(times)))] if self.nodes else []
        if promql.startswith("group(kube_pod_container_status_last_terminated_reason"):
            return [Series({}, times, np.ones(len(times)))] if self.tells_reasons else []
        if "last_terminated_reason" in promql or "restarts_total" in promql:
            return [
                Series({"pod": pod, "container": container}, times, restarts(times))
                for (where, pod, container), restarts in self.kills.items()
                if where == namespace
            ]
        if "kube_pod_owner" in promql:
            told = {pod: owner for (where, pod), owner in self.owners.items() if where == namespace}
            return [
                Series({"pod": pod, "owner_kind": kind, "owner_name": name}, times, np.ones(len(times)))
                for pod, (kind, name) in told.items()
            ]
        if "kube_replicaset_owner" in promql:
            return []
        if "kube_pod_container_resource_requests" in promql:
            return [
                Series(
                    {"pod": pod, "container": container},
                    times,
                    np.full(len(times), cores * (MIB * 512 if memory else 1)),
                )
                for (where, pod, container), cores in self.requests.items()
                if where == namespace
            ]
        if "kube_pod_resource_request" in promql:
            return [
                Series({"pod": pod}, times, np.full(len(times), cores * (MIB * 512 if memory else 1)))
                for (where, pod), cores in self.pod_requests.items()
                if where == namespace
            ]
        size = 256 * MIB if "memory" in promql else 1.0
        return [
            Series({"pod": pod, "container": container}, times, usage(times) * size)
            for (_, pod, container), usage in mine.items()
        ]
