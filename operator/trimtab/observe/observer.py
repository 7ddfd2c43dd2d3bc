"""Observe: from what the mirrors and the datasources say now to one Observation, and the facts behind it."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from trimtab.api.datasource import Datasource
from trimtab.api.reasons import Reason
from trimtab.api.settings import OperatorSettings
from trimtab.decide.observation import (
    Alerts,
    Block,
    Containers,
    Knobs,
    Lever,
    Objectives,
    Observation,
    Samples,
    Targets,
    Workloads,
)
from trimtab.kube.polled import TargetKey
from trimtab.kube.records import WorkloadRecord
from trimtab.kube.world import World
from trimtab.observe.asker import Asker
from trimtab.observe.builtin import Builtin
from trimtab.observe.config import ConfigRecord, elders, pace
from trimtab.observe.conflicts import Hold, HumanHolds, RevertWatch, War
from trimtab.observe.costs import Spending
from trimtab.observe.facts import Facts, Seen
from trimtab.observe.goals import GoalRows, register_goals
from trimtab.observe.headroom import Room, room
from trimtab.observe.measure import built_in_answers, slow_readings
from trimtab.observe.meters import Plans, PresetMeter, plan_metrics
from trimtab.observe.ooms import OomWatch
from trimtab.observe.presets import Preset
from trimtab.observe.prices import PriceBook
from trimtab.observe.reverts import STANDS, of_pods, of_profile, watch_reverts
from trimtab.observe.rows import (
    Row,
    alert_rows,
    container_key,
    container_rows,
    knob_rows,
    sample_rows,
    target_rows,
    workload_row,
)
from trimtab.observe.source import MetricSource
from trimtab.observe.targets import Found, find_target
from trimtab.observe.usage import SLOW_SECONDS, cpu_window
from trimtab.observe.view import View, build_view, register, take_answers
from trimtab.observe.windows import Windows

BUDGET_SHARE = 0.5
"""Share of a tick that observe may wait for datasources."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Observer:
    """Looks at every resource once a tick. Keeps only what the next look needs; all of it may be lost."""

    def __init__(
        self,
        world: World,
        sources: Mapping[str, MetricSource],
        presets: Mapping[str, Preset],
        settings: OperatorSettings,
        *,
        own_namespace: str = "",
    ) -> None:
        self._world, self._settings = world, settings
        self._presets = presets
        usable = (one for one in settings.datasources if one.name in sources)
        self._datasources: dict[str, Datasource] = {one.name: one for one in usable}
        self._asker = Asker(sources, self._datasources)
        self._spending = Spending(PriceBook(sources, self._datasources, settings.prices))
        self._excluded = frozenset({own_namespace} - {""})
        self._windows, self._reverts, self._holds, self._ooms = Windows(), RevertWatch(), HumanHolds(), OomWatch()
        self._plans: dict[str, tuple[tuple[str, int], Plans]] = {}
        self._pace = settings.tick_seconds
        self._due: dict[str, float] = {}
        self._sampled: dict[str, float] = {}
        self._revisions: dict[str, int] = {}
        self._goals = GoalRows()

    async def observe(self, configs: Mapping[str, ConfigRecord], now: float) -> Seen:
        """What is, at `now` (Unix seconds). An error of one resource is its own; the others go on."""
        self._pace = pace(configs.values(), self._settings.tick_seconds)
        self._forget(set(configs), now)
        older = elders(configs.values())
        self._world.follow(_other_targets(configs.values()))
        self._asker.begin()
        self._spending.begin()
        facts: dict[str, Facts] = {}
        views: list[View] = []
        for place, (key, config) in enumerate(configs.items()):
            await _breathe(place)
            looked = _safely(config, self._look, config, older.get(key), now)
            if isinstance(looked, View):
                views.append(looked)
            else:
                facts[key] = looked
        self._spending.start(now)
        await self._asker.round(now, self._pace, self._pace * BUDGET_SHARE)
        answered = []
        for place, view in enumerate(views):
            await _breathe(place)
            taken = _safely(view.config, self._take, view, now)
            if isinstance(taken, Facts):
                facts[view.config.key] = taken
            else:
                answered.append(view)
        observation, done = await self._assemble(answered, now)
        facts |= done
        return Seen(observation, {key: facts[key] for key in configs}, tuple(self._world.notes()))

    def wrote(self, key: str, lever: Lever, value: float, subject: str = "", *, shaped: bool = False) -> None:
        """Tell that a value was written, so that a revert is noticed even when it comes before the next look.

        `subject` is the container or knob, `shaped` that it was written into the profile, not to running pods.
        """
        if lever is Lever.REPLICAS:
            self._reverts.wrote(key, lever, value, revision=self._revisions.get(key, 0))
            return
        for place in (of_profile, of_pods) if shaped else (of_pods,):
            self._reverts.wrote(key, lever, STANDS, subject=place(subject))

    async def close(self) -> None:
        """Give up questions that are being asked. The sources are the caller's to close."""
        await self._asker.close()
        await self._spending.close()

    def plans(self, config: ConfigRecord) -> Plans:
        """How the metrics of a resource are measured."""
        mark = (config.uid, config.generation)
        known = self._plans.get(config.key)
        if known is None or known[0] != mark:
            known = mark, plan_metrics(config.spec, config.namespace, self._datasources, self._presets)
            self._plans[config.key] = known
        return known[1]

    def _look(self, config: ConfigRecord, elder: ConfigRecord | None, now: float) -> View | Facts:
        """Everything that the mirrors know; registers the questions for the datasources."""
        found = find_target(self._world, config, self._excluded, self._settings.namespaces)
        if not config.spec.monitoring.enabled:
            message = "spec.monitoring.enabled is false; nothing is measured and nothing is moved."
            return Facts(config, found, stopped=(Reason.MONITORING_DISABLED, message))
        target = found.target
        if target is None:
            return Facts(config, found, stopped=(found.reason, found.message))
        view = build_view(
            config,
            found,
            target,
            self.plans(config),
            self._world,
            self._settings,
            elder=elder,
            wars=self._wars(config, target, now),
            hold=self._hold(config, target, now),
            window=self._windows.verdict(config.spec.optimization.constraints.disruption.windows, now),
            due=self._is_due(config, now),
            now=now,
        )
        register(view, self._asker)
        register_goals(view, self._asker)
        self._spending.register(view, self._asker)
        return view

    def _take(self, view: View, now: float) -> None:
        """Read the answers; anything that raises here leaves the resource out."""
        profile = self._world.profile(view.config.namespace)
        foreign, generation = (profile.foreign, profile.generation) if profile is not None else ({}, 0)
        watch_reverts(self._reverts, view, foreign, generation, now)
        take_answers(view, self._asker, now)
        view.metrics |= built_in_answers(view, now)
        self._spending.take(view, self._asker, self._world.nodes(), now)
        window = cpu_window(view.plans.datasource) if view.plans.datasource is not None else SLOW_SECONDS
        counts = slow_readings(view, Builtin.OOM, now)
        for name in view.tuned:
            key = container_key(view, name)
            self._ooms.reported(key, name, (*view.pods, *view.trials))
            increase = max((counts.get((pod.name, name), 0.0) for pod in view.live), default=0.0)
            if view.slow is not None:
                self._ooms.counted(key, increase, view.slow.at, window, view.forces[name].memory_limit)

    async def _assemble(self, views: list[View], now: float) -> tuple[Observation, dict[str, Facts]]:
        nodes = room(self._world.nodes(), self._world.pods_everywhere())
        named = ("workloads", "targets", "samples", "knobs", "alerts", "objectives")
        tables: dict[str, list[Row]] = {name: [] for name in named}
        containers: list[Row] = []
        blocks: dict[int, tuple[Block, ...]] = {}
        facts: dict[str, Facts] = {}
        for place, view in enumerate(views):
            await _breathe(place)
            row = len(tables["workloads"])
            made = _safely(view.config, self._rows, view, row, len(containers), nodes, now)
            if isinstance(made, Facts):
                facts[view.config.key] = made
                continue
            for name, rows in tables.items():
                rows.extend(made[name])
            containers.extend(made["containers"])
            if view.levers.blocks:
                blocks[row] = view.levers.blocks
            facts[view.config.key] = _facts(view, row)
        observation = Observation(
            now=now,
            workloads=Workloads.of(tables["workloads"]),
            targets=Targets.of(tables["targets"]),
            containers=Containers.of(containers),
            samples=Samples.of(tables["samples"]),
            knobs=Knobs.of(tables["knobs"]),
            alerts=Alerts.of(tables["alerts"]),
            objectives=Objectives.of(tables["objectives"]),
            blocks=blocks,
        )
        return observation, facts

    def _rows(self, view: View, row: int, first: int, nodes: Room, now: float) -> dict[str, list[Row]]:
        ranges = self._world.limit_ranges(view.config.namespace)
        containers = container_rows(view, row, self._ooms, ranges, now)
        return {
            "workloads": [workload_row(view, nodes, now)],
            "targets": target_rows(view, row, now),
            "containers": containers,
            "samples": self._samples(view, first, len(containers), now),
            "knobs": knob_rows(view, row, now),
            "alerts": alert_rows(view, row),
            "objectives": self._goals.rows(view, row, self._asker, now),
        }

    def _samples(self, view: View, first: int, count: int, now: float) -> list[Row]:
        """Samples of readings that were not used yet; a reading is worth the time since the one before."""
        key = view.config.key
        if view.fast is None or not view.due or not view.fast.at > self._sampled.get(key, 0.0):
            return []
        span = min(view.fast.at - self._sampled.get(key, view.fast.at - view.interval), 4.0 * view.interval)
        self._sampled[key] = view.fast.at
        return sample_rows(view, first, count, now, span)

    def _is_due(self, config: ConfigRecord, now: float) -> bool:
        """Whether sampleRate says that this tick is this resource's."""
        if now - self._due.get(config.key, -math.inf) < config.interval - self._pace / 2:
            return False
        self._due[config.key] = now
        return True

    def _wars(self, config: ConfigRecord, target: WorkloadRecord, now: float) -> dict[Lever, War]:
        self._revisions[config.key] = target.generation
        war = self._reverts.saw(
            config.key,
            Lever.REPLICAS,
            target.replicas,
            manager=target.replicas_manager,
            generation=config.generation,
            now=now,
            revision=target.generation,
        )
        wars = self._reverts.wars(config.key, config.generation, now)
        return wars | ({Lever.REPLICAS: war} if war is not None else {})

    def _hold(self, config: ConfigRecord, target: WorkloadRecord, now: float) -> Hold | None:
        return self._holds.seen(
            config.key,
            value=target.replicas,
            manager=target.replicas_manager,
            operation=target.replicas_manager_operation,
            written=target.replicas_set_at,
            hold_seconds=float(config.spec.optimization.behavior.human_hold_seconds),
            now=now,
        )

    def _forget(self, keys: set[str], now: float) -> None:
        """Drop what is remembered of resources that are gone."""
        self._reverts.forget(keys)
        self._holds.forget(keys)
        self._ooms.forget(keys, now)
        self._goals.forget(keys)
        self._spending.forget(keys)
        for table in (self._plans, self._due, self._sampled, self._revisions):
            for gone in table.keys() - keys:
                del table[gone]


