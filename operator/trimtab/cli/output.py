"""What commands share in their output: -o text|json|yaml, what may be shown, and colours on a terminal only."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import click
import yaml

from trimtab.api.privacy import DEFAULT_LABELS, Privacy

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


def labels_option() -> Callable[[_Command], _Command]:
    """`--show-label`: labels whose values are shown beside those that the chart's `privacy.labels` lists by default."""
    return click.option(
        "--show-label",
        "labels",
        multiple=True,
        metavar="NAME",
        help="Show the values of this label of series too. Repeatable. Default: those of the chart's privacy.labels.",
    )


def privacy_of(labels: Iterable[str], usual: Iterable[str] = DEFAULT_LABELS) -> Privacy:
    """What may be shown: values of the usual labels and of these."""
    return Privacy(frozenset((*usual, *labels)))


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
