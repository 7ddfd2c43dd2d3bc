"""Raw objects become records, and nothing that an API server can hold makes that fail."""

import copy
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sure import sure
from tests.unit.observe_assembly.bench import deployment, template
from trimtab.kube import strip
from trimtab.kube.strip_workloads import replicas_owner, swap_refusals, template_hash

STRIPS = [
    strip.strip_deployment,
    strip.strip_stateful_set,
    strip.strip_daemon_set,
    strip.strip_replica_set,
    strip.strip_pod,
    strip.strip_hpa,
    strip.strip_scaled_object,
    strip.strip_vpa,
    strip.strip_budget,
    strip.strip_node,
    strip.strip_limit_range,
    strip.strip_quota,
    strip.strip_namespace,
    strip.strip_profile,
]
WORDS = """
metadata name namespace uid annotations labels ownerReferences controller managedFields time fieldsV1 f:spec
f:replicas spec status containers initContainers restartPolicy resources requests limits cpu memory env value
valueFrom resizePolicy resourceName conditions type reason message lastTransitionTime containerStatuses lastState
terminated finishedAt restartCount template selector matchLabels replicas metrics resource target scaleTargetRef
triggers hard used min max default defaultRequest workloads allocatable volumes persistentVolumeClaim affinity
podAntiAffinity requiredDuringSchedulingIgnoredDuringExecution ports hostPort trimtab.dev/trial
trimtab.dev/trial-deadline trimtab.dev/pause strategy observedGeneration kind
"""
KEYS = st.sampled_from(WORDS.split())
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "100m",
            "1Ei",
            "1e99",
            "-5",
            "2026-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999999999+23:59",
            "OOMKilled",
            "True",
            "Always",
            "trimtab",
            "Container",
            "Deferred",
            "PodResizePending",
            "12e",
            "cpu",
        ]
    )
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=30
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=8)
NAMED = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {"name": st.sampled_from(["trimtab", "x"])},
            optional={"namespace": st.just("ns"), "annotations": JSON, "labels": JSON, "managedFields": JSON},
        )
    },
    optional={"spec": JSON, "status": JSON},
)


@settings(deadline=None)
@given(raw=OBJECTS | NAMED)
def test_no_object_however_odd_makes_stripping_fail(raw: Any) -> None:
    for one in STRIPS:
        one(raw)
    strip.scaled_workload("example.com/v1", "Thing", raw, raw)


@pytest.mark.parametrize("one", STRIPS)
def test_an_object_without_a_name_gives_no_record(one: Any) -> None:
    assert one({}) is None
    assert one({"metadata": {"namespace": "ns"}}) is None
    assert one({"metadata": []}) is None


def test_a_deployment_keeps_its_numbers_and_its_template_packed() -> None:
    raw = deployment(replicas=4)
    stored = sure(strip.strip_deployment(raw))
    record = stored.record
    assert (record.namespace, record.name, record.replicas, record.generation) == ("shop", "web", 4, 3)
    (container,) = record.containers
    assert (container.cpu, container.memory, container.cpu_limit) == (0.5, 256 * 2**20, 1.0)
    assert stored.template() == raw["spec"]["template"]
    assert record.template == {}
    assert record.qos == "Burstable"


def test_a_missing_request_is_the_limit_as_the_api_server_makes_it() -> None:
    raw = template()
    del raw["spec"]["containers"][0]["resources"]["requests"]
    record = sure(strip.strip_deployment(deployment(pod=raw))).record
    assert record.containers[0].cpu == 1.0
    assert record.qos == "Guaranteed"


def test_native_sidecars_are_containers_and_plain_init_containers_are_not() -> None:
    raw = template(
        initContainers=[{"name": "side", "restartPolicy": "Always"}, {"name": "setup"}],
    )
    record = sure(strip.strip_deployment(deployment(pod=raw))).record
    assert [container.name for container in record.containers] == ["app", "side"]


def test_variables_are_told_apart_as_integers_text_and_references() -> None:
    raw = template()
    raw["spec"]["containers"][0]["env"] = [
        {"name": "BATCH", "value": "8"},
        {"name": "TEXT", "value": "8 x"},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "TWICE", "value": "1"},
        {"name": "TWICE", "value": "no"},
    ]
    container = sure(strip.strip_deployment(deployment(pod=raw))).record.containers[0]
    assert container.env == {"BATCH": "8"}
    assert container.env_opaque == {"TEXT", "SECRET", "TWICE"}
    assert container.env_from == {"SECRET"}
    assert container.env_repeated == {"TWICE"}


