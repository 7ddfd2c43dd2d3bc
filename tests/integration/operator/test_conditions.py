"""What the API server accepts but nobody can work with is said by a condition with its remedy; others go on."""

import subprocess
import sys
from typing import Any

import pytest

from tests.golden.manifests import change, good
from tests.golden.wrong_manifests import LATER
from tests.integration.operator.conftest import Cluster, Operator, config, deployment, until

METRIC = {"name": "totalLatency"}


def knobs(env: str) -> list[dict[str, Any]]:
    return [{"name": "batch", "container": "app", "env": env, "role": "Batch", "min": 1, "max": 64}]


def constraints(**parts: Any) -> dict[str, Any]:
    return {"autoTune": True, "targetMetrics": {"totalLatency": "0.3"}, "constraints": parts}


CASES: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    # name: (changes of the spec, condition, status, reason, words of the message)
    "missing-target": (
        {"targetRef": {"name": "nobody"}}, "TargetFound", "False", "TargetNotFound", "Deployment nobody",
    ),
    "unknown-kind": (
        {"targetRef": {"apiVersion": "example.com/v1", "kind": "Spaceship", "name": "x"}},
        "TargetFound", "False", "KindNotSupported", "Spaceship",
    ),
    "kind-without-scale": (
        {"targetRef": {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "name": "x"}},
        "TargetFound", "False", "KindNotSupported", "PodDisruptionBudget",
    ),
    "unknown-datasource": (
        {"monitoring": {"datasource": "elsewhere", "metrics": [METRIC | {"preset": "http-server-p95"}]}},
        "MetricsAvailable", "False", "DatasourceUnknown", "elsewhere",
    ),
    "unparsable-promql": (
        {"monitoring": {"metrics": [METRIC | {"query": "sum(rate("}]}},
        "MetricsAvailable", "False", "PromQLInvalid", "totalLatency",
    ),
    "refused-promql": (
        {"monitoring": {"metrics": [METRIC | {"query": "info(up)"}]}},
        "MetricsAvailable", "False", "PromQLRefused", "info",
    ),
    "unknown-preset": (
        {"monitoring": {"metrics": [METRIC | {"preset": "no-such-preset"}]}},
        "MetricsAvailable", "False", "PresetUnknown", "no-such-preset",
    ),
    "dead-datasource": (
        {"monitoring": {"metrics": [METRIC | {"preset": "http-server-p95"}]}},
        "MetricsAvailable", "False", "DatasourceUnavailable", "default",
    ),
    "bad-cron": (
        {"optimization": constraints(
            replicas={"min": 1, "max": 3},
            disruption={"windows": [{"effect": "Deny", "cron": "99 9 * * 1", "durationSeconds": 3600}]},
        )},
        "Stalled", "True", "WindowInvalid", "cron",
    ),
    "bad-time-zone": (
        {"optimization": constraints(
            replicas={"min": 1, "max": 3},
            disruption={"windows": [
                {"effect": "Deny", "cron": "0 9 * * 1-5", "durationSeconds": 3600, "timeZone": "Europe/Atlantis"}
            ]},
        )},
        "Stalled", "True", "WindowInvalid", "Europe/Atlantis",
    ),
    "container-not-in-template": (
        {"optimization": constraints(containers=[{"name": "sidecar", "cpu": {"max": "1"}}])},
        "Limited", "True", "ContainerNotFound", "sidecar",
    ),
    "env-not-in-template": (
        {"optimization": constraints(knobs=knobs("THREADS"))}, "Limited", "True", "KnobEnvMissing", "THREADS",
    ),
    "daemon-set-replicas": (
        {"targetRef": {"kind": "DaemonSet", "name": "agent"},
         "optimization": constraints(replicas={"min": 1, "max": 3})},
        "Limited", "True", "LeverNotSupported", "DaemonSet",
    ),
    "memory-ceiling": (  # two pods would fit at memory.min, but not at the 128Mi that they have
        {"resources": {"maxMemory": "200Mi"},
         "optimization": {"autoTune": True, "constraints": {
             "replicas": {"min": 2, "max": 3}, "containers": [{"name": "app", "memory": {"min": "64Mi", "max": "1Gi"}}],
         }}},
        "Limited", "True", "MemoryCeiling", "resources.maxMemory is 200Mi",
    ),
}  # fmt: skip


def daemon_set() -> dict[str, Any]:
    made = deployment("agent")
    made["kind"] = "DaemonSet"
    del made["spec"]["replicas"]
    return made


@pytest.mark.parametrize("name", CASES)
def test_a_resource_that_can_not_be_worked_with_says_so(running: Operator, shop: Cluster, name: str) -> None:
    changes, kind, status, reason, words = CASES[name]
    shop.apply(deployment(name), daemon_set(), config(name, **changes))
    found = shop.condition(name, kind, status, reason)
    assert words in found["message"]
    assert running.leads()


