"""Cases in parts that two processes work off, finished rows kept so that a long run resumes."""

import hashlib
import json
import queue
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from multiprocessing.queues import Queue
from pathlib import Path

import numpy as np

import trimtab
from trimtab.decide.settings import Settings
from trimtab.lab.horizontal.load import make_load, peak_rate
from trimtab.lab.horizontal.oracle import oracle
from trimtab.lab.horizontal.policy import TICK
from trimtab.lab.horizontal.roster import MAKERS, ORACLE
from trimtab.lab.horizontal.run import Case, Outcome, simulate
from trimtab.lab.horizontal.score import Row
from trimtab.lab.horizontal.service import SERVICES
from trimtab.lab.traces import Arrivals

PROCESSES = 2
Series = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Part:
    """Cases of one service and seed that run in step."""

    service: str
    seed: int
    cases: tuple[tuple[Arrivals, float], ...]
    """Recording and start-up seconds."""
    policies: tuple[str, ...]

    @property
    def weight(self) -> float:
        """About how many requests a policy's rows have."""
        service = SERVICES[self.service]
        return sum(_requests(arrivals) for arrivals, _ in self.cases) * service.peak_pods

    def digest(self) -> str:
        """Differs whenever anything does that the rows depend on: the recordings, the options, the code."""
        text = hashlib.sha256(_code().encode())
        text.update(repr((self.service, self.seed, self.policies)).encode())
        for arrivals, startup in self.cases:
            text.update(repr((arrivals.name, arrivals.step, startup)).encode() + arrivals.rate.tobytes())
        return text.hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Finished:
    """What came out of one case and policy."""

    row: Row
    series: Series
    """By minute: `requests`, `violations` (share), `replicas` (mean), `ready` (mean)."""


def _requests(arrivals: Arrivals) -> float:
    """Requests relative to what a pod of the peak serves in a second."""
    return float(arrivals.rate.sum()) * arrivals.step / max(peak_rate(arrivals), 1e-9)


def _code() -> str:
    """Digest of the lab's and the engine's source and of the default settings."""
    root = Path(trimtab.__file__).parent
    text = hashlib.sha256(Settings().digest().encode())
    for folder in (root / "decide", root / "lab"):
        for file in sorted(folder.rglob("*.py")):
            text.update(file.read_bytes())
    return text.hexdigest()


def parts(
    arrivals: Sequence[Arrivals],
    services: Sequence[str],
    seeds: Sequence[int],
    startups: Sequence[float],
    policies: Sequence[str],
) -> list[Part]:
    """Every case once, as two parts of about the same weight for each service and seed, the heaviest part first."""
    cases = [(a, startup) for a in sorted(arrivals, key=_requests, reverse=True) for startup in startups]
    bins: list[list[tuple[Arrivals, float]]] = [[] for _ in range(PROCESSES)]
    for case in cases:
        min(bins, key=lambda members: sum(_requests(a) for a, _ in members)).append(case)
    made = [Part(service, seed, tuple(b), tuple(policies)) for service in services for seed in seeds for b in bins if b]
    return sorted(made, key=lambda part: -part.weight)


def run_part(part: Part, told: Callable[[float], None] = lambda _: None) -> list[Finished]:
    """Simulate a part; `told` is called with the share that is done.

    Raises:
        ValueError: a recording has no arrivals.
    """
    service = SERVICES[part.service]
    loads = {a.name: make_load(a, service, part.seed) for a, _ in part.cases}
    cases = [Case(a.name, service, part.seed, startup, loads[a.name]) for a, startup in part.cases]
    makers = {name: MAKERS[name] for name in part.policies if name in MAKERS}
    share = 0.7 if ORACLE in part.policies else 1.0
    outcomes = simulate(cases, makers, lambda done: told(share * done)) if makers else {}
    if ORACLE in part.policies:
        outcomes[ORACLE] = []
        for place, case in enumerate(cases):
            outcomes[ORACLE].append(oracle(case))
            told(share + (1.0 - share) * (place + 1) / len(cases))
    best = [outcome.pod_hours for outcome in outcomes.get(ORACLE, ())] or [float("nan")] * len(cases)
    return [
        Finished(_row(case, name, outcome, hours), _series(outcome))
        for name in part.policies
        for case, outcome, hours in zip(cases, outcomes[name], best, strict=True)
    ]


