"""Each refused lever has its reason, and a message that names the object and the remedy."""

from dataclasses import replace
from typing import Any

import pytest

from tests.sure import sure
from tests.unit.observe_assembly.bench import SPEC, config, deployment, pod, replica_set, template
from trimtab.api.reasons import CONFLICTS, Reason
from trimtab.decide.observation import Lever
from trimtab.kube.records import RivalRecord
from trimtab.kube.strip import strip_daemon_set, strip_deployment, strip_pod, strip_stateful_set
from trimtab.observe.cases import Case
from trimtab.observe.config import elders
from trimtab.observe.conflicts import War
from trimtab.observe.levers import judge

KNOBS = """
    knobs: [{name: batch, container: app, env: BATCH, role: Batch, min: 1, max: 64, default: 8}]
"""
EVERYTHING = SPEC + KNOBS


def case(text: str = EVERYTHING, raw: Any = None, pods: Any = None, **more: Any) -> Case:
    raw = raw if raw is not None else deployment(pod=template(env={"BATCH": "8"}))
    target = sure(strip_deployment(raw)).record
    if pods is None:
        pods = (sure(strip_pod(pod(replica_set(raw), "a", raw["spec"]["template"]["spec"]))),)
    return Case(config=config(text), target=target, pods=pods, **more)


def reasons(found: Any) -> set[tuple[Lever, Reason]]:
    return {(block.lever, block.reason) for block in found.blocks}


def test_a_plain_deployment_allows_everything() -> None:
    found = judge(case())
    assert found.allowed == (True, True, True, True)
    assert (set(found.cpu), set(found.memory), set(found.knobs)) == ({"app"}, {"app"}, {"batch"})
    assert found.blocks == ()
    assert found.fallback == ""


def test_a_lever_that_is_not_listed_is_not_moved_and_not_complained_about() -> None:
    only_replicas = SPEC.split("    containers")[0]
    found = judge(case(only_replicas, pod_resize=False))
    assert found.allowed == (True, False, False, False)
    assert found.blocks == ()


RIVALS = [
    (
        RivalRecord("HorizontalPodAutoscaler", "shop", "h", "Deployment", "web", scales_on_cpu=True),
        {
            (Lever.REPLICAS, Reason.HPA_OWNS_REPLICAS),
            (Lever.CPU, Reason.HPA_USES_CPU),
            (Lever.KNOB, Reason.HPA_PRESENT),
        },
    ),
    (
        RivalRecord("HorizontalPodAutoscaler", "shop", "h", "Deployment", "web", scales_on_memory=True),
        {
            (Lever.REPLICAS, Reason.HPA_OWNS_REPLICAS),
            (Lever.MEMORY, Reason.HPA_USES_MEMORY),
            (Lever.KNOB, Reason.HPA_PRESENT),
        },
    ),
    (
        RivalRecord("ScaledObject", "shop", "k", "Deployment", "web"),
        {(Lever.REPLICAS, Reason.KEDA_OWNS_REPLICAS), (Lever.KNOB, Reason.HPA_PRESENT)},
    ),
    (
        RivalRecord("VerticalPodAutoscaler", "shop", "v", "Deployment", "web", update_mode="Initial"),
        {(Lever.CPU, Reason.VPA_OWNS_RESOURCES), (Lever.MEMORY, Reason.VPA_OWNS_RESOURCES)},
    ),
    (RivalRecord("VerticalPodAutoscaler", "shop", "v", "Deployment", "web", update_mode="Off"), set()),
]


@pytest.mark.parametrize(("rival", "wanted"), RIVALS)
def test_another_autoscaler_takes_its_own_levers_and_no_others(rival: Any, wanted: Any) -> None:
    found = judge(case(rivals=(rival,)))
    assert reasons(found) == wanted
    assert all(rival.name in block.message for block in found.blocks)
    blocked = {lever for lever, _ in wanted}
    assert found.allowed == tuple(lever not in blocked for lever in Lever)


def test_autoscalers_that_cannot_be_listed_take_every_lever_that_one_of_them_could_move() -> None:
    unseen = ("horizontalpodautoscalers.autoscaling",)
    found = judge(case(unseen_rivals=unseen))
    assert reasons(found) == {(lever, Reason.RIVALS_UNKNOWN) for lever in Lever}
    assert found.allowed == (False,) * 4
    assert all(unseen[0] in block.message and "grant" in block.message for block in found.blocks)
    assert all(block.reason not in CONFLICTS for block in found.blocks)


