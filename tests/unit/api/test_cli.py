"""`trimtab crd` and `trimtab check`, as a person uses them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.golden.manifests import change, good
from tests.golden.wrong_manifests import MONITORING, UNKNOWN_FIELDS
from trimtab.api.crd import crd_files
from trimtab.cli.main import COMMANDS, main


def _run(*args: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(args), input=stdin)


def _check(*manifests: dict[str, Any]) -> Result:
    return _run("check", "-", stdin=yaml.safe_dump_all(manifests))


def test_help_lists_the_commands_that_are_installed() -> None:
    result = _run("--help")

    assert result.exit_code == 0
    assert "check" in result.output
    assert "crd" in result.output
    assert len(set(COMMANDS)) == len(COMMANDS)


def test_a_command_is_listed_only_where_its_module_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.cli.main.COMMANDS", ("crd", "conjure"))

    assert "conjure" not in _run("--help").output


def test_a_module_that_holds_no_command_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.cli.crd.crd", None)

    result = _run("crd")

    assert isinstance(result.exception, TypeError)
    assert "decorate it with @click.command" in str(result.exception)


def test_an_unknown_command_is_told() -> None:
    result = _run("conjure")

    assert result.exit_code == 2
    assert "No such command 'conjure'" in result.output


def test_crd_writes_both_definitions_and_then_finds_them_in_step(tmp_path: Path) -> None:
    out = tmp_path / "new" / "crds"

    assert _run("crd", "--out", str(out)).exit_code == 0

    assert {path.name: path.read_text("utf-8") for path in out.iterdir()} == crd_files()
    assert _run("crd", "--check", "--out", str(out)).exit_code == 0


@pytest.mark.parametrize("break_it", [Path.unlink, lambda path: path.write_text("kind: Other", "utf-8")])
def test_crd_check_fails_when_a_file_is_missing_or_differs(tmp_path: Path, break_it: Any) -> None:
    _run("crd", "--out", str(tmp_path))
    break_it(tmp_path / "trimtab.dev_performanceconfigs.yaml")

    result = _run("crd", "--check", "--out", str(tmp_path))

    assert result.exit_code == 1
    assert "trimtab.dev_performanceconfigs.yaml differ" in result.output
    assert "run `trimtab crd" in result.output


def test_crd_says_where_it_can_not_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")

    result = _run("crd", "--out", str(tmp_path / "file" / "below"))

    assert result.exit_code == 1
    assert "choose another --out" in result.output


def test_check_accepts_the_good_manifest() -> None:
    result = _check(good())

    assert result.exit_code == 0
    assert result.output == "1 PerformanceConfig checked, no problem found\n"


def test_check_prints_file_resource_field_and_remedy_of_every_problem(tmp_path: Path) -> None:
    wrong = change(good(), {"spec.onDelete": "Destroy", f"{MONITORING}.sampleRate": 0})
    file = tmp_path / "performanceconfig.yaml"
    file.write_text(yaml.safe_dump(wrong), "utf-8")

    result = _run("check", str(file))

    assert result.exit_code == 1
    assert f"{file}: rag-api: spec.onDelete: must be 'Keep' or 'Revert'" in result.output
    assert f"{file}: rag-api: {MONITORING}.sampleRate: must be greater than or equal to 1" in result.output


@pytest.mark.parametrize(("name", "changes", "field"), UNKNOWN_FIELDS, ids=[row[0] for row in UNKNOWN_FIELDS])
def test_check_names_fields_that_do_not_exist(name: str, changes: dict[str, Any], field: str) -> None:
    result = _check(change(good(), changes))

    assert result.exit_code == 1, name
    assert f"{field}: no such field; " in result.output


def test_check_suggests_the_field_that_was_meant() -> None:
    assert "did you mean sampleRate?" in _check(change(good(), {f"{MONITORING}.sampelRate": 4})).output


def test_check_finds_promql_that_can_not_be_parsed() -> None:
    result = _check(change(good(), {f"{MONITORING}.metrics[0].query": "sum(rate(x[2m])"}))

    assert result.exit_code == 1
    assert f"{MONITORING}.metrics[0].query: not PromQL (" in result.output


def test_check_reads_lists_and_passes_over_other_kinds() -> None:
    both = {"kind": "List", "items": [good(), {"kind": "Service"}, change(good(), {"metadata.name": "b"})]}

    result = _check({"kind": "Namespace"}, both)

    assert result.output == "2 PerformanceConfigs checked, no problem found\n"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"apiVersion": "trimtab.dev/v1"}, "apiVersion: no version of PerformanceConfig; write trimtab.dev/v1alpha1"),
        ({"metadata": {}}, "(no name): metadata.name: is required; add it"),
        ({"metadata": "x"}, "(no name): metadata.name: is required; add it"),
    ],
)
def test_check_looks_at_the_head_of_the_manifest(changes: dict[str, Any], words: str) -> None:
    result = _check(change(good(), changes))

    assert result.exit_code == 1
    assert words in result.output


@pytest.mark.parametrize("text", ["", "kind: Service", "- a\n- b"])
def test_check_tells_when_there_was_nothing_to_check(text: str) -> None:
    result = _run("check", "-", stdin=text)

    assert result.exit_code == 1
    assert "no PerformanceConfig in these files" in result.output


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\x00", "[" * 20_000])
def test_check_tells_what_is_no_yaml(text: str) -> None:
    result = _run("check", "-", stdin=text)

    assert result.exit_code == 1
    assert "is no YAML" in result.output


def test_check_tells_which_file_is_missing() -> None:
    result = _run("check", "nowhere.yaml")

    assert result.exit_code == 2
    assert "nowhere.yaml" in result.output
