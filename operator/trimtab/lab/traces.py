"""Recordings of usage and of arrivals, read from a folder of text files.

Layout: DIR/usage/ holds usage over time, DIR/rps/ holds arrivals of requests. A file of an unknown kind is skipped and
named; a line that can't be read is a TraceError with file, line and remedy. What happens to odd samples:

- **missing** (empty, NaN, infinite or negative value): the sample is dropped and leaves a gap. It is never zero.
- **gap**: stays a gap in usage (nothing is scored or learned in it). In arrivals, which a simulation has to live
  through, the missing steps are interpolated between their neighbours.
- **out of order**: samples are sorted by time.
- **duplicate stamp**: the largest value stays, which is the safe side for sizes; arrivals of one minute likewise.
- **counter reset**: none; the files hold gauges and counts per minute, not running totals.

Times are Unix seconds (above 10¹¹: milliseconds) or ISO 8601 dates, which count as UTC where they name no zone.
"""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np

from trimtab.decide.columns import F8

DAY = 86400.0
WARM_UP = 2 * DAY
"""Seconds before scoring starts; a quarter of a recording shorter than four times that."""
KIB = 1024.0
_MILLISECONDS = 1e11

ResourceName = Literal["cpu", "memory"]


class TraceError(Exception):
    """A recording that can't be read. `line` counts from 1; 0: the file or folder as a whole."""

    def __init__(self, file: Path, line: int, remedy: str) -> None:
        where = f"{file}, line {line}" if line else str(file)
        super().__init__(f"{where}: {remedy}")
        self.file = file
        self.line = line
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out, and why."""

    file: str
    why: str


@dataclass(frozen=True, slots=True)
class Usage:
    """One resource of one container over time. Times rise strictly; values are finite and not negative."""

    name: str
    """The file's name without its ending."""
    resource: ResourceName
    times: F8
    """Unix seconds, float64[n]; the sample stands for the `step` seconds before the next one."""
    values: F8
    """float64[n], in the file's unit: cores, percent, MHz, bytes, counts."""
    step: float
    """Seconds between samples: the median of what the file has."""
    provisioned: float | None = None
    """What the owner had given it, in the same unit, where the file says so."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def scored_from(self) -> int:
        """First sample after the warm-up: two days, or a quarter of a recording shorter than eight days."""
        if not len(self):
            return 0
        span = self.times[-1] - self.times[0] + self.step
        return int(np.searchsorted(self.times, self.times[0] + min(WARM_UP, span / 4)))


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Arrivals of requests at one service; step after step without gaps."""

    name: str
    rate: F8
    """Requests a second, mean over each step, float64[n]."""
    step: float
    """Seconds: 1 or 60."""


def read_usage(folder: Path) -> tuple[list[Usage], list[Skipped]]:
    """Every recording in folder/usage, by file name.

    `bitbrains*.csv` gives CPU (MHz) and memory (bytes); `mem-*.csv` memory; every other two-column `.csv` counts as
    CPU. Columns of the latter are a time and a value, with or without a header.

    Raises:
        TraceError: there is no such folder, or a line can't be read.
    """
    found: list[Usage] = []
    skipped: list[Skipped] = []
    for file in _files(folder, "usage"):
        if file.suffix != ".csv" or not file.is_file():
            skipped.append(Skipped(_name(file), "not a .csv file"))
        elif file.name.startswith("bitbrains"):
            found += _usable(_bitbrains(file), skipped, file)
        else:
            resource: ResourceName = "memory" if file.name.startswith("mem-") else "cpu"
            samples = _time_and_value(file)
            if samples is None:
                skipped.append(Skipped(_name(file), "does not have two columns, a time and a value"))
            else:
                found += _usable([_usage(file, resource, *samples)], skipped, file)
    return found, skipped


