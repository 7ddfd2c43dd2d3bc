"""Latency of creating a pod (server dry run) with the admission policy and a large TuningProfile.

    python -m bench.admission --bed NAME [--workloads 1000] [--pods 200]

Needs a bed (`python -m testbed up --name NAME --level api`) or any cluster by --kubeconfig with the chart installed.
Prints p50 and p95 in milliseconds: a namespace without a profile, then with N workloads in it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # so that it also runs by its path

from testbed import bed as beds
from tests.integration.act.policy import Admission, container, install, make_namespace, part, pod, tuned
from trimtab.kube.client import KubeClient
from trimtab.kube.paths import resource_path


async def measure(admission: Admission, owner: str, pods: int) -> tuple[float, float]:
    """p50 and p95 of `pods` creations, one after the other, in milliseconds."""
    taken = []
    for _ in range(pods):
        start = time.perf_counter()
        await admission.create(pod(owner=owner))
        taken.append((time.perf_counter() - start) * 1000)
    quantiles = statistics.quantiles(taken, n=20)
    return quantiles[9], quantiles[18]


async def run(kubeconfig: Path, workloads: int, pods: int) -> None:
    """Measure and print."""
    async with await KubeClient.connect(kubeconfig) as client:
        namespace = await make_namespace(client, "bench")
        admission = Admission(client, namespace)
        try:
            await measure(admission, "web-abc12", 20)  # connections and caches warm
            rows = [("no profile", *await measure(admission, "web-abc12", pods))]
            parts = [part(), part("sidecar")]
            entries = {f"Deployment/w-{n}": {"config": f"c-{n}", "containers": parts} for n in range(workloads - 1)}
            await admission.set_profile(entries)
            last = f"w-{workloads - 2}-abc12"
            assert tuned(await admission.create(pod(container(), owner=last)))
            rows.append((f"{workloads} workloads, pod tuned", *await measure(admission, last, pods)))
            rows.append((f"{workloads} workloads, pod of none", *await measure(admission, "none-abc12", pods)))
        finally:
            await client.delete(resource_path("", "v1", "namespaces", None, namespace))
    print(f"{'server dry-run pod create':32} {'p50 ms':>8} {'p95 ms':>8}")
    for name, p50, p95 in rows:
        print(f"{name:32} {p50:8.1f} {p95:8.1f}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bed", help="name of a bed; the policy is installed on it")
    parser.add_argument("--kubeconfig", type=Path, help="any other cluster with the chart installed")
    parser.add_argument("--workloads", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=200)
    given = parser.parse_args()
    bed = beds.load(given.bed) if given.bed else None
    if bed is None and given.kubeconfig is None:
        parser.error("give --bed NAME of a bed that is up, or --kubeconfig FILE")
    if bed is not None:
        install(bed)
    asyncio.run(run(bed.kubeconfig if bed is not None else given.kubeconfig, given.workloads, given.pods))


if __name__ == "__main__":
    main()