def test_the_template_hash_changes_with_requests_and_limits_and_with_nothing_else() -> None:
    raw = template()
    first = template_hash(raw)
    assert len(first) == 16
    assert template_hash(dict(reversed(raw.items()))) == first
    deployed = copy.deepcopy(raw)
    deployed["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    deployed["spec"]["containers"][0]["image"] = "app:2"
    assert template_hash(deployed) == first
    resized = copy.deepcopy(raw)
    resized["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "123m"}}
    assert template_hash(resized) != first


def test_the_last_writer_of_the_replicas_is_found_with_how_and_when_it_wrote() -> None:
    def entry(
        manager: Any, time: Any, operation: str = "Update", subresource: str = "", field: str = "f:replicas"
    ) -> Any:
        return {
            "manager": manager,
            "operation": operation,
            "subresource": subresource,
            "time": time,
            "fieldsV1": {"f:spec": {field: {}}},
        }

    raw = {
        "metadata": {
            "managedFields": [
                entry("helm", "2026-01-01T00:00:00Z"),
                entry("kubectl", "2026-01-02T00:00:00Z", subresource="scale"),
                entry("other", "2026-01-03T00:00:00Z", field="f:paused"),
            ]
        }
    }
    assert replicas_owner(raw) == ("kubectl", "scale", 1767312000.0)


def test_a_scale_without_a_time_is_dated_by_the_status_that_followed_it() -> None:
    scale = {
        "manager": "kubectl",
        "operation": "Update",
        "subresource": "scale",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    status = {"manager": "kcm", "subresource": "status", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:status": {}}}
    apply = {"manager": "kubectl", "operation": "Apply", "time": "2026-01-03T00:00:00Z", "fieldsV1": {"f:spec": {}}}
    raw = {"metadata": {"generation": 4, "managedFields": [scale, apply, status]}, "status": {"observedGeneration": 4}}
    assert replicas_owner(raw) == ("kubectl", "scale", 1767312000.0)
    assert replicas_owner(raw | {"status": {"observedGeneration": 3}}) == ("kubectl", "scale", 0.0)
    assert replicas_owner({}) == ("", "", 0.0)


def test_what_forbids_a_swap_is_named_with_its_reason() -> None:
    raw = template(
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "disk"}}, {"name": "c", "configMap": {}}],
        affinity={
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname"}]
            }
        },
    )
    raw["spec"]["containers"][0]["ports"] = [{"hostPort": 80}]
    refusals = swap_refusals("Deployment", "Recreate", raw)
    assert [text.split(":")[0] for text in refusals] == [
        "StrategyRecreate",
        "SwapRefusedVolume",
        "SwapRefusedHostPort",
        "SwapRefusedAntiAffinity",
    ]
    assert "disk" in refusals[1]
    assert swap_refusals("Deployment", "RollingUpdate", template()) == ()
    assert swap_refusals("StatefulSet", "Recreate", raw) == ()


def test_only_utilisation_metrics_of_an_hpa_hold_requests() -> None:
    def hpa(metrics: Any) -> Any:
        return sure(
            strip.strip_hpa(
                {
                    "metadata": {"name": "h", "namespace": "ns"},
                    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "metrics": metrics},
                }
            )
        )

    def metric(name: Any, kind: Any) -> Any:
        return {"type": "Resource", "resource": {"name": name, "target": {"type": kind}}}

    assert hpa([metric("cpu", "Utilization")]).scales_on_cpu
    assert not hpa([metric("cpu", "AverageValue")]).scales_on_cpu
    assert hpa([metric("memory", "Utilization")]).scales_on_memory
    assert hpa([]).scales_on_cpu  # the API's default


def test_a_scaled_object_scales_a_deployment_unless_it_says_otherwise() -> None:
    record = sure(
        strip.strip_scaled_object(
            {
                "metadata": {"name": "s", "namespace": "ns"},
                "spec": {"scaleTargetRef": {"name": "web"}, "triggers": [{"type": "cpu", "metricType": "Utilization"}]},
            }
        )
    )
    assert (record.target_kind, record.target_name, record.scales_on_cpu) == ("Deployment", "web", True)


def test_limit_ranges_give_the_narrowest_bounds_and_the_defaults() -> None:
    record = sure(
        strip.strip_limit_range(
            {
                "metadata": {"name": "l", "namespace": "ns"},
                "spec": {
                    "limits": [
                        {"type": "Container", "max": {"cpu": "4"}, "min": {"cpu": "10m"}, "default": {"memory": "1Gi"}},
                        {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "50m"}},
                        {"type": "Pod", "max": {"memory": "8Gi"}},
                    ]
                },
            }
        )
    )
    assert record.container_max == {"cpu": 2.0}
    assert record.container_min == {"cpu": 0.05}
    assert record.default_limit == {"memory": 2**30}
    assert record.pod_max == {"memory": 8 * 2**30}


def test_a_quota_on_cpu_is_one_on_requests() -> None:
    record = sure(
        strip.strip_quota(
            {
                "metadata": {"name": "q", "namespace": "ns"},
                "status": {"hard": {"cpu": "10", "limits.memory": "1Gi"}, "used": {"cpu": "3"}},
            }
        )
    )
    assert record.hard == {"requests.cpu": 10.0, "limits.memory": 2**30}
    assert record.used == {"requests.cpu": 3.0}


def test_a_profile_that_cannot_be_read_says_why_and_is_empty() -> None:
    raw = {
        "metadata": {"name": "trimtab", "namespace": "ns"},
        "spec": {"workloads": {"Deployment/web": {"containers": "x"}}},
    }
    record = sure(strip.strip_profile(raw))
    assert record.spec.workloads == {}
    assert "spec.workloads" in record.problem
    assert strip.strip_profile({"metadata": {"name": "other", "namespace": "ns"}}) is None


def test_a_budget_is_current_only_when_its_controller_saw_it() -> None:
    raw = {
        "metadata": {"name": "b", "namespace": "ns", "generation": 2},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
        "status": {"observedGeneration": 1, "disruptionsAllowed": 1},
    }
    assert not sure(strip.strip_budget(raw)).observed
    assert strip.strip_budget({**raw, "spec": {}}) is None


def test_a_scaled_kind_is_read_through_its_scale() -> None:
    raw = {
        "metadata": {"name": "r", "namespace": "ns", "uid": "u", "generation": 5},
        "status": {"observedGeneration": "5"},
    }
    scale = {"spec": {"replicas": 3}, "status": {"replicas": 3, "selector": "app=web,tier in (a,b)"}}
    record = sure(strip.scaled_workload("argoproj.io/v1alpha1", "Rollout", raw, scale))
    assert (record.replicas, record.observed_generation, record.ready_replicas) == (3, 5, 3)
    assert record.selector["matchExpressions"][0] == {"key": "app", "operator": "In", "values": ["web"]}
    assert math.isnan(record.containers[0].cpu) if record.containers else True
