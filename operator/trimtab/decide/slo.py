"""Service level objectives: attainment, error budget and burn rates, from rings of slots: no query for a window.

Burn rates and their windows are those of the Site Reliability Workbook, chapter 5: a page at 14.4 times the budget over
5 minutes and an hour and at 6 times over 30 minutes and 6 hours, a ticket at 3 times over 2 hours and a day and at once
over 6 hours and 3 days; the short window and the long one must both be past.
"""

from dataclasses import dataclass

import numpy as np

from trimtab.api.answers import AnswerKind
from trimtab.api.monitoring import Severity
from trimtab.decide.alerts import advance
from trimtab.decide.columns import B1, F8, I8, S
from trimtab.decide.histogram import F4
from trimtab.decide.observation import Objectives, Observation
from trimtab.decide.plan import DerivedAlerts, ObjectivePlan
from trimtab.decide.settings import DAY, HOUR
from trimtab.decide.standing import FINE_SLOTS, LONG_SLOTS, WEEKS, ObjectiveMemory

MINUTE = 60.0
WINDOWS = (300.0, 1800.0, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY)
"""Seconds of the windows that burn rates are known over."""
_LONG_SLOT_HOURS = (1, 2, 3, 4, 6)
_MONDAY = 4 * DAY
"""The first Monday of the epoch was the 5th of January 1970."""


@dataclass(frozen=True, slots=True)
class BurnRule:
    """An alert on two windows, by their places in WINDOWS."""

    name: str
    factor: float
    short: int
    long: int
    severity: Severity
    keep_seconds: float
    fast: bool
    cause: str
    """Of an objective over 30 days."""
    remedy: str


# A table, read by rows.
# fmt: off
BURN_RULES = (
    BurnRule("page-14.4x", 14.4, 0, 2, Severity.CRITICAL, 300.0, True,
        "Most requests or minutes are bad now: a fiftieth of a month's error budget went in the last hour.",
        "Undo the last release or configuration; look at what the service calls. No capacity is cut meanwhile: "
        "`trimtab explain` says what Trimtab raises, and Limited what holds it back."),
    BurnRule("page-6x", 6.0, 1, 4, Severity.CRITICAL, 300.0, True,
        "A steady share is bad: a twentieth of a month's error budget went in the last six hours.",
        "As for page-14.4x; when Limited names a bound (replicas.max, cpu.max), widen it."),
    BurnRule("ticket-3x", 3.0, 3, 5, Severity.WARNING, 3600.0, False,
        "A tenth of a month's error budget went within a day.",
        "Look at the hours of the day in which it burns, and at status.decisions of those hours; "
        "optimization.prefer: Latency keeps more in hand."),
    BurnRule("ticket-1x", 1.0, 4, 6, Severity.WARNING, 3600.0, False,
        "At the rate of the last three days the budget is spent just when its window ends.",
        "Mend the commonest cause of bad minutes, or promise less: objectives[].target and atMost are yours."),
)
# fmt: on
_FACTOR = np.array([rule.factor for rule in BURN_RULES])
_SHORT, _LONG = [rule.short for rule in BURN_RULES], [rule.long for rule in BURN_RULES]
_KEEP = np.array([rule.keep_seconds for rule in BURN_RULES])
_FAST = np.array([rule.fast for rule in BURN_RULES])


@dataclass(frozen=True, slots=True)
class PastObjectives:
    """What was measured before: a row a point, any order; `row` is a place in `keys`."""

    keys: tuple[str, ...]
    row: I8
    time: F8
    """Unix seconds of the end of the span."""
    good: F8
    total: F8
    """As in Objectives, a second."""
    span: float
    """Seconds that each point stands for."""


def slot_seconds(window_days: I8) -> F8:
    """Length of a long slot: the shortest of 1, 2, 3, 4 and 6 hours of which the ring holds the window."""
    hours = np.array(_LONG_SLOT_HOURS, dtype=np.float64)
    least = np.asarray(window_days, dtype=np.float64) * 24 / (LONG_SLOTS - 1)
    return np.asarray(hours[np.minimum(np.searchsorted(hours, least), len(hours) - 1)] * HOUR, dtype=np.float64)


def measure(seen: Observation, held: ObjectiveMemory) -> None:
    """Take in what was measured, and once a minute bring windows and burn rates up to date, in place."""
    rows = seen.objectives
    if not len(rows):
        return
    _fit(rows, held)
    held.begun[np.isnan(held.begun)] = seen.now
    rolled = _roll(held, seen.now)
    known = (rows.span > 0) & (rows.kind == int(AnswerKind.VALUE))
    known &= (rows.good >= 0) & (rows.total >= 0) & np.isfinite(rows.good) & np.isfinite(rows.total)
    idle = (rows.span > 0) & (rows.kind == int(AnswerKind.NO_TRAFFIC))
    good = np.where(known, np.minimum(rows.good, rows.total), 0.0) * rows.span
    total = np.where(known, rows.total, 0.0) * rows.span
    _add(held, np.arange(len(rows)), good, total, np.where(known | idle, rows.span, 0.0))
    if rolled.any():
        _sum(rows, held, seen.now, np.flatnonzero(rolled))


