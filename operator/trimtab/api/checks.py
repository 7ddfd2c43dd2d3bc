"""What a spec must satisfy beyond its schema: the rules between fields, and what only run time can check."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from trimtab.api.constraints import Window
from trimtab.api.model import ApiModel
from trimtab.api.reasons import Reason
from trimtab.api.rules import RULES
from trimtab.api.spec import PerformanceConfigSpec

_ANY_DAY = datetime(2024, 1, 1)  # CronSim wants a start; whether an expression is valid does not depend on it


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, the reason for a condition, and what to do."""

    field: str
    """Path of the field, such as `spec.optimization.constraints.replicas.min`."""
    reason: Reason
    message: str
    """What is wrong and the remedy, without the path."""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def check_spec(spec: PerformanceConfigSpec) -> list[Problem]:
    """Everything that is wrong with a spec that fits its schema, in the order of the fields; empty when fine.

    Holds the rules that the API server checks too (an object may have been stored before a rule was added),
    and those that it can't check: cron fields, time zones, and whether the constraints can be met at all.
    """
    problems = [
        Problem(f"{path}{rule.field}", Reason.SPEC_INVALID, rule.message)
        for path, model in _walk(spec, "spec")
        for rule in RULES.get(type(model), ())
        if not rule.holds(model)
    ]
    problems += _duplicates(spec)
    for index, window in enumerate(spec.optimization.constraints.disruption.windows):
        problems += _check_window(window, f"spec.optimization.constraints.disruption.windows[{index}]")
    problems += _check_memory(spec)
    return problems


def _walk(model: ApiModel, path: str) -> Iterator[tuple[str, ApiModel]]:
    """The model and every model below it, with their paths."""
    yield path, model
    for name, info in type(model).model_fields.items():
        value: Any = getattr(model, name)
        below = f"{path}.{info.alias}"
        if isinstance(value, ApiModel):
            yield from _walk(value, below)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ApiModel):
                    yield from _walk(item, f"{below}[{index}]")


def _duplicates(spec: PerformanceConfigSpec) -> list[Problem]:
    constraints = spec.optimization.constraints
    lists: dict[str, list[str]] = {
        "spec.monitoring.metrics": [metric.name for metric in spec.monitoring.metrics],
        "spec.monitoring.alerts": [alert.name for alert in spec.monitoring.alerts],
        "spec.optimization.constraints.containers": [box.name for box in constraints.containers],
        "spec.optimization.constraints.knobs": [knob.name for knob in constraints.knobs],
    }
    return [
        Problem(path, Reason.SPEC_INVALID, f"{name} is there {count} times; rename or remove all but one")
        for path, names in lists.items()
        for name, count in Counter(names).items()
        if count > 1
    ]


def _check_window(window: Window, path: str) -> list[Problem]:
    problems: list[Problem] = []
    try:
        next(CronSim(window.cron, _ANY_DAY))
    except CronSimError as error:
        text = f"not a cron expression ({error}); write five fields such as 0 9 * * 1-5"
        problems.append(Problem(f"{path}.cron", Reason.WINDOW_INVALID, text))
    except StopIteration:
        text = "never comes true; write five fields such as 0 9 * * 1-5"
        problems.append(Problem(f"{path}.cron", Reason.WINDOW_INVALID, text))
    try:
        ZoneInfo(window.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, such as Europe
        text = f"{window.time_zone} is no time zone; write an IANA name such as Europe/Paris"
        problems.append(Problem(f"{path}.timeZone", Reason.WINDOW_INVALID, text))
    return problems


def _check_memory(spec: PerformanceConfigSpec) -> list[Problem]:
    """The smallest workload that the other constraints allow must fit into maxMemory."""
    ceiling, constraints = spec.resources.max_memory, spec.optimization.constraints
    if ceiling is None:
        return []
    minima = [box.memory.min.value for box in constraints.containers if box.memory and box.memory.min]
    pods = constraints.replicas.min if constraints.replicas else 1
    if pods * sum(minima, Decimal(0)) <= ceiling.value:
        return []
    text = f"less than {pods} pods at the memory.min of their containers; raise maxMemory, or lower these"
    return [Problem("spec.resources.maxMemory", Reason.SPEC_INVALID, text)]
