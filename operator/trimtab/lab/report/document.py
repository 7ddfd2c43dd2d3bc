"""JSON of a report: the same rows give the same bytes."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

DIGITS = 9
"""Significant digits of a float: what differs behind them is the machine's arithmetic."""


class ReportError(Exception):
    """A report could not be written."""


def encode(document: Mapping[str, object]) -> bytes:
    """The document as UTF-8 JSON with a newline at its end; NaN and infinite become null."""
    return (json.dumps(_plain(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def write(file: Path, content: bytes) -> None:
    """Write a report.

    Raises:
        ReportError: the file can't be written.
    """
    try:
        file.write_bytes(content)
    except OSError as error:
        raise ReportError(f"can't write {file} ({error.strerror}); name a file in a folder that exists") from error