def burning(seen: Observation, held: ObjectiveMemory) -> B1:
    """bool[W]: a page of one of the workload's objectives fires: capacity is not cut."""
    result = np.zeros(len(seen.workloads), dtype=bool)
    result[seen.objectives.workload[(held.firing & _FAST).any(axis=1)]] = True
    return result


def judge(seen: Observation, held: ObjectiveMemory) -> DerivedAlerts:
    """Burn-rate alerts that are not quiet; brings the clocks of all of them up to date, in place."""
    value = np.minimum(held.burn[:, _SHORT], held.burn[:, _LONG])
    value = np.where(np.isfinite(held.burn[:, _SHORT]) & np.isfinite(held.burn[:, _LONG]), value, np.nan)
    known = np.isfinite(value)
    changed = advance(held, known, known & (value > _FACTOR), np.zeros(len(_FACTOR)), _KEEP, seen.now)
    loud = held.firing | changed
    rows, columns = np.nonzero(loud)
    rules = [BURN_RULES[column] for column in columns]
    names: S = seen.objectives.name[rows]
    return DerivedAlerts(
        workload=seen.objectives.workload[rows],
        name=_texts([f"{name}/{rule.name}" for name, rule in zip(names, rules, strict=True)]),
        metric=_texts([f"burn rate of the error budget of {name}" for name in names]),
        severity=_texts([rule.severity.value for rule in rules]),
        state=held.state[loud],
        firing=held.firing[loud],
        since=held.since[loud],
        cleared_since=held.cleared_since[loud],
        breach_since=held.breach_since[loud],
        changed=changed[loud],
        value=value[loud],
        threshold=_FACTOR[columns],
    )


def plan(held: ObjectiveMemory) -> ObjectivePlan:
    """What is told of the objectives."""
    return ObjectivePlan(
        attainment=held.attainment.copy(),
        known=held.known.copy(),
        burn=held.burn.copy(),
        week_attainment=held.week_attainment.copy(),
        week_known=held.week_known.copy(),
    )


