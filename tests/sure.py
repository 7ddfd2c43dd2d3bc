"""What a test knows to be there."""

from typing import TypeVar

T = TypeVar("T")


def sure(found: T | None) -> T:
    """The value, which may not be None."""
    assert found is not None
    return found
