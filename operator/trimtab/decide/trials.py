"""Knobs on trial: one pod with another value beside the others, judged over the same minutes, kept or removed."""

import math
from dataclasses import replace

from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide import text
from trimtab.decide.moves import rest_knob, supersede
from trimtab.decide.observation import NAN, Lever
from trimtab.decide.plan import Decision
from trimtab.decide.rings import count_move
from trimtab.decide.settings import DAY
from trimtab.decide.state import Trial
from trimtab.decide.tally import Tally
from trimtab.decide.tick import Tick, in_force_since


def advance(t: Tick) -> None:
    """Take every running trial one tick further. The plan's default removes a trial pod that no trial knows of."""
    for key in list(t.trials):
        w, trial = t.row[key], t.trials.pop(key)
        kept = _advance(t, w, trial)
        if kept is not None:
            t.trials[key] = kept


def _advance(t: Tick, w: int, trial: Trial) -> Trial | None:
    made, now, settings = trial.decision, t.seen.now, t.settings
    length = float(t.seen.workloads.trial_seconds[w])
    k = t.knob_row.get(trial.knob, -1)
    obstacle = _obstacle(t, w, k, trial)
    if obstacle:
        t.record(made.ended(OutcomeState.CONFOUNDED, obstacle))
        return None
    t.knobs.trial[k] = int(made.after)
    patience = settings.verify_patience * length
    if not (int(t.seen.knobs.trial[k]) == int(made.after) and t.seen.knobs.trial_ready[k]):
        started = not math.isnan(trial.ready_at)
        waited = now - (trial.ready_at if started else made.time)
        if waited > (patience if started else settings.trial_start_seconds):
            return _fail(t, k, trial, OutcomeState.FAILED, f"The trial pod was not ready after {text.seconds(waited)}.")
        return trial
    since = float(t.seen.knobs.trial_since[k])
    if math.isnan(trial.ready_at):
        ready_at = min(since, now) if math.isfinite(since) and since > 0 else now
        trial = replace(trial, ready_at=ready_at, decision=t.record(in_force_since(made, now)))
    elif trial.ready_at < since <= now:
        # Its pod was lost and made anew: what was seen of the first one and of the second's start is no comparison.
        if now - made.time > settings.trial_start_seconds + patience:
            return _fail(t, k, trial, OutcomeState.FAILED, "The trial pod was lost again and again.")
        trial = Trial(made, trial.knob, ready_at=since)
    trial = _sample(t, w, k, trial)
    if _hurts(t, w, k, trial):
        latency, base = float(t.seen.knobs.trial_latency[k]), float(t.seen.knobs.base_latency[k])
        on_trial, on_others = (t.seen.targets.told(int(t.signals.judge[w]), value) for value in (latency, base))
        message = f"{on_trial} on the trial pod, {on_others} on the others; stopped at once."
        return _fail(t, k, trial, OutcomeState.ROLLED_BACK, message)
    elapsed = now - trial.ready_at
    by_cost = made.inputs.get("byCost", 0.0) == 1.0
    enough = (trial.cost if by_cost else trial.latency).count >= settings.trial_samples
    over = elapsed >= length * (1 + trial.looks)
    # Nothing else is saved while a trial runs: one whose load will hardly be back must not hold the peak's pods.
    if not enough and _load_below(t, w, made, settings.trial_load if over else settings.trial_load_gone):
        _abandon(t, w, k, made, length)
        return None
    if not over:
        return trial
    if not enough and elapsed < patience:
        return trial
    return _verdict(t, w, k, trial, by_cost, last=length * (2 + trial.looks) > patience)


def _obstacle(t: Tick, w: int, k: int, trial: Trial) -> str:
    """Why this trial can't go on; empty: it can."""
    if k < 0 or not t.may(Lever.KNOB)[w] or not t.seen.knobs.allowed[k]:
        return "The knob was taken out of Trimtab's hands."
    if t.restarted[w] or t.seen.workloads.rollout[w]:
        return "The workload is being rolled out."
    if t.seen.workloads.window_closed[w]:
        return "The window for moves closed."
    if int(t.seen.knobs.value[k]) != int(trial.decision.before):
        return "The knob was changed from outside."
    started = trial.decision.time
    for verify in t.pending.get(trial.decision.workload, ()):
        inputs, lever = verify.decision.inputs, verify.decision.lever
        relimited = inputs.get("limitAfter") != inputs.get("limitBefore")
        if lever in (Lever.CPU, Lever.MEMORY) and relimited and verify.decision.time >= started:
            return "The other pods got other limits meanwhile."
    return ""


