"""After a restart: what the status says is taken up again, so that clocks, budgets and watched moves go on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from trimtab.api.builtin_alerts import BUILTIN_ALERTS
from trimtab.api.reasons import Reason
from trimtab.api.status import AlertState, OutcomeState
from trimtab.decide import cost, trials
from trimtab.decide.alerts import Clocks
from trimtab.decide.observation import NAN, Lever, Observation
from trimtab.decide.plan import Decision
from trimtab.decide.rings import count_move, moves_of_day, push
from trimtab.decide.settings import Settings
from trimtab.decide.slo import BURN_RULES
from trimtab.decide.state import State, Trial, Verify, align
from trimtab.decide.tick import CUTS, OPEN


@dataclass(frozen=True, slots=True)
class PriorAlert:
    """What the status says of an alert; times in Unix seconds, NaN: none."""

    state: AlertState
    firing: bool = False
    since: float = NAN
    cleared_since: float = NAN
    breach_since: float = NAN


@dataclass(frozen=True, slots=True)
class Prior:
    """What a restart knows of one workload from its status."""

    template: str = ""
    """Template hash that learning belonged to."""
    decisions: tuple[Decision, ...] = ()
    """Any order. Open ones are watched on, with their own clocks."""
    alerts: Mapping[str, PriorAlert] = field(default_factory=dict)
    """By name of the alert."""
    costs: tuple[tuple[float, ...], tuple[float, ...], bool] | None = None
    """Baseline and actual as in CostPlan, and whether requests are the unit."""
    moves_today: int = 0
    resizes_today: int = 0
    learned_at: float = 0.0
    """Unix time, whole seconds, of the checkpoint taken up before, 0 for none. What it holds is not taken twice."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Row by key."""

    containers: Mapping[str, int]
    knobs: Mapping[str, int]


def restore(
    state: State, seen: Observation, prior: Mapping[str, Prior], settings: Settings, *, reuse: bool = False
) -> State:
    """The state with what `prior` (by workload key) says put in; keys that are not in `seen` are left out.

    `reuse` is as in `decide`.
    """
    fresh = align(state, seen, settings, reuse=reuse)
    rows = _Rows(*({key: row for row, key in enumerate(table.key)} for table in (seen.containers, seen.knobs)))
    pending, trials = dict(fresh.pending), dict(fresh.trials)
    for w, key in enumerate(seen.workloads.key):
        known = prior.get(key)
        if known is None:
            continue
        if not known.learned_at:
            fresh.workloads.template[w] = known.template
        _count(fresh, seen, w, known)
        for decision in sorted(known.decisions, key=lambda made: made.time):
            counted = np.floor(decision.time) <= known.learned_at
            _recall(fresh, seen, rows, w, decision, settings, counted)
            if decision.outcome not in OPEN:
                continue
            if decision.reason is Reason.KNOB_TRIAL_STARTED and _kept(seen, rows, decision):
                kept = replace(decision, reason=Reason.KNOB_TRIAL_KEPT, outcome=OutcomeState.PENDING)
                pending[key] = (*pending.get(key, ()), _watched(kept))
            elif decision.reason is Reason.KNOB_TRIAL_STARTED:
                trials[key] = Trial(decision, f"{key}/{decision.subject}")
            else:
                pending[key] = (*pending.get(key, ()), _watched(decision))
        if known.costs is not None:
            baseline, actual = (np.array(part) for part in known.costs[:2])
            cost.restore(fresh.standing.costs, w, baseline, actual, known.costs[2], settings)
        fresh.standing.costs.moved[w] |= any(made.outcome is not OutcomeState.RECOMMENDED for made in known.decisions)
        for a in np.flatnonzero(seen.alerts.workload == w) if known.alerts else ():
            _alert(fresh.alerts, int(a), known.alerts.get(str(seen.alerts.name[a])))
        for place, alert in enumerate(BUILTIN_ALERTS if known.alerts else ()):
            _alert(fresh.standing.builtin, (w, place), known.alerts.get(alert.name))
        for o in np.flatnonzero(seen.objectives.workload == w) if known.alerts else ():
            for place, rule in enumerate(BURN_RULES):
                name = f"{seen.objectives.name[o]}/{rule.name}"
                _alert(fresh.standing.objectives, (int(o), place), known.alerts.get(name))
    return replace(fresh, pending=pending, trials=trials)


def _count(state: State, seen: Observation, w: int, known: Prior) -> None:
    """The moves of today that the state does not have from a checkpoint."""
    moves = (
        known.moves_today - int(moves_of_day(state.workloads.take(np.array([w])), seen.now)[0])
        if known.moves_today
        else 0
    )
    if moves > 0:
        count_move(state.workloads, w, seen.now, moves)
    containers = np.flatnonzero(seen.containers.workload == w) if known.resizes_today else np.empty(0, dtype=np.int64)
    if len(containers):
        counted = moves_of_day(state.containers.take(containers), seen.now)
        for c in containers.tolist() if known.resizes_today > counted.max() else ():
            count_move(state.containers, c, seen.now, known.resizes_today - int(counted.max()))


