"""`kubectl trimtab …`: the same commands under kubectl's name, and completion as kubectl asks plugins for it.

kubectl runs `kubectl-trimtab` from the PATH, and for completion `kubectl_complete-trimtab WORD… INCOMPLETE`, which
prints a candidate a line and at last a directive of cobra's (kubectl, pkg/cmd/plugin_completion.go).
"""

import sys
from collections.abc import Sequence

import click
from click.shell_completion import ShellComplete

from trimtab.cli import main as commands

NAME = "kubectl trimtab"
NO_FILES, FILES, FOLDERS = 4, 0, 16
"""Directives: cobra's ShellCompDirectiveNoFileComp, …Default and …FilterDirs."""


def main() -> None:
    """Entry point of kubectl-trimtab."""
    commands.main(prog_name=NAME)


def complete() -> None:
    """Entry point of kubectl_complete-trimtab."""
    click.echo("\n".join(candidates(sys.argv[1:])))


def candidates(words: Sequence[str]) -> list[str]:
    """Completions of the last of these words with their help after a tab, then the directive as `:4`."""
    *before, incomplete = words or [""]
    found = ShellComplete(commands.main, {}, NAME, "_TRIMTAB_COMPLETE").get_completions(list(before), incomplete)
    kinds = {item.type for item in found}
    directive = FILES if "file" in kinds else FOLDERS if "dir" in kinds else NO_FILES
    lines = [f"{item.value}\t{item.help}" if item.help else item.value for item in found if item.type == "plain"]
    return [*lines, f":{directive}"]
