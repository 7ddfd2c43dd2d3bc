"""OOM kills and throttling: raises that go ahead of everything, inside the bounds (RULES 11).

A throttled container is bounded by its limit, not by its request. So the limit is raised, within cpu.max, also with
`limits: Keep`; the request moves with it only where QoS (Guaranteed) or the template's ratio (Scale) say so.
"""

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.decide import text, useless
from trimtab.decide.columns import B1, F8, I8
from trimtab.decide.estimator.memory import day_peak
from trimtab.decide.moves import CORE, MIB, resize, supersede
from trimtab.decide.observation import Lever
from trimtab.decide.settings import Settings
from trimtab.decide.tick import CUTS, Tick
from trimtab.decide.vertical import Resource, limit_for, pursued, round_up


def notice(t: Tick) -> None:
    """Take in OOM kills and throttled samples: what they ask for is kept as a floor for days, in place."""
    seen, held, settings, now = t.seen.containers, t.state.containers, t.settings, t.seen.now
    fresh = (seen.oom_at > np.maximum(held.oom_seen, held.ignore_before)) & (seen.oom_at > now - settings.oom_floor)
    fresh &= seen.oom_at <= now + settings.throttle_period
    known = np.isfinite(seen.oom_limit) & (seen.oom_limit > 0)
    level = np.where(known, seen.oom_limit, np.where(np.isfinite(seen.memory_limit), seen.memory_limit, seen.memory))
    level = np.where(np.isfinite(level), level, np.nan)
    raised = np.where(np.isfinite(seen.memory_limit), seen.memory_limit, seen.memory) > level * 1.01
    base = np.where(raised, level, np.fmax(level, day_peak(held, now)))
    tried = ~known | (seen.oom_limit >= held.oom_floor * 0.99)
    again = (held.oom_until > now) & (seen.oom_at - held.oom_seen <= settings.oom_repeat) & tried
    floor = round_up(after_kill(base, again, settings), MIB)
    rows = fresh & np.isfinite(floor)
    kept = np.where(held.oom_until > now, held.oom_floor, 0.0)
    held.oom_floor[rows] = np.fmax(floor, kept)[rows]
    held.oom_until[rows] = seen.oom_at[rows] + settings.oom_floor
    held.oom_seen[rows] = seen.oom_at[rows]

    due = t.seen.workloads.due[seen.workload]
    over = (seen.throttled > settings.throttled) & np.isfinite(seen.cpu_limit)
    held.throttled_samples[due & over] += 1
    held.throttled_samples[due & ~over & np.isfinite(seen.throttled)] = 0


def after_kill(base: F8, again: B1, settings: Settings) -> F8:
    """Bytes that a kill at `base` bytes asks for; `again`: it happened with the raised value of another in force."""
    factor = np.where(again, settings.oom_again, settings.oom_factor)
    return np.asarray(np.maximum(base * factor, base + settings.oom_step), dtype=np.float64)


def answer_oom(t: Tick, memory: Resource) -> None:
    """Raise memory to what an OOM kill asked for, in the tick that sees it."""
    seen, held, now = t.seen.containers, t.state.containers, t.seen.now
    effective = np.where(np.isfinite(memory.limit), memory.limit, memory.request)
    floor = np.where(held.oom_until > now, held.oom_floor, 0.0)
    wanted = memory.tuned & (effective < floor * (1 - 1e-6))
    cap = np.maximum(memory.maximum, effective)
    stuck = wanted & (effective >= cap * (1 - 1e-6))
    _say(t, stuck, memory)
    peak = day_peak(held, now)
    rows = np.flatnonzero(wanted & ~stuck & ~t.moved[seen.workload])
    rows = rows[[not pursued(t, int(c), Lever.MEMORY, float(floor[c])) for c in rows]] if len(rows) else rows
    scaled = seen.scale_limits[rows] & np.isfinite(memory.limit[rows]) & np.isfinite(memory.ratio[rows])
    share = np.where(scaled & ~seen.guaranteed[rows], memory.ratio[rows], 1.0)
    request = round_up(floor[rows] / share, MIB)
    request = np.minimum(np.maximum(request, memory.request[rows]), np.maximum(memory.maximum, memory.request)[rows])
    limit = limit_for(t, memory, rows, request)
    keep = ~scaled & ~seen.guaranteed[rows]
    limit = np.where(keep, np.maximum(limit, np.minimum(floor[rows], cap[rows])), limit)
    _make_way(t, rows, Lever.MEMORY, "An OOM kill came before it could be judged.")
    for i, c in enumerate(rows.tolist()):
        after = float(limit[i]) if np.isfinite(limit[i]) else float(request[i])
        message = (
            f"{seen.name[c]} was killed for lack of memory at {text.memory(float(seen.oom_limit[c]))}; "
            f"{text.memory(float(effective[c]))} → {text.memory(after)}"
        )
        resize(
            t,
            c,
            Lever.MEMORY,
            float(request[i]),
            float(limit[i]),
            Reason.RAISED_AFTER_OOM,
            message,
            predicted=f"no further OOM kill below {text.memory(after)}",
            inputs={"oomLimit": float(seen.oom_limit[c]), "peak": float(peak[c])},
            emergency=True,
        )


