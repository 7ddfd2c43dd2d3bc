"""The definitions on a real API server: what it refuses, what it says, what it fills in, what it shows."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from testbed.bed import Bed
from testbed.run import BedError
from tests.golden.manifests import change, good
from tests.golden.wrong_manifests import CONSTRAINTS, LATER, MONITORING, OPTIMIZATION, UNKNOWN_FIELDS, WRONG, Wrong
from trimtab.api.crd import crd_files, structural_schema
from trimtab.api.group import API_VERSION
from trimtab.api.resource import PerformanceConfig, parse_config
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.api.status import PerformanceConfigStatus
from trimtab.api.tuningprofile import TuningProfileSpec

pytestmark = pytest.mark.cluster
NAMESPACE = "api-tests"
MINIMAL: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "PerformanceConfig",
    "metadata": {"name": "minimal"},
    "spec": {"targetRef": {"name": "rag-api"}},
}


class Api:
    """kubectl in a namespace of its own, with both definitions in place."""

    def __init__(self, cluster: Bed) -> None:
        self.cluster = cluster
        for text in crd_files().values():
            self.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
        for name in ("performanceconfigs", "tuningprofiles"):
            self.run("wait", "--for=condition=Established", "--timeout=60s", f"crd/{name}.trimtab.dev")
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.run("apply", "-f", "-", stdin=json.dumps(namespace))

    def run(self, *args: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl(*args, input=stdin)

    def create(self, manifest: dict[str, Any], *args: str) -> str:
        return self.run("create", "-n", NAMESPACE, "-f", "-", *args, stdin=json.dumps(manifest))

    def get(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("get", "pcfg", name, "-n", NAMESPACE, "-o", "json"))
        return found

    def patch(self, name: str, patch: dict[str, Any], *args: str) -> str:
        where = ("patch", "pcfg", name, "-n", NAMESPACE, "--type=merge", "--patch-file=/dev/stdin")
        return self.run(*where, *args, stdin=json.dumps(patch))

    def clear(self) -> None:
        self.run("delete", "pcfg,tuningprofiles", "--all", "-n", NAMESPACE)


def _refused(call: Callable[..., str], *args: Any) -> str:
    """What kubectl says when it refuses; a call that goes through fails the test."""
    with pytest.raises(BedError) as refusal:
        call(*args)
    return str(refusal.value)


@pytest.fixture(scope="module")
def server(cluster: Bed) -> Api:
    return Api(cluster)


@pytest.fixture
def api(server: Api) -> Any:
    yield server
    server.clear()


def test_the_good_manifest_is_accepted(server: Api) -> None:
    assert "created" in server.create(good(), "--dry-run=server")


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_a_wrong_manifest_is_refused_with_the_field_and_the_remedy(server: Api, wrong: Wrong) -> None:
    said = _refused(server.create, change(good(), wrong.changes), "--dry-run=server")

    about = " ".join(line for line in said.splitlines() if f"{wrong.field}: " in line)
    assert about, said[:2000]
    assert [word for word in wrong.words if word not in about] == [], about[:2000]


@pytest.mark.parametrize(("name", "changes", "field"), UNKNOWN_FIELDS, ids=[row[0] for row in UNKNOWN_FIELDS])
def test_a_field_that_does_not_exist_is_refused_by_name(
    server: Api, name: str, changes: dict[str, Any], field: str
) -> None:
    said = _refused(server.create, change(good(), changes), "--dry-run=server")

    assert f'unknown field "{field}"' in said


def test_a_field_that_does_not_exist_is_dropped_where_validation_is_off(api: Api) -> None:
    every = {path: value for _, changes, _ in UNKNOWN_FIELDS for path, value in changes.items()}
    api.create(change(good(), every), "--validate=ignore")

    stored = api.get("rag-api")

    assert "budget" not in stored["spec"]
    assert "x" not in stored["spec"]
    assert isinstance(parse_config(stored), PerformanceConfig)


@pytest.mark.parametrize(("name", "changes", "field", "word"), LATER, ids=[row[0] for row in LATER])
def test_what_cel_can_not_see_is_accepted_here(
    server: Api, name: str, changes: dict[str, Any], field: str, word: str
) -> None:
    assert "created" in server.create(change(good(), changes), "--dry-run=server")


def test_the_server_fills_in_every_default_of_the_models(api: Api) -> None:
    api.create(MINIMAL)

    stored = api.get("minimal")

    config = parse_config(stored)
    assert isinstance(config, PerformanceConfig)
    models = PerformanceConfigSpec.model_validate(MINIMAL["spec"])
    assert config.spec == models
    assert stored["spec"] == _filled(models.model_dump(by_alias=True, mode="json"))


def _filled(value: Any) -> Any:
    """Without None and empty lists or maps, which mean the same as absent; objects of defaults stay."""
    if isinstance(value, dict):
        kept = {key: _filled(item) for key, item in value.items() if item is not None}
        return {key: item for key, item in kept.items() if item != [] and key not in _EMPTY_MAPS}
    return [_filled(item) for item in value] if isinstance(value, list) else value


_EMPTY_MAPS = ("alertThresholds", "targetMetrics")


def test_null_means_absent_and_gets_the_default(api: Api) -> None:
    api.create(change(MINIMAL, {"spec.monitoring": None, "spec.resources": {"maxMemory": None}}))

    config = parse_config(api.get("minimal"))

    assert isinstance(config, PerformanceConfig)
    assert config.spec == PerformanceConfigSpec.model_validate(MINIMAL["spec"])


def test_the_target_can_not_be_changed_but_anything_else_can_step_by_step(api: Api) -> None:
    api.create(MINIMAL)
    metric = {"name": "totalLatency", "query": "up"}
    steps: list[dict[str, Any]] = [
        {"monitoring": {"metrics": [metric]}},
        {"optimization": {"targetMetrics": {"totalLatency": "0.3"}}},
        {"optimization": {"constraints": {"replicas": {"max": 3}}}},
        {"optimization": {"autoTune": True}},
        {"optimization": {"constraints": {"replicas": {"min": 2, "max": 2}}}},
        {"monitoring": {"alertThresholds": {"totalLatency": "500m", "cpuUsage": 2}}},
        {"monitoring": {"alertThresholds": None}},
        {"optimization": {"autoTune": False, "constraints": None}},
        {"optimization": None, "monitoring": None},
    ]
    for step in steps:
        api.patch("minimal", {"spec": step})

    said = _refused(api.patch, "minimal", {"spec": {"targetRef": {"name": "other"}}})

    assert "spec.targetRef" in said
    assert "delete this PerformanceConfig and create one" in said


def test_removing_a_metric_that_is_in_use_is_refused(api: Api) -> None:
    api.create(good())

    said = _refused(api.patch, "rag-api", {"spec": {"monitoring": {"metrics": None}}})

    assert f"{MONITORING}.alertThresholds" in said
    assert f"{OPTIMIZATION}.targetMetrics" in said


def test_lowering_a_bound_below_its_other_end_is_refused(api: Api) -> None:
    api.create(good())

    patch = {"spec": {"optimization": {"constraints": {"replicas": {"max": 1}}}}}
    said = _refused(api.patch, "rag-api", patch)

    assert f"{CONSTRAINTS}.replicas.min" in said


def _objects(schema: dict[str, Any], path: str) -> Any:
    """Every object of a schema with its path as kubectl explain wants it."""
    node = schema["items"] if schema.get("type") == "array" else schema
    if isinstance(node.get("additionalProperties"), dict):
        node = node["additionalProperties"]
    if "properties" not in node:
        return
    yield path, node["properties"]
    for name, child in node["properties"].items():
        yield from _objects(child, f"{path}.{name}")


EXPLAINED = [
    *_objects(structural_schema(PerformanceConfigSpec), "performanceconfigs.spec"),
    *_objects(structural_schema(PerformanceConfigStatus), "performanceconfigs.status"),
    *_objects(structural_schema(TuningProfileSpec), "tuningprofiles.spec"),
]


@pytest.mark.parametrize(("path", "fields"), EXPLAINED, ids=[row[0] for row in EXPLAINED])
def test_kubectl_explain_has_a_text_for_every_field(server: Api, path: str, fields: dict[str, Any]) -> None:
    text = " ".join(server.run("explain", path).split())

    missing = [name for name, field in fields.items() if field["description"] not in text]
    assert missing == [], text


def _status() -> dict[str, Any]:
    time = "2026-01-01T00:00:00Z"
    ready = {"Ready": ("True", "UpToDate"), "Alerting": ("False", "NoAlerts"), "Tuning": ("True", "Active")}
    rest = {"Limited": ("True", "ReplicasAtMax"), "Conflicted": ("False", "NoConflict")}
    conditions = [
        {"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": time}
        for kind, (status, reason) in (ready | rest).items()
    ]
    return {
        "observedGeneration": 1,
        "conditions": conditions,
        "replicas": 3,
        "metrics": {"timing": {"totalLatency": "210m"}, "sampledAt": time},
        "savings": {"summary": "292.00 USD/month", "verdict": "Saves", "unit": "Requests"},
        "summary": "Replicas 2 to 3: 80 requests/s",
    }


def test_one_line_says_whether_it_is_fine_and_what_it_did(api: Api) -> None:
    api.create(good())
    api.patch("rag-api", {"status": _status()}, "--subresource=status")

    header, row = api.run("get", "perf", "-n", NAMESPACE).splitlines()
    wide, wide_row = api.run("get", "trimtab", "-n", NAMESPACE, "-o", "wide").splitlines()[:2]

    columns = ["NAME", "TARGET", "READY", "ALERTING", "LATENCY", "REPLICAS", "TUNING"]
    assert header.split() == [*columns, "SAVES", "LAST", "DECISION", "AGE"]
    assert row.split()[:7] == ["rag-api", "rag-api", "True", "False", "210m", "3", "Active"]
    assert "292.00 USD/month" in row
    assert "Replicas 2 to 3: 80 requests/s" in row
    assert {"KIND", "LIMITED", "CONFLICTED"} <= set(wide.split())
    assert {"Deployment", "ReplicasAtMax", "NoConflict"} <= set(wide_row.split())


def test_the_status_is_written_apart_from_the_spec(api: Api) -> None:
    api.create(change(good(), {"status": {"summary": "forged"}}))
    assert "status" not in api.get("rag-api")

    api.patch("rag-api", {"status": _status(), "spec": {"onDelete": "Revert"}}, "--subresource=status")

    stored = api.get("rag-api")
    assert stored["spec"]["onDelete"] == "Keep"
    assert stored["metadata"]["generation"] == 1
    config = parse_config(stored)
    assert isinstance(config, PerformanceConfig)
    assert config.status == PerformanceConfigStatus.model_validate(_status())


def test_the_longest_status_that_the_models_allow_is_accepted(api: Api) -> None:
    time, long, short = "2026-01-01T00:00:00.123456Z", "é" * 5000, "ж" * 500
    decision = {"time": time, "lever": short, "from": short, "to": short, "reason": short, "message": long}
    numbers = {f"m{i}": "9" * 18 + "E" for i in range(48)}
    status = PerformanceConfigStatus.model_validate(
        {
            "summary": long,
            "decisions": [{**decision, "id": f"d{i}", "inputs": numbers} for i in range(10)],
            "alerts": [{"name": f"a{i}", "state": "Firing", "since": time, "value": "1"} for i in range(64)],
            "metrics": {"other": numbers, "unknown": [{"name": f"m{i}", "reason": "NaN"} for i in range(48)]},
        }
    )
    api.create(good())

    api.patch("rag-api", {"status": status.model_dump(mode="json", by_alias=True)}, "--subresource=status")

    config = parse_config(api.get("rag-api"))
    assert isinstance(config, PerformanceConfig)
    assert config.status == status


def _profile(name: str, **entry: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "TuningProfile",
        "metadata": {"name": name},
        "spec": {"workloads": {"Deployment/rag-api": {"config": "rag-api", **entry}}},
    }


def test_a_namespace_has_one_tuning_profile(api: Api) -> None:
    box = {
        "name": "app",
        "requests": {"cpu": "250m", "memory": 128 << 20},
        "env": {"BATCH_SIZE": 16},
        "templateEnv": {"BATCH_SIZE": "8"},
    }
    api.create(_profile("trimtab", containers=[box]))

    said = _refused(api.create, _profile("other"))

    assert "a namespace has one TuningProfile, named trimtab" in said


@pytest.mark.parametrize("value", ["8", "$(rm -rf /)", 1.5, -1, 2**40])
def test_a_profile_takes_only_whole_numbers_for_variables(server: Api, value: object) -> None:
    profile = _profile("trimtab", containers=[{"name": "app", "env": {"BATCH_SIZE": value}}])

    said = _refused(server.create, profile, "--dry-run=server")

    assert "spec.workloads.Deployment/rag-api.containers[0].env.BATCH_SIZE" in said


def test_both_definitions_are_what_the_folder_holds(server: Api) -> None:
    for text in crd_files().values():
        definition = yaml.safe_load(text)
        found = json.loads(server.run("get", "crd", definition["metadata"]["name"], "-o", "json"))
        versions = found["spec"]["versions"]
        assert versions[0]["schema"] == definition["spec"]["versions"][0]["schema"]
        conditions = {item["type"]: item["status"] for item in found["status"]["conditions"]}
        assert conditions["Established"] == "True"
        assert "NonStructuralSchema" not in conditions
