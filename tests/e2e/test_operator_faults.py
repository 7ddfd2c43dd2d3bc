"""Faults while the operator works on real pods: it is killed, loses Prometheus, meets OOM kills, rollouts, people."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from testbed.bed import Bed
from testbed.run import BedError
from tests.e2e.operating import (
    Crew,
    Line,
    Shop,
    config,
    knob,
    opened,
    ready,
    requests,
    variable,
    watched,
    workload,
)
from tests.e2e.settled import CUT, MEMORY, consistent, generation, marks, newest

pytestmark = pytest.mark.pods

NAMESPACE = f"faults-{os.getpid()}"
REPLICAS = 4


@pytest.fixture(scope="module")
def shop(pods_cluster: Bed) -> Iterator[Shop]:
    """All workloads, running. Trimtab only watches them until a test lets it act."""
    with opened(pods_cluster, NAMESPACE) as made:
        knobs: dict[str, Any] = {"knobs": [knob(1, 64)]}
        tight: dict[str, Any] = {"containers": [{"name": "app", "memory": {"min": "64Mi", "max": "1Gi"}}]}
        scaled: dict[str, Any] = {"replicas": {"min": 2, "max": 4}}
        made.apply(workload("resized", REPLICAS), config("resized"))
        made.apply(workload("held", 2), config("held"))
        made.apply(workload("tried", 2, BATCH=8), config("tried", **knobs))
        made.apply(workload("rolled", 3, BATCH=8), config("rolled", **knobs))
        made.apply(workload("deployed", 2, BATCH=8), config("deployed", **knobs))
        made.apply(workload("hungry", 1, limit="64Mi"), config("hungry", auto=True, **tight))
        made.apply(workload("scaled", 2), config("scaled", auto=True, **scaled))
        made.apply(workload("dark"), config("dark"), workload("renamed"), config("renamed"))
        kept, reverted = config("kept", auto=True), config("reverted", auto=True)
        reverted["spec"]["onDelete"] = "Revert"
        made.apply(workload("kept"), kept, workload("reverted"), reverted)
        broken = config("broken", target="dark", auto=True)
        broken["spec"]["monitoring"]["metrics"][0]["query"] = "max("
        made.apply(broken, config("lost", target="nowhere", auto=True), config("second", target="resized", auto=True))
        yield made


@pytest.fixture(scope="module")
def line(pods_cluster: Bed) -> Iterator[Line]:
    """The connection to Prometheus."""
    made = Line(pods_cluster.prometheus_url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def crew(shop: Shop, line: Line, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """The operator that runs, and those before it."""
    made = Crew(shop.bed, NAMESPACE, tmp_path_factory.mktemp("operators"), line.url)
    made.start()
    for pods in ("resized", "held", "tried", "deployed", "dark"):
        shop.kubectl("rollout", "status", f"deployment/{pods}", "--timeout=180s", timeout=200)
    yield made
    if made.runs:
        assert made.one.end() == 0, made.one.log


@contextmanager
def resizes_refused(shop: Shop) -> Iterator[None]:
    """No pod of the namespace can be resized meanwhile."""
    name = f"{NAMESPACE}-no-resize"
    group = "admissionregistration.k8s.io"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["pods/resize"]}
    where = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
    spec: dict[str, Any] = {
        "matchConstraints": {"namespaceSelector": where, "resourceRules": [rule]},
        "validations": [{"expression": "false", "message": "no resize for now"}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    kind = "ValidatingAdmissionPolicy"
    items = [
        {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec},
        {"apiVersion": f"{group}/v1", "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": binding},
    ]
    patch = json.dumps({"spec": {"containers": [{"name": "app", "resources": {"requests": {"cpu": "11m"}}}]}})
    pod = shop.pods("held")[0]["metadata"]["name"]

    def refused() -> bool:
        try:
            shop.kubectl("patch", "pod", pod, "--subresource=resize", "--dry-run=server", "-p", patch)
        except BedError as error:
            return "no resize for now" in str(error)
        return False

    shop.bed.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    try:
        shop.until(refused, "resizes are refused")
        yield
    finally:
        shop.bed.kubectl("delete", "validatingadmissionpolicies,validatingadmissionpolicybindings", name)
    shop.until(lambda: not refused(), "resizes are allowed again")


def test_killed_in_the_middle_of_a_resize_a_successor_finishes_it(shop: Shop, crew: Crew) -> None:
    before = generation(shop, "resized")
    with watched(shop, "resized", REPLICAS) as counts:
        shop.auto("resized")
        shop.until(lambda: any(requests(p) == CUT for p in shop.pods("resized")), "a first pod was resized")
        # The status is written after the pods: a process that dies in between leaves a cut that nobody tells of.
        shop.until(lambda: newest(shop, "resized") in {("CutUnused", "Pending"), ("CutUnused", "Verifying")}, "told")
        crew.kill()
        assert not all(requests(p) == CUT for p in shop.pods("resized")), "the kill came too late"
        crew.start()
        shop.until(lambda: consistent(shop, "resized", CUT), "profile, pods and status agree")
    assert min(counts, default=REPLICAS) >= REPLICAS
    assert generation(shop, "resized") == before
    assert [s["restartCount"] for p in shop.pods("resized") for s in p["status"]["containerStatuses"]] == [0] * REPLICAS
    assert len([d for d in shop.decisions("resized") if d["reason"] == "CutUnused"]) == 1


def test_killed_between_the_profile_and_the_pods_a_successor_brings_the_pods_along(shop: Shop, crew: Crew) -> None:
    before = generation(shop, "held")
    with resizes_refused(shop):
        shop.auto("held")
        shop.until(lambda: shop.entry("held").get("requests") == CUT, "the profile has the cut")
        shop.until(lambda: shop.condition("held", "Limited")[0] == "True", "the refusal is said")
        crew.kill()
        assert all(requests(pod) == MEMORY for pod in shop.pods("held"))
    crew.start()
    shop.until(lambda: consistent(shop, "held", CUT), "profile, pods and status agree")
    assert generation(shop, "held") == before


def test_killed_in_the_middle_of_a_trial_a_successor_ends_it_and_leaves_no_trial_pod(shop: Shop, crew: Crew) -> None:
    before, names = generation(shop, "tried"), {p["metadata"]["name"] for p in shop.pods("tried")}
    with watched(shop, "tried", 2) as counts:
        shop.auto("tried")
        shop.until(lambda: any(ready(p) for p in shop.clones("tried")), "a trial pod runs")
        (clone,) = shop.clones("tried")
        crew.kill()
        crew.start()
        shop.until(crew.ticks(3), "the successor works")
        assert [p["metadata"]["name"] for p in shop.clones("tried")] == [clone["metadata"]["name"]], "it goes on"
        shop.ask(clone, "/latency?seconds=5")
        shop.until(lambda: not shop.clones("tried"), "a trial pod that hurts is removed")
    assert min(counts, default=2) >= 2
    shop.until(lambda: newest(shop, "tried") == ("KnobTrialRolledBack", "RolledBack"), "the status says how it ended")
    assert {p["metadata"]["name"] for p in shop.pods("tried")} == names
    assert {variable(p) for p in shop.pods("tried")} == {"8"}
    assert shop.entry("tried") == {}
    assert shop.status("tried")["applied"]["containers"][0]["env"] == {"BATCH": 8}
    assert generation(shop, "tried") == before


def test_killed_in_the_middle_of_a_roll_a_successor_finishes_it_without_a_dip(shop: Shop, crew: Crew) -> None:
    before = generation(shop, "rolled")
    spec = {"optimization": {"autoTune": True, "constraints": {"knobs": [knob(1, 4)]}}}
    with watched(shop, "rolled", 3) as counts:
        shop.kubectl("patch", "performanceconfig", "rolled", "--type=merge", "-p", json.dumps({"spec": spec}))

        def values() -> list[str]:
            return sorted(variable(p) for p in shop.pods("rolled"))

        shop.until(lambda: {"4", "8"} <= set(values()), "the roll has begun")
        crew.kill()
        crew.start()
        shop.until(lambda: values() == ["4", "4", "4"] and not shop.clones("rolled"), "every pod has the value")
        shop.until(lambda: not any(map(marks, shop.pods("rolled"))), "no mark is left on them")
    assert min(counts, default=3) >= 3
    assert shop.entry("rolled")["env"] == {"BATCH": 4}
    assert shop.status("rolled")["applied"]["containers"][0]["env"] == {"BATCH": 4}
    assert generation(shop, "rolled") == before


def test_a_rollout_in_the_middle_of_a_trial_wins(shop: Shop, crew: Crew) -> None:
    shop.auto("deployed")
    shop.until(lambda: shop.clones("deployed"), "a trial pod is there")
    shop.kubectl("set", "env", "deployment/deployed", "BATCH=32")
    shop.kubectl("rollout", "status", "deployment/deployed", "--timeout=180s", timeout=200)
    shop.until(lambda: not shop.clones("deployed"), "the trial pod is gone")
    shop.until(lambda: [variable(p) for p in shop.pods("deployed")] == ["32", "32"], "only new pods are left")
    assert shop.entry("deployed") == {}
    shop.until(lambda: newest(shop, "deployed") == ("KnobTrialStarted", "Confounded"), "the trial ended unjudged")


def test_an_oom_kill_raises_memory_within_a_tick_and_new_pods_start_with_it(shop: Shop, crew: Crew) -> None:
    (pod,) = shop.pods("hungry")
    shop.until(lambda: crew.one.ticks() > 0, "the operator works")
    shop.ask(pod, "/eat?mib=80")

    def killed() -> bool:
        states = shop.pods("hungry")[0]["status"]["containerStatuses"]
        return any("OOMKilled" in json.dumps(state) for state in states)

    shop.until(killed, "the kill is visible")
    seen = crew.one.ticks()
    shop.until(lambda: shop.events("hungry", "RaisedAfterOOM"), "the raise is told")
    # One tick was under way when it was visible; the next one sees it, and is at its end when it tells.
    assert crew.one.ticks() <= seen + 3
    raised = {"memory": "164Mi"}
    shop.until(lambda: shop.pods("hungry")[0]["spec"]["containers"][0]["resources"]["limits"] == raised, "it is raised")
    crew.kill()
    shop.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=true")
    shop.until(lambda: [ready(p) for p in shop.pods("hungry")] == [True], "a new pod runs while no operator does")
    (fresh,) = shop.pods("hungry")
    assert fresh["metadata"]["uid"] != pod["metadata"]["uid"]
    assert fresh["spec"]["containers"][0]["resources"]["limits"] == raised
    crew.start()


def test_losing_prometheus_is_said_and_holds_cuts_until_it_is_back(shop: Shop, crew: Crew, line: Line) -> None:
    shop.until(lambda: shop.condition("dark", "MetricsAvailable")[0] == "True", "there are numbers")
    line.cut()
    try:
        shop.until(
            lambda: shop.condition("dark", "MetricsAvailable") == ("False", "DatasourceUnavailable"), "the loss is said"
        )
        shop.auto("dark")
        shop.until(lambda: shop.condition("dark", "Tuning")[1] == "LatencyUnknown", "it would act now")
        shop.until(crew.ticks(5), "ticks go on")
        assert [made for made in shop.decisions("dark") if made["outcome"] != "Recommended"] == []
        assert requests(shop.pods("dark")[0]) == MEMORY
        assert crew.one.get("/healthz") == "ok\n"
    finally:
        line.mend()
    shop.until(lambda: shop.condition("dark", "MetricsAvailable")[0] == "True", "numbers are back")
    shop.until(lambda: consistent(shop, "dark", CUT), "the cut is made now")


def test_rule_01_a_deploy_that_renames_the_container_of_a_tuned_workload_starts(shop: Shop, crew: Crew) -> None:
    shop.auto("renamed")
    shop.until(lambda: consistent(shop, "renamed", CUT), "it was cut")
    path = "/spec/template/spec/containers/0/name"
    patch = json.dumps([{"op": "replace", "path": path, "value": "server"}])
    shop.kubectl("patch", "deployment", "renamed", "--type=json", "-p", patch)
    shop.kubectl("rollout", "status", "deployment/renamed", "--timeout=180s", timeout=200)
    shop.until(lambda: len(shop.pods("renamed")) == 1, "only the new pod is left")
    (pod,) = shop.pods("renamed")
    assert [c["name"] for c in pod["spec"]["containers"]] == ["server"]
    assert requests(pod) == MEMORY
    shop.until(lambda: shop.condition("renamed", "Limited") == ("True", "ContainerNotFound"), "it is said")


def test_a_persons_scale_is_left_alone_for_its_time_and_told(shop: Shop, crew: Crew) -> None:
    def replicas() -> int:
        found: int = shop.get("deployment", "scaled")["spec"]["replicas"]
        return found

    shop.kubectl("scale", "deployment/scaled", "--replicas=1")
    shop.until(lambda: shop.events("scaled", "HumanScaled"), "it is told")
    shop.until(lambda: shop.condition("scaled", "Limited") == ("True", "HumanHold"), "the hold is said")
    shop.until(crew.ticks(3), "some ticks")
    assert replicas() == 1, "two are the least, but a person said one"
    shop.until(lambda: replicas() == 2, "after humanHoldSeconds the bounds count again")
    assert len(shop.events("scaled", "HumanScaled")) == 1


@pytest.mark.parametrize(("name", "after"), [("kept", CUT), ("reverted", MEMORY)])
def test_deleting_a_resource_keeps_or_reverts_running_pods_and_frees_new_ones(
    shop: Shop, crew: Crew, name: str, after: dict[str, str]
) -> None:
    shop.until(lambda: consistent(shop, name, CUT), "it was cut")
    (pod,) = shop.pods(name)
    shop.kubectl("delete", "performanceconfig", name, "--wait=true")
    shop.until(lambda: shop.entry(name) == {}, "the profile forgets it")
    shop.until(lambda: requests(shop.pods(name)[0]) == after, "the running pod has what it shall")
    shop.until(lambda: shop.events(name, "ConfigDeleted"), "it is told")
    assert [p["metadata"]["uid"] for p in shop.pods(name)] == [pod["metadata"]["uid"]]
    shop.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=true")
    shop.until(lambda: [requests(p) for p in shop.pods(name)] == [MEMORY], "a new pod follows the template")


def test_wrong_neighbours_say_so_and_stop_nobody(shop: Shop, crew: Crew) -> None:
    shop.until(lambda: shop.condition("lost", "TargetFound") == ("False", "TargetNotFound"), "the lost one says so")
    shop.until(lambda: shop.condition("second", "Conflicted")[0] == "True", "the second one says so")
    shop.until(lambda: shop.condition("broken", "MetricsAvailable")[0] == "False", "the broken one says so")
    # Confounded: on a slow machine the kills of its watch leave no latency to judge by.
    ends = {("CutUnused", "Kept"), ("CutUnused", "Confounded")}
    shop.until(lambda: newest(shop, "resized") in ends, "a good one beside them was tuned")
    assert consistent(shop, "resized", CUT)
