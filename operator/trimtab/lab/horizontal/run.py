"""Many workloads through many policies, tick by tick."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.decide.columns import I8
from trimtab.lab.horizontal.fleet import Fleet
from trimtab.lab.horizontal.load import Load, Window
from trimtab.lab.horizontal.policy import TICK, Metrics, ReplicaPolicy, Terms
from trimtab.lab.horizontal.scrape import Scraper
from trimtab.lab.horizontal.service import PEAK_UTILIZATION, Service
from trimtab.lab.peers.hpa import Pod


@dataclass(frozen=True, slots=True)
class Case:
    """A workload: a service, its requests, and how long its pods take to start."""

    trace: str
    service: Service
    seed: int
    startup_seconds: float
    load: Load
    initial: int = 0
    """Ready pods at time 0; 0: as many as the first minute needs at PEAK_UTILIZATION."""

    @property
    def terms(self) -> Terms:
        """What policies are told."""
        if self.initial:
            return Terms(self.service, self.startup_seconds, 1, self.service.most_pods, self.initial)
        first = float(self.load.work[: np.searchsorted(self.load.times, 60.0)].sum()) / 60.0
        initial = int(np.clip(np.ceil(first / (self.service.workers * PEAK_UTILIZATION)), 1, self.service.most_pods))
        return Terms(self.service, self.startup_seconds, 1, self.service.most_pods, initial)


PolicyMaker = Callable[[Sequence[Terms]], ReplicaPolicy]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy did to one case. Series have one entry a tick, int64[ticks]."""

    violations: float
    """Share of the scored requests over the latency target; scored is what arrives after the warm-up."""
    pod_hours: float
    """Of the scored time: pods that start, run or (at most 30 s) finish."""
    core_hours: float
    """CPU requested, in core-hours of the scored time."""
    changes_per_day: float
    """Changes of spec.replicas in the scored time."""
    requests: I8
    bad: I8
    """Requests that arrived in the tick, and those of them over the target."""
    replicas: I8
    ready: I8


class _Row:
    """One policy on one case."""

    def __init__(self, case: Case, *, watched: bool = True) -> None:
        self.case = case
        self.terms = case.terms
        self.ticks = max(1, int(np.ceil(case.load.seconds / TICK - 1e-9)))
        self.scored = min(int(np.ceil(case.load.scored_from / TICK)), self.ticks - 1)
        self.fleet = Fleet(case.service, case.startup_seconds, self.terms.initial)
        self.scraper = Scraper(case.load, case.service, self.fleet) if watched else None
        self.series = np.zeros((4, self.ticks), dtype=np.int64)
        self.paid_before = 0.0
        self.changes = 0
        self._pods: tuple[float, int, list[Pod]] = (-1.0, -1, [])

    def pods(self) -> list[Pod]:
        """As the API server has them; the same list until a pod or a sample changes."""
        measured = self.scraper.stamp if self.scraper else 0.0
        if self._pods[:2] != (measured, self.fleet.version):
            self._pods = (measured, self.fleet.version, self._listed(measured))
        return self._pods[2]

    def _listed(self, measured: float) -> list[Pod]:
        return [
            Pod(
                usage=pod.used,
                request=self.case.service.cores,
                ready=ready,
                started=pod.ordered,
                ready_changed=pod.ready if ready else pod.ordered,
                measured=measured,
            )
            for pods, ready in ((self.fleet.serving, True), (self.fleet.starting, False))
            for pod in pods
        ]

    def show(self, tick: int, row: int, seen: Metrics) -> None:
        """Bring the row of `seen` up to date at the start of a tick."""
        now = tick * TICK
        if self.scraper:
            self.scraper.read(now, row, seen)
        self.fleet.start_due(now)
        seen.ready[row], seen.starting[row] = len(self.fleet.serving), len(self.fleet.starting)
        seen.replicas[row] = self.fleet.replicas
        seen.active[row] = tick < self.ticks

    def live(self, tick: int, wanted: int, window: Window) -> None:
        """Scale, and serve what arrives until the next tick."""
        now, fleet, terms = tick * TICK, self.fleet, self.terms
        if tick == self.scored:
            self.paid_before = fleet.paid
        goal = min(max(wanted, terms.replicas_min), terms.replicas_max)
        if goal != fleet.replicas:
            self.changes += tick >= self.scored
            fleet.scale(now, goal)
        fleet.paid += fleet.replicas * (min(now + TICK, self.case.load.seconds) - now)
        starts, uids = fleet.run(window)
        finish = starts + window.work
        if self.scraper:
            self.scraper.add(window.times, starts, finish, uids)
        self.series[:, tick] = (
            len(window),
            np.count_nonzero(finish - window.times > self.case.service.target),
            fleet.replicas,
            len(fleet.serving),
        )

    def outcome(self) -> Outcome:
        """The scores."""
        requests, bad = self.series[0, self.scored :].sum(), self.series[1, self.scored :].sum()
        hours = (self.fleet.paid - self.paid_before) / 3600.0
        days = (self.case.load.seconds - self.scored * TICK) / 86400.0
        return Outcome(
            violations=float(bad / requests) if requests else 0.0,
            pod_hours=hours,
            core_hours=hours * self.case.service.cores,
            changes_per_day=self.changes / days,
            requests=self.series[0],
            bad=self.series[1],
            replicas=self.series[2],
            ready=self.series[3],
        )


def simulate(
    cases: Sequence[Case], policies: Mapping[str, PolicyMaker], told: Callable[[float], None] = lambda _: None
) -> dict[str, list[Outcome]]:
    """Every policy on every case, all of them in step, so that a policy decides for all its rows at once.

    Returns an Outcome a case for every policy. `told` is called with the share that is done. The same inputs give the
    same result, whatever else runs in the same call: rows do not touch.
    """
    terms = [case.terms for case in cases]
    runs: list[tuple[ReplicaPolicy, Metrics, list[_Row]]] = []
    for make in policies.values():
        rows = [_Row(case) for case in cases]
        seen = Metrics.blank(len(cases))
        seen.listers.extend(row.pods for row in rows)
        runs.append((make(terms), seen, rows))
    longest = max((row.ticks for _, _, rows in runs for row in rows), default=0)
    loads = {id(case.load): case.load for case in cases}
    for tick in range(longest):
        windows = {key: load.window(tick * TICK, (tick + 1) * TICK) for key, load in loads.items()}
        for policy, seen, rows in runs:
            seen.now = tick * TICK
            for i, row in enumerate(rows):
                if tick <= row.ticks:
                    row.show(tick, i, seen)
            wanted = policy.step(seen.now, seen).tolist()
            for i, row in enumerate(rows):
                if tick < row.ticks:
                    row.live(tick, wanted[i], windows[id(row.case.load)])
        if tick % 40 == 0:
            told(tick / longest)
    return {name: [row.outcome() for row in rows] for name, (_, _, rows) in zip(policies, runs, strict=True)}


def replay(case: Case, schedule: I8) -> Outcome:
    """What a known schedule of replicas, int64[ticks], does to a case: nothing is measured or decided."""
    row = _Row(case, watched=False)
    for tick, replicas in enumerate(schedule[: row.ticks].tolist()):
        row.fleet.start_due(tick * TICK)
        row.live(tick, replicas, case.load.window(tick * TICK, (tick + 1) * TICK))
    return row.outcome()
