"""The mirrors and the levers against a real API server."""

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.bed import Bed
from tests.integration.observe.bed import eventually
from tests.unit.observe_assembly.bench import SPEC, config, settings
from trimtab.api.reasons import Reason
from trimtab.decide.observation import Lever
from trimtab.kube.client import KubeClient
from trimtab.kube.world import World
from trimtab.observe.conflicts import is_person
from trimtab.observe.observer import Observer

pytestmark = pytest.mark.cluster


def workload(kind: str = "Deployment", replicas: int = 2, command: list[str] | None = None, **container: object) -> Any:
    body: dict[str, object] = {
        "name": "app",
        "image": "trimtab/pause:dev" if command is None else "trimtab/python:dev",
        "imagePullPolicy": "Never",
        "resources": {
            "requests": {"cpu": "50m", "memory": "32Mi"},
            "limits": {"cpu": "500m", "memory": "64Mi"},
        },
        **({"command": command} if command is not None else {}),
        **container,
    }
    pod = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [body], "terminationGracePeriodSeconds": 1},
    }
    spec: dict[str, object] = {"selector": {"matchLabels": {"app": "web"}}, "template": pod}
    spec |= {"replicas": replicas} if kind != "DaemonSet" else {}
    spec |= {"serviceName": "web"} if kind == "StatefulSet" else {}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec}


async def seen_by(world: World, namespace: str, kind: str = "Deployment", pods: int = 2) -> Any:
    async def ask() -> Any:
        target = world.target(namespace, "apps/v1", kind, "web")
        return target if target is not None and len(world.pods_of(target)) == pods else None

    return await eventually(ask, lambda target: target is not None)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_a_real_workload_its_pods_and_its_template_are_seen(
    world: Any, namespace: Any, apply: Any, kind: Any
) -> None:
    apply(workload(kind, replicas=1))
    target = await seen_by(world, namespace, kind, pods=1)
    assert (target.replicas, target.qos, len(target.template_hash)) == (1, "Burstable", 16)
    assert target.containers[0].cpu == 0.05
    if kind == "Deployment":
        current = world.current_replicaset(target)
        assert current.revision == 1
        (pod,) = world.pods_of(target)
        assert pod.hash_label == current.hash
        assert world.target(namespace, "apps/v1", kind, "web", template=True).template["spec"]["containers"]


async def test_a_restart_and_a_new_variable_keep_the_template_hash_and_new_requests_do_not(
    cluster: Bed, world: Any, namespace: Any, apply: Any
) -> None:
    apply(workload(replicas=1))
    before = await seen_by(world, namespace, pods=1)
    cluster.kubectl("rollout", "restart", "deployment/web", "-n", namespace)
    after = await eventually(lambda: found(world, namespace), lambda target: target.generation == before.generation + 1)
    assert after.template_hash == before.template_hash
    cluster.kubectl("set", "env", "deployment/web", "-n", namespace, "BATCH=8")
    changed = await eventually(lambda: found(world, namespace), lambda target: target.generation > after.generation)
    assert changed.template_hash == before.template_hash
    assert changed.containers[0].env == {"BATCH": "8"}
    assert world.current_replicaset(changed) is not None
    cluster.kubectl("set", "resources", "deployment/web", "-n", namespace, "--requests=cpu=60m")
    resized = await eventually(lambda: found(world, namespace), lambda target: target.generation > changed.generation)
    assert resized.template_hash != before.template_hash


async def found(world: World, namespace: str) -> Any:
    return world.target(namespace, "apps/v1", "Deployment", "web")


async def test_kubectl_scale_is_a_persons_and_kubectl_apply_is_not(
    cluster: Bed, world: Any, namespace: Any, apply: Any
) -> None:
    apply(workload(replicas=1))
    target = await seen_by(world, namespace, pods=1)
    assert not is_person(target.replicas_manager, target.replicas_manager_operation)
    cluster.kubectl("scale", "deployment/web", "-n", namespace, "--replicas=3")
    target = await eventually(lambda: found(world, namespace), lambda one: one.replicas == 3)
    assert (target.replicas_manager, target.replicas_manager_operation) == ("kubectl", "scale")
    assert is_person(target.replicas_manager, target.replicas_manager_operation)
    assert target.replicas_set_at > 1.7e9


