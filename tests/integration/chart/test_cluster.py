"""The chart on a real API server: every object is accepted, and CRDs survive whatever becomes of the release."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.bed import Bed
from testbed.run import BedError
from tests.golden.manifests import good
from tests.integration.chart.helm import CASES, CHART, NAMESPACE, HelmError, helm, rendered

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
CRDS = tuple(
    f"{plural}.trimtab.dev"
    for plural in ("performanceconfigs", "tuningprofiles", "tuningcheckpoints", "tuningjournals")
)
WAIT = "--timeout=60s"


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}


def monitoring_crd(kind: str) -> dict[str, Any]:
    """Enough of the Prometheus Operator's CRD for the API server to take the object."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.monitoring.coreos.com",
            "annotations": {"api-approved.kubernetes.io": "https://github.com/prometheus-operator"},
        },
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


@pytest.fixture(scope="module")
def prepared(own_cluster: Bed) -> Bed:
    objects = [namespace(name) for name in (NAMESPACE, "served-a", "served-b")]
    objects += [monitoring_crd(kind) for kind in ("ServiceMonitor", "PrometheusRule")]
    own_cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all(objects))
    names = [f"crd/{o['metadata']['name']}" for o in objects if o["kind"] == "CustomResourceDefinition"]
    own_cluster.kubectl("wait", *names, "--for=condition=Established", WAIT)
    return own_cluster


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_accepts_every_object_without_a_warning(prepared: Bed, case: str) -> None:
    # Pod Security restricted warns about pods of a Deployment that it would refuse.
    arguments = ("--dry-run=server", "--validate=strict", "--warnings-as-errors", "--filename=-")
    prepared.kubectl("apply", *arguments, input=yaml.safe_dump_all(rendered(case)))


def test_pods_of_the_operator_and_of_prometheus_are_admitted_where_restricted_is_enforced(prepared: Bed) -> None:
    helm("install", "trimtab", CHART, "-n", NAMESPACE, values={"prometheus": {"enabled": True}}, bed=prepared)
    try:
        for name, replicas in (("trimtab", 2), ("trimtab-prometheus", 1)):
            condition = f"--for=jsonpath={{.status.updatedReplicas}}={replicas}"
            prepared.kubectl("wait", f"deployment/{name}", "-n", NAMESPACE, condition, WAIT)
    finally:
        helm("uninstall", "trimtab", "-n", NAMESPACE, bed=prepared)


def remove_crds(bed: Bed) -> None:
    """Remove our CRDs with all that is of their kinds.

    The API server's own clean-up of a CRD that was young now and then waits for minutes though nothing of its kind is
    left; then its finalizer is taken off.
    """
    there = [name for name in CRDS if f"/{name}\n" in bed.kubectl("get", "crd", "--output=name")]
    for name in there:
        bed.kubectl("delete", name, "--all", "--all-namespaces", check=False)
    if there:
        bed.kubectl("delete", "crd", *there, "--wait=false")
        names = [f"crd/{name}" for name in there]
        bed.kubectl("wait", *names, "--for=delete", "--timeout=20s", check=False, timeout=90)
        for name in bed.kubectl("get", *names, "--ignore-not-found", "--output=name").split():
            bed.kubectl("patch", name, "--type=merge", '--patch={"metadata":{"finalizers":null}}', check=False)
        bed.kubectl("wait", *names, "--for=delete", "--timeout=60s", timeout=90)


@pytest.fixture
def clean(own_cluster: Bed) -> Iterator[Bed]:
    """No CRD, no release, namespaces for two installs and for a workload. The bed is nobody else's: they stay."""

    def clear() -> None:
        for release, where in (("trimtab", "chart-one"), ("other", "chart-two")):
            if any(r["name"] == release for r in json.loads(helm("list", "-n", where, "-ojson", bed=own_cluster))):
                helm("uninstall", release, "-n", where, bed=own_cluster)
        remove_crds(own_cluster)

    spaces = [namespace(name) for name in ("chart-one", "chart-two", "shop")]
    own_cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all(spaces))
    clear()
    yield own_cluster
    clear()


def install(bed: Bed, *arguments: str | Path, chart: Path = CHART) -> str:
    return helm("install", "trimtab", chart, "-n", "chart-one", *arguments, values={"replicas": 1}, bed=bed)


def put_config(bed: Bed) -> None:
    bed.kubectl("wait", *(f"crd/{name}" for name in CRDS), "--for=condition=Established", WAIT)
    config = good()
    config["metadata"] = {"name": "kept", "namespace": "shop"}
    profile = {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "TuningProfile",
        "metadata": {"name": "trimtab", "namespace": "shop"},
        "spec": {"workloads": {}},
    }
    bed.kubectl("apply", "--filename=-", input=yaml.safe_dump_all([config, profile]))


