"""Output for machines, colours on a terminal only, and the commands as a kubectl plugin with completion."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.unit.cli.test_export import APPLIED, config
from trimtab.api.resource import parse_config
from trimtab.cli import output
from trimtab.cli.export import export
from trimtab.cli.main import COMMANDS, main
from trimtab.cli.plugin import NAME, candidates
from trimtab.cli.sla import levels

PROJECT = Path(__file__).parents[3] / "pyproject.toml"


@pytest.mark.parametrize(
    ("terminal", "variable", "coloured"),
    [(True, None, True), (True, "", True), (True, "1", False), (False, None, False)],
)
def test_colours_are_for_terminals_and_no_color_is_honoured(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, variable: str | None, coloured: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    if variable is not None:
        monkeypatch.setenv("NO_COLOR", variable)
    assert ("\x1b[" in output.style("text", "good")) is coloured
    assert output.style("text", "no such kind") == "text"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_patch_is_a_document_for_machines(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    async def read(*_: Any) -> dict[str, Any]:
        return {
            "metadata": {"name": "rag", "namespace": "shop"},
            "spec": {"targetRef": {"name": "rag-api"}},
            "status": {"applied": APPLIED},
        }

    monkeypatch.setattr("trimtab.cli.export._read", read)
    result = CliRunner().invoke(export, ["shop/rag", "-o", form])
    assert result.exit_code == 0
    found = json.loads(result.output) if form == "json" else yaml.safe_load(result.output)
    assert found["metadata"]["name"] == "rag-api"


def test_service_levels_are_a_document_for_machines() -> None:
    objective = {"name": "fast", "metric": "cpuUsage", "atMost": "1", "target": "0.99"}
    found = parse_config(
        {
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"targetRef": {"name": "web"}, "monitoring": {"objectives": [objective]}},
            "status": {"slo": [{"name": "fast", "target": "0.99", "attainment": "0.995"}]},
        }
    )
    (line,) = levels(found)["objectives"]  # type: ignore[arg-type]
    assert line["promised"]["target"] == "0.99"
    assert line["delivered"]["attainment"] == "0.995"
    assert levels(config(APPLIED))["objectives"] == []


def test_the_plugin_is_the_same_program_under_kubectl_s_name() -> None:
    scripts = tomllib.loads(PROJECT.read_text())["project"]["scripts"]
    assert scripts["kubectl-trimtab"] == "trimtab.cli.plugin:main"
    assert scripts["kubectl_complete-trimtab"] == "trimtab.cli.plugin:complete"
    result = CliRunner().invoke(main, ["explain", "--help"], prog_name=NAME)
    assert "Usage: kubectl trimtab explain" in result.output


def test_kubectl_gets_commands_options_and_choices_to_complete() -> None:
    *found, directive = candidates(["ex"])
    assert [line.partition("\t")[0] for line in found] == ["explain", "export"]
    assert directive == ":4"
    assert {line.partition("\t")[0] for line in candidates([""])[:-1]} == set(COMMANDS)
    assert "--what-if" in {line.partition("\t")[0] for line in candidates(["explain", "--"])[:-1]}
    assert candidates(["explain", "shop/web", "-o", ""]) == ["text", "json", "yaml", ":4"]
    assert candidates(["explain", "--kubeconfig", ""]) == [":0"]
    assert candidates(["audit", "--out", ""])[-1] == ":16"
    assert candidates([])[-1] == ":4"
