"""Does any plan break a constraint? A million generated states, a seed, and the count by constraint.

    python -m bench.constraints [--states 1000000] [--seed 1] [--json]

A state is one workload at one tick: its bounds, its load, its containers and knobs, and what the engine remembers of
the ticks before (bench/states.py says what they are like, bench/forbidden.py what is forbidden). Episodes of ten ticks:
half of them a cluster that mostly obeys, half with everything drawn anew. One episode in eight is run twice, and the
outputs are compared byte by byte. Exit code 1 when a constraint was broken, not reached, or outputs differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that it also runs by its path

from bench.forbidden import Audit
from bench.states import EAGER, States
from trimtab.decide.columns import Table
from trimtab.decide.engine import decide
from trimtab.decide.observation import Observation
from trimtab.decide.plan import Plan
from trimtab.decide.state import State

START = 1.8e9
TICKS = 10
WORKLOADS = 2_500
TWICE = 8
"""One episode in so many is run twice."""


def episode(seed: int, number: int, workloads: int, audit: Audit | None, *, reuse: bool = True) -> tuple[int, str, int]:
    """Run one episode: its states, a digest of all outputs, and the number of decisions."""
    states = States(np.random.default_rng((seed, number)), workloads)
    state, now, digest, decisions = State(), START, hashlib.sha256(), 0
    last: tuple[Observation, Plan] | None = None
    for tick in range(TICKS):
        seen = states.follow(*last, now) if last is not None and number % 2 == 0 else states.observation(now)
        plan, state = decide(seen, state, EAGER, reuse=reuse)
        if audit is not None:
            audit.check(seen, plan, first=tick == 0)
        digest.update(bytes_of(plan))
        decisions += len(plan.decisions)
        last, now = (seen, plan), now + 15.0
    return TICKS * workloads, digest.hexdigest(), decisions


def bytes_of(plan: Plan) -> bytes:
    """Everything that a plan says, as bytes."""
    parts = [repr(plan.decisions).encode(), repr(sorted(plan.remarks.items())).encode()]
    for table in (plan.workloads, plan.containers, plan.knobs, plan.alerts, plan.derived):
        parts += [_column(table, name) for name, _ in table.columns()]
    return b"".join(parts)


def _column(table: Table, name: str) -> bytes:
    values = getattr(table, name)
    return repr(values.tolist()).encode() if values.dtype == object else bytes(values.tobytes())


def run(states: int, seed: int, workloads: int = WORKLOADS) -> tuple[dict[str, Any], Audit]:
    """Run episodes until so many states were seen."""
    audit, seen, decisions, number = Audit(), 0, 0, 0
    twice = different = 0
    while seen < states:
        count, digest, made = episode(seed, number, workloads, audit)
        if number % TWICE == 0:
            twice += 1
            different += episode(seed, number, workloads, None, reuse=False)[1] != digest
        seen, decisions, number = seen + count, decisions + made, number + 1
        if sys.stderr.isatty():
            print(f"\r{seen:,} states, {audit.broken} broken", end="", file=sys.stderr)
    return {
        "states": seen,
        "seed": seed,
        "settings": EAGER.digest(),
        "decisions": decisions,
        "forbidden_moves": audit.broken,
        "not_reached": audit.unreached,
        "episodes_run_twice": twice,
        "episodes_that_differed": different,
        "constraints": {
            name: {"applied": rule.applied, "at_edge": rule.at_edge, "broken": rule.broken, "example": rule.example}
            for name, rule in audit.rules.items()
        },
    }, audit


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--states", type=int, default=1_000_000, help="workloads times ticks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    result, audit = run(given.states, given.seed)
    if given.json:
        print(json.dumps(result, indent=1))
    else:
        print(f"{'constraint':62} {'applied':>10} {'at its edge':>12} {'broken':>7}")
        for name, rule in audit.rules.items():
            print(f"{name:62} {rule.applied:>10,} {rule.at_edge:>12,} {rule.broken:>7,} {rule.example}")
        print(
            f"\n{result['states']:,} states, {result['decisions']:,} decisions, {audit.broken:,} forbidden moves;"
            f" {result['episodes_run_twice']} episodes run twice, {result['episodes_that_differed']} differed"
        )
    return int(bool(audit.broken or audit.unreached or result["episodes_that_differed"]))


if __name__ == "__main__":
    sys.exit(main())
