"""Built-in measurements of a namespace: asked together, read by pod and container."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trimtab.api.datasource import Datasource
from trimtab.observe.builtin import HOUSEKEEPING_SECONDS, Builtin, Readings, builtin_query, readings
from trimtab.observe.source import MetricSource, SourceError

FAST = (Builtin.CPU, Builtin.MEMORY, Builtin.THROTTLED)
"""What decisions are made from: asked at the pace of the quickest resource of the namespace."""
SLOW = (Builtin.OOM, Builtin.FS_READS, Builtin.FS_WRITES, Builtin.RECEIVED, Builtin.TRANSMITTED)
SLOW_SECONDS = 60.0
MEMORY_WINDOW_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """Some measurements of one namespace."""

    namespace: str
    builtins: tuple[Builtin, ...]


Usage = Mapping[Builtin, Readings]
"""Readings by measurement; one that could not be had is missing."""


def cpu_window(datasource: Datasource) -> float:
    """Seconds over which CPU is averaged: as short as two samples allow, which a rate needs.

    The window is part of the delay of every reaction: in a study of replica policies a rate over 30 s instead of a
    minute cut the requests over the target from 1.6% to 0.2%. But kubelets measure at their own pace, however often
    they are scraped: on a kind cluster that was scraped every 5 s, 30 s often held a single sample. Where scrapes are
    the slower pace, samples are up to half a scrape apart from them, and two need three intervals.
    """
    scrape = datasource.scrape_interval_seconds
    return max(2.0 * HOUSEKEEPING_SECONDS + scrape, 3.0 * scrape)


async def read_usage(
    source: MetricSource, datasource: Datasource, question: UsageQuestion, at: float
) -> dict[Builtin, Readings]:
    """Readings of one namespace at `at` (Unix seconds), stale containers told apart.

    Raises:
        SourceError: the samples' times or everything else could not be had.
    """
    wanted = (Builtin.SAMPLED, *question.builtins)
    queries = {
        builtin: builtin_query(builtin, datasource.tenancy, question.namespace, _window(builtin, datasource))
        for builtin in wanted
    }
    outcomes: Sequence[object] = await asyncio.gather(
        *(source.query(queries[builtin].text, at) for builtin in wanted), return_exceptions=True
    )
    found = dict(zip(wanted, outcomes, strict=True))
    errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    for error in errors:
        if not isinstance(error, SourceError):
            raise error
    times = found.pop(Builtin.SAMPLED)
    if not isinstance(times, list) or (errors and len(errors) >= len(question.builtins)):
        raise errors[0]
    sampled = readings(queries[Builtin.SAMPLED], times).values
    return {
        builtin: readings(queries[builtin], samples, sampled, at, datasource.scrape_interval_seconds)
        for builtin, samples in found.items()
        if isinstance(samples, list)
    }


def _window(builtin: Builtin, datasource: Datasource) -> float:
    # The peak of memory has to cover the time since the sample before, not more.
    return MEMORY_WINDOW_SECONDS if builtin is Builtin.MEMORY else cpu_window(datasource)
