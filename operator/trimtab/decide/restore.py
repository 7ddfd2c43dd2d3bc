"""After a restart: what the status says is taken up again, so that clocks, budgets and watched moves go on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.api.status import AlertState, OutcomeState
from trimtab.decide.observation import NAN, Lever, Observation
from trimtab.decide.plan import Decision
from trimtab.decide.rings import count_move, push
from trimtab.decide.settings import Settings
from trimtab.decide.state import State, Trial, Verify, align
from trimtab.decide.tick import CUTS, OPEN


@dataclass(frozen=True, slots=True)
class PriorAlert:
    """What the status says of an alert; times in Unix seconds, NaN: none."""

    state: AlertState
    firing: bool = False
    since: float = NAN
    cleared_since: float = NAN


@dataclass(frozen=True, slots=True)
class Prior:
    """What a restart knows of one workload from its status."""

    template: str = ""
    """Template hash that learning belonged to."""
    decisions: tuple[Decision, ...] = ()
    """Any order. Open ones are watched on, with their own clocks."""
    alerts: Mapping[str, PriorAlert] = field(default_factory=dict)
    """By name of the alert."""
    moves_today: int = 0
    resizes_today: int = 0


def restore(state: State, seen: Observation, prior: Mapping[str, Prior], settings: Settings) -> State:
    """The state with what `prior` (by workload key) says put in; keys that are not in `seen` are left out."""
    fresh = align(state, seen, settings)
    pending, trials = dict(fresh.pending), dict(fresh.trials)
    for w, key in enumerate(seen.workloads.key):
        known = prior.get(key)
        if known is None:
            continue
        fresh.workloads.template[w] = known.template
        if known.moves_today:
            count_move(fresh.workloads, w, seen.now, known.moves_today)
        for c in np.flatnonzero(seen.containers.workload == w) if known.resizes_today else ():
            count_move(fresh.containers, int(c), seen.now, known.resizes_today)
        for decision in sorted(known.decisions, key=lambda made: made.time):
            _recall(fresh, seen, w, decision, settings)
            if decision.outcome not in OPEN:
                continue
            if decision.reason is Reason.KNOB_TRIAL_STARTED and _kept(seen, decision):
                kept = replace(decision, reason=Reason.KNOB_TRIAL_KEPT, outcome=OutcomeState.PENDING)
                pending[key] = (*pending.get(key, ()), _watched(kept))
            elif decision.reason is Reason.KNOB_TRIAL_STARTED:
                trials[key] = Trial(decision, f"{key}/{decision.subject}")
            else:
                pending[key] = (*pending.get(key, ()), _watched(decision))
        for a in np.flatnonzero(seen.alerts.workload == w) if known.alerts else ():
            _alert(fresh, int(a), known.alerts.get(str(seen.alerts.name[a])))
    return replace(fresh, pending=pending, trials=trials)


def _kept(seen: Observation, trial: Decision) -> bool:
    """Whether the value on trial was made the set point just before the restart, before the status could say so."""
    rows = np.flatnonzero(seen.knobs.key == f"{trial.workload}/{trial.subject}")
    return bool((seen.knobs.value[rows] == int(trial.after)).any())


def _watched(decision: Decision) -> Verify:
    verifying = decision.outcome is OutcomeState.VERIFYING
    since = decision.time + decision.inputs.get("verifyAfter", 0.0) if verifying else NAN
    return Verify(decision, since=since, measured_at=decision.time)


def _alert(state: State, row: int, known: PriorAlert | None) -> None:
    if known is None:
        return
    held = state.alerts
    held.state[row], held.firing[row] = known.state, known.firing
    held.since[row], held.cleared_since[row] = known.since, known.cleared_since
    breached = known.state is AlertState.PENDING or (known.firing and np.isnan(known.cleared_since))
    held.breach_since[row] = known.since if breached else NAN


def _recall(state: State, seen: Observation, w: int, made: Decision, settings: Settings) -> None:
    """What a past decision means for the next ones: scale events, throttling floors, waits after a rollback."""
    now, undone = seen.now, made.outcome is OutcomeState.ROLLED_BACK
    subject = f"{made.workload}/{made.subject}"
    if made.lever is Lever.REPLICAS:
        held, row = state.workloads, np.arange(len(seen.workloads)) == w
        change = np.full(len(row), made.after - made.before)
        window = np.maximum(
            np.nan_to_num(seen.workloads.up_period).max(axis=1), np.nan_to_num(seen.workloads.down_period).max(axis=1)
        )
        up = made.after > made.before
        times, values = (held.added_time, held.added) if up else (held.removed_time, held.removed)
        push(times, values, min(made.time, now), window, np.abs(change), np.add, row)
        held.down_moved[w] |= made.reason is Reason.SCALED_DOWN
        if undone and made.reason is Reason.SCALED_DOWN:
            held.down_hold_until[w] = made.time + settings.down_hold
        if undone and made.reason is Reason.RAISED_FOR_TARGET:
            held.unreachable_until[w] = made.time + settings.verify_patience * settings.unreachable_hold
    elif made.lever is Lever.KNOB:
        for k in np.flatnonzero(seen.knobs.key == subject) if made.reason is Reason.KNOB_TRIAL_ROLLED_BACK else ():
            state.knobs.direction[k] = -1 if made.after > made.before else 1
            state.knobs.rest_until[k] = made.time + settings.knob_rest * float(seen.workloads.trial_seconds[w])
    else:
        cpu = made.lever is Lever.CPU
        for c in np.flatnonzero(seen.containers.key == subject):
            held_until = state.containers.cpu_hold_until if cpu else state.containers.memory_hold_until
            if undone and made.reason in CUTS:
                held_until[c] = made.time + settings.cut_hold
            if made.reason is Reason.RAISED_FOR_THROTTLING:
                state.containers.throttle_at[c] = made.time
                state.containers.throttle_floor[c] = made.inputs.get("limitAfter", made.after)
                state.containers.throttle_until[c] = made.time + settings.throttle_floor
