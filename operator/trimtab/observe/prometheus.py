"""PromQL over HTTP: prometheus-api-client in a bounded executor, behind a rate limit and a circuit breaker."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
from prometheus_api_client import PrometheusConnect

from trimtab.api.datasource import Datasource
from trimtab.observe.breaker import CircuitBreaker
from trimtab.observe.credentials import Fingerprint, fingerprint
from trimtab.observe.limiter import RateLimiter
from trimtab.observe.selectors import duration
from trimtab.observe.source import Sample, Series, SourceError, SourceReason
from trimtab.observe.transport import connect

T = TypeVar("T")
ATTEMPTS = 3
BACKOFF_SECONDS = 0.2
GRACE_SECONDS = 2.0
MAX_POINTS = 11_000  # Prometheus refuses more points a series (web/api/v1)
RETRIED = frozenset({SourceReason.UNREACHABLE, SourceReason.SERVER_ERROR})
# Faults of one query, which say that the server itself is well.
QUERY_FAULTS = frozenset({SourceReason.BAD_QUERY, SourceReason.TOO_LARGE})


class PrometheusSource:
    """One datasource as a MetricSource.

    ``rng`` gives the jitter of retries, ``clock`` monotonic seconds, ``sleep`` waits; all three are handed in so
    that tests run on virtual time. Close it with ``aclose``.
    """

    def __init__(
        self,
        datasource: Datasource,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = datasource
        self._rng = rng
        self._sleep = sleep
        self._breaker = CircuitBreaker(clock)
        self._limiter = RateLimiter(datasource.max_queries_per_second, datasource.max_queries_per_second, clock, sleep)
        self._slots = asyncio.Semaphore(datasource.max_concurrency)
        self._pool = ThreadPoolExecutor(datasource.max_concurrency, thread_name_prefix=f"prom-{datasource.name}")
        self._client: PrometheusConnect | None = None
        self._tls: Fingerprint = ()
        self._failure = ""  # what the breaker's last failure said

    @property
    def name(self) -> str:
        """Name of the datasource."""
        return self._settings.name

    @property
    def scrape_interval_seconds(self) -> float:
        """Longest scrape or rule interval behind the series."""
        return self._settings.scrape_interval_seconds

    async def query(self, promql: str, at: float) -> list[Sample]:
        """The instant vector or scalar at ``at`` (Unix seconds).

        Raises:
            SourceError: with one of the reasons of SourceReason.
        """
        params = {"time": f"{at:.3f}", **self._common()}
        return await self._ask(lambda client: _instant(client.custom_query(promql, params=params)))

    async def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        """The series between ``start`` and ``end`` (Unix seconds, rounded to whole ones), every ``step`` seconds.

        Raises:
            SourceError: as for query; BadQuery for a range that no server would answer.
        """
        if not (step > 0.0 and start <= end and (end - start) / step < MAX_POINTS):
            raise SourceError(
                SourceReason.BAD_QUERY,
                f"A range of {end - start:g} s at a step of {step:g} s is empty or has more than {MAX_POINTS} points; "
                "ask for it in parts.",
            )
        first, last = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
        params = self._common()
        return await self._ask(
            lambda client: _matrix(client.custom_query_range(promql, first, last, f"{step:.3f}", params=params))
        )

    async def aclose(self) -> None:
        """Give up what waits, and close the connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def _common(self) -> dict[str, str]:
        # Thanos otherwise leaves out stores that are down: a sum that is silently too small.
        return {"timeout": duration(self._settings.timeout_seconds), "partial_response": "false"}

    async def _ask(self, call: Callable[[PrometheusConnect], T]) -> T:
        for attempt in range(ATTEMPTS):
            if not self._breaker.admit():
                raise SourceError(
                    SourceReason.CIRCUIT_OPEN, f"{self._failure} It is asked less often until it answers."
                )
            try:
                answer = await self._attempt(call)
            except SourceError as error:
                if error.reason in QUERY_FAULTS:
                    self._breaker.succeeded()
                else:
                    self._breaker.failed()
                    self._failure = error.message
                if error.reason not in RETRIED or attempt == ATTEMPTS - 1:
                    raise
            except BaseException:
                self._breaker.abandoned()
                raise
            else:
                self._breaker.succeeded()
                return answer
            await self._sleep(BACKOFF_SECONDS * 2.0**attempt * self._rng.uniform(0.5, 1.5))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(self, call: Callable[[PrometheusConnect], T]) -> T:
        await self._limiter.acquire()
        async with self._slots:
            client = self._connected()
            running = asyncio.get_running_loop().run_in_executor(self._pool, _guarded, self.name, call, client)
            try:
                # The session ends by itself; this bound is for a server that drips its headers.
                return await asyncio.wait_for(running, self._settings.timeout_seconds + GRACE_SECONDS)
            except TimeoutError:
                raise SourceError(
                    SourceReason.TIMEOUT,
                    f"Datasource {self.name} kept the connection open without answering; check the server.",
                ) from None

    def _connected(self) -> PrometheusConnect:
        """The client; a new one when a certificate file has changed, as pools keep what they loaded."""
        settings = self._settings
        tls = fingerprint(settings.ca_file, settings.client_cert_file, settings.client_key_file)
        if self._client is None or tls != self._tls:
            if self._client is not None:
                self._client.close()
            self._client = connect(settings)
            self._tls = tls
        return self._client


def _guarded(name: str, call: Callable[[PrometheusConnect], T], client: PrometheusConnect) -> T:
    """Run in the executor: whatever the answer looks like, only SourceError comes out."""
    try:
        return call(client)
    except SourceError:
        raise
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        raise SourceError(
            SourceReason.BAD_ANSWER,
            f"Datasource {name} answered with something that is no Prometheus result ({type(error).__name__}); "
            "check that its url leads to the query API.",
        ) from None


def _instant(result: Any) -> list[Sample]:
    """Samples of a vector, or of the pair [time, value] that a scalar is."""
    if len(result) == 2 and isinstance(result[0], int | float):
        return [Sample({}, float(result[1]), float(result[0]))]
    samples = []
    for item in result:
        if "histogram" in item:
            raise _native_histogram()
        at, value = item["value"]
        samples.append(Sample(_labels(item), float(value), float(at)))
    return samples


def _matrix(result: Any) -> list[Series]:
    series = []
    for item in result:
        if "histograms" in item:
            raise _native_histogram()
        pairs = np.array([(float(at), float(value)) for at, value in item["values"]], np.float64).reshape(-1, 2)
        series.append(Series(_labels(item), pairs[:, 0].copy(), pairs[:, 1].copy()))
    return series


def _labels(item: Any) -> dict[str, str]:
    labels: dict[str, str] = item["metric"]
    if not all(isinstance(value, str) for value in labels.values()):
        raise TypeError("label values are strings")
    return labels


def _native_histogram() -> SourceError:
    return SourceError(
        SourceReason.BAD_QUERY,
        "The query gives a native histogram, not a number; wrap it in histogram_quantile() or histogram_avg().",
    )
