"""`trimtab lab NAME`: replays recordings through Trimtab and its peers, and prints how each did."""

from importlib import import_module, util

import click

LABS = ("vertical", "horizontal", "loop")
"""Each is the module trimtab.lab.NAME.command with a click command called NAME."""


class _LazyGroup(click.Group):
    """Loads a lab when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Labs in the order of LABS, as far as this installation has them."""
        return [name for name in LABS if _has(name)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The lab; None where there is no such."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(import_module(f"trimtab.lab.{cmd_name}.command"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"trimtab.lab.{cmd_name}.command.{cmd_name} is no click command; use @click.command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, once `--policy A B` has become `--policy A --policy B`."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command, spread(rest)


def spread(words: list[str]) -> list[str]:
    """Words after `--policy NAME` that are no options each become a `--policy` of their own; labs take no arguments."""
    result: list[str] = []
    for word in words:
        follows = len(result) > 1 and result[-2] == "--policy" and not word.startswith("-")
        result += ["--policy", word] if follows else [word]
    return result


def _has(name: str) -> bool:
    return (
        util.find_spec(f"trimtab.lab.{name}") is not None and util.find_spec(f"trimtab.lab.{name}.command") is not None
    )


@click.group(cls=_LazyGroup)
def lab() -> None:
    """Replay recordings through Trimtab and its peers."""
