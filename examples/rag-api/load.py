"""A bounded, open-loop load for the example service. Run: python load.py --url http://127.0.0.1:8080.

Open-loop: queries are sent when their time has come, whether or not earlier ones were answered, as users do;
and latency is counted from that time, so that a stalled service can't hide its stall. Every query opens a
connection of its own, because a Kubernetes Service chooses a pod for each connection, not for each request.
"""

import argparse
import asyncio
import csv
import ipaddress
import json
import math
import signal
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Rate = Callable[[FloatArray], FloatArray]

MAX_RPS = 200.0
MAX_REQUESTS = 50_000
DISTINCT_QUERIES = 1000
QUANTILE_WINDOW_SECONDS = 10.0
TOPICS = (
    "billing",
    "invoices",
    "refunds",
    "shipping",
    "returns",
    "passwords",
    "accounts",
    "privacy",
    "exports",
    "quotas",
)

SPIKES_FROM, SPIKES_UNTIL = 0.15, 0.76
"""Share of the time in which the spikes lie; the rest shows what is taken back."""

_PRIVATE = [
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
]


class LoadError(ValueError):
    """A load that is refused: the message says why and what to change."""


@dataclass(frozen=True)
class Plan:
    """When each query is sent (seconds from the start, ascending), and which one it is."""

    arrivals: FloatArray
    queries: npt.NDArray[np.int64]
    rate: Rate
    duration: float


def shape_rate(shape: str, *, seed: int, duration: float, base: float, peak: float) -> Rate:
    """The load's rate over time, in requests a second, always between base and peak.

    steps: low for 15% of the time, a rise of 5%, the peak until 64%, a fall of 3%, low. diurnal: two days as
    a sine. spiky: two spikes at places, of lengths and heights that follow from the seed, the higher one
    reaches the peak; low for the first 15% and from 76% on. A spike lasts 20 to 23% of the time, 95 to 110 s of
    the demo: a trial (40 s, after a raise and a pod's start) compares values under one load and needs as much.
    Raises LoadError on another name.
    """
    if shape == "steps":
        return lambda t: np.interp(t / duration, [0.15, 0.20, 0.64, 0.67], [base, peak, peak, base])
    if shape == "diurnal":
        return lambda t: base + (peak - base) * (0.5 - 0.5 * np.cos(4 * np.pi * t / duration))
    if shape == "spiky":
        rng = np.random.default_rng([seed, 1])
        length = (SPIKES_UNTIL - SPIKES_FROM) / 2
        starts = SPIKES_FROM + (np.arange(2) + rng.uniform(0.0, 0.15, 2)) * length
        ends = starts + rng.uniform(0.65, 0.75, 2) * length
        heights = rng.uniform(0.75, 1.0, 2)
        heights /= heights.max()

        def spiky(t: FloatArray) -> FloatArray:
            at = np.asarray(t)[..., None] / duration
            inside = ((at >= starts) & (at < ends)) * heights
            rate: FloatArray = base + (peak - base) * inside.max(axis=-1)
            return rate

        return spiky
    raise LoadError(f"shape {shape!r} is unknown: use steps, diurnal or spiky.")


def make_plan(shape: str, *, seed: int, duration: float, base: float, peak: float) -> Plan:
    """Draw a Poisson process of the shape's rate, and queries of Zipf popularity; a seed gives one plan.

    Thinning: candidates at the peak rate, each kept with probability rate/peak (Lewis and Shedler 1979).
    Raises LoadError when the load is out of bounds.
    """
    if not all(math.isfinite(value) for value in (duration, base, peak)) or duration <= 0:
        raise LoadError("duration, base and peak must be finite, and the duration above zero.")
    if not 0 <= base <= peak or not 0 < peak <= MAX_RPS:
        raise LoadError(f"base={base:g} and peak={peak:g} rps: need 0 <= base <= peak, and 0 < peak <= {MAX_RPS:g}.")
    if peak * duration > MAX_REQUESTS:
        raise LoadError(f"{peak:g} rps for {duration:g} s may be {peak * duration:.0f} requests: limit {MAX_REQUESTS}.")
    rate = shape_rate(shape, seed=seed, duration=duration, base=base, peak=peak)
    rng = np.random.default_rng([seed, 0])
    candidates = np.sort(rng.uniform(0, duration, min(rng.poisson(peak * duration), MAX_REQUESTS)))
    arrivals = candidates[rng.uniform(0, peak, len(candidates)) < rate(candidates)]
    popularity = 1.0 / np.arange(1, DISTINCT_QUERIES + 1)
    queries = rng.choice(DISTINCT_QUERIES, size=len(arrivals), p=popularity / popularity.sum())
    return Plan(arrivals=arrivals, queries=queries, rate=rate, duration=duration)


