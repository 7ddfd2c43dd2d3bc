"""RULES 1–5 on a real API server: what the policy shapes, what it leaves alone, and that pods always start."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from tests.integration.act.policy import (
    ALLOWED,
    PROFILES,
    RELEASE_NAMESPACE,
    Admission,
    container,
    part,
    pod,
    tuned,
    until,
    untouched,
)
from trimtab.kube.errors import AlreadyExists, KubeError
from trimtab.kube.paths import resource_path


def entry(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"config": "tune", "containers": list(parts) or [part()]}


async def test_a_pod_that_is_as_its_template_gets_the_profiles_values(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry()})
    assert tuned(await admission.create(pod()))


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
async def test_pods_of_other_kinds_are_found_by_their_owner(admission: Admission, kind: str) -> None:
    await admission.set_profile({f"{kind}/web": entry()})
    assert tuned(await admission.create(pod(kind=kind, owner="web")))
    assert untouched(await admission.create(pod()))


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "other-abc12"},
        {"owner": "web-other"},
        {"owner": "abc12"},
        {"kind": "Job"},
        {"kind": "StatefulSet", "owner": "web"},
        {"reference": {"controller": False}},
        {"reference": {"apiVersion": "example.com/v1", "kind": "StatefulSet", "name": "web"}},
    ],
)
async def test_pods_of_other_owners_are_left_alone(admission: Admission, change: dict[str, Any]) -> None:
    await admission.set_profile({"Deployment/web": entry()})
    assert untouched(await admission.create(pod(**change)))


async def test_rule_01_a_renamed_container_starts_and_no_ghost_is_added(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry()})
    made = await admission.create(pod(container("renamed")))
    assert [c["name"] for c in made["spec"]["containers"]] == ["renamed"]
    assert untouched(made)


async def test_rule_01_injected_sidecars_are_left_as_they_are(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry()})
    made = await admission.create(pod(container(), container("istio-proxy")))
    assert tuned(made, 0)
    assert untouched(made, 1)


async def test_rule_01_native_sidecars_are_tuned_under_init_containers(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry(part(), part("cache"), part("setup"))})
    sidecar = container("cache", restartPolicy="Always")
    made = await admission.create(pod(container(), initContainers=[container("setup"), sidecar]))
    assert [c["name"] for c in made["spec"]["containers"]] == ["app"]
    assert [c["name"] for c in made["spec"]["initContainers"]] == ["setup", "cache"]
    assert tuned(made, 0)
    assert tuned(made, 1, "initContainers")
    assert not tuned(made, 0, "initContainers"), "plain init containers are nobody's to tune"


@pytest.mark.parametrize(
    "change",
    [
        {"requests": {"cpu": "100m", "memory": "700Mi"}, "limits": {}},
        {"requests": {"cpu": "0"}},
        {"requests": {"cpu": "-1"}},
        {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
        {"limits": {"memory": "0"}},
        {"limits": {"memory": "64Mi"}, "requests": {}},
        {"limits": {"memory": "-1Gi"}, "requests": {}},
    ],
)
async def test_rule_02_a_set_that_is_not_valid_is_not_applied_and_pods_still_start(
    admission: Admission, change: dict[str, Any]
) -> None:
    await admission.set_profile({"Deployment/web": entry(part(**change))})
    assert untouched(await admission.create(pod()))


async def test_rule_02_other_resources_and_other_fields_are_never_touched(admission: Admission) -> None:
    hostile = part(requests={"cpu": "250m", "nvidia.com/gpu": "1"})
    await admission.set_profile({"Deployment/web": entry(hostile)})
    made = await admission.create(pod())
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "250m", "memory": "128Mi"}
    assert made["spec"]["containers"][0]["image"] == "x"


async def test_rule_02_whole_numbers_are_quantities_too(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry(part(requests={"cpu": 1, "memory": 314572800}))})
    made = await admission.create(pod())
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "314572800"}


async def test_rule_02_a_variable_that_comes_from_elsewhere_is_never_overwritten(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry(part(templateEnv={})), "Deployment/twin": entry()})
    source = [{"name": "BATCH", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    for body in (pod(container(env=source)), pod(container(env=source), owner="twin-abc12")):
        made = await admission.create(body)
        assert made["spec"]["containers"][0]["env"][0]["name"] == "BATCH"
        assert "valueFrom" in made["spec"]["containers"][0]["env"][0]
        assert untouched(made)


async def test_rule_02_a_variable_given_twice_is_left_alone(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry()})
    twice = [{"name": "BATCH", "value": "8"}, {"name": "BATCH", "value": "9"}]
    made = await admission.create(pod(container(env=twice)))
    assert made["spec"]["containers"][0]["env"] == twice


async def test_rule_02_other_variables_keep_their_place_and_value(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry()})
    env = [{"name": "A", "value": "1"}, {"name": "BATCH", "value": "8"}, {"name": "B", "value": "$(BATCH)"}]
    made = await admission.create(pod(container(env=env)))
    assert made["spec"]["containers"][0]["env"] == [env[0], {"name": "BATCH", "value": "16"}, env[2]]


async def test_rule_02_defaults_of_a_limit_range_count_as_the_template(admission: Admission) -> None:
    learned = part(
        limits={"cpu": "1"},
        templateRequests={"cpu": "200m", "memory": "128Mi"},
        templateLimits={"cpu": "1"},
    )
    await admission.set_profile({"Deployment/web": entry(learned)})
    bare = pod(container(resources={"requests": {"memory": "128Mi"}}))
    assert (await admission.create(bare))["spec"]["containers"][0]["resources"] == {"requests": {"memory": "128Mi"}}
    limits = {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "200m"}}
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "d"}, "spec": {"limits": [limits]}}
    await admission.client.create(resource_path("", "v1", "limitranges", admission.namespace), body)
    made: dict[str, Any] = {}

    async def defaulted() -> bool:
        made.update(await admission.create(bare))
        return "limits" in made["spec"]["containers"][0]["resources"]

    await until(defaulted, "the LimitRange is in force")
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "250m", "memory": "300Mi"}


@pytest.mark.parametrize(
    "resources",
    [
        {"requests": {"cpu": "101m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        {"requests": {"cpu": "100m", "memory": "129Mi"}, "limits": {"memory": "512Mi"}},
        {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "513Mi"}},
        {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi", "cpu": "1"}},
        {"requests": {"cpu": "100m", "memory": "128Mi"}},
        {"requests": {"memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        {},
    ],
)
async def test_rule_03_the_template_always_wins(admission: Admission, resources: dict[str, Any]) -> None:
    await admission.set_profile({"Deployment/web": entry()})
    made = await admission.create(pod(container(resources=resources)))
    found = made["spec"]["containers"][0]
    assert found["env"] == [{"name": "BATCH", "value": "8"}]
    assert found["resources"].get("requests", {}).get("cpu") != "250m"


async def test_rule_03_a_changed_knob_in_the_template_wins(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry()})
    made = await admission.create(pod(container(env=[{"name": "BATCH", "value": "9"}])))
    assert made["spec"]["containers"][0]["env"] == [{"name": "BATCH", "value": "9"}]
    assert untouched(made)


async def test_rule_03_one_containers_change_does_not_hold_the_others(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry(part(), part("second"))})
    made = await admission.create(pod(container(env=[]), container("second")))
    assert untouched(made, 0)
    assert tuned(made, 1)


async def test_rule_04_a_namespace_without_a_profile_is_untouched(admission: Admission) -> None:
    assert untouched(await admission.create(pod()))


@pytest.mark.parametrize("namespace", ["kube-system", RELEASE_NAMESPACE])
async def test_rule_04_system_namespaces_are_excluded(admission: Admission, namespace: str) -> None:
    client = admission.client
    if namespace == RELEASE_NAMESPACE:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        with contextlib.suppress(AlreadyExists):
            await client.create(resource_path("", "v1", "namespaces"), body)
    workloads = {"Deployment/web": entry()}
    await admission.set_profile(workloads)  # the policy works elsewhere
    profile = {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "TuningProfile",
        "metadata": {"name": "trimtab"},
        "spec": {"workloads": workloads},
    }
    path = resource_path(*PROFILES, namespace, "trimtab")
    await client.apply(path, profile, force=True)
    try:
        await admission.set_profile(workloads)  # a later write is seen, so this one is as well

        async def created() -> bool:
            try:
                made = await client.create(resource_path("", "v1", "pods", namespace), pod(), dry_run=True)
            except Exception as error:
                if "serviceaccount" in str(error):
                    return False
                raise
            assert untouched(made)
            return True

        await until(created, "the namespace takes pods")
    finally:
        await client.delete(path)


async def test_rule_04_trial_pods_are_skipped(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry()})
    assert untouched(await admission.create(pod(labels={"trimtab.dev/trial": "tune"})))


async def test_rule_05_a_variable_that_is_no_whole_number_is_never_set(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry(part(templateEnv={"BATCH": "-javaagent:x"}))})
    made = await admission.create(pod(container(env=[{"name": "BATCH", "value": "-javaagent:x"}])))
    assert made["spec"]["containers"][0]["env"] == [{"name": "BATCH", "value": "-javaagent:x"}]
    assert untouched(made)


async def test_rule_05_a_variable_that_the_template_lacks_needs_the_allow_list(admission: Admission) -> None:
    await admission.set_profile(
        {
            "Deployment/web": entry(part(env={"LD_PRELOAD": 1}, templateEnv={})),
            "Deployment/allowed": entry(part(env={ALLOWED: 4}, templateEnv={})),
        }
    )
    assert untouched(await admission.create(pod(container(env=[]))))
    made = await admission.create(pod(container(env=[]), owner="allowed-abc12"))
    assert made["spec"]["containers"][0]["env"] == [{"name": ALLOWED, "value": "4"}]


async def test_rule_05_knob_values_are_whole_numbers_by_schema(admission: Admission) -> None:
    with pytest.raises(KubeError, match="BATCH"):
        await admission.set_profile({"Deployment/web": entry(part(env={"BATCH": "16; rm -rf /"}))})


async def test_pods_with_a_budget_of_their_own_are_left_alone(admission: Admission) -> None:
    await admission.set_profile({"Deployment/web": entry()})
    resources = {"requests": {"cpu": "200m"}, "limits": {"cpu": "200m", "memory": "1Gi"}}
    assert untouched(await admission.create(pod(resources=resources)))


async def test_two_entries_for_one_container_are_refused_by_schema(admission: Admission) -> None:
    with pytest.raises(KubeError, match="app"):
        await admission.set_profile({"Deployment/web": entry(part(), part(requests={"cpu": "3"}))})
