"""Raises that changed nothing: what a process sizes when it starts, it can't use without a restart (RULES 8).

Judged are CPU limits raised against throttling: a process whose threads or whose own quota were fixed at its start is
throttled as before and uses no more. Memory raised after an OOM kill is never judged: the kill itself restarts the
process, and the level of a kill is kept for days.
"""

import math
from collections.abc import Mapping

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.decide import text
from trimtab.decide.columns import B1
from trimtab.decide.moves import resize
from trimtab.decide.observation import NAN, Lever
from trimtab.decide.state import Verify
from trimtab.decide.tick import Tick
from trimtab.decide.vertical import Resource


def baseline(t: Tick, c: int, cpu: Resource) -> dict[str, float]:
    """What a further raise of a throttled container is compared with, for its inputs (cores, shares).

    Raises without any effect so far are judged together, from before the first of them.
    """
    before = _raised(t, c)
    if before is not None and not _effect(t, c, before.decision.inputs):
        return {name: value for name, value in before.decision.inputs.items() if name.startswith("base")}
    w = int(t.seen.containers.workload[c])
    return {
        "baseRequest": float(cpu.request[c]),
        "baseLimit": float(cpu.limit[c]),
        "baseThrottled": float(t.seen.containers.throttled[c]),
        "baseCpu": float(t.seen.workloads.cpu_usage[w]),
        "baseRate": float(t.seen.workloads.arrival_rate[w]),
        "baseLatency": float(t.signals.ratio[w]),
    }


def take_back(t: Tick, cpu: Resource, throttled: B1) -> B1:
    """Take useless raises back; bool[C], which of the throttled containers may be raised further."""
    seen, held, now, settings = t.seen.containers, t.state.containers, t.seen.now, t.settings
    open_ = throttled.copy()
    for c in np.flatnonzero(throttled & (held.restart_until <= now)):
        verify = _raised(t, int(c))
        if verify is None:
            continue
        grown = cpu.limit[c] / verify.decision.inputs.get("baseLimit", NAN)
        if not grown >= settings.useless_growth or not _useless(t, int(c), verify.decision.inputs):
            continue
        open_[c] = False
        # A one-minute rate, scraped late: what it says now may still be of before.
        owner = int(seen.workload[c])
        enough = min(2 * settings.throttle_period, float(t.seen.workloads.verify_seconds[owner]))
        if now - verify.since >= enough and not t.moved[owner]:
            _undo(t, int(c), verify)
    waiting = throttled & (held.restart_until > now)
    for c in np.flatnonzero(waiting):
        message = (
            f"{seen.name[c]} is throttled and did not use more CPU when it had it; it needs a restart: raise the CPU "
            "limit in the pod template, or let it size its threads by the limit while it runs."
        )
        t.limit(int(seen.workload[c]), Reason.NEEDS_RESTART, message)
    return np.asarray(open_ & ~waiting, dtype=bool)


def _raised(t: Tick, c: int) -> Verify | None:
    """The last raise of this container against throttling, while it is watched and in force."""
    seen = t.seen.containers
    for verify in t.pending.get(str(t.seen.workloads.key[seen.workload[c]]), ()):
        made = verify.decision
        same = made.lever is Lever.CPU and made.subject == seen.name[c]
        if same and made.reason is Reason.RAISED_FOR_THROTTLING and not math.isnan(verify.since):
            return verify
    return None


def _effect(t: Tick, c: int, base: Mapping[str, float]) -> bool:
    """Whether throttling fell, the CPU was used, or latency fell; what is not known counts for none."""
    gain, w = t.settings.trim_gain, int(t.seen.containers.workload[c])
    return bool(
        t.seen.containers.throttled[c] < base.get("baseThrottled", NAN) * (1 - gain)
        or t.seen.workloads.cpu_usage[w] > base.get("baseCpu", NAN) * (1 + gain)
        or t.signals.ratio[w] < base.get("baseLatency", NAN) * (1 - gain)
    )


def _useless(t: Tick, c: int, base: Mapping[str, float]) -> bool:
    """Whether it is known that nothing changed: throttling and use measured, under the same load."""
    w, change = int(t.seen.containers.workload[c]), 1 + t.settings.load_change
    usage, before = float(t.seen.workloads.cpu_usage[w]), base.get("baseCpu", NAN)
    known = math.isfinite(usage) and math.isfinite(before) and math.isfinite(base.get("baseThrottled", NAN))
    rate, was = float(t.seen.workloads.arrival_rate[w]), base.get("baseRate", NAN)
    return known and not (rate > was * change or rate < was / change) and not _effect(t, c, base)


def _undo(t: Tick, c: int, verify: Verify) -> None:
    """Back to before the first raise without effect, and no further one for a day."""
    seen, held, made = t.seen.containers, t.state.containers, verify.decision
    share, base = float(seen.throttled[c]), made.inputs
    why = (
        f"{text.cores(float(seen.cpu_limit[c]))} of CPU instead of {text.cores(base['baseLimit'])} changed nothing, "
        f"{seen.name[c]} is throttled in {text.percent(share)} of its periods, {text.percent(base['baseThrottled'])} "
        "before, and uses no more; it needs a restart"
    )
    t.pending[made.workload].remove(verify)
    t.record(made.ended(OutcomeState.ROLLED_BACK, f"{why}."))
    held.restart_until[c] = t.seen.now + t.settings.restart_hold
    held.throttle_floor[c] = held.throttle_until[c] = 0.0
    request, limit = base.get("baseRequest", NAN), base["baseLimit"]
    resize(t, c, Lever.CPU, request, limit, Reason.MOVE_ROLLED_BACK, f"Taken back: {why}", emergency=True)
