"""A real HPA, and KEDA and the VPA by objects of their own CRDs: named, and their levers left alone (RULES 9).

Moves are forced by bounds that what runs is outside of: they need no metrics, so a workload that nobody scales moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.bed import Bed
from tests.integration.operator.conftest import NAMESPACE, Cluster, Operator, config, deployment, until

CRDS = Path(__file__).parent / "rivals" / "crds.yaml"
KINDS = ("scaledobjects.keda.sh", "verticalpodautoscalers.autoscaling.k8s.io")


@pytest.fixture(scope="module")
def running(crds: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator that starts when both CRDs are there."""
    crds.kubectl("apply", "-f", str(CRDS))
    crds.kubectl("wait", "--for=condition=Established", *(f"crd/{kind}" for kind in KINDS), "--timeout=30s")
    operator = Operator(crds.kubeconfig, tmp_path_factory.mktemp("operator")).start()
    until(operator.leads, 90, "the operator leads")
    yield operator
    assert operator.end() == 0, operator.log
    crds.kubectl("delete", "crd", *KINDS, "--wait=true", timeout=180)


def scaled_object(name: str) -> dict[str, Any]:
    trigger = {"type": "prometheus", "metadata": {"serverAddress": "http://prometheus:9090", "query": "up"}}
    spec = {"scaleTargetRef": {"name": name}, "minReplicaCount": 1, "maxReplicaCount": 5, "triggers": [trigger]}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "theirs"}, "spec": spec}


def horizontal(name: str) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5, "metrics": [cpu]}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "theirs"},
        "spec": spec,
    }


def looked(shop: Cluster, name: str) -> bool:
    """Whether the HPA controller has read the scale of its target."""
    conditions = shop.get("horizontalpodautoscaler", name).get("status", {}).get("conditions", [])
    return any(c["type"] == "AbleToScale" and c["status"] == "True" for c in conditions)


def vertical(name: str, mode: str | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}}
    if mode is not None:
        spec["updatePolicy"] = {"updateMode": mode}
    return {
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": "VerticalPodAutoscaler",
        "metadata": {"name": "theirs"},
        "spec": spec,
    }


def outside(name: str) -> dict[str, Any]:
    """A resource whose bounds ask for two replicas and for twice the CPU that runs."""
    bounds = {"replicas": {"min": 2, "max": 3}, "containers": [{"name": "app", "cpu": {"min": "200m", "max": "1"}}]}
    return config(name, optimization={"autoTune": True, "constraints": bounds})


def replicas(shop: Cluster, name: str) -> int:
    found: int = shop.get("deployment", name)["spec"]["replicas"]
    return found


def shaped(shop: Cluster) -> set[str]:
    """Workloads that have an entry in the profile."""
    return set(shop.get("tuningprofile", "trimtab").get("spec", {}).get("workloads", {}))


def ticks(running: Operator, count: int = 3) -> None:
    begun = running.ticks()
    until(lambda: running.ticks() >= begun + count, 90, f"{count} more ticks")


def test_rule_09_a_real_hpa_keeps_its_replicas_and_is_named(running: Operator, shop: Cluster) -> None:
    shop.apply(deployment("owned"), deployment("free"), horizontal("owned"), outside("owned"), outside("free"))
    message = shop.condition("owned", "Conflicted", "True", "HpaOwnsReplicas")["message"]
    assert "HorizontalPodAutoscaler theirs scales Deployment owned" in message
    until(lambda: replicas(shop, "free") == 2, 90, "the other workload is scaled")
    until(lambda: looked(shop, "theirs"), 60, "the HPA controller works on it")
    ticks(running)
    found = shop.get("deployment", "owned")
    assert found["spec"]["replicas"] == 1, "two are the least, but the replicas are the HPA's"
    assert found["metadata"]["generation"] == 1, "nobody wrote to it"
    assert "Deployment/owned" not in shaped(shop), "CPU requests are its denominator; they stay"
    shop.bed.kubectl("delete", "hpa", "theirs", "-n", NAMESPACE)
    shop.condition("owned", "Conflicted", "False", "NoConflict")
    until(lambda: replicas(shop, "owned") == 2, 90, "the workload is scaled once the HPA is gone")


