"""Total readers of untrusted JSON: any value in, a value of the wanted type out, never an exception.

Objects of the API server are mostly well formed, but custom resources and old versions are not: one odd
object must not end a watch that serves the whole cluster.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from sys import intern
from typing import Any

from trimtab.api.quantity import parse_quantity

NAN = float("nan")
MAX_INTEGER = 2**53
"""Integers beyond this are no counts that Kubernetes knows; a float could not hold them either."""
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}", re.ASCII)
_FRACTION = re.compile(r"\.([0-9]{1,9})[0-9]*", re.ASCII)


def dig(value: object, *path: str) -> object:
    """The value at a path of keys; None when the path does not exist."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def mapping(value: object, *path: str) -> Mapping[str, Any]:
    """The object at a path; empty when there is none."""
    found = dig(value, *path)
    return found if isinstance(found, Mapping) else {}


def items(value: object, *path: str) -> list[Mapping[str, Any]]:
    """The objects of the list at a path; entries that are no objects are left out."""
    found = dig(value, *path)
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def text(value: object, *path: str) -> str:
    """The string at a path; empty when there is none."""
    found = dig(value, *path)
    return found if isinstance(found, str) else ""


def word(value: object, *path: str) -> str:
    """As `text`, kept once in memory: for strings that thousands of objects share, such as namespaces."""
    return intern(str(text(value, *path)))


def integer(value: object, *path: str, default: int = 0) -> int:
    """The integer at a path; `default` for anything else, absurdly large ones included."""
    found = dig(value, *path)
    if isinstance(found, bool) or not isinstance(found, int) or abs(found) > MAX_INTEGER:
        return default
    return found


def flag(value: object, *path: str) -> bool:
    """Whether the value at a path is true."""
    return dig(value, *path) is True


def amount(value: object, *path: str) -> float:
    """The quantity at a path as a number; NaN when it is absent, unreadable, negative or not finite."""
    found = dig(value, *path)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return NAN
    try:
        number = float(parse_quantity(str(found)))
    except (ValueError, ArithmeticError):
        return NAN
    return number if math.isfinite(number) and number >= 0 else NAN


def moment(value: object, *path: str) -> float:
    """The RFC 3339 time at a path as Unix seconds; 0.0 when there is none."""
    raw = text(value, *path)
    if not raw or len(raw) > 64:
        return 0.0
    # Python 3.11 reads three or six digits of a fraction only; MicroTime has six, RFC 3339 any number.
    raw = _FRACTION.sub(lambda match: "." + match.group(1).ljust(6, "0")[:6], raw)
    try:
        when = datetime.fromisoformat(raw)
    except ValueError:
        return 0.0
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    try:
        return max(0.0, when.timestamp())
    except (OverflowError, ValueError):
        return 0.0


def is_integer_text(raw: str) -> bool:
    """Whether a variable's value is a plain integer of at most ten digits."""
    return _INTEGER.fullmatch(raw) is not None


def strings(value: object, *path: str) -> dict[str, str]:
    """The string-to-string entries of the object at a path (labels, annotations)."""
    return {
        key: entry for key, entry in mapping(value, *path).items() if isinstance(key, str) and isinstance(entry, str)
    }


def amounts(value: object, *path: str) -> dict[str, float]:
    """The readable quantities of the object at a path (a ResourceList)."""
    found = {key: amount(entry) for key, entry in mapping(value, *path).items() if isinstance(key, str)}
    return {key: number for key, number in found.items() if not math.isnan(number)}


def controller(value: object) -> tuple[str, str, str, str]:
    """Controlling owner of an object: API version, kind, name, uid; four empty strings when there is none."""
    for owner in items(value, "metadata", "ownerReferences"):
        if owner.get("controller") is True:
            return word(owner, "apiVersion"), word(owner, "kind"), word(owner, "name"), word(owner, "uid")
    return "", "", "", ""


def condition(value: object, kind: str) -> Mapping[str, Any]:
    """The condition of that type in `status.conditions`; empty when there is none."""
    for entry in items(value, "status", "conditions"):
        if entry.get("type") == kind:
            return entry
    return {}


def identity(value: object, *, namespaced: bool = True) -> tuple[str, str] | None:
    """(namespace, name) of an object, namespace empty for cluster scope; None when it has no usable name."""
    namespace, name = word(value, "metadata", "namespace"), text(value, "metadata", "name")
    if not name or bool(namespace) is not namespaced:
        return None
    return namespace, name
