"""A progress bar on stderr: absent where nobody watches."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """Steps of a run; `part` moves it within the step that is going on."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=steps)
        self._done = 0

    def start(self, what: str) -> None:
        """The next step begins."""
        self._progress.update(self._task, description=what)

    def part(self, _name: str, share: float) -> None:
        """So much of the step is done, 0 to 1."""
        self._progress.update(self._task, completed=self._done + share)

    def finish(self) -> None:
        """The step is done."""
        self._done += 1
        self._progress.update(self._task, completed=self._done)


@contextmanager
def bar(steps: int) -> Iterator[Bar]:
    """A bar of so many steps. On a terminal it is drawn and removed at the end; elsewhere it prints nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress, steps)
