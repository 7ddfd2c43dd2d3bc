"""The controllers, the admission and the kubelet of the fake cluster."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from tests.unit.act.fake_world import FakeWorld
from trimtab.api.quantity import Quantity
from trimtab.kube.strip_pods import DELETION_COST, TRIAL_LABEL
from trimtab.kube.strip_workloads import (
    REVISION,
)

Json = dict[str, Any]


class FakeControllers(FakeWorld):
    """`settle` lets them work until nothing changes."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.objects = {}
        self.now = now
        self.admission = True
        self.start_pods = True
        self.kubelet: Callable[[Json], str] = lambda pod: ""
        """State of a resize: "" applies it, or Deferred, Infeasible."""
        self.lowest_ready = 10**9
        self._ids = itertools.count(1)

    def put(self, plural: str, body: Json) -> Json:
        meta = body.setdefault("metadata", {})
        meta.setdefault("namespace", "shop")
        meta.setdefault("uid", f"uid-{next(self._ids)}")
        meta.setdefault("generation", 1)
        meta["resourceVersion"] = str(next(self._ids))
        meta.setdefault("creationTimestamp", stamp(self.now()))
        self.objects[plural, meta["namespace"], meta["name"]] = body
        return body

    def pods(self) -> list[Json]:
        return self.all("pods")

    def settle(self) -> None:
        """Controllers, admission and kubelet, until nothing changes."""
        for deployment in self.all("deployments"):
            newest = max(self.all("replicasets"), key=lambda r: r["metadata"]["annotations"][REVISION], default=None)
            if newest is not None:
                newest["spec"]["replicas"] = deployment["spec"]["replicas"]
        for _ in range(20):
            self._kubelet()
            self._budget_status()
            self._note_ready()
            if not self._replica_sets() and not self._stateful_sets():
                break
        self._kubelet()
        self._budget_status()
        self._deployments()
        self._note_ready()

    def _note_ready(self) -> None:
        ready = sum(_ready(p) for p in self.pods() if TRIAL_LABEL not in p["metadata"].get("labels", {}))
        self.lowest_ready = min(self.lowest_ready, ready)

    def _replica_sets(self) -> bool:
        changed = False
        for rs in self.all("replicasets"):
            uid, labels = rs["metadata"]["uid"], rs["spec"]["selector"]["matchLabels"]
            for pod in self.pods():
                own = [o for o in pod["metadata"].get("ownerReferences", []) if o.get("controller")]
                if not own and labels.items() <= pod["metadata"].get("labels", {}).items():
                    refs = [o for o in pod["metadata"].get("ownerReferences", []) if o["uid"] != uid]
                    pod["metadata"]["ownerReferences"] = [*refs, _owner("ReplicaSet", rs)]
                    changed = True
            mine = self._owned(rs)
            for _ in range(rs["spec"]["replicas"] - len(mine)):
                self.spawn(rs, "ReplicaSet", f"{rs['metadata']['name']}-{next(self._ids)}")
                changed = True
            surplus = len(mine) - rs["spec"]["replicas"]
            for pod in sorted(mine, key=_victim)[: max(0, surplus)]:
                del self.objects["pods", "shop", pod["metadata"]["name"]]
                changed = True
        return changed

    def _stateful_sets(self) -> bool:
        changed = False
        for sts in self.all("statefulsets"):
            names = {p["metadata"]["name"] for p in self._owned(sts)}
            for ordinal in range(sts["spec"]["replicas"]):
                name = f"{sts['metadata']['name']}-{ordinal}"
                if name not in names:
                    self.spawn(sts, "StatefulSet", name)
                    changed = True
            pods = self._owned(sts)
            sts["status"] = _status(sts, pods)
        return changed

    def _deployments(self) -> None:
        for deployment in self.all("deployments"):
            pods = [p for rs in self.all("replicasets") for p in self._owned(rs)]
            deployment["status"] = _status(deployment, pods)

    def spawn(self, owner: Json, kind: str, name: str) -> Json:
        """A pod of a controller, shaped by the admission policy."""
        template = copy.deepcopy(owner["spec"]["template"])
        pod = {
            "metadata": {
                "name": name,
                "labels": dict(template["metadata"].get("labels", {})),
                "annotations": dict(template["metadata"].get("annotations", {})),
                "ownerReferences": [_owner(kind, owner)],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        profile = self.profile("shop")
        if self.admission and profile is not None:
            key = (
                f"Deployment/{owner['metadata']['name'].rpartition('-')[0]}"
                if kind == "ReplicaSet"
                else f"{kind}/{owner['metadata']['name']}"
            )
            entry = profile.spec.workloads.get(key)
            for part in entry.containers if entry else ():
                for container in pod["spec"]["containers"]:
                    if container["name"] == part.name and _learned(container, part):
                        for side, values in (("requests", part.requests), ("limits", part.limits)):
                            stated = {k: str(v) for k, v in values.items()}
                            container.setdefault("resources", {}).setdefault(side, {}).update(stated)
                        _set_env(container, part.env)
        return self.put("pods", pod)

    def _kubelet(self) -> None:
        for pod in self.pods():
            conditions = []
            wants = {c["name"]: c.get("resources", {}) for c in pod["spec"]["containers"]}
            before = {s["name"]: s["resources"] for s in pod["status"].get("containerStatuses", [])}
            state = self.kubelet(pod) if before and before != wants else ""
            if state:
                since = next(
                    (c["lastTransitionTime"] for c in pod["status"].get("conditions", []) if c.get("reason") == state),
                    stamp(self.now()),
                )
                conditions.append(
                    {
                        "type": "PodResizePending",
                        "status": "True",
                        "reason": state,
                        "message": "full",
                        "lastTransitionTime": since,
                    }
                )
            else:
                before = copy.deepcopy(wants)
            ready = self.start_pods or _ready(pod)
            pod["status"] = {
                "phase": "Running" if ready else "Pending",
                "qosClass": "Burstable" if any(wants.values()) else "BestEffort",
                "conditions": [{"type": "Ready", "status": str(ready)}, *conditions],
                "containerStatuses": [{"name": n, "resources": r} for n, r in before.items()],
            }

    def _budget_status(self) -> None:
        for budget in self.all("poddisruptionbudgets"):
            labels = budget["spec"]["selector"]["matchLabels"].items()
            healthy = sum(_ready(p) for p in self.pods() if labels <= p["metadata"]["labels"].items())
            allowed = max(0, healthy - budget["spec"]["minAvailable"])
            budget["status"] = {"disruptionsAllowed": allowed, "observedGeneration": 1}

    def _budgets(self, pod: Json) -> list[Json]:
        found = self.all("poddisruptionbudgets")
        return [b for b in found if b["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()]

    def _budget_allows(self, budget: Json) -> bool:
        self._budget_status()
        return bool(budget["status"]["disruptionsAllowed"] >= 1)

    def _owned(self, owner: Json) -> list[Json]:
        uid = owner["metadata"]["uid"]
        return [
            p
            for p in self.pods()
            if any(o["uid"] == uid and o.get("controller") for o in p["metadata"].get("ownerReferences", []))
        ]


def _owner(kind: str, raw: Json) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": raw["metadata"]["name"],
        "uid": raw["metadata"]["uid"],
        "controller": True,
    }


def _ready(pod: Json) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def _victim(pod: Json) -> tuple[bool, int, str]:
    # As the ReplicaSet controller ranks: not ready first, then by deletion cost, then the newest.
    return _ready(pod), int(pod["metadata"].get("annotations", {}).get(DELETION_COST, "0")), pod["metadata"]["name"]


def _status(raw: Json, pods: list[Json]) -> Json:
    ready = sum(_ready(p) for p in pods)
    return {
        "observedGeneration": raw["metadata"]["generation"],
        "replicas": len(pods),
        "readyReplicas": ready,
        "updatedReplicas": len(pods),
    }


def _learned(container: Json, part: Any) -> bool:
    resources = container.get("resources", {})
    env = {v["name"]: v.get("value") for v in container.get("env", [])}
    sides = (("requests", part.template_requests), ("limits", part.template_limits))
    return all(
        {k: Quantity(v) for k, v in resources.get(side, {}).items()} == dict(stated) for side, stated in sides
    ) and all(env.get(k) == v for k, v in part.template_env.items())


def _set_env(container: Json, env: Mapping[str, int]) -> None:
    for name, value in env.items():
        known = [v for v in container.setdefault("env", []) if v["name"] == name]
        if known:
            known[0]["value"] = str(value)
        else:
            container["env"].append({"name": name, "value": str(value)})


def stamp(when: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
