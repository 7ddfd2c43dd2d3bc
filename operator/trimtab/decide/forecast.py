"""The load ahead: the arrival rate one start-up from now, and how much more than that it may be.

A pod ordered now is ready one start-up later, so replicas are chosen for the load of then. Three parts, each judged by
its own past, all of them per workload:

- the expected rate, an autoregression on how the rate now differs from its means over the last slots, fitted online
  by regularised recursive least squares: what is noise returns, what is momentum goes on. Without evidence it says
  "as now";
- a linear trend, which only raises, where it is significant and where it has been the better guess so far;
- a margin: the log of past load over what was expected of it, kept as a histogram. It is as large as it must be for
  the share of the load beyond it, on average, to be no more than declared (expected shortfall).

Times are counted in slots, 15 s or that times a power of two for pods that start slowly. docs/design/forecast.md has
the figures.
"""

from dataclasses import dataclass

import numpy as np

from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.observation import Workloads
from trimtab.decide.settings import Settings
from trimtab.decide.standing import ERROR_BINS, LOAD_SLOTS, LoadMemory

SLOT = 15.0
"""Seconds of the shortest slot, one tick."""
LEAD_SLOTS = 28
"""Most slots that are looked ahead; a longer start-up has longer slots."""
MEANS = (2, 4, 8, 16)
"""Slots of the means that the rate is compared with."""
TREND_SLOTS = 16
CARRIED_SLOTS = 4
"""Slots without a sample that the one before stands for."""
FIRST_ERROR, ERROR_STEP = -0.48, 0.03
"""Log of load over forecast at the first bin of the histogram, and from one bin to the next."""
ERRORS: F8 = FIRST_ERROR + ERROR_STEP * np.arange(ERROR_BINS, dtype=np.float64)
_BIAS = 0.05
"""The constant among the features, as large as they are."""
_OVERLAP = 3.0
"""Variance of a fit to one-minute means taken every 15 s, relative to independent samples."""
_LEAST = 1e-3
"""Requests a second below which a rate counts as this."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Arrays of W rows; NaN where nothing is known now."""

    rate: F8
    """Requests a second expected one start-up ahead, the largest answer of the hold."""
    margin: F8
    """Log of what the load may be over `rate`, at the declared shortfall."""
    least_margin: F8
    """The same at the shortfall at which replicas are raised: there is no hurry before."""


@dataclass(frozen=True, slots=True)
class _Past:
    """The rings as float64[W, slots], the newest slot first; NaN: not known."""

    rate: F8
    plain: F8
    trend: F8


def lead_seconds(startup: F8, settings: Settings) -> F8:
    """Seconds from a decision to the sample that shows the load its pods meet, float64[W]."""
    known = np.where(startup >= 0, startup, settings.startup_seconds)
    return np.asarray(known + settings.metric_delay, dtype=np.float64)


def update(w: Workloads, held: LoadMemory, now: float, small: F8, settings: Settings) -> Forecast:
    """Take the arrival rate of this tick in, learn from what was expected of it, and look ahead; `held` in place.

    `small`[W] is a rate that one pod carries in any case: errors below it are not learned from.
    """
    lead = lead_seconds(w.startup_seconds, settings)
    width = SLOT * np.exp2(np.ceil(np.log2(np.maximum(lead / (SLOT * LEAD_SLOTS), 1.0)) - 1e-9))
    _begin(held, width, settings)
    number = np.floor(now / width).astype(np.int64)
    known = np.isfinite(w.arrival_rate) & (w.arrival_rate >= 0) & w.due
    rows = np.flatnonzero(known)
    place = number % LOAD_SLOTS
    fresh = known & (held.slot[np.arange(len(w)), place] != number)
    held.slot[rows, place[rows]] = number[rows]
    held.rate[rows, place[rows]] = w.arrival_rate[rows]
    held.plain[rows, place[rows]] = held.trend[rows, place[rows]] = np.nan

    ahead = np.maximum(np.rint(lead / width), 1.0).astype(np.int64)
    hold = np.floor(np.maximum(settings.load_hold * lead, 2 * width) / width).astype(np.int64)
    past = _view(held, number)
    before = _features(past.rate, ahead)
    after = past.rate[:, 0]
    _fit(held, before, _log(after) - _log(_at(past.rate, ahead)), fresh & _warm(past.rate, ahead), width, settings)
    features = _features(past.rate, np.zeros(len(w), dtype=np.int64))
    step = np.clip((held.weights * features).sum(axis=1), -settings.load_step, settings.load_step_up)
    plain = after * np.exp(np.where(np.isfinite(step), step, 0.0))
    trend = _trend(past.rate, ahead, settings)
    held.plain[rows, place[rows]], held.trend[rows, place[rows]] = plain[rows], trend[rows]

    past.plain[rows, 0], past.trend[rows, 0] = plain[rows], trend[rows]
    expected = _largest(past, ahead, hold, held.trend_gain)
    judged = fresh & _warm(past.rate, ahead) & (np.fmax(after, expected) >= small)
    _judge_trend(held, after, _at(past.plain, ahead), _at(past.trend, ahead), judged, width, settings)
    _learn_error(held, _log(after) - _log(expected), judged, width, settings)
    rate = _largest(past, np.zeros(len(w), dtype=np.int64), hold, held.trend_gain)
    errors = _possible(held.errors, lead, settings)
    margin, least = _margins(errors, (settings.load_shortfall, settings.load_shortfall_raise))
    return Forecast(np.where(known, rate, np.nan), margin, least)