def test_what_cel_can_not_see_is_accepted_and_told_by_a_condition(running: Operator, shop: Cluster) -> None:
    wrong = {f"later-{n}": row for n, row in enumerate(LATER)}
    manifests = [change(good(), changes | {"metadata.name": name}) for name, (_, changes, _, _) in wrong.items()]
    shop.apply(*manifests)
    for name, (what, _, field, remedy) in wrong.items():
        reason = "SpecInvalid" if field.endswith("maxMemory") else "WindowInvalid"
        message = shop.condition(name, "Stalled", "True", reason)["message"]
        assert message.startswith(f"{field}: "), what
        assert remedy in message, what
        assert shop.condition(name, "Ready", "False", reason)
    assert running.leads()


def test_a_variable_from_a_config_map_is_refused_by_name(running: Operator, shop: Cluster) -> None:
    source = {"configMapKeyRef": {"name": "settings", "key": "batch"}}
    shop.apply(deployment("app", [{"name": "BATCH_SIZE", "valueFrom": source}]), config("app"))
    assert "BATCH_SIZE" in shop.condition("app", "Limited", "True", "KnobEnvValueFrom")["message"]


def test_every_condition_is_set_and_broken_neighbours_do_not_stop_a_good_one(running: Operator, shop: Cluster) -> None:
    broken = [config(name, **CASES[name][0]) for name in ("missing-target", "unparsable-promql", "bad-cron")]
    shop.apply(deployment("good"), *broken, config("good"))
    shop.condition("good", "TargetFound", "True")
    conditions = shop.get("performanceconfig", "good")["status"]["conditions"]
    assert len(conditions) == 9
    ticks = running.ticks()
    until(lambda: running.ticks() >= ticks + 2, 90, "two more ticks")


def test_rule_10_of_two_resources_on_one_workload_the_oldest_wins(running: Operator, shop: Cluster) -> None:
    shop.apply(deployment("app"), config("a-first", "app"))
    shop.condition("a-first", "TargetFound", "True")
    shop.apply(config("b-second", "app"))
    assert "a-first" in shop.condition("b-second", "Conflicted", "True", "OlderConfigWins")["message"]
    shop.condition("a-first", "Conflicted", "False")


def test_recommending_writes_nothing_to_the_workload(running: Operator, shop: Cluster) -> None:
    recommending = config("app")
    recommending["spec"]["optimization"]["autoTune"] = False
    shop.apply(deployment("app"), recommending)
    shop.condition("app", "Tuning", "False", "RecommendOnly")
    before = shop.get("deployment", "app")["metadata"]["generation"]
    ticks = running.ticks()
    until(lambda: running.ticks() >= ticks + 3, 90, "three more ticks")
    assert shop.get("deployment", "app")["metadata"]["generation"] == before
    assert shop.get("tuningprofile", "trimtab") == {}


@pytest.mark.parametrize("where", ["performanceconfig", "deployment"])
def test_rule_15_a_pause_annotation_stops_it_and_its_removal_starts_it(
    running: Operator, shop: Cluster, where: str
) -> None:
    shop.apply(deployment("app"), config("app"))
    shop.condition("app", "TargetFound", "True")
    shop.bed.kubectl("annotate", where, "app", "-n", "operated", "trimtab.dev/pause=true")
    shop.condition("app", "Tuning", "False", "Paused")
    shop.bed.kubectl("annotate", where, "app", "-n", "operated", "trimtab.dev/pause-")
    until(
        lambda: [
            c
            for c in shop.get("performanceconfig", "app")["status"]["conditions"]
            if c["type"] == "Tuning" and c["reason"] != "Paused"
        ],
        90,
        "no longer paused",
    )


def test_rule_18_deletion_never_hangs_and_leaves_the_workload_and_an_event(running: Operator, shop: Cluster) -> None:
    shop.apply(deployment("app"), config("app"))
    shop.condition("app", "TargetFound", "True")
    assert "finalizers" not in shop.get("performanceconfig", "app")["metadata"]
    shop.bed.kubectl("delete", "performanceconfig", "app", "-n", "operated", "--wait=true", timeout=60)
    assert shop.get("deployment", "app")["spec"]["replicas"] == 1
    until(lambda: "ConfigDeleted" in {e["reason"] for e in shop.events("app")}, 90, "the event ConfigDeleted")


def test_rule_18_export_prints_a_patch_that_the_api_server_takes(running: Operator, shop: Cluster) -> None:
    shop.apply(deployment("app"), config("app"))
    shop.condition("app", "TargetFound", "True")
    command = [sys.executable, "-m", "trimtab.cli.main", "export", "operated/app"]
    command += ["--kubeconfig", str(shop.bed.kubeconfig)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    shop.bed.kubectl("patch", "deployment", "app", "-n", "operated", "--dry-run=server", "--patch", printed)
    assert "cpu: 100m" in printed
    command[4] = "operated/nobody"
    missing = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert missing.returncode == 1
    assert "has no PerformanceConfig nobody" in missing.stderr
