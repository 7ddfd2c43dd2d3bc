"""The documentation says what the code does: generated parts, links, manifests, values and commands."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import docs
from trimtab.api.builtin_alerts import BUILTIN_ALERT_NAMES
from trimtab.api.reasons import find_reason
from trimtab.api.settings import OperatorSettings
from trimtab.cli.check import KIND, check_manifest
from trimtab.cli.main import COMMANDS
from trimtab.decide.slo import BURN_RULES, WINDOWS

ROOT = docs.ROOT
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
DEFAULTS = yaml.safe_load(docs.VALUES.read_text())


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL):
        if language in languages:
            yield block


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_generated_parts_are_what_the_code_says() -> None:
    assert docs.main(["--check"]) == 0


def test_every_alert_that_can_fire_has_its_cause_and_what_to_do() -> None:
    rows = re.findall(
        r"^\| `([\w.-]+)` \| (Critical|Warning|Info|critical|warning|info) \| (.+)$", docs.reference(), re.M
    )
    told = {name: [cell.strip() for cell in re.split(r"(?<!\\)\|", rest)][1:3] for name, _, rest in rows}
    rules = yaml.safe_load(docs.RULES.read_text())["groups"]
    chart = {rule["alert"] for group in rules for rule in group["rules"] if "alert" in rule}
    assert chart | {rule.name for rule in BURN_RULES} | set(BUILTIN_ALERT_NAMES) == told.keys()
    assert all(len(cell) > 20 for cells in told.values() for cell in cells)
    assert len(docs.WINDOW_NAMES) == len(WINDOWS)


def test_every_value_of_the_chart_is_in_the_table_with_its_default() -> None:
    def leaves(tree: Any, path: str = "") -> Iterator[str]:
        for key, value in tree.items():
            yield path + key
            if isinstance(value, dict):
                yield from leaves(value, f"{path}{key}.")

    told = {path: value for path, value, _ in docs.values()}
    for path in leaves(DEFAULTS):
        parents = [path.rsplit(".", n)[0] for n in range(path.count(".") + 1)]
        below = any(one.startswith(f"{path}.") for one in told)
        assert below or set(parents) & set(told), f"{path} is not told of"
    assert all(meaning.endswith((".", "`")) for _, _, meaning in docs.values())


def test_a_value_without_a_comment_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("# -- Told.\na: 1\nb:\n  c: 2\n")
    monkeypatch.setattr(docs, "VALUES", file)
    with pytest.raises(ValueError, match=r"values.yaml:4: b.c has no comment"):
        list(docs.values())


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="put both back"):
        docs.with_values("# The chart\n")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", text_of(file), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_performance_configs_in_the_text_have_no_mistake(page: Path) -> None:
    manifests = [
        document
        for block in blocks(page, "yaml", "console")
        for part in ([block] if "<<'YAML'" not in block else re.findall(r"<<'YAML'\n(.*?)^YAML$", block, re.M | re.S))
        if "kind: PerformanceConfig\n" in part and "apiVersion: trimtab.dev" in part
        for document in yaml.safe_load_all(part)
    ]
    for manifest in manifests:
        assert manifest["kind"] == KIND
        assert [str(problem) for problem in check_manifest(manifest)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_in_the_text_exist(page: Path) -> None:
    for command in re.findall(r"`?\btrimtab ([a-z]+)\b(?= |`)", "\n".join(blocks(page, "console"))):
        if command not in {"charts", "with"}:
            assert command in COMMANDS, command
    for command in re.findall(r"`trimtab ([a-z]+)[^`]*`", text_of(page)):
        assert command in COMMANDS, command


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_values_in_the_text_are_values_of_the_chart(page: Path) -> None:
    for setting in re.findall(r"--set(?:-json)? '?([A-Za-z.]+)(?:\[0\][.A-Za-z]*)?=", text_of(page)):
        value: Any = DEFAULTS
        for step in setting.split("."):
            assert step in value, setting
            value = value[step]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_reasons_in_the_tables_of_troubleshooting_exist(page: Path) -> None:
    if page.name == "troubleshooting.md":
        named = re.findall(r"(?:Metric|Resize|PromQL|Datasource|Window|Budget|Rollout|Fleet)[A-Z]\w+", text_of(page))
        wrong = {reason for reason in named if find_reason(reason) is None}
        assert wrong <= {"MetricsAvailable"}


def test_every_setting_of_the_operator_can_be_set_in_the_chart() -> None:
    template = text_of(ROOT / "charts" / "trimtab" / "templates" / "settings.yaml")
    fields = {field.alias or key for key, field in OperatorSettings.model_fields.items()}
    assert {field for field in fields if f'"{field}"' not in template} == set()
