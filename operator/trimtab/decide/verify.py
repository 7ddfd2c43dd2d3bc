"""Watching moves: until they are in force, then for verifySeconds; one that hurt, or did not help, is taken back."""

import math
from dataclasses import replace

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide import text
from trimtab.decide.moves import CORE, MIB, learn_capacity, place, undo
from trimtab.decide.observation import NAN, Lever
from trimtab.decide.plan import Decision
from trimtab.decide.state import Verify
from trimtab.decide.tick import CUTS, SETTLED, Tick, in_force_since

KNOB_KEPT = Reason.KNOB_TRIAL_KEPT
KNOB_STEPS = frozenset({KNOB_KEPT, Reason.KNOB_STEPPED})
"""Knob values that all pods get: watched against before."""


def advance(t: Tick) -> None:
    """Take every pending move one tick further."""
    for key in list(t.pending):
        w, watched = t.row[key], t.pending.pop(key)
        for verify in watched:
            kept = _advance(t, w, verify)
            if kept is not None:
                t.pending.setdefault(key, []).append(kept)


def _advance(t: Tick, w: int, verify: Verify) -> Verify | None:
    made = verify.decision
    obstacle = _obstacle(t, w, made)
    if obstacle:
        return _end(t, verify, OutcomeState.CONFOUNDED, obstacle)
    verify = _sample(t, w, verify)
    if math.isnan(verify.since):
        if not _in_force(t, w, made, arrived=True):
            return _pursue(t, w, verify)
        made = t.record(in_force_since(made, t.seen.now))
        if made.reason in SETTLED:
            return _end(t, replace(verify, decision=made), OutcomeState.KEPT, "It is in force.")
        return Verify(made, since=t.seen.now, measured_at=t.seen.now, bad=verify.bad)
    if not _in_force(t, w, made, arrived=False):
        return _end(t, verify, OutcomeState.CONFOUNDED, "It was changed from outside while it was watched.")
    surge = _surge(t, w, made)
    if surge:
        return _end(t, verify, OutcomeState.CONFOUNDED, surge)
    harm = _harm(t, w, verify)
    if harm:
        undo(t, w, verify, harm)
        return None
    return _judge(t, w, verify)


def _obstacle(t: Tick, w: int, made: Decision) -> str:
    """Why this move can't be followed any further; empty: it can."""
    if t.restarted[w]:
        return "The pod template changed."
    if not t.seen.workloads.acting[w]:
        return "Trimtab stopped acting here."
    if not t.seen.workloads.allowed[w, made.lever]:
        return "The lever was taken out of Trimtab's hands."
    held = made.lever is Lever.REPLICAS and t.seen.workloads.human_hold_until[w] > t.seen.now
    if held and not made.emergency:
        return "A person set the replicas."
    key = f"{made.workload}/{made.subject}"
    if made.lever in (Lever.CPU, Lever.MEMORY) and key not in t.container_row:
        return "The container is no longer tuned."
    if made.lever is Lever.KNOB and key not in t.knob_row:
        return "The knob is no longer tuned."
    return ""


def _in_force(t: Tick, w: int, made: Decision, *, arrived: bool) -> bool:
    """Whether the workload has the move's value; with `arrived` also whether its pods have it."""
    seen = t.seen
    if made.lever is Lever.REPLICAS:
        same = int(seen.workloads.replicas[w]) == int(made.after)
        return same and not (arrived and seen.workloads.ready[w] < made.after)
    if made.lever is Lever.KNOB:
        k = t.knob_row[f"{made.workload}/{made.subject}"]
        same = int(seen.knobs.value[k]) == int(made.after)
        return same and not (arrived and (seen.knobs.off_value[k] > 0 or seen.knobs.trial[k] >= 0))
    c, cpu = t.container_row[f"{made.workload}/{made.subject}"], made.lever is Lever.CPU
    held = seen.containers
    if arrived and held.off[c] > 0:
        return False
    request, limit = (held.cpu[c], held.cpu_limit[c]) if cpu else (held.memory[c], held.memory_limit[c])
    slack = CORE if cpu else MIB
    wanted = (made.inputs.get("requestAfter", NAN), made.inputs.get("limitAfter", NAN))
    return all(
        (math.isnan(want) and math.isnan(have)) or abs(want - have) <= slack
        for want, have in zip(wanted, (request, limit), strict=True)
    )


def _pursue(t: Tick, w: int, verify: Verify) -> Verify | None:
    """Keep the set point of a move that is not in force yet; give up after a while."""
    made, now, settings = verify.decision, t.seen.now, t.settings
    started = made.time
    if made.lever is Lever.REPLICAS:
        started = max(started, float(t.state.workloads.scaled_at[w]))
    patience = settings.roll_seconds if made.lever is Lever.KNOB else settings.apply_seconds
    if now - started > patience:
        return _end(t, verify, OutcomeState.FAILED, f"It was not in force after {text.seconds(now - started)}.")
    harm = _harm(t, w, verify)
    if harm:
        undo(t, w, verify, harm)
        return None
    if made.lever is Lever.REPLICAS:
        return _walk(t, w, verify)
    if made.lever is Lever.KNOB:
        k = t.knob_row[f"{made.workload}/{made.subject}"]
        t.knobs.value[k] = int(made.after)
        adopt = made.reason is KNOB_KEPT and int(t.seen.knobs.trial[k]) == int(made.after)
        t.knobs.trial[k], t.knobs.keep_trial[k] = (int(made.after) if adopt else -1), adopt
    else:
        c = t.container_row[f"{made.workload}/{made.subject}"]
        place(t, c, made.lever, made.inputs.get("requestAfter", NAN), made.inputs.get("limitAfter", NAN))
    return verify


