"""Knob trials and rolls of Deployments: one clone at a time, adopted by the ReplicaSet once it is Ready (RULES 6, 7).

Level-based: the role of a clone is read from its values, so any successor finishes or removes what it finds.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from trimtab.act.bounds import Refusal
from trimtab.act.clone import HASH_LABEL, adoption, clone, clone_name, name_prefix, release
from trimtab.act.entries import Wanted
from trimtab.act.evict import evict
from trimtab.act.gate import Priority
from trimtab.act.knobs import Values, values
from trimtab.act.outcomes import explain, rows
from trimtab.act.revision import blocking_budget, current_replica_set, template_cost
from trimtab.act.targets import SetPoint, TargetInfo
from trimtab.act.writer import Writer
from trimtab.api.reasons import Reason, find_reason
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Outcome
from trimtab.kube.errors import AlreadyExists, Invalid, KubeError, NotFound
from trimtab.kube.paths import resource_path
from trimtab.kube.raw import condition, dig, strings
from trimtab.kube.records import PodRecord
from trimtab.kube.strip_pods import TRIAL_LABEL

START_SECONDS = 600.0
"""Time for a clone to become Ready (progressDeadlineSeconds of Deployments has the same default)."""
TRIAL_ROUNDS = 4
"""A trial has no verdict after three epochs at the most; its pod's deadline leaves one to spare."""
RETRY_SECONDS = 900.0
"""After a clone that did not become Ready."""


