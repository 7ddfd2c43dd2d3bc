"""One policy through one scenario, second by second, and what came of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from trimtab.api.reasons import Reason
from trimtab.decide.columns import F8
from trimtab.decide.settings import Settings
from trimtab.lab.horizontal.load import Load, make_load
from trimtab.lab.horizontal.policy import TICK
from trimtab.lab.horizontal.rivals import HPA_TARGETS
from trimtab.lab.loop.cluster import Cluster, Sizes
from trimtab.lab.loop.metrics import Prometheus, Reading
from trimtab.lab.loop.requests import Requests
from trimtab.lab.loop.rivals import HpaAndVpa, HpaPolicy
from trimtab.lab.loop.scenario import Scenario
from trimtab.lab.loop.trimtab import Trimtab
from trimtab.lab.traces import Arrivals

WARM_UP_SHARE = 0.25
"""Share of the run that is not scored."""
UTILIZATION_AT_START = 0.7


class Policy(Protocol):
    """What moves the cluster."""

    def tick(self, cluster: Cluster, seen: Reading) -> None:
        """Called every 15 s."""
        ...


@dataclass(frozen=True, slots=True)
class Series:
    """One entry a tick, float64[ticks]."""

    time: F8
    rate: F8
    """Requests/s that arrived."""
    latency: F8
    """95% quantile of what ended in the tick, seconds; NaN: nothing."""
    bad: F8
    """Share of what ended in the tick that was over the target."""
    quota: F8
    """Mean CPU limit of the ready pods, cores."""
    request: F8
    """CPU requested by all scheduled pods, cores."""
    replicas: F8
    ready: F8
    lent: F8
    """Cores lent to each borrower."""
    kills: F8
    """OOM kills since the tick before."""
    revision: F8
    """Roll-outs so far."""


_SERIES = tuple(Series.__slots__)


@dataclass(frozen=True, slots=True)
class Result:
    """A row of the table."""

    trace: str
    scenario: str
    policy: str
    violations: float
    """Share of the scored requests over the latency target, failed ones included."""
    core_hours: float
    memory_gib_hours: float
    pod_hours: float
    ooms: int
    changes: int
    """Changes of the replica count, of a pod's size, and evictions."""
    evictions: int
    rollbacks: int
    loans: int
    throttled: float
    """Share of CPU periods throttled, of the whole run."""
    least_ready: int
    """Fewest ready pods at a scored tick."""
    series: Series
    chosen: str = ""
    """Of hpa-best: the policy that hindsight chose."""


def first_replicas(load: Load, scenario: Scenario) -> int:
    """Pods that the first minute needs at 70% of their CPU."""
    need = scenario.workload
    work = float(load.work[: np.searchsorted(load.times, 60.0)].sum()) / 60.0
    return int(np.clip(math.ceil(work / (need.cores * UTILIZATION_AT_START)), 1, need.most_pods))


def simulate(
    arrivals: Arrivals,
    scenario: Scenario,
    name: str,
    policy: Policy,
    seed: int,
    told: Callable[[float], None] = lambda _: None,
) -> Result:
    """Run it. The same arguments give the same result; the requests are the same for every policy."""
    need = scenario.workload
    load = make_load(shaped(arrivals, scenario), need.service, seed)
    cluster = Cluster(scenario, load.seconds, Sizes.of(need))
    requests = Requests(load, cluster.pods, need.mean_seconds, np.full(scenario.nodes, scenario.node_cores))
    cluster.requests = requests
    cluster.begin(first_replicas(load, scenario))
    prometheus = Prometheus(scenario, load.seconds, load.phase)
    recorder = _Recorder(cluster, need.service.target, WARM_UP_SHARE * load.seconds)
    deployed = False
    for second in range(int(load.seconds)):
        now = float(second)
        cluster.scored = now >= WARM_UP_SHARE * load.seconds
        if not deployed and second / load.seconds >= scenario.deploy_at:
            cluster.deploy()
            deployed = True
        cluster.advance(now)
        if second % int(TICK) == 0:
            policy.tick(cluster, prometheus.ask(now))
            recorder.tick(now, requests.arrived, policy)
            told(second / load.seconds)
        requests.second(now, cluster.crowded)
        at, latency, pod = requests.take_ended()
        recorder.ended(at, latency)
        prometheus.scrape(cluster, requests, (latency, pod))
    return recorder.result(arrivals.name, scenario.name, name)


