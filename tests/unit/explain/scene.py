"""Recorded decisions of simulated workloads: what the operator would have written into journal and status."""

import base64
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.unit.decide.simulator import KEY, Simulator, batched, sized
from trimtab.api.resource import PerformanceConfig, parse_config
from trimtab.decide.engine import decide
from trimtab.decide.plan import Decision
from trimtab.decide.replay import capture
from trimtab.decide.state import align
from trimtab.record.journal import to_status
from trimtab.record.journals import Entry, merged

MIB = 2.0**20


@dataclass
class Recorded:
    """A simulator whose decisions are recorded as the operator does it."""

    sim: Simulator
    made: list[tuple[Decision, bytes]] = field(default_factory=list)
    """Decisions as they were made, with the inputs of their tick."""
    entries: list[Entry] = field(default_factory=list)
    ticks: int = 0

    def run(self, seconds: float) -> "Recorded":
        """Tick for so long."""
        for _ in range(int(seconds / self.sim.tick)):
            self.step()
        return self

    def step(self) -> None:
        """One tick, recorded."""
        sim, now = self.sim, self.sim.now
        sim.starting = [at for at in sim.starting if at > now]
        seen = sim.observe()
        before = align(sim.state, seen, sim.settings)
        plan, sim.state = decide(seen, before, sim.settings)
        sim.plan = plan
        self.ticks += 1
        for made in plan.decisions:
            sim.decisions[made.id] = made
            packed, digest = b"", ""
            if made.time == now:
                packed, digest = capture(seen, before, sim.settings, 0), sim.settings.digest()
                self.made.append((made, packed))
            entry = Entry(to_status(made), digest, base64.b64encode(packed).decode())
            self.entries = merged(self.entries, [entry])
        sim.carry_out(plan)
        sim.now += sim.tick


@cache
def busy() -> Recorded:
    """Load that grows: replicas are added, and taken away once it falls."""
    sim = Simulator(rate=lambda t: 60.0 if t % 7200 < 1800 else 10.0, replicas=2)
    return Recorded(sim).run(2700)


@cache
def roomy() -> Recorded:
    """A workload that requests far more than it uses: requests are cut."""
    return Recorded(sized()).run(1800)


@cache
def killed() -> Recorded:
    """A container that is killed for lack of memory."""
    sim = Simulator(rate=lambda t: 2.0, replicas=1, memory_limit=512 * MIB, memory_need=600 * MIB)
    return Recorded(sim).run(300)


@cache
def throttled() -> Recorded:
    """A container whose CPU limit is too low at peaks."""
    return Recorded(Simulator(rate=lambda t: 2.0, replicas=1, cpu=0.5, cpu_limit=0.5, burst=1.0)).run(600)


@cache
def slow() -> Recorded:
    """A latency target that no number of replicas meets."""
    return Recorded(Simulator(rate=lambda t: 2.0, replicas=2, floor=lambda knob: 0.8)).run(2700)


@cache
def tried() -> Recorded:
    """A knob that is tried on one pod."""
    return Recorded(batched(2)).run(2400)


@cache
def advised() -> Recorded:
    """autoTune false: only recommended."""
    workload = {"acting": False, "recommending": True, "replicas_max": 20}
    return Recorded(sized(workload=workload)).run(300)


ALL = (busy, roomy, killed, throttled, slow, tried, advised)


def resource(recorded: Recorded | None = None, **status: Any) -> dict[str, Any]:
    """The resource as the API server has it, with the last decisions of a recording."""
    shown = [entry.decision for entry in recorded.entries[:10]] if recorded else []
    namespace, _, name = KEY.partition("/")
    return {
        "metadata": {"namespace": namespace, "name": name, "uid": "u1"},
        "spec": {
            "targetRef": {"name": name},
            "optimization": {"autoTune": True, "constraints": {"replicas": {"min": 1, "max": 20}}},
        },
        "status": {
            "decisions": [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in shown],
            **status,
        },
    }


def config(recorded: Recorded | None = None, **status: Any) -> PerformanceConfig:
    """The same, read."""
    found = parse_config(resource(recorded, **status))
    assert isinstance(found, PerformanceConfig)
    return found
