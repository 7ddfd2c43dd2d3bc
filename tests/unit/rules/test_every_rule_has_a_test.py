"""docs/design/rules.md says which tests show a rule: every rule has some, and those it names do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROWS = re.findall(r"^\| (\d+) \| (.+) \| ([^|]+) \|$", (ROOT / "docs/design/rules.md").read_text(), re.M)


def rules_of(module: Path) -> set[int]:
    """Rules that the names of a module's tests carry."""
    names = re.findall(r"def test_rule_((?:\d\d_and_)*\d\d)_", module.read_text())
    return {int(number) for name in names for number in name.split("_and_")}


def test_every_rule_stands_in_the_table_once_and_in_order() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 28))


@pytest.mark.parametrize(("number", "modules"), [(int(number), modules) for number, _, modules in ROWS])
def test_the_modules_that_are_named_for_a_rule_show_it(number: int, modules: str) -> None:
    for name in modules.split(", "):
        found = list((ROOT / "tests").glob(f"*/{name.strip()}.py"))
        assert found, f"no tests/*/{name}.py"
        assert any(number in rules_of(module) for module in found), f"{name} has no test_rule_{number:02d}_…"


def test_no_test_carries_the_number_of_a_rule_that_there_is_not() -> None:
    for module in (ROOT / "tests").rglob("test_*.py"):
        assert rules_of(module) <= set(range(1, 28)), module
