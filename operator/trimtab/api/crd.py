"""CustomResourceDefinitions from the pydantic models: structural schemas, defaults, CEL rules, columns.

What the API server asks of such schemas: KEP-1979 (structural), apiextensions-apiserver's
pkg/apis/apiextensions/validation (limits on the cost of CEL: every field is bounded so that it can be known).
"""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import yaml
from pydantic import BaseModel

from trimtab.api import group
from trimtab.api.checkpoint import TuningCheckpointSpec, TuningJournalSpec
from trimtab.api.group import GROUP, VERSION
from trimtab.api.rule import Rule
from trimtab.api.rules import RULES
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.api.status import PerformanceConfigStatus
from trimtab.api.tuningprofile import PROFILE_NAME, TuningProfileSpec

Schema = dict[str, Any]

_RULES_BY_NAME = {model.__name__: rules for model, rules in RULES.items()}
_KEPT = (
    *("type", "format", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength"),
    *("minItems", "maxItems", "maxProperties", "required", "x-kubernetes-int-or-string"),
)


def structural_schema(model: type[BaseModel], *, defaults: bool = True) -> Schema:
    """The structural schema of a model, with its CEL rules.

    `defaults=False` leaves defaults out, as for a status: what is absent there is not known.
    """
    raw = model.model_json_schema(by_alias=True)
    definitions = {**raw.get("$defs", {}), model.__name__: raw}
    return _structural({"$ref": f"#/$defs/{model.__name__}"}, definitions, defaults)


def performance_config_crd() -> Schema:
    """The CustomResourceDefinition of PerformanceConfig."""
    schema = _root(
        "What Trimtab tunes on one workload, towards which targets, and within which limits.",
        {
            "spec": structural_schema(PerformanceConfigSpec),
            "status": structural_schema(PerformanceConfigStatus, defaults=False),
        },
    )
    names = _names(group.CONFIG_KIND, group.CONFIG_PLURAL, ["pcfg", "perf"])
    columns = [
        _column("Target", ".spec.targetRef.name", "Workload that is tuned"),
        _column("Kind", ".spec.targetRef.kind", "Kind of the workload", wide=True),
        _condition_column("Ready", "status", "Whether Trimtab works on it"),
        _condition_column("Alerting", "status", "Whether an alert fires"),
        _column("Latency", ".status.metrics.timing.totalLatency", "totalLatency, in seconds"),
        _column("Replicas", ".status.replicas", "Pods that are ready", kind="integer"),
        _condition_column("Tuning", "reason", "Active, or what it waits for"),
        _condition_column("Limited", "reason", "What keeps it from a better place", wide=True),
        _condition_column("Conflicted", "reason", "Who else moves the same levers", wide=True),
        _column("Saves", ".status.savings.summary", "What is saved a month against its own baseline"),
        _column("Last Decision", ".status.summary", "What it did last"),
        _column("Age", ".metadata.creationTimestamp", "Age of the resource", kind="date"),
    ]
    return _crd(names, schema, columns, status=True)


def tuning_profile_crd() -> Schema:
    """The CustomResourceDefinition of TuningProfile."""
    schema = _root(
        "What new pods of this namespace get, read by the admission policy; Trimtab writes it.",
        {"spec": structural_schema(TuningProfileSpec)},
    )
    schema["x-kubernetes-validations"] = [
        {
            "rule": f"self.metadata.name == '{PROFILE_NAME}'",
            "message": f"a namespace has one TuningProfile, named {PROFILE_NAME}; rename it",
        }
    ]
    columns = [_column("Age", ".metadata.creationTimestamp", "Age of the resource", kind="date")]
    return _crd(_names(group.PROFILE_KIND, group.PROFILE_PLURAL, []), schema, columns, status=False)


def tuning_checkpoint_crd() -> Schema:
    """The CustomResourceDefinition of TuningCheckpoint."""
    schema = _root(
        "What Trimtab learned of one workload, for a restart to go on from; Trimtab writes it.",
        {"spec": structural_schema(TuningCheckpointSpec)},
    )
    columns = [
        _column("Containers", ".spec.containers", "Containers it is about", kind="integer"),
        _column("Taken", ".spec.time", "When it was taken", kind="date"),
        _column("Age", ".metadata.creationTimestamp", "Age of the resource", kind="date"),
    ]
    return _crd(_names(group.CHECKPOINT_KIND, group.CHECKPOINT_PLURAL, []), schema, columns, status=False)


def tuning_journal_crd() -> Schema:
    """The CustomResourceDefinition of TuningJournal."""
    schema = _root(
        "What Trimtab decided for one workload and why, for `trimtab explain`; Trimtab writes it.",
        {"spec": structural_schema(TuningJournalSpec)},
    )
    columns = [
        _column("Decisions", ".spec.count", "Decisions in it", kind="integer"),
        _column("Oldest", ".spec.oldest", "Time of the oldest", kind="date"),
        _column("Newest", ".spec.newest", "Time of the newest", kind="date"),
    ]
    return _crd(_names(group.JOURNAL_KIND, group.JOURNAL_PLURAL, []), schema, columns, status=False)


def crd_files() -> dict[str, str]:
    """File name to YAML text of every definition."""
    crds = (performance_config_crd(), tuning_profile_crd(), tuning_checkpoint_crd(), tuning_journal_crd())
    return {
        f"{GROUP}_{crd['spec']['names']['plural']}.yaml": (
            "# Generated from operator/trimtab/api by `trimtab crd`; do not edit.\n"
            + yaml.safe_dump(crd, sort_keys=False, allow_unicode=True, width=110)
        )
        for crd in crds
    }


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any], defaults: bool) -> Schema:
    """One node of a JSON schema as a structural one: references inlined, null taken out, titles left out."""
    rules: Iterable[Rule[Any]] = ()
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[-1]
        rules = _RULES_BY_NAME.get(name, ())
        node = {**definitions[name], **{key: value for key, value in node.items() if key != "$ref"}}
    if any(option.get("type") == "null" for option in node.get("anyOf", ())):
        (only,) = (option for option in node["anyOf"] if option.get("type") != "null")
        rest = {key: value for key, value in node.items() if key != "anyOf" and (key, value) != ("default", None)}
        return _structural({**only, **rest}, definitions, defaults)

    schema: Schema = {}
    if "description" in node:
        schema["description"] = " ".join(node["description"].split())
    # Copies, so that YAML needs no anchors.
    schema |= {key: deepcopy(node[key]) for key in _KEPT if key in node}
    if node.get("x-kubernetes-int-or-string"):
        schema["anyOf"] = deepcopy(node["anyOf"])
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    if defaults and (default := _default(node)) is not None:
        schema["default"] = default
    if node.get("type") == "array":
        schema["items"] = _structural(node["items"], definitions, defaults)
        schema |= _list_type(node, schema["items"])
    if "properties" in node:
        schema["properties"] = {
            name: _structural(child, definitions, defaults) for name, child in node["properties"].items()
        }
    elif isinstance(node.get("additionalProperties"), dict):
        # The API server forbids defaults below a map.
        schema["additionalProperties"] = _structural(node["additionalProperties"], definitions, False)
    if rules:
        schema["x-kubernetes-validations"] = [_validation(rule) for rule in rules]
    return schema