def read_arrivals(folder: Path) -> tuple[list[Arrivals], list[Skipped]]:
    """Every recording in folder/rps, by file name.

    A `.txt` holds a rate in requests/s a line, one line a second. A two-column `.csv` holds counts per minute. A `.csv`
    whose header names tokens holds one arrival a line, which are counted by second.

    Raises:
        TraceError: there is no such folder, or a line can't be read.
    """
    found: list[Arrivals] = []
    skipped: list[Skipped] = []
    for file in _files(folder, "rps"):
        if file.suffix not in {".txt", ".csv"} or not file.is_file():
            skipped.append(Skipped(_name(file), "neither a .txt nor a .csv file"))
            continue
        if file.suffix == ".txt":
            arrivals = _rates(file)
        elif any("token" in cell.lower() for _, row in _head(file) for cell in row):
            arrivals = _events(file)
        else:
            samples = _time_and_value(file)
            if samples is None:
                skipped.append(Skipped(_name(file), "neither a time and a count a line, nor arrivals with tokens"))
                continue
            arrivals = _counts(file, *samples)
        if len(arrivals.rate):
            found.append(arrivals)
        else:
            skipped.append(Skipped(_name(file), "holds no samples"))
    return found, skipped


def _files(folder: Path, kind: str) -> list[Path]:
    if not folder.is_dir():
        raise TraceError(folder, 0, "there is no such folder; name one that holds usage/ and rps/")
    if not (folder / kind).is_dir():
        raise TraceError(folder, 0, f"the folder has no {kind}/ in it; put the recordings there")
    return sorted((folder / kind).iterdir())


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _usable(usages: Sequence[Usage], skipped: list[Skipped], file: Path) -> list[Usage]:
    """Those with something to score: at least one sample after the warm-up and one in it."""
    skipped += [
        Skipped(_name(file), f"{len(u)} samples of {u.resource} are too few to learn from and to score")
        for u in usages
        if not 0 < u.scored_from < len(u)
    ]
    return [u for u in usages if 0 < u.scored_from < len(u)]


