"""The check of coverage by branches alone, on reports that coverage itself makes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
def word(number, loud):
    text = "positive"
    if number < 0:
        text = "negative"
    if loud:
        text = text.upper()
    return text
"""
ALL_LINES, ALL_BRANCHES = "word(-1, True)\n", "word(-1, True)\nword(1, False)\n"


def measured(folder: Path, calls: str) -> None:
    """Run calls of the code under coverage, in a folder of their own."""
    (folder / "code").mkdir()
    (folder / "code" / "word.py").write_text(CODE + calls)
    command = [sys.executable, "-m", "coverage", "run", "--branch", "--source=code", "code/word.py"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)


def check(folder: Path, at_least: str, what: str = "code") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "branches.py"), what, "--at-least", at_least]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("calls", "percent"), [(ALL_LINES, "50.0"), (ALL_BRANCHES, "100.0")])
def test_only_branches_count(tmp_path: Path, calls: str, percent: str) -> None:
    measured(tmp_path, calls)
    assert f"{percent}% of 4 branches of code were taken" in check(tmp_path, "50").stdout


def test_too_few_branches_fail_and_their_files_are_named(tmp_path: Path) -> None:
    measured(tmp_path, ALL_LINES)
    assert check(tmp_path, "50").returncode == 0
    found = check(tmp_path, "51")
    assert found.returncode == 1
    assert found.stdout.startswith("    2 branches not taken: code/word.py\n")
    assert "at least 51% shall be" in found.stderr


@pytest.mark.parametrize("what", ["nothing", "cod"])
def test_a_folder_that_was_not_measured_is_an_error_and_not_a_pass(tmp_path: Path, what: str) -> None:
    measured(tmp_path, ALL_LINES)
    found = check(tmp_path, "95", what)
    assert found.returncode == 1
    assert f"no branches of {what} were measured" in found.stderr


def test_without_data_the_reason_is_passed_on(tmp_path: Path) -> None:
    found = check(tmp_path, "95")
    assert found.returncode == 1
    assert "coverage json failed: No data to report" in found.stderr
