"""Share of branches that tests took, alone: `coverage report --fail-under` mixes it with lines.

Run from the project's folder after `coverage run --branch`:
`python -m scripts.branches --at-least 95 operator/trimtab/decide` reads the data file `.coverage`.
"""

import json
import subprocess
import sys
from typing import Any

import click


class UnmeasuredError(Exception):
    """The report says nothing about branches."""


def share(report: dict[str, Any], folder: str) -> tuple[int, int, list[tuple[str, int]]]:
    """Branches taken, branches there are, and files with untaken ones and their number, most first.

    ``report`` is what `coverage json` writes; only files below ``folder`` count.

    Raises:
        UnmeasuredError: no file below the folder was measured by branches.
    """
    files = {
        name: file["summary"] for name, file in report["files"].items() if name.startswith(f"{folder.rstrip('/')}/")
    }
    if not any(summary.get("num_branches") for summary in files.values()):
        raise UnmeasuredError(
            f"no branches of {folder} were measured; run `coverage run --branch` over its tests first"
        )
    there = sum(summary["num_branches"] for summary in files.values())
    taken = sum(summary["covered_branches"] for summary in files.values())
    missing = [(name, summary["missing_branches"]) for name, summary in files.items() if summary["missing_branches"]]
    return taken, there, sorted(missing, key=lambda found: -found[1])


@click.command()
@click.argument("folder")
@click.option("--at-least", default=95.0, show_default=True, help="Percent below which it fails.")
def main(folder: str, at_least: float) -> None:
    """Fail unless tests took so many percent of the branches of FOLDER."""
    command = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise click.ClickException(f"coverage json failed: {done.stdout}{done.stderr}")
    try:
        taken, there, missing = share(json.loads(done.stdout), folder)
    except UnmeasuredError as error:
        raise click.ClickException(str(error)) from error
    percent = 100.0 * taken / there
    for name, count in missing:
        click.echo(f"{count:5d} branches not taken: {name}")
    click.echo(f"{percent:.1f}% of {there} branches of {folder} were taken")
    if percent < at_least:
        raise click.ClickException(f"at least {at_least:g}% shall be; add tests for the files above")


if __name__ == "__main__":
    main()
