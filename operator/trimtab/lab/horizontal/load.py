"""Requests one by one, made from a recording of arrivals."""

import zlib
from dataclasses import dataclass

import numpy as np

from trimtab.decide.columns import F8, I8
from trimtab.lab.horizontal.service import PEAK_UTILIZATION, Service
from trimtab.lab.traces import Arrivals

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """The requests of one service over a recording. The same for every policy."""

    times: F8
    """Arrival, seconds from the start, rising, float64[n]."""
    work: F8
    """Service time, seconds, float64[n]."""
    first: F8
    second: F8
    """Draws in [0, 1) that pick the pods a request is offered to, float64[n] each."""
    seconds: float
    """Length of the recording."""
    phase: float
    """Seconds after a tick at which Prometheus scrapes, in [0, 15)."""

    @property
    def scored_from(self) -> float:
        """Seconds before scoring starts: two days, or a quarter of a recording shorter than eight days."""
        return min(2 * 86400.0, self.seconds / 4)

    def window(self, start: float, until: float) -> "Window":
        """The requests that arrive in [start, until)."""
        begin, end = np.searchsorted(self.times, (start, until)).tolist()
        return Window(self, begin, end)


class Window:
    """Some consecutive requests of a load, as the simulation's inner loop wants them; made once for all policies."""

    def __init__(self, load: Load, begin: int, end: int) -> None:
        self.times: F8 = load.times[begin:end]
        self.work: F8 = load.work[begin:end]
        self.time_list: list[float] = self.times.tolist()
        self.work_list: list[float] = self.work.tolist()
        self._first = load.first[begin:end]
        self._second = load.second[begin:end]
        self._routes: dict[int, tuple[I8, list[int], list[int]]] = {}

    def __len__(self) -> int:
        return len(self.time_list)

    def routes(self, pods: int) -> tuple[I8, list[int], list[int]]:
        """Of 0 … pods − 1, the pod drawn for each request: as int64[n] and as a list; and a second pod, another one."""
        if pods not in self._routes:
            first = (self._first * pods).astype(np.int64)
            second = (first + 1 + (self._second * (pods - 1)).astype(np.int64)) % pods if pods > 1 else first
            self._routes[pods] = first, first.tolist(), second.tolist()
        return self._routes[pods]


def peak_rate(arrivals: Arrivals) -> float:
    """Largest mean rate over a minute, requests/s, minutes counted from the start; the mean of a shorter recording."""
    steps = max(1, round(MINUTE / arrivals.step))
    whole = len(arrivals.rate) // steps * steps
    if not whole:
        return float(arrivals.rate.mean()) if len(arrivals.rate) else 0.0
    return float(arrivals.rate[:whole].reshape(-1, steps).mean(axis=1).max())


def make_load(arrivals: Arrivals, service: Service, seed: int) -> Load:
    """Poisson arrivals that follow the recording's rate, scaled so that its busiest minute needs `peak_pods` pods.

    The rate is constant within a step of the recording. Service times are drawn from a gamma distribution.

    Raises:
        ValueError: the recording has no arrivals.
    """
    peak = peak_rate(arrivals)
    if not peak > 0:
        raise ValueError(f"{arrivals.name} has no arrivals; remove it or record some traffic")
    rng = np.random.default_rng([seed, zlib.crc32(arrivals.name.encode()), zlib.crc32(service.name.encode())])
    scale = service.peak_pods * PEAK_UTILIZATION * service.capacity / peak
    counts = rng.poisson(arrivals.rate * (arrivals.step * scale))
    steps = np.repeat(np.arange(len(counts), dtype=np.float64), counts)
    times = np.sort((steps + rng.random(len(steps))) * arrivals.step)
    shape = 1.0 / service.variation**2
    work = rng.gamma(shape, service.mean_seconds / shape, len(times))
    return Load(
        times=times,
        work=work,
        first=rng.random(len(times)),
        second=rng.random(len(times)),
        seconds=len(counts) * arrivals.step,
        phase=15.0 * float(rng.random()),
    )