def _begin(held: LoadMemory, width: F8, settings: Settings) -> None:
    """Rows that are new, or whose slots are of another length now, start without a past."""
    other = held.width != width
    if other.any():
        held.slot[other] = -1
        held.width[other] = width[other]
        held.moments[other] = held.weights[other] = held.cross[other] = held.errors[other] = 0.0
        held.trend_gain[other] = settings.trend_gain


def _assumed_spread(lead: F8, settings: Settings) -> F8:
    """Standard deviation of the errors of a workload that nothing is known of: as a random walk's, float64[W]."""
    return np.asarray(settings.error_spread * np.sqrt(lead / settings.error_lead), dtype=np.float64)


def _tailed(spread: F8, settings: Settings) -> F8:
    """A distribution over ERRORS, float64[W, bins]: normal, with a part that has a Laplace distribution's tail."""
    scale = spread[:, None]
    normal = np.exp(-0.5 * (ERRORS / scale) ** 2)
    heavy = np.exp(-np.abs(ERRORS) / (settings.error_stretch * scale))
    normal, heavy = normal / normal.sum(axis=1, keepdims=True), heavy / heavy.sum(axis=1, keepdims=True)
    return np.asarray((1 - settings.error_tail) * normal + settings.error_tail * heavy, dtype=np.float64)


def _possible(seen: F8, lead: F8, settings: Settings) -> F8:
    """Errors seen, and some that were not but may be: of the spread seen so far, float64[W, bins]."""
    count, square = seen.sum(axis=1), (seen * ERRORS**2).sum(axis=1)
    prior = settings.error_prior
    spread = np.sqrt((prior * _assumed_spread(lead, settings) ** 2 + square) / (prior + count))
    return np.asarray(seen + prior * _tailed(np.maximum(spread, ERROR_STEP / 2), settings), dtype=np.float64)


def _view(held: LoadMemory, number: I8) -> _Past:
    """The rings by age in slots; a slot without a sample takes the one before, for a few slots."""
    ages = np.arange(LOAD_SLOTS)
    wanted = number[:, None] - ages
    place = wanted % LOAD_SLOTS
    row = np.arange(len(number))[:, None]
    filled = held.slot[row, place] == wanted
    source = np.minimum.accumulate(np.where(filled, ages, 2 * LOAD_SLOTS)[:, ::-1], axis=1)[:, ::-1]
    usable = source - ages <= CARRIED_SLOTS
    place = place[row, np.minimum(source, LOAD_SLOTS - 1)]
    return _Past(*(np.where(usable, ring[row, place], np.nan) for ring in (held.rate, held.plain, held.trend)))


def _at(view: F8, age: I8) -> F8:
    return np.asarray(view[np.arange(len(age)), age])


def _log(rate: F8) -> F8:
    return np.log(np.maximum(rate, _LEAST))


def _warm(rate: F8, ahead: I8) -> B1:
    """bool[W]: some slots were known before the forecast that is judged now was made."""
    return np.isfinite(_at(rate, np.minimum(ahead + 6, LOAD_SLOTS - 1)))


def _features(rate: F8, age: I8) -> F8:
    """Log of the rate `age`[W] slots ago over its means until then, and the constant, float64[W, features]."""
    known = np.isfinite(rate)
    total = np.cumsum(np.where(known, rate, 0.0), axis=1)
    count = np.cumsum(known, axis=1)
    before = np.maximum(age - 1, 0)
    start_total = np.where(age > 0, _at(total, before), 0.0)
    start_count = np.where(age > 0, _at(count, before), 0)
    current = _log(_at(rate, age))
    columns = []
    for slots in MEANS:
        end = np.minimum(age + slots - 1, LOAD_SLOTS - 1)
        mean = (_at(total, end) - start_total) / np.maximum(_at(count, end) - start_count, 1)
        columns.append(np.clip(current - _log(mean), -1.0, 1.0))
    columns.append(np.full(len(rate), _BIAS))
    return np.stack(columns, axis=1)


