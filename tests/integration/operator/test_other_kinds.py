"""A kind of somebody else's with a scale subresource, on a real API server: its replicas are tuned, through /scale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.bed import Bed
from tests.integration.operator.conftest import NAMESPACE, Cluster, Operator, config, until

GROUP, PLURAL, KIND = "queues.example.com", "workers", "Worker"


def definition(*, scalable: bool) -> dict[str, Any]:
    """A CRD that says where its replicas stand, or does not."""
    kind = KIND if scalable else f"Un{KIND}"
    plural = PLURAL if scalable else f"un{PLURAL}"
    paths = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    whatever = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version: dict[str, Any] = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": whatever, "status": whatever}}},
        "subresources": {"status": {}} | ({"scale": paths} if scalable else {}),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


@pytest.fixture(scope="module")
def kinds(crds: Bed) -> Iterator[None]:
    items = [definition(scalable=True), definition(scalable=False)]
    crds.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    names = [f"crd/{item['metadata']['name']}" for item in items]
    crds.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
    yield
    crds.kubectl("delete", *names, "--wait=true", timeout=180)


def of(kind: str, name: str) -> dict[str, Any]:
    spec = {"replicas": 1, "queue": "mail"}
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def tuned(kind: str, name: str, **bounds: Any) -> dict[str, Any]:
    target = {"apiVersion": f"{GROUP}/v1", "kind": kind, "name": name}
    constraints = {"replicas": {"min": 2, "max": 3}} | bounds
    return config(name, targetRef=target, optimization={"autoTune": True, "constraints": constraints})


def test_rule_06_a_kind_with_a_scale_subresource_is_scaled_through_it_and_nothing_else_is_touched(
    kinds: None, running: Operator, shop: Cluster
) -> None:
    containers = [{"name": "app", "cpu": {"min": "50m", "max": "1"}}]
    plural = f"{PLURAL}.{GROUP}"
    shop.apply(of(KIND, "mailer"), tuned(KIND, "mailer", containers=containers))
    until(lambda: shop.get(plural, "mailer")["spec"]["replicas"] == 2, 60, "it is scaled")
    text = shop.bed.kubectl("get", plural, "mailer", "-n", NAMESPACE, "-o", "json", "--show-managed-fields")
    found = json.loads(text)
    ours = [entry for entry in found["metadata"]["managedFields"] if "kubectl" not in entry["manager"]]
    assert [entry["subresource"] for entry in ours] == ["scale"]
    assert found["spec"] == {"replicas": 2, "queue": "mail"}
    assert (
        "only the replicas can be tuned" in shop.condition("mailer", "Limited", "True", "LeverNotSupported")["message"]
    )
    shop.bed.kubectl("delete", plural, "mailer", "-n", NAMESPACE)


def test_rule_06_a_kind_without_a_scale_subresource_is_refused_by_name(
    kinds: None, running: Operator, shop: Cluster
) -> None:
    shop.apply(of(f"Un{KIND}", "stiff"), tuned(f"Un{KIND}", "stiff"))
    message = shop.condition("stiff", "TargetFound", "False", "KindNotSupported")["message"]
    assert f"Un{KIND}" in message
    assert shop.get(f"un{PLURAL}.{GROUP}", "stiff")["spec"]["replicas"] == 1
    shop.bed.kubectl("delete", f"un{PLURAL}.{GROUP}", "stiff", "-n", NAMESPACE)
