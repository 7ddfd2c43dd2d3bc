"""The chart's admission policy on a real API server, and pods that meet it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from testbed.bed import Bed
from testbed.build import build
from testbed.run import run
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import NotFound
from trimtab.kube.paths import resource_path

ROOT = Path(__file__).parents[3]
RELEASE_NAMESPACE = "trimtab-system"
ALLOWED = "ALLOWED_KNOB"
PROFILES = ("trimtab.dev", "v1alpha1", "tuningprofiles")
HASH = "abc12"
UID = "11111111-2222-3333-4444-555555555555"
_serial = itertools.count(1)


def install(bed: Bed) -> None:
    """The CRD and the policy, as the chart renders it."""
    bed.kubectl("apply", "-f", str(ROOT / "crds" / "trimtab.dev_tuningprofiles.yaml"))
    command = [str(build(["helm"])[0]), "template", "trimtab", str(ROOT / "charts" / "trimtab")]
    command += ["--namespace", RELEASE_NAMESPACE, "--set", f"knobs.envAllowList={{{ALLOWED}}}"]
    rendered = run([*command, "--show-only", "templates/admission-policy.yaml"], timeout=60).stdout
    bed.kubectl("apply", "-f", "-", input=rendered)


async def until(check: Callable[[], Awaitable[bool]], what: str, seconds: float = 30.0) -> None:
    """Ask until it is so; the request itself is the pause."""
    deadline = time.monotonic() + seconds
    while not await check():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"


async def make_namespace(client: KubeClient, prefix: str) -> str:
    """A namespace in which pods can be created."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": f"{prefix}-"}}
    made = await client.create(resource_path("", "v1", "namespaces"), body)
    name: str = made["metadata"]["name"]

    async def account() -> bool:
        try:
            await client.get(resource_path("", "v1", "serviceaccounts", name, "default"))
        except NotFound:
            return False
        return True

    await until(account, "the namespace's service account")
    return name


def container(name: str = "app", env: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    """A container with the template values that `part` was learned from."""
    stated = {
        "name": name,
        "image": "x",
        "resources": {"requests": {"cpu": "0.1", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "env": [{"name": "BATCH", "value": "8"}] if env is None else env,
    }
    return stated | changes


def part(name: str = "app", **changes: Any) -> dict[str, Any]:
    """An entry's container: other requests and another batch, learned from `container`."""
    stated = {
        "name": name,
        "requests": {"cpu": "250m", "memory": "300Mi"},
        "limits": {"memory": "600Mi"},
        "env": {"BATCH": 16},
        "templateRequests": {"cpu": "100m", "memory": "134217728"},
        "templateLimits": {"memory": "0.5Gi"},
        "templateEnv": {"BATCH": "8"},
    }
    return stated | changes


def pod(
    *containers: dict[str, Any], kind: str = "ReplicaSet", owner: str = f"web-{HASH}", **changes: Any
) -> dict[str, Any]:
    """A pod of the Deployment `web`, as its ReplicaSet creates it."""
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": UID, "controller": True}
    reference |= changes.pop("reference", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "web-",
            "labels": {"app": "web", "pod-template-hash": HASH} | changes.pop("labels", {}),
            "ownerReferences": [reference],
        },
        "spec": {"containers": list(containers) or [container()]} | changes,
    }


class Admission:
    """One namespace whose profile tests set, and the pods that the API server would make of theirs."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    async def set_profile(self, workloads: Mapping[str, Any]) -> None:
        """Replace the profile, and return when the API server's policies see it."""
        cpu = f"{next(_serial)}m"
        probe = part(
            "probe", requests={"cpu": cpu}, limits={}, env={}, templateRequests={}, templateLimits={}, templateEnv={}
        )
        body = {
            "apiVersion": "trimtab.dev/v1alpha1",
            "kind": "TuningProfile",
            "metadata": {"name": "trimtab"},
            "spec": {"workloads": dict(workloads) | {"Deployment/probe": {"config": "c", "containers": [probe]}}},
        }
        await self.client.apply(resource_path(*PROFILES, self.namespace, "trimtab"), body, force=True)

        async def seen() -> bool:
            made = await self.create(pod({"name": "probe", "image": "x"}, owner=f"probe-{HASH}"))
            return bool(made["spec"]["containers"][0]["resources"].get("requests") == {"cpu": cpu})

        await until(seen, "the admission policy sees the new profile")

    async def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The pod as the API server would store it (server dry run). Raises KubeError when it would not start."""
        return await self.client.create(resource_path("", "v1", "pods", self.namespace), body, dry_run=True)


def tuned(made: Mapping[str, Any], index: int = 0, side: str = "containers") -> bool:
    """Whether a container has the values of `part`."""
    found = made["spec"][side][index]
    values = {"requests": {"cpu": "250m", "memory": "300Mi"}, "limits": {"memory": "600Mi"}}
    return bool(found["resources"] == values and found["env"] == [{"name": "BATCH", "value": "16"}])


def untouched(made: Mapping[str, Any], index: int = 0) -> bool:
    """Whether a container still has the values of `container`, whatever its variables."""
    found = made["spec"]["containers"][index]["resources"]
    return bool(found == {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}})
