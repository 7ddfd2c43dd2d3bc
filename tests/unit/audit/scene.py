"""A namespace as the API server has it, for audits."""

from typing import Any

from trimtab.api.checkpoint import TuningJournalSpec
from trimtab.api.status import DecisionStatus
from trimtab.record.journals import FORM, Entry, encode
from trimtab.record.owned import Owner, manifest

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""
Json = dict[str, Any]


def decision(identity: str, time: str = "2027-01-14T08:00:00Z", **more: Any) -> Json:
    return {
        "id": identity,
        "time": time,
        "lever": "CPU/app",
        "from": "1",
        "to": "500m",
        "reason": "CutUnused",
        "message": "app needs 500m of CPU with the margin; 1 → 500m",
        "predicted": "app stays below 500m",
        "outcome": "Kept",
        "outcomeMessage": "Nothing got worse.",
        **more,
    }


def condition(kind: str, status: str, reason: str, message: str) -> Json:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2027-01-14T08:00:00Z",
    }


def resource(name: str = "web", namespace: str = "shop", *, spec: Json | None = None, **status: Any) -> Json:
    shown = {
        "conditions": [condition("Tuning", "True", "Active", "Watching usage, load and targets.")],
        "metrics": {"sampledAt": "2027-01-15T07:59:00Z"},
        "learning": {"historySeconds": 90000, "requiredSeconds": 86400},
        "applied": {"replicas": 2, "containers": [{"name": "app", "requests": {"cpu": "1", "memory": "1Gi"}}]},
        "recommendation": {"containers": [{"name": "app", "requests": {"cpu": "1", "memory": "1Gi"}}]},
    }
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "PerformanceConfig",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}"},
        "spec": {"targetRef": {"name": name}, **(spec or {})},
        "status": shown | status,
    }


def journal(config: Json, decisions: list[Json]) -> Json:
    metadata = config["metadata"]
    entries = [Entry(DecisionStatus.model_validate(one)) for one in decisions]
    spec = TuningJournalSpec(version=FORM, entries=encode(entries)).model_dump(mode="json", by_alias=True)
    return manifest("TuningJournal", Owner(f"{metadata['namespace']}/{metadata['name']}", metadata["uid"]), spec)