def query_text(number: int) -> str:
    """The words of a query."""
    return f"how do {TOPICS[number % len(TOPICS)]} work in case {number // len(TOPICS)}"


def check_target(url: str) -> str:
    """Return the URL of the query route, or raise LoadError.

    Only loopback and private addresses, written as addresses: a load must never leave for the internet
    because a name resolved differently than thought.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if (
        parts.scheme != "http"
        or not host
        or parts.query
        or parts.fragment
        or parts.username
        or parts.path not in ("", "/")
    ):
        raise LoadError(f"target {url!r} is not like http://ADDRESS:PORT.")
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
        port = parts.port or 80
    except ValueError as error:
        raise LoadError(
            f"target {url!r} is not an address and port: give the pod's or Service's IP address."
        ) from error
    if not any(address in network for network in _PRIVATE):
        raise LoadError(f"target {url!r} is not loopback or a private address: this load goes only to those.")
    written = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{written}:{port}/query"


@dataclass(frozen=True)
class Outcome:
    """One query: when it was due, how long it took from then, and `ok`, an HTTP status or an error's name."""

    due: float
    latency: float
    result: str


@dataclass
class Driver:
    """Sends a plan's queries, with at most `max_in_flight` unanswered; more are dropped and counted."""

    plan: Plan
    urls: Sequence[str]
    timeout: float
    max_in_flight: int
    outcomes: list[Outcome] = field(default_factory=list)
    sent: int = 0
    dropped: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _began: float = 0.0

    @property
    def in_flight(self) -> int:
        """Queries that are not answered yet."""
        return len(self._tasks)

    def elapsed(self) -> float:
        """Seconds since the start."""
        return asyncio.get_running_loop().time() - self._began

    async def run(self, stop: asyncio.Event) -> None:
        """Send everything, or until `stop`, and wait for the answers."""
        self._began = asyncio.get_running_loop().time()
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            for number, due in enumerate(self.plan.arrivals.tolist()):
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, due - self.elapsed())):
                        await stop.wait()
                if stop.is_set():
                    break
                if self.in_flight >= self.max_in_flight:
                    self.dropped += 1
                    continue
                self.sent += 1
                url = self.urls[number % len(self.urls)]
                task = asyncio.create_task(self._ask(session, url, int(self.plan.queries[number]), due))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.gather(*self._tasks)

    async def _ask(self, session: aiohttp.ClientSession, url: str, query: int, due: float) -> None:
        try:
            async with session.post(url, json={"query": query_text(query)}, allow_redirects=False) as response:
                await response.read()
                result = "ok" if response.status == 200 else str(response.status)
        except TimeoutError:
            result = "timeout"
        except (aiohttp.ClientError, OSError) as error:
            result = type(error).__name__
        self.outcomes.append(Outcome(due=due, latency=self.elapsed() - due, result=result))


