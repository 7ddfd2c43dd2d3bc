"""Reports in a folder: how they are called, and which are too old to be kept."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

_NAME = re.compile(
    r"trimtab-audit-([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)-([0-9]{4}-[0-9]{2}-[0-9]{2})\.(?:md|html|json)"
)
DEFAULT_DAYS = 14


def file_name(namespace: str, at: float, form: str) -> str:
    """`trimtab-audit-shop-2026-11-22.md`."""
    return f"trimtab-audit-{namespace}-{_day(at).isoformat()}.{form}"


def expired(names: Iterable[str], at: float, days: Mapping[str, int]) -> list[str]:
    """Those of the file names that are reports of ours and older than their namespace keeps them.

    `days` is by namespace, DEFAULT_DAYS for others. Everything that is called otherwise is left alone.
    """
    found = []
    for name in sorted(names):
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        try:
            made = date.fromisoformat(match[2])
        except ValueError:
            continue
        if _day(at) - made > timedelta(days=days.get(match[1], DEFAULT_DAYS)):
            found.append(name)
    return found


def prune(folder: Path, at: float, days: Mapping[str, int]) -> list[str]:
    """Remove the reports in this folder that are too old; returns their names. Links and folders are left alone."""
    names = [one.name for one in folder.iterdir() if one.is_file() and not one.is_symlink()]
    gone = expired(names, at, days)
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    return gone


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
