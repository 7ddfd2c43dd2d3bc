"""Usage and requests of every container of a fleet on one grid of 5-minute steps."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trimtab.backtest.owners import Workload, shown
from trimtab.decide.columns import B1, F8, I8
from trimtab.lab.traces import ResourceName, Usage
from trimtab.observe.builtin import BACKFILL_STEP_SECONDS

STEP = BACKFILL_STEP_SECONDS
F4 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Track:
    """One container of one workload; arrays of S steps, NaN where nothing is known."""

    workload: Workload
    container: str
    cpu: F4
    """Cores of its busiest pod."""
    memory: F4
    """Peak working set of its largest pod, bytes."""
    cpu_request: F4
    memory_request: F4
    """Largest request of its pods, cores and bytes."""
    pods: F4
    """Pods that were measured; 0: none."""
    kills: F4
    """OOM kills of its pods, as kube-state-metrics counts them; NaN: not counted."""

    @property
    def name(self) -> str:
        """namespace/workload/container, as it may be shown."""
        return f"{self.workload}/{shown(self.container)}"

    def values(self, resource: ResourceName) -> F4:
        """Usage of one resource."""
        return self.cpu if resource == "cpu" else self.memory

    def request(self, resource: ResourceName) -> F4:
        """Requests of one resource."""
        return self.cpu_request if resource == "cpu" else self.memory_request

    @property
    def present(self) -> B1:
        """Steps in which anything was measured of it, bool[S]."""
        return np.asarray((self.pods > 0) | np.isfinite(self.cpu) | np.isfinite(self.memory), dtype=np.bool_)

    def usage(self, resource: ResourceName, times: F8) -> Usage:
        """The recording of one resource as the lab replays it: known samples only."""
        values = self.values(resource)
        known = np.flatnonzero(np.isfinite(values) & (values >= 0))
        return Usage(self.name, resource, times[known], values[known].astype(np.float64), STEP)


@dataclass(slots=True)
class Fleet:
    """Tracks in the making: `add` takes what one query gave, in any order."""

    start: float
    """Unix seconds of the first step."""
    steps: int
    _tracks: dict[tuple[Workload, str], Track] = field(default_factory=dict)
    _measured: B1 | None = None

    @property
    def times(self) -> F8:
        """Unix seconds of every step, float64[S]."""
        return np.asarray(self.start + STEP * np.arange(self.steps), dtype=np.float64)

    @property
    def tracks(self) -> list[Track]:
        """Every container, by name."""
        return [self._tracks[key] for key in sorted(self._tracks)]

    @property
    def told(self) -> bool:
        """Whether the nodes themselves told when anything was measured."""
        return self._measured is not None

    @property
    def known(self) -> B1:
        """Steps in which something was measured, of a node or of any container, bool[S]."""
        seen = np.zeros(self.steps, dtype=np.bool_) if self._measured is None else self._measured.copy()
        for track in self._tracks.values():
            seen |= track.present
        return seen

    def measured(self, times: F8) -> None:
        """Times at which a node was measured: a container without a sample then was not there."""
        if self._measured is None:
            self._measured = np.zeros(self.steps, dtype=np.bool_)
        at = self.places(times)
        self._measured[at[at >= 0]] = True

    def places(self, times: F8) -> I8:
        """Steps of these times; −1 outside."""
        at = np.rint((times - self.start) / STEP).astype(np.int64)
        return np.where((at >= 0) & (at < self.steps), at, -1)

    def add_usage(self, workload: Workload, container: str, resource: ResourceName, times: F8, values: F8) -> None:
        """Samples of one pod: the largest of all pods stays."""
        track = self._track(workload, container)
        self._largest(track.values(resource), times, values)
        if resource == "memory":
            at = self.places(times)
            np.add.at(track.pods, at[at >= 0], 1)

    def add_request(self, workload: Workload, container: str, resource: ResourceName, times: F8, values: F8) -> None:
        """Requests of one pod, each standing until the next one that is known, an hour at most."""
        track = self._tracks.get((workload, container))
        if track is None:
            return  # a request that nothing was measured of
        column = track.request(resource)
        for later in range(int(3600 / STEP)):
            self._largest(column, times + later * STEP, values)

    def counted(self, namespace: str) -> None:
        """OOM kills of this namespace are known: none but those that `add_kills` brings."""
        for track in self.within(namespace):
            track.kills[:] = 0.0

    def add_kills(self, workload: Workload, container: str, times: F8, kills: F8) -> None:
        """OOM kills of one pod in the hours before these times."""
        track = self._tracks.get((workload, container))
        if track is not None:
            at = self.places(times)
            np.add.at(track.kills, at[at >= 0], kills[at >= 0].astype(np.float32))

    def forget(self, namespace: str) -> None:
        """Drop a namespace of which only a part was read."""
        self._tracks = {key: track for key, track in self._tracks.items() if key[0].namespace != namespace}

    def within(self, namespace: str) -> list[Track]:
        """Containers of a namespace."""
        return [track for (owner, _), track in self._tracks.items() if owner.namespace == namespace]

    def containers(self, workload: Workload) -> list[str]:
        """Containers that were measured of a workload."""
        return [container for owner, container in self._tracks if owner == workload]

    def _track(self, workload: Workload, container: str) -> Track:
        key = workload, container
        if key not in self._tracks:
            cpu, memory, cpu_request, memory_request, kills = np.full((5, self.steps), np.nan, dtype=np.float32)
            pods = np.zeros(self.steps, dtype=np.float32)
            self._tracks[key] = Track(workload, container, cpu, memory, cpu_request, memory_request, pods, kills)
        return self._tracks[key]

    def _largest(self, column: F4, times: F8, values: F8) -> None:
        at = self.places(times)
        inside = (at >= 0) & np.isfinite(values)
        np.fmax.at(column, at[inside], values[inside].astype(np.float32))
