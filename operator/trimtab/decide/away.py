"""Workloads that vanish from one Observation and come back: what was learned of them is kept for a while.

A target that is deleted and created again, or that one list left out, is no new workload. Kept are whole rows, for
`Settings.away_seconds`; a resource that was deleted is not kept (`State.deleted`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from trimtab.decide import state as states
from trimtab.decide.columns import S, Table
from trimtab.decide.settings import Settings

T = TypeVar("T", bound=Table)


@dataclass(frozen=True, slots=True)
class Away:
    """Workloads that left in one tick."""

    left_at: float
    """Unix time."""
    keys: frozenset[str]
    """Those of them that may still come back."""
    part: states.State
    """Their rows, with a reference time of its own."""


def settle(state: states.State, keys: S, now: float, settings: Settings) -> states.State:
    """The state with the rows of workloads that came back, and with those of workloads that left set aside.

    `keys` are the workloads that are there now. Rows are only added here; `align` drops and orders them.
    """
    old: S = state.workloads.key
    recent = [one for one in state.away if now - one.left_at <= settings.away_seconds]
    away = [replace(one, keys=one.keys - state.deleted) for one in recent] if state.deleted else recent
    if len(old) == len(keys) and bool((old == keys).all()):
        return replace(state, away=_waiting(away), deleted=frozenset()) if state.away or state.deleted else state
    known, present = set(old.tolist()), set(keys.tolist())
    left = known - present - state.deleted
    gone = [Away(now, frozenset(left), _part(state, left))] if left else []
    new = present - known
    for place, one in reversed(list(enumerate(away))):
        back = new & one.keys
        if back:
            new -= back
            state = _joined(state, _part(one.part, back))
        away[place] = replace(one, keys=one.keys - present - left)
    return replace(state, away=_waiting([*away, *gone]), deleted=frozenset())


def _waiting(away: list[Away]) -> tuple[Away, ...]:
    return tuple(one for one in away if one.keys)


def _part(state: states.State, keys: Collection[str]) -> states.State:
    """The rows and moves of these workloads alone, as copies."""
    standing: dict[str, Any] = {name: _rows(table, keys) for name, table in _tables(state.standing)}
    return replace(
        state,
        workloads=_rows(state.workloads, keys),
        containers=_rows(state.containers, keys),
        knobs=_rows(state.knobs, keys),
        alerts=_rows(state.alerts, keys),
        standing=replace(state.standing, **standing),
        pending={key: moves for key, moves in state.pending.items() if key in keys},
        trials={key: trial for key, trial in state.trials.items() if key in keys},
        away=(),
        deleted=frozenset(),
    )


def _joined(state: states.State, part: states.State) -> states.State:
    """Both in one."""
    others = dict(_tables(part.standing))
    standing: dict[str, Any] = {name: _both(table, others[name]) for name, table in _tables(state.standing)}
    return replace(
        state,
        workloads=_both(state.workloads, part.workloads),
        containers=_both(state.containers, part.containers),
        knobs=_both(state.knobs, part.knobs),
        alerts=_both(state.alerts, part.alerts),
        standing=replace(state.standing, **standing),
        pending={**state.pending, **part.pending},
        trials={**state.trials, **part.trials},
    )


def _tables(standing: object) -> Iterator[tuple[str, Table]]:
    for one in fields(standing):  # type: ignore[arg-type]
        yield one.name, getattr(standing, one.name)


def _rows(table: T, keys: Collection[str]) -> T:
    """The rows of these workloads: every key begins with that of its workload, `namespace/name`."""
    names: S = getattr(table, "key")  # noqa: B009 - every table of the state has it; Table does not say so
    mine = [row for row, name in enumerate(names) if "/".join(name.split("/", 2)[:2]) in keys]
    return table.take(np.array(mine, dtype=np.int64))


def _both(first: T, second: T) -> T:
    names = [one.name for one in fields(first)]
    return type(first)(**{name: np.concatenate((getattr(first, name), getattr(second, name))) for name in names})
