"""Managers that set requests, limits and knobs back: on running pods, and in the profile for new ones (RULES 9).

Templates are nobody's to revert: a change of one always wins (RULES 3).
"""

import math
from collections.abc import Iterator, Mapping

from trimtab.decide.observation import Lever
from trimtab.kube.records import PodRecord
from trimtab.kube.strip_owners import Field
from trimtab.observe.conflicts import OURS, RevertWatch
from trimtab.observe.inforce import InForce
from trimtab.observe.view import View

STANDS, SET_BACK = 1.0, 0.0
_AMOUNTS = {Lever.CPU: ("cpu", "cpu_limit"), Lever.MEMORY: ("memory", "memory_limit")}
Sighting = tuple[Lever, str, str, int]
"""Lever, what of it, the manager whose value stands, and a number that grows with each write."""


def of_pods(subject: str) -> str:
    """What is watched of a container's size on running pods."""
    return f"{subject} of pods"


def of_profile(subject: str) -> str:
    """What is watched of a container's size, or of a knob, in the TuningProfile."""
    return f"{subject} of the profile"


def watch_reverts(watch: RevertWatch, view: View, foreign: Mapping[Field, str], generation: int, now: float) -> None:
    """Tell the watch what stands now; `foreign` and `generation` are of the namespace's TuningProfile."""
    for lever, subject, manager, revision in (*_on_pods(view), *_in_profile(view, foreign, generation)):
        watch.saw(
            view.config.key,
            lever,
            STANDS if manager == OURS else SET_BACK,
            manager=manager,
            generation=view.config.generation,
            now=now,
            revision=revision,
            subject=subject,
        )


def _on_pods(view: View) -> Iterator[Sighting]:
    rivals = [pod for pod in view.live if pod.resized_by not in ("", OURS)]
    newest = int(max((pod.resized_at for pod in rivals), default=0.0))
    for name in view.tuned:
        for lever, amounts in _AMOUNTS.items():
            back = [pod for pod in rivals if _differs(pod, name, view.forces[name], amounts)]
            last = max(back, key=lambda pod: pod.resized_at, default=None)
            yield lever, of_pods(name), last.resized_by if last is not None else OURS, newest


def _differs(pod: PodRecord, name: str, force: InForce, amounts: tuple[str, str]) -> bool:
    """Whether a pod's container states another size than the one in force; what is not stated is none."""
    stated = next((container for container in pod.containers if container.name == name), None)
    return stated is not None and any(
        not math.isnan(getattr(force, amount))
        and not math.isclose(getattr(stated, amount), getattr(force, amount), rel_tol=1e-9, abs_tol=1e-4)
        for amount in amounts
    )


def _in_profile(view: View, foreign: Mapping[Field, str], generation: int) -> Iterator[Sighting]:
    if view.entry is None:
        return
    workload = f"{view.target.kind}/{view.target.name}"
    for name in view.tuned:
        for lever, field in ((Lever.CPU, "cpu"), (Lever.MEMORY, "memory")):
            yield lever, of_profile(name), foreign.get((workload, name, field), OURS), generation
    for knob in view.config.spec.optimization.constraints.knobs:
        manager = foreign.get((workload, knob.container, f"env/{knob.env}"), OURS)
        yield Lever.KNOB, of_profile(knob.name), manager, generation
