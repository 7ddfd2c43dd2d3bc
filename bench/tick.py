"""The decide phase of one tick over a fleet: time, memory, checkpoints, and the writes that its day asks for.

    python bench/tick.py [--configs 10000] [--containers 100000] [--json]

Each fleet size runs in a process of its own, so that its memory is its own. A tick is one call of `decide` as the
operator makes it (bench/fleet.py makes the Observations, outside of the clock). The day of writes is driven: a
fortieth of the fleet decides every minute of a day; what it moves and says is counted by the rules that the operator
writes by, and multiplied (bench/writes.py). Writes go to pods, so there the containers are those
that run: workloads of five pods have a fifth of them in their templates. Prints one line a size, or JSON with --json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that it also runs by its path

from bench.fleet import Fleet
from trimtab.decide.checkpoint import Places, learned, resume, save
from trimtab.decide.engine import decide
from trimtab.decide.settings import Settings
from trimtab.decide.state import State

ROOT = Path(__file__).parent.parent
SIZES = (1_000, 10_000, 100_000)
CONTAINERS_A_CONFIG = 10
PODS = 5
"""Pods of a workload, on average."""
CONFIGS_A_CHANGE = 20
"""The cap on changes a minute of a large fleet, one for so many workloads; the chart's default of 60 is for 1,200."""
DAY_SHARE = 40
"""The day of writes is driven with this part of the fleet."""
MIB = float(2**20)
Row = dict[str, Any]


