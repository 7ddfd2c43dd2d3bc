"""The simulated cluster: a Deployment's pods on nodes, their start-up, resizes, kills and rollouts, second by second.

What the API would take, it takes: replicas at once, a resize into the cgroup 0.1–0.3 s later if the node has room for
the request (KEP-1287; measured), Deferred otherwise. A new pod waits for a node with room for its request, then for its
start-up. A killed container runs again after 60 s; what it worked on is lost. A rollout surges by a quarter of the pods
and takes an old pod away for every new one that is ready (maxSurge 25%, maxUnavailable 0).
"""

import math
from dataclasses import dataclass, field

import numpy as np

from trimtab.decide.columns import F8
from trimtab.lab.loop.pods import Pods
from trimtab.lab.loop.requests import Requests
from trimtab.lab.loop.scenario import Scenario, Workload

OOM_SECONDS = 60.0
GRACE = 30.0
"""Seconds that a pod which is being deleted may finish its requests (terminationGracePeriodSeconds)."""
SURGE_SHARE = 0.25
RESIZE_SECONDS = 0.3
KNOB_BEST = 16.0
"""Knob value at which a request costs least CPU."""
_ROOM = 1e-9


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a new pod gets: cores and bytes."""

    request: float
    limit: float
    memory_request: float
    memory_limit: float

    @classmethod
    def of(cls, need: Workload) -> "Sizes":
        """The pod template."""
        memory_request = need.memory_limit if need.guaranteed else need.memory_request
        return cls(need.cores, need.cores, memory_request, need.memory_limit)


@dataclass(slots=True)
class Score:
    """Sums over the scored time."""

    core_seconds: float = 0.0
    memory_seconds: float = 0.0
    """GiB requested × seconds."""
    pod_seconds: float = 0.0
    ooms: int = 0
    changes: int = 0
    """Changes of the replica count, of a pod's size, and pods evicted."""
    resizes: int = 0
    evictions: int = 0


@dataclass(slots=True)
class Kill:
    """The last OOM kill: when, and at which limit; and how many there were."""

    at: float = 0.0
    limit: float = math.nan
    count: int = 0


