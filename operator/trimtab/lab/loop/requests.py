"""Requests one by one on pods with CPU limits: processor sharing inside CFS quota periods.

Time goes in steps of one CFS period, P = 0.1 s. A request is single-threaded and needs w seconds of CPU. In a step it
can use at most the time a that is left of the step after it arrived, and no more than it still needs:
want = min(left, a). A pod with an effective limit of L cores may use L·P in a step:

    demand_i = Σ want over the pod's requests
    demand_i ≤ L·P:  every request gets its want, as if alone; it ends where its want ends
    demand_i > L·P:  the period is throttled; requests share L·P equally, what one does not need goes to the others
                     once more, and those that end do so at the end of the period

So a pod is M/G/1 with processor sharing where L = 1 (mean sojourn w/(1 − ρ), whatever the distribution: Kleinrock,
Queueing Systems II, 4.4), never faster than one core a request, and `throttled periods` are nr_throttled of cpu.stat
(kernel documentation, Scheduler/sched-bwc). Where the limits on a node add up to more cores than it has and are
wanted, each pod gets min(demand, request) and the rest is shared in proportion to what is wanted beyond (an
approximation of CFS weights).

Requests are offered to two random ready pods and taken by the one with fewer in flight. A pod refuses more than
`most_in_flight`; a client gives up after `patience` mean service times. Both count as over the target.
"""

import numpy as np

from trimtab.decide.columns import F8, I8
from trimtab.lab.horizontal.load import Load
from trimtab.lab.loop.pods import Pods

PERIOD = 0.1
"""Seconds: cpu.cfs_period_us."""
MOST_IN_FLIGHT = 200
PATIENCE = 60.0
"""Mean service times after which a client gives up."""
_DONE = 1e-9


class Requests:
    """Every request that is in flight, and what became of the others."""

    def __init__(self, load: Load, pods: Pods, mean_seconds: float, node_cores: F8) -> None:
        self._load, self._pods = load, pods
        self._bounds = np.searchsorted(load.times, np.arange(round(load.seconds / PERIOD) + 2) * PERIOD)
        self._patience = PATIENCE * mean_seconds
        self._nodes = node_cores
        self._pod = np.empty(0, dtype=np.int64)
        self._left = np.empty(0)
        self._at = np.empty(0)
        self.in_flight: I8 = np.zeros(0, dtype=np.int64)
        """Requests by pod."""
        self.arrived = 0
        self.ended: list[tuple[F8, F8, I8]] = []
        """Chunks of (arrival, latency, pod) of requests that ended; latency is infinite of those that failed, pod −1
        of those that no pod took. Whoever reads them takes them out."""

    def take_ended(self) -> tuple[F8, F8, I8]:
        """Everything that ended since the last call."""
        empty = (np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))
        chunks, self.ended = [empty, *self.ended], []
        at, latency, pod = (np.concatenate(part) for part in zip(*chunks, strict=True))
        return at, latency, pod

    def second(self, now: float, crowded: bool) -> None:
        """Ten periods from `now` on, no pod changing meanwhile. `crowded`: limits may exceed what nodes have."""
        first = round(now / PERIOD)
        for k in range(10):
            self._period(first + k, crowded)
        late = now + 1.0 - self._at > self._patience
        if late.any():
            self._fail(late)

    def drop(self, pod: int) -> None:
        """The pod was killed: what it worked on is lost."""
        lost = self._pod == pod
        if lost.any():
            self._fail(lost)

    def _fail(self, lost: np.ndarray) -> None:
        self.ended.append((self._at[lost], np.full(int(lost.sum()), np.inf), self._pod[lost]))
        self._keep(~lost)

    def _keep(self, rows: np.ndarray) -> None:
        self._pod, self._left, self._at = self._pod[rows], self._left[rows], self._at[rows]

    def _arrivals(self, begin: int, end: int, count: int) -> None:
        """Route the requests begin…end."""
        load, ready = self._load, self._pods.serving
        at, self.arrived = load.times[begin:end], self.arrived + end - begin
        if not len(ready):
            self.ended.append((at, np.full(end - begin, np.inf), np.full(end - begin, -1, dtype=np.int64)))
            return
        n = len(ready)
        one = (load.first[begin:end] * n).astype(np.int64)
        other = (one + 1 + (load.second[begin:end] * max(n - 1, 1)).astype(np.int64)) % n
        one, other = ready[one], ready[other]
        busy = np.bincount(self._pod, minlength=count)
        pod = np.where(busy[other] < busy[one], other, one)
        left = load.work[begin:end] * self._pods.factor[pod]
        full = busy[pod] >= MOST_IN_FLIGHT
        if full.any():
            self.ended.append((at[full], np.full(int(full.sum()), np.inf), pod[full]))
            pod, left, at = pod[~full], left[~full], at[~full]
        self._pod = np.concatenate((self._pod, pod))
        self._left = np.concatenate((self._left, left))
        self._at = np.concatenate((self._at, at))

    def _period(self, index: int, crowded: bool) -> None:
        pods, now, count = self._pods, index * PERIOD, self._pods.made
        begin, end = int(self._bounds[index]), int(self._bounds[index + 1])
        if end > begin:
            self._arrivals(begin, end, count)
        pod, left, at = self._pod, self._left, self._at
        if not len(pod):
            self.in_flight = np.zeros(count, dtype=np.int64)
            return
        starts = np.maximum(at, now)
        want = np.minimum(left, now + PERIOD - starts)
        demand = np.bincount(pod, want, count)
        quota = pods.cap[:count] * PERIOD
        if crowded:
            quota = np.minimum(quota, self._on_nodes(np.minimum(demand, quota), count))
        tight = demand > quota + _DONE
        flight = np.bincount(pod, minlength=count)
        use = want
        over = tight[pod]
        if over.any():
            share = quota / np.maximum(flight, 1)
            use = np.where(over, np.minimum(want, share[pod]), want)
            room = want - use
            hungry = np.bincount(pod, room > 0, count)
            spare = (quota - np.bincount(pod, use, count)) / np.maximum(hungry, 1)
            use = np.where(over, use + np.minimum(room, spare[pod]), use)
        left = left - use
        pods.cpu_seconds[:count] += np.bincount(pod, use, count)
        pods.periods[:count] += flight > 0
        pods.throttled[:count] += tight
        done = left <= _DONE
        if done.any():
            end_at = np.where(over, now + PERIOD, starts + use)
            self.ended.append((at[done], (end_at - at)[done], pod[done]))
            keep = ~done
            self._pod, self._left, self._at = pod[keep], left[keep], at[keep]
        else:
            self._left = left
        self.in_flight = flight

    def _on_nodes(self, wanted: F8, count: int) -> F8:
        """CPU seconds that each pod gets of its node in a period, float64[count]."""
        pods, nodes = self._pods, len(self._nodes)
        node = np.maximum(pods.node[:count], 0)
        sure = np.minimum(wanted, pods.request[:count] * PERIOD)
        left = self._nodes * PERIOD - np.bincount(node, sure, nodes)
        more = wanted - sure
        asked = np.bincount(node, more, nodes)
        share = np.clip(np.divide(left, asked, out=np.ones(nodes), where=asked > 0), 0.0, 1.0)
        return np.asarray(sure + more * share[node], dtype=np.float64)
