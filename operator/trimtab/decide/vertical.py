"""Requests and limits: up where usage asks for it, down in careful steps. Emergencies are in emergencies.py."""

from dataclasses import dataclass

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.decide import text, usage
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.moves import CORE, MIB, resize, supersede
from trimtab.decide.observation import Lever
from trimtab.decide.rings import moves_of_day
from trimtab.decide.tick import Tick


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of all containers; arrays of C rows, cores or bytes."""

    lever: Lever
    request: F8
    limit: F8
    minimum: F8
    maximum: F8
    """Bounds of the request, the largest node included; never inverted."""
    template_limit: F8
    ratio: F8
    """Limit over request in the template; NaN: no such ratio."""
    tuned: B1
    """Bounded, with a request, and allowed to be resized now."""
    desired: F8
    """What usage asks for with the margin, inside bounds; NaN: not known."""
    dead: float
    quantum: float
    """Values are multiples of this: 1m, 1Mi."""
    cut_done: B1
    hold_until: F8


def resources(t: Tick) -> tuple[Resource, Resource]:
    """CPU and memory of all containers."""
    seen, held, settings = t.seen.containers, t.state.containers, t.settings
    w = t.seen.workloads
    by_cpu, by_memory = usage.estimates(t.state)
    oom = np.where(held.oom_until > t.seen.now, held.oom_floor, 0.0)
    throttle = np.where(held.throttle_until > t.seen.now, held.throttle_floor, 0.0)
    cpu = _resource(
        t,
        Lever.CPU,
        (seen.cpu, seen.cpu_limit, seen.cpu_min, seen.cpu_max, seen.template_cpu, seen.template_cpu_limit),
        w.node_cpu[seen.workload],
        seen.cpu_allowed,
    )
    memory = _resource(
        t,
        Lever.MEMORY,
        (
            seen.memory,
            seen.memory_limit,
            seen.memory_min,
            seen.memory_max,
            seen.template_memory,
            seen.template_memory_limit,
        ),
        w.node_memory[seen.workload],
        seen.memory_allowed,
    )
    ratio = np.where(seen.guaranteed, 1.0, np.where(seen.scale_limits, cpu.ratio, np.nan))
    with_limit = np.isfinite(seen.cpu_limit) & np.isfinite(ratio)
    throttle = np.where(with_limit, np.divide(throttle, ratio, out=np.zeros(len(seen)), where=with_limit), 0.0)
    least_cpu = np.fmin(settings.cpu_least, seen.cpu)
    least_memory = np.fmin(settings.memory_least, seen.memory)
    return _with(cpu, by_cpu, np.maximum(throttle, least_cpu)), _with(memory, by_memory, np.maximum(oom, least_memory))


def _resource(t: Tick, lever: Lever, columns: tuple[F8, F8, F8, F8, F8, F8], node: F8, allowed: B1) -> Resource:
    request, limit, low, high, template, template_limit = columns
    seen, held, cpu = t.seen.containers, t.state.containers, lever is Lever.CPU
    node = np.where(node > 0, node, np.inf)
    bounded = np.isfinite(high) & (high > 0)
    maximum = np.minimum(np.where(bounded, high, np.inf), node)
    minimum = np.minimum(np.where(np.isfinite(low) & (low > 0), low, 0.0), maximum)
    usable = np.isfinite(template) & (template > 0) & np.isfinite(template_limit) & (template_limit >= template)
    ratio = np.divide(template_limit, template, out=np.full(len(seen), np.nan), where=usable)
    ratio = np.where(seen.guaranteed, 1.0, ratio)
    sound = np.isfinite(request) & (request > 0) & ~(limit < request)
    sound &= ~(seen.guaranteed & (limit > request))
    return Resource(
        lever=lever,
        request=request,
        limit=np.where(np.isfinite(limit), limit, np.nan),
        minimum=minimum,
        maximum=maximum,
        template_limit=template_limit,
        ratio=ratio,
        tuned=bounded & sound & allowed & t.may(lever)[seen.workload],
        desired=np.full(len(seen), np.nan),
        dead=t.settings.cpu_dead if cpu else t.settings.memory_dead,
        quantum=CORE if cpu else MIB,
        cut_done=held.cpu_cut if cpu else held.memory_cut,
        hold_until=held.cpu_hold_until if cpu else held.memory_hold_until,
    )


def _with(resource: Resource, estimate: F8, floor: F8) -> Resource:
    wanted = round_up(np.where(np.isfinite(estimate), np.maximum(estimate, floor), np.nan), resource.quantum)
    desired = np.clip(wanted, resource.minimum, resource.maximum)
    values = {name: getattr(resource, name) for name in Resource.__slots__}
    return Resource(**{**values, "desired": np.where(np.isfinite(resource.maximum), desired, np.nan)})


def round_up(values: F8, quantum: float) -> F8:
    """The next multiple of the quantum, so that published and wanted values are the same."""
    return np.asarray(np.ceil(values / quantum - 1e-9) * quantum, dtype=np.float64)


def limit_for(t: Tick, resource: Resource, rows: I8, request: F8) -> F8:
    """The limits that go with these requests, float64[rows]; NaN where there is none.

    Guaranteed: equal to the request. Scale: the template's ratio. Keep: as it is, raised only when the request passes
    it. A memory limit is never lowered below the working set with a margin, nor below the template's without an opt-in.
    """
    seen, old = t.seen.containers, resource.limit[rows]
    scaled = seen.scale_limits[rows] & np.isfinite(resource.ratio[rows])
    wanted = np.where(scaled, round_up(request * resource.ratio[rows], resource.quantum), np.maximum(old, request))
    if resource.lever is Lever.MEMORY:
        wanted = np.maximum(wanted, np.minimum(old, memory_floor(t, rows)))
    wanted = np.where(seen.guaranteed[rows], request, wanted)
    return np.where(np.isnan(old), np.nan, np.maximum(wanted, request))


def memory_floor(t: Tick, rows: I8) -> F8:
    """Bytes that no memory limit is lowered below: working set with a margin, template's limit without an opt-in."""
    seen, held = t.seen.containers, t.state.containers
    working = np.where(np.isfinite(seen.working_set[rows]), seen.working_set[rows], np.inf)
    template = np.where(seen.limit_below_template[rows], 0.0, np.fmax(seen.template_memory_limit[rows], 0.0))
    oom = np.where(held.oom_until[rows] > t.seen.now, held.oom_floor[rows], 0.0)
    return round_up(np.fmax(np.maximum(working * t.settings.working_set_margin, template), oom), MIB)


