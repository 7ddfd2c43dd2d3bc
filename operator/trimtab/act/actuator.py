"""Makes it so: the profiles first, then every workload's replicas, pods and knobs, each on its own.

Level-based: what is wanted stands in the cluster (the TuningProfile, spec.replicas), so a tick after a crash at any
write goes on where the last one stopped. Nothing here decides a value.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from trimtab.act.bounds import Refusal
from trimtab.act.entries import in_force, left_alone, tuned_sizes
from trimtab.act.evict import evict
from trimtab.act.gate import Gate, HeldError, Priority
from trimtab.act.outcomes import explain, rows
from trimtab.act.resizer import Resizer
from trimtab.act.roller import Roller
from trimtab.act.scale import scale
from trimtab.act.shaper import Shaped, Shaper
from trimtab.act.swapper import Swapper, release_pods
from trimtab.act.targets import SetPoint, TargetInfo, World, set_points
from trimtab.act.writer import WriteApi, Writer
from trimtab.api.reasons import Reason
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.api.status import OutcomeState
from trimtab.decide.observation import Lever, Observation
from trimtab.decide.plan import Outcome, Plan
from trimtab.kube.discovery import Discovery
from trimtab.kube.errors import KubeError
from trimtab.kube.records import APPS_KINDS

_log = logging.getLogger(__name__)
T = TypeVar("T")
Step = tuple[Lever, Callable[[], Awaitable[list[Outcome]]]]


class Actuator:
    """Carries out plans. Keep one for the life of the process: it remembers which pods refused a resize.

    Args:
        client: a KubeClient.
        world: the mirror of the cluster; it must be synced.
        gate: what every write passes.
        clock: Unix time in seconds.
        discovery: for the paths of kinds other than the built-in ones; by default one of its own.
        knobs_enabled: whether pods may be created and evicted.
        shapes_new_pods: whether the admission policy is in force (`Capabilities.shapes_new_pods`), asked each tick.
        concurrency: workloads in hand at a time.
        workload_seconds: most time for one workload, and for one namespace's profile, in a tick.
    """

    def __init__(
        self,
        client: WriteApi,
        world: World,
        gate: Gate,
        clock: Callable[[], float],
        *,
        discovery: Discovery | None = None,
        knobs_enabled: bool = True,
        shapes_new_pods: Callable[[], bool] = lambda: True,
        concurrency: int = 16,
        workload_seconds: float = 20.0,
    ) -> None:
        self._world = world
        self._gate = gate
        self._clock = clock
        self._writer = Writer(client, gate)
        self._discovery = discovery or Discovery(client)
        self._knobs_enabled = knobs_enabled
        self._shapes = shapes_new_pods
        self._slots = asyncio.Semaphore(concurrency)
        self._seconds = workload_seconds
        self._resizer, self._swapper, self._roller = Resizer(clock), Swapper(clock), Roller(clock)
        self._shaper = Shaper(world, self._resizer)
        self._counted: dict[str, int] = {}
        """Replica counts that the fleet's cap has counted and that are not reached yet, by key."""

    async def act(
        self,
        plan: Plan,
        observation: Observation,
        targets: Mapping[str, TargetInfo],
        configs: Mapping[str, PerformanceConfigSpec | None],
    ) -> list[Outcome]:
        """One step of everything towards the plan.

        Args:
            plan: what `decide` gave for `observation`.
            targets: workloads that were found, by key of the PerformanceConfig; rows of the observation that have
                none are passed over.
            configs: EVERY PerformanceConfig that exists, by key, whether its workload was found or not; None for one
                that can't be read, which keeps what it has. What is in a profile for any other is taken out, so this
                must be complete.

        Returns:
            What became of set points that changed or are not reached, for the record and the next tick. Errors of one
            workload are outcomes of it and stop no other; cancelling stops all.
        """
        for decision in plan.decisions:
            if decision.outcome in (OutcomeState.KEPT, OutcomeState.ROLLED_BACK):
                self._gate.verdict(decision.outcome is OutcomeState.ROLLED_BACK)
        self._roller.forget(configs)
        self._counted = {key: replicas for key, replicas in self._counted.items() if key in configs}
        points = {k: p for k, p in set_points(plan, observation).items() if k in targets}
        by_namespace: dict[str, list[TargetInfo]] = defaultdict(list)
        for record in self._world.profiles():
            by_namespace[record.namespace] = []
        for key in points:
            by_namespace[targets[key].namespace].append(targets[key])
        shaped = dict(
            await asyncio.gather(
                *(self._shape(name, infos, points, configs) for name, infos in sorted(by_namespace.items()))
            )
        )
        found = await asyncio.gather(
            *(self._converge(targets[k], p, shaped[targets[k].namespace]) for k, p in points.items())
        )
        leftovers = await self._leftovers(targets, points, configs)
        return [o for s in shaped.values() for o in s.outcomes] + [o for list_ in found for o in list_] + leftovers

    async def _shape(
        self,
        namespace: str,
        infos: list[TargetInfo],
        points: Mapping[str, SetPoint],
        configs: Mapping[str, PerformanceConfigSpec | None],
    ) -> tuple[str, Shaped]:
        result = await self._guard(
            namespace, lambda: self._shaper.shape(self._writer, namespace, infos, points, configs)
        )
        if isinstance(result, Refusal):
            failed = Shaped(held={i.key for i in infos})
            failed.outcomes = [o for i in infos for o in rows(i.key, [(Lever.CPU, "")], False, result)]
            return namespace, failed
        return namespace, result

    async def _converge(self, info: TargetInfo, point: SetPoint, shaped: Shaped) -> list[Outcome]:
        outcomes: list[Outcome] = []
        if not point.acting:
            self._counted.pop(info.key, None)
            steps: list[Step] = []
            if info.trials or any(p.swapped for p in info.pods):
                steps.append((Lever.KNOB, lambda: self._swapper.abandon(self._writer, info)))
        elif info.key in shaped.held or point.template != info.workload.template_hash:
            return []
        else:
            steps = list(self._steps(info, point, shaped))
        for lever, step in steps:
            result = await self._guard(info.key, step)
            outcomes += rows(info.key, [(lever, "")], False, result) if isinstance(result, Refusal) else result
        return outcomes

    def _steps(self, info: TargetInfo, point: SetPoint, shaped: Shaped) -> Iterable[Step]:
        """The steps of one workload, in order; each fails on its own."""
        if point.replicas >= 1 and point.replicas != point.replicas_seen:
            yield Lever.REPLICAS, lambda: self._scale(info, point)
        else:
            self._counted.pop(info.key, None)
        if info.workload.kind not in APPS_KINDS:
            return
        wanted = in_force(info, shaped.entries.get(info.key), self._world.limit_ranges(info.namespace))
        current = {p.uid for p in (*info.current_pods, *info.trials)}
        live = [p for p in (*info.pods, *info.trials) if not p.deleting and p.phase not in ("Succeeded", "Failed")]
        yield (
            Lever.CPU,
            lambda: self._resizer.converge(
                self._writer,
                info.key,
                live,
                left_alone(tuned_sizes(info, wanted), point.contested),
                point.working_sets,
                # Pods of an old revision go soon; only what they lack is brought to them.
                raises_only=lambda pod: point.rollout or pod.uid not in current,
                priority=point.priority,
            ),
        )
        knobs = bool(info.spec.optimization.constraints.knobs) and self._knobs_enabled
        knobs = knobs and Lever.KNOB not in point.contested
        if not knobs:
            if info.trials or any(p.swapped for p in info.pods):
                yield Lever.KNOB, lambda: self._swapper.abandon(self._writer, info)
        elif info.workload.kind == "Deployment":
            yield Lever.KNOB, lambda: self._swapper.converge(self._writer, info, point, wanted)
        else:
            ready = self._shapes() and info.key in shaped.settled
            yield Lever.KNOB, lambda: self._roller.converge(self._writer, info, point, wanted, shaped=ready)

    async def _scale(self, info: TargetInfo, point: SetPoint) -> list[Outcome]:
        again = self._counted.get(info.key) == point.replicas
        self._gate.change(point.priority, emergency=point.emergency, again=again)
        self._counted[info.key] = point.replicas
        return [await scale(self._writer.at(point.priority), self._discovery, info, point)]

    async def _leftovers(
        self,
        targets: Mapping[str, TargetInfo],
        points: Mapping[str, SetPoint],
        configs: Mapping[str, PerformanceConfigSpec | None],
    ) -> list[Outcome]:
        """Remove trial pods and deletion costs that belong to no PerformanceConfig any more."""
        known = {p.uid for key in points for p in (*targets[key].pods, *targets[key].trials)}
        writer = self._writer.at(Priority.CUT, tidy=True)
        owners: list[str] = []
        steps: list[Awaitable[object]] = []
        for pod in self._world.marked_pods():
            if pod.uid in known or pod.deleting:
                continue
            owner = f"{pod.namespace}/{pod.trial_of}"
            if not pod.trial_of:
                steps.append(self._guard(pod.key, partial(release_pods, writer, [pod])))
            elif owner not in configs or self._clock() > pod.trial_deadline:
                steps.append(self._guard(pod.key, partial(evict, writer, pod)))
            else:
                continue
            owners.append(owner if pod.trial_of else "")
        results = zip(owners, await asyncio.gather(*steps), strict=True)
        refused = [(owner, result) for owner, result in results if owner and isinstance(result, Refusal)]
        return [o for owner, result in refused for o in rows(owner, [(Lever.KNOB, "")], False, result)]

    async def _guard(self, what: str, work: Callable[[], Awaitable[T]]) -> T | Refusal:
        """The result of a step, or why it failed; bounded in time and in number."""
        async with self._slots:
            try:
                async with asyncio.timeout(self._seconds):
                    return await work()
            except (HeldError, KubeError) as error:
                return explain(error)
            except TimeoutError:
                return Refusal(Reason.MOVE_FAILED, f"not done within {self._seconds:.0f} s; goes on in the next tick")
            except Exception as error:
                _log.exception("a step of act failed; it is tried again in the next tick", extra={"resource": what})
                return Refusal(Reason.INTERNAL_ERROR, f"{type(error).__name__}; the operator's log has the details")
