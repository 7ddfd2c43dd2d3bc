"""The operator's rights: exactly what its code uses, nothing over the cluster in namespaced mode but nodes."""

import json
import re
from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from tests.integration.chart.helm import CASES, CHART, NAMESPACE, Manifest, helm, render, rendered
from tests.integration.chart.rights import (
    EVERY_NAMESPACE,
    FORBIDDEN,
    LEASE,
    NODES,
    ONE_NAMESPACE,
    SERVED,
    SWAP,
    Right,
    bound,
    granted,
    rights,
)

ACCOUNT = "trimtab"


def test_the_whole_cluster_is_served_with_the_rights_that_the_code_uses() -> None:
    assert bound(rendered("defaults"), ACCOUNT) == {"": SERVED | SWAP | EVERY_NAMESPACE | NODES, NAMESPACE: LEASE}


def test_a_namespaced_install_has_one_right_over_the_cluster_reading_nodes() -> None:
    served = SERVED | SWAP | ONE_NAMESPACE
    assert bound(rendered("namespaced"), ACCOUNT) == {
        "": NODES,
        "served-a": served,
        "served-b": served,
        NAMESPACE: LEASE,
    }


def test_rule_07_without_knobs_pods_are_neither_created_nor_patched() -> None:
    assert bound(rendered("no-knobs"), ACCOUNT)[""] == SERVED | EVERY_NAMESPACE | NODES
    assert not {("create", "pods"), ("patch", "pods")} & bound(rendered("no-knobs"), ACCOUNT)[""]


def test_a_further_kind_to_scale_adds_its_scale_and_nothing_else() -> None:
    more = bound(rendered("scale-targets"), ACCOUNT)[""] - bound(rendered("defaults"), ACCOUNT)[""]
    scale = rights("get patch", "rollouts.argoproj.io/scale")
    assert more == scale | {("get", "rollouts.argoproj.io")}


@pytest.mark.parametrize("case", CASES)
def test_rule_04_no_role_has_a_wildcard_or_a_forbidden_right(case: str) -> None:
    roles = [m for m in rendered(case) if m["kind"] in ("Role", "ClusterRole")]
    found = granted([role for role in roles if not role["metadata"]["name"].endswith(("-edit", "-view"))])
    assert not found & FORBIDDEN
    assert not [right for right in found if "*" in "".join(right)]


def test_without_rbac_create_no_role_is_made() -> None:
    manifests = render({"rbac": {"create": False}, "prometheus": {"enabled": True}})
    assert not [m for m in manifests if "Role" in m["kind"]]


def test_rule_04_people_write_performance_configs_and_read_journals_by_the_usual_roles_and_nothing_else() -> None:
    aggregated = [
        m for m in rendered("defaults") if any("aggregate-to" in label for label in m["metadata"].get("labels", {}))
    ]
    assert len(aggregated) == 2
    assert {resource for verb, resource in granted(aggregated) if verb not in ("get", "list", "watch")} == {
        "performanceconfigs.trimtab.dev"
    }
    assert {resource for _, resource in granted(aggregated)} == {
        "performanceconfigs.trimtab.dev",
        "tuningjournals.trimtab.dev",
    }


def test_the_bundled_prometheus_reads_nodes_their_metrics_and_pods() -> None:
    pods, nodes = rights("list watch", "pods"), rights("list watch", "nodes") | {("get", "nodes/metrics")}
    assert bound(rendered("bundled"), "trimtab-prometheus") == {"": nodes | pods}
    assert bound(rendered("bundled-namespaced"), "trimtab-prometheus") == {
        "": nodes,
        "served-a": pods,
        NAMESPACE: pods,
    }


def review(right: Right, namespace: str, user: str, name: str = "") -> Manifest:
    verb, resource = right
    plural, _, below = resource.partition("/")
    plural, _, group = plural.partition(".")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": below, "name": name}
    if namespace:
        attributes["namespace"] = namespace
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"],
            "resourceAttributes": attributes,
        },
    }


def allowed(bed: Bed, asked: list[Right], namespace: str, account: str = ACCOUNT, name: str = "") -> set[Right]:
    """Those of the rights that the API server grants."""
    user = f"system:serviceaccount:{NAMESPACE}:{account}"
    items = [review(right, namespace, user, name) for right in asked]
    sent = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    text = bed.kubectl("create", "--filename=-", "--output=json", input=sent).strip()
    answers, decoder = [], json.JSONDecoder()
    while text:
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:].lstrip()
    return {right for right, answer in zip(asked, answers, strict=True) if answer["status"]["allowed"]}


