"""Label selectors: matching as the API server does it, and reading the string form of scale subresources."""

import re
from collections.abc import Mapping
from typing import Any

from trimtab.kube.raw import items, mapping, text

# One requirement of the string form: `a`, `!a`, `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`.
_REQUIREMENT = re.compile(
    r"\s*(?:(?P<absent>!)\s*)?(?P<key>[-A-Za-z0-9_./]+)\s*"
    r"(?:(?P<sign>==|=|!=)\s*(?P<value>[-A-Za-z0-9_.]*)|(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?\s*(?:,|$)"
)
MAX_SELECTOR = 4096


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether labels match a LabelSelector (matchLabels and matchExpressions).

    An empty selector matches everything, as in PodDisruptionBudget policy/v1. An operator that is not known
    matches nothing.
    """
    if any(labels.get(key) != value for key, value in mapping(selector, "matchLabels").items()):
        return False
    return all(_holds(term, labels) for term in items(selector, "matchExpressions"))


def parse_selector(raw: str) -> dict[str, Any]:
    """A LabelSelector from its string form, such as `app=web,tier in (a,b)`.

    Gives a selector that matches nothing when the text is empty or cannot be read: a wrong guess would take
    other workloads' pods for the target's.
    """
    terms: list[dict[str, Any]] = []
    position = 0
    if not raw.strip() or len(raw) > MAX_SELECTOR:
        return nothing()
    while position < len(raw):
        match = _REQUIREMENT.match(raw, position)
        if match is None or match.end() == position:
            return nothing()
        terms.append(_term(match))
        position = match.end()
    return {"matchExpressions": terms}


def nothing() -> dict[str, Any]:
    """A selector that matches no pod."""
    return {"matchExpressions": [{"key": "", "operator": "In", "values": []}]}


def _term(match: "re.Match[str]") -> dict[str, Any]:
    key, sign, kind = match["key"], match["sign"], match["set"]
    if match["absent"]:
        return {"key": key, "operator": "DoesNotExist"}
    if sign:
        return {"key": key, "operator": "NotIn" if sign == "!=" else "In", "values": [match["value"]]}
    if kind:
        values = [value.strip() for value in match["values"].split(",")]
        return {"key": key, "operator": "In" if kind == "in" else "NotIn", "values": values}
    return {"key": key, "operator": "Exists"}


def _holds(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator = text(term, "key"), text(term, "operator")
    raw_values = term.get("values")
    values = raw_values if isinstance(raw_values, list) else []
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return key not in labels or labels[key] not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    return False
