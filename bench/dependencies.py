"""What the operator promises of itself, measured on a test bed: handover, losses, OOM kills, ticks.

    python -m bench.dependencies --bed NAME [--rounds 5] [--json FILE]

Needs a bed (`python -m testbed up --name NAME --level pods`). Operators run as processes with the chart's defaults
(tick 15 s, lease 15/10/2 s) over a handful of small workloads; some twelve minutes for five rounds. Each row of the
table is the middle and the largest of the rounds. What is waited for is looked at every tenth of a second.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that it also runs by its path

from testbed import bed as beds
from testbed.bed import Bed
from testbed.run import wait_until
from tests.e2e.operating import Line, Shop, config, opened, ready, workload
from tests.integration.operator.conftest import Operator
from trimtab.api.settings import OperatorSettings

WATCHED = 4
"""Workloads that are only looked at, beside those that are killed."""
LIMIT = "64Mi"
SAMPLE_SECONDS = 0.25
WAIT_SECONDS = 180.0
HANDOVER_TERM, HANDOVER_KILL = "leader stopped by SIGTERM: another leads", "leader killed by SIGKILL: another leads"
FIRST_TICK = "… until its first tick has ended"
LOSS, RETURN = "Prometheus lost: MetricsAvailable=False", "Prometheus back: MetricsAvailable=True"
OOM_SEEN = "OOM kill: the kubelet reports it"
OOM_RAISED = "OOM report: the pod's limit is raised"


def log(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


@dataclass
class Watch:
    """Seconds by what was measured."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def until(self, what: str, holds: Callable[[], object], since: float) -> float:
        """Wait for it and note how long it took since then; returns the time at which it held."""
        wait_until(lambda: bool(holds()), seconds=WAIT_SECONDS, what=what, poll=0.1)
        at = time.monotonic()
        self.seconds[what].append(at - since)
        return at


@dataclass
class Pair:
    """Two operators on one lease; the one that ended is replaced."""

    bed: Bed
    folder: Path
    namespace: str
    url: str
    running: list[Operator] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self) -> Operator:
        """One more operator, with the chart's defaults."""
        usual = OperatorSettings()
        lease = {"name": self.namespace, **usual.lease.model_dump(mode="json", by_alias=True, exclude={"name"})}
        settings = {
            "namespaces": [self.namespace],
            "lease": lease,
            "datasources": [{"name": "default", "url": self.url, "scrapeIntervalSeconds": 15}],
            "tickSeconds": usual.tick_seconds,
        }
        made = Operator(self.bed.kubeconfig, self.folder, settings, f"op{next(self.numbers)}").start()
        self.running.append(made)
        return made

    def fill(self) -> None:
        """Two operators, both up and one of them leading."""
        while len(self.running) < 2:
            self.start()
        wait_until(lambda: all(one.get("/healthz") for one in self.running), seconds=WAIT_SECONDS, what="both are up")
        wait_until(lambda: any(one.leads() for one in self.running), seconds=WAIT_SECONDS, what="one leads")

    def leader(self) -> Operator | None:
        """The one that leads now."""
        return next((one for one in self.running if one.leads()), None)

    def end(self, one: Operator, how: signal.Signals) -> None:
        """End an operator and forget it; does not wait for its end."""
        self.running.remove(one)
        assert one.process is not None
        one.process.send_signal(how)
        threading.Thread(target=one.process.wait, daemon=True).start()

    def close(self) -> None:
        """End all."""
        for one in list(self.running):
            with contextlib.suppress(OSError):
                one.end(signal.SIGKILL)


