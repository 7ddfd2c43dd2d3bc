"""What a decision saw: targets, load, replicas, requests and usage, knobs, moves under way."""

from collections.abc import Iterator

from trimtab.api.answers import AnswerKind
from trimtab.decide import text
from trimtab.decide.observation import Lever
from trimtab.decide.trace import Trace
from trimtab.explain.words import change, known, sized


def sentences(trace: Trace) -> list[str]:
    """What was seen of the workload, in sentences with numbers."""
    return [*_targets(trace), *_load(trace), *_replicas(trace), *_containers(trace), *_knobs(trace), *_pending(trace)]


def _targets(trace: Trace) -> Iterator[str]:
    table = trace.tick.seen.targets
    if not len(table):
        yield "There is no target metric, so every target counts as met."
    for i in range(len(table)):
        name, limit = str(table.name[i]), float(table.limit[i])
        kind, value = AnswerKind(int(table.kind[i])), float(table.value[i])
        if kind is not AnswerKind.VALUE or not known(value):
            yield f"{name} had no number ({kind.name}); its target is {table.told(i, limit)}."
            continue
        higher = bool(table.higher_is_better[i])
        missed = value < limit if higher else value > limit
        side = "at least" if higher else "at most"
        age = f", measured {text.seconds(float(table.age[i]))} before" if known(float(table.age[i])) else ""
        yield (
            f"{name} was {table.told(i, value)}; its target is {side} {table.told(i, limit)}: "
            f"{'missed' if missed else 'met'}{age}."
        )


def _load(trace: Trace) -> Iterator[str]:
    w = trace.tick.seen.workloads
    rate, cpu, pod, ready = (float(x[0]) for x in (w.arrival_rate, w.cpu_usage, w.cpu_per_pod, w.ready))
    if known(rate):
        yield f"{text.number(rate)} requests a second arrived."
    else:
        yield "The rate of requests was not known."
    if known(cpu) and known(pod) and pod > 0 and ready > 0:
        share = text.percent(cpu / (pod * ready))
        yield f"CPU in use was {text.cores(cpu)}, {share} of what {ready:.0f} ready pods can use."
    elif known(cpu):
        yield f"CPU in use was {text.cores(cpu)}."
    else:
        yield "The CPU in use was not known."
    demand = trace.demand
    if demand.tuned[0] and known(float(demand.need[0])):
        yield (
            f"At {text.percent(float(demand.wanted[0]))} utilisation the load was worth "
            f"{text.number(float(demand.need[0]))} pods; with windows and bounds {demand.desired[0]} were wanted."
        )


def _replicas(trace: Trace) -> Iterator[str]:
    w = trace.tick.seen.workloads
    bounds = (
        f"allowed are {w.replicas_min[0]} to {w.replicas_max[0]}" if w.replicas_max[0] > 0 else "they are not tuned"
    )
    yield f"{w.ready[0]} of {w.replicas[0]} replicas were ready; {bounds}."


def _containers(trace: Trace) -> Iterator[str]:
    table, held = trace.tick.seen.containers, trace.tick.state.containers
    for c in range(len(table)):
        parts = []
        for r in trace.both:
            what = "CPU" if r.lever is Lever.CPU else "memory"
            request, limit, wants = float(r.request[c]), float(r.limit[c]), float(r.desired[c])
            part = f"{what} request {sized(r.lever, request)}, limit {sized(r.lever, limit)}"
            if known(wants):
                part += f", usage with the margin asks for {sized(r.lever, wants)}"
            elif known(float(r.maximum[c])):
                part += ", what usage asks for is not known yet"
            parts.append(part)
        if known(float(table.working_set[c])):
            parts.append(f"working set {text.memory(float(table.working_set[c]))}")
        if known(float(table.throttled[c])):
            parts.append(f"throttled in {text.percent(float(table.throttled[c]))} of its CPU periods")
        if table.oom_at[c] > 0:
            ago = text.seconds(max(trace.tick.seen.now - float(table.oom_at[c]), 0.0))
            parts.append(f"last killed for lack of memory {ago} before")
        if table.lent[c] > 0:
            parts.append(f"{text.cores(float(table.lent[c]))} of CPU lent")
        parts.append(f"{text.seconds(float(held.covered[c]))} of usage known")
        yield f"{table.name[c]}: {'; '.join(parts)}."


def _knobs(trace: Trace) -> Iterator[str]:
    table = trace.tick.seen.knobs
    for k in range(len(table)):
        said = f"{table.name[k]} was {table.value[k]}, allowed are {table.minimum[k]} to {table.maximum[k]}"
        if table.trial[k] >= 0:
            said += f"; a trial pod {'ran' if table.trial_ready[k] else 'was starting'} with {table.trial[k]}"
        if known(float(table.trial_latency[k])) and known(float(table.base_latency[k])):
            judge, targets = int(trace.tick.signals.judge[0]), trace.tick.seen.targets
            own, others = (targets.told(judge, float(x[k])) for x in (table.trial_latency, table.base_latency))
            said += f", {own} against {others} on the other pods"
        yield f"{said}."


def _pending(trace: Trace) -> Iterator[str]:
    for made in trace.before:
        yield f"{change(made)} was {'being watched' if made.outcome == 'Verifying' else 'on its way'} ({made.reason})."
