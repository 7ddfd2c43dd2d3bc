"""Plots as inline SVG: what was measured as an area, levels as steps, events as marks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from math import ceil, floor, log10

import numpy as np

from trimtab.decide.columns import F8

WIDTH, HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 8, 10, 26
COLUMNS = 800
"""Points across that a plot can tell apart; longer series are drawn as smallest and largest of each."""
DATES = 8
"""Most dates along a plot: more would touch each other."""
_STEPS = (60.0, 300.0, 900.0, 3600.0, 3 * 3600.0, 6 * 3600.0, 12 * 3600.0, 86400.0, 2 * 86400.0, 7 * 86400.0)


@dataclass(frozen=True, slots=True)
class Line:
    """One series over the plot's times, float64[n]; NaN leaves a gap."""

    name: str
    values: F8
    area: bool = False
    """Filled between zero and the values: what was measured. Otherwise steps: a level that was in force."""
    shown: bool = True
    """Visible before the reader chooses."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Events of one series, drawn at its height; of those that share a pixel one is drawn, and all are counted."""

    name: str
    """The line they belong to; shown and hidden with it."""
    label: str
    times: F8
    values: F8


@dataclass(frozen=True, slots=True)
class Plot:
    """Series over time."""

    title: str
    times: F8
    """Seconds since the start, float64[n], rising."""
    lines: Sequence[Line]
    marks: Sequence[Marks] = field(default_factory=tuple)
    unit: str = ""
    shaded_until: float = 0.0
    """Seconds up to which the background is grey: the warm-up."""
    note: str = ""
    start: float | None = None
    """Unix seconds of time 0, where the times are of the calendar: the axis then shows dates, UTC."""


class _Scale:
    """Data to pixels."""

    def __init__(self, plot: Plot) -> None:
        self.end = float(plot.times[-1]) if len(plot.times) else 1.0
        self.end = self.end or 1.0
        measured = [float(np.nanmax(line.values)) for line in plot.lines if line.area and _known(line.values)]
        levels = [float(np.nanmax(line.values)) for line in plot.lines if not line.area and _known(line.values)]
        highest = max(measured, default=max(levels, default=1.0)) or 1.0
        self.top = 1.05 * min(max([highest, *levels]), 1.6 * highest)

    def x(self, seconds: F8) -> F8:
        return np.asarray(_LEFT + seconds / self.end * (WIDTH - _LEFT - _RIGHT), dtype=np.float64)

    def y(self, values: F8) -> F8:
        inside = np.clip(values / self.top, 0.0, 1.02)
        return np.asarray(HEIGHT - _BOTTOM - inside * (HEIGHT - _TOP - _BOTTOM), dtype=np.float64)


def _known(values: F8) -> bool:
    return bool(np.isfinite(values).any())


def svg(plot: Plot, colours: dict[str, str]) -> str:
    """The plot as one <svg>. Each line's group has the class `s` and the attribute data-s=NAME."""
    scale = _Scale(plot)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(plot.title)}">']
    if plot.shaded_until > 0:
        right = float(scale.x(np.array(min(plot.shaded_until, scale.end))))
        parts.append(f'<rect class="w" x="{_LEFT}" y="{_TOP}" width="{right - _LEFT:.1f}" height="{_inner()}"/>')
    parts += _axes(plot, scale)
    for line in plot.lines:
        style = _hidden(line)
        colour = colours.get(line.name, "currentColor")
        if line.area:
            shape = f'<path d="{_area(plot.times, line.values, scale)}" fill="{colour}" fill-opacity=".35"/>'
        else:
            shape = f'<path d="{_steps(plot.times, line.values, scale)}" fill="none" stroke="{colour}"/>'
        parts.append(f'<g class="s" data-s="{escape(line.name)}"{style}>{shape}{_marks(plot, line, scale, colour)}</g>')
    parts.append("</svg>")
    return "".join(parts)


def _hidden(line: Line) -> str:
    return "" if line.shown else ' style="display:none"'


def _inner() -> int:
    return HEIGHT - _TOP - _BOTTOM


