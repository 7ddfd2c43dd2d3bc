"""What commands share in their output: -o text|json|yaml, and colours on a terminal only."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import click
import yaml

TEXT, JSON, YAML = "text", "json", "yaml"
_COLOURS: dict[str, dict[str, Any]] = {
    "title": {"bold": True},
    "good": {"fg": "green"},
    "bad": {"fg": "yellow"},
    "dim": {"dim": True},
}
_Command = Callable[..., Any]


def output_option(text: str = TEXT) -> Callable[[_Command], _Command]:
    """`-o`: the command's own text, or a document for machines."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice([text, JSON, YAML]),
        default=text,
        show_default=True,
        help="Form of the output.",
    )


def document(content: Any, form: str) -> str:
    """Plain JSON values as text that ends with a newline."""
    if form == JSON:
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def coloured() -> bool:
    """Whether standard output is a terminal and nobody said NO_COLOR (https://no-color.org: set and not empty)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def style(text: str, kind: str) -> str:
    """The text in the colours of its kind, where colours are wanted."""
    return click.style(text, **_COLOURS[kind]) if kind in _COLOURS and coloured() else text