def shaped(arrivals: Arrivals, scenario: Scenario) -> Arrivals:
    """The recording, or a step on its mean rate where the scenario asks for one."""
    if scenario.step == 1.0:
        return arrivals
    share = np.arange(len(arrivals.rate)) / len(arrivals.rate)
    inside = (share >= scenario.step_window.begin) & (share < scenario.step_window.end)
    return replace(arrivals, rate=float(arrivals.rate.mean()) * np.where(inside, scenario.step, 1.0))


class _Recorder:
    """What happened, by tick and in total."""

    def __init__(self, cluster: Cluster, target: float, scored_from: float) -> None:
        self._cluster, self._target, self._from = cluster, target, scored_from
        self._rows: list[tuple[float, ...]] = []
        self._ended: list[F8] = []
        self._policy: Policy | None = None
        self._arrived = self._kills = 0
        self._total = self._bad = 0
        self._least = 10**9

    def ended(self, at: F8, latency: F8) -> None:
        """Requests that ended in the last second."""
        self._ended.append(latency)
        scored = at >= self._from
        self._total += int(scored.sum())
        self._bad += int((latency[scored] > self._target).sum())

    def tick(self, now: float, arrived: int, policy: Policy) -> None:
        """A row of the series."""
        cluster, pods = self._cluster, self._cluster.pods
        self._policy = policy
        rows = pods.staying
        ready = rows[pods.ready[rows]]
        latency = np.concatenate(self._ended) if self._ended else np.empty(0)
        self._ended.clear()
        scheduled = pods.rows(pods.exists & (pods.node >= 0))
        if cluster.scored:
            self._least = min(self._least, len(ready))
        self._rows.append(
            (
                now,
                (arrived - self._arrived) / TICK,
                float(np.quantile(np.minimum(latency, 1e3 * self._target), 0.95)) if len(latency) else math.nan,
                float((latency > self._target).mean()) if len(latency) else math.nan,
                float(pods.cap[ready].mean()) if len(ready) else math.nan,
                float(pods.request[scheduled].sum()),
                float(cluster.replicas),
                float(len(ready)),
                policy.loan.cpu if isinstance(policy, Trimtab) else 0.0,
                float(cluster.kill.count - self._kills),
                float(cluster.revision),
            )
        )
        self._kills = cluster.kill.count
        self._arrived = arrived

    def result(self, trace: str, scenario: str, name: str) -> Result:
        """The row of the table."""
        score, pods, n = self._cluster.score, self._cluster.pods, self._cluster.pods.made
        columns = [np.array(column) for column in zip(*self._rows, strict=True)]
        made = list(self._policy.decisions.values()) if isinstance(self._policy, Trimtab) else []
        periods = float(pods.periods[:n].sum())
        return Result(
            trace=trace,
            scenario=scenario,
            policy=name,
            violations=self._bad / self._total if self._total else 0.0,
            core_hours=score.core_seconds / 3600.0,
            memory_gib_hours=score.memory_seconds / 3600.0,
            pod_hours=score.pod_seconds / 3600.0,
            ooms=score.ooms,
            changes=score.changes,
            evictions=score.evictions,
            rollbacks=sum(d.reason is Reason.MOVE_ROLLED_BACK for d in made),
            loans=sum(d.reason is Reason.SURGE_BRIDGED for d in made),
            throttled=float(pods.throttled[:n].sum()) / periods if periods else 0.0,
            least_ready=self._least,
            series=Series(**dict(zip(_SERIES, columns, strict=True))),
        )


PolicyMaker = Callable[[], Policy]


def policies() -> dict[str, PolicyMaker]:
    """What is compared, by name.

    `-no-bridge` lends nothing. `-limits-held` answers no throttling, so that limits have no standing room for bursts
    and the bridge's own part shows. `-no-knob` lists no knob: no trial holds the replicas while it compares.
    """

    def trimtab(**changes: Any) -> Trimtab:
        return Trimtab(settings=replace(Settings(), **changes))

    found: dict[str, PolicyMaker] = {
        "trimtab": Trimtab,
        "trimtab-no-bridge": partial(trimtab, bridge_seconds=0.0),
        "trimtab-limits-held": partial(trimtab, throttled=1.0),
        "trimtab-limits-held-no-bridge": partial(trimtab, throttled=1.0, bridge_seconds=0.0),
        "trimtab-no-knob": partial(Trimtab, knobs=False),
        "hpa+vpa": HpaAndVpa,
    }
    return found | {f"hpa-{target}": partial(HpaPolicy, target) for target in HPA_TARGETS}