@dataclass(slots=True)
class Cluster:
    """One workload on its nodes. Policies move it through `scale`, `resize`, `evict` and `template`."""

    scenario: Scenario
    seconds: float
    template: Sizes
    """What new pods get (template, or what shaped it)."""
    pods: Pods = field(default_factory=Pods)
    replicas: int = 0
    revision: int = 0
    knob: int = 8
    """Knob value that new pods get."""
    now: float = 0.0
    scored: bool = False
    score: Score = field(default_factory=Score)
    kill: Kill = field(default_factory=Kill)
    requests: Requests | None = None

    @property
    def nodes(self) -> F8:
        """Cores of each node for this workload, float64[nodes]."""
        full = self.scenario.full.holds(self.now / self.seconds)
        used = self.taken() if full else None
        cores = np.full(self.scenario.nodes, self.scenario.node_cores)
        return np.minimum(cores, used) if used is not None else cores

    def taken(self) -> F8:
        """Cores requested on each node, float64[nodes]."""
        rows = self.pods.rows(self.pods.exists & (self.pods.node >= 0))
        return np.bincount(self.pods.node[rows], self.pods.request[rows], self.scenario.nodes).astype(np.float64)

    def begin(self, replicas: int) -> None:
        """Start with so many ready pods."""
        self.replicas = replicas
        for _ in range(replicas):
            self._create()
        self._schedule()
        rows = self.pods.rows(self.pods.exists)
        self.pods.ready_at[rows], self.pods.ready[rows] = 0.0, True
        self.pods.kinds()

    def scale(self, replicas: int) -> None:
        """Set spec.replicas."""
        if replicas != self.replicas and replicas >= 1:
            self.replicas = replicas
            self._count()

    def resize(self, row: int, request: float, limit: float, memory_request: float, memory_limit: float) -> bool:
        """Ask for other sizes of a running pod; False: Deferred, the node has no room, and the pod keeps its sizes."""
        pods, node = self.pods, int(self.pods.node[row])
        more = request - pods.request[row]
        if node < 0 or (more > _ROOM and self.taken()[node] + more > self.nodes[node] + _ROOM):
            return False
        pods.request[row], pods.limit[row] = request, limit
        pods.cap_at[row] = self.now + RESIZE_SECONDS
        pods.memory_request[row], pods.memory_limit[row] = memory_request, memory_limit
        self._count()
        if self.scored:
            self.score.resizes += 1
        return True

    def evict(self, row: int) -> None:
        """Delete a pod; the Deployment makes another one."""
        self._delete(row)
        self._count()
        if self.scored:
            self.score.evictions += 1

    def trial(self, knob: int) -> None:
        """Create a trial pod with this knob value."""
        row = self._create()
        self.pods.trial[row], self.pods.knob[row] = True, knob
        self.pods.factor[row] = self._cost(knob, self.revision)

    def deploy(self) -> None:
        """Roll out the next revision."""
        self.revision += 1

    @property
    def rolling(self) -> bool:
        """Pods of an older revision are left."""
        rows = self.pods.staying
        return bool((self.pods.revision[rows] != self.revision).any())

    @property
    def crowded(self) -> bool:
        """Limits on some node add up to more than it has."""
        rows = self.pods.rows(self.pods.exists & (self.pods.node >= 0))
        limits = np.bincount(self.pods.node[rows], self.pods.cap[rows], self.scenario.nodes)
        return bool((limits > self.scenario.node_cores + _ROOM).any())

    def advance(self, now: float) -> None:
        """Bring the pods to `now`; called once a second."""
        self.now, pods = now, self.pods
        due = pods.rows(pods.exists & (pods.cap_at <= now))
        pods.cap[due], pods.cap_at[due] = pods.limit[due], math.inf
        gone = pods.rows(pods.exists & pods.leaving & ((pods.leaves_at <= now) | self._idle()))
        pods.exists[gone] = pods.ready[gone] = False
        if self.requests is not None:
            for row in gone.tolist():
                self.requests.drop(row)
        if self.rolling:
            self._roll()
        self._fill()
        self._schedule()
        self._memory()
        n = pods.made
        up = pods.exists[:n] & (pods.node[:n] >= 0) & (pods.ready_at[:n] <= now) & (pods.down_until[:n] <= now)
        pods.ready[:n] = up
        pods.kinds()
        if self.scored:
            rows = pods.rows(pods.exists & (pods.node >= 0))
            self.score.core_seconds += float(pods.request[rows].sum())
            self.score.memory_seconds += float(pods.memory_request[rows].sum()) / 2.0**30
            self.score.pod_seconds += len(rows)

    def working_set(self) -> F8:
        """Bytes by pod, float64[made]."""
        need = self.scenario.workload
        base = need.memory_base * (4.0 if self.scenario.hungry.holds(self.now / self.seconds) else 1.0)
        flight = np.zeros(self.pods.made)
        if self.requests is not None:
            known = self.requests.in_flight[: self.pods.made]
            flight[: len(known)] = known
        return np.where(self.pods.exists[: self.pods.made], base + need.memory_each * flight, 0.0)

    def _idle(self) -> np.ndarray:
        busy = np.zeros(len(self.pods.exists), dtype=bool)
        if self.requests is not None:
            known = self.requests.in_flight
            busy[: len(known)] = known > 0
        return ~busy

    def _count(self) -> None:
        if self.scored:
            self.score.changes += 1

    def _cost(self, knob: int, revision: int) -> float:
        """CPU of a request relative to the first revision's at the best knob value: 3% more at an octave off."""
        octaves = math.log2(max(knob, 1) / KNOB_BEST)
        return (1.0 + 0.03 * octaves**2) / (1.0 + 0.03) * (self.scenario.deploy_cost if revision else 1.0)

    def _create(self) -> int:
        size = self.template
        row = self.pods.add(self.now, size.request, size.limit, size.memory_request, size.memory_limit)
        self.pods.knob[row], self.pods.revision[row] = self.knob, self.revision
        self.pods.factor[row] = self._cost(self.knob, self.revision)
        return row

    def _delete(self, row: int) -> None:
        pods = self.pods
        if pods.node[row] < 0:
            pods.exists[row] = False
        pods.leaving[row], pods.ready[row], pods.leaves_at[row] = True, False, self.now + GRACE

    def _fill(self) -> None:
        """Make or remove pods until there are `replicas`; those that are not ready go first, then the youngest."""
        rows = self.pods.staying
        if self.rolling:
            return
        for _ in range(self.replicas - len(rows)):
            self._create()
        if len(rows) > self.replicas:
            order = np.lexsort((-self.pods.created[rows], self.pods.ready[rows]))
            for row in rows[order][: len(rows) - self.replicas].tolist():
                self._delete(row)

    def _roll(self) -> None:
        """One step of the rolling update."""
        pods, rows = self.pods, self.pods.staying
        old, new = rows[pods.revision[rows] != self.revision], rows[pods.revision[rows] == self.revision]
        ready = int(pods.ready[rows].sum())
        order = np.lexsort((pods.created[old], pods.ready[old]))
        for row in old[order][: max(0, min(ready, len(rows)) - self.replicas)].tolist():
            self._delete(row)
        room = self.replicas + math.ceil(SURGE_SHARE * self.replicas) - len(rows)
        for _ in range(max(0, min(room, self.replicas - len(new)))):
            self._create()

    def _schedule(self) -> None:
        """Place waiting pods, oldest first, on the node with the most room (NodeResourcesFit, LeastAllocated)."""
        pods = self.pods
        waiting = pods.rows(pods.exists & (pods.node < 0))
        if not len(waiting):
            return
        free = self.nodes - self.taken()
        slow = 3.0 if self.scenario.slow_start.holds(self.now / self.seconds) else 1.0
        for row in waiting.tolist():
            node = int(np.argmax(free))
            if free[node] + _ROOM < pods.request[row]:
                break
            free[node] -= pods.request[row]
            pods.node[row] = node
            pods.ready_at[row] = self.now + self.scenario.workload.startup_seconds * slow

    def _memory(self) -> None:
        """Working sets against limits: a container above its limit is killed."""
        pods, n = self.pods, self.pods.made
        used = self.working_set()
        runs = pods.exists[:n] & (pods.ready_at[:n] <= self.now) & (pods.down_until[:n] <= self.now)
        pods.peak[:n] = np.maximum(pods.peak[:n], np.where(runs, np.minimum(used, pods.memory_limit[:n]), 0.0))
        for row in np.flatnonzero(runs & (used > pods.memory_limit[:n])).tolist():
            pods.down_until[row] = self.now + OOM_SECONDS
            self.kill.at, self.kill.limit = self.now, float(pods.memory_limit[row])
            self.kill.count += 1
            if self.scored:
                self.score.ooms += 1
            if self.requests is not None:
                self.requests.drop(row)
