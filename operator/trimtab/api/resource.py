"""A PerformanceConfig as it was read from the API server: never trusted, never fatal."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trimtab.api.checks import Problem, check_spec
from trimtab.api.reasons import Reason
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.api.status import PerformanceConfigStatus

MAX_PROBLEMS = 20
_MAX_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Metadata:
    """The part of an object's metadata that Trimtab reads; what is missing or of a wrong type is empty."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PerformanceConfig:
    """One resource, ready to work with."""

    metadata: Metadata
    spec: PerformanceConfigSpec
    status: PerformanceConfigStatus


@dataclass(frozen=True, slots=True)
class Invalid:
    """One resource that can't be worked with, and why."""

    metadata: Metadata
    problems: tuple[Problem, ...]
    """At least one, at most MAX_PROBLEMS."""
    status: PerformanceConfigStatus
    """What was said of it so far, so that conditions keep their times."""

    @property
    def reason(self) -> Reason:
        """The reason for the condition Stalled."""
        return self.problems[0].reason

    @property
    def message(self) -> str:
        """The first problems as one text for the condition Stalled."""
        more = len(self.problems) - _MAX_SHOWN
        shown = "; also ".join(str(problem) for problem in self.problems[:_MAX_SHOWN])
        return f"{shown}; and {more} more" if more > 0 else shown


def parse_config(raw: Mapping[str, Any]) -> PerformanceConfig | Invalid:
    """The resource, or what is wrong with it. Never raises, whatever the object holds.

    A status that an older or newer version wrote and this one can't read counts as none.
    """
    source = raw if isinstance(raw, Mapping) else {}
    metadata, status = _metadata(source.get("metadata")), _status(source.get("status"))
    spec = parse_spec(source.get("spec"))
    if isinstance(spec, PerformanceConfigSpec):
        return PerformanceConfig(metadata, spec, status)
    return Invalid(metadata, tuple(spec[:MAX_PROBLEMS]), status)


def parse_spec(raw: object) -> PerformanceConfigSpec | list[Problem]:
    """The spec with its defaults filled in, or everything that is wrong with it. Never raises."""
    if not isinstance(raw, Mapping):
        return [Problem("spec", Reason.SPEC_INVALID, "is missing or no object; write spec with a targetRef")]
    try:
        # JSON and strict: as the API server reads it, "3" is no number and 1 is no boolean.
        text = json.dumps(_as_stored(raw), allow_nan=False)
        spec = PerformanceConfigSpec.model_validate_json(text, strict=True)
    except ValidationError as error:
        return [_problem(detail) for detail in error.errors(include_url=False, include_context=False)]
    except (TypeError, ValueError, RecursionError):
        text = "holds what JSON can't, or is nested too deeply; write plain text and numbers"
        return [Problem("spec", Reason.SPEC_INVALID, text)]
    return check_spec(spec) or spec


def _as_stored(value: Any) -> Any:
    """As the API server stores it: null fields left out (no schema of ours has nullable), 4.0 as 4."""
    if isinstance(value, Mapping):
        return {key: _as_stored(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_as_stored(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _problem(detail: ErrorDetails) -> Problem:
    path = "spec" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"])
    if detail["type"] == "missing":
        message = "is required; add it"
    else:
        message = detail["msg"].removeprefix("Value error, ")
        for subject in ("Input", "String", "List", "Dictionary", "Tuple", "Value"):
            message = message.replace(f"{subject} should", "must", 1)
    return Problem(path[:253], Reason.SPEC_INVALID, message)


def _status(raw: object) -> PerformanceConfigStatus:
    if not isinstance(raw, Mapping):
        return PerformanceConfigStatus()
    try:
        return PerformanceConfigStatus.model_validate(_as_stored(raw))
    except (ValueError, RecursionError):
        return PerformanceConfigStatus()


def _metadata(raw: object) -> Metadata:
    source: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}

    def text(key: str) -> str:
        value = source.get(key)
        return value if isinstance(value, str) else ""

    generation, annotations = source.get("generation"), source.get("annotations")
    pairs = annotations.items() if isinstance(annotations, Mapping) else ()
    return Metadata(
        name=text("name"),
        namespace=text("namespace"),
        uid=text("uid"),
        resource_version=text("resourceVersion"),
        generation=generation if isinstance(generation, int) else 0,
        creation_timestamp=text("creationTimestamp"),
        deletion_timestamp=text("deletionTimestamp"),
        annotations={k: v for k, v in pairs if isinstance(k, str) and isinstance(v, str)},
    )
