"""What Prometheus makes of the requests: scraped every 30 s, averaged over a minute, seen 0–30 s later."""

import numpy as np

from trimtab.decide.columns import F8, I8
from trimtab.lab.horizontal.fleet import Fleet
from trimtab.lab.horizontal.load import Load
from trimtab.lab.horizontal.policy import Metrics
from trimtab.lab.horizontal.service import Service

SCRAPE = 30.0
"""Seconds between two scrapes."""
WINDOW = 60.0
"""Seconds that a rate looks back: two scrape intervals."""
EDGES_PER_OCTAVE = 4
_OCTAVES = 6


class Scraper:
    """Counters of one row, read out at every scrape.

    Scrapes happen at phase + 30·k. Arrivals are counted as they arrive (a gateway's counter); latency is counted when
    a request is finished, in a histogram whose edges are 2^(k/4) of the latency target, six octaves below it and two
    above. CPU is each pod's busy worker time; a starting pod uses none.
    """

    def __init__(self, load: Load, service: Service, fleet: Fleet) -> None:
        self._load = load
        self._service = service
        self._fleet = fleet
        octaves = np.arange(-_OCTAVES * EDGES_PER_OCTAVE, 2 * EDGES_PER_OCTAVE + 1)
        self._edges: F8 = service.target * np.exp2(octaves / EDGES_PER_OCTAVE)
        self._at_target = _OCTAVES * EDGES_PER_OCTAVE
        empty = np.empty(0)
        self._open: tuple[F8, F8, F8, I8] = (empty, empty, empty, np.empty(0, dtype=np.int64))
        self._fresh: list[tuple[F8, F8, F8, I8]] = []
        self._counts = np.zeros((2, len(self._edges) + 1), dtype=np.int64)
        self._arrived = [0, 0, 0]
        self._scrapes = 0
        self.stamp = 0.0

    def add(self, arrivals: F8, starts: F8, finish: F8, uids: I8) -> None:
        """Requests were assigned: when each arrived, starts and is finished, and the pod's uid; arrays[n]."""
        self._fresh.append((arrivals, starts, finish, uids))

    def read(self, now: float, row: int, seen: Metrics) -> None:
        """Do the scrapes that are due at `now` and write what they gave into the row."""
        due = False
        while (time := self._load.phase + SCRAPE * self._scrapes) <= now:
            self._scrape(time)
            due = True
        if due:
            self._publish(row, seen)

    def _scrape(self, time: float) -> None:
        arrivals, starts, finish, uids = (np.concatenate(c) for c in zip(self._open, *self._fresh, strict=True))
        self._fresh.clear()
        # A worker's seconds since the last scrape, summed by pod; pods that are gone take their counters with them.
        busy = np.maximum(np.minimum(finish, time) - np.maximum(starts, time - SCRAPE), 0.0)
        by_pod = np.bincount(uids, weights=busy, minlength=self._fleet.pods_made).tolist()
        for pods in (self._fleet.serving, self._fleet.starting):
            for pod in pods:
                pod.previous, pod.last = pod.last, by_pod[pod.uid]
                pod.scraped += 1
        done = finish <= time
        latency = (finish - arrivals)[done]
        which = np.searchsorted(self._edges, latency)
        self._counts[0] = self._counts[1]
        self._counts[1] = np.bincount(which, minlength=len(self._edges) + 1)
        self._arrived = [*self._arrived[1:], int(np.searchsorted(self._load.times, time, side="right"))]
        left = ~done
        self._open = (arrivals[left], starts[left], finish[left], uids[left])
        self._scrapes += 1
        self.stamp = time

    def _publish(self, row: int, seen: Metrics) -> None:
        """A rate needs two scrapes; before the third it spans one interval."""
        if self._scrapes < 2:
            return
        span = SCRAPE if self._scrapes < 3 else WINDOW
        share = self._service.cores / self._service.workers
        usage, scraped = 0.0, 0
        for pods in (self._fleet.serving, self._fleet.starting):
            for pod in pods:
                if pod.scraped >= 2:
                    whole = pod.scraped > 2 and span == WINDOW
                    pod.used = share * ((pod.previous + pod.last) / WINDOW if whole else pod.last / SCRAPE)
                    usage += pod.used
                    scraped += 1
        seen.measured_at[row] = self.stamp
        seen.arrival_rate[row] = (self._arrived[2] - self._arrived[0 if span == WINDOW else 1]) / span
        seen.cpu_usage[row] = usage
        seen.utilization[row] = usage / (scraped * self._service.cores) if scraped else np.nan
        counts = self._counts.sum(axis=0) if span == WINDOW else self._counts[1]
        total = int(counts.sum())
        seen.done_rate[row] = total / span
        seen.violated[row] = counts[self._at_target + 1 :].sum() / total if total else np.nan
        seen.latency_p95[row] = _quantile(0.95, counts, self._edges) if total else np.nan


def _quantile(share: float, counts: I8, edges: F8) -> float:
    """As histogram_quantile does: linear within a bucket; the last edge for what lies above it."""
    rank = share * counts.sum()
    below = np.cumsum(counts)
    bucket = int(np.searchsorted(below, rank))
    if bucket >= len(edges):
        return float(edges[-1])
    low = 0.0 if bucket == 0 else float(edges[bucket - 1])
    before = 0 if bucket == 0 else int(below[bucket - 1])
    return low + (float(edges[bucket]) - low) * (float(rank) - before) / float(counts[bucket])
