"""A small cluster in memory: an API with the verbs that `act` uses, and the controllers that answer to it.

Writes are counted; after a given one the process "dies" (`Crash`). Records come from the real strip functions.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.unit.act.fake_controllers import FakeControllers
from trimtab.kube.errors import AlreadyExists, Conflict, Invalid, KubeError, NotFound, TooManyRequests

Json = dict[str, Any]
PATH = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/[^/]+/namespaces/(?P<ns>[^/]+)/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?$"
)


class Crash(BaseException):
    """The process ended right after a write."""


def cause(status: int, kind: type[KubeError], reason: str, message: str = "") -> KubeError:
    return kind(status, reason, message)


class FakeCluster(FakeControllers):
    """Objects by (plural, namespace, name); `settle` lets the controllers and the kubelet work."""

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        super().__init__(now)
        self.writes: list[tuple[str, str]] = []
        self.crash_after: int | None = None
        self.fail: Callable[[str, str, Any], KubeError | None] = lambda verb, path, body: None

    # ---- the verbs of KubeClient

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> Json:
        if path == "/apis/apps/v1":
            return {
                "resources": [_resource(k) for k in ("Deployment", "StatefulSet", "DaemonSet")]
                + [_scales(k) for k in ("Deployment", "StatefulSet")]
            }
        plural, namespace, name, sub = self._parse(path)
        found = copy.deepcopy(self._find(plural, namespace, name))
        if sub == "scale":
            spec = {"replicas": found["spec"].get("replicas", 1)}
            return {"metadata": found["metadata"], "spec": spec, "status": {"replicas": 1}}
        return found

    async def list(self, path: str, label_selector: str | None = None) -> Json:
        plural, namespace, _, _ = self._parse(path)
        return {"metadata": {}, "items": copy.deepcopy(self.all(plural, namespace))}

    async def create(
        self, path: str, body: Mapping[str, Any], *, dry_run: bool = False, timeout_seconds: float | None = None
    ) -> Json:
        self._refuse("POST", path, body)
        plural, namespace, name, sub = self._parse(path)
        if sub == "eviction":
            pod = self._find("pods", namespace, name)
            if body["deleteOptions"]["preconditions"]["uid"] != pod["metadata"]["uid"]:
                raise cause(409, Conflict, "Conflict")
            if any(not self._budget_allows(b) for b in self._budgets(pod)):
                raise TooManyRequests(429, "TooManyRequests", "the disruption budget needs more pods")
            if not dry_run:
                del self.objects["pods", namespace, name]
            return self._wrote("EVICT", path, {})
        made = copy.deepcopy(dict(body))
        if (plural, namespace, made["metadata"]["name"]) in self.objects:
            raise cause(409, AlreadyExists, "AlreadyExists", "the name is taken")
        if not dry_run:
            if plural == "pods":
                made["status"] = {"phase": "Pending"}
            self.put(plural, made)
        return self._wrote("POST", path, made)

    async def replace(
        self, path: str, body: Mapping[str, Any], *, dry_run: bool = False, timeout_seconds: float | None = None
    ) -> Json:
        self._refuse("PUT", path, body)
        plural, namespace, name, _ = self._parse(path)
        self._guarded(self._find(plural, namespace, name), body)
        if not dry_run:
            self.put(plural, copy.deepcopy(dict(body)))
        return self._wrote("PUT", path, dict(body))

    async def merge_patch(
        self, path: str, body: Mapping[str, Any], *, dry_run: bool = False, timeout_seconds: float | None = None
    ) -> Json:
        self._refuse("PATCH", path, body)
        plural, namespace, name, _ = self._parse(path)
        found = self._find(plural, namespace, name)
        self._guarded(found, body)
        if not dry_run:
            self._bump(_merge(found, body))
        return self._wrote("PATCH", path, found)

    async def strategic_patch(
        self, path: str, body: Mapping[str, Any], *, dry_run: bool = False, timeout_seconds: float | None = None
    ) -> Json:
        self._refuse("PATCH", path, body)
        plural, namespace, name, sub = self._parse(path)
        assert (plural, sub) == ("pods", "resize")
        pod = self._find(plural, namespace, name)
        for side in ("containers", "initContainers"):
            for change in body["spec"].get(side, ()):
                container = next(c for c in pod["spec"][side] if c["name"] == change["name"])
                if not dry_run:
                    _merge(container.setdefault("resources", {}), change["resources"])
        self._bump(pod)
        return self._wrote("RESIZE", path, pod)

    async def json_patch(
        self,
        path: str,
        operations: Sequence[Mapping[str, Any]],
        *,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        self._refuse("PATCH", path, operations)
        plural, namespace, name, _ = self._parse(path)
        found = self._find(plural, namespace, name)
        draft = copy.deepcopy(found)
        for op in operations:
            *parents, last = [t.replace("~1", "/").replace("~0", "~") for t in op["path"].split("/")[1:]]
            place: Any = draft
            for key in parents:
                place = place.setdefault(key, {})
            if op["op"] == "test" and place.get(last) != op["value"]:
                raise cause(422, Invalid, "Invalid", f"test of {op['path']} failed")
            if op["op"] == "remove":
                if last not in place:
                    raise cause(422, Invalid, "Invalid", f"{op['path']} is not there")
                del place[last]
            if op["op"] == "add":
                place[last] = op["value"]
        if not dry_run:
            found.clear()
            found.update(draft)
            self._bump(found)
        return self._wrote("PATCH", path, found)

    async def delete(
        self,
        path: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        dry_run: bool = False,
        timeout_seconds: float | None = None,
    ) -> Json:
        self._refuse("DELETE", path, None)
        plural, namespace, name, _ = self._parse(path)
        assert plural != "pods", "every delete of ours is an Eviction"
        self._guarded(
            self._find(plural, namespace, name), {"metadata": {"uid": uid, "resourceVersion": resource_version}}
        )
        if not dry_run:
            del self.objects[plural, namespace, name]
        return self._wrote("DELETE", path, {})

    # ---- the API's inside

    def _parse(self, path: str) -> tuple[str, str, str, str]:
        match = PATH.match(path)
        assert match, path
        return match["plural"], match["ns"], match["name"] or "", match["sub"] or ""

    def _find(self, plural: str, namespace: str, name: str) -> Json:
        if (plural, namespace, name) not in self.objects:
            raise cause(404, NotFound, "NotFound", f"{plural} {name} not found")
        return self.objects[plural, namespace, name]

    def _guarded(self, found: Json, body: Mapping[str, Any]) -> None:
        meta = body.get("metadata", {})
        for key in ("uid", "resourceVersion"):
            if meta.get(key) not in (None, found["metadata"][key]):
                raise cause(409, Conflict, "Conflict", "the object has been modified")

    def _bump(self, found: Json) -> None:
        found["metadata"]["resourceVersion"] = str(next(self._ids))

    def _refuse(self, verb: str, path: str, body: Any) -> None:
        error = self.fail(verb, path, body)
        if error is not None:
            raise error

    def _wrote(self, verb: str, path: str, answer: Json) -> Json:
        self.writes.append((verb, path))
        if self.crash_after is not None and len(self.writes) >= self.crash_after:
            self.crash_after = None
            raise Crash
        return copy.deepcopy(answer)


def _merge(into: Json, change: Mapping[str, Any]) -> Json:
    for key, value in change.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, Mapping):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = copy.deepcopy(value)
    return into


def _resource(kind: str) -> Json:
    return {"name": f"{kind.lower()}s", "kind": kind, "namespaced": True}


def _scales(kind: str) -> Json:
    return {
        "name": f"{kind.lower()}s/scale",
        "kind": "Scale",
        "group": "autoscaling",
        "version": "v1",
        "namespaced": True,
    }
