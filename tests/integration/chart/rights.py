"""The rights that the operator's code uses, and where: what the chart grants must be exactly this."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.integration.chart.helm import NAMESPACE, Manifest

Right = tuple[str, str]
"""Verb and resource, the resource as RESOURCE[.GROUP][/SUBRESOURCE]."""


def rights(verbs: str, *resources: str) -> set[Right]:
    """Every verb (words of one text) on every resource."""
    return {(verb, resource) for verb in verbs.split() for resource in resources}


# By the code that needs them.
KOPF_AND_STORE = rights("list watch", "performanceconfigs.trimtab.dev")
WORLD = rights(
    "list watch",
    *("deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps"),
    *("pods", "limitranges", "resourcequotas", "poddisruptionbudgets.policy", "horizontalpodautoscalers.autoscaling"),
    *("scaledobjects.keda.sh", "verticalpodautoscalers.autoscaling.k8s.io", "tuningprofiles.trimtab.dev"),
)
PROFILE = rights("create update patch delete", "tuningprofiles.trimtab.dev")
LEARNED = rights("get create patch", "tuningcheckpoints.trimtab.dev", "tuningjournals.trimtab.dev")
LEARNED |= rights("list", "tuningcheckpoints.trimtab.dev")
SCALE = rights("get patch", "deployments.apps/scale", "statefulsets.apps/scale")
RESIZE = rights("patch", "pods/resize")
EVICT = rights("create", "pods/eviction")
SWAP = rights("get create patch", "pods") | rights("get", "deployments.apps", "replicasets.apps")
RECORD = rights("patch", "performanceconfigs.trimtab.dev/status") | rights("create patch", "events.events.k8s.io")
SERVED = KOPF_AND_STORE | WORLD | PROFILE | LEARNED | SCALE | RESIZE | EVICT | RECORD
EVERY_NAMESPACE = rights("list watch", "namespaces")
ONE_NAMESPACE = rights("get", "namespaces")
NODES = rights("list watch", "nodes")
LEASE = rights("create get update", "leases.coordination.k8s.io")

FORBIDDEN = (
    rights("get list watch create update patch delete", "secrets", "configmaps", "serviceaccounts")
    | rights("create get", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "pods/log")
    | rights("delete deletecollection update", "pods")
    | rights("patch update create delete", "deployments.apps", "statefulsets.apps", "daemonsets.apps")
    | rights("create update patch delete", "performanceconfigs.trimtab.dev", "namespaces", "nodes")
    | rights(
        "get list create update patch delete",
        "mutatingadmissionpolicies.admissionregistration.k8s.io",
        "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "roles.rbac.authorization.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io",
    )
    | rights("create", "serviceaccounts/token")
    | rights("patch update", "pods/ephemeralcontainers", "pods/status")
    | rights("*", "*")
)


def granted(roles: Iterable[Manifest]) -> set[Right]:
    """Everything that Roles and ClusterRoles grant."""
    found = set()
    for role in roles:
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    plural, slash, below = resource.partition("/")
                    name = f"{plural}.{group}" if group else plural
                    found |= {(verb, f"{name}{slash}{below}") for verb in rule["verbs"]}
    return found


def bound(manifests: Sequence[Manifest], account: str) -> dict[str, set[Right]]:
    """What the chart grants to a service account, by namespace; "" is the whole cluster."""
    roles = {
        (m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"]): m
        for m in manifests
        if m["kind"] in ("Role", "ClusterRole")
    }
    found: dict[str, set[Right]] = {}
    for binding in manifests:
        if not binding["kind"].endswith("RoleBinding"):
            continue
        subject = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
        if subject not in binding["subjects"]:
            continue
        where = binding["metadata"].get("namespace")
        kind, name = binding["roleRef"]["kind"], binding["roleRef"]["name"]
        role = roles[kind, where if kind == "Role" else None, name]
        found.setdefault(where or "", set()).update(granted([role]))
    return found