def _default(node: Mapping[str, Any]) -> Any:
    """The default to write into the schema; None for none.

    An object's is {}: the API server then fills in the defaults of its fields. Empty lists and maps are left
    out, absent means the same.
    """
    default = node.get("default")
    if "properties" in node:
        return None if default is None else {}
    return None if default in ([], {}) else deepcopy(default)


def _list_type(node: Mapping[str, Any], items: Schema) -> Schema:
    """A list of named objects is a map to server-side apply and names none twice; other lists are atomic."""
    key = node.get("listMapKey") or ("name" if "name" in items.get("required", ()) else None)
    if key is None:
        return {"x-kubernetes-list-type": "atomic"}
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def _validation(rule: Rule[Any]) -> Schema:
    field = {"fieldPath": rule.field} if rule.field else {}
    return {"rule": rule.cel, "message": rule.message, "reason": "FieldValueInvalid", **field}


def _root(description: str, properties: Schema) -> Schema:
    meta: Schema = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    return {
        "description": description,
        "type": "object",
        "required": ["spec"],
        "properties": meta | properties,
    }


def _names(kind: str, plural: str, short: list[str]) -> Schema:
    names: Schema = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    return names | ({"shortNames": short} if short else {}) | {"categories": ["trimtab"]}


def _column(name: str, path: str, description: str, *, kind: str = "string", wide: bool = False) -> Schema:
    column: Schema = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": 1} if wide else {})


def _condition_column(condition: str, field: str, description: str, *, wide: bool = False) -> Schema:
    path = f'.status.conditions[?(@.type=="{condition}")].{field}'
    return _column(condition, path, description, wide=wide)


def _crd(names: Schema, schema: Schema, columns: list[Schema], *, status: bool) -> Schema:
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    }
    if status:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }
