"""What the mirror of the fake cluster shows: records by the real strip functions."""

from __future__ import annotations

from typing import Any

from trimtab.kube.records import (
    BudgetRecord,
    LimitRangeRecord,
    PodRecord,
    ProfileRecord,
    QuotaRecord,
    ReplicaSetRecord,
    WorkloadRecord,
)
from trimtab.kube.selectors import matches
from trimtab.kube.strip import strip_budget, strip_limit_range, strip_profile, strip_quota
from trimtab.kube.strip_pods import strip_pod
from trimtab.kube.strip_workloads import (
    scaled_workload,
    strip_deployment,
    strip_replica_set,
    strip_stateful_set,
)


class FakeWorld:
    """The mirror; answers as `trimtab.kube.world.World` does."""

    objects: dict[tuple[str, str, str], dict[str, Any]]

    def all(self, plural: str, namespace: str = "shop") -> list[dict[str, Any]]:
        return [o for (p, n, _), o in sorted(self.objects.items()) if p == plural and n == namespace]

    def target(self, namespace: str, api_version: str, kind: str, name: str) -> WorkloadRecord | None:
        plural = f"{kind.lower()}s"
        raw = self.objects.get((plural, namespace, name))
        if raw is None:
            return None
        if kind == "Deployment":
            stored = strip_deployment(raw)
        elif kind == "StatefulSet":
            stored = strip_stateful_set(raw)
        else:
            return scaled_workload(api_version, kind, raw, raw)
        return stored.record if stored else None

    def _records(self, namespace: str) -> list[PodRecord]:
        return [r for r in (strip_pod(p) for p in self.all("pods", namespace)) if r is not None]

    def pods_of(self, target: WorkloadRecord) -> list[PodRecord]:
        owners = {target.uid} | {rs["metadata"]["uid"] for rs in self.all("replicasets", target.namespace)}
        return [p for p in self._records(target.namespace) if p.owner_uid in owners and not p.trial_of]

    def trial_pods(self, namespace: str, config: str) -> list[PodRecord]:
        return [p for p in self._records(namespace) if p.trial_of == config]

    def current_replicaset(self, target: WorkloadRecord) -> ReplicaSetRecord | None:
        found = [r for r in map(strip_replica_set, self.all("replicasets", target.namespace)) if r is not None]
        return max((r for r in found if r.owner_uid == target.uid), key=lambda r: r.revision, default=None)

    def marked_pods(self) -> list[PodRecord]:
        spaces = {n for _, n, _ in self.objects}
        return [p for n in sorted(spaces) for p in self._records(n) if p.trial_of or p.swapped]

    def budgets_for(self, pod: PodRecord) -> list[BudgetRecord]:
        found = [strip_budget(b) for b in self.all("poddisruptionbudgets", pod.namespace)]
        return [b for b in found if b is not None and matches(b.selector, pod.labels)]

    def limit_ranges(self, namespace: str) -> list[LimitRangeRecord]:
        return [r for r in map(strip_limit_range, self.all("limitranges", namespace)) if r is not None]

    def quotas(self, namespace: str) -> list[QuotaRecord]:
        return [r for r in map(strip_quota, self.all("resourcequotas", namespace)) if r is not None]

    def profile(self, namespace: str) -> ProfileRecord | None:
        raw = self.objects.get(("tuningprofiles", namespace, "trimtab"))
        return strip_profile(raw) if raw is not None else None

    def profiles(self) -> list[ProfileRecord]:
        found = [strip_profile(o) for (p, _, _), o in self.objects.items() if p == "tuningprofiles"]
        return [r for r in found if r is not None]
