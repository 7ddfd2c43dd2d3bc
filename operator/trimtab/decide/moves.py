"""Making moves: the set point goes into the plan, the decision into the journal, the verification onto the list."""

from dataclasses import replace

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide.observation import NAN, Lever
from trimtab.decide.plan import Decision
from trimtab.decide.rings import count_move
from trimtab.decide.state import Verify
from trimtab.decide.tick import CUTS, Tick

CORE, MIB = 1e-3, float(2**20)


def supersede(t: Tick, w: int, lever: Lever, subjects: frozenset[str], why: str) -> None:
    """A raise goes ahead of what is pending: those moves can't be judged any more (RULES 13).

    A rollback that is not carried out yet goes on, unless the raise moves the same thing.
    """
    for verify in t.pending.pop(str(t.seen.workloads.key[w]), []):
        made = verify.decision
        same = made.lever is lever and made.subject in subjects
        if made.reason is Reason.MOVE_ROLLED_BACK and not same:
            t.pending.setdefault(made.workload, []).append(verify)
        elif same and made.reason in CUTS and lever is not Lever.REPLICAS:
            _rest_container(t, t.container_row[f"{made.workload}/{made.subject}"], lever)
            t.record(made.ended(OutcomeState.ROLLED_BACK, why))
        else:
            t.record(made.ended(OutcomeState.CONFOUNDED, why))


def scale(
    t: Tick,
    w: int,
    goal: int,
    reason: Reason,
    message: str,
    *,
    predicted: str = "",
    emergency: bool = False,
) -> bool:
    """Change the replica count towards `goal`, as fast as the rate policies allow; False: not at all now.

    A raise is one step and one decision. A cut or a rollback is one decision for the whole way.
    """
    before = int(t.seen.workloads.replicas[w])
    step = int(np.clip(goal, t.down_limit[w], t.up_limit[w]))
    if step == before and reason is not Reason.MOVE_ROLLED_BACK:
        return False
    after = goal if reason in CUTS or reason in (Reason.MOVE_ROLLED_BACK, Reason.OBEYED_CONSTRAINT) else step
    t.workloads.replicas[w] = step
    made = t.decision(
        w,
        Lever.REPLICAS,
        "",
        before,
        after,
        reason,
        f"{message}; {before} → {after} replicas",
        predicted=predicted,
        emergency=emergency,
    )
    t.watch(w, made)
    return True


def resize(
    t: Tick,
    c: int,
    lever: Lever,
    request: float,
    limit: float,
    reason: Reason,
    message: str,
    *,
    predicted: str = "",
    inputs: dict[str, float] | None = None,
    emergency: bool = False,
) -> None:
    """Change request and limit of a container. `before` and `after` are the request, or the limit if it alone moves."""
    seen = t.seen.containers
    w, cpu = int(seen.workload[c]), lever is Lever.CPU
    old_request = float((seen.cpu if cpu else seen.memory)[c])
    old_limit = float((seen.cpu_limit if cpu else seen.memory_limit)[c])
    place(t, c, lever, request, limit)
    only_limit = request == old_request
    made = t.decision(
        w,
        lever,
        str(seen.name[c]),
        old_limit if only_limit else old_request,
        limit if only_limit else request,
        reason,
        message,
        predicted=predicted,
        inputs={
            "requestBefore": old_request,
            "requestAfter": request,
            "limitBefore": old_limit,
            "limitAfter": limit,
            "throttled": float(seen.throttled[c]),
            **(inputs or {}),
        },
        emergency=emergency,
    )
    count_move(t.state.containers, c, t.seen.now)
    t.watch(w, made)


def place(t: Tick, c: int, lever: Lever, request: float, limit: float) -> None:
    """Put a set point into the plan without a decision of its own."""
    if lever is Lever.CPU:
        t.containers.cpu[c], t.containers.cpu_limit[c] = request, limit
    else:
        t.containers.memory[c], t.containers.memory_limit[c] = request, limit


