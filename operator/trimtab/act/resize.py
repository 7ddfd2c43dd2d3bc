"""In-place resize as a state machine per pod (KEP-1287, RULES 8): from what a pod has to what it shall have.

Pure: says which step a pod takes now. `resizer` sends it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from trimtab.act.bounds import Refusal, qos
from trimtab.act.entries import SIDES, Wanted, quantity
from trimtab.act.targets import Sizes
from trimtab.api.reasons import Reason
from trimtab.kube.inforce import same
from trimtab.kube.records import ContainerSpec, PodRecord

DEFERRED_SECONDS = 300.0
"""A Deferred raise holds node capacity; after this it is taken back (VPA waits as long)."""


class State(Enum):
    """Where a pod is on its way."""

    DONE = "Done"
    """Spec and kubelet agree with what is wanted."""
    WAIT = "Wait"
    """Sent; the kubelet works on it or waits for room."""
    SEND = "Send"
    """Differs: to be patched."""
    BACK_OUT = "BackOut"
    """Can't be done on its node: to be patched to what the containers really have."""
    REFUSED = "Refused"
    """May not be resized this way."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a pod needs now."""

    state: State
    sizes: Mapping[str, Sizes] = field(default_factory=dict)
    """To send, by container: only what changes; NaN: left out."""
    cut: bool = False
    """Takes something away, or restarts a container: goes in small waves."""
    refusal: Refusal | None = None


def step(
    pod: PodRecord, wanted: Mapping[str, Wanted], working_sets: Mapping[str, float], now: float, *, raises: bool
) -> Step:
    """The step of one pod.

    Args:
        pod: a pod that is not being deleted.
        wanted: sizes by container; containers that are not named stay as they are.
        working_sets: bytes by container; a memory limit is never set below, nor lowered while it is not known.
        now: Unix time.
        raises: send nothing that takes away (pods of an old revision, frozen).
    """
    changes, specs = {}, {c.name: c for c in pod.containers}
    for name, want in wanted.items():
        if name in specs and (change := _change(specs[name], want.sizes, raises)) is not None:
            changes[name] = change
    if not changes:
        return _sent(pod, wanted, now)
    refusal = _refused(pod, changes) or _below_use(specs, changes, working_sets)
    if refusal is not None:
        return Step(State.REFUSED, refusal=refusal)
    return Step(State.SEND, changes, cut=any(_takes(specs[n], s) for n, s in changes.items()))


