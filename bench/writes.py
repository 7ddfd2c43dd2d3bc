"""How many writes a day of a fleet asks of the API server, by kind.

`decide` is driven over a day in which the fleet finds its sizes, and over the next one, which counts: its moves are
carried out, and each is counted as the operator writes it. A resize for every running pod, one TuningProfile a
namespace and tick, one scale a step, an event for every decision and verdict. The fleet's cap on changes a minute is
kept, emergencies apart. Statuses follow the rules of record/status.py: new moves and alerts at once, verdicts and
numbers that moved by 10% no more often than the fleet's size allows, everything every ten minutes. Checkpoints and
journals take turns. What the bucket of writes does not let through waits: moves go first, events that find no token
are left out, statuses are merged into a later one, and how late is told. The daily waves of the workloads begin at any
hour; every number is noisy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bench.fleet import DAY, Fleet
from trimtab.api.settings import OperatorSettings
from trimtab.api.status import OutcomeState
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.engine import decide
from trimtab.decide.observation import Observation
from trimtab.decide.plan import Plan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State
from trimtab.record.recorder import QUIET
from trimtab.record.status import MOVED, NUMBERS_EVERY, REFRESH_EVERY, numbers_every
from trimtab.record.turns import Turns

WORKLOADS_A_NAMESPACE = 20
KINDS = ("resize", "scale", "profile", "event", "status", "checkpoint", "journal")


class Statuses:
    """When the status of each workload is written; what there is no budget for waits, and is one write later."""

    def __init__(self, count: int, fleet: int) -> None:
        self._at = -np.random.default_rng(7).uniform(0, REFRESH_EVERY, count)
        self._numbers: F8 | None = None
        self._every = numbers_every(fleet)
        self._news = np.zeros(count, dtype=bool)
        self._waits = np.full(count, np.inf)
        """Since when a status has something to say that is not written yet, seconds of the day."""
        self.lags: list[float] = []

    def write(self, now: float, numbers: F8, alarmed: B1, changed: B1, room: float) -> tuple[int, int]:
        """Statuses that want to be written at `now` (seconds of the day), and those that are.

        `numbers`[W, n] are what they show, `alarmed` have a new move or an alert, `changed` other news; `room` is how
        many may be written.
        """
        if self._numbers is None:
            self._numbers = numbers.copy()
        old, age = self._numbers, now - self._at
        moved = (np.abs(numbers - old) >= MOVED * np.maximum(np.abs(numbers), np.abs(old))) & (numbers != old)
        self._news |= changed
        late = self._every > NUMBERS_EVERY
        wants = alarmed | (self._news & ((age >= self._every) | (not late)))
        wants |= (age >= self._every) & (moved.any(axis=1) | (age >= REFRESH_EVERY))
        fresh = wants & ~(self._waits <= now)
        self._waits[wants] = np.minimum(self._waits[wants], now)
        rows = np.flatnonzero(self._waits <= now)
        rows = rows[np.lexsort((self._waits[rows], ~alarmed[rows]))][: int(max(room, 0))]
        self.lags += (now - self._waits[rows]).tolist()
        self._at[rows], self._waits[rows], self._news[rows] = now, np.inf, False
        old[rows] = numbers[rows]
        return int(np.count_nonzero(fresh)), len(rows)


def carried(seen: Observation, plan: Plan, urgent: set[int], room: float) -> tuple[Plan, I8, I8, float]:
    """The part of a plan that the fleet's cap on changes lets through (emergencies always), and what is left of it.

    Also the rows of the workloads that are resized, and of those that are scaled.
    """
    owner, c, w = seen.containers.workload, plan.containers.copy(), plan.workloads.copy()
    sized = np.zeros(len(c), dtype=bool)
    for name in ("cpu", "memory", "cpu_limit", "memory_limit"):
        new = getattr(c, name)
        sized |= np.isfinite(new) & (new != getattr(seen.containers, name))
    resized = np.bincount(owner[sized], minlength=len(w)) > 0
    scaled = (w.replicas >= 0) & (w.replicas != seen.workloads.replicas)
    for row in np.flatnonzero(resized | scaled).tolist():
        changes = int(resized[row]) + int(scaled[row])
        if room >= changes or row in urgent:
            room -= changes
            continue
        resized[row] = scaled[row] = False
        w.replicas[row] = seen.workloads.replicas[row]
        for name in ("cpu", "memory", "cpu_limit", "memory_limit"):
            getattr(c, name)[owner == row] = np.nan
    return replace(plan, containers=c, workloads=w), np.flatnonzero(resized), np.flatnonzero(scaled), room


def day_of_writes(fleet: Fleet, configs: int, operator: OperatorSettings) -> dict[str, Any]:
    """Writes a second of a fleet of `configs` workloads, of which `fleet` is a part, over a day."""
    settings = Settings()
    state = fleet.history(State(), settings)
    ticks = int(DAY / fleet.step)
    for _ in range(ticks):
        plan, state = decide(fleet.observation(), state, settings, reuse=True)
        fleet.follow(plan)
    counts = {kind: np.zeros(ticks) for kind in KINDS}
    statuses = Statuses(fleet.configs, configs)
    part = fleet.configs / configs
    cap = operator.max_changes_per_minute / 60.0 * fleet.step * part
    decisions, room = 0, 0.0
    noted: set[str] = set()
    asked = {kind: np.zeros(ticks) for kind in ("event", "status")}
    round_seconds = Turns(operator.checkpoint_seconds).round_of(configs)
    silent = {OutcomeState.VERIFYING} | (QUIET if numbers_every(configs) > NUMBERS_EVERY else frozenset())
    turns = 2 * fleet.step * fleet.configs / round_seconds
    for tick in range(ticks):
        seen = fleet.observation()
        plan, state = decide(seen, state, settings, reuse=True)
        rows = {key: w for w, key in enumerate(seen.workloads.key)}
        new = [made for made in plan.decisions if made.time == seen.now]
        urgent = {rows[made.workload] for made in new if made.emergency}
        plan, resized, scaled, room = carried(seen, plan, urgent, min(room + cap, max(cap, 1.0)))
        fleet.follow(plan)
        decisions += len(new)
        noted.update(made.workload for made in plan.decisions)
        alarmed, changed = plan.alerts.changed.copy(), np.zeros(len(rows), dtype=bool)
        alarmed[[rows[made.workload] for made in new]] = True
        changed[[rows[made.workload] for made in plan.decisions]] = True
        changed[scaled] = True
        counts["resize"][tick] = seen.workloads.ready[resized].sum()
        counts["scale"][tick] = len(scaled)
        counts["profile"][tick] = len(set((resized // WORKLOADS_A_NAMESPACE).tolist()))
        told = sum(made.outcome not in silent for made in plan.decisions)
        told += int(np.count_nonzero(plan.alerts.changed))
        moves = sum(counts[kind][tick] for kind in ("resize", "scale", "profile"))
        left = operator.writes_per_second * fleet.step * part - moves - turns
        asked["event"][tick], counts["event"][tick] = told, min(told, left / 2)
        room_left = left - counts["event"][tick]
        wanted, sent = statuses.write(tick * fleet.step, _numbers(seen, plan), alarmed, changed, room_left)
        asked["status"][tick], counts["status"][tick] = wanted, sent
        if tick % round(round_seconds / fleet.step) == 0:
            counts["journal"][tick] = len(noted)  # with the checkpoints' turns; evened out over the round below
            noted.clear()
    counts["journal"][:] = counts["journal"].mean()
    counts["checkpoint"][:] = fleet.step * fleet.configs / round_seconds
    factor = 1.0 / part / fleet.step
    total = np.sum(list(counts.values()), axis=0)
    a_second = {
        kind: {"mean": float(series.mean() * factor), "busiest_hour": _busiest(series, fleet.step) * factor}
        for kind, series in (*counts.items(), ("all", total))
    }
    return {
        "configs": configs,
        "driven": {"configs": fleet.configs, "containers": fleet.containers, "pods": int(seen.workloads.ready.sum())},
        "decisions_a_day_and_config": decisions / fleet.configs,
        "a_second": a_second,
        "asked_a_second": {kind: float(series.mean() * factor) for kind, series in asked.items()},
        "status_lag_seconds_p95": float(np.quantile(statuses.lags, 0.95)),
        "budget": operator.writes_per_second,
        "changes_per_minute": operator.max_changes_per_minute,
    }


def _busiest(series: F8, step: float) -> float:
    """Largest mean of an hour."""
    width = round(3600.0 / step)
    return float(np.convolve(series, np.full(width, 1.0 / width), "valid").max())


def _numbers(seen: Observation, plan: Plan) -> F8:
    """What the status of each workload shows, with two significant digits: latency, usage, recommendations."""
    owner, count = seen.containers.workload, len(seen.workloads)
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    wide = np.zeros((count, 2 * (int(place.max()) + 1)))
    wide[owner, 2 * place] = np.nan_to_num(plan.containers.recommended_cpu)
    wide[owner, 2 * place + 1] = np.nan_to_num(plan.containers.recommended_memory)
    memory = np.bincount(owner, seen.containers.working_set, count)
    shown = np.column_stack(
        (seen.targets.value, seen.workloads.cpu_usage, memory, plan.workloads.recommended_replicas, wide)
    )
    with np.errstate(divide="ignore"):
        digits = np.where(shown != 0, 10.0 ** (1 - np.floor(np.log10(np.abs(shown)))), 1.0)
    return np.asarray(np.round(shown * digits) / digits, dtype=np.float64)
