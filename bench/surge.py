"""A real surge on a test bed, drawn: latency, CPU quota of the running pods and replicas on one time axis.

    python -m bench.surge --bed NAME --html surge.html [--json surge.json] [--seconds 600]

Needs a bed (`python -m testbed up --name NAME --level pods`). A CPU-bound service runs on two pods whose CPU is limited
and which take half a minute to start; after a third of the time the load grows 3.6 times, after two thirds it falls
back. The quota is read from the pods' cgroups, latency is measured by the client.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that it also runs by its path

from testbed import bed as beds
from tests.e2e.operating import Crew, Shop, opened, ready
from tests.e2e.surging import CALM, NAME, PODS, SURGE, Customers, loan, prepare, quotas
from trimtab.lab.report.page import page
from trimtab.lab.report.plot import Line, Plot

SAMPLE_SECONDS = 1.0


def record(shop: Shop, seconds: float) -> tuple[list[dict[str, float]], list[tuple[float, float]], list[str]]:
    """What was sampled each second, every request (sent after, latency), and the decisions."""
    first = [pod["metadata"]["name"] for pod in shop.pods(NAME)]
    samples: list[dict[str, float]] = []
    with Customers(shop, rate=CALM * PODS).coming() as customers:
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            customers.rate = PODS * (SURGE if seconds / 3 <= now < 2 * seconds / 3 else CALM)
            have, pods = quotas(shop), shop.pods(NAME)
            running = [have[name] for name in first if name in have]
            samples.append(
                {
                    "time": now,
                    "rate": customers.rate,
                    "quota": sum(running) / len(running) if running else float("nan"),
                    "pods": float(len(pods)),
                    "ready": float(sum(map(ready, pods))),
                    "lent": float(bool(loan(shop))),
                }
            )
            time.sleep(max(0.0, SAMPLE_SECONDS - (time.monotonic() - began - now)))
        answered = [(sent - began, took) for sent, took in customers.answered]
    decisions = [f"{d['time']} {d['reason']}: {d['message']}" for d in reversed(shop.decisions(NAME))]
    return samples, answered, decisions


def figures(samples: list[dict[str, float]], answered: list[tuple[float, float]]) -> list[Plot]:
    """Plots that share their times."""
    times = np.array([sample["time"] for sample in samples])
    sent, took = (np.array(column) for column in zip(*answered, strict=True))
    took = np.minimum(took, 5.0)
    slot = np.searchsorted(times, sent, side="right") - 1
    p95 = [float(np.quantile(took[slot == i], 0.95)) if (slot == i).any() else np.nan for i in range(len(times))]

    def column(name: str) -> Line:
        return Line(name, np.array([sample[name] for sample in samples]))

    return [
        Plot("Load", times, [Line("requests", column("rate").values, area=True)], (), "requests/s"),
        Plot("Latency", times, [Line("p95 by the client", np.array(p95))], (), "s"),
        Plot("CPU quota of the first pods", times, [column("quota")], (), "cores", note="From their cgroups."),
        Plot("Replicas", times, [column("pods"), column("ready")], (), "pods"),
    ]


def main() -> None:
    """Read the arguments, run, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bed", required=True, help="name of a bed that runs pods")
    parser.add_argument("--html", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=600.0)
    given = parser.parse_args()
    bed = beds.load(given.bed)
    if bed is None:
        raise SystemExit(f"there is no bed {given.bed}; python -m testbed up --name {given.bed} --level pods")
    namespace = f"surge-{os.getpid()}"
    with opened(bed, namespace) as shop, tempfile.TemporaryDirectory() as folder:
        prepare(shop)
        crew = Crew(bed, namespace, Path(folder), bed.prometheus_url, {"namespaces": []})
        crew.start()
        try:
            samples, answered, decisions = record(shop, given.seconds)
        finally:
            crew.one.end()
    given.html.write_text(page("A surge, bridged", decisions, [], figures(samples, answered)))
    if given.json is not None:
        given.json.write_text(json.dumps({"samples": samples, "answered": answered, "decisions": decisions}))
    late = sum(took > 0.4 for _, took in answered) / max(len(answered), 1)
    highest = max(sample["quota"] for sample in samples)
    print(
        f"{len(answered)} requests, {late:.1%} over 0.4 s; quota at most {highest:.3f} cores, "
        f"{len(decisions)} decisions"
    )
    for decision in decisions:
        print(decision)


if __name__ == "__main__":
    main()