def memory(field: str) -> float:
    """VmRSS or VmHWM (the most it ever was) of this process, in MiB."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return float(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def size_of(state: State) -> int:
    """Bytes of the arrays of a state, its keys left out."""
    tables = [state.alerts, state.standing.builtin, *learned(state).values()]
    return sum(getattr(table, name).nbytes for table in tables for name, _ in table.columns())


def measure(configs: int, containers: int, ticks: int) -> Row:
    """Figures of one size, in this process."""
    empty = memory("VmRSS")
    fleet, state, settings = Fleet(configs, containers), State(), Settings()
    with_fleet = memory("VmRSS")
    taken, busy, moves = [], [], 0
    for number in range(ticks + 2):
        seen = fleet.observation()
        start, used = time.perf_counter(), time.process_time()
        plan, state = decide(seen, state, settings, reuse=True)
        if number >= 2:  # the first ticks make the tables and start the trials of the whole fleet
            taken.append(time.perf_counter() - start)
            busy.append(time.process_time() - used)
            moves += len(plan.decisions)
        fleet.follow(plan)
    p50 = statistics.median(taken)
    peak = memory("VmHWM")
    return {
        "configs": configs,
        "containers": containers,
        "ticks": ticks,
        "decisions": moves,
        "tick_seconds_p50": p50,
        "tick_seconds_max": max(taken),
        "cpu_seconds_p50": statistics.median(busy),
        "microseconds_a_container": 1e6 * p50 / containers,
        "rss_mib": peak,
        "rss_mib_empty": empty,
        "rss_mib_of_the_fleet": with_fleet - empty,
        "bytes_a_container": (peak - empty) * MIB / containers,
        "state_bytes_a_container": size_of(state) / containers,
    }


def checkpoints(configs: int, containers: int) -> Row:
    """Writing and reading a state with a day of history as checkpoints: seconds, and bytes before base64."""
    fleet, settings = Fleet(configs, containers), Settings()
    state = fleet.history(State(), settings, step=3600.0)
    seen = fleet.observation()
    _, state = decide(seen, state, settings, reuse=True)
    start = time.perf_counter()
    places = Places.of(seen)
    saved = {key: save(state, places, w) for w, key in enumerate(seen.workloads.key)}
    written = time.perf_counter() - start
    sizes = sorted(len(one.data) for one in saved.values() if one is not None)
    start = time.perf_counter()
    data = {key: one.data for key, one in saved.items() if one is not None}
    resume(State(), seen, data, settings, reuse=True)
    return {
        "count": len(sizes),
        "write_seconds": written,
        "read_seconds": time.perf_counter() - start,
        "bytes": sum(sizes),
        "bytes_p50": sizes[len(sizes) // 2],
        "bytes_max": sizes[-1],
        "bytes_a_container": sum(sizes) / len(seen.containers),
    }


def apart(configs: int, containers: int, ticks: int, part: str) -> Row:
    """The figures of one part from a process of its own."""
    command = [sys.executable, "-m", "bench.tick", "--part", part, "--ticks", str(ticks)]
    command += ["--configs", str(configs), "--containers", str(containers)]
    env = {**os.environ, "OMP_NUM_THREADS": "2"}
    found: Row = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=env).stdout)
    return found


def run(configs: int, containers: int, ticks: int, *, with_day: bool) -> Row:
    """Everything: the table over sizes up to this one, its checkpoints, its day of writes."""
    sizes = [(max(1, size // CONTAINERS_A_CONFIG), size) for size in SIZES if size < containers]
    table = [apart(*size, ticks, "tick") for size in sizes] + [apart(configs, containers, ticks, "tick")]
    largest = table[-1]
    result: Row = {
        "tick_seconds_p50": largest["tick_seconds_p50"],
        "rss_mib": largest["rss_mib"],
        "settings": Settings().digest(),
        "table": table,
        "checkpoints": apart(configs, containers, ticks, "checkpoints"),
    }
    if with_day:
        result["writes"] = apart(configs, containers, ticks, "day")
    return result


def show(result: Row) -> None:
    """The same for people."""
    print(f"{'containers':>10} {'configs':>8} {'tick p50':>10} {'max':>8} {'CPU p50':>10} {'a container':>12}", end=" ")
    print(f"{'peak RSS':>9} {'bytes a container':>18} {'of it state':>12}")
    for row in result["table"]:
        print(
            f"{row['containers']:>10,} {row['configs']:>8,} {1e3 * row['tick_seconds_p50']:>7.1f} ms"
            f" {1e3 * row['tick_seconds_max']:>5.0f} ms {1e3 * row['cpu_seconds_p50']:>7.1f} ms"
            f" {row['microseconds_a_container']:>9.2f} µs"
            f" {row['rss_mib']:>5.0f} MiB {row['bytes_a_container']:>18,.0f} {row['state_bytes_a_container']:>12,.0f}"
        )
    kept = result["checkpoints"]
    print(
        f"\ncheckpoints: {kept['count']:,} of {kept['bytes_p50']:,} bytes (p50; max {kept['bytes_max']:,}),"
        f" {kept['bytes_a_container']:.0f} a container, {kept['bytes'] / MIB:.1f} MiB in all;"
        f" packed in {kept['write_seconds']:.1f} s, unpacked in {kept['read_seconds']:.1f} s"
    )
    if "writes" in result:
        writes = result["writes"]
        print(f"\n{'writes a second':24} {'mean':>8} {'busiest hour':>13}")
        for kind, rate in writes["a_second"].items():
            print(f"{kind:24} {rate['mean']:>8.2f} {rate['busiest_hour']:>13.2f}")
        asked = ", ".join(f"{kind} {rate:.1f}" for kind, rate in writes["asked_a_second"].items())
        print(f"asked for, a second: {asked}; statuses are {writes['status_lag_seconds_p95']:.0f} s late (p95)")
        print(
            f"budget {writes['budget']:.0f} (writesPerSecond); at most {writes['changes_per_minute']} changes a minute;"
            f" {writes['decisions_a_day_and_config']:.1f} decisions a day and workload"
        )
    print(f"\nsettings {result['settings']}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", type=int, default=10_000, help="PerformanceConfigs")
    parser.add_argument("--containers", type=int, default=100_000, help="containers of all of them")
    parser.add_argument("--ticks", type=int, default=12, help="ticks that are measured")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--no-day", action="store_true", help="leave out the day of writes (the longest part)")
    parser.add_argument("--part", choices=("tick", "checkpoints", "day"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part == "day":
        # Here only: what the operator is configured by and writes with is no part of the engine's memory.
        from bench.writes import day_of_writes
        from trimtab.api.settings import OperatorSettings

        configs = max(1, given.configs // DAY_SHARE)
        rows = max(configs, round(given.containers / given.configs / PODS * configs))
        fleet = Fleet(configs, rows, step=60.0)
        operator = OperatorSettings(max_changes_per_minute=max(60, given.configs // CONFIGS_A_CHANGE))
        print(json.dumps(day_of_writes(fleet, given.configs, operator)))
    elif given.part == "checkpoints":
        print(json.dumps(checkpoints(given.configs, given.containers)))
    elif given.part:
        print(json.dumps(measure(given.configs, given.containers, given.ticks)))
    else:
        result = run(given.configs, given.containers, given.ticks, with_day=not given.no_day)
        if given.json:
            print(json.dumps(result, indent=1))
        else:
            show(result)


if __name__ == "__main__":
    main()