def test_an_owning_controller_takes_every_lever() -> None:
    found = judge(replace_target(case(), owner_kind="Kafka", owner_name="events"))
    assert reasons(found) == {(lever, Reason.OWNING_CONTROLLER) for lever in Lever}
    assert "Kafka events" in found.blocks[0].message
    assert found.allowed == (False,) * 4


def test_rule_10_the_older_of_two_resources_wins_and_the_other_names_it() -> None:
    old, new = config(name="b", created=1.0), config(name="a", created=2.0)
    younger = elders([new, old])
    assert younger == {new.key: old}
    found = judge(case(elder=old))
    assert reasons(found) == {(lever, Reason.OLDER_CONFIG_WINS) for lever in Lever}
    assert "PerformanceConfig b" in found.blocks[0].message


def test_of_two_resources_of_one_second_the_first_by_name_wins() -> None:
    first, second = config(name="a"), config(name="b")
    assert elders([second, first]) == {second.key: first}
    assert elders([first, config(name="b", namespace="other")]) == {}


def test_a_revert_war_stops_only_its_lever() -> None:
    found = judge(case(wars={Lever.REPLICAS: War("argocd-controller", 0.0, 1.0)}))
    assert reasons(found) == {(Lever.REPLICAS, Reason.REVERT_WAR)}
    assert "argocd-controller" in found.blocks[0].message
    assert len([block for block in found.blocks if block.reason in CONFLICTS]) == 1


@pytest.mark.parametrize(("length", "barred"), [(63, False), (64, True)])
def test_a_name_that_no_label_can_hold_has_no_trials(length: Any, barred: Any) -> None:
    found = judge(replace(case(), config=replace(case().config, name="x" * length)))
    assert ((Lever.KNOB, Reason.LEVER_NOT_SUPPORTED) in reasons(found)) is barred
    assert found.allowed[Lever.CPU]


def replace_target(found: Case, **changes: Any) -> Case:
    return replace(found, target=replace(found.target, **changes))


def test_rule_06_a_daemon_set_has_no_replicas_and_a_stateful_set_needs_consent() -> None:
    raw = deployment(pod=template(env={"BATCH": "8"}))
    daemon = replace(case(), target=sure(strip_daemon_set({**raw, "status": {"desiredNumberScheduled": 2}})).record)
    assert reasons(judge(daemon)) == {(Lever.REPLICAS, Reason.LEVER_NOT_SUPPORTED)}
    stateful = replace(case(), target=sure(strip_stateful_set(raw)).record)
    assert reasons(judge(stateful)) == {(Lever.REPLICAS, Reason.STATEFUL_SET_NOT_OPTED_IN)}
    opted = config(EVERYTHING.replace("max: 10}", "max: 10, statefulSetOptIn: true}"))
    assert judge(replace(stateful, config=opted)).blocks == ()


def test_of_any_other_kind_only_the_replicas_are_tuned() -> None:
    found = judge(replace_target(case(), kind="Rollout", api_version="argoproj.io/v1alpha1"))
    assert found.allowed == (True, False, False, False)
    assert reasons(found) == {(lever, Reason.LEVER_NOT_SUPPORTED) for lever in (Lever.CPU, Lever.MEMORY, Lever.KNOB)}


def test_a_workload_scaled_to_zero_is_left_at_zero() -> None:
    found = judge(replace_target(case(), replicas=0))
    assert reasons(found) == {(Lever.REPLICAS, Reason.NO_READY_PODS)}


def test_a_container_that_the_template_lacks_is_named_with_those_it_has() -> None:
    found = judge(case(EVERYTHING.replace("name: app,", "name: sidecar,")))
    assert (Lever.CPU, Reason.CONTAINER_NOT_FOUND) in reasons(found)
    assert "no container sidecar; name one of app" in found.blocks[0].message
    assert found.cpu == frozenset()
    assert found.allowed[Lever.CPU], "other containers could be moved"


RESIZE = [
    ({"pod_resize": False}, {}, Reason.RESIZE_UNAVAILABLE),
    ({}, {"qos": "BestEffort"}, Reason.RESIZE_BEST_EFFORT),
    ({}, {"os": "windows"}, Reason.RESIZE_WINDOWS),
    ({"node_os": {"node-1": "windows"}}, {}, Reason.RESIZE_WINDOWS),
    ({}, {"has_resource_claims": True}, Reason.RESIZE_DYNAMIC_RESOURCES),
    ({}, {"owner_kind": "Node"}, Reason.RESIZE_STATIC_POLICY),
    (
        {},
        {"resize": "Infeasible", "resize_message": "pod is managed by static CPU Manager"},
        Reason.RESIZE_STATIC_POLICY,
    ),
]


