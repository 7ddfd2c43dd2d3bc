"""Sends the resizes of a workload's pods in waves, and remembers which pods can't have them now."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trimtab.act.bounds import Refusal
from trimtab.act.entries import Wanted
from trimtab.act.gate import HeldError, Priority
from trimtab.act.outcomes import Failure, explain, rows, sizes_levers
from trimtab.act.resize import State, Step, body, step
from trimtab.act.targets import Sizes
from trimtab.act.writer import Writer
from trimtab.api.reasons import Reason
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Outcome
from trimtab.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound
from trimtab.kube.paths import resource_path
from trimtab.kube.records import PodRecord

CUT_SHARE = 0.25
"""Share of the pods that may be on their way down at once; a lone pod counts as one."""
HOLD_SECONDS = 300.0
MOST_HOLD_SECONDS = 3600.0
"""A pod that could not be resized is tried again after this, doubled each time up to an hour."""


@dataclass(frozen=True, slots=True)
class _Hold:
    """A pod that refused, and is left alone for a while."""

    until: float
    failures: int
    refusal: Refusal


class Resizer:
    """Resizes pods in place until they have what is wanted. `clock` gives Unix time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._holds: dict[str, _Hold] = {}

    async def converge(
        self,
        writer: Writer,
        key: str,
        pods: Sequence[PodRecord],
        wanted: Mapping[str, Wanted],
        working_sets: Mapping[str, float],
        *,
        raises_only: Callable[[PodRecord], bool] = lambda pod: False,
        priority: Priority = Priority.CUT,
    ) -> list[Outcome]:
        """One step of every pod: raises at once, cuts and restarts in waves. Never raises KubeError or HeldError.

        `priority` is that of raises, at least Priority.LATENCY; cuts go at Priority.CUT.
        """
        now = self._clock()
        steps = [(p, step(p, _for_pod(wanted, p), working_sets, now, raises=raises_only(p))) for p in pods]
        waiting = sum(s.state is State.WAIT for _, s in steps)
        unready = sum(not p.ready for p in pods)
        room = max(1, math.floor(len(pods) * CUT_SHARE)) - waiting
        outcomes: list[Outcome] = []
        sent: dict[tuple[Lever, str], int] = {}
        for pod, todo in steps:
            if (todo.state is State.WAIT and todo.refusal is not None) or (
                todo.state is State.REFUSED and todo.refusal is not None
            ):
                outcomes += rows(key, _all_levers(wanted), False, todo.refusal)
            elif todo.state is State.BACK_OUT:
                outcomes += await self._back_out(writer, key, pod, todo)
            elif todo.state is State.SEND and (hold := self._held(pod, now)) is not None:
                outcomes += rows(key, sizes_levers(todo.sizes), False, hold.refusal)  # it stays true until the next try
            elif todo.state is State.SEND:
                if todo.cut and (room <= 0 or (_restarts(pod, todo) and (waiting or unready or sent))):
                    continue
                room -= todo.cut
                level = Priority.CUT if todo.cut else min(priority, Priority.LATENCY)
                failed = await self._send(writer.at(level), pod, todo.sizes)
                if failed is not None:
                    outcomes += rows(key, sizes_levers(todo.sizes), False, failed)
                    continue
                for lever in sizes_levers(todo.sizes):
                    sent[lever] = sent.get(lever, 0) + 1
            elif todo.state is State.DONE:
                self._holds.pop(pod.uid, None)
        for lever, count in sent.items():
            message = f"{count} of {len(pods)} pods are being resized in place"
            outcomes += rows(key, [lever], True, Refusal(Reason.PROGRESSING, message), count)
        return _once(outcomes)

    def unfinished(
        self, pods: Sequence[PodRecord], wanted: Mapping[str, Wanted], working_sets: Mapping[str, float]
    ) -> bool:
        """Whether some pod is still on its way; those that can't get there do not count."""
        now = self._clock()
        steps = [(p, step(p, _for_pod(wanted, p), working_sets, now, raises=False)) for p in pods]
        return any(s.state is State.WAIT or (s.state is State.SEND and self._held(p, now) is None) for p, s in steps)

    async def _send(self, writer: Writer, pod: PodRecord, sizes: Mapping[str, Sizes]) -> Refusal | None:
        path = resource_path("", "v1", "pods", pod.namespace, pod.name, "resize")
        try:
            await writer.strategic_patch(path, body(pod, sizes) | {"metadata": {"uid": pod.uid}})
        except NotFound:
            return None  # gone meanwhile
        except (KubeError, HeldError) as error:
            refusal = _about(pod, error)
            if isinstance(error, Forbidden | Invalid):
                self._hold(pod, refusal)
            return refusal
        return None

    async def _back_out(self, writer: Writer, key: str, pod: PodRecord, todo: Step) -> list[Outcome]:
        levers = sizes_levers(todo.sizes)
        if todo.sizes:
            failed = await self._send(writer, pod, todo.sizes)
            if failed is not None:
                return rows(key, levers, False, failed)
        assert todo.refusal is not None  # a back-out says why
        self._hold(pod, todo.refusal)
        return rows(key, levers or [(Lever.CPU, "")], False, todo.refusal)

    def _hold(self, pod: PodRecord, refusal: Refusal) -> None:
        known = self._holds.get(pod.uid)
        failures = known.failures + 1 if known is not None else 1
        span = min(MOST_HOLD_SECONDS, HOLD_SECONDS * 2.0 ** (failures - 1))
        now = self._clock()
        # Pods come and go; what lies back longer than the longest hold is about none that failed lately.
        self._holds = {uid: hold for uid, hold in self._holds.items() if hold.until > now - MOST_HOLD_SECONDS}
        self._holds[pod.uid] = _Hold(now + span, failures, refusal)

    def _held(self, pod: PodRecord, now: float) -> _Hold | None:
        hold = self._holds.get(pod.uid)
        return hold if hold is not None and hold.until > now else None


def _for_pod(wanted: Mapping[str, Wanted], pod: PodRecord) -> dict[str, Wanted]:
    return {name: want.for_pod(pod) for name, want in wanted.items()}


def _about(pod: PodRecord, error: Failure) -> Refusal:
    why = explain(error)
    return why if isinstance(error, HeldError | Conflict) else Refusal(why.reason, f"pod {pod.name}: {why.message}")


def _restarts(pod: PodRecord, todo: Step) -> bool:
    specs = {c.name: c for c in pod.containers}
    return any(
        specs[name].restart_on_cpu if lever is Lever.CPU else specs[name].restart_on_memory
        for lever, name in sizes_levers(todo.sizes)
    )


def _all_levers(wanted: Mapping[str, Wanted]) -> list[tuple[Lever, str]]:
    return sizes_levers({name: want.sizes for name, want in wanted.items()})


def _once(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The first outcome of each kind: fifty pods that wait for one reason are one row."""
    first: dict[tuple[Lever, str, bool, Reason], Outcome] = {}
    for outcome in outcomes:
        first.setdefault((outcome.lever, outcome.subject, outcome.ok, outcome.reason), outcome)
    return list(first.values())
