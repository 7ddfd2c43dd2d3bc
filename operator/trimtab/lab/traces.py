"""Recordings of usage and of arrivals, read from a folder of text files.

Layout: DIR/usage/ holds usage over time, DIR/rps/ holds arrivals of requests. A file of an unknown kind is skipped and
named; a line that can't be read is a TraceError with file, line and remedy. What happens to odd samples:

- **missing** (empty, NaN, infinite or negative value): the sample is dropped and leaves a gap. It is never zero.
- **gap**: stays a gap in usage (nothing is scored or learned in it). In arrivals, which a simulation has to live
  through, the missing steps are interpolated between their neighbours.
- **a stamp years from all others** (0 among dates): a TraceError; usage may pause for a year, arrivals for a week.
- **out of order**: samples are sorted by time.
- **duplicate stamp**: the largest value stays, which is the safe side for sizes; arrivals likewise.
- **counter reset**: none; the files hold gauges and counts, not running totals.

How times may be written is said in `tracelines`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from trimtab.decide.columns import F8
from trimtab.lab.tracelines import (
    DAY,
    Samples,
    TraceError,
    head,
    moment,
    no_absurd_gap,
    number,
    rows,
    stray,
    time_and_value,
)

__all__ = ["DAY", "Arrivals", "ResourceName", "Skipped", "TraceError", "Usage", "read_arrivals", "read_usage"]

WARM_UP = 2 * DAY
"""Seconds before scoring starts; a quarter of a recording shorter than four times that."""
KIB = 1024.0
USAGE_GAP = 366 * DAY
ARRIVALS_GAP = 7 * DAY
"""Seconds between two stamps of one recording at most: beyond, one of them is a mistake. Arrivals are interpolated over
a gap, and a week of them would be invented."""
MOST_EMPTY = 600_000
"""Steps without a sample in a recording at most, a year of minutes: a replay goes through all of them."""
ARRIVALS_SPAN = 366 * DAY
"""Seconds that one-arrival-a-line files may span: they are counted by second."""
_MINUTE = 60.0

ResourceName = Literal["cpu", "memory"]


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
    """The file's name without its ending; with it where several files differ in nothing else."""
    rate: F8
    """Requests a second, mean over each step, float64[n]."""
    step: float
    """Seconds: 1 or 60."""
    file: str = ""
    """As a report names it: rps/x.txt."""


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
            samples = time_and_value(file)
            if samples is None:
                skipped.append(Skipped(_name(file), "does not have two columns, a time and a value"))
            else:
                found += _usable([_usage(file, resource, samples)], skipped, file)
    return found, skipped


def read_arrivals(folder: Path) -> tuple[list[Arrivals], list[Skipped]]:
    """Every recording in folder/rps with at least one arrival, by file name.

    A `.txt` holds a rate in requests/s a line, one line a second. A two-column `.csv` holds counts per minute, or per
    shorter step where its stamps are closer. A `.csv` whose header names tokens holds one arrival a line, which are
    counted by second.

    Raises:
        TraceError: there is no such folder, or a line can't be read.
    """
    found: list[Arrivals] = []
    skipped: list[Skipped] = []
    for file in _files(folder, "rps"):
        if file.suffix not in {".txt", ".csv"} or not file.is_file():
            skipped.append(Skipped(_name(file), "neither a .txt nor a .csv file"))
            continue
        arrivals = _arrivals(file)
        if arrivals is None:
            skipped.append(Skipped(_name(file), "neither a time and a count a line, nor arrivals with tokens"))
        elif not arrivals.rate.any():
            skipped.append(Skipped(_name(file), "holds no arrivals" if len(arrivals.rate) else "holds no samples"))
        else:
            found.append(arrivals)
    return _told_apart(found), skipped


def _told_apart(found: Sequence[Arrivals]) -> list[Arrivals]:
    """The same recordings, of which those that share a name carry their ending as well."""
    named = list(found)
    while len({one.name for one in named}) < len(named):
        names = [one.name for one in named]
        named = [replace(one, name=Path(one.file).name) if names.count(one.name) > 1 else one for one in named]
    return named


def _arrivals(file: Path) -> Arrivals | None:
    """A recording of any kind; None: of no known kind."""
    if file.suffix == ".txt":
        return _rates(file)
    if any("token" in cell.lower() for cell in head(file)):
        return _events(file)
    samples = time_and_value(file)
    return None if samples is None else _counts(file, samples)


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


def _usage(file: Path, resource: ResourceName, samples: Samples, provisioned: float | None = None) -> Usage:
    """A recording whose replay can be lived through."""
    no_absurd_gap(file, samples.times, samples.lines, USAGE_GAP)
    times, step = samples.times, samples.step
    empty = (times[-1] - times[0]) / step - len(times) if len(times) else 0.0
    if empty > MOST_EMPTY:
        line, gap = stray(times, samples.lines)
        remedy = (
            f"most samples are {step:g} s apart, which leaves {empty:,.0f} steps without one ({MOST_EMPTY:,} at most)"
        )
        raise TraceError(file, line, f"{remedy}; the longest gap, {gap:,.0f} s, is here: correct it or record one step")
    return Usage(file.stem, resource, times, samples.values, step, provisioned)


