"""A PerformanceConfig as the tick takes it: its identity and its spec."""

from collections.abc import Iterable
from dataclasses import dataclass

from trimtab.api.spec import PerformanceConfigSpec


@dataclass(frozen=True, slots=True)
class ConfigRecord:
    """One PerformanceConfig, read from the API server."""

    namespace: str
    name: str
    uid: str
    generation: int
    created: float
    """Unix time of metadata.creationTimestamp."""
    spec: PerformanceConfigSpec
    paused: bool = False
    """Carries trimtab.dev/pause."""

    @property
    def key(self) -> str:
        """Identity: namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def interval(self) -> float:
        """Seconds between two samples, by sampleRate."""
        return 60.0 / self.spec.monitoring.sample_rate

    @property
    def target(self) -> tuple[str, str, str]:
        """Namespace, kind and name of the workload: what two resources may not share."""
        return self.namespace, self.spec.target_ref.kind, self.spec.target_ref.name


def pace(configs: Iterable[ConfigRecord], tick_seconds: float) -> float:
    """Seconds between two ticks: the operator's own, or the most frequent sampleRate's where that is shorter."""
    return min([tick_seconds, *(config.interval for config in configs)])


def elders(configs: Iterable[ConfigRecord]) -> dict[str, ConfigRecord]:
    """Key of each resource that is not the first on its workload → the one that is (RULES 10).

    First is the oldest by creation time, then by name, whatever else it says: a rule that looked at whether the
    elder is paused or off would hand the workload to and fro.
    """
    first: dict[tuple[str, str, str], ConfigRecord] = {}
    ordered = sorted(configs, key=lambda config: (config.created, config.name))
    younger: dict[str, ConfigRecord] = {}
    for config in ordered:
        elder = first.setdefault(config.target, config)
        if elder is not config:
            younger[config.key] = elder
    return younger
