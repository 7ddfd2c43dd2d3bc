"""Knob rolls of StatefulSets and DaemonSets: the profile shapes new pods, old ones are evicted one by one (RULES 6)."""

from collections.abc import Callable, Container, Mapping

from trimtab.act.bounds import Refusal
from trimtab.act.entries import Wanted
from trimtab.act.evict import evict
from trimtab.act.knobs import values
from trimtab.act.outcomes import rows
from trimtab.act.targets import SetPoint, TargetInfo
from trimtab.act.writer import Writer
from trimtab.api.reasons import Reason
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Outcome
from trimtab.kube.records import PodRecord


class Roller:
    """Rolls knob values through pods that can't be cloned. `clock` gives Unix time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._evicted: dict[str, tuple[tuple[tuple[str, int], ...], float]] = {}

    def forget(self, keep: Container[str]) -> None:
        """Drop what is remembered of resources that are gone."""
        self._evicted = {key: known for key, known in self._evicted.items() if key in keep}

    async def converge(
        self, writer: Writer, info: TargetInfo, point: SetPoint, wanted: Mapping[str, Wanted], *, shaped: bool
    ) -> list[Outcome]:
        """Evict the next pod whose knobs are off, highest ordinal first, once all pods are Ready.

        `shaped`: the admission policy is there and the profile has held the values since an earlier tick; otherwise
        the pod would come back as it went. Raises HeldError, KubeError.
        """
        knobs = values(info, point, wanted)
        levers = [(Lever.KNOB, k.name) for k in knobs.knobs]
        if knobs.trial:
            message = f"a {info.workload.kind} has no trial pods; knobs are stepped without"
            return rows(info.key, [(Lever.KNOB, knobs.trial)], False, Refusal(Reason.LEVER_NOT_SUPPORTED, message))
        off = [p for p in info.current_pods if not knobs.is_base(p)]
        if not knobs.knobs or not off:
            return []
        if not shaped:
            message = "new pods do not get the profile's values yet, so none is evicted for them"
            return rows(info.key, levers, False, Refusal(Reason.ADMISSION_POLICY_MISSING, message))
        base = tuple(sorted(knobs.base.items()))
        before, since = self._evicted.get(info.key, ((), 0.0))
        stubborn = next((p for p in off if before == base and p.created >= int(since)), None)
        if stubborn is not None:
            message = f"pod {stubborn.name} started without the profile's values; no more pods are evicted"
            return rows(info.key, levers, False, Refusal(Reason.ADMISSION_POLICY_MISSING, message))
        if point.rollout or info.rolling:
            message = "the workload is rolling out; no pod is evicted meanwhile"
            return rows(info.key, levers, False, Refusal(Reason.ROLLOUT_IN_PROGRESS, message))
        ready = sum(p.ready for p in info.current_pods)
        if any(p.deleting for p in info.pods) or ready < max(info.workload.replicas, len(info.current_pods)):
            message = f"{ready} of {info.workload.replicas} pods are ready; the next is evicted when all are"
            return rows(info.key, levers, True, Refusal(Reason.PROGRESSING, message))
        pod = max(off, key=_order)
        refusal = await evict(writer, pod)
        if refusal is not None:
            return rows(info.key, levers, False, refusal)
        self._evicted[info.key] = (base, self._clock())
        message = f"pod {pod.name} was evicted to come back with new values; {len(off) - 1} to go"
        return rows(info.key, levers, True, Refusal(Reason.PROGRESSING, message), 1)


def _order(pod: PodRecord) -> tuple[int, str]:
    ordinal = pod.name.rpartition("-")[2]
    return (int(ordinal) if ordinal.isdecimal() else -1, pod.name)
