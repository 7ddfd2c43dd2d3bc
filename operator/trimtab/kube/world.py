"""The cluster as Trimtab sees it: every mirror in one place, asked synchronously from memory."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trimtab.api.tuningprofile import PROFILE_NAME
from trimtab.kube.capabilities import Capabilities, probe
from trimtab.kube.client import KubeClient
from trimtab.kube.discovery import Discovery
from trimtab.kube.errors import KubeError
from trimtab.kube.mirrored import Mirrored
from trimtab.kube.mirrors import Mirror
from trimtab.kube.polled import PolledNamespaces, PolledTargets, TargetKey
from trimtab.kube.records import (
    APPS_KINDS,
    BudgetRecord,
    LimitRangeRecord,
    NamespaceRecord,
    NodeRecord,
    PodRecord,
    ProfileRecord,
    QuotaRecord,
    ReplicaSetRecord,
    RivalRecord,
    WorkloadRecord,
)
from trimtab.kube.selectors import matches

RECHECK_SECONDS = 120.0
"""How often the cluster is asked for what it serves: a CRD may be installed at any time."""
POLL_SECONDS = 15.0

_log = logging.getLogger(__name__)


class World:
    """Mirrors of everything that observe and act look at. All methods but start and stop answer from memory.

    `namespaces` empty: the whole cluster. With a list, only these are watched; nodes and the namespaces
    themselves may then be out of reach, which `notes` says.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        namespaces: Sequence[str] = (),
        discovery: Discovery | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.client = client
        self.discovery = discovery or Discovery(client)
        self.namespaces = tuple(namespaces)
        self.capabilities = Capabilities()
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None
        self._asked_at = -math.inf
        self._clock = clock
        self._others = PolledTargets(client, self.discovery)
        self._named = PolledNamespaces(client, self.namespaces)
        self._mirrored = Mirrored(client, self.namespaces, clock)

    async def start(self) -> None:
        """Begin mirroring in background tasks; see `wait_synced`."""
        for mirror in self._mirrored.always:
            mirror.start()
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="world")

    async def stop(self) -> None:
        """End every background task. The records stay as they were."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for mirror in (*self._mirrored.always, *self._mirrored.optional):
            await mirror.stop()

    async def refresh(self) -> None:
        """One round of what is asked instead of watched. `start` does it by itself every 15 s."""
        if self._clock() - self._asked_at >= RECHECK_SECONDS or self._unknown():
            before = self.capabilities
            self.capabilities = await probe(self.client, self.discovery, before=before)
            self._asked_at = self._clock()
            await self._optional(self._mirrored.scaled, self.capabilities.scaled_objects)
            await self._optional(self._mirrored.vpas, self.capabilities.vertical_autoscalers)
            await self._optional(self._mirrored.profiles, self.capabilities.tuning_profiles)
        await self._named.refresh()
        await self._others.refresh()

    @property
    def synced(self) -> bool:
        """Whether every collection was read once, or is known not to be had. Decide nothing before."""
        return not self._unknown() and all(mirror.settled for mirror in self._mirrors())

    async def wait_synced(self, *, poll_seconds: float = 0.05) -> None:
        """Return when `synced`. Bound it with asyncio.timeout."""
        while not self.synced:
            await self._sleep(poll_seconds)

    @property
    def staleness(self) -> float:
        """Seconds since the oldest working mirror was known to be current; infinite before the pods are."""
        if not self._mirrored.pods.synced:
            return math.inf
        return max(mirror.staleness for mirror in self._mirrors() if mirror.synced)

    def notes(self) -> list[str]:
        """What cannot be seen now and why, a sentence each."""
        found = [mirror.problem for mirror in self._mirrors()]
        return [problem for problem in [*found, self._named.problem] if problem]

    def follow(self, keys: Iterable[TargetKey]) -> None:
        """Say which workloads of kinds that are not watched shall be read, all of them at once."""
        self._others.follow(key for key in keys if not self.watches(key.api_version, key.kind))

    @staticmethod
    def watches(api_version: str, kind: str) -> bool:
        """Whether workloads of this kind are mirrored; others have to be followed."""
        return kind in APPS_KINDS and api_version == "apps/v1"

    def target(
        self, namespace: str, api_version: str, kind: str, name: str, *, template: bool = False
    ) -> WorkloadRecord | None:
        """A workload; with `template` its raw pod template is filled in (Deployments only)."""
        if not self.watches(api_version, kind):
            polled = self._others.get(TargetKey(namespace, api_version, kind, name))
            return polled.record if polled is not None else None
        stored = self._mirrored.workloads[kind].get(namespace, name)
        if stored is None or not template:
            return stored.record if stored is not None else None
        return replace(stored.record, template=stored.template())

    def target_error(self, namespace: str, api_version: str, kind: str, name: str) -> KubeError | ValueError | None:
        """Why a workload of a kind that is not watched cannot be read; None when nothing is wrong."""
        polled = self._others.get(TargetKey(namespace, api_version, kind, name))
        return polled.error if polled is not None else None

    def target_scalable(self, namespace: str, api_version: str, kind: str, name: str) -> bool | None:
        """Whether a kind that is not watched has a scale subresource; None before it was asked for."""
        polled = self._others.get(TargetKey(namespace, api_version, kind, name))
        return polled.scalable if polled is not None else None

    def replica_sets(self, target: WorkloadRecord) -> list[ReplicaSetRecord]:
        """ReplicaSets of a Deployment, all revisions."""
        return self._mirrored.replica_sets.find(target.uid) if target.uid else []

    def current_replicaset(self, target: WorkloadRecord) -> ReplicaSetRecord | None:
        """The ReplicaSet of the newest revision of a Deployment."""
        return max(self.replica_sets(target), key=lambda r: (r.revision, r.replicas, r.name), default=None)

    def pods_of(self, target: WorkloadRecord) -> list[PodRecord]:
        """Pods of the workload, those of old revisions and those being deleted included, trial pods not."""
        if not target.uid:
            return []
        if target.kind == "Deployment":
            owners = [record.uid for record in self.replica_sets(target)]
        elif target.kind in APPS_KINDS:
            owners = [target.uid]
        else:
            pods = self._mirrored.pods.find(f"namespace {target.namespace}")
            return [p for p in pods if not p.trial_of and matches(target.selector, p.labels)]
        return [pod for owner in owners for pod in self._mirrored.pods.find(f"owner {owner}") if not pod.trial_of]

    def trial_pods(self, namespace: str, config_name: str) -> list[PodRecord]:
        """Pods that carry the trial label of this PerformanceConfig."""
        return self._mirrored.pods.find(f"trial {namespace}/{config_name}")

    def pods_everywhere(self) -> list[PodRecord] | None:
        """Every pod of the cluster; None where only some namespaces can be seen."""
        return None if self.namespaces else list(self._mirrored.pods)

    def marked_pods(self) -> list[PodRecord]:
        """Trial pods, and pods that came in by a swap and still have its deletion cost."""
        return self._mirrored.pods.find("marked")

    def rivals(self, target: WorkloadRecord) -> list[RivalRecord]:
        """HPAs, ScaledObjects and VPAs that name this workload."""
        key = f"{target.namespace}/{target.kind}/{target.name}"
        return [rival for mirror in self._rival_mirrors() for rival in mirror.find(key)]

    @property
    def unseen_rivals(self) -> tuple[str, ...]:
        """Collections of HPAs, ScaledObjects and VPAs that are served and were never read: `rivals` lacks theirs."""
        return tuple(mirror.name for mirror in self._rival_mirrors() if not mirror.synced)

    def budgets_for(self, pod: PodRecord) -> list[BudgetRecord]:
        """PodDisruptionBudgets that cover this pod."""
        return [b for b in self._mirrored.budgets.find(pod.namespace) if matches(b.selector, pod.labels)]

    def nodes(self) -> list[NodeRecord]:
        """Every node; empty when nodes may not be read."""
        return list(self._mirrored.nodes)

    def node(self, name: str) -> NodeRecord | None:
        """A node by name."""
        return self._mirrored.nodes.get("", name)

    def limit_ranges(self, namespace: str) -> list[LimitRangeRecord]:
        """LimitRanges of a namespace."""
        return self._mirrored.ranges.find(namespace)

    def quotas(self, namespace: str) -> list[QuotaRecord]:
        """ResourceQuotas of a namespace."""
        return self._mirrored.quotas.find(namespace)

    def profile(self, namespace: str) -> ProfileRecord | None:
        """The TuningProfile of a namespace."""
        return self._mirrored.profiles.get(namespace, PROFILE_NAME) if self._mirrored.profiles.running else None

    def profiles(self) -> list[ProfileRecord]:
        """Every TuningProfile, those of namespaces without a PerformanceConfig included."""
        return list(self._mirrored.profiles) if self._mirrored.profiles.running else []

    def namespace(self, name: str) -> NamespaceRecord | None:
        """A namespace; None when it does not exist or may not be read."""
        return self._named.records.get(name) if self.namespaces else self._mirrored.spaces.get("", name)

    def namespace_paused(self, name: str) -> bool:
        """Whether the namespace carries trimtab.dev/pause."""
        return (record := self.namespace(name)) is not None and record.paused

    def counts(self) -> Mapping[str, int]:
        """Records held, by collection: for the operator's own metrics."""
        return {mirror.name: len(mirror) for mirror in self._mirrors()}

    def _mirrors(self) -> list[Mirror[Any]]:
        return [*self._mirrored.always, *(mirror for mirror in self._mirrored.optional if mirror.running)]

    def _rival_mirrors(self) -> list[Mirror[RivalRecord]]:
        # A mirror that was stopped holds what was there before its CRD was removed.
        return [mirror for mirror in self._mirrored.rivals if mirror.running]

    def _unknown(self) -> bool:
        known = self.capabilities
        return None in (known.scaled_objects, known.vertical_autoscalers, known.tuning_profiles)

    async def _keep(self) -> None:
        while True:
            try:
                await self.refresh()
            except Exception:
                _log.exception("asking the cluster for what is not watched failed; next try in %s s", POLL_SECONDS)
            await self._sleep(POLL_SECONDS if not self._unknown() else 1.0)

    @staticmethod
    async def _optional(mirror: Mirror[Any], served: bool | None) -> None:
        if served:
            mirror.start()
        elif served is False and mirror.running:
            await mirror.stop()