def _row(case: Case, name: str, outcome: Outcome, oracle_pod_hours: float) -> Row:
    return Row(
        trace=case.trace,
        service=case.service.name,
        seed=case.seed,
        policy=name,
        startup_seconds=case.startup_seconds,
        violations=outcome.violations,
        pod_hours=outcome.pod_hours,
        core_hours=outcome.core_hours,
        oracle_pod_hours=oracle_pod_hours,
        changes_per_day=outcome.changes_per_day,
    )


def _series(outcome: Outcome) -> Series:
    width = round(60 / TICK)
    count = len(outcome.requests) // width * width
    by_minute = {
        name: getattr(outcome, name)[:count].reshape(-1, width) for name in ("requests", "bad", "replicas", "ready")
    }
    requests = by_minute["requests"].sum(axis=1)
    violations = by_minute["bad"].sum(axis=1) / np.maximum(requests, 1)
    return {
        "requests": requests.astype(float).tolist(),
        "violations": np.round(violations, 6).tolist(),
        "replicas": by_minute["replicas"].mean(axis=1).tolist(),
        "ready": by_minute["ready"].mean(axis=1).tolist(),
    }


class Kept:
    """Finished parts in a file of lines, JSON each; without a file nothing is kept."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._known: dict[str, list[Finished]] = {}
        if file is not None and file.exists():
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        """One line; a half-written last one, as a stopped run leaves it, counts as not there."""
        try:
            record = json.loads(line)
            self._known[record["part"]] = [Finished(Row(**r["row"]), r["series"]) for r in record["finished"]]
        except (ValueError, KeyError, TypeError):
            return

    def of(self, digest: str) -> list[Finished] | None:
        """What an earlier run made of the part with this digest; None: nothing."""
        return self._known.get(digest)

    def keep(self, digest: str, finished: Sequence[Finished]) -> None:
        """Add a part."""
        if self._file is None:
            return
        record = {
            "part": digest,
            "finished": [{"row": one.row.as_dict(), "series": one.series} for one in finished],
        }
        with self._file.open("a+b") as out:
            out.seek(max(out.tell() - 1, 0))
            ends = out.read() in {b"", b"\n"}
            out.write((b"" if ends else b"\n") + json.dumps(record).encode() + b"\n")


_told: "Queue[tuple[int, float]] | None" = None


def _start(told: "Queue[tuple[int, float]]") -> None:
    """In a worker: where to report progress to."""
    global _told  # noqa: PLW0603 - a queue can only be handed to a worker process when it starts
    _told = told
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends its workers


def _work(place: int, part: Part) -> list[Finished]:
    def told(done: float) -> None:
        if _told is not None:
            _told.put((place, done))

    return run_part(part, told)


def run_all(
    made: Sequence[Part], kept: Kept, told: Callable[[float], None] = lambda _: None, *, processes: int = PROCESSES
) -> list[Finished]:
    """Every part, in the order given; those that `kept` knows are not run again. `told`: the share done, by weight."""
    # Taken before the work: what is kept must not pass for the result of code that was changed meanwhile.
    digests = [part.digest() for part in made]
    results = {place: known for place, digest in enumerate(digests) if (known := kept.of(digest)) is not None}
    whole = sum(part.weight for part in made) or 1.0
    done = {place: 1.0 if place in results else 0.0 for place in range(len(made))}

    def progress(place: int, share: float) -> None:
        done[place] = max(done[place], share)
        told(sum(part.weight * done[i] for i, part in enumerate(made)) / whole)

    left = [(place, part) for place, part in enumerate(made) if place not in results]
    for place, finished in _each(left, progress, processes):
        kept.keep(digests[place], finished)
        results[place] = finished
        progress(place, 1.0)
    return [one for place in range(len(made)) for one in results[place]]


def _each(
    left: Sequence[tuple[int, Part]], progress: Callable[[int, float], None], processes: int
) -> Iterator[tuple[int, list[Finished]]]:
    """Each part as it is finished, in worker processes where there is more than one to do."""
    if processes < 2 or len(left) < 2:
        for place, part in left:
            yield place, run_part(part, lambda share, place=place: progress(place, share))  # type: ignore[misc]
        return
    context = get_context("spawn")
    told: Queue[tuple[int, float]] = context.Queue()
    others = set(active_children())
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start, initargs=(told,))
    try:
        running = {pool.submit(_work, place, part): place for place, part in left}
        while running:
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            try:
                while True:
                    progress(*told.get_nowait())
            except queue.Empty:
                pass
            for future in finished:
                yield running.pop(future), future.result()
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(active_children()) - others:
            worker.terminate()
        raise
