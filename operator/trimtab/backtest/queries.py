"""The PromQL of a backtest, a namespace at a time. Usage is asked for with the operator's own back-fill queries."""

from trimtab.lab.traces import ResourceName
from trimtab.observe.selectors import written

OWNER_STEP = 3600.0
"""Seconds between two looks at owners and requests."""
_WINDOW = "1h"


def namespaces(days: int) -> str:
    """Namespaces in which anything was measured, now or at any time within the range."""
    return f'group by (namespace) (last_over_time(container_memory_working_set_bytes{{container!=""}}[{days}d:1h]))'


def size(namespace: str) -> str:
    """Number of containers of a namespace at one moment."""
    return f"count(group by (pod, container) (container_memory_working_set_bytes{{{_of(namespace)}}}))"


def pod_owners(namespace: str) -> str:
    """Owners of pods, by kube-state-metrics."""
    return f"group by (pod, owner_kind, owner_name) (last_over_time(kube_pod_owner{{{_of(namespace)}}}[{_WINDOW}]))"


def replica_set_owners(namespace: str) -> str:
    """Owners of ReplicaSets, by kube-state-metrics."""
    return (
        "group by (replicaset, owner_kind, owner_name) "
        f"(last_over_time(kube_replicaset_owner{{{_of(namespace)}}}[{_WINDOW}]))"
    )


def requests(namespace: str, resource: ResourceName) -> str:
    """Requests of containers, by kube-state-metrics."""
    matchers = f"{_of(namespace)},{written(('resource', '=', resource))}"
    return f"max by (pod, container) (last_over_time(kube_pod_container_resource_requests{{{matchers}}}[{_WINDOW}]))"


def pod_requests(namespace: str, resource: ResourceName) -> str:
    """Requests of whole pods, by the scheduler (/metrics/resources)."""
    matchers = f"{_of(namespace)},{written(('resource', '=', resource))}"
    return f"max by (pod) (last_over_time(kube_pod_resource_request{{{matchers}}}[{_WINDOW}]))"


def _of(namespace: str) -> str:
    return written(("namespace", "=", namespace))