def undo(t: Tick, w: int, verify: Verify, why: str, *, replicas: int | None = None) -> None:
    """Take a move back: its decision ends as rolled back, and a new one restores what was before. Never blocked.

    `replicas` is what to go back to where that is further back than this one move.
    """
    made, now, settings = verify.decision, t.seen.now, t.settings
    t.record(made.ended(OutcomeState.ROLLED_BACK, why))
    message = f"Taken back: {why.rstrip('.')}"
    if made.lever is Lever.REPLICAS:
        if made.reason in CUTS:
            memory = t.state.workloads
            hold = min(settings.down_hold * 2.0 ** min(int(memory.down_failures[w]), 10), 24 * settings.down_hold)
            memory.down_hold_until[w] = now + hold
            memory.down_failures[w] += 1
            learn_capacity(t, w, int(made.before))
        goal = int(made.before) if replicas is None else replicas
        scale(t, w, goal, Reason.MOVE_ROLLED_BACK, message, emergency=True)
    elif made.lever is Lever.KNOB:
        k = t.knob_row[f"{made.workload}/{made.subject}"]
        t.knobs.value[k] = int(made.before)
        rest_knob(t, k, made)
        count_move(t.state.workloads, w, now)
        t.watch(w, _restored(t, w, made, message))
    else:
        c = t.container_row[f"{made.workload}/{made.subject}"]
        _rest_container(t, c, made.lever)
        inputs = made.inputs
        request, limit = inputs.get("requestBefore", NAN), inputs.get("limitBefore", NAN)
        resize(t, c, made.lever, request, limit, Reason.MOVE_ROLLED_BACK, message, emergency=True)


def _rest_container(t: Tick, c: int, lever: Lever) -> None:
    """No new cut of it for a while, twice as long every time."""
    held, settings = t.state.containers, t.settings
    failures = held.cpu_failures if lever is Lever.CPU else held.memory_failures
    until = held.cpu_hold_until if lever is Lever.CPU else held.memory_hold_until
    until[c] = t.seen.now + min(settings.cut_hold * 2.0 ** min(int(failures[c]), 10), settings.cut_hold_max)
    failures[c] += 1


def _restored(t: Tick, w: int, made: Decision, message: str) -> Decision:
    fresh = t.decision(
        w, made.lever, made.subject, made.after, made.before, Reason.MOVE_ROLLED_BACK, message, emergency=True
    )
    return replace(fresh, message=f"{message}; {made.subject} {made.after:.0f} → {made.before:.0f}")


def rest_knob(t: Tick, k: int, made: Decision) -> None:
    """After a step that failed: turn round, halve the step, rest longer with every failure."""
    held, settings = t.state.knobs, t.settings
    held.failures[k] += 1
    held.direction[k] = -1 if made.after > made.before else 1
    held.eases[k] &= made.after < made.before
    held.step[k] = max(float(held.step[k]) / 2, settings.step_floor)
    failures = int(held.failures[k])
    length = settings.knob_rest * float(t.seen.workloads.trial_seconds[t.seen.knobs.workload[k]])
    rest = length * min(4, failures) * 2.0 ** min(max(failures - 4, 0), 10)
    held.rest_until[k] = t.seen.now + min(rest, settings.knob_rest_max)


def learn_capacity(t: Tick, w: int, pods: int) -> None:
    """So many pods do the present rate within the target and fewer do not: a pod is counted on for less, for now.

    Where CPU explains it, the utilisation that is planned for falls a little; elsewhere the rate of a pod is kept.
    """
    seen, loads = t.seen.workloads, t.state.standing.loads
    rate, use = float(seen.arrival_rate[w]), float(seen.cpu_usage[w]) / max(pods * float(seen.cpu_per_pod[w]), 1e-9)
    if use >= t.settings.low_utilization * float(loads.carries[w]):
        loads.carries[w] -= t.settings.carry_fall
    elif np.isfinite(rate) and rate > 0 and pods > 0:
        t.state.workloads.capacity[w] = rate / pods
        t.state.workloads.capacity_at[w] = t.seen.now
