"""The checks of the arbiter, in their order, and what each said; those that wanted nothing say why not."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from trimtab.decide import text
from trimtab.decide.observation import Lever
from trimtab.decide.tick import OPEN
from trimtab.decide.trace import Said, Step, Trace
from trimtab.explain.model import Check, Verdict
from trimtab.explain.words import LEVERS, change, known, listed, sentence, sized


def checks(trace: Trace) -> list[Check]:
    """Every step with its verdict."""
    return [_check(trace, said) for said in trace.said]


def _check(trace: Trace, said: Said) -> Check:
    says = []
    verdict = Verdict.QUIET
    for made in said.decisions:
        if made.outcome in OPEN:
            new = made.time == trace.tick.seen.now
            verdict = Verdict.MOVED if new else verdict
            says.append(
                f"{change(made)}: {sentence(made.message)}" if new else f"{change(made)} is in force and watched."
            )
        else:
            verdict = Verdict.ENDED if verdict is Verdict.QUIET else verdict
            says.append(f"{change(made)} ended as {made.outcome}: {sentence(made.outcome_message)}")
    says += [f"{change(made)} was taken out: nothing of it was left." for made in said.dropped]
    held = [sentence(remark.message) for remark in said.remarks if remark.condition == "Limited"]
    if held and verdict is Verdict.QUIET:
        verdict = Verdict.HELD
    says += held
    if not says:
        says = [sentence(_capital(trace, _QUIET[said.step](trace, said)))]
    return Check(step=said.step.value, verdict=verdict, says=says)


def _capital(trace: Trace, clause: str) -> str:
    """With a capital letter, unless it begins with a name."""
    names = {*trace.tick.seen.containers.name, *trace.tick.seen.knobs.name}
    return clause if clause.split(maxsplit=1)[0] in names else clause[0].upper() + clause[1:]


def _oom(trace: Trace, _said: Said) -> str:
    held = trace.tick.state.containers
    kept = np.flatnonzero(held.oom_until > trace.tick.seen.now)
    if len(kept):
        names = listed([str(trace.tick.seen.containers.name[c]) for c in kept])
        return f"the memory that the last OOM kill of {names} asked for is there already"
    return "no container was killed for lack of memory"


def _throttling(trace: Trace, said: Said) -> str:
    t = trace.tick
    shares = t.seen.containers.throttled
    if not len(shares) or not np.isfinite(shares).any():
        return "no container has a CPU limit whose throttling is known"
    worst = int(np.nanargmax(shares))
    share, bound = float(shares[worst]), t.settings.throttled
    clause = f"{t.seen.containers.name[worst]} was throttled in {text.percent(share)} of its CPU periods"
    if share <= bound:
        return f"{clause}; up to {text.percent(bound)} nothing is raised"
    if t.state.containers.throttled_samples[worst] < t.settings.throttle_samples:
        return f"{clause}, not yet for {t.settings.throttle_samples} samples in a row, or the CPU lent covers it"
    return _busy(said) or f"{clause}; its last raise is less than {text.seconds(t.settings.throttle_period)} old"


def _verify(trace: Trace, _said: Said) -> str:
    if not trace.before:
        return "no move was being watched"
    return "what is being watched goes on; there is no verdict yet"


def _load(trace: Trace, said: Said) -> str:
    d, w = trace.demand, trace.tick.seen.workloads
    if not d.tuned[0]:
        return "replicas are not tuned"
    if not d.known[0]:
        return "neither the rate of requests nor the CPU in use gave a number, so nothing was added"
    if d.desired[0] <= w.replicas[0]:
        return f"the load asked for no more than the {w.replicas[0]} replicas that there are"
    return _shut(trace, Lever.REPLICAS) or _busy(said) or "the rate policies allowed no more replicas at that time"


def _trial(trace: Trace, _said: Said) -> str:
    running = any(made.lever is Lever.KNOB and made.reason == "KnobTrialStarted" for made in trace.before)
    return "the trial goes on" if running else "no trial ran"


def _trim(trace: Trace, said: Said) -> str:
    t = trace.tick
    if not t.signals.latency_missed[0]:
        return "no latency target was missed"
    if trace.demand.explained[0]:
        return "the target was missed, and the load explains it: replicas follow the load instead"
    if t.state.workloads.missed_samples[0] < t.settings.missed_samples:
        return f"the target was missed in one sample; {t.settings.missed_samples} in a row count"
    shut = _shut(trace, Lever.REPLICAS) or _busy(said)
    return shut or "the target was missed, and the effect of the last raise, or the pods on their way, were awaited"


def _usage(trace: Trace, said: Said) -> str:
    clauses = []
    for r in trace.both:
        for c in np.flatnonzero(r.tuned):
            if r.desired[c] > r.request[c] * (1 + trace.tick.settings.dead_band):
                name = trace.tick.seen.containers.name[c]
                clauses.append(f"{name} has outgrown its {LEVERS[r.lever]} request")
    if not any(r.tuned.any() for r in trace.both):
        return "no request is tuned now"
    if not clauses:
        return "no request was outgrown by more than 10%"
    return f"{listed(clauses)}; {_busy(said) or 'a raise is on its way, or its usage is not known for long enough'}"


def _lower(trace: Trace, said: Said) -> str:
    d, t = trace.demand, trace.tick
    w = t.seen.workloads
    if not d.tuned[0]:
        return "replicas are not tuned"
    if d.desired[0] >= w.replicas[0]:
        return f"the load did not ask for fewer than {w.replicas[0]} replicas"
    until = float(t.state.workloads.down_hold_until[0])
    hold = f"a scale-down was taken back lately, the next waits {text.seconds(until - t.seen.now)}"
    stops = [*_stops(trace, said), *([hold] if until > t.seen.now else [])]
    return f"{d.desired[0]} replicas would do: {'; '.join(stops) or 'the windows or rate policies let none go yet'}"


def _cut(trace: Trace, said: Said) -> str:
    t = trace.tick
    wanted = []
    for r in trace.both:
        for c in np.flatnonzero(r.tuned & np.isfinite(r.desired)):
            if r.desired[c] < r.request[c] * (1 - t.settings.dead_band):
                name = t.seen.containers.name[c]
                until = float(r.hold_until[c])
                rest = (
                    f" (the last cut hurt; none for {text.seconds(until - t.seen.now)})" if until > t.seen.now else ""
                )
                wanted.append(f"{name} could do with {sized(r.lever, float(r.desired[c]))} of {LEVERS[r.lever]}{rest}")
    if not wanted:
        return "no request is more than 10% above what usage asks for"
    stops = _stops(trace, said)
    least = t.seen.workloads.min_history_seconds[0]
    if (t.state.containers.covered < least).any():
        stops.append(f"cuts wait for {text.seconds(float(least))} of known usage")
    return f"{listed(wanted)}: {'; '.join(stops) or 'no step of it is large enough now'}"


def _knob(trace: Trace, said: Said) -> str:
    if not len(trace.tick.seen.knobs):
        return "there is no knob"
    restoring = said.step is Step.KNOB_TO_RESTORE
    missed = bool(trace.tick.signals.missed[0])
    if restoring and not missed:
        return "no target was missed"
    if not restoring and missed:
        return "a target was missed"
    rest = trace.tick.state.knobs.rest_until
    if (rest > trace.tick.seen.now).all():
        wait = text.seconds(float(rest.min()) - trace.tick.seen.now)
        return f"every knob rests after its last trial, the first one for {wait} more"
    stops = list(_stops(trace, said))
    return (
        f"no trial was started: {'; '.join(stops) or 'replicas come first, pods were on their way, or no step is open'}"
    )


def _constraints(_trace: Trace, _said: Said) -> str:
    return "everything was inside bounds, ceilings, the node and the rate policies; nothing was held back"


def _bridge(_trace: Trace, _said: Said) -> str:
    return "no CPU was lent to running pods, or what is lent stays as it is"


_QUIET: Mapping[Step, Callable[[Trace, Said], str]] = {
    Step.OOM: _oom,
    Step.THROTTLING: _throttling,
    Step.VERIFY: _verify,
    Step.LOAD: _load,
    Step.TRIAL: _trial,
    Step.KNOB_TO_RESTORE: _knob,
    Step.TRIM: _trim,
    Step.USAGE: _usage,
    Step.LOWER: _lower,
    Step.CUT: _cut,
    Step.KNOB_TO_SAVE: _knob,
    Step.CONSTRAINTS: _constraints,
    Step.BRIDGE: _bridge,
}


def _busy(said: Said) -> str:
    return "another lever had moved already, one moves at a time" if said.moved_before else ""


def _shut(trace: Trace, lever: Lever) -> str:
    """Why a lever may not be moved at all."""
    t = trace.tick
    if lever in trace.barred:
        return "the lever was kept still for this comparison"
    if not t.seen.workloads.acting[0]:
        return "Trimtab does not act here"
    if not t.seen.workloads.allowed[0, lever]:
        return "the lever is out of Trimtab's hands"
    if lever is Lever.REPLICAS and t.seen.workloads.human_hold_until[0] > t.seen.now:
        return "a person set the replicas"
    return ""


def _stops(trace: Trace, said: Said) -> list[str]:
    """What stands in the way of a saving or a trial."""
    return list(_reasons(trace, said))


def _reasons(trace: Trace, said: Said) -> Iterator[str]:
    t = trace.tick
    w, signals = t.seen.workloads, t.signals
    if not w.acting[0]:
        yield "Trimtab does not act here"
    if said.moved_before:
        yield _busy(said)
    elif said.waiting:
        yield "a move or trial is being watched, or CPU is lent"
    if w.rollout[0]:
        yield "the workload is being rolled out"
    if w.window_closed[0]:
        yield "a maintenance window forbids it"
    if t.burning[0]:
        yield "an error budget burns fast"
    if signals.missed[0]:
        yield "nothing is cut while a target is missed"
    elif signals.unknown[0]:
        yield "a target has no number"
    ratio, room = float(signals.ratio[0]), float(w.room[0])
    if known(ratio) and not signals.missed[0] and ratio > 1 - room:
        yield f"latency is at {text.percent(ratio)} of its target, cuts need {text.percent(room)} of room"
    if not w.due[0]:
        yield "sampleRate has no fresh sample due"
