"""Tables of a report: which columns, how a number reads, and how it all looks in a terminal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

Row = Mapping[str, object]
MISSING = "–"
_FILE_WIDTH = 200


def plain(value: object) -> str:
    """Text as it is, numbers with up to four significant digits, None as a dash."""
    if value is None:
        return MISSING
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def ratio(value: object) -> str:
    """A number with three decimals."""
    return f"{value:.3f}" if isinstance(value, (int, float)) else MISSING


def percent(value: object) -> str:
    """A share, as percent with two decimals."""
    return f"{100 * value:.2f}%" if isinstance(value, (int, float)) else MISSING


def rate(value: object) -> str:
    """A number with two decimals."""
    return f"{value:.2f}" if isinstance(value, (int, float)) else MISSING


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    key: str
    """The row's key that it shows."""
    title: str
    shown: Callable[[object], str] = plain
    number: bool = True
    """Numbers stand to the right."""


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table. Rows of one `group` value stand together, with a line before the next one."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    group: str = ""
    """Key of the row by which it is grouped; empty: no groups."""
    searched: bool = True
    """Whether the page's search field hides its rows; totals are of everything."""

    def cells(self, row: Row) -> list[str]:
        """The row as text, a cell a column."""
        return [column.shown(row.get(column.key)) for column in self.columns]


def terminal() -> Console:
    """Standard output; as wide as the terminal, or wide enough for every table where it is a file or a pipe."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_FILE_WIDTH)


def show(console: Console, table: Table) -> None:
    """Print the table, as wide as the console at most; names that come from files are never markup."""
    grid = Grid(title=Text(table.title), title_justify="left", title_style="bold", header_style="bold", box=SIMPLE_HEAD)
    for column in table.columns:
        grid.add_column(
            Text(column.title), justify="right" if column.number else "left", overflow="fold", no_wrap=column.number
        )
    for index, row in enumerate(table.rows):
        following = table.rows[index + 1] if index + 1 < len(table.rows) else row
        ends = bool(table.group) and following.get(table.group) != row.get(table.group)
        grid.add_row(*(Text(cell) for cell in table.cells(row)), end_section=ends)
    console.print(grid)
