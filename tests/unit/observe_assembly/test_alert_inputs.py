"""What the built-in alerts look at: imbalance of the pods, and metrics that were lost."""

import math

import pytest

from tests.unit.observe_assembly.bench import NOW, SPEC, config, deployment, shop, usage
from tests.unit.observe_assembly.scene import PODS, Bench


@pytest.mark.parametrize(
    ("pods", "imbalance"),
    [
        (PODS, 1.25),
        ({"web-6bcf4d8f-pod0": 0.1, "web-6bcf4d8f-pod1": 0.7}, 1.75),
        ({"web-6bcf4d8f-pod0": 0.001, "web-6bcf4d8f-pod1": 0.05}, 1.0),
        ({}, math.nan),
    ],
)
async def test_imbalance_is_the_busiest_pod_over_the_mean_and_idle_pods_have_none(
    bench: Bench, pods: dict[str, float], imbalance: float
) -> None:
    shop(bench.client)
    await bench.start()
    bench.prometheus.answer = usage(pods)
    found = (await bench.look()).observation.workloads.imbalance[0]
    assert found == pytest.approx(imbalance, nan_ok=True)


async def test_one_pod_is_never_out_of_balance(bench: Bench) -> None:
    shop(bench.client, 1)
    await bench.start()
    assert (await bench.look()).observation.workloads.imbalance[0] == 1.0


async def test_a_declared_metric_without_a_number_is_lost_and_one_without_traffic_is_not(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    assert (await bench.look()).observation.workloads.metrics_lost[0] == 0
    base = usage(PODS)
    bench.prometheus.answer = lambda text, at: [] if "histogram_quantile" in text else base(text, at)
    later = (await bench.look(now=1_800_000_000.0 + 15)).observation.workloads.metrics_lost[0]
    assert later == 1


async def test_pods_that_somebody_scaled_to_zero_have_lost_no_metric_but_others_may_have(bench: Bench) -> None:
    bench.client.put(deployment(replicas=0))
    bench.prometheus.answer = lambda text, at: []
    await bench.start()
    assert (await bench.look()).observation.workloads.metrics_lost[0] == 0
    elsewhere = config(SPEC.replace("unit: seconds}", "unit: seconds, scope: Namespace}"), generation=2)
    assert (await bench.look(elsewhere, now=NOW + 15)).observation.workloads.metrics_lost[0] == 1