@pytest.fixture(scope="class")
def namespaced_release(own_cluster: Bed) -> Iterator[Bed]:
    names = ("served-a", "served-b", "not-served")
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]
    listed = {"apiVersion": "v1", "kind": "List", "items": spaces}
    own_cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", input=json.dumps(listed))
    values = {"namespaces": ["served-a", "served-b"], "replicas": 1}
    helm("install", "trimtab", CHART, "-n", NAMESPACE, "--create-namespace", values=values, bed=own_cluster)
    yield own_cluster
    helm("uninstall", "trimtab", "-n", NAMESPACE, bed=own_cluster)


@pytest.fixture(scope="class")
def cluster_release(own_cluster: Bed) -> Iterator[Bed]:
    values = {"replicas": 1, "knobs": {"enabled": False}}
    helm("install", "trimtab", CHART, "-n", NAMESPACE, "--create-namespace", values=values, bed=own_cluster)
    yield own_cluster
    helm("uninstall", "trimtab", "-n", NAMESPACE, bed=own_cluster)


class TestNamespacedRelease:
    """On an API server."""

    def test_what_the_code_uses_is_granted_in_served_namespaces(self, namespaced_release: Bed) -> None:
        asked = sorted(SERVED | SWAP)
        assert allowed(namespaced_release, asked, "served-a") == set(asked)
        assert allowed(namespaced_release, sorted(NODES), "") == NODES

    def test_a_served_namespace_itself_may_be_read_for_its_pause_annotation(self, namespaced_release: Bed) -> None:
        asked = sorted(ONE_NAMESPACE | EVERY_NAMESPACE)
        assert allowed(namespaced_release, asked, "served-a", name="served-a") >= ONE_NAMESPACE
        # What GET /api/v1/namespaces/NAME really asks for, as the operator's own identity.
        user = f"--as=system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
        got = namespaced_release.kubectl("get", "namespace", "served-a", "--output=name", user)
        assert got.strip() == "namespace/served-a"
        refused = namespaced_release.kubectl("get", "namespace", "not-served", user, check=False)
        assert refused == ""

    def test_other_namespaces_and_lists_over_the_cluster_are_out_of_reach(self, namespaced_release: Bed) -> None:
        asked = sorted(SERVED | SWAP | EVERY_NAMESPACE | ONE_NAMESPACE)
        assert allowed(namespaced_release, asked, "not-served") == set()
        assert allowed(namespaced_release, asked, "kube-system") == set()
        assert allowed(namespaced_release, asked, "") == set()

    @pytest.mark.parametrize("namespace", ["served-a", NAMESPACE, ""])
    def test_rule_04_what_it_must_never_do_is_refused(self, namespaced_release: Bed, namespace: str) -> None:
        assert allowed(namespaced_release, sorted(FORBIDDEN), namespace) == set()

    def test_only_its_own_lease_can_be_taken(self, namespaced_release: Bed) -> None:
        asked = sorted(LEASE)
        assert allowed(namespaced_release, asked, NAMESPACE, name="trimtab") == LEASE
        assert allowed(namespaced_release, asked, NAMESPACE, name="other") == rights(
            "create", "leases.coordination.k8s.io"
        )
        assert allowed(namespaced_release, asked, "served-a", name="trimtab") == set()


class TestClusterReleaseWithoutKnobs:
    """On an API server."""

    def test_what_the_code_uses_is_granted_everywhere(self, cluster_release: Bed) -> None:
        asked = sorted(SERVED | NODES | EVERY_NAMESPACE)
        assert allowed(cluster_release, asked, "") == set(asked)

    def test_pods_can_be_neither_created_nor_patched_nor_deleted(self, cluster_release: Bed) -> None:
        asked = sorted(SWAP | FORBIDDEN)
        assert allowed(cluster_release, asked, "default") == set()


def test_every_resource_that_the_code_names_is_in_the_table() -> None:
    # A new call of the API without its right would otherwise show only in a cluster.
    sources = CHART.parents[1] / "operator" / "trimtab"
    known = {
        re.split(r"[./]", resource)[0]
        for _, resource in SERVED | SWAP | NODES | EVERY_NAMESPACE | LEASE
    }  # fmt: skip
    text = "\n".join(
        path.read_text() for room in ("kube", "act", "record", "observe") for path in (sources / room).glob("*.py")
    )
    named = re.findall(r'resource_path\(\s*"[a-z0-9.]*",\s*"[a-z0-9]+",\s*"([a-z]+)"', text)
    named += re.findall(r'Mirror\(\s*client,\s*"([a-z]+)"', text)
    assert len(named) > 15
    assert set(named) <= known