def _unit(lever: Lever, value: float) -> str:
    return text.cores(value) if lever is Lever.CPU else text.memory(value)


def seasoned(t: Tick) -> B1:
    """bool[C]: whether usage is known for long enough to raise a request: ten minutes, or less where cuts need less."""
    least = np.minimum(t.settings.raise_history, t.seen.workloads.min_history_seconds)
    return np.asarray(t.state.containers.covered >= least[t.seen.containers.workload])


def raise_for_usage(t: Tick, both: tuple[Resource, Resource]) -> None:
    """Requests that usage has outgrown; always allowed, inside the bounds. One lever a workload and step."""
    seen, held, settings = t.seen.containers, t.state.containers, t.settings
    recent = seasoned(t) & (held.sampled_at >= t.seen.now - settings.sample_age)
    for r in both:
        # CPU levels are rationed where they are made (estimator/hold.py): a second band would add overruns.
        band = settings.hold_up if r.lever is Lever.CPU else settings.dead_band
        grown = (r.desired > r.request * (1 + band)) & (r.desired > r.request + r.dead) & recent
        below = r.request < r.minimum * (1 - 1e-9)
        wanted = r.tuned & (grown | below) & ~t.moved[seen.workload] & (r.request < r.maximum)
        rows = np.flatnonzero(wanted)
        subjects: dict[int, set[str]] = {}
        for c in rows.tolist():
            subjects.setdefault(int(seen.workload[c]), set()).add(str(seen.name[c]))
        target = np.where(grown, r.desired, r.minimum)
        limits = limit_for(t, r, rows, target[rows])
        for c, limit in zip(rows.tolist(), limits.tolist(), strict=True):
            if pursued(t, int(c), r.lever):
                continue
            names = subjects.pop(int(seen.workload[c]), None)
            if names:
                why = "A request was outgrown before it could be judged."
                supersede(t, int(seen.workload[c]), r.lever, frozenset(names), why)
            outgrown = bool(grown[c]) and (not below[c] or float(r.desired[c]) > float(r.minimum[c]))
            _raise(t, int(c), r, float(target[c]), float(limit), outgrown)


def _raise(t: Tick, c: int, r: Resource, request: float, limit: float, grown: bool) -> None:
    name, old = t.seen.containers.name[c], float(r.request[c])
    if grown:
        message = (
            f"{name} uses more {_what(r.lever)} than it requests: {_unit(r.lever, request)} with the margin; "
            f"{_unit(r.lever, old)} → {_unit(r.lever, request)}"
        )
        reason, predicted = Reason.RAISED_FOR_USAGE, "usage stays below the request"
    else:
        message = (
            f"{name} is below its smallest {_what(r.lever)} request; {_unit(r.lever, old)} → {_unit(r.lever, request)}"
        )
        reason, predicted = Reason.OBEYED_CONSTRAINT, ""
    resize(t, c, r.lever, request, limit, reason, message, predicted=predicted)


def _what(lever: Lever) -> str:
    return "CPU" if lever is Lever.CPU else "memory"


def pursued(t: Tick, c: int, lever: Lever, least: float = 0.0) -> bool:
    """Whether a move of this container to at least so much is on its way and not in force yet."""
    seen = t.seen.containers
    return any(
        v.decision.lever is lever
        and v.decision.subject == seen.name[c]
        and np.isnan(v.since)
        and max(v.decision.inputs.get("limitAfter", 0.0), v.decision.inputs.get("requestAfter", 0.0)) >= least
        for v in t.pending.get(str(t.seen.workloads.key[seen.workload[c]]), ())
    )


