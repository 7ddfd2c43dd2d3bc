"""The pods of one workload and their queues, simulated request by request."""

from heapq import heapreplace

import numpy as np

from trimtab.decide.columns import F8, I8
from trimtab.lab.horizontal.load import Window
from trimtab.lab.horizontal.policy import TICK
from trimtab.lab.horizontal.service import Service

GRACE = 30.0
"""Most seconds that a removed pod is paid for while it finishes its requests (terminationGracePeriodSeconds)."""


class FleetPod:
    """A pod: when it was ordered and is ready, and when each of its workers is free (a heap, seconds)."""

    __slots__ = ("free", "last", "ordered", "previous", "ready", "scraped", "uid", "used")

    def __init__(self, uid: int, ordered: float, ready: float, workers: int) -> None:
        self.uid = uid
        self.ordered = ordered
        self.ready = ready
        self.free = [ready] * workers
        self.scraped = 0
        """Scrapes since it was ordered; a rate needs two."""
        self.last = 0.0
        self.previous = 0.0
        """Worker-seconds busy in the last scrape interval and in the one before."""
        self.used: float | None = None
        """Cores in use at the last scrape; None: not scraped twice yet."""


class Fleet:
    """Pods of a Deployment behind one Service.

    A pod ordered at t takes requests from t + start-up on, rounded up to a tick. A removed pod takes no more and
    finishes what it has. Starting pods are removed first, then the youngest, as a ReplicaSet does.
    """

    def __init__(self, service: Service, startup_seconds: float, initial: int) -> None:
        self._service = service
        self._startup = float(np.ceil(startup_seconds / TICK - 1e-9) * TICK)
        self._next = 0
        self.version = 0
        """Counts up whenever a pod comes, goes or becomes ready."""
        self.starting: list[FleetPod] = []
        self.serving: list[FleetPod] = []
        self.paid = 0.0
        """Pod-seconds so far."""
        for _ in range(initial):
            self.serving.append(self._pod(0.0, 0.0))
            self.serving[-1].scraped = 2
        self._changed()

    @property
    def replicas(self) -> int:
        """Pods that exist."""
        return len(self.serving) + len(self.starting)

    @property
    def pods_made(self) -> int:
        """Pods that ever existed; uids count from 0 to this."""
        return self._next

    def _pod(self, ordered: float, ready: float) -> FleetPod:
        self._next += 1
        return FleetPod(self._next - 1, ordered, ready, self._service.workers)

    def _changed(self) -> None:
        self.version += 1
        self._heaps = [pod.free for pod in self.serving]
        self._uids: I8 = np.array([pod.uid for pod in self.serving], dtype=np.int64)

    def start_due(self, now: float) -> None:
        """Let pods that finished starting take requests."""
        if self.starting and self.starting[0].ready <= now:
            while self.starting and self.starting[0].ready <= now:
                self.serving.append(self.starting.pop(0))
            self._changed()

    def scale(self, now: float, replicas: int) -> None:
        """Order or remove pods; at least one stays."""
        more = max(replicas, 1) - self.replicas
        if more > 0:
            self.starting += [self._pod(now, now + self._startup) for _ in range(more)]
            self.version += 1
            self.start_due(now)
        elif more < 0:
            gone = min(-more, len(self.starting))
            del self.starting[len(self.starting) - gone :]
            for _ in range(-more - gone):
                self.paid += min(max(max(self.serving.pop().free) - now, 0.0), GRACE)
            self._changed()

    def run(self, window: Window) -> tuple[F8, I8]:
        """Assign the requests of a window, no pod changing meanwhile.

        Returns when each is started, seconds, float64[n], and by which pod, uid, int64[n].
        """
        first, drawn, others = window.routes(len(self.serving))
        if self._service.balanced and len(self.serving) > 1:
            starts, chosen = _two(self._heaps, window.time_list, window.work_list, drawn, others)
            return np.array(starts, dtype=np.float64), self._uids[np.array(chosen, dtype=np.int64)]
        starts = _one(self._heaps, window.time_list, window.work_list, drawn)
        return np.array(starts, dtype=np.float64), self._uids[first]


def _one(heaps: list[list[float]], times: list[float], work: list[float], first: list[int]) -> list[float]:
    """When each request starts that goes to the pod drawn for it (Kiefer and Wolfowitz: the worker free first)."""
    starts: list[float] = []
    add = starts.append
    for time, seconds, index in zip(times, work, first, strict=True):
        heap = heaps[index]
        start = heap[0]
        if start < time:  # noqa: PLR1730 - max() is a call, and this line runs for every request
            start = time
        heapreplace(heap, start + seconds)
        add(start)
    return starts


def _two(
    heaps: list[list[float]], times: list[float], work: list[float], first: list[int], second: list[int]
) -> tuple[list[float], list[int]]:
    """The same where a request goes to that pod of two whose first free worker is free earlier."""
    starts: list[float] = []
    chosen: list[int] = []
    add, choose = starts.append, chosen.append
    for time, seconds, one, other in zip(times, work, first, second, strict=True):
        heap = heaps[one]
        rival = heaps[other]
        if rival[0] < heap[0]:
            heap = rival
            choose(other)
        else:
            choose(one)
        start = heap[0]
        if start < time:  # noqa: PLR1730 - as above
            start = time
        heapreplace(heap, start + seconds)
        add(start)
    return starts, chosen
