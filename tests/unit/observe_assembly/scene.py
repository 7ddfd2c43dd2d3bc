"""An Observer over a cluster and a Prometheus in memory, and a profile for its workload."""

from typing import Any

from tests.unit.observe_assembly.bench import (
    NOW,
    SPEC,
    FakeClient,
    FakePrometheus,
    config,
    meta,
    settings,
    started_world,
    usage,
)
from trimtab.observe.config import ConfigRecord
from trimtab.observe.observer import Observer
from trimtab.observe.presets import load_presets
from trimtab.observe.source import SourceError, SourceReason

PODS = {"web-6bcf4d8f-pod0": 0.3, "web-6bcf4d8f-pod1": 0.5}
PRESETS = load_presets()
DOWN = SourceError(SourceReason.UNREACHABLE, "Datasource default can't be reached.")

PROFILE = {
    "config": "web",
    "containers": [
        {
            "name": "app",
            "requests": {"cpu": "250m", "memory": "200Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
            "env": {"BATCH": 16},
            "templateRequests": {"cpu": "500m", "memory": "256Mi"},
            "templateLimits": {"cpu": "1", "memory": "512Mi"},
            "templateEnv": {"BATCH": "8"},
        }
    ],
}
KNOBS = (
    SPEC
    + """
    knobs: [{name: batch, container: app, env: BATCH, role: Batch, min: 1, max: 64}]
resources: {maxBatchSize: 32}
"""
)


def profile(entry: Any) -> Any:
    return {"kind": "TuningProfile", "metadata": meta("trimtab"), "spec": {"workloads": {"Deployment/web": entry}}}


class Bench:
    """A cluster, a Prometheus and an Observer over both."""

    def __init__(self) -> None:
        self.client = FakeClient()
        self.prometheus = FakePrometheus(usage(PODS))
        self.observer: Any = None
        self.world: Any = None

    async def start(self, **options: Any) -> "Bench":
        self.world = await started_world(self.client)
        self.observer = Observer(self.world, {"default": self.prometheus}, PRESETS, settings(**options))
        return self

    async def look(self, *configs: ConfigRecord, now: float = NOW) -> Any:
        await self.client.settle()
        chosen = configs or (config(),)
        return await self.observer.observe({one.key: one for one in chosen}, now)