def kept(bed: Bed) -> str:
    return bed.kubectl("get", "performanceconfigs,tuningprofiles", "-n", "shop", "--output=name")


BOTH = "performanceconfig.trimtab.dev/kept\ntuningprofile.trimtab.dev/trimtab\n"


def older(folder: Path) -> Path:
    """A copy of the chart whose CRD lacks the column that shows the last decision."""
    chart = folder / "older"
    shutil.copytree(CHART, chart)
    file = chart / "files" / "crds" / "trimtab.dev_performanceconfigs.yaml"
    crd = yaml.safe_load(file.read_text())
    version = crd["spec"]["versions"][0]
    version["additionalPrinterColumns"] = [
        column for column in version["additionalPrinterColumns"] if column["name"] != "Last Decision"
    ]
    file.write_text(yaml.safe_dump(crd))
    return chart


def columns(bed: Bed) -> str:
    path = "{.spec.versions[0].additionalPrinterColumns[*].name}"
    return bed.kubectl("get", "crd", CRDS[0], f"--output=jsonpath={path}")


def test_an_upgrade_brings_crds_up_to_date_and_keeps_what_people_wrote(clean: Bed, tmp_path: Path) -> None:
    install(clean, chart=older(tmp_path))
    put_config(clean)
    assert "Last Decision" not in columns(clean)
    helm("upgrade", "trimtab", CHART, "-n", "chart-one", "--reuse-values", bed=clean)
    assert "Last Decision" in columns(clean)
    assert kept(clean) == BOTH


def test_an_uninstall_keeps_crds_and_resources_and_the_next_install_takes_them_over(clean: Bed) -> None:
    install(clean)
    put_config(clean)
    helm("uninstall", "trimtab", "-n", "chart-one", bed=clean)
    assert kept(clean) == BOTH
    selector = "--selector=app.kubernetes.io/instance=trimtab"
    kinds = "mutatingadmissionpolicies,mutatingadmissionpolicybindings,clusterroles,clusterrolebindings"
    assert clean.kubectl("get", kinds, selector, "--output=name") == ""
    clean.kubectl("wait", "deployment,service,configmap", "-n", "chart-one", selector, "--for=delete", WAIT)
    install(clean)
    assert kept(clean) == BOTH


def test_turning_crds_install_off_leaves_them(clean: Bed) -> None:
    install(clean)
    put_config(clean)
    helm("upgrade", "trimtab", CHART, "-n", "chart-one", "--set", "crds.install=false", bed=clean)
    assert kept(clean) == BOTH


def test_another_release_takes_over_the_crds_with_take_ownership_and_is_told_so_without(clean: Bed) -> None:
    install(clean)
    put_config(clean)
    helm("uninstall", "trimtab", "-n", "chart-one", bed=clean)
    other = ("install", "other", CHART, "-n", "chart-two")
    with pytest.raises(HelmError, match="invalid ownership metadata"):
        helm(*other, bed=clean)
    helm(*other, "--take-ownership", bed=clean)
    assert kept(clean) == BOTH


def test_crds_that_were_applied_by_hand_are_taken_over_with_take_ownership(clean: Bed) -> None:
    clean.kubectl("apply", "--filename", str(CHART.parents[1] / "crds"))
    put_config(clean)
    install(clean, "--take-ownership")
    helm("upgrade", "trimtab", CHART, "-n", "chart-one", "--reuse-values", bed=clean)
    assert kept(clean) == BOTH


def test_rule_04_a_namespaced_install_needs_its_namespaces_and_says_so(clean: Bed) -> None:
    with pytest.raises(HelmError, match='namespaces "absent" not found'):
        install(clean, "--set", "namespaces={absent}")


def test_rule_04_people_who_edit_a_namespace_edit_performance_configs_and_not_profiles(clean: Bed) -> None:
    install(clean)
    put_config(clean)
    binding = clean.kubectl(
        *("create", "rolebinding", "ann", "-n", "shop", "--clusterrole=edit", "--user=ann"),
        *("--dry-run=client", "--output=json"),
    )
    clean.kubectl("apply", "--filename=-", input=binding)
    clean.kubectl("annotate", "performanceconfig", "kept", "-n", "shop", "a=b", "--as=ann")
    for verb in ("create", "patch", "delete", "get"):
        asked = ("auth", "can-i", verb, "tuningprofiles.trimtab.dev", "-n", "shop", "--as=ann")
        assert clean.kubectl(*asked, check=False).strip() == "no"
    with pytest.raises(BedError, match="tuningprofiles"):
        clean.kubectl("delete", "tuningprofile", "trimtab", "-n", "shop", "--as=ann")
