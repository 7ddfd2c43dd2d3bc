"""Lines of recordings: cells, numbers, times, and the samples they make.

Times are Unix seconds (above 10¹¹: milliseconds) or ISO 8601 dates, which count as UTC where they name no zone.
"""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np

from trimtab.decide.columns import F8, I8

DAY = 86400.0
_MILLISECONDS = 1e11

Line = tuple[int, list[str]]
"""Its number, from 1, and its cells."""


class TraceError(Exception):
    """A recording that can't be read. `line` counts from 1; 0: the file or folder as a whole."""

    def __init__(self, file: Path, line: int, remedy: str) -> None:
        where = f"{file}, line {line}" if line else str(file)
        super().__init__(f"{where}: {remedy}")
        self.file = file
        self.line = line
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of a file, sorted by time, without missing ones; of equal stamps the largest value."""

    times: F8
    """Unix seconds, rising strictly, float64[n]."""
    values: F8
    """Finite and not negative, float64[n]."""
    lines: I8
    """The line that each stands in, int64[n]."""

    @classmethod
    def of(cls, times: Sequence[float], values: Sequence[float], lines: Sequence[int]) -> "Samples":
        """Sort and clean what a file holds; a value that is no number is a missing sample."""
        t, v = np.array(times, dtype=np.float64), np.array(values, dtype=np.float64)
        order = np.lexsort((-v, t))
        order = order[np.isfinite(v[order])]
        t = t[order]
        fresh = np.ones(len(t), dtype=bool)
        fresh[1:] = t[1:] > t[:-1]
        return cls(t[fresh], v[order][fresh], np.array(lines, dtype=np.int64)[order][fresh])

    @property
    def step(self) -> float:
        """Seconds between samples: the median; 60 where there are no two."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else 60.0


def rows(file: Path, delimiter: str = ",") -> Iterator[Line]:
    """Every line that is neither empty nor a comment.

    Raises:
        TraceError: it is no text table.
    """
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
        try:
            for row in reader:
                if row and any(row) and not row[0].startswith("#"):
                    yield reader.line_num, row
        except csv.Error as error:
            raise TraceError(file, reader.line_num, f"is no text table ({error}); correct or remove it") from error


def head(file: Path) -> list[str]:
    """The cells of the first line; none in an empty file."""
    return next(rows(file), (0, []))[1]


def number(file: Path, line: int, cell: str) -> float:
    """A value; NaN where it is missing or impossible.

    Raises:
        TraceError: it is no number.
    """
    cell = cell.strip()
    if not cell:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        raise TraceError(file, line, f"{cell[:40]!r} is no number; correct or remove the line") from None
    return value if 0 <= value < math.inf else math.nan


def moment(file: Path, line: int, cell: str) -> float:
    """Unix seconds.

    Raises:
        TraceError: it is no time.
    """
    cell = cell.strip()
    try:
        stamp = float(cell)
    except ValueError:
        try:
            date = datetime.fromisoformat(cell)
        except ValueError:
            raise TraceError(
                file, line, f"{cell[:40]!r} is no time; write Unix seconds or a date such as 2026-01-31 12:00:00"
            ) from None
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(stamp):
        raise TraceError(file, line, f"{cell!r} is no time; write Unix seconds or a date such as 2026-01-31 12:00:00")
    return stamp / 1000 if stamp > _MILLISECONDS else stamp


def time_and_value(file: Path) -> Samples | None:
    """The samples of a two-column file, with or without a header; None when it has other columns.

    Raises:
        TraceError: a line can't be read.
    """
    lines = rows(file)
    first = next(lines, None)
    if first is None:
        return Samples.of((), (), ())
    if len(first[1]) != 2:
        return None
    found: list[tuple[float, float, int]] = []
    for line, row in lines if _is_header(first[1]) else chain((first,), lines):
        if len(row) != 2:
            raise TraceError(file, line, f"has {len(row)} columns instead of 2; correct or remove the line")
        found.append((moment(file, line, row[0]), number(file, line, row[1]), line))
    return Samples.of(*zip(*found, strict=True)) if found else Samples.of((), (), ())


def _is_header(row: Sequence[str]) -> bool:
    """Whether the first line names columns: neither its time nor its value starts as one does."""
    return not any(cell.strip()[:1].isdigit() for cell in row[:2])


def stray(times: F8, lines: I8) -> tuple[int, float]:
    """The line next to the longest gap, on its side with fewer stamps, and the gap in seconds; (0, 0): no gap at all.

    Args:
        times: rising, float64[n].
        lines: where each stands, int64[n].
    """
    if len(times) < 2:
        return 0, 0.0
    gaps = np.diff(times)
    at = int(np.argmax(gaps))
    return int(lines[at if at + 1 < len(gaps) - at else at + 1]), float(gaps[at])


def no_absurd_gap(file: Path, times: F8, lines: I8, longest: float) -> None:
    """Refuse a stamp so far from all others that it must be a mistake, such as 0 among dates.

    Raises:
        TraceError: with its line, where more than `longest` seconds lie between two stamps.
    """
    line, gap = stray(times, lines)
    if gap > longest:
        remedy = f"its time is {gap / DAY:,.0f} days away from the next; more than {longest / DAY:g} can't be replayed"
        raise TraceError(file, line, f"{remedy}, correct or remove the line")
