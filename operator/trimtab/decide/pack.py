"""Tables as bytes and back: checkpoints of what was learned, inputs of decisions.

The form: a magic, a version, then a zlib stream of one JSON header and the columns one after the other. The header
names every column with its dtype and width, so that another version of Trimtab takes what it knows and leaves the rest:
an unknown column is skipped, a missing one keeps its default. Columns that hold nothing but their default are left out.

float32 matrices are what was learned of usage. Unless `exact`, they are written as float16 parts of their row's
largest magnitude: 11 bits, 0.05% of what a histogram cell holds, and cells below 6e-8 of the largest are 0.
"""

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from trimtab.decide.columns import Table

MAGIC = b"TT"
VERSION = 1
MAX_BYTES = 8 << 20
"""Bytes of an unpacked bundle; what claims to be more is refused before memory is taken for it."""
HALF_RANGE = 32768.0
"""Largest magnitude of a float16 column: half of what the type holds."""
Array = npt.NDArray[Any]


class Fault(StrEnum):
    """Why bytes can't be unpacked."""

    CORRUPT = "Corrupt"
    NEWER = "Newer"
    OVERSIZED = "Oversized"


class PackError(ValueError):
    """These bytes are no bundle that this version reads; `fault` says why."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was in the bytes."""

    head: Mapping[str, Any]
    """Plain JSON values, as they were handed in."""
    tables: Mapping[str, Table]
    ignored: tuple[str, ...] = ()
    """Columns that this version does not have, as table.column."""


def pack(
    tables: Mapping[str, Table], head: Mapping[str, Any], *, exact: bool = False, without: frozenset[str] = frozenset()
) -> bytes:
    """These tables and this head as bytes; `without` leaves out columns, as table.column.

    The same input gives the same bytes.
    """
    described: dict[str, dict[str, Any]] = {}
    parts: list[bytes] = []
    for title, table in tables.items():
        columns: list[tuple[str, str, int]] = []
        for name, meta in table.columns():
            values: Array = getattr(table, name)
            if f"{title}.{name}" in without or _is_default(values, meta["default"]):
                continue
            kind, body = _encoded(values, exact)
            columns.append((name, kind, int(meta["width"])))
            parts.append(body)
        described[title] = {"rows": len(table), "columns": columns}
    header = json.dumps({"head": head, "tables": described}, separators=(",", ":")).encode()
    body = zlib.compress(b"".join((len(header).to_bytes(4, "little"), header, *parts)), 9)
    return MAGIC + bytes([VERSION]) + body


def unpack(data: bytes, kinds: Mapping[str, type[Table]]) -> Bundle:
    """The bundle in these bytes; tables that `kinds` does not name are left out.

    Raises:
        PackError: the bytes are damaged, larger than MAX_BYTES unpacked, or of a later version.
    """
    if data[:2] != MAGIC or len(data) < 4 or data[2] == 0:
        raise PackError(Fault.CORRUPT, f"{len(data)} bytes do not begin like a bundle")
    if data[2] > VERSION:
        raise PackError(Fault.NEWER, f"its form is version {data[2]}, this Trimtab reads {VERSION}")
    reader = zlib.decompressobj()
    try:
        raw = reader.decompress(data[3:], MAX_BYTES)
    except zlib.error as error:
        raise PackError(Fault.CORRUPT, f"the compressed part is damaged ({error})") from error
    if reader.unconsumed_tail:
        raise PackError(Fault.OVERSIZED, f"it unpacks to more than {MAX_BYTES} bytes")
    if not reader.eof:
        raise PackError(Fault.CORRUPT, "the compressed part ends too early")
    try:
        return _read(raw, kinds)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
        raise PackError(Fault.CORRUPT, f"its parts do not fit together ({type(error).__name__}: {error})") from error


