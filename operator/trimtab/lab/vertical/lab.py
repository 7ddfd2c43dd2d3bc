"""One run of the vertical lab: every recording through every policy, and the figures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from trimtab.lab.traces import Skipped, Usage
from trimtab.lab.vertical.replay import Policy, Progress, Replay, replay_cpu, replay_memory
from trimtab.lab.vertical.scale import normalised
from trimtab.lab.vertical.score import Row, score
from trimtab.lab.vertical.totals import YARDSTICK, Total, totals


@dataclass(frozen=True, slots=True)
class Set:
    """Recordings that are shown together, scored."""

    usages: Sequence[Usage]
    """As read, in their own units."""
    factors: Sequence[float]
    """Scaled value over recorded value, one a recording."""
    replays: Mapping[str, Sequence[Replay]]
    """Policy → its replay of every recording, in that order."""
    rows: Sequence[Row]
    """By recording, then by policy."""
    totals: Sequence[Total]


@dataclass(frozen=True, slots=True)
class Result:
    """Everything a report says."""

    policies: Sequence[str]
    real: Set
    generated: Set
    skipped: Sequence[Skipped]


def steps(policies: Sequence[str]) -> int:
    """Steps that `run` reports: one a policy and set of recordings."""
    return 2 * len(_with_yardstick(policies))


def run(
    usages: Sequence[Usage],
    made: Sequence[Usage],
    skipped: Sequence[Skipped],
    known: Mapping[str, Callable[[], Policy]],
    policies: Sequence[str],
    started: Callable[[str], None],
    progress: Progress,
    finished: Callable[[], None],
) -> Result:
    """Replay recordings and generated ones. VPA always runs, as the yardstick; it is shown when named.

    Args:
        usages: as read.
        made: generated memory.
        skipped: files that were left out.
        known: name → a fresh policy.
        policies: names to show, in the order of the table.
        started: told at the start of each step what it is.
        progress: told how far a step is.
        finished: told at the end of each step.
    """

    def replay(scaled: Sequence[Usage], what: str) -> dict[str, list[Replay]]:
        result = {}
        for name in _with_yardstick(policies):
            started(f"{name} on {what}")
            result[name] = _replay(known[name](), scaled, progress)
            finished()
        return result

    real = _scored(usages, lambda scaled: replay(scaled, "recordings"), policies)
    generated = _scored(made, lambda scaled: replay(scaled, "generated memory"), policies)
    return Result(policies, real, generated, skipped)


def _with_yardstick(policies: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*policies, YARDSTICK]))


def _replay(policy: Policy, usages: Sequence[Usage], progress: Progress) -> list[Replay]:
    """Both resources, in the order of the recordings."""
    cpu = [u for u in usages if u.resource == "cpu"]
    memory = [u for u in usages if u.resource == "memory"]
    half = 0.5 if cpu and memory else 1.0
    replays = [
        *replay_cpu(policy, cpu, lambda name, share: progress(name, half * share)),
        *replay_memory(policy, memory, lambda name, share: progress(name, 1 - half + half * share)),
    ]
    done = {(r.usage.name, r.usage.resource): r for r in replays}
    return [done[u.name, u.resource] for u in usages]


def _scored(
    usages: Sequence[Usage],
    replay: Callable[[Sequence[Usage]], dict[str, list[Replay]]],
    policies: Sequence[str],
) -> Set:
    scaled = [normalised(u) for u in usages]
    replays = replay([u for u, _ in scaled])
    scores = {name: [score(r) for r in done] for name, done in replays.items()}
    rows = [scores[name][i] for i in range(len(usages)) for name in policies]
    shown = {name: replays[name] for name in policies}
    return Set(usages, [f for _, f in scaled], shown, rows, totals(rows, scores[YARDSTICK]))
