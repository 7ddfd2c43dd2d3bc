"""What was learned of one workload as a bundle, and back into the State of a process that has just started.

Moves under way, trials and alerts are not in it: the status has them, newer (restore.py). What the bundle lacks is the
time since it was written, which is read back from Prometheus like any other history.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from trimtab.api.checkpoint import TEXT_A_CONTAINER, TEXT_A_WORKLOAD
from trimtab.decide.columns import I8, S, Table
from trimtab.decide.observation import Observation
from trimtab.decide.pack import Bundle, PackError, pack, unpack, widest
from trimtab.decide.settings import Settings
from trimtab.decide.standing import CostMemory, LoadMemory, MemoryTrend
from trimtab.decide.state import ContainerState, KnobState, State, WorkloadState, align

KINDS: Mapping[str, type[Table]] = {
    "workloads": WorkloadState,
    "containers": ContainerState,
    "trends": MemoryTrend,
    "knobs": KnobState,
    "loads": LoadMemory,
    "costs": CostMemory,
}
"""What the status does not have and Prometheus can't give back at once (objectives are read back whole)."""


_PASSING = frozenset(f"loads.{name}" for name in ("slot", "rate", "plain", "trend"))
"""The last minutes: they are over when a checkpoint is read, and what they taught is kept."""


def learned(state: State) -> Mapping[str, Table]:
    """The tables of `state` that a checkpoint is made of, by the names of KINDS."""
    return {
        "workloads": state.workloads,
        "containers": state.containers,
        "trends": state.standing.trends,
        "knobs": state.knobs,
        "loads": state.standing.loads,
        "costs": state.standing.costs,
    }


@dataclass(frozen=True, slots=True)
class Places:
    """Which rows of an Observation's containers and knobs belong to which workload."""

    containers: I8
    container_starts: I8
    knobs: I8
    knob_starts: I8

    @classmethod
    def of(cls, seen: Observation) -> "Places":
        """Those of `seen`."""
        count = np.arange(len(seen.workloads) + 1)
        containers = np.argsort(seen.containers.workload, kind="stable")
        knobs = np.argsort(seen.knobs.workload, kind="stable")
        return cls(
            containers,
            np.searchsorted(seen.containers.workload[containers], count),
            knobs,
            np.searchsorted(seen.knobs.workload[knobs], count),
        )

    def rows(self, w: int) -> Mapping[str, I8]:
        """Rows of workload `w` by table."""
        containers = self.containers[self.container_starts[w] : self.container_starts[w + 1]]
        knobs = self.knobs[self.knob_starts[w] : self.knob_starts[w + 1]]
        alone = np.array([w])
        whole = {"workloads": alone, "loads": alone, "costs": alone}
        return {**whole, "containers": containers, "trends": containers, "knobs": knobs}


@dataclass(frozen=True, slots=True)
class Saved:
    """A bundle that fits its bound."""

    data: bytes
    containers: int
    dropped: tuple[str, ...] = ()
    """Columns that were left out so that it fits, as table.column."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was taken up of one workload."""

    sampled_at: Mapping[str, float]
    """Container key → Unix time up to which its usage is known."""
    ignored: tuple[str, ...] = ()
    """Columns of another version."""


def largest(containers: int) -> int:
    """Bytes that the bundle of a workload with so many containers may have: base64 makes four bytes of three."""
    return (TEXT_A_WORKLOAD + TEXT_A_CONTAINER * containers) // 4 * 3


def save(state: State, places: Places, w: int) -> Saved | None:
    """What is remembered of workload `w` of the Observation that `state` was last used with.

    The widest columns are left out where it would pass its bound; None where even that does not help.
    """
    rows = places.rows(w)
    tables = {title: table.take(rows[title]) for title, table in learned(state).items()}
    count = len(tables["containers"])
    dropped: list[str] = []
    for name in chain((None,), widest(tables)):
        if name is not None:
            dropped.append(name)
        data = pack(tables, {}, without=frozenset(dropped))
        if len(data) <= largest(count):
            return Saved(data, count, tuple(dropped))
    return None


def resume(
    state: State, seen: Observation, saved: Mapping[str, bytes], settings: Settings, *, reuse: bool = False
) -> tuple[State, dict[str, Resumed | PackError]]:
    """The state with these bundles (by workload key) put in the place of what it knew, and what became of each.

    A bundle that can't be read changes nothing. Keys that are not in `seen` are left out. `reuse` is as in `decide`.
    """
    fresh = align(state, seen, settings, reuse=reuse)
    places = Places.of(seen)
    outcomes: dict[str, Resumed | PackError] = {}
    for w, key in enumerate(seen.workloads.key):
        data = saved.get(key)
        if data is None:
            continue
        try:
            bundle = unpack(data, KINDS)
            outcomes[key] = _put(fresh, places.rows(w), bundle)
        except PackError as error:
            outcomes[key] = error
    return fresh, outcomes


def _put(state: State, rows: Mapping[str, I8], bundle: Bundle) -> Resumed:
    known: dict[str, float] = {}
    tables = learned(state)
    for title, table in bundle.tables.items():
        live: Any = tables[title]
        position = {key: row for row, key in zip(rows[title].tolist(), live.key[rows[title]], strict=True)}
        saved: S = getattr(table, "key")  # noqa: B009 - every table of the state has it; Table does not say so
        pairs = [(position[key], i) for i, key in enumerate(saved) if key in position]
        if not pairs:
            continue
        there, here = np.array(pairs, dtype=np.int64).T
        for name, _ in live.columns():
            getattr(live, name)[there] = getattr(table, name)[here]
        if isinstance(table, ContainerState):
            known = {str(table.key[i]): float(table.sampled_at[i]) for i in here.tolist()}
    return Resumed(known, bundle.ignored)
