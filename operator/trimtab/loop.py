"""The tick: observe → decide → act → record, for every resource in one walk."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from trimtab.act.actuator import Actuator
from trimtab.act.gate import Gate
from trimtab.act.targets import TargetInfo
from trimtab.api.reasons import Reason
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.api.status import AlertState, OutcomeState
from trimtab.backfill import Backfill
from trimtab.decide.engine import decide, learn
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Outcome, Plan
from trimtab.decide.restore import restore
from trimtab.decide.settings import Settings
from trimtab.decide.state import State, align
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import KubeError
from trimtab.kube.world import World
from trimtab.memory import Memory
from trimtab.observe.config import pace
from trimtab.observe.configs import ConfigStore
from trimtab.observe.facts import Seen
from trimtab.observe.history import History, Past
from trimtab.observe.observer import Observer
from trimtab.record.facts import Facts
from trimtab.record.health import Health
from trimtab.record.journal import from_status
from trimtab.record.recorder import Recorder
from trimtab.telling import facts_of, prior_of, unseen_alerts

CONFIRM_SECONDS = 300.0
"""How often the list of resources is compared with the API server's: a watch may miss a deletion."""
SYNC_SECONDS = 120.0
MAX_STALENESS = 120.0
"""With mirrors older than this nothing is decided: the world may have changed."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Rooms:
    """Everything a tick needs, handed in."""

    client: KubeClient
    world: World
    observer: Observer
    history: History
    actuator: Actuator
    gate: Gate
    recorder: Recorder
    health: Health
    memory: Memory
    backfill: Backfill | None = None
    """None: objectives and cost baselines start without history."""


@dataclass(slots=True)
class Loop:
    """Ticks until cancelled. `clock` is Unix seconds."""

    store: ConfigStore
    rooms: Rooms
    tick_seconds: float = 15.0
    settings: Settings = field(default_factory=Settings)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    state: State = field(default_factory=State)
    _resumed: dict[str, str] = field(default_factory=dict)
    _told: dict[str, Facts] = field(default_factory=dict)
    _refusals: set[tuple[str, Lever, Reason]] = field(default_factory=set)
    _parked: set[str] = field(default_factory=set)
    """Resources that were resumed once and whose workload can't be looked at now."""
    _notes: tuple[str, ...] = ()
    _confirmed: float = float("-inf")
    _past: asyncio.Task[Past] | None = None

    async def run(self) -> None:
        """Sync the mirrors, then tick on a fixed cadence.

        Raises:
            TimeoutError: the API server could not be mirrored at start; the process exits and is started again.
        """
        async with asyncio.timeout(SYNC_SECONDS):
            await self.rooms.world.start()
            await self.rooms.world.wait_synced()
        self.rooms.health.ticked()
        counts, settings = dict(self.rooms.world.counts()), self.settings.digest()
        _log.info("mirrors are synced", extra={"records": counts, "settings": settings})
        try:
            while True:
                began = time.monotonic()
                try:
                    await self.tick()
                    self.rooms.health.ticked()
                except Exception:
                    # One bad tick must not end the process: the next one starts from the world as it is.
                    self.rooms.recorder.metrics.errors.labels("tick").inc()
                    _log.exception("a tick failed; workloads keep their settings")
                await self.sleep(self._rest(time.monotonic() - began))
        finally:
            await self._stop()

    def _rest(self, took: float) -> float:
        """Seconds to the next tick; a pace above the operator's own is kept only while a tick takes a third of it."""
        every = max(pace(self.store.configs.values(), self.tick_seconds), min(self.tick_seconds, 3 * took))
        return max(0.0, every - took)

    async def tick(self) -> None:
        """One walk.

        Raises:
            KubeError: the resources could not be listed, so that it is not known what exists; nothing was done.
        """
        now = self.clock()
        if now - self._confirmed >= CONFIRM_SECONDS:
            await self._confirm(now)
        staleness = self.rooms.world.staleness
        if staleness > MAX_STALENESS:
            _log.warning("the mirrors of the API server are old; nothing is decided", extra={"seconds": staleness})
            return
        with self._phase("observe"):
            seen = await self.rooms.observer.observe(self.store.configs, now)
        if seen.notes != self._notes:
            self._notes = seen.notes
            for note in seen.notes:
                _log.warning("a part of the cluster can't be seen: %s", note)
        # In the order of this tick first: a decide that fails then leaves a state that the next one can go on with.
        self.state = align(self.state, seen.observation, self.settings, reuse=True)
        await self._resume(seen, now)
        self._learn(seen, now)
        if self.rooms.backfill is not None:
            self.state = self.rooms.backfill.go_on(self.state, seen, now, self.settings)
        with self._phase("decide"):
            before, keep = self.state, self.rooms.memory.keeps_inputs(seen)
            plan, self.state = decide(seen.observation, before, self.settings, reuse=not keep)
            self.rooms.memory.note(plan, seen, before if keep else None, self.settings)
            del before
        with self._phase("act"):
            await self.rooms.recorder.announce(plan.decisions, now)
            outcomes = await self._act(plan, seen)
        with self._phase("record"):
            await self._record(seen, plan, outcomes, now)
            await self.rooms.memory.keep(self.state, seen, self.settings)

    async def _confirm(self, now: float) -> None:
        try:
            await self.store.confirm(self.rooms.client)
        except KubeError:
            # Without one complete list, a resource that was not seen yet would be taken for a deleted one.
            if self._confirmed == float("-inf"):
                raise
            _log.warning("the resources could not be listed; going on with those that are known", exc_info=True)
            return
        self._confirmed = now

    async def _resume(self, seen: Seen, now: float) -> None:
        """Go on where an earlier process was, for resources met for the first time.

        Raises:
            KubeError: what it learned could not be read yet; nothing was resumed, and the next tick tries again.
        """
        self._park(seen)
        new = {
            key: self.store.statuses[key]
            for key, facts in seen.facts.items()
            if facts.row >= 0 and self._resumed.get(key) != facts.config.uid and key in self.store.statuses
        }
        if new:
            self.state, taken = await self.rooms.memory.recall(self.state, seen, new, self.settings)
            prior = {key: prior_of(key, status, taken.get(key, 0.0)) for key, status in new.items()}
            self.state = restore(self.state, seen.observation, prior, self.settings, reuse=True)
        for key, status in new.items():
            self._resumed[key] = seen.facts[key].config.uid
            decisions = [found for shown in status.decisions if (found := from_status(key, shown)) is not None]
            self.rooms.recorder.resume(key, self._resumed[key], status, decisions)
            self.rooms.memory.told(decisions)
            for decision in decisions if key not in self._parked else ():
                if decision.outcome in (OutcomeState.KEPT, OutcomeState.ROLLED_BACK):
                    rolled_back = decision.outcome is OutcomeState.ROLLED_BACK
                    self.rooms.gate.verdict(rolled_back, age=max(0.0, now - decision.time))
            del self.store.statuses[key]  # up to 32 KiB each, and read once
        self._parked -= new.keys()
        gone = (self._resumed.keys() | self._parked) - seen.facts.keys()
        if gone:
            self.state = replace(self.state, deleted=frozenset(gone - self.store.invalid.keys()))
        self._parked -= gone
        for key in gone:
            self._resumed.pop(key, None)

    def _park(self, seen: Seen) -> None:
        """Keep what was last said of resources whose workload can't be looked at now, to resume from when it can."""
        for key, facts in seen.facts.items():
            if facts.row < 0 and self._resumed.get(key) == facts.config.uid:
                del self._resumed[key]
                if (status := self.rooms.recorder.last(key)) is not None:
                    self.store.statuses[key] = status
                    self._parked.add(key)

    def _learn(self, seen: Seen, now: float) -> None:
        """Take in history that was read since the last tick, and start reading what is still wanted."""
        if self._past is not None and self._past.done():
            # Let go of the task first: one that failed must not fail every tick from then on.
            read, self._past = self._past, None
            self.state = learn(self.state, read.result().onto(seen.observation), self.settings, reuse=True)
        self.rooms.history.forget(seen.facts.keys())
        if self._past is None and (wanted := self.rooms.history.wanted(seen, now)):
            self._past = asyncio.create_task(self.rooms.history.read(seen, wanted, now), name="history")

    async def _act(self, plan: Plan, seen: Seen) -> list[Outcome]:
        outcomes = await self.rooms.actuator.act(plan, seen.observation, self._targets(seen), self._specs())
        rows = {key: row for row, key in enumerate(seen.observation.workloads.key)}
        refusals: set[tuple[str, Lever, Reason]] = set()
        for outcome in outcomes:
            # After a dry run the old value stands because nothing was stored, not because somebody set it back.
            stored = outcome.ok and not self.rooms.gate.dry_run
            if stored and outcome.workload in rows:
                wanted = float(plan.workloads.replicas[rows[outcome.workload]])
                shaped = outcome.reason is Reason.NEW_PODS_SHAPED
                self.rooms.observer.wrote(outcome.workload, outcome.lever, wanted, outcome.subject, shaped=shaped)
            if not outcome.ok:
                self.rooms.recorder.metrics.refused.labels(outcome.lever.name, outcome.reason.value).inc()
                extra = {"resource": outcome.workload, "lever": outcome.lever.name, "reason": outcome.reason.value}
                refusals.add(known := (outcome.workload, outcome.lever, outcome.reason))
                # Most reasons last for many ticks: said once, counted each time.
                level = logging.DEBUG if known in self._refusals else logging.INFO
                _log.log(level, "not carried out: %s", outcome.message, extra=extra)
        self._refusals = refusals
        for decision in plan.decisions:
            extra = {"resource": decision.workload, "decision": decision.id, "reason": decision.reason.value}
            _log.info("%s: %s", decision.outcome, decision.outcome_message or decision.message, extra=extra)
        return outcomes

    def _targets(self, seen: Seen) -> dict[str, TargetInfo]:
        world = self.rooms.world
        return {
            key: TargetInfo(
                key,
                facts.config.spec,
                facts.target,
                facts.pods,
                facts.trials,
                world.current_replicaset(facts.target) if facts.target.kind == "Deployment" else None,
            )
            for key, facts in seen.facts.items()
            if facts.row >= 0 and facts.target is not None
        }

    def _specs(self) -> Mapping[str, PerformanceConfigSpec | None]:
        """Every resource that exists; None for one that can't be read any more: nothing of it is removed."""
        known = {key: config.spec for key, config in self.store.configs.items()}
        return known | dict.fromkeys(self.store.invalid)

    async def _record(self, seen: Seen, plan: Plan, outcomes: list[Outcome], now: float) -> None:
        told = facts_of(seen, plan, outcomes, self.store.invalid)
        for key, facts in seen.facts.items():
            status = self.store.statuses.get(key)
            if (
                status is None
                or not status.alerts
                or (facts.stopped and facts.stopped[0] is Reason.MONITORING_DISABLED)
            ):
                continue
            told[key] = replace(told[key], alerts=unseen_alerts(status))
            lost = [alert.model_copy(update={"state": AlertState.UNKNOWN}) for alert in status.alerts if alert.firing]
            self.store.statuses[key] = status.model_copy(update={"alerts": lost})
        recorder = self.rooms.recorder
        recorder.metrics.configs.set(len(told))
        for key, facts in seen.facts.items():
            if facts.hold is not None and facts.hold.fresh:
                note = f"{facts.hold.manager} set {facts.hold.value} replicas; left alone for humanHoldSeconds."
                await recorder.tell(told[key], Reason.HUMAN_SCALED, note, now)
        for key in [key for key, facts in self._told.items() if key not in told or told[key].uid != facts.uid]:
            await recorder.tell(self._told[key], Reason.CONFIG_DELETED, _farewell(self._told[key], told), now)
        await recorder.record(told, plan.decisions, now)
        self._told = told

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        with self.rooms.recorder.metrics.tick_seconds.labels(name).time():
            yield

    async def _stop(self) -> None:
        if self._past is not None:
            self._past.cancel()
            await asyncio.gather(self._past, return_exceptions=True)
        if self.rooms.backfill is not None:
            await self.rooms.backfill.close()
        await self.rooms.observer.close()
        await self.rooms.gate.close()
        await self.rooms.world.stop()


def _farewell(gone: Facts, told: Mapping[str, Facts]) -> str:
    """What becomes of the workload of a resource that was deleted."""
    spec = gone.spec
    for other in told.values():
        # Right after the deletion the one that counts is no longer held back by an older one.
        if (
            spec is not None
            and other.spec is not None
            and other.namespace == gone.namespace
            and other.spec.target_ref == spec.target_ref
            and (other.hold is None or other.hold.reason is not Reason.OLDER_CONFIG_WINS)
        ):
            return f"No longer counts: PerformanceConfig {other.name} has the workload."
    fate = "running pods go back to it too" if spec is not None and spec.on_delete == "Revert" else "running pods stay"
    return f"No longer tuned: new pods follow the template, {fate}."
