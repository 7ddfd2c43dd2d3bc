"""Alerts: pending, firing, kept firing, resolved; no data is Unknown and never resolves anything."""

from typing import Protocol

import numpy as np

from trimtab.api.answers import AnswerKind
from trimtab.api.status import AlertState
from trimtab.decide.columns import B1, F8, S
from trimtab.decide.observation import Observation
from trimtab.decide.plan import AlertPlan
from trimtab.decide.state import State


class Clocks(Protocol):
    """What is remembered of alerts: arrays of one shape, whatever it is."""

    @property
    def state(self) -> S:
        """AlertState."""
        ...

    @property
    def firing(self) -> B1:
        """Firing, or firing when the data went missing."""
        ...

    @property
    def since(self) -> F8:
        """Unix time since when it is in its state."""
        ...

    @property
    def breach_since(self) -> F8:
        """Unix time since when it is past its threshold."""
        ...

    @property
    def cleared_since(self) -> F8:
        """Unix time since when a firing alert is back inside."""
        ...

    @property
    def judged_at(self) -> F8:
        """Unix time of the last look; NaN: none since the start."""
        ...

    @property
    def step(self) -> F8:
        """Seconds between the last two looks; NaN: not known."""
        ...


LONGEST_STEP = 120.0
"""Seconds that one look stands for at most, or twice the look before where looks are rarer: a clock that jumps, or a
process that slept, satisfies no `for` at once."""


def judge(seen: Observation, state: State) -> AlertPlan:
    """The state of every declared alert; brings what `state` remembers of them up to date, in place."""
    rules, held = seen.alerts, state.alerts
    known = (rules.kind == int(AnswerKind.VALUE)) & np.isfinite(rules.value) & np.isfinite(rules.threshold)
    past = np.where(rules.below, rules.value < rules.threshold, rules.value > rules.threshold) & known
    changed = advance(held, known, past, rules.for_seconds, rules.keep_seconds, seen.now)
    return AlertPlan(
        state=held.state.copy(),
        firing=held.firing.copy(),
        since=held.since.copy(),
        cleared_since=held.cleared_since.copy(),
        breach_since=held.breach_since.copy(),
        changed=changed,
    )


def advance(held: Clocks, known: B1, past: B1, for_seconds: F8, keep_seconds: F8, now: float) -> B1:
    """Bring the clocks to `now`, in place; where an alert began to fire, resolved, or lost its data while firing.

    An alert fires after for_seconds past its threshold and resolves after keep_seconds back inside (`for` and
    `keep_firing_for` of Prometheus). Without data the clock of the breach goes on, the one of the end starts anew.
    """
    _set_clocks(held, now)
    inside = known & ~past
    held.breach_since[inside] = np.nan
    started = past & np.isnan(held.breach_since)
    held.breach_since[started] = now
    held.cleared_since[~inside] = np.nan
    ended = inside & held.firing & np.isnan(held.cleared_since)
    held.cleared_since[ended] = now
    lasting = past & (now - held.breach_since >= for_seconds)
    resolved = inside & held.firing & (now - held.cleared_since >= keep_seconds)
    was_firing = held.firing.copy()
    held.firing[lasting] = True
    held.firing[resolved] = False
    held.cleared_since[~held.firing] = np.nan

    changed = _put(held, AlertState.UNKNOWN, ~known, now)
    changed |= _put(held, AlertState.FIRING, known & held.firing, now)
    changed |= _put(held, AlertState.PENDING, past & ~held.firing, now)
    changed |= _put(held, AlertState.INACTIVE, inside & ~held.firing, now)
    # Becoming pending, or quiet for the first time, is no news.
    return np.asarray(changed & (was_firing | held.firing), dtype=bool)


def _set_clocks(held: Clocks, now: float) -> None:
    """Take what a jump of the clock is too much, or went back, out of the clocks, in place.

    The first look after a start takes nothing out: the time that the operator was away counts.
    """
    step = now - held.judged_at
    longest = np.fmax(LONGEST_STEP, 2 * held.step)
    jumped = np.where(step > longest, step - longest, np.where(step < 0, step, 0.0))
    held.breach_since[:] += jumped
    held.cleared_since[:] += jumped
    held.since[held.since > now] = now
    held.step[:] = np.clip(step, 0.0, longest)
    held.judged_at[:] = now


def _put(held: Clocks, new: AlertState, rows: B1, now: float) -> B1:
    """Set the state of these rows; bool of their shape, where it is another one than before."""
    changed = np.asarray(rows & (held.state != new), dtype=bool)
    held.state[changed] = new
    held.since[rows & (changed | np.isnan(held.since))] = now
    return changed
