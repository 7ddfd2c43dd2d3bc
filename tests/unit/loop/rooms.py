"""The Loop among rooms that a test plays: what is observed is set, what is carried out and told is remembered."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from trimtab.act.gate import Gate
from trimtab.act.targets import TargetInfo
from trimtab.api.reasons import Reason
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.api.status import PerformanceConfigStatus
from trimtab.decide.observation import Alerts, Containers, Observation, Samples, Targets, Workloads
from trimtab.decide.plan import Decision, Outcome, Plan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State
from trimtab.kube.errors import Unavailable
from trimtab.kube.records import ReplicaSetRecord, WorkloadRecord
from trimtab.loop import Loop, Rooms
from trimtab.observe.config import ConfigRecord
from trimtab.observe.configs import ConfigStore
from trimtab.observe.conflicts import Hold
from trimtab.observe.facts import Facts, Seen
from trimtab.observe.history import Past
from trimtab.observe.targets import Found
from trimtab.record.facts import Facts as Told
from trimtab.record.health import Health
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.status import build

NOW = 1_800_000_000.0
KEY = "shop/web"
MIB = float(1 << 20)
Json = dict[str, Any]


def resource(name: str = "web", uid: str = "uid-1", status: Json | None = None, **spec: Any) -> Json:
    """A PerformanceConfig as the API server sends it."""
    constraints = {"containers": [{"name": "app", "memory": {"max": "1Gi"}}]}
    behavior = {"verifySeconds": 60, "minHistorySeconds": 3600}
    optimization = {"autoTune": True, "constraints": constraints, "behavior": behavior}
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "PerformanceConfig",
        "metadata": {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": "7", "generation": 1},
        "spec": {"targetRef": {"name": name}, "optimization": optimization} | spec,
        "status": status or {},
    }


class Api:
    """The API server as far as the list of resources goes."""

    def __init__(self) -> None:
        self.items: list[Json] = [resource()]
        self.down = False
        self.lists = 0

    async def list(self, path: str) -> Json:
        self.lists += 1
        if self.down:
            raise Unavailable(0, "", "nobody answers", request=f"GET {path}")
        return {"items": self.items}


class Mirrors:
    """The World as far as the Loop asks it."""

    def __init__(self) -> None:
        self.staleness = 0.0
        self.running = False

    async def start(self) -> None:
        self.running = True

    async def wait_synced(self) -> None:
        assert self.running

    async def stop(self) -> None:
        self.running = False

    def counts(self) -> Mapping[str, int]:
        return {}

    def current_replicaset(self, _work: WorkloadRecord) -> ReplicaSetRecord | None:
        return None


@dataclass
class Eyes:
    """The Observer: every resource has a workload with one container, of which the test says the rest."""

    workload: Json = field(default_factory=dict)
    container: Json = field(default_factory=dict)
    alerts: list[Json] = field(default_factory=list)
    targets: list[Json] = field(default_factory=list)
    hold: Hold | None = None
    failure: Exception | None = None
    looks: int = 0
    written: list[tuple[str, float]] = field(default_factory=list)
    closed: bool = False
    missing: tuple[Reason, str] | None = None
    """Why no workload can be looked at."""

    async def observe(self, configs: Mapping[str, ConfigRecord], now: float) -> Seen:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        if self.missing is not None:
            nothing = Found(None, *self.missing)
            blind = {key: Facts(config, nothing, stopped=self.missing) for key, config in configs.items()}
            return Seen(Observation(now), blind)
        rows = list(enumerate(configs))
        size = {"cpu": 0.1, "memory": 512 * MIB, "memory_limit": 512 * MIB, "memory_max": 1024 * MIB} | self.container
        given = {"template": "t1", "acting": True, "allowed": (True,) * 4, "replicas": 2, "ready": 2}
        timing = {"verify_seconds": 60.0, "min_history_seconds": 3600.0}
        observation = Observation(
            now,
            Workloads.of([{"key": key} | given | timing | self.workload for _, key in rows]),
            Targets.of([{"workload": row} | target for row, _ in rows for target in self.targets]),
            Containers.of([{"key": f"{key}/app", "name": "app", "workload": row} | size for row, key in rows]),
            alerts=Alerts.of([{"workload": row} | alert for row, _ in rows for alert in self.alerts]),
        )
        facts = {key: self._facts(configs[key], row) for row, key in rows}
        return Seen(observation, facts)

    def _facts(self, config: ConfigRecord, row: int) -> Facts:
        work = WorkloadRecord(
            "apps/v1", "Deployment", config.namespace, config.name, "w", "1", 1, 1, template_hash="t1"
        )
        return Facts(config, Found(work, Reason.TARGET_FOUND, "found"), row, hold=self.hold)

    def wrote(self, key: str, _lever: object, value: float, _subject: str = "", *, shaped: bool = False) -> None:
        self.written.append((key, value))

    async def close(self) -> None:
        self.closed = True


class Library:
    """The History: what is to be read, and a reading that ends when the test says."""

    def __init__(self) -> None:
        self.unread: list[str] = []
        self.reading = asyncio.Event()
        self.may_end = asyncio.Event()
        self.reads = 0
        self.failure: Exception | None = None

    def wanted(self, _seen: Seen, _now: float) -> list[str]:
        return self.unread

    def forget(self, _keys: Collection[str]) -> None:
        pass

    async def read(self, _seen: Seen, keys: Collection[str], now: float) -> Past:
        """An hour of usage, a sample a minute."""
        self.reads += 1
        self.reading.set()
        await self.may_end.wait()
        self.unread = []
        if self.failure is not None:
            raise self.failure
        times = now - 3600 + 60.0 * np.arange(60)
        samples = Samples.of([{"time": t, "memory": 100 * MIB, "span": 60.0} for t in times])
        return Past(samples, tuple(f"{key}/app" for key in keys))


@dataclass
class Hands:
    """The Actuator."""

    outcomes: list[Outcome] = field(default_factory=list)
    failure: Exception | None = None
    may_end: asyncio.Event | None = None
    plans: list[Plan] = field(default_factory=list)
    configs: list[Mapping[str, PerformanceConfigSpec | None]] = field(default_factory=list)
    targets: list[Mapping[str, TargetInfo]] = field(default_factory=list)
    busy: int = 0

    async def act(
        self,
        plan: Plan,
        _observation: Observation,
        targets: Mapping[str, TargetInfo],
        configs: Mapping[str, PerformanceConfigSpec | None],
    ) -> list[Outcome]:
        self.busy += 1
        assert self.busy == 1, "two ticks at once"
        try:
            if self.may_end is not None:
                await self.may_end.wait()
            if self.failure is not None:
                raise self.failure
            self.plans.append(plan)
            self.configs.append(configs)
            self.targets.append(targets)
            return self.outcomes
        finally:
            self.busy -= 1


class Scribe:
    """The Recorder."""

    def __init__(self) -> None:
        self.metrics = OperatorMetrics.create()
        self.resumed: list[tuple[str, str, int]] = []
        self.told: list[tuple[str, Reason, str]] = []
        self.recorded: list[Mapping[str, Told]] = []
        self.decisions: list[Decision] = []
        self.announced: list[Decision] = []
        self.known: list[Decision] = []
        self.failure: Exception | None = None

    def resume(self, key: str, uid: str, _status: PerformanceConfigStatus, decisions: list[Decision]) -> None:
        self.resumed.append((key, uid, len(decisions)))
        self.known = decisions

    def last(self, key: str) -> PerformanceConfigStatus | None:
        known = self.recorded and key in self.recorded[-1]
        return build(self.recorded[-1][key], self.known, [], NOW) if known else None

    async def tell(self, facts: Told, reason: Reason, note: str, _now: float) -> None:
        self.told.append((facts.key, reason, note))

    async def announce(self, decisions: tuple[Decision, ...], _now: float) -> None:
        self.announced.extend(decisions)

    async def record(self, facts: Mapping[str, Told], decisions: tuple[Decision, ...], _now: float) -> None:
        if self.failure is not None:
            raise self.failure
        self.recorded.append(facts)
        self.decisions.extend(decisions)

    def failed_ticks(self) -> float:
        """What the operator's metric counts."""
        return self.metrics.registry.get_sample_value("trimtab_errors_total", {"phase": "tick"}) or 0.0


