"""The option that names a report's file."""

import os
from pathlib import Path

import click


class ReportFile(click.Path):
    """A file to write at the end of a long run: that it can't be written is said before the run, not after it."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path.

        Raises:
            click.BadParameter: it is a folder, may not be written, or its folder is not there or may not be written to.
        """
        super().convert(value, param, ctx)
        file = Path(value)
        if not file.parent.is_dir():
            self.fail(
                f"can't write {file}: there is no folder {file.parent}; name a file in a folder that exists", param
            )
        if not file.exists() and not os.access(file.parent, os.W_OK):
            self.fail(f"can't write {file}: the folder {file.parent} may not be written to; name another", param)
        return file