def cut(t: Tick, both: tuple[Resource, Resource], waiting: B1, trying: B1) -> None:
    """At most one cut a workload: the one that saves the largest share of a request (RULES 11–14)."""
    seen, held, settings = t.seen.containers, t.state.containers, t.settings
    w = t.seen.workloads
    owner = seen.workload
    spent = moves_of_day(held, t.seen.now) >= w.resizes_per_day[owner]
    calm = (~t.moved & ~waiting & ~trying & ~t.frozen & ~t.rolling & w.due)[owner]
    sure = (t.signals.met[owner]) & (held.covered >= w.min_history_seconds[owner])
    sure &= held.sampled_at >= t.seen.now - settings.sample_age
    sure &= ~(t.signals.ratio > 1 - w.room)[owner]
    best: dict[int, tuple[float, int, Resource, float, float, bool]] = {}
    for r in both:
        over = r.tuned & (r.request > r.maximum * (1 + 1e-9))
        share = np.where(r.cut_done, settings.later_cut, settings.first_cut)
        smallest = round_up(r.request * (1 - share), r.quantum)
        goal = np.maximum(np.where(over, r.maximum, r.desired), smallest)
        unused = r.tuned & sure & (t.seen.now >= r.hold_until) & ~over
        rows = np.flatnonzero((unused | over) & calm & np.isfinite(goal))
        new = goal[rows]
        if r.lever is Lever.MEMORY:
            new = np.where(seen.guaranteed[rows], np.maximum(new, memory_floor(t, rows)), new)
        worth = _worth(t, r, rows, new, over)
        _explain(t, r, rows, worth, goal, over, spent)
        rows, new = rows[worth & ~spent[rows]], new[worth & ~spent[rows]]
        limits = limit_for(t, r, rows, new)
        for c, request, limit in zip(rows.tolist(), new.tolist(), limits.tolist(), strict=True):
            score = 1 - request / r.request[c] + float(over[c])
            if score > best.get(int(owner[c]), (0.0,))[0]:
                best[int(owner[c])] = (score, c, r, request, limit, bool(over[c]))
    for _, c, r, request, limit, above in best.values():
        _cut(t, c, r, request, limit, above)


def _worth(t: Tick, r: Resource, rows: I8, new: F8, over: B1) -> B1:
    """bool[rows]: whether a cut to so much is worth a write; above the largest request every one is."""
    request = r.request[rows]
    saves = (new < request * (1 - t.settings.dead_band)) & (new < request - r.dead)
    return np.asarray(saves | (over[rows] & (new < request)))


def _explain(t: Tick, r: Resource, rows: I8, worth: B1, goal: F8, over: B1, spent: B1) -> None:
    """Say what stands in the way of cuts that are wanted: a dead band is not worth a word."""
    seen = t.seen.containers
    for c in rows[worth & spent[rows]]:
        t.limit(
            int(seen.workload[c]), Reason.BUDGET_SPENT, f"{seen.name[c]} was resized often enough today; cuts wait."
        )
    if r.lever is not Lever.MEMORY:
        return
    held = ~worth & seen.guaranteed[rows] & _worth(t, r, rows, goal[rows], over)
    for c in rows[held & over[rows]]:
        message = f"{seen.name[c]} uses what is above its largest memory request; it is not cut below that."
        t.limit(int(seen.workload[c]), Reason.MEMORY_AT_MAX, message)
    template = ~seen.limit_below_template[rows] & (seen.template_memory_limit[rows] > 0)
    template &= ~_worth(t, r, rows, np.maximum(goal[rows], seen.template_memory_limit[rows]), over)
    for c in rows[held & ~over[rows] & template]:
        message = (
            f"{seen.name[c]} could do with {text.memory(float(goal[c]))}; its limit may not go below the template's."
        )
        t.limit(int(seen.workload[c]), Reason.MEMORY_LIMIT_BELOW_TEMPLATE, message)


def _cut(t: Tick, c: int, r: Resource, request: float, limit: float, over: bool) -> None:
    name, old, desired = t.seen.containers.name[c], float(r.request[c]), float(r.desired[c])
    step = f"{_unit(r.lever, old)} → {_unit(r.lever, request)}"
    if not r.cut_done[c] and request > desired:
        message = f"{name} could do with {_unit(r.lever, desired)}; the first cut is at most 25%."
        t.limit(int(t.seen.containers.workload[c]), Reason.FIRST_MOVE_CAPPED, message)
    if over:
        message = f"{name} is above its largest {_what(r.lever)} request {_unit(r.lever, float(r.maximum[c]))}; {step}"
        t.limit(int(t.seen.containers.workload[c]), Reason.CEILING_LOWERED, message)
        resize(t, c, r.lever, request, limit, Reason.OBEYED_CONSTRAINT, message)
    else:
        message = f"{name} needs {_unit(r.lever, desired)} of {_what(r.lever)} with the margin; {step}"
        predicted = f"{name} stays below {_unit(r.lever, request)} and no target is missed"
        resize(t, c, r.lever, request, limit, Reason.CUT_UNUSED, message, predicted=predicted)
    r.cut_done[c] = True
