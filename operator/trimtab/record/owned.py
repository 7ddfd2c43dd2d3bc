"""Objects that belong to one PerformanceConfig: they have its name, and its deletion removes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.api.group import API_VERSION, CONFIG_KIND
from trimtab.kube.raw import items, text


@dataclass(frozen=True, slots=True)
class Owner:
    """The PerformanceConfig."""

    key: str
    uid: str

    @property
    def namespace(self) -> str:
        """Namespace of the resource."""
        return self.key.partition("/")[0]

    @property
    def name(self) -> str:
        """Name of the resource."""
        return self.key.partition("/")[2]


def manifest(kind: str, owner: Owner, spec: Mapping[str, Any], resource_version: str = "") -> dict[str, Any]:
    """An object of this kind that `owner` owns. With a `resource_version` it is written only over that one."""
    reference = {"apiVersion": API_VERSION, "kind": CONFIG_KIND, "name": owner.name, "uid": owner.uid}
    metadata: dict[str, Any] = {"name": owner.name, "namespace": owner.namespace, "ownerReferences": [reference]}
    if resource_version:
        metadata["resourceVersion"] = resource_version
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def key_of(raw: Mapping[str, Any]) -> str:
    """namespace/name of an object."""
    return f"{text(raw, 'metadata', 'namespace')}/{text(raw, 'metadata', 'name')}"


def belongs(raw: Mapping[str, Any], uid: str) -> bool:
    """Whether the PerformanceConfig with this uid owns it; one left by a deleted namesake is not its own."""
    return any(text(reference, "uid") == uid for reference in items(raw, "metadata", "ownerReferences"))
