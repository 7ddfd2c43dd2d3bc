"""Every PerformanceConfig that exists, fed by the watch and checked against the API server now and then.

A watch may miss a deletion (between two lists, or while the process was busy), so `confirm` compares with a list.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trimtab.api.group import CONFIG_PLURAL, GROUP, VERSION
from trimtab.api.resource import Invalid, PerformanceConfig, parse_config
from trimtab.api.status import PerformanceConfigStatus
from trimtab.kube.client import KubeClient
from trimtab.kube.paths import resource_path
from trimtab.kube.raw import moment, text
from trimtab.kube.strip_pods import paused
from trimtab.observe.config import ConfigRecord

_COLLECTION = resource_path(GROUP, VERSION, CONFIG_PLURAL)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InvalidRecord:
    """A resource that can't be worked with, and what is said about it."""

    key: str
    uid: str
    generation: int
    invalid: Invalid


@dataclass(slots=True)
class ConfigStore:
    """Resources by key `namespace/name`; `statuses` is what was found at first sight, to go on from after a restart."""

    configs: dict[str, ConfigRecord] = field(default_factory=dict)
    invalid: dict[str, InvalidRecord] = field(default_factory=dict)
    statuses: dict[str, PerformanceConfigStatus] = field(default_factory=dict)
    _namespaces: tuple[str, ...] = ()
    _versions: dict[str, int] = field(default_factory=dict)
    _buried: set[str] = field(default_factory=set)
    """uids that the watch saw deleted while a list was being read: the list may still hold them."""

    @classmethod
    def within(cls, namespaces: list[str]) -> "ConfigStore":
        """A store that serves these namespaces; empty: all."""
        return cls(_namespaces=tuple(namespaces))

    def see(self, raw: Mapping[str, Any]) -> None:
        """Take in an object as the API server sent it. Never raises."""
        found = parse_config(raw)
        meta = found.metadata
        key = f"{meta.namespace}/{meta.name}"
        if not meta.name or (self._namespaces and meta.namespace not in self._namespaces):
            return
        version = int(meta.resource_version) if meta.resource_version.isdecimal() else 0
        if self._uid(key) != meta.uid:
            self.statuses[key] = found.status
        elif version < self._versions.get(key, 0):
            return  # a list is read over seconds; what the watch told meanwhile is newer
        self._versions[key] = version
        if isinstance(found, PerformanceConfig):
            self.invalid.pop(key, None)
            self.configs[key] = _record(found, raw)
        else:
            self.configs.pop(key, None)
            self.invalid[key] = InvalidRecord(key, meta.uid, meta.generation, found)

    def gone(self, namespace: str, name: str, uid: str) -> None:
        """An object was deleted; a namesake with another uid stays."""
        self._buried.add(uid)
        key = f"{namespace}/{name}"
        if self._uid(key) == uid:
            self._forget(key)

    async def confirm(self, client: KubeClient) -> None:
        """Read every resource from the API server: take in what is new, drop what is gone.

        Raises:
            KubeError: the list could not be read; nothing was changed.
        """
        collections = [resource_path(GROUP, VERSION, CONFIG_PLURAL, namespace) for namespace in self._namespaces] or [
            _COLLECTION
        ]
        # The watch goes on while the list is read: what it adds is not in the list, what it deletes may be.
        before = self.configs.keys() | self.invalid.keys()
        self._buried.clear()
        found: list[Mapping[str, Any]] = []
        for path in collections:
            found.extend((await client.list(path)).get("items", []))
        alive = set()
        for raw in found:
            if text(raw, "metadata", "uid") in self._buried:
                continue
            alive.add(f"{text(raw, 'metadata', 'namespace')}/{text(raw, 'metadata', 'name')}")
            self.see(raw)
        self._buried.clear()
        for key in before - alive:
            _log.info("resource is gone", extra={"resource": key})
            self._forget(key)

    def _uid(self, key: str) -> str | None:
        known = self.configs.get(key) or self.invalid.get(key)
        return known.uid if known else None

    def _forget(self, key: str) -> None:
        for table in (self.configs, self.invalid, self.statuses, self._versions):
            table.pop(key, None)


def _record(found: PerformanceConfig, raw: Mapping[str, Any]) -> ConfigRecord:
    meta = found.metadata
    return ConfigRecord(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        generation=meta.generation,
        created=moment(raw, "metadata", "creationTimestamp"),
        spec=found.spec,
        paused=paused(raw),
    )
