"""Samples that both the real VPA recommender and the `vpa` peer are given: one a minute, made from a seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from trimtab.decide.columns import F8
from trimtab.lab.peers.vpa import (
    CPU,
    LEAST_CPU,
    LEAST_MEMORY,
    MARGIN,
    MEMORY,
    Advice,
    MemoryRecommender,
    confidence,
    cpu_advice,
)

MINUTE = 60.0
DAY = 86400.0
GIB = 2.0**30


@dataclass(frozen=True)
class Case:
    """One container: how long it has been seen, and how much it uses."""

    name: str
    seed: int
    minutes: int
    cores: float
    gib: float
    spread: float
    """Standard deviation of the logarithm of the noise."""
    swing: float
    """Share of the mean that a day moves it up and down."""

    @cached_property
    def ages(self) -> F8:
        """Seconds before now of every sample, oldest first, float64[minutes]."""
        return np.asarray(MINUTE * np.arange(float(self.minutes))[::-1], dtype=np.float64)

    @cached_property
    def cpu(self) -> F8:
        """Cores, float64[minutes]."""
        return self._shape(0) * self.cores

    @cached_property
    def memory(self) -> F8:
        """Bytes, whole ones, float64[minutes]."""
        return np.asarray(np.rint(self._shape(1) * self.gib * GIB), dtype=np.float64)

    def _shape(self, stream: int) -> F8:
        random = np.random.default_rng([self.seed, stream])
        day = 1 + self.swing * np.sin(2 * np.pi * self.ages / DAY)
        return np.asarray(day * random.lognormal(0.0, self.spread, self.minutes), dtype=np.float64)


CASES = (
    Case("first-minutes", 1, 5, 0.5, 1.0, 0.3, 0.0),
    Case("hours", 2, 180, 2.0, 4.0, 0.5, 0.0),
    Case("day", 3, 1440, 0.2, 0.5, 0.3, 0.5),
    Case("tiny", 4, 2000, 0.003, 0.02, 0.2, 0.0),
    Case("flat", 5, 3 * 1440, 1.0, 2.0, 0.01, 0.0),
    Case("days", 6, 5 * 1440, 0.7, 3.0, 0.4, 0.8),
    Case("week", 7, 7 * 1440, 12.0, 40.0, 0.6, 0.3),
)
KILLED = Case("killed", 8, 2 * 1440, 0.5, 1.0, 0.1, 0.0)
"""The container of a pod that is OOM-killed at REQUEST after its last sample."""
REQUEST = 3 * 2**30
"""Bytes that every pod requests, and is killed at."""


def peer(case: Case) -> dict[str, dict[str, float]]:
    """Target, lower and upper as the peer says them after the last sample: `cpu`, `memory`, memory once `killed`."""
    times = case.ages[0] - case.ages
    cpu = cpu_advice(times, case.cpu, MINUTE)
    recommender = MemoryRecommender(1, MINUTE)
    for at, size in zip(times.tolist(), case.memory.tolist(), strict=True):
        recommender.add(at, np.array([size]))
    found = {"cpu": _amounts(cpu), "memory": _amounts(recommender.advice())}
    recommender.add_oom(float(times[-1]), np.array([float(REQUEST)]), np.array([True]))
    return {**found, "killed": _amounts(recommender.advice())}


def _amounts(said: Advice) -> dict[str, float]:
    return {name: float(getattr(said, name)[-1]) for name in ("target", "lower", "upper")}


def buckets_apart(case: Case, resource: str, bound: str, one: float, other: float) -> int:
    """How many buckets of VPA's histogram lie between two amounts, once margin and confidence are taken off."""
    buckets, floor, quantum = (CPU, LEAST_CPU, 0.001) if resource == "cpu" else (MEMORY, LEAST_MEMORY, 1.0)
    if min(one, other) <= floor + quantum:
        return 0 if max(one, other) <= floor + quantum else 1 + int(max(one, other) > 1.1 * floor)
    sure = float(confidence(case.ages[:1], np.array([float(case.minutes)]))[0])
    factor = {"target": 1.0, "lower": (1 + 0.001 / sure) ** -2, "upper": 1 + 1 / sure}[bound] * MARGIN
    at = buckets.index(np.array([one, other]) / factor - quantum / 2)
    return abs(int(at[0]) - int(at[1]))


def assert_agreement(rows: Sequence[Mapping[str, Any]]) -> None:
    """What the real recommender said, row by row, and what the peer says, are within one bucket."""
    cases = {case.name: case for case in (*CASES, KILLED)}
    said = {name: peer(cases[name]) for name in dict.fromkeys(row["case"].partition(", ")[0] for row in rows)}
    for row in rows:
        name, _, killed = row["case"].partition(", ")
        for bound in ("target", "lower", "upper"):
            ours, real = said[name][killed or row["resource"]][bound], row[bound]
            apart = buckets_apart(cases[name], row["resource"], bound, ours, real)
            assert apart <= 1, f"{row['case']}, {row['resource']} {bound}: peer {ours}, real {real}"
