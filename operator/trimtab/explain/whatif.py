"""`--what-if`: other constraints put into recorded inputs, by the names they have in the spec."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trimtab.api.quantity import Quantity
from trimtab.decide.columns import S
from trimtab.decide.observation import Observation
from trimtab.decide.replay import Inputs
from trimtab.explain.model import ExplainError

_PREFIXES = ("spec.", "optimization.", "constraints.", "behavior.", "disruption.")
_PLAIN = {
    "replicas.min": "replicas_min",
    "replicas.max": "replicas_max",
    "verifySeconds": "verify_seconds",
    "trialSeconds": "trial_seconds",
    "minHistorySeconds": "min_history_seconds",
    "maxMovesPerDay": "moves_per_day",
    "maxResizesPerDay": "resizes_per_day",
    "resources.maxMemory": "max_memory",
}
"""Path → column of Workloads."""
_CEILINGS = {"resources.maxBatchSize": ("Batch",), "resources.maxConcurrency": ("Concurrency", "Pool")}
_KNOWN = (
    *_PLAIN,
    "targetUtilizationPercent",
    "autoTune",
    "targetMetrics.NAME",
    "containers.NAME.cpu.min",
    "containers.NAME.cpu.max",
    "containers.NAME.memory.min",
    "containers.NAME.memory.max",
    "containers.NAME.limits",
    "knobs.NAME.min",
    "knobs.NAME.max",
    *_CEILINGS,
)


@dataclass(frozen=True, slots=True)
class Change:
    """One constraint with another value."""

    path: str
    """As in spec.optimization.constraints, without what leads there."""
    value: str


def parse(text: str) -> Change:
    """`replicas.max=30` as a change.

    Raises:
        ExplainError: it is not of this form.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip() or not value.strip():
        raise ExplainError(f"{text[:80]!r} is no change; write PATH=VALUE, such as replicas.max=30")
    path, found = path.strip(), True
    while found:
        found = False
        for prefix in _PREFIXES:
            if path.startswith(prefix):
                path, found = path.removeprefix(prefix), True
    return Change(path, value.strip())


def changed(inputs: Inputs, changes: Sequence[Change]) -> Inputs:
    """The inputs with these constraints; the ones handed in stay as they are.

    Raises:
        ExplainError: a path names nothing that these inputs have, or a value is none for it.
    """
    seen = inputs.seen
    fresh = replace(
        seen,
        workloads=seen.workloads.copy(),
        targets=seen.targets.copy(),
        containers=seen.containers.copy(),
        knobs=seen.knobs.copy(),
    )
    for change in changes:
        _apply(fresh, change)
    return Inputs(fresh, inputs.state, inputs.settings)


def _apply(seen: Observation, change: Change) -> None:
    w, path = seen.workloads, change.path
    if path in _PLAIN:
        getattr(w, _PLAIN[path])[:] = _number(change)
    elif path == "targetUtilizationPercent":
        w.target_utilization[:] = _number(change) / 100
        w.utilization_fixed[:] = True
    elif path == "autoTune":
        acts = _choice(change, {"true": True, "false": False})
        w.acting[:], w.recommending[:] = acts, not acts
    elif path in _CEILINGS:
        seen.knobs.ceiling[np.isin(seen.knobs.role.astype(str), _CEILINGS[path])] = _number(change)
    elif match := re.fullmatch(r"targetMetrics\.(.+)", path):
        seen.targets.limit[_rows(seen.targets.name, match[1], "target metric", change)] = _number(change)
    elif match := re.fullmatch(r"containers\.(.+)\.(cpu|memory)\.(min|max)", path):
        rows = _rows(seen.containers.name, match[1], "tuned container", change)
        getattr(seen.containers, f"{match[2]}_{match[3]}")[rows] = _number(change)
    elif match := re.fullmatch(r"containers\.(.+)\.limits", path):
        rows = _rows(seen.containers.name, match[1], "tuned container", change)
        seen.containers.scale_limits[rows] = _choice(change, {"Scale": True, "Keep": False})
    elif match := re.fullmatch(r"knobs\.(.+)\.(min|max)", path):
        rows = _rows(seen.knobs.name, match[1], "knob", change)
        (seen.knobs.minimum if match[2] == "min" else seen.knobs.maximum)[rows] = _number(change)
    else:
        raise ExplainError(f"{path[:80]!r} can't be changed afterwards; what can: {', '.join(_KNOWN)}")


def _number(change: Change) -> float:
    try:
        value = float(Quantity(change.value))
    except ValueError as error:
        raise ExplainError(f"{change.path}: {error}") from error
    if value < 0:
        raise ExplainError(f"{change.path} can't be below 0; {change.value[:32]!r} was given")
    return value


def _choice(change: Change, choices: dict[str, bool]) -> bool:
    if change.value not in choices:
        raise ExplainError(f"{change.path} is {' or '.join(choices)}, not {change.value[:32]!r}")
    return choices[change.value]


def _rows(names: S, name: str, what: str, change: Change) -> list[int]:
    rows = [row for row, known in enumerate(names) if known == name]
    if not rows:
        had = ", ".join(map(str, names)) or "none"
        raise ExplainError(f"{change.path}: the decision knew no {what} {name[:63]!r}; it had {had}")
    return rows