def _read(raw: bytes, kinds: Mapping[str, type[Table]]) -> Bundle:
    start = 4 + int.from_bytes(raw[:4], "little")
    header = json.loads(raw[4:start])
    tables: dict[str, Table] = {}
    ignored: list[str] = []
    for title, said in header["tables"].items():
        rows = int(said["rows"])
        if not 0 <= rows <= MAX_BYTES:
            raise ValueError(f"{rows} rows")
        kind = kinds.get(title)
        known = dict(kind.columns()) if kind else {}
        found: dict[str, Array] = {}
        for name, form, width in said["columns"]:
            values, start = _decoded(raw, start, str(form), rows, int(width))
            meta = known.get(name)
            if meta is not None and meta["width"] == width and _fits(values, meta["dtype"]):
                found[name] = values.astype(meta["dtype"])
            elif kind:
                ignored.append(f"{title}.{name}")
        if kind:
            blank = kind.blank(rows)
            for name, values in found.items():
                getattr(blank, name)[...] = values
            tables[title] = blank
    if start != len(raw):
        raise ValueError(f"{len(raw) - start} bytes too many")
    head = header["head"]
    if not isinstance(head, dict):
        raise TypeError("the head is no map")
    return Bundle(head, tables, tuple(ignored))


def _is_default(values: Array, default: object) -> bool:
    if isinstance(default, float) and math.isnan(default):
        return bool(np.isnan(values).all())
    return bool((values == default).all())


def _encoded(values: Array, exact: bool) -> tuple[str, bytes]:
    """Name of the form, and the bytes of a column."""
    if values.dtype == object:
        body = json.dumps([str(value) for value in values.ravel()], separators=(",", ":")).encode()
        return "text", len(body).to_bytes(4, "little") + body
    if exact or values.dtype != np.float32 or values.ndim == 1:
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        return str(little.dtype.str), little.tobytes()
    finite = np.where(np.isfinite(values), np.abs(values), 0.0)
    most = finite.max(axis=1, initial=0.0).astype("<f4")
    scale = np.where(most > 0, most, 1.0)[:, None]
    with np.errstate(over="ignore", under="ignore"):
        halves = (values / scale * HALF_RANGE).astype("<f2")
    return "half", most.tobytes() + halves.tobytes()


def _decoded(raw: bytes, start: int, form: str, rows: int, width: int) -> tuple[Array, int]:
    """A column, and where the next one begins."""
    shape = (rows, width) if width else (rows,)
    cells = rows * max(width, 1)
    if form == "text":
        size = int.from_bytes(raw[start : start + 4], "little")
        end = start + 4 + size
        texts = json.loads(raw[start + 4 : end])
        if len(texts) != cells or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{len(texts)} texts for {cells} cells")
        result = np.empty(cells, dtype=object)
        result[:] = texts
        return result.reshape(shape), end
    if form == "half":
        most = np.frombuffer(raw, "<f4", rows, start)
        halves = np.frombuffer(raw, "<f2", cells, start + 4 * rows).reshape(shape)
        scale = np.where(most > 0, most, 1.0) / HALF_RANGE
        return (halves.astype(np.float32) * scale[:, None]).astype(np.float32), start + 4 * rows + 2 * cells
    dtype = np.dtype(form)
    if dtype.kind not in "fiub":
        raise ValueError(f"a column of type {form}")
    return np.frombuffer(raw, dtype, cells, start).reshape(shape), start + cells * dtype.itemsize


def _fits(values: Array, dtype: object) -> bool:
    """Whether values of this type may stand in a column of that one: text as text, numbers within their kind."""
    kinds = {"f": "f", "i": "iu", "u": "iu", "b": "b", "O": "O"}
    return values.dtype.kind in kinds.get(np.dtype(dtype).kind, "")  # type: ignore[call-overload]


def widest(tables: Mapping[str, Table]) -> Iterator[str]:
    """Names of the columns as table.column, those that take most bytes a row first; keys are not among them."""
    sizes = [
        (-max(int(meta["width"]), 1) * np.dtype(meta["dtype"]).itemsize, f"{title}.{name}")
        for title, table in tables.items()
        for name, meta in table.columns()
        if name != "key"
    ]
    yield from (name for _, name in sorted(sizes))