def _fit(held: LoadMemory, features: F8, change: F8, rows: B1, width: F8, settings: Settings) -> None:
    """Ridge regression of the change on the features, older slots counting less, in place."""
    index = np.flatnonzero(rows & np.isfinite(change) & np.isfinite(features).all(axis=1))
    if not len(index):
        return
    x, y = features[index], np.clip(change[index], -0.5, 0.5)
    keep = np.exp2(-width[index] / settings.load_half_life)
    size = x.shape[1]
    moments = held.moments[index] * keep[:, None] + (x[:, :, None] * x[:, None, :]).reshape(len(index), size * size)
    cross = held.cross[index] * keep[:, None] + x * y[:, None]
    held.moments[index], held.cross[index] = moments, cross
    left = moments.reshape(len(index), size, size) + settings.load_ridge * np.eye(size)
    held.weights[index] = np.linalg.solve(left, cross[:, :, None])[:, :, 0]


def _trend(rate: F8, ahead: I8, settings: Settings) -> F8:
    """The line through the last slots at `ahead`, where it rises significantly; 0 elsewhere, float64[W]."""
    y, x = rate[:, :TREND_SLOTS], -np.arange(TREND_SLOTS, dtype=np.float64)
    weight = np.isfinite(y)
    y = np.where(weight, y, 0.0)
    count = weight.sum(axis=1)
    enough = np.maximum(count, 1)
    x_mean, y_mean = (weight * x).sum(axis=1) / enough, y.sum(axis=1) / enough
    dx = weight * (x - x_mean[:, None])
    square = np.maximum((dx**2).sum(axis=1), 1e-9)
    slope = (dx * y).sum(axis=1) / square
    rest = weight * (y - y_mean[:, None]) - slope[:, None] * dx
    error = np.sqrt(_OVERLAP * (rest**2).sum(axis=1) / np.maximum(count - 2, 1) / square)
    rising = (count >= TREND_SLOTS // 2) & (slope > settings.trend_sigmas * error) & (slope > 0)
    return np.where(rising, y_mean + slope * (ahead - x_mean), 0.0)


def _largest(past: _Past, age: I8, hold: I8, gain: F8) -> F8:
    """What was expected `age`[W] slots ago: the largest answer of the `hold`[W] slots until then."""
    each = np.where((past.trend > past.plain) & (gain > 0)[:, None], past.trend, past.plain)
    result = np.full(len(age), np.nan)
    for more in range(int(hold.max(initial=0)) + 1):
        there = _at(each, np.minimum(age + more, LOAD_SLOTS - 1))
        result = np.fmax(result, np.where(more <= hold, there, np.nan))
    return result


def _judge_trend(held: LoadMemory, load: F8, plain: F8, trend: F8, rows: B1, width: F8, settings: Settings) -> None:
    """Whether the trend would have been the better guess where it rose above the plain one, in place.

    Too little counts more than too much, as pods that are missing do.
    """
    acted = rows & np.isfinite(load) & (trend > plain)
    held.trend_gain[rows] *= np.exp2(-width[rows] / settings.error_half_life)
    without, with_it = _log(load) - _log(plain), _log(load) - _log(trend)
    too_little = settings.trend_asymmetry
    losses = [np.where(e > 0, too_little * e, (too_little - 1) * e) for e in (without, with_it)]
    held.trend_gain[acted] += (losses[0] - losses[1])[acted]


def _learn_error(held: LoadMemory, error: F8, rows: B1, width: F8, settings: Settings) -> None:
    """Put the error of the forecast into its histogram, between the two bins beside it, in place."""
    index = np.flatnonzero(rows & np.isfinite(error))
    if not len(index):
        return
    keep = np.exp2(-width[index] / settings.error_half_life)[:, None]
    place = np.clip((error[index] - FIRST_ERROR) / ERROR_STEP, 0.0, ERROR_BINS - 1 - 1e-6)
    low = place.astype(np.int64)
    part = place - low
    row = np.arange(len(index))
    errors = held.errors[index] * keep
    errors[row, low] += 1 - part
    errors[row, low + 1] += part
    held.errors[index] = errors


def _margins(errors: F8, shares: tuple[float, ...]) -> list[F8]:
    """For each share the margin z ≥ 0 at which E[(e^(error − z) − 1)⁺] is it, float64[W]: an expected shortage."""
    weight = errors / np.maximum(errors.sum(axis=1, keepdims=True), 1e-12)
    growth = np.exp(ERRORS)
    load, part = (np.cumsum(x[:, ::-1], axis=1)[:, ::-1] for x in (weight * growth, weight))
    above = load / growth - part
    row = np.arange(len(errors))
    result: list[F8] = []
    for share in shares:
        low = np.clip((above > share).sum(axis=1) - 1, 0, ERROR_BINS - 2)
        first, second = np.maximum(above[row, low], 1e-12), np.maximum(above[row, low + 1], 1e-12)
        within = np.clip(np.log(first / share) / np.maximum(np.log(first / second), 1e-9), 0.0, 1.0)
        result.append(np.maximum(ERRORS[low] + within * ERROR_STEP, 0.0))
    return result
