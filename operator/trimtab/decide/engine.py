"""`decide`: an Observation and the State in, the Plan and the next State out. Pure: no input is changed."""

from dataclasses import replace

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.decide import alerts, arbiter, constraints, emergencies, horizontal, rings, signals, text, usage, vertical
from trimtab.decide.columns import B1
from trimtab.decide.horizontal import Demand
from trimtab.decide.observation import Observation
from trimtab.decide.plan import ContainerPlan, KnobPlan, Plan, Remark, WorkloadPlan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State, align, restart
from trimtab.decide.tick import Tick
from trimtab.decide.vertical import Resource


def decide(observation: Observation, state: State, settings: Settings) -> tuple[Plan, State]:
    """What should be, from what is. The same inputs give the same outputs; neither input is changed."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return _decide(observation, state, settings)


def learn(state: State, observation: Observation, settings: Settings) -> State:
    """The state with the samples of `observation` merged into the usage histograms: history read back at start.

    Samples of one container may come in several calls, oldest first; a day should not be split between calls.
    """
    fresh = align(state, observation, settings)
    usage.merge(fresh, observation.samples, observation.now, settings)
    return fresh


def _decide(seen: Observation, state: State, settings: Settings) -> tuple[Plan, State]:
    fresh = align(state, seen, settings)
    restarted = restart(fresh, seen)
    usage.merge(fresh, seen.samples, seen.now, settings)
    sensed = signals.read(seen, fresh, settings)
    horizontal.learn(seen, fresh, sensed, settings)
    up_limit, down_limit = horizontal.rate_limits(seen, fresh)
    t = Tick(
        seen=seen,
        settings=settings,
        state=fresh,
        signals=sensed,
        restarted=restarted,
        workloads=WorkloadPlan.blank(len(seen.workloads)),
        containers=ContainerPlan.blank(len(seen.containers)),
        knobs=KnobPlan.blank(len(seen.knobs)),
        up_limit=up_limit,
        down_limit=down_limit,
        pending={key: list(moves) for key, moves in fresh.pending.items()},
        trials=dict(fresh.trials),
        moved=np.zeros(len(seen.workloads), dtype=bool),
    )
    t.workloads.replicas[:] = seen.workloads.replicas
    t.knobs.value[:] = seen.knobs.value
    emergencies.notice(t)
    demand = horizontal.demand(t)
    both = vertical.resources(t)
    arbiter.arbitrate(t, demand, both)
    constraints.enforce(t, both)
    arbiter.reconcile(t)
    judged = alerts.judge(seen, fresh)
    _publish(t, demand, both)
    plan = Plan(
        workloads=t.workloads,
        containers=t.containers,
        knobs=t.knobs,
        alerts=judged,
        decisions=tuple(t.decisions.values()),
        remarks={row: tuple(held) for row, held in sorted(t.remarks.items())},
    )
    pending = {key: tuple(moves) for key, moves in t.pending.items() if moves}
    return plan, replace(fresh, pending=pending, trials=t.trials)


def _publish(t: Tick, demand: Demand, both: tuple[Resource, Resource]) -> None:
    """Recommendations, verdicts and what tuning is doing."""
    plan, seen = t.workloads, t.seen.workloads
    tuned = seen.replicas_max > 0
    plan.recommended_replicas[:] = np.where(demand.tuned & demand.known, demand.desired, -1)
    plan.replicas[:] = np.where(tuned, plan.replicas, -1)
    plan.met[:], plan.missed[:] = t.signals.met, t.signals.missed
    plan.history_seconds[:], plan.resizes_today[:] = arbiter.history(t)
    plan.moves_today[:] = rings.moves_of_day(t.state.workloads, t.seen.now)
    t.containers.recommended_cpu[:] = both[0].desired
    t.containers.recommended_memory[:] = both[1].desired
    t.knobs.recommended[:] = t.knobs.value
    _say(t)


def _say(t: Tick) -> None:
    """The remark on Tuning of every workload that is acted on, the most telling one."""
    seen, memory = t.seen.workloads, t.state.workloads
    has_containers = np.bincount(t.seen.containers.workload, minlength=len(seen)) > 0
    learning = has_containers & (t.workloads.history_seconds < seen.min_history_seconds)
    changed = (memory.restarted_at > 0) & (t.seen.now - memory.restarted_at < seen.verify_seconds)
    waiting = t.waiting() | t.trying()
    states: tuple[tuple[B1, Reason, str], ...] = (
        (changed, Reason.TEMPLATE_CHANGED, "The pod template changed; learning starts from its values."),
        (seen.rollout, Reason.ROLLOUT_IN_PROGRESS, "The workload is rolling out; cuts, trials and knob steps wait."),
        (t.signals.unknown, Reason.LATENCY_UNKNOWN, "A target has no number; cuts, trials and knob steps wait."),
        (waiting, Reason.VERIFYING, "A move or a trial is being watched; savings and new trials wait."),
        (seen.window_closed, Reason.WINDOW_CLOSED, "Cuts, trials and knob steps are not allowed in this window."),
        (learning, Reason.LEARNING_HISTORY, ""),
        (np.ones(len(seen), dtype=bool), Reason.ACTIVE, "Watching usage, load and targets."),
    )
    which = np.argmax(np.stack([mask for mask, _, _ in states]), axis=0)
    shared = [Remark("Tuning", reason, message) for _, reason, message in states]
    for w in np.flatnonzero(seen.acting):
        remark = shared[which[w]]
        if remark.reason is Reason.LEARNING_HISTORY:
            share = np.floor(10 * t.workloads.history_seconds[w] / seen.min_history_seconds[w]) / 10
            needed = text.seconds(float(seen.min_history_seconds[w]))
            message = f"{text.percent(float(share))} of the {needed} of usage that a cut needs are known."
            remark = Remark("Tuning", Reason.LEARNING_HISTORY, message)
        t.remarks.setdefault(int(w), []).insert(0, remark)