def learn(seen: Observation, held: ObjectiveMemory, past: PastObjectives) -> None:
    """Put history into the rings, in place: only what lies before the objective was first measured."""
    places = {key: row for row, key in enumerate(seen.objectives.key)}
    owner = np.array([places.get(key, -1) for key in past.keys], dtype=np.int64)
    if not len(owner) or not len(past.row):
        return
    row = owner[past.row]
    _fit(seen.objectives, held)
    _roll(held, seen.now)
    begun = np.where(np.isfinite(held.begun), held.begun, seen.now)
    usable = (row >= 0) & (past.time <= begun[row]) & np.isfinite(past.total) & (past.total >= 0)
    usable &= np.isfinite(past.good) & (past.good >= 0)
    row, time = row[usable], past.time[usable]
    total, good = past.total[usable], np.minimum(past.good[usable], past.total[usable])
    place = (time - past.span / 2) // held.slot[row]
    recent = held.long_at[row] - place < LONG_SLOTS
    _put(held, "long", row[recent], place[recent].astype(np.int64), good[recent], total[recent], past.span)
    parts = max(1, round(past.span / MINUTE))
    for part in range(parts):
        minute = ((time - past.span + (part + 0.5) * past.span / parts) // MINUTE).astype(np.int64)
        recent = (held.fine_at[row] - minute < FINE_SLOTS) & (minute <= held.fine_at[row])
        _put(held, "fine", row[recent], minute[recent], good[recent], total[recent], past.span / parts)
    _sum(seen.objectives, held, seen.now, np.unique(row))


def _fit(rows: Objectives, held: ObjectiveMemory) -> None:
    """Set the length of the long slots, in place; slots of another length mean nothing any more."""
    slot = slot_seconds(rows.window_days)
    changed = (held.slot > 0) & (held.slot != slot)
    for name in ("long_good", "long_total", "long_known"):
        getattr(held, name)[changed] = 0
    held.slot[:] = slot


def _put(held: ObjectiveMemory, ring: str, row: I8, number: I8, good: F8, total: F8, span: float) -> None:
    place = number % (FINE_SLOTS if ring == "fine" else LONG_SLOTS)
    for name, values in (("good", good * span), ("total", total * span), ("known", np.full(len(row), span))):
        np.add.at(getattr(held, f"{ring}_{name}"), (row, place), values.astype(np.float32))


def _roll(held: ObjectiveMemory, now: float) -> B1:
    """Blank the slots that have begun since each row was last written to; where a minute began."""
    minute = int(now // MINUTE)
    rolled = held.fine_at != minute
    _turn(held, "fine", np.full(len(held), minute), FINE_SLOTS)
    _turn(held, "long", (now // held.slot).astype(np.int64), LONG_SLOTS)
    return np.asarray(rolled, dtype=bool)


def _turn(held: ObjectiveMemory, ring: str, number: I8, count: int) -> None:
    at: I8 = getattr(held, f"{ring}_at")
    parts: list[F4] = [getattr(held, f"{ring}_{name}") for name in ("good", "total", "known")]
    passed = number - at
    all_gone = np.flatnonzero(passed >= count)
    for part in parts if len(all_gone) else ():
        part[all_gone] = 0
    passed = np.where(passed < count, passed, 0)
    for step in range(int(passed.max(initial=0))):
        gone = np.flatnonzero(passed > step)
        place = (number[gone] - step) % count
        for part in parts:
            part[gone, place] = 0
    at[:] = number


def _add(held: ObjectiveMemory, rows: I8, good: F8, total: F8, known: F8) -> None:
    for ring, count in (("fine", FINE_SLOTS), ("long", LONG_SLOTS)):
        place = getattr(held, f"{ring}_at") % count
        for name, values in (("good", good), ("total", total), ("known", known)):
            getattr(held, f"{ring}_{name}")[rows, place] += values.astype(np.float32)


def _sum(rows: Objectives, held: ObjectiveMemory, now: float, which: I8) -> None:
    """Attainment, burn rates and weeks of these rows, in place.

    A window is a column of zeros and ones over the slots of a ring, so that all of them are one matrix product.
    """
    minute = int(now // MINUTE)
    age = (minute - 1 - np.arange(FINE_SLOTS)) % FINE_SLOTS
    short = [place for place, window in enumerate(WINDOWS) if window < FINE_SLOTS * MINUTE]
    columns = [age < WINDOWS[place] / MINUTE for place in short]
    good, total, known = _products(held, "fine", which, columns)
    for column, place in enumerate(short):
        sums = (good[:, column], total[:, column], known[:, column])
        held.burn[which, place] = _burn(sums, WINDOWS[place], 1 - rows.target[which])
    for days in np.unique(rows.window_days[which]):
        _sum_long(rows, held, now, which[rows.window_days[which] == days], float(days))


def _sum_long(rows: Objectives, held: ObjectiveMemory, now: float, some: I8, days: float) -> None:
    """What the long slots tell of rows with one length of window: long burn rates, attainment, weeks."""
    slot = float(held.slot[some[0]])
    number = int(now // slot)
    age = (number - np.arange(LONG_SLOTS)) % LONG_SLOTS
    ends = (number - age + 1) * slot
    inside = ends > now - days * DAY
    week = week_number(now) - np.array([week_number(float(end - slot / 2)) for end in ends])
    long = [place for place, window in enumerate(WINDOWS) if window >= FINE_SLOTS * MINUTE]
    columns = [inside, *(inside & (week == back) for back in range(WEEKS))]
    columns += [age < WINDOWS[place] // slot for place in long]
    good, total, known = _products(held, "long", some, columns)
    share = np.where(total > 0, good / np.where(total > 0, total, 1.0), np.nan)
    held.attainment[some] = share[:, 0]
    held.known[some] = np.minimum(known[:, 0] / (days * DAY), 1.0)
    held.week_attainment[some], held.week_known[some] = share[:, 1 : WEEKS + 1], known[:, 1 : WEEKS + 1]
    for column, place in enumerate(long, WEEKS + 1):
        sums = (good[:, column], total[:, column], known[:, column])
        held.burn[some, place] = _burn(sums, WINDOWS[place], 1 - rows.target[some])


def _products(held: ObjectiveMemory, ring: str, which: I8, columns: list[B1]) -> tuple[F8, F8, F8]:
    """Sums of good, total and known over the slots of each column, float64[rows, columns] each."""
    chosen = np.stack(columns, axis=1).astype(np.float32)
    parts: list[F4] = [getattr(held, f"{ring}_{name}") for name in ("good", "total", "known")]
    if len(which) < len(held):
        parts = [part[which] for part in parts]
    good, total, known = ((part @ chosen).astype(np.float64) for part in parts)
    return np.minimum(good, total), total, known


def week_number(time: float) -> int:
    """Number of the calendar week (from Monday, UTC) since the epoch's first Monday."""
    return int((time - _MONDAY) // (7 * DAY))


def week_start(number: int) -> float:
    """Unix time at which a calendar week begins."""
    return number * 7 * DAY + _MONDAY


def _burn(sums: tuple[F8, F8, F8], window: float, allowed: F8) -> F8:
    """How many times faster than allowed the budget is spent; NaN where nothing is known.

    Below half of the window known, what is not known counts as good up to that half: a minute of errors after a start
    is no hour of them.
    """
    good, total, known = sums
    weight = known / np.maximum(known, window / 2)
    bad = np.where(total > 0, 1 - good / np.maximum(total, 1e-300), 0.0)
    return np.where(known > 0, np.maximum(bad, 0.0) * weight / allowed, np.nan)


def _texts(values: list[str]) -> S:
    result = np.empty(len(values), dtype=object)
    result[:] = values
    return result
