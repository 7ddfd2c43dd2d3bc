"""What Prometheus makes of the cluster: scraped every 30 s, rates over a minute, seen 0–30 s late; and its faults."""

from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from trimtab.decide.columns import F8, I8
from trimtab.lab.loop.cluster import Cluster
from trimtab.lab.loop.requests import Requests
from trimtab.lab.loop.scenario import Scenario

SCRAPE = 30.0
WINDOW = 60.0
LATE = 120.0
"""Seconds by which metrics are later than usual in the fault `late`."""
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Reading:
    """What queries answer; NaN: no number."""

    at: float = 0.0
    """When it was scraped, seconds; 0: never."""
    arrival_rate: float = NAN
    latency: float = NAN
    """95% quantile of the requests that ended within the window, seconds."""
    pods: I8 = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Rows of the pods that have a CPU rate."""
    cpu: F8 = field(default_factory=lambda: np.empty(0))
    """Cores, by those."""
    memory: F8 = field(default_factory=lambda: np.empty(0))
    """Largest working set since the scrape before, bytes, by those."""
    throttled: float = NAN
    """Throttled periods over all periods."""
    trial_latency: float = NAN
    base_latency: float = NAN
    trial_cost: float = NAN
    base_cost: float = NAN
    """CPU seconds a request, trial pod and others."""
    lost: bool = False
    """The datasource does not answer."""


@dataclass(frozen=True, slots=True)
class _Counters:
    at: float
    arrived: int
    cpu: F8
    periods: F8
    throttled: F8
    memory: F8
    exists: np.ndarray


class Prometheus:
    """Scrapes at phase + 30·k and answers what was scraped last."""

    def __init__(self, scenario: Scenario, seconds: float, phase: float) -> None:
        self._scenario, self._seconds = scenario, seconds
        self._next = phase if phase > 0 else SCRAPE
        self._counters: deque[_Counters] = deque(maxlen=3)
        self._ended: deque[tuple[F8, I8]] = deque(maxlen=2)
        self._readings: deque[Reading] = deque(maxlen=8)

    def scrape(self, cluster: Cluster, requests: Requests, ended: tuple[F8, I8]) -> None:
        """Take in the latencies and pods of what ended in the last second; scrape when it is time."""
        latency, pod = ended
        if not self._ended:
            self._ended.append((latency, pod))
        else:
            held = self._ended.pop()
            self._ended.append((np.concatenate((held[0], latency)), np.concatenate((held[1], pod))))
        if cluster.now < self._next:
            return
        self._next += SCRAPE
        pods, n = cluster.pods, cluster.pods.made
        self._counters.append(
            _Counters(
                cluster.now,
                requests.arrived,
                pods.cpu_seconds[:n].copy(),
                pods.periods[:n].copy(),
                pods.throttled[:n].copy(),
                np.maximum(pods.peak[:n], 0.0),
                pods.exists[:n].copy(),
            )
        )
        pods.peak[:n] = 0.0
        if len(self._counters) >= 2:
            self._readings.append(self._reading(cluster))
        self._ended.append((np.empty(0), np.empty(0, dtype=np.int64)))

    def _reading(self, cluster: Cluster) -> Reading:
        first, last = self._counters[0], self._counters[-1]
        span, n = last.at - first.at, len(first.cpu)
        rows = np.flatnonzero(last.exists[:n] & first.exists)
        cpu = (last.cpu[:n] - first.cpu)[rows] / span
        periods = float((last.periods[:n] - first.periods)[rows].sum())
        throttled = float((last.throttled[:n] - first.throttled)[rows].sum())
        latency = np.concatenate([part for part, _ in self._ended])
        pod = np.concatenate([part for _, part in self._ended])
        failed = np.isinf(latency)
        latency = np.where(failed, 1e3 * cluster.scenario.workload.mean_seconds, latency)
        trial = (pod >= 0) & cluster.pods.trial[np.maximum(pod, 0)]
        tried = cluster.pods.trial[rows]
        served = bool((cluster.pods.ready_at[rows] <= first.at).all())  # what a start uses is no request's cost
        return Reading(
            at=last.at,
            arrival_rate=(last.arrived - first.arrived) / span,
            latency=_p95(latency),
            pods=rows,
            cpu=np.asarray(cpu, dtype=np.float64),
            memory=last.memory[rows],
            throttled=throttled / periods if periods else NAN,
            trial_latency=_p95(latency[trial]),
            base_latency=_p95(latency[~trial & (pod >= 0)]),
            trial_cost=_ratio(float(cpu[tried].sum()) * span, int(trial.sum())) if served else NAN,
            base_cost=_ratio(float(cpu[~tried].sum()) * span, int((~trial).sum())) if served else NAN,
        )

    def ask(self, now: float) -> Reading:
        """What a query at `now` gives, faults included."""
        kind = self._scenario.metrics if self._scenario.metrics_window.holds(now / self._seconds) else ""
        delay = LATE if kind == "late" else 0.0
        known = [reading for reading in self._readings if reading.at <= now - delay]
        if not known or kind == "lost":
            return Reading(lost=True)
        return _wrong(known[-1], kind)


def _wrong(reading: Reading, kind: str) -> Reading:
    """The reading as a broken exporter gives it."""
    if kind not in ("nan", "zero", "tenfold"):
        return reading
    factor = {"nan": NAN, "zero": 0.0, "tenfold": 10.0}[kind]
    return replace(
        reading,
        arrival_rate=reading.arrival_rate * factor,
        latency=reading.latency * factor,
        cpu=reading.cpu * factor,
        memory=reading.memory * factor,
        throttled=reading.throttled * (0.0 if kind == "tenfold" else factor),
        trial_latency=reading.trial_latency * factor,
        base_latency=reading.base_latency * factor,
    )


def _p95(latency: F8) -> float:
    return float(np.quantile(latency, 0.95)) if len(latency) else NAN


def _ratio(total: float, count: int) -> float:
    return total / count if count else NAN
