"""OOM kills: remembered past the pod that had them, counted once, with the limit that was in force."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trimtab.kube.records import PodRecord

FORGET_SECONDS = 8 * 86_400.0


@dataclass(frozen=True, slots=True)
class Kill:
    """The last OOM kill of one container of a workload."""

    at: float = 0.0
    """Unix time; 0: none known."""
    limit: float = math.nan
    """Memory limit in force when it happened, bytes; NaN: not known."""


class OomWatch:
    """Kills as the kubelet reports them in pod statuses, and as Prometheus counts them.

    The kubelet's report is exact and comes within a tick, but only for a container's first process; the kernel's
    counter also sees a child that was killed, as `increase()` over a window, so a kill that it shows counts as new
    only when none is known within that window.
    """

    def __init__(self) -> None:
        self._kills: dict[str, Kill] = {}

    def reported(self, key: str, container: str, pods: Iterable[PodRecord]) -> None:
        """Take in what the kubelet says of this container in these pods."""
        known = self._kills.get(key, Kill())
        for pod in pods:
            for state in pod.states:
                if state.name == container and state.oom_killed_at > known.at:
                    known = Kill(state.oom_killed_at, _limit(pod, container, state.memory_limit))
        if known.at > 0:
            self._kills[key] = known

    def counted(self, key: str, increase: float, at: float, window: float, limit: float) -> None:
        """Take in what Prometheus counted in the `window` seconds before `at`."""
        known = self._kills.get(key, Kill())
        if increase > 0 and at - known.at > 2.0 * window:
            self._kills[key] = Kill(at, limit)

    def last(self, key: str) -> Kill:
        """The last kill."""
        return self._kills.get(key, Kill())

    def forget(self, keep: set[str], now: float) -> None:
        """Drop containers of resources that are gone, and kills that nobody asks about any more."""
        self._kills = {
            key: kill
            for key, kill in self._kills.items()
            if key.rpartition("/")[0] in keep and now - kill.at < FORGET_SECONDS
        }


def _limit(pod: PodRecord, container: str, actual: float) -> float:
    """What the container really had; what its spec states where the kubelet does not say."""
    if not math.isnan(actual):
        return actual
    return next((spec.memory_limit for spec in pod.containers if spec.name == container), math.nan)
