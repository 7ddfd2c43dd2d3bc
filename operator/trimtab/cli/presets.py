"""`trimtab presets`: lists the ready-made queries that metrics[].preset can name."""

from pathlib import Path

import click

from trimtab.observe.errors import PresetError
from trimtab.observe.presets import load_presets


@click.command()
@click.argument("name", required=False)
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="Folder of presets that are added.")
def presets(name: str | None, directory: Path | None) -> None:
    """List the presets, or show the PromQL of the one called NAME."""
    try:
        known = load_presets(directory)
    except PresetError as error:
        raise click.ClickException(str(error)) from error
    if name is None:
        width = max(map(len, known), default=0)
        for preset in sorted(known.values(), key=lambda one: one.name):
            click.echo(f"{preset.name:{width}}  {preset.unit or '-':10}  {preset.title}")
        return
    if name not in known:
        raise click.ClickException(f"no preset {name!r}; `trimtab presets` lists them")
    preset = known[name]
    click.echo(f"{preset.title}\nunit: {preset.unit or '-'}   better: {preset.better}\n\n{preset.promql()}")
