"""Tables as typed numpy columns: one array a field, one entry a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
B1 = npt.NDArray[np.bool_]
S = npt.NDArray[np.object_]


def column(dtype: type | str, default: object, width: int = 0) -> Any:
    """A dataclass field for one column: its dtype, the value of a row that leaves it out, and a second axis if any."""
    return field(
        default_factory=lambda: np.empty((0, width) if width else 0, dtype=dtype),
        metadata={"dtype": dtype, "default": default, "width": width},
    )


@dataclass(frozen=True, slots=True)
class Table:
    """Base of every table. Arrays of one table have the same first axis; rows are addressed by position."""

    def __len__(self) -> int:
        return len(getattr(self, _columns(type(self))[0][0]))

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, object]]) -> Self:
        """The table of these rows; a field that a row leaves out gets the column's default.

        Raises:
            KeyError: a row has a field that the table does not know.
        """
        columns = _columns(cls)
        known = {name for name, _ in columns}
        for row in rows:
            if not known.issuperset(row):
                raise KeyError(f"{cls.__name__} has no column {sorted(set(row) - known)}")
        return cls(**{name: _array(meta, [row.get(name, meta["default"]) for row in rows]) for name, meta in columns})

    @classmethod
    def blank(cls, count: int) -> Self:
        """A table of `count` rows of defaults."""
        return cls(**{name: _filled(meta, count) for name, meta in _columns(cls)})

    def take(self, rows: I8, *, missing: bool = False) -> Self:
        """The table's rows at these positions; with `missing`, position −1 gives a row of defaults."""
        if not missing:
            return type(self)(**{name: getattr(self, name)[rows] for name, _ in _columns(type(self))})
        result = self.blank(len(rows))
        known = rows >= 0
        for name, _ in _columns(type(self)):
            getattr(result, name)[known] = getattr(self, name)[rows[known]]
        return result

    def copy(self) -> Self:
        """A table that shares no array with this one."""
        return type(self)(**{name: getattr(self, name).copy() for name, _ in _columns(type(self))})

    def handed_over(self, rows: I8) -> Self:
        """`take(rows, missing=True)` of a table that is given up: it is left empty, column by column.

        A table of a large fleet is hundreds of megabytes; this way no two of its widest columns exist at once.
        """
        result: dict[str, npt.NDArray[Any]] = {}
        unknown, nearest, some = rows < 0, np.maximum(rows, 0), len(self) > 0
        for name, meta in _columns(type(self)):
            result[name] = getattr(self, name)[nearest] if some else _filled(meta, len(rows))
            result[name][unknown] = meta["default"]
            object.__setattr__(self, name, _filled(meta, 0))
        return type(self)(**result)

    @classmethod
    def columns(cls) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Name and properties (`dtype`, `default`, `width`) of every column, in order."""
        return _columns(cls)


_KNOWN: dict[type[Table], tuple[tuple[str, Mapping[str, Any]], ...]] = {}


def _columns(table: type[Table]) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Name and properties of every column; `dataclasses.fields` is slow where it is asked thousands of times."""
    if table not in _KNOWN:
        _KNOWN[table] = tuple((f.name, f.metadata) for f in fields(table))
    return _KNOWN[table]


def _filled(meta: Mapping[str, Any], count: int) -> npt.NDArray[Any]:
    result = np.empty((count, meta["width"]) if meta["width"] else count, dtype=meta["dtype"])
    result.fill(meta["default"])
    return result


def _array(meta: Mapping[str, Any], values: list[Any]) -> npt.NDArray[Any]:
    width, dtype = meta["width"], meta["dtype"]
    if not width:
        return np.array(values, dtype=dtype) if values else np.empty(0, dtype=dtype)
    table = np.full((len(values), width), 0 if meta["default"] is None else meta["default"], dtype=dtype)
    for i, value in enumerate(values):
        row = np.atleast_1d(np.asarray(value, dtype=dtype))[:width]
        table[i, : len(row)] = row
    return table
