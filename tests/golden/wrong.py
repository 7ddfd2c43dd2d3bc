"""What a row of a table of wrong manifests holds, and the paths it changes."""

from dataclasses import dataclass
from typing import Any

MONITORING, OPTIMIZATION = "spec.monitoring", "spec.optimization"
CONSTRAINTS, BEHAVIOR = f"{OPTIMIZATION}.constraints", f"{OPTIMIZATION}.behavior"
METRIC, ALERT, BOX, KNOB = (
    f"{MONITORING}.metrics[0]",
    f"{MONITORING}.alerts[0]",
    f"{CONSTRAINTS}.containers[0]",
    f"{CONSTRAINTS}.knobs[0]",
)
MODEL = "spec.cost.api.models[0]"
GOAL = f"{MONITORING}.objectives[0]"
WINDOW = f"{CONSTRAINTS}.disruption.windows[0]"


@dataclass(frozen=True)
class Wrong:
    """One wrong manifest."""

    name: str
    changes: dict[str, Any]
    """Path to new value."""
    field: str
    """Field that the message names."""
    words: tuple[str, ...]
    """What the API server's message says beside it: what is wrong, or the remedy."""
    offline_field: str = ""
    """Field that `trimtab check` names, where it is another one."""