def _rows(file: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that is neither empty nor a comment."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
        try:
            for row in reader:
                if row and any(row) and not row[0].startswith("#"):
                    yield reader.line_num, row
        except csv.Error as error:
            raise TraceError(file, reader.line_num, f"is no text table ({error}); correct or remove it") from error


def _head(file: Path) -> list[tuple[int, list[str]]]:
    """The first line with its number, or nothing."""
    for line in _rows(file):
        return [line]
    return []


def _number(file: Path, line: int, cell: str) -> float:
    """A value; NaN where it is missing."""
    cell = cell.strip()
    if not cell:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        raise TraceError(file, line, f"{cell[:40]!r} is no number; correct or remove the line") from None
    return value if 0 <= value < math.inf else math.nan


def _time(file: Path, line: int, cell: str) -> float:
    """Unix seconds."""
    cell = cell.strip()
    try:
        stamp = float(cell)
    except ValueError:
        try:
            moment = datetime.fromisoformat(cell)
        except ValueError:
            raise TraceError(
                file, line, f"{cell[:40]!r} is no time; write Unix seconds or a date such as 2026-01-31 12:00:00"
            ) from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(stamp):
        raise TraceError(file, line, f"{cell!r} is no time; write Unix seconds or a date such as 2026-01-31 12:00:00")
    return stamp / 1000 if stamp > _MILLISECONDS else stamp


def _is_header(row: Sequence[str]) -> bool:
    """Whether the first line names columns: neither its time nor its value starts as one does."""
    return not any(cell.strip()[:1].isdigit() for cell in row[:2])


def _time_and_value(file: Path) -> tuple[F8, F8] | None:
    """The samples of a two-column file; None when it has other columns."""
    rows = _rows(file)
    first = next(rows, None)
    if first is None:
        return np.empty(0), np.empty(0)
    if len(first[1]) != 2:
        return None
    body = rows if _is_header(first[1]) else _chain(first, rows)
    times: list[float] = []
    values: list[float] = []
    for line, row in body:
        if len(row) != 2:
            raise TraceError(file, line, f"has {len(row)} columns instead of 2; correct or remove the line")
        times.append(_time(file, line, row[0]))
        values.append(_number(file, line, row[1]))
    return _clean(times, values)


def _chain(first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest


def _clean(times: Sequence[float], values: Sequence[float]) -> tuple[F8, F8]:
    """Sorted by time, without missing ones; of equal stamps the largest value."""
    t, v = np.array(times, dtype=np.float64), np.array(values, dtype=np.float64)
    present = np.isfinite(v)
    t, v = t[present], v[present]
    order = np.lexsort((-v, t))
    t, v = t[order], v[order]
    fresh = np.ones(len(t), dtype=bool)
    fresh[1:] = t[1:] > t[:-1]
    return t[fresh], v[fresh]


def _usage(file: Path, resource: ResourceName, times: F8, values: F8, provisioned: float | None = None) -> Usage:
    step = float(np.median(np.diff(times))) if len(times) > 1 else 60.0
    return Usage(file.stem, resource, times, values, step, provisioned)


_BITBRAINS = (
    "CPU capacity provisioned [MHZ]",
    "CPU usage [MHZ]",
    "Memory capacity provisioned [KB]",
    "Memory usage [KB]",
)
"""Columns of a GWA-T-12 Bitbrains file, with `;` and a tab between; KB are KiB there (2 GiB is 2097152)."""


def _bitbrains(file: Path) -> list[Usage]:
    rows = _rows(file, ";")
    first = next(rows, None)
    if first is None:
        return []
    names = [cell.strip() for cell in first[1]]
    lacking = [name for name in _BITBRAINS if name not in names]
    if lacking:
        raise TraceError(file, first[0], f"lacks the column {lacking[0]!r} of a Bitbrains file; restore its header")
    at = [names.index(name) for name in _BITBRAINS]
    times: list[float] = []
    cells: list[list[float]] = []
    for line, row in rows:
        if len(row) < len(names):
            raise TraceError(file, line, f"has {len(row)} columns instead of {len(names)}; correct or remove the line")
        times.append(_time(file, line, row[0]))
        cells.append([_number(file, line, row[i]) for i in at])
    table = np.array(cells, dtype=np.float64).reshape(-1, len(at))
    cpu = _usage(file, "cpu", *_clean(times, table[:, 1].tolist()), _largest(table[:, 0]))
    memory = _usage(file, "memory", *_clean(times, (table[:, 3] * KIB).tolist()), _largest(table[:, 2] * KIB))
    return [cpu, memory]


def _largest(values: F8) -> float | None:
    known = values[np.isfinite(values) & (values > 0)]
    return float(known.max()) if len(known) else None


def _rates(file: Path) -> Arrivals:
    """One rate a line, one line a second."""
    rates = [_number(file, line, _only(file, line, row)) for line, row in _rows(file)]
    return Arrivals(file.stem, _filled(np.arange(len(rates), dtype=np.float64), np.array(rates, dtype=np.float64)), 1.0)


def _only(file: Path, line: int, row: Sequence[str]) -> str:
    if len(row) != 1:
        raise TraceError(file, line, f"has {len(row)} columns instead of 1; write one rate a line")
    return row[0]


def _counts(file: Path, times: F8, counts: F8) -> Arrivals:
    """Counts per minute, on a grid of minutes from the first one."""
    if not len(times):
        return Arrivals(file.stem, np.empty(0), 60.0)
    minutes = np.rint((times - times[0]) / 60)
    return Arrivals(file.stem, _filled(minutes, counts / 60), 60.0)


def _filled(slots: F8, values: F8) -> F8:
    """The values of slots 0, 1, 2, …; missing ones lie on the line between their neighbours."""
    known = np.isfinite(values)
    if not known.any():
        return np.empty(0)
    return np.asarray(np.interp(np.arange(slots[-1] + 1), slots[known], values[known]), dtype=np.float64)


def _events(file: Path) -> Arrivals:
    """Arrivals a second from one arrival a line; the time is the first column."""
    rows = _rows(file)
    width = len(next(rows, (0, []))[1])
    times: list[float] = []
    for line, row in rows:
        if len(row) != width:
            raise TraceError(file, line, f"has {len(row)} columns instead of {width}; correct or remove the line")
        times.append(_time(file, line, row[0]))
    if not times:
        return Arrivals(file.stem, np.empty(0), 1.0)
    seconds = np.floor(np.array(times) - min(times)).astype(np.int64)
    return Arrivals(file.stem, np.bincount(seconds).astype(np.float64), 1.0)