def body(pod: PodRecord, sizes: Mapping[str, Sizes]) -> dict[str, Any]:
    """The strategic merge patch of pods/resize for these containers."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for container in pod.containers:
        if container.name not in sizes:
            continue
        resources: dict[str, dict[str, str]] = {}
        for attribute, side, resource in SIDES:
            value = getattr(sizes[container.name], attribute)
            if not math.isnan(value):
                resources.setdefault(side, {})[resource] = str(quantity(resource, value))
        entry = {"name": container.name, "resources": resources}
        lists.setdefault("initContainers" if container.sidecar else "containers", []).append(entry)
    return {"spec": lists}


def _change(spec: ContainerSpec, want: Sizes, raises: bool) -> Sizes | None:
    """What of a container differs from what is wanted. Requests and limits are never removed (RULES 8)."""
    found: dict[str, float] = {}
    for attribute, _, _ in SIDES:
        value, has = getattr(want, attribute), getattr(spec, attribute)
        if math.isnan(value) or same(value, has) or (raises and _lower(attribute, value, has)):
            continue
        found[attribute] = value
    return Sizes(**found) if found else None


def _sent(pod: PodRecord, wanted: Mapping[str, Wanted], now: float) -> Step:
    """The spec is as wanted: does the kubelet agree?"""
    if pod.resize == "Infeasible":
        return _back_out(pod, Reason.RESIZE_INFEASIBLE, "the node can't hold it")
    if pod.resize == "Deferred":
        waited = now - pod.resize_since
        if waited <= DEFERRED_SECONDS:
            message = f"pod {pod.name}: the node has no room now, waiting since {waited:.0f} s"
            return Step(State.WAIT, refusal=Refusal(Reason.RESIZE_DEFERRED, message))
        return _back_out(pod, Reason.RESIZE_DEFERRED, f"the node had no room for {waited:.0f} s")
    states = {s.name: Sizes.of(s) for s in pod.states}
    specs = {c.name: Sizes.of(c) for c in pod.containers}
    settled = pod.resize == "" and all(
        _agree(states[name], specs[name]) for name in wanted if name in states and name in specs
    )
    return Step(State.DONE if settled else State.WAIT)


def _agree(reported: Sizes, stated: Sizes) -> bool:
    """Whether the kubelet reports what the spec states; what it does not report counts as agreed."""
    pairs = [(getattr(reported, a), getattr(stated, a)) for a, _, _ in SIDES]
    return all(math.isnan(has) or same(has, wants) for has, wants in pairs)


def _back_out(pod: PodRecord, reason: Reason, why: str) -> Step:
    """Back to what the containers really have, so that no capacity of the node stays reserved for nothing."""
    detail = f": {pod.resize_message}" if pod.resize_message else ""
    refusal = Refusal(reason, f"pod {pod.name}: {why}, the resize was taken back{detail}")
    states = {s.name: Sizes.of(s) for s in pod.states}
    sizes = {}
    for spec in pod.containers:
        if spec.name in states and (change := _change(spec, states[spec.name], raises=False)) is not None:
            sizes[spec.name] = change
    return Step(State.BACK_OUT, sizes, refusal=refusal)


def _refused(pod: PodRecord, changes: Mapping[str, Sizes]) -> Refusal | None:
    if pod.qos == "BestEffort":
        return Refusal(
            Reason.RESIZE_BEST_EFFORT,
            f"pod {pod.name} is BestEffort and can't be resized; only new pods get the requests",
        )
    if pod.os == "windows":
        return Refusal(Reason.RESIZE_WINDOWS, f"pod {pod.name} runs on Windows and can't be resized")
    if pod.has_resource_claims:
        return Refusal(Reason.RESIZE_DYNAMIC_RESOURCES, f"pod {pod.name} has resource claims and is not resized")
    after = {c.name: changes.get(c.name, Sizes()).over(Sizes.of(c)) for c in pod.containers}
    # Plain init containers count for the class as well and are not known here: compare like with like.
    before = qos(Sizes.of(c) for c in pod.containers)
    for name, s in after.items():
        if s.cpu > s.cpu_limit or s.memory > s.memory_limit:
            return Refusal(
                Reason.MOVE_FAILED, f"pod {pod.name}, container {name}: the request would be above the limit"
            )
    if qos(after.values()) != before:
        return Refusal(Reason.MOVE_FAILED, f"pod {pod.name}: its QoS class {before} may not change; set limits: Scale")
    return None


def _below_use(
    specs: Mapping[str, ContainerSpec], changes: Mapping[str, Sizes], working_sets: Mapping[str, float]
) -> Refusal | None:
    for name, change in changes.items():
        if math.isnan(change.memory_limit) or not change.memory_limit < specs[name].memory_limit:
            continue
        used = working_sets.get(name, math.nan)
        if not change.memory_limit > used:
            known = "is not known" if math.isnan(used) else f"is {used:.0f}"
            return Refusal(
                Reason.MOVE_FAILED,
                f"container {name}: its memory limit is not lowered to {change.memory_limit:.0f} bytes, "
                f"its working set {known}",
            )
    return None


def _takes(spec: ContainerSpec, change: Sizes) -> bool:
    """Whether a change lowers anything, or restarts the container (resizePolicy RestartContainer)."""
    if any(_lower(a, getattr(change, a), getattr(spec, a)) for a, _, _ in SIDES):
        return True
    cpu = not (math.isnan(change.cpu) and math.isnan(change.cpu_limit))
    memory = not (math.isnan(change.memory) and math.isnan(change.memory_limit))
    return (cpu and spec.restart_on_cpu) or (memory and spec.restart_on_memory)


def _lower(attribute: str, value: float, has: float) -> bool:
    """Whether an amount goes down; a limit where there was none does."""
    unlimited = attribute.endswith("_limit") and math.isnan(has)
    return value < (math.inf if unlimited else has)