@dataclass
class Reporter:
    """Outcomes as a line a second: quantiles of the last ten seconds, counts since the last line."""

    driver: Driver
    as_json: bool
    _read: int = 0
    _sent: int = 0
    _dropped: int = 0
    _recent: deque[tuple[float, float]] = field(default_factory=deque)

    def line(self, now: float) -> str:
        """The next line, `now` seconds after the start."""
        fresh = self.driver.outcomes[self._read :]
        self._read += len(fresh)
        self._recent.extend((now, outcome.latency) for outcome in fresh if outcome.result == "ok")
        while self._recent and self._recent[0][0] <= now - QUANTILE_WINDOW_SECONDS:
            self._recent.popleft()
        p50, p95 = quantiles([latency for _, latency in self._recent])
        report = {
            "seconds": round(now, 1),
            "planned_rps": round(float(self.driver.plan.rate(np.asarray(min(now, self.driver.plan.duration)))), 2),
            "sent": self.driver.sent - self._sent,
            "answered": sum(outcome.result == "ok" for outcome in fresh),
            "p50_seconds": p50,
            "p95_seconds": p95,
            "errors": sum(outcome.result != "ok" for outcome in fresh),
            "dropped": self.driver.dropped - self._dropped,
            "in_flight": self.driver.in_flight,
        }
        self._sent, self._dropped = self.driver.sent, self.driver.dropped
        return json.dumps(report) if self.as_json else "  ".join(f"{name}={value}" for name, value in report.items())


def quantiles(latencies: Sequence[float]) -> tuple[float | None, float | None]:
    """The median and the 95th percentile in seconds, None without data."""
    if not latencies:
        return None, None
    p50, p95 = np.quantile(latencies, [0.5, 0.95]).tolist()
    return round(p50, 4), round(p95, 4)


def write_csv(path: Path, outcomes: Sequence[Outcome]) -> None:
    """One row a query, in the order of their due times."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["due_seconds", "latency_seconds", "result"])
        rows.writerows(
            [f"{outcome.due:.4f}", f"{outcome.latency:.4f}", outcome.result]
            for outcome in sorted(outcomes, key=lambda outcome: outcome.due)
        )


async def run_load(driver: Driver, *, as_json: bool) -> None:
    """Drive the load and print a line a second until it ends or SIGTERM or SIGINT comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    reporter = Reporter(driver, as_json)
    work = asyncio.create_task(driver.run(stop))
    while not work.done():
        await asyncio.wait({work}, timeout=1)
        print(reporter.line(driver.elapsed()), flush=True)
    work.result()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, 1 when not one query was answered, or 2 when the load is refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", nargs="+", required=True, help="http://ADDRESS:PORT, loopback or private; round robin")
    parser.add_argument("--shape", default="steps", choices=["steps", "diurnal", "spiky"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duration", type=float, default=420, help="seconds")
    parser.add_argument("--base", type=float, default=1.0, help="lowest rate, requests a second")
    parser.add_argument("--peak", type=float, default=10.0, help="highest rate, requests a second")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for each query")
    parser.add_argument("--max-in-flight", type=int, default=48, help="unanswered queries; more are dropped")
    parser.add_argument("--csv", type=Path, help="write one row a query here")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    options = parser.parse_args(arguments)
    try:
        urls = [check_target(url) for url in options.url]
        if options.seed < 0 or options.timeout <= 0 or not 1 <= options.max_in_flight <= 512:
            raise LoadError("need seed >= 0, timeout > 0 and max-in-flight from 1 to 512.")
        plan = make_plan(
            options.shape, seed=options.seed, duration=options.duration, base=options.base, peak=options.peak
        )
    except LoadError as error:
        print(f"load refused: {error}", file=sys.stderr)
        return 2
    driver = Driver(plan, urls, options.timeout, options.max_in_flight)
    asyncio.run(run_load(driver, as_json=options.json))
    results = Counter(outcome.result for outcome in driver.outcomes)
    p50, p95 = quantiles([outcome.latency for outcome in driver.outcomes if outcome.result == "ok"])
    summary = {"results": dict(results), "dropped": driver.dropped, "p50_seconds": p50, "p95_seconds": p95}
    print(json.dumps({"summary": summary}), flush=True)
    if options.csv:
        write_csv(options.csv, driver.outcomes)
    return 0 if results["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
