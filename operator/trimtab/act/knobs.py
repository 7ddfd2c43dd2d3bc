"""Knob values of running pods against those that are wanted. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.act.entries import Wanted, knob_value
from trimtab.act.targets import SetPoint, TargetInfo
from trimtab.api.spec import Knob
from trimtab.kube.records import PodRecord


@dataclass(frozen=True, slots=True)
class Values:
    """Wanted knob values of a workload."""

    knobs: tuple[Knob, ...] = ()
    """Knobs that can be set: their container is in the template, their variable is not set by other means."""
    base: Mapping[str, int] = field(default_factory=dict)
    """Value of every pod, by knob name; a knob without any value is left out."""
    trial: str = ""
    """Name of the knob that is tried; empty: none."""
    trial_value: int = -1

    def of(self, pod: PodRecord) -> dict[str, int | None]:
        """What a pod has, by knob name."""
        containers = {c.name: c for c in pod.containers}
        return {
            k.name: knob_value(containers[k.container], k) if k.container in containers else None for k in self.knobs
        }

    def is_base(self, pod: PodRecord) -> bool:
        """Whether a pod has every wanted value."""
        has = self.of(pod)
        return all(has.get(name) == value for name, value in self.base.items())

    def is_trial(self, pod: PodRecord) -> bool:
        """Whether a pod has the wanted values but for the one that is tried."""
        if not self.trial:
            return False
        has = self.of(pod)
        return all(has.get(name) == value for name, value in self.with_trial.items())

    @property
    def with_trial(self) -> dict[str, int]:
        """Values of the trial pod, by knob name."""
        return dict(self.base) | {self.trial: self.trial_value}

    def env(self, values: Mapping[str, int]) -> dict[str, dict[str, int]]:
        """These values as variables, by container."""
        found: dict[str, dict[str, int]] = {}
        for knob in self.knobs:
            if knob.name in values:
                found.setdefault(knob.container, {})[knob.env] = values[knob.name]
        return found


def values(info: TargetInfo, point: SetPoint, wanted: Mapping[str, Wanted]) -> Values:
    """Wanted values: of the entry in force (`wanted`), or of the template."""
    specs = {c.name: c for c in info.workload.containers}
    knobs, base = [], {}
    for knob in info.spec.optimization.constraints.knobs:
        if knob.container not in specs or knob.env in specs[knob.container].env_opaque:
            continue
        knobs.append(knob)
        value = wanted[knob.container].env.get(knob.env, knob_value(specs[knob.container], knob))
        if value is not None:
            base[knob.name] = value
    trials = [p for p in point.knobs.values() if p.trial >= 0 and not p.keep_trial]
    trials = [p for p in trials if any(k.name == p.name for k in knobs) and p.trial != base.get(p.name)]
    # The arbiter moves one lever at a time; were there two, the first by name would go first.
    first = min(trials, key=lambda p: p.name, default=None)
    if first is None:
        return Values(tuple(knobs), base)
    return Values(tuple(knobs), base, first.name, first.trial)