def _axes(plot: Plot, scale: _Scale) -> list[str]:
    parts = []
    for value in _ticks(scale.top, 5):
        y = float(scale.y(np.array(value)))
        parts.append(f'<path class="g" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for at, label in _dates(plot.start, scale.end) if plot.start is not None else _elapsed(scale.end):
        x = float(scale.x(np.array(at)))
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{label}</text>')
    parts.append(f'<text x="{_LEFT + 6}" y="{_TOP + 12}">{escape(plot.unit)}</text>')
    return parts


def _elapsed(span: float) -> list[tuple[float, str]]:
    """Places and labels of the axis: time since the start."""
    unit, seconds = _time_unit(span)
    return [(tick * seconds, f"{tick:.4g}{unit}") for tick in _ticks(span / seconds, 10)]


def _dates(start: float, span: float) -> list[tuple[float, str]]:
    """Places and labels of the axis: whole days, or whole hours of a short plot, UTC."""
    step = next((one for one in _STEPS if span / one <= DATES), _STEPS[-1] * ceil(span / _STEPS[-1] / DATES))
    first = ceil(start / step) * step
    made = []
    for number in range(int((start + span - first) // step) + 1):
        when = datetime.fromtimestamp(first + number * step, UTC)
        midnight = when.hour == 0 and when.minute == 0
        made.append((first + number * step - start, f"{when:%b} {when.day}" if midnight else f"{when:%H:%M}"))
    return made


def _time_unit(span: float) -> tuple[str, float]:
    for name, seconds in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if span >= 2 * seconds:
            return name, seconds
    return "s", 1.0


def _ticks(top: float, about: int) -> list[float]:
    """Round numbers from 0 to `top`: 1, 2 or 5 times a power of ten apart."""
    raw = top / about
    power = 10.0 ** floor(log10(raw))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    return [i * step for i in range(ceil(top / step * (1 - 1e-9)))]


def _thinned(times: F8, values: F8, scale: _Scale) -> tuple[F8, F8, F8]:
    """Time, smallest and largest value of each of up to COLUMNS columns."""
    known = np.isfinite(values)
    times, values = times[known], values[known]
    if len(values) <= COLUMNS:
        return times, values, values
    column = np.minimum(times / scale.end * COLUMNS, COLUMNS - 1).astype(np.int64)
    begins = np.flatnonzero(np.diff(column, prepend=-1))
    return times[begins], np.minimum.reduceat(values, begins), np.maximum.reduceat(values, begins)


def _area(times: F8, values: F8, scale: _Scale) -> str:
    """From zero up to the largest value of each column."""
    at, _, high = _thinned(times, values, scale)
    if not len(at):
        return ""
    x, y, base = scale.x(at), scale.y(high), HEIGHT - _BOTTOM
    top = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return f"M{x[0]:.1f} {base}L{top}L{x[-1]:.1f} {base}Z"


def _steps(times: F8, values: F8, scale: _Scale) -> str:
    """A line that changes only where the level does; where it changes more often than can be drawn, its extremes."""
    known = np.isfinite(values)
    changed = known & np.concatenate(([True], values[1:] != values[:-1]))
    at = np.flatnonzero(changed)
    if not len(at):
        return ""
    end = float(scale.x(np.array(times[np.flatnonzero(known)[-1]])))
    if len(at) > 2 * COLUMNS:
        moments, low, high = _thinned(times, values, scale)
        pairs = zip(scale.x(moments).tolist(), scale.y(low).tolist(), scale.y(high).tolist(), strict=True)
        return "M" + "L".join(f"{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in pairs)
    x, y = scale.x(times[at]).tolist(), scale.y(values[at]).tolist()
    steps = "".join(f"H{a:.1f}V{b:.1f}" for a, b in zip(x[1:], y[1:], strict=True))
    return f"M{x[0]:.1f} {y[0]:.1f}{steps}H{end:.1f}"


def _marks(plot: Plot, line: Line, scale: _Scale, colour: str) -> str:
    parts = []
    for marks in plot.marks:
        if marks.name == line.name and len(marks.times):
            apart = np.unique(np.rint(scale.x(marks.times)), return_index=True)[1]
            x, y = scale.x(marks.times[apart]).tolist(), scale.y(marks.values[apart]).tolist()
            shape = "".join(f"M{a:.1f} {b - 5:.1f}l4 8h-8z" for a, b in zip(x, y, strict=True))
            title = f"{marks.label}: {len(marks.times)}"
            parts.append(f'<path d="{shape}" fill="{colour}" class="m"><title>{escape(title)}</title></path>')
    return "".join(parts)
