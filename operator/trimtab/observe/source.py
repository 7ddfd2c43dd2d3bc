"""What a metric source is: a protocol, its results, and the one error it raises."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class SourceReason(StrEnum):
    """Why a source gave no answer; CamelCase, used as the reason of conditions and events."""

    UNREACHABLE = "Unreachable"
    TIMEOUT = "Timeout"
    UNAUTHORIZED = "Unauthorized"
    BAD_QUERY = "BadQuery"
    TOO_LARGE = "TooLarge"
    REDIRECTED = "Redirected"
    SERVER_ERROR = "ServerError"
    CIRCUIT_OPEN = "CircuitOpen"
    BAD_ANSWER = "BadAnswer"


class SourceError(Exception):
    """A source gave no answer. The message holds no address and no credential, and of a body only what
    `refusals` lets through."""

    def __init__(self, reason: SourceReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of an instant vector, or a scalar (no labels). ``at`` is the evaluation time, Unix seconds."""

    labels: dict[str, str]
    value: float
    at: float


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One series of a range query: ``times`` (Unix seconds) and ``values``, both float64 of the same length."""

    labels: dict[str, str]
    times: NDArray[np.float64]
    values: NDArray[np.float64]


class MetricSource(Protocol):
    """Anything that answers PromQL. Both methods raise SourceError and nothing else (but cancellation)."""

    @property
    def name(self) -> str:
        """Name of the datasource."""
        ...

    @property
    def scrape_interval_seconds(self) -> float:
        """Longest scrape or rule interval behind the series."""
        ...

    async def query(self, promql: str, at: float) -> list[Sample]:
        """The instant vector or scalar at ``at`` (Unix seconds)."""
        ...

    async def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        """The series between ``start`` and ``end`` (Unix seconds), a value every ``step`` seconds."""
        ...