class Archive:
    """The Memory: what the test says is recalled, as often as it is kept."""

    def __init__(self) -> None:
        self.kept = 0

    async def recall(
        self, state: State, _seen: Seen, _keys: Collection[str], _settings: Settings
    ) -> tuple[State, dict[str, float]]:
        return state, {}

    def keeps_inputs(self, _seen: Seen) -> bool:
        return True

    def note(self, _plan: Plan, _seen: Seen, _before: State | None, _settings: Settings) -> None:
        pass

    def told(self, _decisions: list[Decision]) -> None:
        pass

    async def keep(self, _state: State, _seen: Seen, _settings: Settings) -> None:
        self.kept += 1


class House:
    """A Loop with all of them, in virtual time."""

    def __init__(self) -> None:
        self.now = NOW
        self.api, self.world, self.eyes, self.library = Api(), Mirrors(), Eyes(), Library()
        self.hands, self.scribe, self.gate = Hands(), Scribe(), Gate()
        self.archive: Any = Archive()
        self.health = Health(stall_seconds=120.0, clock=lambda: self.now)
        self.slept: list[float] = []
        self.between: Callable[[int], object] = lambda _tick: None
        """Called after each tick with its number; what it raises ends the loop."""
        self.loop = self.new_loop()

    def new_loop(self) -> Loop:
        """A process that has just started."""
        rooms = {
            "client": self.api,
            "world": self.world,
            "observer": self.eyes,
            "history": self.library,
            "actuator": self.hands,
            "gate": self.gate,
            "recorder": self.scribe,
            "health": self.health,
            "memory": self.archive,
        }
        return Loop(ConfigStore(), cast(Any, Rooms)(**rooms), clock=lambda: self.now, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        """The Loop's sleep: time passes at once."""
        self.slept.append(seconds)
        self.now += 15.0
        self.between(len(self.slept))
        await asyncio.sleep(0)

    async def run(self, ticks: int) -> None:
        """Run the loop for this many ticks, then cancel it as the end of leadership does."""
        prepare = self.between

        def between(tick: int) -> None:
            prepare(tick)
            if tick >= ticks:
                raise asyncio.CancelledError

        self.between = between
        try:
            await self.loop.run()
        except asyncio.CancelledError:
            self.between = prepare
        else:
            raise AssertionError("the loop ended by itself")

    async def tick(self, seconds: float = 15.0) -> None:
        """One tick, some time after the last."""
        self.now += seconds
        await self.loop.tick()

    @property
    def covered(self) -> float:
        """Seconds of usage that the engine knows of the one container."""
        return float(self.loop.state.containers.covered[0])


def moved(house: House, **changes: Any) -> Decision:
    """A memory cut that an earlier process made a minute ago."""
    inputs = {"requestBefore": 512 * MIB, "requestAfter": 384 * MIB, "limitBefore": 512 * MIB, "limitAfter": 512 * MIB}
    made = Decision(
        id=f"{house.now - 60:.0f}-memory-app",
        workload=KEY,
        time=house.now - 60,
        lever=cast(Any, 2),
        subject="app",
        before=512 * MIB,
        after=384 * MIB,
        reason=Reason.CUT_UNUSED,
        message="app needs less",
        inputs=inputs,
    )
    return replace(made, **changes)