_BITBRAINS = (
    "CPU capacity provisioned [MHZ]",
    "CPU usage [MHZ]",
    "Memory capacity provisioned [KB]",
    "Memory usage [KB]",
)
"""Columns of a GWA-T-12 Bitbrains file, with `;` and a tab between; KB are KiB there (2 GiB is 2097152)."""


def _bitbrains(file: Path) -> list[Usage]:
    lines = rows(file, ";")
    first = next(lines, None)
    if first is None:
        return []
    names = [cell.strip() for cell in first[1]]
    lacking = [name for name in _BITBRAINS if name not in names]
    if lacking:
        raise TraceError(file, first[0], f"lacks the column {lacking[0]!r} of a Bitbrains file; restore its header")
    at = [names.index(name) for name in _BITBRAINS]
    times: list[float] = []
    cells: list[list[float]] = []
    places: list[int] = []
    for line, row in lines:
        if len(row) < len(names):
            raise TraceError(file, line, f"has {len(row)} columns instead of {len(names)}; correct or remove the line")
        times.append(moment(file, line, row[0]))
        cells.append([number(file, line, row[i]) for i in at])
        places.append(line)
    table = np.array(cells, dtype=np.float64).reshape(-1, len(at))
    cpu = Samples.of(times, table[:, 1].tolist(), places)
    memory = Samples.of(times, (table[:, 3] * KIB).tolist(), places)
    return [
        _usage(file, "cpu", cpu, _largest(table[:, 0])),
        _usage(file, "memory", memory, _largest(table[:, 2] * KIB)),
    ]


def _largest(values: F8) -> float | None:
    known = values[np.isfinite(values) & (values > 0)]
    return float(known.max()) if len(known) else None


def _rates(file: Path) -> Arrivals:
    """One rate a line, one line a second."""
    rates = np.array([number(file, line, _only(file, line, row)) for line, row in rows(file)], dtype=np.float64)
    return Arrivals(file.stem, _filled(np.arange(len(rates), dtype=np.float64), rates), 1.0, _name(file))


def _only(file: Path, line: int, row: Sequence[str]) -> str:
    if len(row) != 1:
        raise TraceError(file, line, f"has {len(row)} columns instead of 1; write one rate a line")
    return row[0]


def _counts(file: Path, samples: Samples) -> Arrivals:
    """Counts per minute, on a grid of minutes from the first one.

    Where stamps are closer than a minute the counts of a minute are summed up, and a count that is missing among them
    is the mean of the others: dividing their mean by the step does both.
    """
    no_absurd_gap(file, samples.times, samples.lines, ARRIVALS_GAP)
    times, counts = samples.times, samples.values
    if not len(times):
        return Arrivals(file.stem, np.empty(0), _MINUTE, _name(file))
    if samples.step >= _MINUTE - 1:
        # A stamp a second early or late is still its minute's; two stamps of one minute: the larger count.
        minutes, place = np.unique(np.rint((times - times[0]) / _MINUTE), return_inverse=True)
        rates = np.zeros(len(minutes))
        np.maximum.at(rates, place, counts / _MINUTE)
    else:
        minutes, place = np.unique(np.floor((times - times[0]) / _MINUTE), return_inverse=True)
        rates = np.bincount(place, counts) / np.bincount(place) / samples.step
    return Arrivals(file.stem, _filled(minutes, rates), _MINUTE, _name(file))


def _filled(slots: F8, values: F8) -> F8:
    """The values of slots 0, 1, 2, …; missing ones lie on the line between their neighbours."""
    known = np.isfinite(values)
    if not known.any():
        return np.empty(0)
    return np.asarray(np.interp(np.arange(slots[-1] + 1), slots[known], values[known]), dtype=np.float64)


def _events(file: Path) -> Arrivals:
    """Arrivals a second from one arrival a line; the time is the first column."""
    lines = rows(file)
    width = len(next(lines, (0, []))[1])
    stamps: list[float] = []
    places: list[int] = []
    for line, row in lines:
        if len(row) != width:
            raise TraceError(file, line, f"has {len(row)} columns instead of {width}; correct or remove the line")
        stamps.append(moment(file, line, row[0]))
        places.append(line)
    if not stamps:
        return Arrivals(file.stem, np.empty(0), 1.0, _name(file))
    order = np.argsort(stamps, kind="stable")
    times, at = np.array(stamps)[order], np.array(places)[order]
    no_absurd_gap(file, times, at, ARRIVALS_GAP)
    if times[-1] - times[0] > ARRIVALS_SPAN:
        days = f"{(times[-1] - times[0]) / DAY:,.0f} days"
        raise TraceError(file, int(at[-1]), f"ends {days} after its first arrival; keep a year of it at most")
    return Arrivals(file.stem, np.bincount(np.floor(times - times[0]).astype(np.int64)).astype(float), 1.0, _name(file))
