"""`trimtab crd`: writes the CustomResourceDefinitions, or says where they differ from the models."""

from pathlib import Path

import click

from trimtab.api.crd import crd_files


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("crds"),
    show_default=True,
    help="Folder of the YAML files.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail when a file differs from the models.")
def crd(out: Path, check: bool) -> None:
    """Write the CustomResourceDefinitions as YAML."""
    files = {out / name: text for name, text in crd_files().items()}
    if check:
        stale = [path for path, text in files.items() if not path.is_file() or path.read_text("utf-8") != text]
        if stale:
            raise click.ClickException(
                f"{', '.join(map(str, stale))} differ from the models; run `trimtab crd --out {out}`"
            )
        click.echo(f"{len(files)} files in {out} are as the models say")
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, "utf-8")
            click.echo(f"wrote {path}")
    except OSError as error:
        raise click.ClickException(f"can't write to {out} ({error.strerror}); choose another --out") from error
