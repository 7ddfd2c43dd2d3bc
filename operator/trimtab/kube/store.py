"""Records by key, with an index from values that they name to their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Store(Generic[T]):
    """A dict of records and one optional index over it, kept together."""

    def __init__(self, index: Callable[[T], Iterable[str]] | None = None) -> None:
        self.records: dict[str, T] = {}
        self._index = index
        self._keys: dict[str, set[str]] = {}

    def check(self, record: T) -> None:
        """Raise what the index function raises on `record`, before it is put."""
        if self._index is not None:
            for _ in self._index(record):
                pass

    def put(self, key: str, record: T | None) -> None:
        """Store `record` under `key`, or remove the key when it is None."""
        old = self.records.get(key)
        if self._index is not None:
            self._reindex(key, old, record, self._index)
        if record is None:
            self.records.pop(key, None)
        else:
            self.records[key] = record

    def by_index(self, value: str) -> list[T]:
        """Records that name `value`, in the order of their keys."""
        return [self.records[key] for key in sorted(self._keys.get(value, ()))]

    def _reindex(self, key: str, old: T | None, new: T | None, index: Callable[[T], Iterable[str]]) -> None:
        before = set() if old is None else set(index(old))
        after = set() if new is None else set(index(new))
        for value in before - after:
            keys = self._keys[value]
            keys.discard(key)
            if not keys:
                del self._keys[value]
        for value in after - before:
            self._keys.setdefault(value, set()).add(key)