@dataclass
class Ticks:
    """Seconds and ages of the leader's ticks, read from its metrics."""

    operator: Operator
    took: list[float] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    _last: tuple[float, float] | None = None

    def read(self) -> None:
        """Take in what it says now: a tick that ended since the last look, and the age of the newest."""
        text = self.operator.get("/metrics")
        found = dict(re.findall(r"^(trimtab_tick_\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE))
        age = found.get("trimtab_tick_age_seconds")
        if age is None:
            return
        self.ages.append(float(age))
        spent = sum(float(value) for name, value in found.items() if name.startswith("trimtab_tick_seconds_sum"))
        count = float(found.get('trimtab_tick_seconds_count{phase="record"}', "0"))
        if self._last is not None and count == self._last[0] + 1:
            self.took.append(spent - self._last[1])
        if self._last is None or count > self._last[0]:
            self._last = (count, spent)

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Read again and again meanwhile."""
        over = threading.Event()

        def follow() -> None:
            while not over.wait(SAMPLE_SECONDS):
                self.read()

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield
        finally:
            over.set()
            follower.join(10)


def handovers(pair: Pair, watch: Watch, rounds: int) -> None:
    """The leader ends, by SIGTERM and by SIGKILL in turn, and the other takes over."""
    for turn, (what, how) in itertools.product(
        range(rounds), ((HANDOVER_TERM, signal.SIGTERM), (HANDOVER_KILL, signal.SIGKILL))
    ):
        pair.fill()
        leader = pair.leader()
        assert leader is not None, "nobody leads"
        wait_until(lambda one=leader: one.ticks() > 0, seconds=WAIT_SECONDS, what="the leader works")  # type: ignore[misc]
        log(f"{what}, round {turn + 1}")
        began = time.monotonic()
        pair.end(leader, how)
        (other,) = pair.running
        watch.until(what, other.leads, began)
        watch.until(f"{what}, {FIRST_TICK}", lambda one=other: one.ticks() > 0, began)  # type: ignore[misc]


def losses(shop: Shop, line: Line, watch: Watch, rounds: int) -> None:
    """Prometheus can't be reached, until that is told; and is back, until that is told."""

    def told(status: str) -> Callable[[], bool]:
        names = [f"seen{number}" for number in range(WATCHED)]
        return lambda: all(shop.condition(name, "MetricsAvailable")[0] == status for name in names)

    wait_until(told("True"), seconds=WAIT_SECONDS, what="there are numbers")
    for turn in range(rounds):
        log(f"Prometheus, round {turn + 1}")
        began = time.monotonic()
        line.cut()
        try:
            watch.until(LOSS, told("False"), began)
        finally:
            line.mend()
        watch.until(RETURN, told("True"), time.monotonic())
        # Not always at the same point of a tick.
        time.sleep(3.0 * turn)


def kills(shop: Shop, watch: Watch, rounds: int) -> None:
    """A container takes more memory than its limit and is killed; a raise follows."""
    for turn in range(rounds):
        name = f"hungry{turn}"
        log(f"OOM kill, round {turn + 1}")
        (pod,) = shop.pods(name)

        def killed(name: str = name) -> bool:
            return any("OOMKilled" in json.dumps(one["status"].get("containerStatuses", [])) for one in shop.pods(name))

        def raised(name: str = name) -> bool:
            return any(
                one["spec"]["containers"][0]["resources"]["limits"]["memory"] != LIMIT for one in shop.pods(name)
            )

        began = time.monotonic()
        shop.ask(pod, "/eat?mib=80")
        watch.until(OOM_RAISED, raised, watch.until(OOM_SEEN, killed, began))


def watched(name: str, *, auto: bool = False, **constraints: Any) -> dict[str, Any]:
    """A PerformanceConfig that is looked at as often as the default says, not as often as tests want it."""
    made = config(name, auto=auto, **constraints)
    del made["spec"]["monitoring"]["sampleRate"]
    return made


def prepare(shop: Shop, rounds: int) -> None:
    """The workloads, all ready."""
    tight: dict[str, Any] = {"containers": [{"name": "app", "memory": {"min": "64Mi", "max": "1Gi"}}]}
    seen, hungry = [f"seen{n}" for n in range(WATCHED)], [f"hungry{n}" for n in range(rounds)]
    for name in seen:
        shop.apply(workload(name), watched(name))
    for name in hungry:
        shop.apply(workload(name, 1, limit=LIMIT), watched(name, auto=True, **tight))
    shop.until(
        lambda: all(any(map(ready, shop.pods(name))) for name in seen + hungry), "the pods are ready", WAIT_SECONDS
    )


def measure(bed: Bed, rounds: int) -> tuple[Watch, Ticks]:
    """All of it, on one bed."""
    watch, namespace = Watch(), f"dependencies-{os.getpid()}"
    line = Line(bed.prometheus_url)
    with opened(bed, namespace) as shop, tempfile.TemporaryDirectory() as folder:
        pair = Pair(bed, Path(folder), namespace, line.url)
        try:
            prepare(shop, rounds)
            handovers(pair, watch, rounds)
            leader = pair.leader()
            assert leader is not None, "nobody leads"
            ticks = Ticks(leader)
            with ticks.sampled():
                kills(shop, watch, rounds)
                losses(shop, line, watch, rounds)
        finally:
            pair.close()
            line.close()
    return watch, ticks


def table(watch: Watch, ticks: Ticks) -> list[tuple[str, str, str, int]]:
    """Rows: what, the middle and the largest in seconds, and of how many."""
    rows = [
        (what, f"{statistics.median(found):.1f} s", f"{max(found):.1f} s", len(found))
        for what, found in watch.seconds.items()
    ]
    for what, numbers, unit in (("tick: all phases", ticks.took, 3), ("age of the newest tick", ticks.ages, 1)):
        if numbers:
            middle, high = np.quantile(numbers, [0.5, 0.99])
            rows.append((f"{what} (p50, p99)", f"{middle:.{unit}f} s", f"{high:.{unit}f} s", len(numbers)))
    return rows


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bed", required=True, help="name of a bed that runs pods")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write every number to this file")
    given = parser.parse_args()
    bed = beds.load(given.bed)
    if bed is None:
        raise SystemExit(f"there is no bed {given.bed}; python -m testbed up --name {given.bed} --level pods")
    watch, ticks = measure(bed, given.rounds)
    print("| what | middle | largest | of |\n|---|---|---|---|")
    for row in table(watch, ticks):
        print("| " + " | ".join(map(str, row)) + " |")
    if given.json is not None:
        found = {"seconds": watch.seconds, "ticks": ticks.took, "ages": ticks.ages}
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