@pytest.mark.parametrize(("of_case", "of_pod", "reason"), RESIZE)
def test_pods_that_cannot_be_resized_are_refused_with_their_reason(of_case: Any, of_pod: Any, reason: Reason) -> None:
    plain = case()
    found = judge(replace(plain, pods=(replace(plain.pods[0], **of_pod),), **of_case))
    assert reasons(found) == {(Lever.CPU, reason), (Lever.MEMORY, reason)}
    assert found.allowed[Lever.REPLICAS]
    assert found.allowed[Lever.KNOB]


def test_a_resize_that_would_restart_a_container_is_refused_for_that_resource_alone() -> None:
    raw = template(env={"BATCH": "8"})
    raw["spec"]["containers"][0]["resizePolicy"] = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    found = judge(case(raw=deployment(pod=raw)))
    assert reasons(found) == {(Lever.MEMORY, Reason.RESIZE_RESTART_POLICY)}
    assert found.cpu == {"app"}
    assert found.memory == frozenset()


VARIABLES = [
    ([{"name": "BATCH", "valueFrom": {"fieldRef": {}}}], Reason.KNOB_ENV_VALUE_FROM),
    ([{"name": "BATCH", "value": "many"}], Reason.KNOB_ENV_NOT_INTEGER),
    ([{"name": "BATCH", "value": "4"}, {"name": "BATCH", "value": "8"}], Reason.KNOB_ENV_NOT_INTEGER),
    ([], Reason.KNOB_ENV_MISSING),
]


@pytest.mark.parametrize(("env", "reason"), VARIABLES)
def test_a_knob_needs_a_plain_integer_in_the_template(env: Any, reason: Reason) -> None:
    raw = template()
    raw["spec"]["containers"][0]["env"] = env
    found = judge(case(raw=deployment(pod=raw)))
    assert reasons(found) == {(Lever.KNOB, reason)}
    assert found.knobs == frozenset()


def test_an_allow_listed_variable_may_be_missing_but_never_be_of_another_type() -> None:
    allowed = frozenset({"BATCH"})
    assert judge(case(raw=deployment(), env_allow_list=allowed)).knobs == {"batch"}
    no_default = EVERYTHING.replace(", default: 8", "")
    assert judge(case(no_default, raw=deployment(), env_allow_list=allowed)).knobs == frozenset()
    raw = template()
    raw["spec"]["containers"][0]["env"] = [{"name": "BATCH", "value": "-javaagent"}]
    assert judge(case(raw=deployment(pod=raw), env_allow_list=allowed)).knobs == frozenset()


def test_knobs_need_the_administrators_consent_the_policy_and_a_metric_by_pod() -> None:
    assert reasons(judge(case(knobs_enabled=False))) == {(Lever.KNOB, Reason.KNOBS_DISABLED)}
    without_policy = judge(case(shapes_new_pods=False))
    assert reasons(without_policy) == {(Lever.KNOB, Reason.ADMISSION_POLICY_MISSING)}
    assert "resized after start" in without_policy.fallback
    by_namespace = EVERYTHING.replace("unit: seconds}", "unit: seconds, scope: Namespace}")
    assert reasons(judge(case(by_namespace))) == {(Lever.KNOB, Reason.KNOB_METRIC_WITHOUT_PODS)}


def test_a_template_that_forbids_a_second_pod_forbids_knobs_and_nothing_else() -> None:
    raw = template(env={"BATCH": "8"}, volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "disk"}}])
    found = judge(case(raw=deployment(pod=raw)))
    assert reasons(found) == {(Lever.KNOB, Reason.SWAP_REFUSED_VOLUME)}
    assert "disk" in found.blocks[0].message
    assert found.allowed == (True, True, True, False)


def test_every_message_is_one_sentence_or_two_with_a_remedy() -> None:
    found = judge(
        case(
            rivals=tuple(rival for rival, _ in RIVALS), elder=config(name="old"), pod_resize=False, knobs_enabled=False
        )
    )
    assert len(found.blocks) > 8
    for block in found.blocks:
        assert block.message.endswith(".")
        assert len(block.message) < 300
