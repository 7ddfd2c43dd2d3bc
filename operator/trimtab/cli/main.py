"""The command line: `trimtab COMMAND`. A command's module is loaded only when it is used."""

from importlib import import_module, metadata, util

import click

COMMANDS = ("run", "check", "backtest", "explain", "export", "sla", "audit", "presets", "lab", "crd")
"""Each is the module trimtab.cli.NAME with a click command called NAME."""


class _LazyGroup(click.Group):
    """Loads a command when it is named, so that `crd` and `check` need none of what `run` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order of COMMANDS, as far as this installation has them."""
        return [name for name in COMMANDS if util.find_spec(f"trimtab.cli.{name}") is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; None where there is no such."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(import_module(f"trimtab.cli.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"trimtab.cli.{cmd_name}.{cmd_name} is no click command; decorate it with @click.command")
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(metadata.version("trimtab"), prog_name="trimtab")
def main() -> None:
    """Tunes requests, replicas and knobs of Kubernetes workloads, verifies each move, undoes bad ones."""


if __name__ == "__main__":  # the image starts it as a module
    main()
