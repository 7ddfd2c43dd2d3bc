"""Raw pods become records: owners, trials, kills, resizes, QoS classes."""

from typing import Any

import pytest

from tests.sure import sure
from tests.unit.observe_assembly.bench import deployment, pod, replica_set
from trimtab.kube import strip
from trimtab.kube.strip_pods import qos_class


def test_a_pod_tells_its_owner_its_oom_kill_and_how_its_resize_stands() -> None:
    owner = deployment()
    raw = pod(
        replica_set(owner),
        "a",
        status={
            "containerStatuses": [
                {
                    "name": "app",
                    "restartCount": 2,
                    "lastState": {"terminated": {"reason": "OOMKilled", "finishedAt": "2026-01-01T00:00:00Z"}},
                    "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "1Gi"}},
                }
            ],
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"},
                {"type": "PodResizePending", "status": "True", "reason": "Infeasible", "message": "node too small"},
            ],
        },
    )
    record = sure(strip.strip_pod(raw))
    assert (record.owner_kind, record.owner_name) == ("ReplicaSet", "web-6bcf4d8f")
    (state,) = record.states
    assert (state.restarts, state.oom_killed_at, state.cpu, state.memory_limit) == (2, 1767225600.0, 0.25, 2**30)
    assert (record.resize, record.resize_message) == ("Infeasible", "node too small")
    assert record.ready
    assert record.ready_since == 1767225610.0


def test_a_pod_that_no_node_takes_tells_what_the_scheduler_said_first_and_since_when() -> None:
    said = "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: no victims."
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    since = {"lastTransitionTime": "2026-01-01T00:00:10Z"}
    record = sure(strip.strip_pod(pod(None, "a", status={"conditions": [scheduled | since]})))
    assert (record.unschedulable, record.unschedulable_since) == (
        "0/3 nodes are available: 3 Insufficient cpu",
        1767225610.0,
    )
    gated = scheduled | {"reason": "SchedulingGated"}
    assert sure(strip.strip_pod(pod(None, "a", status={"conditions": [gated]}))).unschedulable == ""
    placed = scheduled | {"status": "True"}
    assert sure(strip.strip_pod(pod(None, "a", status={"conditions": [placed]}))).unschedulable == ""


@pytest.mark.parametrize("deadline", ["2026-01-01T00:00:00Z", "1767225600", "1767225600.0"])
def test_a_trial_pod_tells_its_resource_its_knob_and_its_deadline(deadline: Any) -> None:
    raw = pod(
        None,
        "canary",
        metadata={
            "labels": {"trimtab.dev/trial": "web"},
            "annotations": {"trimtab.dev/trial-deadline": deadline, "trimtab.dev/trial-knob": "batch=16"},
        },
    )
    record = sure(strip.strip_pod(raw))
    assert (record.trial_of, record.trial_knob, record.trial_deadline) == ("web", "batch=16", 1767225600.0)
    assert record.owner_uid == ""


def test_a_template_that_carries_the_trial_label_does_not_make_trial_pods() -> None:
    owner = replica_set(deployment())
    record = sure(strip.strip_pod(pod(owner, "web-0", metadata={"labels": {"trimtab.dev/trial": "web"}})))
    assert record.owner_uid
    assert record.trial_of == ""


@pytest.mark.parametrize(
    ("value", "paused"), [("true", True), ("yes", True), ("false", False), ("", False), (None, False)]
)
def test_the_pause_annotation_pauses_unless_it_says_false(value: Any, paused: Any) -> None:
    annotations = {} if value is None else {"trimtab.dev/pause": value}
    record = sure(strip.strip_deployment(deployment(metadata={"annotations": annotations}))).record
    assert record.annotations_paused is paused


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "0"}}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}], "Burstable"),
    ],
)
def test_the_qos_class_is_the_api_servers(parts: Any, wanted: Any) -> None:
    assert qos_class({"containers": [{"name": "x", "resources": part} for part in parts]}) == wanted


def test_pod_level_resources_decide_the_qos_class_alone() -> None:
    spec = {"containers": [{"name": "x"}], "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    assert qos_class(spec) == "Guaranteed"