def answer_throttling(t: Tick, cpu: Resource) -> None:
    """Raise the CPU limit of throttled containers until they are not, once a minute at most."""
    seen, held, settings, now = t.seen.containers, t.state.containers, t.settings, t.seen.now
    wanted = cpu.tuned & np.isfinite(cpu.limit) & (held.throttled_samples >= settings.throttle_samples)
    wanted = useless.take_back(t, cpu, wanted)
    cap = np.maximum(cpu.maximum, cpu.limit)
    linked = seen.guaranteed | (seen.scale_limits & np.isfinite(cpu.ratio))
    stuck = wanted & np.where(linked, cpu.request >= cpu.maximum * (1 - 1e-6), cpu.limit >= cap * (1 - 1e-6))
    _say(t, stuck, cpu)
    wanted &= ~stuck & (now - held.throttle_at >= settings.throttle_period) & ~t.moved[seen.workload]
    rows = np.flatnonzero(wanted)
    rows = (
        rows[[not pursued(t, int(c), Lever.CPU) and not _cut_to_blame(t, int(c)) for c in rows]] if len(rows) else rows
    )
    factor = np.clip(1 + seen.throttled[rows], settings.throttle_min, settings.throttle_max)
    by_request = np.minimum(round_up(cpu.request[rows] * factor, CORE), cpu.maximum[rows])
    request = np.where(linked[rows], np.maximum(by_request, cpu.request[rows]), cpu.request[rows])
    limit = np.where(
        linked[rows], limit_for(t, cpu, rows, request), np.minimum(round_up(cpu.limit[rows] * factor, CORE), cap[rows])
    )
    compared = [useless.baseline(t, int(c), cpu) for c in rows]
    _make_way(t, rows, Lever.CPU, "Throttling came before it could be judged.")
    for i, c in enumerate(rows.tolist()):
        share = text.percent(float(seen.throttled[c]))
        message = (
            f"{seen.name[c]} is throttled in {share} of its CPU periods, more than {text.percent(settings.throttled)}; "
            f"limit {text.cores(float(cpu.limit[c]))} → {text.cores(float(limit[i]))}"
        )
        held.throttle_at[c] = now
        held.throttle_floor[c] = limit[i]
        held.throttle_until[c] = now + settings.throttle_floor
        resize(
            t,
            c,
            Lever.CPU,
            float(request[i]),
            float(limit[i]),
            Reason.RAISED_FOR_THROTTLING,
            message,
            predicted=f"throttled in less than {text.percent(settings.throttled)} of the periods",
            inputs=compared[i],
            emergency=True,
        )


def _cut_to_blame(t: Tick, c: int) -> bool:
    """Whether a cut of this container brought the throttling: it is rolled back instead."""
    seen = t.seen.containers
    return any(
        v.decision.lever is Lever.CPU
        and v.decision.subject == seen.name[c]
        and v.decision.reason in CUTS
        and v.decision.inputs.get("throttled", 0.0) <= t.settings.throttled
        for v in t.pending.get(str(t.seen.workloads.key[seen.workload[c]]), ())
    )


def _make_way(t: Tick, rows: I8, lever: Lever, why: str) -> None:
    """What is pending in the workloads of these containers can't be judged any more."""
    subjects: dict[int, set[str]] = {}
    for c in rows.tolist():
        subjects.setdefault(int(t.seen.containers.workload[c]), set()).add(str(t.seen.containers.name[c]))
    for w, names in subjects.items():
        supersede(t, w, lever, frozenset(names), why)


def _say(t: Tick, stuck: B1, resource: Resource) -> None:
    seen, cpu = t.seen.containers, resource.lever is Lever.CPU
    for c in np.flatnonzero(stuck):
        name, most, limit = seen.name[c], float(resource.maximum[c]), float(resource.limit[c])
        if cpu:
            message = f"{name} is throttled at its CPU limit {text.cores(limit)}; cpu.max is {text.cores(most)}."
        else:
            message = f"{name} needs more memory than its largest request, {text.memory(most)}."
        t.limit(int(seen.workload[c]), Reason.CPU_AT_MAX if cpu else Reason.MEMORY_AT_MAX, message)
