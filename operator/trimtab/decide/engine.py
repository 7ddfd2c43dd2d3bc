"""`decide`: an Observation and the State in, the Plan and the next State out. Pure: no input is changed.

A caller that has no further use for the State it hands in may give it up with `reuse`: the next State then takes over
its arrays, which for a large fleet saves most of the memory and a third of the time. The answers are the same.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide import (
    alerts,
    arbiter,
    bridge,
    builtin_alerts,
    burst,
    constraints,
    cost,
    emergencies,
    horizontal,
    recommend,
    rings,
    signals,
    slo,
    text,
    usage,
    vertical,
)
from trimtab.decide.columns import B1
from trimtab.decide.horizontal import Demand
from trimtab.decide.observation import Observation
from trimtab.decide.plan import ContainerPlan, DerivedAlerts, KnobPlan, Plan, Remark, WorkloadPlan
from trimtab.decide.plausible import plausible
from trimtab.decide.settings import Settings
from trimtab.decide.state import State, align, restart
from trimtab.decide.tick import Tick
from trimtab.decide.trace import Step, Trace
from trimtab.decide.vertical import Resource


def decide(
    observation: Observation, state: State, settings: Settings, *, reuse: bool = False, trace: Trace | None = None
) -> tuple[Plan, State]:
    """What should be, from what is. The same inputs give the same outputs; neither input is changed.

    With `reuse` the caller gives `state` up: it must not be used any more, unless the call fails, which leaves what
    was learned so far in a state that was aligned before. A `trace` is told what every step said.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return _decide(observation, align(state, observation, settings, reuse=reuse), settings, trace)


def learn(state: State, observation: Observation, settings: Settings, *, reuse: bool = False) -> State:
    """The state with the samples of `observation` taken in: history read back at start.

    Samples of one container may come in several calls, oldest first. `reuse` is as in `decide`.
    """
    fresh = align(state, observation, settings, reuse=reuse)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        usage.merge_history(fresh, observation, settings)
    return fresh


def learn_objectives(
    state: State, observation: Observation, past: slo.PastObjectives, settings: Settings, *, reuse: bool = False
) -> State:
    """The state with history of service level objectives put in; `reuse` is as in `decide`."""
    fresh = align(state, observation, settings, reuse=reuse)
    with np.errstate(invalid="ignore", divide="ignore"):
        slo.learn(observation, fresh.standing.objectives, past)
    return fresh


def learn_costs(
    state: State, observation: Observation, past: cost.PastCosts, settings: Settings, *, reuse: bool = False
) -> State:
    """The state with hours before the first move put into the baselines of costs; `reuse` is as in `decide`."""
    fresh = align(state, observation, settings, reuse=reuse)
    cost.learn(observation, fresh.standing.costs, past)
    return fresh


def _decide(seen: Observation, fresh: State, settings: Settings, trace: Trace | None) -> tuple[Plan, State]:
    restarted = restart(fresh, seen)
    seen = bridge.without_lent(plausible(seen))
    usage.merge(fresh, seen, settings)
    sensed = signals.read(seen, fresh, settings)
    seen = burst.without_bursts(seen, fresh)
    horizontal.learn(seen, fresh, sensed, settings)
    up_limit, down_limit = horizontal.rate_limits(seen, fresh)
    slo.measure(seen, fresh.standing.objectives)
    burns = slo.judge(seen, fresh.standing.objectives)
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
        trace=trace,
    )
    t.workloads.replicas[:] = seen.workloads.replicas
    t.knobs.value[:] = seen.knobs.value
    emergencies.notice(t)
    demand = horizontal.demand(t)
    both = vertical.resources(t)
    bridge.notice(t, demand, both[0])
    if trace is not None:
        trace.begin(t, demand, both)
    arbiter.arbitrate(t, demand, both)
    constraints.enforce(t, both)
    arbiter.reconcile(t)
    t.passed(Step.CONSTRAINTS)
    burst.note(t)
    bridge.lend(t, demand, both[0])
    t.passed(Step.BRIDGE)
    judged = alerts.judge(seen, fresh)
    builtin_alerts.watch_memory(t)
    for made in t.decisions.values():
        fresh.standing.costs.moved[t.row[made.workload]] |= made.outcome is not OutcomeState.RECOMMENDED
    cost.measure(seen, fresh.standing.costs, restarted, settings)
    costs = cost.plan(seen, fresh.standing.costs, settings)
    derived = DerivedAlerts.joined(builtin_alerts.judge(t, costs.budget_used), burns)
    _publish(t, demand, both)
    plan = Plan(
        workloads=t.workloads,
        containers=t.containers,
        knobs=t.knobs,
        alerts=judged,
        derived=derived,
        costs=costs,
        objectives=slo.plan(fresh.standing.objectives),
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
    recommend.advise(t, demand, both)
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
        (t.burning, Reason.BUDGET_BURNING, "An error budget burns fast; cuts, trials and knob steps wait."),
        (waiting, Reason.VERIFYING, "A move or a trial is being watched; savings and new trials wait."),
        (seen.window_closed, Reason.WINDOW_CLOSED, "Cuts, trials and knob steps are not allowed in this window."),
        (learning, Reason.LEARNING_HISTORY, ""),
        (np.ones(len(seen), dtype=bool), Reason.ACTIVE, "Watching usage, load and targets."),
    )
    which = np.argmax(np.stack([mask for mask, _, _ in states]), axis=0)
    shared = [Remark("Tuning", reason, message) for _, reason, message in states]
    shares = np.floor(10 * t.workloads.history_seconds / seen.min_history_seconds) / 10
    rows = np.flatnonzero(seen.acting)
    for w, state, share, seconds in zip(
        rows.tolist(), which[rows].tolist(), shares[rows].tolist(), seen.min_history_seconds[rows].tolist(), strict=True
    ):
        learns = shared[state].reason is Reason.LEARNING_HISTORY
        t.remarks.setdefault(w, []).insert(0, _learning(share, seconds) if learns else shared[state])


@lru_cache(maxsize=1024)
def _learning(share: float, seconds: float) -> Remark:
    """How much of the history that a cut needs is known; the same sentence for thousands of workloads."""
    message = f"{text.percent(share)} of the {text.seconds(seconds)} of usage that a cut needs are known."
    return Remark("Tuning", Reason.LEARNING_HISTORY, message)
