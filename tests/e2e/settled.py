"""What a workload of `operating` and what is said of it look like once nothing is under way any more."""

from __future__ import annotations

from typing import Any

from tests.e2e.operating import SWAPPED, Shop, requests

MEMORY = {"cpu": "10m", "memory": "256Mi"}
CUT = {"cpu": "10m", "memory": "192Mi"}


def generation(shop: Shop, name: str) -> int:
    found: int = shop.get("deployment", name)["metadata"]["generation"]
    return found


def consistent(shop: Shop, name: str, wanted: dict[str, str]) -> bool:
    """Whether profile, pods and status all say these requests, and no move is under way."""
    applied = shop.status(name).get("applied", {}).get("containers", [{}])[0].get("requests")
    pods = shop.pods(name)
    return (
        shop.entry(name).get("requests") == wanted
        and applied == wanted
        and all(requests(pod) == wanted for pod in pods)
        and not any(map(marks, pods))
        and not shop.clones(name)
    )


def marks(pod: dict[str, Any]) -> list[str]:
    """What a swap leaves on a pod until the roll ends."""
    return [k for k in pod["metadata"].get("annotations", {}) if "deletion-cost" in k or k == SWAPPED]


def newest(shop: Shop, name: str) -> tuple[str, str]:
    """Reason and outcome of the newest decision."""
    made = shop.decisions(name)
    return (made[0]["reason"], made[0]["outcome"]) if made else ("", "")
