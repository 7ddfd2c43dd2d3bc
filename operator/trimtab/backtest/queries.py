"""The PromQL of a backtest, a namespace at a time. Usage is asked for with the operator's own back-fill queries."""

import re
from collections.abc import Sequence

from trimtab.lab.traces import ResourceName
from trimtab.observe.selectors import Triple, written

OWNER_STEP = 3600.0
"""Seconds between two looks at namespaces, owners and requests."""
_WINDOW = "1h"
_MATCHER = re.compile(r'^([A-Za-z_][A-Za-z0-9_.:/-]*)(=~|!~|!=|=)("?)([^"]*)\3$')
_RESERVED = frozenset({"namespace", "pod", "container", "resource", "reason", "__name__"})


def matcher(text: str) -> Triple:
    """A matcher such as cluster=prod or cluster=~"a|b".

    Raises:
        ValueError: it is none; the message says what one looks like.
    """
    found = _MATCHER.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no matcher; write one such as cluster=prod, cluster!=test or cluster=~'a|b'")
    name, operator, _, value = found.groups()
    if name in _RESERVED:
        raise ValueError(f"{name} is asked for already; choose namespaces with --namespace")
    if "~" in operator:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression ({error}); write cluster=~'a|b'") from error
    return name, operator, value


def narrowed(text: str, matchers: Sequence[Triple]) -> str:
    """One of the queries below with these matchers in its selector; each has exactly one, and begins with its name."""
    if not matchers:
        return text
    return text.replace("{", "{" + ",".join(written(one) for one in matchers) + ",", 1)


def namespaces() -> str:
    """Namespaces in which anything is measured."""
    return 'group by (namespace) (container_memory_working_set_bytes{container!=""})'


def nodes() -> str:
    """Whether any node is measured, by cluster where that is a label."""
    return 'group by (cluster) (last_over_time(machine_cpu_cores{instance=~".*"}[5m]))'


def reasons() -> str:
    """Whether kube-state-metrics tells of anything why it ended."""
    return 'group(kube_pod_container_status_last_terminated_reason{namespace!=""})'


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


def killed(namespace: str) -> str:
    """Containers that last ended by the OOM killer, by kube-state-metrics."""
    matchers = f"{_of(namespace)},{written(('reason', '=', 'OOMKilled'))}"
    metric = "kube_pod_container_status_last_terminated_reason"
    return f"max by (pod, container) (max_over_time({metric}{{{matchers}}}[{_WINDOW}]))"


def restarts(namespace: str) -> str:
    """Restarts of containers so far, by kube-state-metrics."""
    metric = "kube_pod_container_status_restarts_total"
    return f"max by (pod, container) (last_over_time({metric}{{{_of(namespace)}}}[{_WINDOW}]))"


def _of(namespace: str) -> str:
    return written(("namespace", "=", namespace))
