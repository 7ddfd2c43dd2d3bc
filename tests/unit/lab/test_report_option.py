"""A report that can't be written is refused before a long run, not after it."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from trimtab.cli.main import main

# Folders and a server that are not there: a run that begins would name them instead.
RUNS = {
    "vertical": ["lab", "vertical", "--traces", "/nonexistent"],
    "horizontal": ["lab", "horizontal", "--traces", "/nonexistent"],
    "loop": ["lab", "loop", "--traces", "/nonexistent"],
    "backtest": ["backtest", "--prometheus", "http://127.0.0.1:9"],
}
REPORTS = [(name, option) for name in RUNS for option in ("--json", "--html")] + [("backtest", "--csv")]


def told(name: str, option: str, file: Path) -> Result:
    return CliRunner().invoke(main, [*RUNS[name], option, str(file)])


@pytest.mark.parametrize(("name", "option"), REPORTS)
def test_a_folder_that_is_not_there_is_named_at_once(name: str, option: str, tmp_path: Path) -> None:
    done = told(name, option, tmp_path / "no" / "report")
    assert done.exit_code == 2
    assert f"there is no folder {tmp_path / 'no'}; name a file in a folder that exists" in " ".join(done.output.split())


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    done = told("vertical", "--json", tmp_path)
    assert done.exit_code == 2
    assert "is a directory" in done.output


def test_a_folder_that_may_not_be_written_to_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)  # root may write anywhere
    done = told("vertical", "--json", tmp_path / "report.json")
    assert done.exit_code == 2
    assert "may not be written to" in done.output


def test_a_file_beside_where_one_stands_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "report.json" not in told("vertical", "--json", Path("report.json")).output