def test_rule_09_a_scaled_object_keeps_its_replicas_and_is_named(running: Operator, shop: Cluster) -> None:
    shop.apply(deployment("theirs"), deployment("free"), scaled_object("theirs"), outside("theirs"), outside("free"))
    message = shop.condition("theirs", "Conflicted", "True", "KedaOwnsReplicas")["message"]
    assert "ScaledObject theirs scales Deployment theirs" in message
    until(lambda: replicas(shop, "free") == 2, 90, "the other workload is scaled")
    ticks(running)
    assert replicas(shop, "theirs") == 1
    assert "Deployment/theirs" in shaped(shop), "requests are not KEDA's; they go on"
    shop.bed.kubectl("delete", "scaledobject", "theirs", "-n", NAMESPACE)
    shop.condition("theirs", "Conflicted", "False", "NoConflict")
    until(lambda: replicas(shop, "theirs") == 2, 90, "the workload is scaled once KEDA is gone")


@pytest.mark.parametrize("mode", [None, "InPlaceOrRecreate"])
def test_rule_09_a_vpa_keeps_the_requests_and_is_named(running: Operator, shop: Cluster, mode: str | None) -> None:
    # Names of its own: an entry outlives its resource until the next tick, and a namesake takes it over.
    theirs = f"theirs-{mode or 'default'}".lower()
    shop.apply(deployment(theirs), deployment("free"), vertical(theirs, mode), outside(theirs), outside("free"))
    message = shop.condition(theirs, "Conflicted", "True", "VpaOwnsResources")["message"]
    assert f"VerticalPodAutoscaler theirs (mode {mode or 'Auto'}) sets the requests of Deployment {theirs}" in message
    until(lambda: "Deployment/free" in shaped(shop), 90, "the other workload is shaped")
    ticks(running)
    assert f"Deployment/{theirs}" not in shaped(shop)
    assert replicas(shop, theirs) == 2, "replicas are not the VPA's; they go on"
    shop.apply(vertical(theirs, "Off"))
    shop.condition(theirs, "Conflicted", "False", "NoConflict")
    until(lambda: f"Deployment/{theirs}" in shaped(shop), 90, "the workload is shaped once the VPA is off")


def test_rule_09_somebody_who_keeps_setting_the_profile_back_is_named_and_left_alone(
    running: Operator, shop: Cluster
) -> None:
    shop.apply(deployment("app"), outside("app"))
    until(lambda: "Deployment/app" in shaped(shop), 90, "the workload is shaped")
    part = '{"name":"app","requests":{"cpu":"%s"},"templateRequests":{"cpu":"100m","memory":"128Mi"}}'
    theirs = '{"spec":{"workloads":{"Deployment/app":{"containers":[' + part % "150m" + "]}}}}"

    def conflicted() -> bool:
        """They set it back whenever it is ours."""
        entry = shop.get("tuningprofile", "trimtab")["spec"]["workloads"]["Deployment/app"]
        if entry["containers"][0]["requests"]["cpu"] != "150m":
            patch = ["patch", "tuningprofile", "trimtab", "-n", NAMESPACE, "--type=merge", "-p", theirs]
            shop.bed.kubectl(*patch, "--field-manager=their-sync")
        conditions = shop.get("performanceconfig", "app")["status"]["conditions"]
        return any(c["type"] == "Conflicted" and c["reason"] == "RevertWar" for c in conditions)

    until(conflicted, 60, "the conflict is told")
    message = shop.condition("app", "Conflicted", "True", "RevertWar")["message"]
    assert "their-sync set the CPU of Deployment app back twice" in message
    ticks(running)
    entry = shop.get("tuningprofile", "trimtab")["spec"]["workloads"]["Deployment/app"]
    assert entry["containers"][0]["requests"]["cpu"] == "150m", "left alone"
