"""A metric source whose queries are counted, for the operator's own metrics."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from trimtab.observe.source import MetricSource, Sample, Series, SourceError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CountedSource:
    """Passes every query on; `count` is told OK, or ERROR when the source did not answer or refused."""

    source: MetricSource
    count: Callable[[str], None]

    @property
    def name(self) -> str:
        """Name of the datasource."""
        return self.source.name

    @property
    def scrape_interval_seconds(self) -> float:
        """As MetricSource.scrape_interval_seconds."""
        return self.source.scrape_interval_seconds

    async def query(self, promql: str, at: float) -> list[Sample]:
        """As MetricSource.query."""
        return await self._counted(self.source.query(promql, at))

    async def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        """As MetricSource.query_range."""
        return await self._counted(self.source.query_range(promql, start, end, step))

    async def _counted(self, answer: Awaitable[T]) -> T:
        try:
            found = await answer
        except SourceError:
            self.count("ERROR")
            raise
        self.count("OK")
        return found
