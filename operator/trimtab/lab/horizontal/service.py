"""The four services that replica policies are tried on."""

from dataclasses import dataclass

PEAK_UTILIZATION = 0.7
"""Share of the CPU in use, by `peak_pods` pods, in the busiest minute of a recording: what its rate is scaled to."""
TARGET_FACTOR = 5.0
"""Latency target, in mean service times."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service whose pods have `workers` workers each and one queue, first come, first served."""

    name: str
    workers: int
    """Requests that a pod serves at once; each busy worker uses an equal share of the pod's CPU."""
    mean_seconds: float
    """Mean service time. At 4 workers and 2 s a pod serves 2 requests/s: a retrieval or LLM gateway, not a cache."""
    variation: float
    """Standard deviation of the service time over its mean; gamma distributed (1: exponential)."""
    balanced: bool
    """Requests go to the one of two random pods that can start it first; otherwise to one random pod."""
    peak_pods: int
    """Pods that the busiest minute needs at PEAK_UTILIZATION."""
    cores: float = 1.0
    """CPU request of a pod, all of it used when all workers are busy."""

    @property
    def target(self) -> float:
        """Latency target, seconds."""
        return TARGET_FACTOR * self.mean_seconds

    @property
    def capacity(self) -> float:
        """Requests/s that one pod serves when all its workers are busy."""
        return self.workers / self.mean_seconds

    @property
    def most_pods(self) -> int:
        """Upper bound of the replicas of every policy: twice what the peak needs."""
        return 2 * self.peak_pods


def _service(balanced: bool, pods: int) -> Service:
    return Service(f"{'two' if balanced else 'random'}-{pods}", 4, 2.0, 0.5, balanced, pods)


SERVICES = {s.name: s for s in (_service(balanced, pods) for pods in (40, 10) for balanced in (True, False))}
"""By name; the first is the default. `two-…` routes by the power of two choices, `random-…` blindly."""
