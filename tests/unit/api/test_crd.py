"""The definitions as text: in step with the models, documented, bounded, structural."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from trimtab.api.checkpoint import TuningCheckpointSpec, TuningJournalSpec
from trimtab.api.crd import crd_files, performance_config_crd, structural_schema, tuning_profile_crd
from trimtab.api.rules import RULES
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.api.status import PerformanceConfigStatus
from trimtab.api.tuningprofile import TuningProfileSpec

ROOT = Path(__file__).parents[3]
SCHEMAS = {
    "spec": structural_schema(PerformanceConfigSpec),
    "status": structural_schema(PerformanceConfigStatus, defaults=False),
    "profile": structural_schema(TuningProfileSpec),
    "checkpoint": structural_schema(TuningCheckpointSpec),
    "journal": structural_schema(TuningJournalSpec),
}
LEAVES = {"string", "integer", "boolean", "number"}


def _nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from _nodes(schema[key], f"{path}[{key}]")


NODES = [node for name, schema in SCHEMAS.items() for node in _nodes(schema, name)]


@pytest.mark.parametrize("name", crd_files())
def test_the_files_in_crds_are_as_the_models_say(name: str) -> None:
    found = (ROOT / "crds" / name).read_text("utf-8")

    assert found == crd_files()[name], "run `trimtab crd`"


def test_the_folder_holds_no_other_definition() -> None:
    assert {path.name for path in (ROOT / "crds").glob("*.yaml")} == set(crd_files())


@pytest.mark.parametrize("text", crd_files().values(), ids=crd_files())
def test_the_files_are_plain_yaml_that_a_chart_can_carry(text: str) -> None:
    assert "{{" not in text
    assert "&id" not in text
    assert yaml.safe_load(text)["kind"] == "CustomResourceDefinition"


def test_every_field_has_a_description() -> None:
    fields = [(path, node) for path, node in NODES if not path.endswith("]") and "." in path]

    assert [path for path, node in fields if len(node.get("description", "")) < 4] == []
    assert [path for path, node in fields if "\n" in node["description"]] == []


def test_every_node_has_one_type_and_nothing_that_a_structural_schema_forbids() -> None:
    for path, node in NODES:
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert not {"$ref", "$defs", "title", "oneOf", "allOf", "nullable", "const"} & set(node), path
        assert ("anyOf" in node) == bool(node.get("x-kubernetes-int-or-string")), path


def test_every_text_list_and_map_is_bounded() -> None:
    for path, node in NODES:
        if node.get("type") == "string" or node.get("x-kubernetes-int-or-string"):
            assert "maxLength" in node or "enum" in node, path
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


def test_every_number_of_the_spec_is_bounded_on_both_sides() -> None:
    for path, node in _nodes(SCHEMAS["spec"], "spec"):
        if node.get("type") == "integer":
            assert {"minimum", "maximum"} <= set(node), path


def test_lists_of_named_objects_are_maps_to_server_side_apply() -> None:
    keys = {
        path: node.get("x-kubernetes-list-map-keys")
        for path, node in NODES
        if node.get("type") == "array" and node["x-kubernetes-list-type"] == "map"
    }

    assert keys["spec.monitoring.metrics"] == ["name"]
    assert keys["spec.optimization.constraints.knobs"] == ["name"]
    assert keys["status.conditions"] == ["type"]
    assert keys["status.decisions"] == ["id"]
    assert "spec.optimization.constraints.disruption.windows" not in keys


def test_a_list_key_is_always_required() -> None:
    for path, node in NODES:
        for key in node.get("x-kubernetes-list-map-keys", ()):
            assert key in node["items"]["required"], path


def test_every_optional_field_of_the_spec_that_has_a_default_says_it() -> None:
    spec = SCHEMAS["spec"]["properties"]

    assert spec["monitoring"]["default"] == {}
    assert spec["monitoring"]["properties"]["sampleRate"]["default"] == 4
    assert spec["optimization"]["properties"]["autoTune"]["default"] is False
    assert "default" not in spec["resources"]["properties"]["maxMemory"]
    assert "default" not in spec["monitoring"]["properties"]["metrics"]


def test_there_are_no_defaults_below_a_map_and_none_in_the_status() -> None:
    assert [path for path, node in NODES if "additionalProperties]" in path and "default" in node] == []
    assert [path for path, node in NODES if path.startswith("status") and "default" in node] == []


def test_every_rule_stands_in_the_schema() -> None:
    written = [rule for _, node in NODES for rule in node.get("x-kubernetes-validations", ())]

    for model, rules in RULES.items():
        for rule in rules:
            assert any(rule.cel == found["rule"] for found in written), f"{model.__name__}: {rule.message}"


def test_every_rule_says_what_is_wrong_and_then_the_remedy() -> None:
    for rules in RULES.values():
        for rule in rules:
            problem, _, remedy = rule.message.partition("; ")
            assert problem, rule.message
            assert remedy, rule.message
            assert len(rule.message) <= 253


def test_the_names_are_the_ones_people_type() -> None:
    names = performance_config_crd()["spec"]["names"]

    assert names["plural"] == "performanceconfigs"
    assert names["shortNames"] == ["pcfg", "perf"]
    assert tuning_profile_crd()["spec"]["names"]["plural"] == "tuningprofiles"
    assert performance_config_crd()["spec"]["scope"] == "Namespaced"


def test_the_fixed_names_are_fields() -> None:
    spec = SCHEMAS["spec"]["properties"]

    assert {"enabled", "sampleRate", "retentionDays", "alertThresholds"} <= set(spec["monitoring"]["properties"])
    assert {"autoTune", "targetMetrics", "constraints"} <= set(spec["optimization"]["properties"])
    assert set(spec["resources"]["properties"]) == {"maxMemory", "maxConcurrency", "maxBatchSize"}
    assert {"timing", "resources", "costs"} <= set(SCHEMAS["status"]["properties"]["metrics"]["properties"])
