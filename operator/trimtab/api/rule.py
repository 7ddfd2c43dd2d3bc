"""What one rule between fields is, and the words that several of them share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from trimtab.api.model import ApiModel

M = TypeVar("M", bound=ApiModel)


@dataclass(frozen=True, slots=True)
class Rule(Generic[M]):
    """One rule over the fields of one model."""

    cel: str
    """True while the rule holds; `self` is the object."""
    message: str
    """What is wrong and the remedy, for a person."""
    holds: Callable[[M], bool]
    """The same as `cel`, in Python."""
    field: str = ""
    """The field below the object that is to blame, such as `.min`."""


def quantity(value: str) -> str:
    """CEL of a field as a quantity."""
    return f"quantity(string({value}))"


def one_of(first: object, second: object) -> bool:
    """Whether exactly one of the two is given."""
    return (first is None) != (second is None)
