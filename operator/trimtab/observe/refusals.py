"""What a server says when it refuses a query, as far as it may be shown.

People correct a query by Prometheus' own words ("many-to-many matching not allowed"), so these are repeated; series,
addresses and whatever a proxy or another product sends are not.
"""

import json
import re
from dataclasses import dataclass

from trimtab.api.privacy import Privacy

ERROR_TYPES = frozenset(
    {"timeout", "canceled", "execution", "bad_data", "internal", "unavailable", "not_found", "not_acceptable"}
)
"""The HTTP API's own error types (https://prometheus.io/docs/prometheus/latest/querying/api/)."""
OF_THE_QUERY = frozenset({"execution", "bad_data"})
"""Types whose text is about the query. That of the others is about the server: its parts, their addresses."""
AWAY = "unavailable"
"""The type of a server that can't answer now."""
_PART_AWAY = re.compile(r"^(?!.*ResourceExhausted).*\brpc error: code = ", re.DOTALL)
"""Thanos says `execution` (HTTP 422) also where a store behind it did not answer and partial_response is false; a
limit of one that was passed is ResourceExhausted (https://thanos.io/tip/components/query.md/#partial-response)."""
MAX_READ = 4096
"""Characters of a text that are looked at: label sets before the point that matters can be long."""
MAX_SAID = 240

# A label set quotes its values, braces within them included; in what is cut off the last one has no end.
_SERIES = re.compile(r'\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\}|\{.*', re.DOTALL)
_ADDRESS = re.compile(
    r"\b[A-Za-z][A-Za-z0-9+.-]*://\S+"
    r"|\b(?:[A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*|\d{1,3}(?:\.\d{1,3}){3}):\d{2,5}\b"
    r"|\[[0-9A-Fa-f:]*:[0-9A-Fa-f:]*\](?::\d{1,5})?"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the body of an answer that is no success holds; empty where it holds nothing that is known."""

    kind: str = ""
    """One of ERROR_TYPES."""
    text: str = ""
    """The server's words about the query, without series, addresses and credentials: one line, MAX_SAID characters."""


def read_refusal(body: bytes) -> Refusal:
    """Read an error of Prometheus' HTTP API; anything else is an empty Refusal."""
    try:
        answer = json.loads(body)
        kind, text = answer["errorType"], answer.get("error")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Refusal()
    if not isinstance(kind, str) or kind not in ERROR_TYPES:
        return Refusal()
    if isinstance(text, str) and _PART_AWAY.search(text):
        return Refusal(AWAY)
    return Refusal(kind, _shown(text) if kind in OF_THE_QUERY and isinstance(text, str) else "")


def is_partial(body: bytes) -> bool:
    """Whether an answer warns that a store behind the server did not answer.

    Thanos does so in spite of partial_response=false where it can't connect to an endpoint that is never given up
    (--endpoint-strict). Warnings about the query, Prometheus' own, are none of these.
    """
    if b'"warnings":[' not in body:  # within a string its quotes would be escaped
        return False
    try:
        warnings = json.loads(body).get("warnings")
    except (ValueError, AttributeError, RecursionError):
        return False
    return isinstance(warnings, list) and any(isinstance(one, str) and "rpc error: code = " in one for one in warnings)


def _shown(text: str) -> str:
    text = _ADDRESS.sub("[address]", _SERIES.sub("{…}", text[:MAX_READ]))
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    text = Privacy().clean(text)  # before the cut: half a token is not recognised
    text = text if len(text) <= MAX_SAID else text[: MAX_SAID - 1].rstrip() + "…"
    return text.rstrip(".;: ")
