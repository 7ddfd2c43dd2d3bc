"""Wrong manifests: one change each to performanceconfig.yaml, and what a person must be told about it."""

from typing import Any

from tests.golden.wrong import ALERT, CONSTRAINTS, KNOB, METRIC, MONITORING, OPTIMIZATION, WINDOW, Wrong
from tests.golden.wrong_levers import WRONG_LEVERS
from tests.golden.wrong_monitoring import WRONG_MONITORING

__all__ = ["CONSTRAINTS", "LATER", "MONITORING", "OPTIMIZATION", "UNKNOWN_FIELDS", "WRONG", "Wrong"]

WRONG: list[Wrong] = [
    *WRONG_MONITORING,
    *WRONG_LEVERS,
    # Hostile
    Wrong("a list for an object", {"spec.monitoring": []}, "spec.monitoring", ("object",)),
    Wrong("text for a list", {f"{MONITORING}.metrics": "all"}, f"{MONITORING}.metrics", ("array",)),
    Wrong("nulls in a list", {f"{MONITORING}.metrics": [None]}, f"{MONITORING}.metrics[0]", ("object",)),
    Wrong("a megabyte of name", {f"{METRIC}.name": "x" * 1_000_000}, f"{METRIC}.name", ("63",)),
    Wrong("a megabyte of number", {f"{ALERT}.above": "9" * 1_000_000}, f"{ALERT}.above", ("32",)),
    Wrong("letters that look alike", {f"{METRIC}.name": "tоtalLatency"}, f"{METRIC}.name", ("match",)),
    Wrong("digits of another script", {f"{ALERT}.above": "٣"}, f"{ALERT}.above", ("match",)),
]
"""Each must be refused by the API server and found by `trimtab check`."""

UNKNOWN_FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("a typing error", {f"{MONITORING}.sampelRate": 4}, f"{MONITORING}.sampelRate"),
    ("a field of no version", {"spec.budget": {"currency": "USD"}}, "spec.budget"),
    ("a field in a list", {f"{KNOB}.step": 2}, f"{KNOB}.step"),
    ("a field in the target", {"spec.targetRef.namespace": "other"}, "spec.targetRef.namespace"),
    ("a deep tree", {"spec.x": {"a": {"b": {"c": [[[[{"d": 1}]]]]}}}}, "spec.x"),
]
"""Fields that are nowhere: name, changes, field named. `kubectl apply` refuses them (strict validation)."""

LATER: list[tuple[str, dict[str, Any], str, str]] = [
    ("an impossible cron", {f"{WINDOW}.cron": "0 25 * * *"}, f"{WINDOW}.cron", "five fields"),
    ("a day that never comes", {f"{WINDOW}.cron": "0 0 31 2 *"}, f"{WINDOW}.cron", "five fields"),
    ("days that never meet", {f"{WINDOW}.cron": "0 0 */30 2 MON#5"}, f"{WINDOW}.cron", "never comes true"),
    ("an unknown time zone", {f"{WINDOW}.timeZone": "Mars/Olympus"}, f"{WINDOW}.timeZone", "IANA"),
    ("a path for a time zone", {f"{WINDOW}.timeZone": "../../etc/passwd"}, f"{WINDOW}.timeZone", "IANA"),
    ("a folder of time zones", {f"{WINDOW}.timeZone": "Europe"}, f"{WINDOW}.timeZone", "IANA"),
    ("too little memory for all", {"spec.resources.maxMemory": "128Mi"}, "spec.resources.maxMemory", "raise"),
]
"""The API server can't see these: accepted there, found by `trimtab check` and told by a condition."""