class Swapper:
    """Trials and rolls of Deployments. `clock` gives Unix time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._adopting: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._failed: dict[str, float] = {}

    async def converge(
        self, writer: Writer, info: TargetInfo, point: SetPoint, wanted: Mapping[str, Wanted]
    ) -> list[Outcome]:
        """One step of the trial or roll of a Deployment. Raises HeldError, KubeError."""
        knobs = values(info, point, wanted)
        if any(knobs.base.get(name) != p.value for name, p in point.knobs.items() if name in knobs.base):
            return []  # the profile does not hold the new value yet; a trial pod that has it is not to be lost
        levers = [(Lever.KNOB, knobs.trial)] if knobs.trial else [(Lever.KNOB, k.name) for k in knobs.knobs]
        off = [p for p in info.current_pods if not knobs.is_base(p)] if knobs.knobs else []
        clones = [p for p in info.trials if not p.deleting]
        keep = self._useful(info, knobs, off, clones)
        outcomes: list[Outcome] = []
        for pod in clones:
            if keep is None or pod.uid != keep[0].uid:
                outcomes += await self._remove(writer, info, levers, pod)
        if not off:
            await release_pods(writer.at(Priority.CUT, tidy=True), info.pods)
        if outcomes or any(p.deleting for p in info.trials):
            return outcomes  # one clone at a time: the next begins when this one is gone
        if keep is not None:
            pod, adopt = keep
            return await self._adopt(writer, info, levers, pod, off) if adopt and pod.ready else []
        if not off and not knobs.trial:
            return []
        refusal = self._refusal(info, point)
        if refusal is not None:
            return rows(info.key, levers, False, refusal)
        return await self._create(writer, info, knobs, wanted, levers, roll=bool(off))

    async def abandon(self, writer: Writer, info: TargetInfo) -> list[Outcome]:
        """Remove what trials and rolls left of a workload that is not acted on. Raises HeldError, KubeError."""
        tidy = writer.at(Priority.CUT, tidy=True)
        outcomes = []
        for pod in info.trials:
            if not pod.deleting:
                refusal = await evict(tidy, pod)
                if refusal is not None:
                    outcomes += rows(info.key, [(Lever.KNOB, "")], False, refusal)
        await release_pods(tidy, info.pods)
        return outcomes

    def _useful(
        self, info: TargetInfo, knobs: Values, off: Sequence[PodRecord], clones: Sequence[PodRecord]
    ) -> tuple[PodRecord, bool] | None:
        """The one clone that serves what is wanted, and whether it is to be adopted."""
        if info.replicaset is None:
            return None
        prefix = name_prefix(info.replicaset.name, info.replicaset.hash)
        for pod in sorted(clones, key=lambda p: (not p.ready, p.created, p.name)):
            if not pod.name.startswith(prefix) or self._overdue(pod):
                continue
            if off and knobs.is_base(pod):
                return pod, True
            if not off and knobs.is_trial(pod):
                return pod, False
        return None

    def _overdue(self, pod: PodRecord) -> bool:
        now = self._clock()
        late = not pod.ready and now > pod.created + START_SECONDS
        return late or pod.phase in ("Failed", "Succeeded") or now > pod.trial_deadline

    async def _remove(
        self, writer: Writer, info: TargetInfo, levers: list[tuple[Lever, str]], pod: PodRecord
    ) -> list[Outcome]:
        refusal = await evict(writer.at(Priority.CUT, tidy=True), pod)
        if refusal is not None:
            return rows(info.key, levers, False, refusal)
        if self._overdue(pod):
            now = self._clock()
            self._failed = {key: at for key, at in self._failed.items() if now - at < RETRY_SECONDS} | {info.key: now}
            state = "was ready, but nobody judged it" if pod.ready else f"was not ready ({pod.phase or 'Pending'})"
            message = f"pod {pod.name} {state} by its deadline and was removed; look at its events"
            return rows(info.key, levers, False, Refusal(Reason.CANARY_NOT_READY, message), 1)
        message = f"pod {pod.name} is no longer needed and was removed"
        return rows(info.key, levers, True, Refusal(Reason.KNOB_TRIAL_ROLLED_BACK, message), 1)

    def _refusal(self, info: TargetInfo, point: SetPoint) -> Refusal | None:
        """Why no clone may be made now."""
        if info.workload.swap_refusals:
            name, _, phrase = info.workload.swap_refusals[0].partition(": ")
            reason = find_reason(name)
            return Refusal(reason, phrase) if reason else Refusal(Reason.LEVER_NOT_SUPPORTED, f"{name} {phrase}")
        if info.replicaset is None or point.rollout or info.rolling or info.workload.paused:
            return Refusal(Reason.ROLLOUT_IN_PROGRESS, "the workload is rolling out; no pod is swapped meanwhile")
        if len(info.current_pods) > info.workload.replicas:
            return Refusal(Reason.PROGRESSING, "the ReplicaSet has yet to remove the pod that the last swap replaced")
        ready = sum(p.ready for p in info.current_pods)
        if ready < info.workload.replicas or not ready:
            message = f"{ready} of {info.workload.replicas} pods are ready; no pod is swapped until all are"
            return Refusal(Reason.PROGRESSING, message)
        failed = self._clock() - self._failed.get(info.key, -RETRY_SECONDS)
        if failed < RETRY_SECONDS:
            message = f"a pod with the new value did not start; next try in {RETRY_SECONDS - failed:.0f} s"
            return Refusal(Reason.CANARY_NOT_READY, message)
        return None

    async def _create(
        self,
        writer: Writer,
        info: TargetInfo,
        knobs: Values,
        wanted: Mapping[str, Wanted],
        levers: list[tuple[Lever, str]],
        *,
        roll: bool,
    ) -> list[Outcome]:
        fresh = await current_replica_set(writer, info)
        if isinstance(fresh, Refusal):
            return rows(info.key, levers, False, fresh)
        assert info.replicaset is not None  # _refusal saw to it
        aim = dict(knobs.base) if roll else knobs.with_trial
        taken = {p.name for p in (*info.pods, *info.trials)}
        serial = next(
            serial
            for serial in (f"{aim}{n}" for n in range(10_000))
            if clone_name(info.replicaset.name, info.replicaset.hash, serial) not in taken
        )
        trial_seconds = info.spec.optimization.behavior.trial_seconds
        span = START_SECONDS + (0 if roll else TRIAL_ROUNDS * trial_seconds)
        body = clone(
            fresh,
            info.config,
            wanted,
            knobs.env(aim),
            serial=serial,
            deadline=self._clock() + span,
            knob="" if roll else f"{knobs.trial}={knobs.trial_value}",
        )
        try:
            await writer.create(resource_path("", "v1", "pods", info.namespace), body)
        except AlreadyExists:
            return []  # made before a crash; the mirror will show it
        what = "a pod of the roll" if roll else f"a trial of {knobs.trial} = {knobs.trial_value}"
        message = f"pod {body['metadata']['name']} was created as {what}"
        return rows(info.key, levers, True, Refusal(Reason.KNOB_TRIAL_STARTED, message), 1)

    async def _adopt(
        self,
        writer: Writer,
        info: TargetInfo,
        levers: list[tuple[Lever, str]],
        pod: PodRecord,
        off: Sequence[PodRecord],
    ) -> list[Outcome]:
        # Two workloads under one budget must not both spend its last disruption.
        async with self._adopting[info.namespace]:
            fresh = await current_replica_set(writer, info)
            if isinstance(fresh, Refusal):
                return rows(info.key, levers, False, fresh)
            path = resource_path("", "v1", "pods", pod.namespace, pod.name)
            live = await writer.get(path)
            owners = {o.get("uid") for o in dig(live, "metadata", "ownerReferences") or ()}  # type: ignore[attr-defined]
            ready = condition(live, "Ready").get("status") == "True"
            labels = strings(live, "metadata", "labels")
            if not ready or fresh["metadata"]["uid"] not in owners or TRIAL_LABEL not in labels:
                return []  # changed meanwhile; the next tick sees how
            pod_hash = strings(fresh, "metadata", "labels")[HASH_LABEL]
            blocked = await blocking_budget(writer, info.namespace, labels | {HASH_LABEL: pod_hash})
            if blocked is not None:
                return rows(info.key, levers, False, blocked)
            try:
                await writer.json_patch(path, adoption(live, info.config, pod_hash))
            except Invalid as error:  # a test operation failed: it is no longer that clone
                return rows(info.key, levers, False, explain(error))
        message = f"pod {pod.name} took over; {len(off)} pods had other values before"
        return rows(info.key, levers, True, Refusal(Reason.KNOB_TRIAL_KEPT, message), 1)


async def release_pods(writer: Writer, pods: Sequence[PodRecord]) -> None:
    """Give swapped pods back the deletion cost of their template. Raises HeldError; errors of one pod stop none."""
    costs: dict[str, str | None] = {}
    errors: list[KubeError] = []
    for pod in pods:
        if not pod.swapped or pod.deleting or pod.trial_of:
            continue
        try:
            if pod.owner_name not in costs:
                costs[pod.owner_name] = await template_cost(writer, pod.namespace, pod.owner_name)
            path = resource_path("", "v1", "pods", pod.namespace, pod.name)
            await writer.json_patch(path, release(pod.uid, costs[pod.owner_name]))
        except (NotFound, Invalid):
            continue  # gone, or released already
        except KubeError as error:
            errors.append(error)
    if errors:
        raise errors[0]
