"""What must have happened, judged from snapshots of the cluster and from what clients saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from demo.watch import Snapshot

KNOB = "BATCH_SIZE"
HELD_SHARE = 0.9
"""Share of busy seconds, after tuning, in which the clients' p95 must be within the target."""


@dataclass(frozen=True)
class Check:
    """One thing that must be true, whether it was, and what was seen."""

    name: str
    ok: bool
    seen: str


def judge(
    history: Sequence[Snapshot], lines: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]], target: float
) -> list[Check]:
    """Every check, in the order of the story."""
    return [
        _resized(history),
        _went_up(history),
        _came_down(history),
        _batch(history),
        _missed_before(lines, target),
        _held_after(lines, target),
        _alert(events),
        _told(history),
        _template(history),
    ]


def _resized(history: Sequence[Snapshot]) -> Check:
    """The cgroup of one and the same running container changed, and it was not restarted."""
    seen: dict[str, list[tuple[str, str, str, int]]] = {}
    for snapshot in history:
        for pod in snapshot.pods:
            if pod.cgroup:
                facts = (pod.cgroup["cpu_shares"], pod.cgroup["cpu_quota"], pod.cgroup["memory_limit"], pod.restarts)
                seen.setdefault(pod.name, []).append(facts)
    for name, all_facts in seen.items():
        if len({facts[:3] for facts in all_facts}) > 1 and len({facts[3] for facts in all_facts}) == 1:
            shares = [value for value, _ in groupby(facts[0] for facts in all_facts)]
            limits = [mib(value) for value, _ in groupby(facts[2] for facts in all_facts)]
            text = f"{name}: cpu shares {' → '.join(shares)}, memory limit {' → '.join(limits)}, 0 restarts"
            return Check("requests changed on a running pod, without a restart", True, text)
    return Check("requests changed on a running pod, without a restart", False, "no cgroup of a running pod changed")


def _went_up(history: Sequence[Snapshot]) -> Check:
    first, most = history[0].replicas, max(s.replicas for s in history)
    ready = max(s.ready for s in history)
    return Check("replicas went up", most > first and ready > first, f"{first} → {most} (at most {ready} ready pods)")


def _came_down(history: Sequence[Snapshot]) -> Check:
    counts = [s.replicas for s in history]
    falls = [(before - min(counts[number:]), number) for number, before in enumerate(counts)]
    fall, number = max(falls)
    text = f"{counts[number]} → {counts[number] - fall}, {counts[-1]} at the end"
    return Check("replicas came down", fall > 0, text)


def _batch(history: Sequence[Snapshot]) -> Check:
    """All running pods had another value than the first pod began with, and kept it but for a trial pod at the end."""
    batches = [sorted({p.cgroup["batch"] for p in s.pods if p.cgroup.get("batch")}, key=int) for s in history]
    batches = [values for values in batches if values]
    if not batches:
        return Check("the batch size of running pods changed", False, "no environment could be read")
    path = [" and ".join(values) for values in batches]
    path = [value for number, value in enumerate(path) if number == 0 or value != path[number - 1]]
    first = batches[0][0]
    changed = any(first not in values for values in batches) and batches[-1] != [first]
    return Check("the batch size of running pods changed", changed, " → ".join(path))


def busy(lines: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Seconds with more than half of the load's swing, in its first and in its second half."""
    rates = [line["planned_rps"] for line in lines]
    if not rates:
        return [], []
    level, middle = (min(rates) + max(rates)) / 2, lines[-1]["seconds"] / 2
    above = [line for line in lines if line["planned_rps"] >= level and line["p95_seconds"] is not None]
    return [x for x in above if x["seconds"] < middle], [x for x in above if x["seconds"] >= middle]


def _missed_before(lines: Sequence[dict[str, Any]], target: float) -> Check:
    before, _ = busy(lines)
    missed = [line["p95_seconds"] for line in before if line["p95_seconds"] > target]
    worst = max(missed, default=0.0)
    text = f"{len(missed)} busy seconds above {target} s, p95 up to {worst:.2f} s"
    return Check("clients missed the latency target before", len(missed) >= 10, text)


def _held_after(lines: Sequence[dict[str, Any]], target: float) -> Check:
    _, after = busy(lines)
    if not after:
        return Check("clients had the latency target after", False, "no busy second in the second half")
    held = sum(line["p95_seconds"] <= target for line in after) / len(after)
    middle = sorted(line["p95_seconds"] for line in after)[len(after) // 2]
    text = f"{held:.0%} of {len(after)} busy seconds within {target} s, p95 {middle:.2f} s in the middle"
    return Check("clients had the latency target after", held >= HELD_SHARE, text)


def _alert(events: Sequence[dict[str, Any]]) -> Check:
    reasons = [event.get("reason") for event in events]
    fired, resolved = reasons.count("AlertFiring"), reasons.count("AlertResolved")
    return Check(
        "an alert fired and resolved, as events", fired > 0 and resolved > 0, f"{fired} fired, {resolved} resolved"
    )


def _told(history: Sequence[Snapshot]) -> Check:
    """Status named every condition, decisions of all three levers with reasons, what is in force, and the alert."""
    levers, ids = set(), set()
    true = any(_applied(snapshot) for snapshot in history[1:])
    alerted = any(alert.get("firing") for snapshot in history for alert in snapshot.status.get("alerts", []))
    for snapshot in history:
        for decision in snapshot.status.get("decisions", []):
            if decision.get("message") and decision.get("reason"):
                levers.add(decision["lever"].partition("/")[0])
                ids.add(decision["id"])
    conditions = history[-1].status.get("conditions", [])
    enough = {"Replicas", "Knob"} <= levers and bool({"CPU", "Memory"} & levers) and len(conditions) == 9
    enough = enough and true and alerted
    return Check(
        "status and decisions say it",
        enough,
        f"{len(ids)} decisions on {', '.join(sorted(levers))}; {len(conditions)} conditions; "
        f"applied {'is' if true else 'is not'} what the processes have; alert {'shown' if alerted else 'not shown'}",
    )


def _applied(snapshot: Snapshot) -> bool:
    """Whether status.applied is what the Deployment and the environments of all its processes say."""
    applied = snapshot.status.get("applied", {})
    said = {
        str(value)
        for one in applied.get("containers", [])
        for name, value in one.get("env", {}).items()
        if name == KNOB
    }
    seen = {pod.cgroup["batch"] for pod in snapshot.pods if pod.cgroup.get("batch")}
    return applied.get("replicas") == snapshot.replicas and bool(seen) and said == seen


def _template(history: Sequence[Snapshot]) -> Check:
    edits = len({snapshot.template for snapshot in history}) - 1
    sets = max(snapshot.replica_sets for snapshot in history)
    return Check(
        "the Deployment's template was never edited", edits == 0 and sets == 1, f"{edits} edits, {sets} ReplicaSet"
    )


def mib(text: str) -> str:
    """Bytes of a cgroup file as MiB; `max` and v1's huge number mean none."""
    try:
        size = int(text)
    except ValueError:
        return text or "?"
    return "none" if size > 1 << 60 else f"{size / 2**20:.0f}Mi"
