"""Whose turn it is: each resource once a round, spread over the round, so that writes come evenly."""

import zlib
from collections.abc import Collection
from dataclasses import dataclass, field

A_SECOND = 4.0
"""Most turns a second, a twelfth of the usual budget of writes: a fleet of 10,000 takes 42 minutes for a round."""


@dataclass(slots=True)
class Turns:
    """`seconds` is the length of a round; it is longer in a fleet that needs more than A_SECOND otherwise."""

    seconds: float
    _next: dict[str, float] = field(default_factory=dict)
    """Unix time of the next turn of a resource."""

    def due(self, keys: Collection[str], now: float) -> list[str]:
        """Whose turn it is among all resources `keys` at `now` (Unix seconds), the longest waiting first.

        One that is new has its first turn within a round, at a place of its own; one that is gone is forgotten.
        """
        round_ = self.round_of(len(keys))
        for gone in self._next.keys() - set(keys):
            del self._next[gone]
        for key in keys:
            if key not in self._next:
                self._next[key] = now + round_ * zlib.crc32(key.encode()) / 2.0**32
        return [key for _, key in sorted((at, key) for key, at in self._next.items() if at <= now)]

    def took(self, key: str, now: float) -> None:
        """A resource has had its turn."""
        self._next[key] = now + self.round_of(len(self._next))

    def round_of(self, resources: int) -> float:
        """Seconds between two turns of one resource."""
        return max(self.seconds, resources / A_SECOND)
