"""Queries are counted by how they ended."""

from typing import Any

import numpy as np
import pytest

from trimtab.observe.counted import CountedSource
from trimtab.observe.source import Sample, Series, SourceError, SourceReason


class Source:
    """Answers, or refuses."""

    name = "default"
    scrape_interval_seconds = 15.0

    def __init__(self, error: SourceError | None = None) -> None:
        self.error = error

    async def query(self, promql: str, at: float) -> list[Sample]:
        if self.error:
            raise self.error
        return [Sample({}, 1.0, at)]

    async def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        if self.error:
            raise self.error
        return [Series({}, np.array([start]), np.array([1.0]))]


async def both(source: Any) -> list[str]:
    counted: list[str] = []
    wrapped = CountedSource(source, counted.append)
    for call in (wrapped.query("up", 1.0), wrapped.query_range("up", 1.0, 2.0, 1.0)):
        if source.error:
            with pytest.raises(SourceError):
                await call
        else:
            assert len(await call) == 1
    assert (wrapped.name, wrapped.scrape_interval_seconds) == ("default", 15.0)
    return counted


async def test_answers_and_refusals_are_counted_and_passed_on() -> None:
    assert await both(Source()) == ["OK", "OK"]
    assert await both(Source(SourceError(SourceReason.TIMEOUT, "slow"))) == ["ERROR", "ERROR"]
