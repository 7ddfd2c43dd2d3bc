"""The good manifest, and changes to it."""

import copy
from pathlib import Path
from typing import Any

import yaml

GONE = object()
"""In a change: the field is taken out."""


def good() -> dict[str, Any]:
    """A manifest without a mistake."""
    text = (Path(__file__).parent / "performanceconfig.yaml").read_text("utf-8")
    manifest: dict[str, Any] = yaml.safe_load(text)
    return manifest


def change(manifest: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with each path set to its value, or taken out for GONE; objects on the way are made."""
    changed = copy.deepcopy(manifest)
    for path, value in changes.items():
        *steps, last = path.replace("[", ".").replace("]", "").split(".")
        place: Any = changed
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        key: Any = int(last) if isinstance(place, list) else last
        if value is GONE:
            del place[key]
        elif isinstance(place, list) and key == len(place):
            place.append(value)
        else:
            place[key] = value
    return changed
