"""When pods do not come up, the demo says why before it removes them."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo import cli
from demo.tools import DemoError, Tools, unready


def pod(name: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": status}


@dataclass(frozen=True)
class Cluster(Tools):
    """Answers kubectl with these pods, and one line as every container's log."""

    pods: tuple[dict[str, Any], ...] = ()

    def run(
        self, *command: str | Path, text: str | None = None, timeout: float = 120, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        if words[:2] == ["kubectl", "get"]:
            return subprocess.CompletedProcess(words, 0, json.dumps({"items": self.pods}), "")
        if words[:2] == ["kubectl", "logs"]:
            return subprocess.CompletedProcess(words, 0, f"last words of {words[2]} {words[-1]}\n", "")
        raise DemoError(f"`{words[0]}` failed: context deadline exceeded")


CRASHING = pod(
    "trimtab-a",
    containerStatuses=[
        {"name": "trimtab", "ready": False, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    ],
)
UNSCHEDULED = pod("trimtab-b", phase="Pending", conditions=[{"status": "False", "message": "0/1 nodes are available"}])
FINE = pod("trimtab-c", containerStatuses=[{"name": "trimtab", "ready": True, "state": {"running": {}}}])


def test_a_container_that_crashes_is_named_with_its_last_words() -> None:
    told = unready(Cluster(pods=(CRASHING, FINE)), "trimtab-system")
    assert told.splitlines() == [
        "Pod trimtab-a, container trimtab: CrashLoopBackOff",
        "last words of trimtab-a --previous",
    ]


def test_a_pod_without_a_node_is_told_with_the_schedulers_words() -> None:
    assert unready(Cluster(pods=(UNSCHEDULED,)), "trimtab-system") == "Pod trimtab-b: Pending 0/1 nodes are available"


def test_what_waits_for_pods_fails_with_the_reason_of_the_pods() -> None:
    with pytest.raises(DemoError, match=r"deadline exceeded\nPod trimtab-a, container trimtab: CrashLoopBackOff"):
        cli._or_why(Cluster(pods=(CRASHING,)), "trimtab-system", "helm", "upgrade")
