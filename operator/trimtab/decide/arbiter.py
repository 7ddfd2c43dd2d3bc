"""The order: emergency → restore the target → verify what is pending → save. One lever a workload and step."""

from dataclasses import replace

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.decide import bridge, emergencies, horizontal, knobs, trials, verify, vertical
from trimtab.decide.columns import F8, I8
from trimtab.decide.horizontal import Demand
from trimtab.decide.observation import NAN, Lever
from trimtab.decide.plan import Decision
from trimtab.decide.rings import moves_of_day
from trimtab.decide.tick import CUTS, SETTLED, Tick
from trimtab.decide.trace import Step
from trimtab.decide.vertical import Resource


def arbitrate(t: Tick, demand: Demand, both: tuple[Resource, Resource]) -> None:
    """Let every lever propose in order of urgency; who moved first keeps the step (RULES 11–13)."""
    cpu, memory = both
    emergencies.answer_oom(t, memory)
    t.passed(Step.OOM)
    emergencies.answer_throttling(t, cpu)
    t.passed(Step.THROTTLING)
    verify.advance(t)
    t.passed(Step.VERIFY)
    horizontal.raise_for_load(t, demand)
    t.passed(Step.LOAD)
    trials.advance(t)
    t.passed(Step.TRIAL)
    knobs.start(t, demand, t.waiting(), t.trying(), t.signals.missed)
    t.passed(Step.KNOB_TO_RESTORE)
    horizontal.trim(t, demand)
    t.passed(Step.TRIM)
    vertical.raise_for_usage(t, (bridge.settled(t, cpu), memory))
    t.passed(Step.USAGE)
    waiting, trying = t.waiting(), t.trying()
    horizontal.lower(t, demand, waiting, trying)
    t.passed(Step.LOWER)
    vertical.cut(t, both, waiting, trying)
    t.passed(Step.CUT)
    knobs.start(t, demand, waiting, trying, t.signals.met)
    t.passed(Step.KNOB_TO_SAVE)


def reconcile(t: Tick) -> None:
    """Make this tick's decisions say what the plan says after the constraints; those without effect are dropped."""
    for (key, identity), made in list(t.decisions.items()):
        if made.time != t.seen.now:
            continue
        true = _true(t, made)
        if true == made:
            continue
        watched = [v for v in t.pending.pop(key, []) if v.decision.id != identity]
        if true is None:
            del t.decisions[(key, identity)]
            if key in t.trials and t.trials[key].decision.id == identity:
                del t.trials[key]
        else:
            t.decisions[(key, identity)] = true
            w = t.row[key]
            t.watch(w, true)
            watched = [*watched, *t.pending.pop(key)]
        if watched:
            t.pending[key] = watched


def _true(t: Tick, made: Decision) -> Decision | None:
    """The decision as the clamped plan carries it out; None: it changes nothing."""
    w, key = t.row[made.workload], f"{made.workload}/{made.subject}"
    if made.lever is Lever.REPLICAS:
        step = int(t.workloads.replicas[w])
        if step == int(t.seen.workloads.replicas[w]):
            return made if made.reason is Reason.MOVE_ROLLED_BACK else None
        whole = made.reason in SETTLED or made.reason in CUTS
        return made if whole or step == made.after else _held(made, step)
    if made.lever is Lever.KNOB:
        k = t.knob_row[key]
        planned = t.knobs.trial[k] if key in {trial.knob for trial in t.trials.values()} else t.knobs.value[k]
        return made if int(planned) == int(made.after) else None
    c, cpu = t.container_row[key], made.lever is Lever.CPU
    plan, seen = t.containers, t.seen.containers
    request, limit = (plan.cpu, plan.cpu_limit) if cpu else (plan.memory, plan.memory_limit)
    old_request, old_limit = (seen.cpu, seen.cpu_limit) if cpu else (seen.memory, seen.memory_limit)
    new = (float(request[c]), float(limit[c]))
    if not np.isfinite(new[0]) or (new[0] == old_request[c] and (new[1] == old_limit[c] or np.isnan(new[1]))):
        request[c] = limit[c] = np.nan
        return None
    asked = (made.inputs.get("requestAfter", NAN), made.inputs.get("limitAfter", NAN))
    if np.array_equal(new, asked, equal_nan=True):
        return made
    inputs = {**made.inputs, "requestAfter": new[0], "limitAfter": new[1]}
    inputs = {name: value for name, value in inputs.items() if np.isfinite(value)}
    by_limit = made.before == old_limit[c] and made.before != old_request[c]
    return _held(replace(made, inputs=inputs), new[1] if by_limit else new[0])


def _held(made: Decision, after: float) -> Decision:
    return replace(made, after=after, message=f"{made.message} (held back by a constraint)")


def history(t: Tick) -> tuple[F8, I8]:
    """Seconds of usage known of the least known container, and the most resizes of one container today, [W] each."""
    count, owner = len(t.seen.workloads), t.seen.containers.workload
    known = np.full(count, np.inf)
    np.minimum.at(known, owner, t.state.containers.covered)
    resizes = np.zeros(count, dtype=np.int64)
    np.maximum.at(resizes, owner, moves_of_day(t.state.containers, t.seen.now))
    return np.where(np.isfinite(known), known, 0.0), resizes
