"""Alerts: pending, firing, kept firing, resolved; no data is Unknown and never resolves anything."""

import numpy as np

from trimtab.api.answers import AnswerKind
from trimtab.api.status import AlertState
from trimtab.decide.columns import B1
from trimtab.decide.observation import Observation
from trimtab.decide.plan import AlertPlan
from trimtab.decide.state import State


def judge(seen: Observation, state: State) -> AlertPlan:
    """The state of every alert; brings what `state` remembers of them up to date, in place.

    An alert fires after for_seconds past its threshold and resolves after keep_seconds back inside (`for` and
    `keep_firing_for` of Prometheus). Without data the clock of the breach goes on, the one of the end starts anew.
    """
    rules, held, now = seen.alerts, state.alerts, seen.now
    known = (rules.kind == int(AnswerKind.VALUE)) & np.isfinite(rules.value) & np.isfinite(rules.threshold)
    past = np.where(rules.below, rules.value < rules.threshold, rules.value > rules.threshold) & known
    inside = known & ~past
    held.breach_since[inside] = np.nan
    started = past & np.isnan(held.breach_since)
    held.breach_since[started] = now
    held.cleared_since[~inside] = np.nan
    ended = inside & held.firing & np.isnan(held.cleared_since)
    held.cleared_since[ended] = now
    lasting = past & (now - held.breach_since >= rules.for_seconds)
    resolved = inside & held.firing & (now - held.cleared_since >= rules.keep_seconds)
    was_firing = held.firing.copy()
    held.firing[lasting] = True
    held.firing[resolved] = False
    held.cleared_since[~held.firing] = np.nan

    changed = _put(state, AlertState.UNKNOWN, ~known, now)
    changed |= _put(state, AlertState.FIRING, known & held.firing, now)
    changed |= _put(state, AlertState.PENDING, past & ~held.firing, now)
    changed |= _put(state, AlertState.INACTIVE, inside & ~held.firing, now)
    return AlertPlan(
        state=held.state.copy(),
        firing=held.firing.copy(),
        since=held.since.copy(),
        cleared_since=held.cleared_since.copy(),
        # Becoming pending, or quiet for the first time, is no news.
        changed=changed & (was_firing | held.firing),
    )


def _put(state: State, new: AlertState, rows: B1, now: float) -> B1:
    """Set the state of these rows; bool[rows], where it is another one than before."""
    held = state.alerts
    changed = np.asarray(rows & (held.state != new), dtype=bool)
    held.state[changed] = new
    held.since[rows & (changed | np.isnan(held.since))] = now
    return changed
