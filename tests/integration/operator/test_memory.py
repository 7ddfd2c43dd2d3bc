"""What a killed operator leaves behind for its successor, as its own process against a real API server."""

import base64
import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.operator.conftest import NAMESPACE, Cluster, Operator, config, deployment, until

pytestmark = pytest.mark.cluster
SETTINGS = {"checkpointSeconds": 10}


def results(operator: Operator) -> dict[str, float]:
    """Checkpoints read, by what became of them."""
    lines = [
        line for line in operator.get("/metrics").splitlines() if line.startswith("trimtab_checkpoints_read_total")
    ]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_a_successor_goes_on_from_the_checkpoint_and_rebuilds_a_damaged_one(
    operators: Callable[..., Operator], shop: Cluster
) -> None:
    shop.apply(deployment("kept"), config("kept"))
    first = operators("first", **SETTINGS)
    found: dict[str, Any] = until(lambda: shop.get("tuningcheckpoint", "kept"), 60, "a checkpoint is written")
    uid = shop.get("performanceconfig", "kept")["metadata"]["uid"]
    assert [owner["uid"] for owner in found["metadata"]["ownerReferences"]] == [uid]
    assert len(found["spec"]["learned"]) < 4096 + 2048
    assert found["spec"]["version"] == 1
    first.end(signal.SIGKILL)

    second = operators("second", **SETTINGS)
    assert until(lambda: results(second), 60, "the checkpoint is read") == {"Resumed": 1.0}
    second.end(signal.SIGKILL)

    damaged = {"spec": {"learned": base64.b64encode(b"TT\x01 damaged").decode()}}
    patch = ("patch", "tuningcheckpoint", "kept", "-n", NAMESPACE, "--type=merge", "-p", json.dumps(damaged))
    shop.bed.kubectl(*patch)
    third = operators("third", **SETTINGS)
    assert until(lambda: results(third), 60, "the damaged checkpoint is read") == {"Corrupt": 1.0}

    def told() -> list[str]:
        return [event["note"] for event in shop.events("kept") if event["reason"] == "CheckpointRebuilt"]

    (note,) = until(told, 90, "the event")
    assert "learned anew from Prometheus" in note

    def rebuilt() -> bool:
        return bool(shop.get("tuningcheckpoint", "kept")["spec"]["learned"] != damaged["spec"]["learned"])

    until(rebuilt, 60, "another checkpoint is written")
    third.end(signal.SIGKILL)
    fourth = operators("fourth", **SETTINGS)
    assert until(lambda: results(fourth), 60, "the new checkpoint is read") == {"Resumed": 1.0}
