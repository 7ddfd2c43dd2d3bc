"""No field of the spec without effect: each is read somewhere outside the contract itself."""

import ast
from pathlib import Path

import pytest

import trimtab
from trimtab.api.rules import RULES
from trimtab.api.spec import ApiModel, PerformanceConfigSpec

SOURCE = Path(trimtab.__file__).parent


def _models(model: type[ApiModel]) -> set[type[ApiModel]]:
    """The model and all below it."""
    found = {model}
    for info in model.model_fields.values():
        waiting = [info.annotation]
        while waiting:
            kind = waiting.pop()
            waiting.extend(getattr(kind, "__args__", ()))
            if isinstance(kind, type) and issubclass(kind, ApiModel):
                found |= _models(kind)
    return found


def _attributes_read() -> set[str]:
    """Every name that is read as an attribute in the package, api apart."""
    return {
        node.attr
        for path in SOURCE.rglob("*.py")
        if "api" not in path.relative_to(SOURCE).parts
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


READ = _attributes_read()
FIELDS = sorted((model.__name__, field) for model in _models(PerformanceConfigSpec) for field in model.model_fields)


def test_every_model_with_rules_is_part_of_the_spec() -> None:
    assert set(RULES) <= _models(PerformanceConfigSpec)


@pytest.mark.parametrize(("model", "field"), FIELDS, ids=[".".join(row) for row in FIELDS])
def test_a_field_of_the_spec_is_read_outside_the_contract(model: str, field: str) -> None:
    assert field in READ, f"nothing reads {model}.{field}; make it work or take it out"