def _walk(t: Tick, w: int, verify: Verify) -> Verify:
    """The next step of a replica move; a scale-down stops where it stands as soon as it may not go on."""
    made, seen = verify.decision, t.seen.workloads
    replicas, goal = int(seen.replicas[w]), int(made.after)
    may_go_on = t.signals.met[w] and not t.frozen[w] and not t.rolling[w]
    if made.reason in CUTS and goal < replicas and not may_go_on:
        made = t.record(replace(made, after=replicas, message=f"{made.message}; stopped at {replicas}"))
        return replace(verify, decision=made)
    if made.reason is Reason.MOVE_ROLLED_BACK or goal != replicas:
        t.workloads.replicas[w] = int(np.clip(goal, t.down_limit[w], t.up_limit[w]))
    return verify


def _sample(t: Tick, w: int, verify: Verify) -> Verify:
    """Take the tick's sample in, where there is a new one."""
    signals, base = t.signals, verify.decision.inputs.get("latencyRatio", NAN)
    if not signals.fresh[w] or t.state.workloads.measured_at[w] <= verify.measured_at:
        return verify
    ratio = float(signals.ratio[w])
    worse = not (ratio <= base * (1 + t.settings.worse)) if math.isfinite(base) else True
    verify = replace(
        verify,
        measured_at=float(t.state.workloads.measured_at[w]),
        bad=verify.bad + 1 if signals.missed[w] and worse else 0,
    )
    skip = t.settings.verify_skip * float(t.seen.workloads.verify_seconds[w])
    if math.isnan(verify.since) or t.seen.now - verify.since < skip:
        return verify
    if math.isfinite(ratio):
        verify = replace(verify, samples=verify.samples + 1, log_ratio=verify.log_ratio + math.log(ratio))
    if math.isfinite(signals.cost[w]):
        verify = replace(verify, costs=verify.costs + 1, log_cost=verify.log_cost + math.log(float(signals.cost[w])))
    return verify


def _surge(t: Tick, w: int, made: Decision) -> str:
    """Whether a missed target is explained by more load, not by the saving; empty: it is not.

    Taking a smaller request back would not help and would take the step that the replicas need; taking a scale-down
    back is that step.
    """
    resized = made.reason in CUTS and made.lever is not Lever.REPLICAS
    return _load(t, w, made, falls=False) if resized and t.signals.missed[w] else ""


def _harm(t: Tick, w: int, verify: Verify) -> str:
    """What a saving or a knob step did wrong, as a sentence; empty: nothing."""
    made = verify.decision
    if made.reason not in CUTS and made.reason not in KNOB_STEPS:
        return ""
    if made.inputs.get("targetMet", 0.0) == 1.0 and verify.bad >= t.settings.missed_samples:
        now, before = float(t.signals.ratio[w]), made.inputs.get("latencyRatio", NAN)
        return (
            f"the target was met before and is missed now, at {text.percent(now)} of it against {text.percent(before)}"
        )
    if made.lever is Lever.CPU:
        c = t.container_row[f"{made.workload}/{made.subject}"]
        before = made.inputs.get("throttled", 0.0)
        streak = t.state.containers.throttled_samples[c] >= t.settings.throttle_samples
        if streak and before <= t.settings.throttled:
            return f"{made.subject} is throttled {text.percent(float(t.seen.containers.throttled[c]))} since the cut"
    return ""


def _judge(t: Tick, w: int, verify: Verify) -> Verify | None:
    """The verdict, once there is enough to say."""
    made, settings = verify.decision, t.settings
    window, elapsed = float(t.seen.workloads.verify_seconds[w]), t.seen.now - verify.since
    if made.reason is Reason.RAISED_FOR_TARGET:
        return _judge_trim(t, w, verify, elapsed, window)
    if elapsed < window:
        return verify
    if t.signals.targeted[w] and verify.samples < settings.missed_samples:
        if elapsed < settings.verify_patience * window:
            return verify
        return _end(t, verify, OutcomeState.CONFOUNDED, "No latency was known while it was watched.")
    if made.reason in KNOB_STEPS:
        changed = _load_changed(t, w, made)
        if changed:
            return _end(t, verify, OutcomeState.CONFOUNDED, changed)
        worse = _knob_worse(verify, t)
        if worse:
            undo(t, w, verify, worse)
            return None
    _forgive(t, w, made)
    return _end(t, verify, OutcomeState.KEPT, _seen(t, w, verify))


def _judge_trim(t: Tick, w: int, verify: Verify, elapsed: float, window: float) -> Verify | None:
    """A pod added for latency alone: kept when it helped; after three that did not, all of those are taken back."""
    made, settings, memory = verify.decision, t.settings, t.state.workloads
    enough = verify.samples >= settings.missed_samples
    helped = enough and _gain(verify) >= settings.trim_gain
    if (helped and elapsed >= settings.trim_period) or (elapsed >= window and t.signals.met[w] and enough):
        memory.futile[w] = 0
        if t.signals.met[w]:
            learn_capacity(t, w, int(t.seen.workloads.ready[w]))
        return _end(t, verify, OutcomeState.KEPT, _seen(t, w, verify))
    if elapsed < window or (not enough and elapsed < settings.verify_patience * window):
        return verify
    memory.futile[w] += 1
    futile = int(memory.futile[w])
    if futile < settings.futile_raises:
        return _end(
            t,
            verify,
            OutcomeState.KEPT,
            f"It did not help ({futile} of {settings.futile_raises}): {_seen(t, w, verify)}",
        )
    memory.futile[w] = 0
    hold = settings.unreachable_hold * 2.0 ** min(int(memory.unreachable[w]), 10)
    memory.unreachable_until[w] = t.seen.now + min(hold, settings.unreachable_hold_max)
    memory.unreachable[w] += 1
    base = min(int(memory.trim_base[w]), int(made.before))
    undo(t, w, verify, f"{futile} raises in a row did not help; {_seen(t, w, verify)}", replicas=base)
    return None


def _load_changed(t: Tick, w: int, made: Decision) -> str:
    """Whether latency and cost can't be compared with those before, since the load is another; empty: they can.

    The value stays: what was judged beside the other pods, at the same load, is the better evidence.
    """
    return _load(t, w, made, falls=True)


def _load(t: Tick, w: int, made: Decision, *, falls: bool) -> str:
    """How the load differs from when the move was made, by load_change or more; empty: it does not, or is not known."""
    before, now = made.inputs.get("arrivalRate", NAN), float(t.seen.workloads.arrival_rate[w])
    change = 1 + t.settings.load_change
    if not (now > before * change or (falls and now < before / change)):
        return ""
    way = "rose" if now > before else "fell"
    return f"The load {way} from {text.number(before)} to {text.number(now)} requests/s while it was watched."


def _knob_worse(verify: Verify, t: Tick) -> str:
    """Whether the whole workload does worse with the knob's value than before; empty: no.

    After a trial the latency before was that of one pod more. What was judged beside the other pods is the better
    evidence, so more latency counts only where it comes near the target.
    """
    inputs = verify.decision.inputs
    base, cost = inputs.get("latencyRatio", NAN), inputs.get("cpuPerRequest", NAN)
    after = math.exp(verify.log_ratio / verify.samples) if verify.samples else NAN
    if inputs.get("byCost", 0.0) == 1.0 and verify.costs and math.isfinite(cost):
        now = math.exp(verify.log_cost / verify.costs)
        if now > cost * (1 + t.settings.cost_worse):
            return f"CPU a request is {text.change(cost, now)} against before"
    elif after > max(base * (1 + t.settings.cost_worse), _harmless(t, verify.decision)):
        return f"latency is {text.change(base, after)} against before"
    return ""


def _harmless(t: Tick, made: Decision) -> float:
    """Latency up to this share of the target is no harm."""
    return 1 - t.settings.near_target if made.reason is KNOB_KEPT else 0.0


def _forgive(t: Tick, w: int, made: Decision) -> None:
    """A saving that holds ends the doubling of the waits."""
    if made.reason is Reason.SCALED_DOWN:
        t.state.workloads.down_failures[w] = 0
    elif made.reason is Reason.CUT_UNUSED:
        c = t.container_row[f"{made.workload}/{made.subject}"]
        held = t.state.containers
        (held.cpu_failures if made.lever is Lever.CPU else held.memory_failures)[c] = 0


def _gain(verify: Verify) -> float:
    """Relative fall of latency since before the move; NaN: not known."""
    base = verify.decision.inputs.get("latencyRatio", NAN)
    return 1 - math.exp(verify.log_ratio / verify.samples) / base if verify.samples else NAN


def _seen(t: Tick, w: int, verify: Verify) -> str:
    """What the target's metric did, in a sentence."""
    inputs, worst = verify.decision.inputs, int(t.signals.worst[w])
    base, target = inputs.get("latencyRatio", NAN), inputs.get("latencyTarget", NAN)
    if not verify.samples or not math.isfinite(base * target) or worst < 0:
        return "Nothing got worse."
    after, name = math.exp(verify.log_ratio / verify.samples), t.seen.targets.name[worst]
    if not t.seen.targets.latency[worst]:
        return f"{name} is {text.percent(after)} of what its target allows, {text.percent(base)} before."
    now, before = (t.seen.targets.told(worst, share * target) for share in (after, base))
    return f"{name} is {now}, {before} before."


def _end(t: Tick, verify: Verify, outcome: OutcomeState, message: str) -> Verify | None:
    """Record how the move ended; nothing is left to watch."""
    t.record(verify.decision.ended(outcome, message))
    return None