async def _breathe(place: int) -> None:
    """Let the other tasks run (lease, watches, health) every hundred resources."""
    if place % 100 == 99:
        await asyncio.sleep(0)


def _safely(config: ConfigRecord, call: Callable[..., T], *args: object) -> T | Facts:
    """What the call gives; when it raises, the fault as facts of this resource alone."""
    try:
        return call(*args)
    except Exception:
        _log.exception("observing failed; the other resources go on", extra={"resource": config.key})
        message = "Trimtab failed while observing this resource; see the operator's log. Nothing is moved."
        found = Found(None, Reason.INTERNAL_ERROR, message)
        return Facts(config, found, stopped=(Reason.INTERNAL_ERROR, message))


def _other_targets(configs: Iterable[ConfigRecord]) -> list[TargetKey]:
    """Workloads of kinds that no mirror watches."""
    return [
        TargetKey(config.namespace, reference.api_version, reference.kind, reference.name)
        for config in configs
        if not World.watches((reference := config.spec.target_ref).api_version, reference.kind)
    ]


def _facts(view: View, row: int) -> Facts:
    presets = {
        plan.metric.name: plan.meter.batch.preset.group
        for plan in view.plans.metrics
        if isinstance(plan.meter, PresetMeter)
    }
    return Facts(
        config=view.config,
        found=view.found,
        row=row,
        stopped=view.stopped,
        pods=view.pods,
        trials=view.trials,
        levers=view.levers,
        metrics=view.metrics,
        groups={name: group for name, group in presets.items() if group is not None},
        entry=view.entry,
        remarks=tuple(view.remarks),
        hold=view.hold,
        arrival=view.arrival,
        spent=view.spent,
        sampled_at=view.fast.at if view.fast is not None and view.fast.result is not None else 0.0,
    )
