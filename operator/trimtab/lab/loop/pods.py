"""The pods of the simulated workload as columns; a pod keeps its row for good."""

import numpy as np

from trimtab.decide.columns import F8, I8

_NUMBERS = (
    "created",
    "ready_at",
    "request",
    "limit",
    "cap",
    "cap_at",
    "memory_request",
    "memory_limit",
    "down_until",
    "leaves_at",
    "factor",
    "cpu_seconds",
    "periods",
    "throttled",
    "peak",
)
_COUNTS = ("node", "knob", "revision")
_FLAGS = ("exists", "ready", "leaving", "trial", "lent")


class Pods:
    """Columns with room to grow; the first `made` rows are in use.

    `request` and `limit` are what the spec says, cores; `cap` is what the cgroup has, from `cap_at` on the limit.
    `node` is −1 while a pod waits for room. `ready_at` is when a scheduled pod has started. `down_until` is when a
    container that was killed runs again. `factor` multiplies the CPU of a request (by knob and revision).
    `cpu_seconds`, `periods` and `throttled` are cgroup counters, `peak` the largest working set since the last scrape.
    """

    created: F8
    ready_at: F8
    request: F8
    limit: F8
    cap: F8
    cap_at: F8
    memory_request: F8
    memory_limit: F8
    down_until: F8
    leaves_at: F8
    factor: F8
    cpu_seconds: F8
    periods: F8
    throttled: F8
    peak: F8
    node: I8
    knob: I8
    revision: I8
    exists: np.ndarray
    ready: np.ndarray
    leaving: np.ndarray
    trial: np.ndarray
    lent: np.ndarray

    def __init__(self) -> None:
        self.made = 0
        self._room = 0
        self.serving: I8 = np.empty(0, dtype=np.int64)
        """Rows of the pods that requests are sent to."""
        self._grow(64)

    def _grow(self, room: int) -> None:
        for names, dtype in ((_NUMBERS, np.float64), (_COUNTS, np.int64), (_FLAGS, np.bool_)):
            for name in names:
                column = np.zeros(room, dtype=dtype)
                if self._room:
                    column[: self._room] = getattr(self, name)
                setattr(self, name, column)
        self._room = room

    def add(self, now: float, request: float, limit: float, memory_request: float, memory_limit: float) -> int:
        """A new pod that waits for a node; its row."""
        if self.made == self._room:
            self._grow(2 * self._room)
        row, self.made = self.made, self.made + 1
        self.created[row], self.ready_at[row], self.leaves_at[row] = now, np.inf, np.inf
        self.request[row], self.limit[row], self.cap[row], self.cap_at[row] = request, limit, limit, np.inf
        self.memory_request[row], self.memory_limit[row] = memory_request, memory_limit
        self.node[row], self.factor[row] = -1, 1.0
        self.exists[row] = True
        return row

    def rows(self, mask: np.ndarray) -> I8:
        """Rows where a mask over all made pods holds."""
        return np.flatnonzero(mask[: self.made])

    @property
    def staying(self) -> I8:
        """Pods that exist and are not being deleted, trial pods left out."""
        return self.rows(self.exists & ~self.leaving & ~self.trial)

    def kinds(self) -> None:
        """Bring `serving` up to date; a trial pod serves like the others."""
        self.serving = self.rows(self.exists & self.ready & ~self.leaving)