def _kept(seen: Observation, rows: _Rows, trial: Decision) -> bool:
    """Whether the value on trial was made the set point just before the restart, before the status could say so."""
    k = rows.knobs.get(f"{trial.workload}/{trial.subject}")
    return k is not None and int(seen.knobs.value[k]) == int(trial.after)


def _watched(decision: Decision) -> Verify:
    verifying = decision.outcome is OutcomeState.VERIFYING
    since = decision.time + decision.inputs.get("verifyAfter", 0.0) if verifying else NAN
    return Verify(decision, since=since, measured_at=decision.time)


def _alert(held: Clocks, row: int | tuple[int, int], known: PriorAlert | None) -> None:
    if known is None:
        return
    held.state[row], held.firing[row] = known.state, known.firing
    held.since[row], held.cleared_since[row] = known.since, known.cleared_since
    breached = known.state is AlertState.PENDING or (known.firing and np.isnan(known.cleared_since))
    # Pending when its data went missing: the clock of the breach goes on all the same.
    past_since = known.since if breached else NAN
    held.breach_since[row] = past_since if np.isnan(known.breach_since) else known.breach_since


def _recall(
    state: State, seen: Observation, rows: "_Rows", w: int, made: Decision, settings: Settings, counted: bool
) -> None:
    """What a past decision means for the next ones: scale events, throttling floors, waits after a rollback.

    `counted`: a checkpoint of later has its scale event, and may know of longer waits.
    """
    if made.outcome is OutcomeState.RECOMMENDED:
        _told(state, rows, w, made)
        return
    now, undone = seen.now, made.outcome is OutcomeState.ROLLED_BACK
    subject = f"{made.workload}/{made.subject}"
    if made.lever is Lever.REPLICAS:
        held, row = state.workloads, slice(w, w + 1)
        periods = np.concatenate((seen.workloads.up_period[row], seen.workloads.down_period[row]), axis=1)
        up = made.after > made.before
        times, values = (held.added_time, held.added) if up else (held.removed_time, held.removed)
        change = np.array([abs(made.after - made.before)])
        if not counted:
            window = np.nan_to_num(periods).max(axis=1)
            push(times[row], values[row], min(made.time, now), window, change, np.add, np.ones(1, dtype=bool))
        held.down_moved[w] |= made.reason is Reason.SCALED_DOWN
        if undone and made.reason is Reason.SCALED_DOWN:
            held.down_hold_until[w] = max(float(held.down_hold_until[w]), made.time + settings.down_hold)
        if undone and made.reason is Reason.RAISED_FOR_TARGET:
            until = made.time + settings.verify_patience * settings.unreachable_hold
            held.unreachable_until[w] = max(float(held.unreachable_until[w]), until)
    elif made.lever is Lever.KNOB:
        k = rows.knobs.get(subject)
        if k is not None and made.reason is Reason.KNOB_TRIAL_KEPT and not undone:
            state.knobs.eases[k] = trials.eased(made)
        if k is not None and made.reason is Reason.KNOB_TRIAL_ROLLED_BACK:
            rest = made.time + settings.knob_rest * float(seen.workloads.trial_seconds[w])
            state.knobs.direction[k] = -1 if made.after > made.before else 1
            state.knobs.eases[k] &= made.after < made.before
            state.knobs.rest_until[k] = max(float(state.knobs.rest_until[k]), rest)
    else:
        cpu, c = made.lever is Lever.CPU, rows.containers.get(subject)
        if c is not None:
            held_until = state.containers.cpu_hold_until if cpu else state.containers.memory_hold_until
            if undone and made.reason in CUTS:
                held_until[c] = max(float(held_until[c]), made.time + settings.cut_hold)
            if undone and made.reason is Reason.RAISED_FOR_THROTTLING:
                state.containers.restart_until[c] = made.time + settings.restart_hold
                state.containers.throttle_floor[c] = state.containers.throttle_until[c] = 0.0
            elif made.reason is Reason.RAISED_FOR_THROTTLING:
                state.containers.throttle_at[c] = made.time
                state.containers.throttle_floor[c] = made.inputs.get("limitAfter", made.after)
                state.containers.throttle_until[c] = made.time + settings.throttle_floor
                if np.isnan(state.containers.burst_base[c]):
                    state.containers.burst_base[c] = made.inputs.get("limitBefore", NAN)


def _told(state: State, rows: _Rows, w: int, made: Decision) -> None:
    """A recommendation that was told is not told again."""
    if made.lever is Lever.REPLICAS:
        state.workloads.told[w] = made.after, made.time
    elif made.lever is not Lever.KNOB and (c := rows.containers.get(f"{made.workload}/{made.subject}")) is not None:
        place = 0 if made.lever is Lever.CPU else 1
        state.containers.told[c, place], state.containers.told[c, place + 2] = made.after, made.time