async def test_an_autoscaler_a_budget_and_the_namespaces_bounds_are_seen(
    world: Any, namespace: Any, apply: Any
) -> None:
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "scaler"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2,
            "maxReplicas": 3,
        },
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "pdb"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    limits = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "limits"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "500m"}}]},
    }
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "quota"},
        "spec": {"hard": {"requests.cpu": "4"}},
    }
    apply(limits, quota, workload(), hpa, budget)
    target = await seen_by(world, namespace)

    async def rivals() -> Any:
        return world.rivals(target)

    (rival,) = await eventually(rivals, lambda one: len(one) == 1)
    assert rival.scales_on_cpu, "the API server fills in 80% CPU utilisation"
    assert [one.name for one in world.budgets_for(world.pods_of(target)[0])] == ["pdb"]
    assert world.limit_ranges(namespace)[0].container_max == {"cpu": 1.0}
    assert world.limit_ranges(namespace)[0].default_request == {"cpu": 0.5}
    assert world.quotas(namespace)[0].hard == {"requests.cpu": 4.0}

    observer = Observer(world, {}, {}, settings())
    one = config(SPEC, namespace=namespace)
    seen = await observer.observe({one.key: one}, 2e9)
    await observer.close()
    blocks = {(block.lever, block.reason) for block in seen.observation.blocks[0]}
    assert (Lever.REPLICAS, Reason.HPA_OWNS_REPLICAS) in blocks
    assert (Lever.CPU, Reason.HPA_USES_CPU) in blocks
    assert seen.observation.workloads.allowed[0].tolist()[:3] == [False, False, True]


async def test_the_cluster_tells_what_it_can_do(world: Any, namespace: Any, apply: Any) -> None:
    known = world.capabilities
    assert known.version.startswith("v1.")
    assert known.pod_resize is True
    assert known.admission_policy is True
    assert known.tuning_profiles is True
    profile = {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "TuningProfile",
        "metadata": {"name": "trimtab"},
        "spec": {"workloads": {"Deployment/web": {"config": "web", "containers": []}}},
    }
    apply(profile)

    async def ask() -> Any:
        return world.profile(namespace)

    record = await eventually(ask, lambda one: one is not None)
    assert record.spec.workloads["Deployment/web"].config == "web"
    assert record.problem == ""


RBAC = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: narrow}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: narrow}
rules:
- {apiGroups: ["", apps, autoscaling, policy, trimtab.dev], resources: ["*"], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: narrow}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: narrow}
subjects: [{kind: ServiceAccount, name: narrow}]
"""


async def test_with_the_rights_of_one_namespace_the_rest_is_unknown_and_noted(
    cluster: Bed, namespace: Any, apply: Any, tmp_path: Path
) -> None:
    apply(workload())
    cluster.kubectl("apply", "-n", namespace, "-f", "-", input=RBAC)
    cluster.kubectl("annotate", "namespace", namespace, "trimtab.dev/pause=true")
    token = cluster.kubectl("create", "token", "narrow", "-n", namespace).strip()
    kubeconfig = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json"))
    kubeconfig["users"][0]["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(kubeconfig))
    async with await KubeClient.connect(path) as narrow:
        world = World(narrow, namespaces=[namespace])
        await world.start()
        await world.wait_synced()
        target = await seen_by(world, namespace)
        assert target.replicas == 2
        assert world.nodes() == []
        assert any("nodes cannot be watched: grant list and watch" in note for note in world.notes())

        async def paused() -> Any:
            await world.refresh()
            return world.namespace_paused(namespace)

        await eventually(paused, bool)
        await world.stop()
