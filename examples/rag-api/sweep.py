"""Measures the service at several batch sizes and prints a table. Run: python sweep.py --cpu 0.25 (as root).

Each size gets a process of its own on loopback. With --cpu the process is put into a control group with that
CPU quota, as a pod with that CPU limit is; the group is removed at the end. Without it, it is held on one CPU.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from load import Driver, Plan, check_target, make_plan, quantiles

PERIOD_MICROSECONDS = 100_000
"""The kubelet's default CFS period."""

APP = Path(__file__).with_name("app.py")


@dataclass(frozen=True)
class Row:
    """What was measured at one batch size."""

    batch_size: int
    saturated_rps: float
    cpu_milliseconds: float
    p50: float | None
    p95: float | None
    memory_mib: float

    def markdown(self) -> str:
        """A line of the table."""
        per_core = 1000 / self.cpu_milliseconds
        p50, p95 = (f"{value:.2f} s" if value is not None else "none" for value in (self.p50, self.p95))
        throughput = f"{self.saturated_rps:.1f} | {self.cpu_milliseconds:.0f} ms | {per_core:.0f}"
        return f"| {self.batch_size} | {throughput} | {p50} | {p95} | {self.memory_mib:.0f} MiB |"


@contextmanager
def cpu_group(cpus: float | None) -> Iterator[Path | None]:
    """Make a control group with a quota of `cpus` CPUs (cgroup v1 or v2), and remove it at the end."""
    if cpus is None:
        yield None
        return
    root = Path("/sys/fs/cgroup")
    unified = (root / "cgroup.controllers").exists()
    group = (root if unified else root / "cpu") / f"rag-api-sweep-{os.getpid()}"
    quota = int(cpus * PERIOD_MICROSECONDS)
    group.mkdir()
    try:
        if unified:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_MICROSECONDS))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        yield group
    finally:
        group.rmdir()


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, user and system (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure(batch_size: int, rate: float, seconds: float, group: Path | None) -> Row:
    """Start the service, load it at `rate`, then saturate it."""
    environment = os.environ | {
        "BATCH_SIZE": str(batch_size),
        "PORT": "0",
        "HOST": "127.0.0.1",
        "DRAIN_SECONDS": "0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(APP), env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        if group is None:
            os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        else:
            (group / "cgroup.procs").write_text(str(process.pid))
        assert process.stdout is not None
        started = json.loads(await process.stdout.readline())
        url = check_target(f"http://127.0.0.1:{started['port']}")
        plan = make_plan("steps", seed=1, duration=seconds, base=rate, peak=rate)
        steady = await drive(plan, url, max_in_flight=48)
        # More than the service can do, with 48 always unanswered: every batch is as full as it may be.
        flood = make_plan("steps", seed=2, duration=seconds, base=200, peak=200)
        cpu, began = cpu_seconds(process.pid), time.monotonic()
        saturated = await drive(flood, url, max_in_flight=48)
        took = time.monotonic() - began
        answered = sum(outcome.result == "ok" for outcome in saturated.outcomes)
        p50, p95 = quantiles([outcome.latency for outcome in steady.outcomes if outcome.result == "ok"])
        return Row(
            batch_size=batch_size,
            saturated_rps=answered / took,
            cpu_milliseconds=1000 * (cpu_seconds(process.pid) - cpu) / max(answered, 1),
            p50=p50,
            p95=p95,
            memory_mib=memory_mib(process.pid),
        )
    finally:
        process.terminate()
        await process.wait()


async def drive(plan: Plan, url: str, *, max_in_flight: int) -> Driver:
    """Run a plan against one URL, and return its driver with the outcomes."""
    driver = Driver(plan, [url], timeout=60, max_in_flight=max_in_flight)
    await driver.run(asyncio.Event())
    return driver


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--cpu", type=float, help="CPU quota, as a pod's limit; needs root")
    parser.add_argument("--rate", type=float, default=6.0, help="queries a second for the latency columns")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each of the two loads")
    options = parser.parse_args(arguments)
    latency = f"p50 at {options.rate:g} rps | p95"
    print(f"| BATCH_SIZE | saturated rps | CPU a query | rps a core | {latency} | memory |")
    print("|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    with cpu_group(options.cpu) as group:
        for size in options.sizes:
            print(asyncio.run(measure(size, options.rate, options.seconds, group)).markdown(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