def _sample(t: Tick, w: int, k: int, trial: Trial) -> Trial:
    """Take this tick's pair of numbers in; the warm-up is left out, a block that is full counts as one sample."""
    seen, now, judge = t.seen.knobs, t.seen.now, int(t.signals.judge[w])
    warm = now - trial.ready_at >= t.settings.trial_skip * float(t.seen.workloads.trial_seconds[w])
    if not warm or not t.seen.workloads.due[w] or t.signals.no_traffic[w]:
        return trial
    if _load_below(t, w, trial.decision, t.settings.trial_load):  # what is best now may be worst under load
        return trial
    block = int((now - trial.ready_at) // _block(t, w))
    if block != trial.block:
        latency, cost, level = trial.filling
        trial = replace(
            trial,
            block=block,
            filling=(Tally(), Tally(), Tally()),
            latency=trial.latency.plus(latency.mean),
            cost=trial.cost.plus(cost.mean),
            level=trial.level.plus(level.mean),
        )
    latency, cost, level = trial.filling
    mine, base = float(seen.trial_latency[k]), float(seen.base_latency[k])
    target = float(t.seen.targets.limit[judge]) if judge >= 0 else NAN
    filling = (
        latency.plus(_log(mine, base)),
        cost.plus(_log(float(seen.trial_cost[k]), float(seen.base_cost[k]))),
        level.plus(_log(mine, target)),
    )
    return replace(trial, filling=filling)


def _load_below(t: Tick, w: int, made: Decision, share: float) -> bool:
    """Whether less than so much is left of the load at which the value is to help."""
    return float(t.seen.workloads.arrival_rate[w]) < share * made.inputs.get("arrivalRate", NAN)


def _abandon(t: Tick, w: int, k: int, made: Decision, length: float) -> None:
    rate, began = float(t.seen.workloads.arrival_rate[w]), made.inputs["arrivalRate"]
    message = f"The load fell from {text.number(began)} to {text.number(rate)} requests/s; values can't be compared."
    t.record(made.ended(OutcomeState.CONFOUNDED, message))
    t.knobs.trial[k] = -1
    t.state.knobs.rest_until[k] = t.seen.now + length


def _block(t: Tick, w: int) -> float:
    """Seconds averaged into one sample of a trial."""
    return float(t.seen.workloads.trial_seconds[w]) / t.settings.trial_blocks


def _log(top: float, bottom: float) -> float:
    """log(top/bottom); NaN unless both are positive numbers."""
    usable = math.isfinite(top) and math.isfinite(bottom) and top > 0 and bottom > 0
    return math.log(top) - math.log(bottom) if usable else NAN


def _hurts(t: Tick, w: int, k: int, trial: Trial) -> bool:
    """Whether the trial pod is far past the target while the others meet it."""
    judge, settings = int(t.signals.judge[w]), t.settings
    if judge < 0:
        return False
    target = float(t.seen.targets.limit[judge])
    cold = t.seen.now - trial.ready_at < settings.trial_skip * float(t.seen.workloads.trial_seconds[w])
    factor = settings.trial_abort_cold if cold else settings.trial_abort
    latency, base = float(t.seen.knobs.trial_latency[k]), float(t.seen.knobs.base_latency[k])
    return latency > factor * target and base <= target


def _verdict(t: Tick, w: int, k: int, trial: Trial, by_cost: bool, last: bool) -> Trial | None:
    """Better for sure: kept for all pods. Perhaps better: looked at again after another length. Else: removed.

    Looks are counted and the bound is wider after the first one: who looks until it fits finds gains in noise.
    """
    made, settings = trial.decision, t.settings
    if not trial.latency.count:
        t.state.knobs.comparable[k] = False
        _fail(t, k, trial, OutcomeState.CONFOUNDED, "No latency by pod was seen; the trial can't be judged.")
        t.state.knobs.rest_until[k] = t.seen.now + DAY
        return None
    t.state.knobs.comparable[k] = True
    sigmas = settings.trial_sigmas_again if trial.looks else settings.trial_sigmas
    least = math.log(1 - settings.trial_gain)
    near = trial.level.mean > math.log(1 - settings.near_target)
    tally = trial.cost if by_cost else trial.latency
    better = _bound(t, tally, sigmas, 1) < least
    if not better and not by_cost and not near and _cheaper(t, w, trial, least):
        by_cost = better = True
        tally, sigmas = trial.cost, settings.trial_sigmas_again
        made = replace(made, inputs={**made.inputs, "byCost": 1.0})
        trial = replace(trial, decision=made)
    said = "CPU a request" if by_cost else "latency"
    said = f"{said} {text.change(1.0, math.exp(tally.mean))}" if tally.count else f"{said} unknown"
    if tally.count >= 2:
        low, high = (text.change(1.0, math.exp(_bound(t, tally, sigmas, side))) for side in (-1, 1))
        said = f"{said} ({low} to {high}) in {tally.count} × {text.seconds(_block(t, w))} beside the other pods"
    if better and by_cost and near:
        return _fail(t, k, trial, OutcomeState.ROLLED_BACK, f"{said}, but its latency comes too near the target.")
    if not better and tally.mean < least and not last:
        return replace(trial, looks=trial.looks + 1)
    if not better:
        return _fail(t, k, trial, OutcomeState.ROLLED_BACK, f"{said}; not better for sure.")
    if t.moved[w] or (made.workload in t.pending and not t.signals.missed[w]):
        return trial
    _keep(t, w, k, trial, said)
    return None


def _cheaper(t: Tick, w: int, trial: Trial, least: float) -> bool:
    """Whether the miss that a trial was for is over, and its value costs less CPU a request for sure at no latency.

    The same pods say what a trial for less CPU would ask next. A second question to the same samples has the wider
    bound.
    """
    cost = _bound(t, trial.cost, t.settings.trial_sigmas_again, 1)
    return bool(t.signals.met[w]) and trial.latency.mean <= 0 and cost < least


def _bound(t: Tick, tally: Tally, sigmas: float, side: int) -> float:
    """Upper (1) or lower (-1) bound of a log ratio; infinite where the samples are too few for one."""
    half = sigmas * tally.error(t.settings.trial_inflation)
    enough = tally.count >= t.settings.trial_samples or side < 0
    return tally.mean + side * half if enough else math.inf


def eased(made: Decision) -> bool:
    """Whether this is a larger value that was tried for less latency."""
    return made.after > made.before and made.inputs.get("byCost", 0.0) != 1.0


def _keep(t: Tick, w: int, k: int, trial: Trial, said: str) -> None:
    """The value becomes the set point; the trial pod is the first pod of the roll."""
    made, held, settings = trial.decision, t.state.knobs, t.settings
    supersede(t, w, Lever.KNOB, frozenset({made.subject}), "A knob value was rolled out before it could be judged.")
    t.knobs.value[k] = int(made.after)
    t.knobs.trial[k] = int(made.after)
    t.knobs.keep_trial[k] = True
    held.failures[k] = 0
    held.direction[k] = 1 if made.after > made.before else -1
    held.eases[k] = eased(made)
    held.step[k] = min(float(held.step[k]) * settings.step_growth, settings.octave)
    held.tried_at[k] = t.seen.now
    count_move(t.state.workloads, w, t.seen.now)
    inputs = {**made.inputs, **{name: x for name, x in t.numbers(w).items() if math.isfinite(x)}}
    message = f"{made.message}. {said}"
    pending = OutcomeState.PENDING
    t.watch(w, replace(made, reason=Reason.KNOB_TRIAL_KEPT, message=message, inputs=inputs, outcome=pending))


def _fail(t: Tick, k: int, trial: Trial, outcome: OutcomeState, message: str) -> Trial | None:
    """End the trial without keeping its value; nothing is left to watch."""
    made = replace(trial.decision, reason=Reason.KNOB_TRIAL_ROLLED_BACK)
    rest_knob(t, k, made)
    t.state.knobs.tried_at[k] = t.seen.now
    t.knobs.trial[k] = -1
    t.record(made.ended(outcome, message))
    return None
