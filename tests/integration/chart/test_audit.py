"""The audit's CronJob: off by default, an account that only lists, arguments that the command takes."""

import re
from pathlib import Path

import pytest

from tests.integration.chart.helm import NAMESPACE, HelmError, Manifest, of_kind, render, rendered
from tests.integration.chart.rights import bound, rights
from trimtab.cli.audit import audit

ACCOUNT = "trimtab-audit"
READS = rights("list", "performanceconfigs.trimtab.dev", "tuningjournals.trimtab.dev")


def pod(case: str) -> Manifest:
    found: Manifest = of_kind(rendered(case), "CronJob", ACCOUNT)["spec"]["jobTemplate"]["spec"]["template"]
    return found


def test_it_is_off_by_default() -> None:
    assert not [m for m in rendered("defaults") if m["metadata"]["name"] == ACCOUNT]


def test_its_account_lists_resources_and_journals_and_nothing_else() -> None:
    assert bound(rendered("audit"), ACCOUNT) == {"": READS}
    assert bound(rendered("audit-kept"), ACCOUNT) == {"served-a": READS, "served-b": READS}
    assert not bound(render({"audit": {"enabled": True}, "rbac": {"create": False}}), ACCOUNT)


@pytest.mark.parametrize("case", ["audit", "audit-kept"])
def test_the_command_takes_its_arguments(case: str, tmp_path: Path) -> None:
    (container,) = pod(case)["spec"]["containers"]
    name, *arguments = container["args"]
    assert name == "audit"
    arguments = [re.sub(r"^(--out|--settings)=.*", rf"\1={tmp_path / 'x'}", one) for one in arguments]
    context = audit.make_context("audit", arguments)
    kept = case == "audit-kept"
    assert context.params["forms"] == (("html", "json") if kept else ())
    assert context.params["days"] == (30 if kept else 7)
    assert context.params["retention_days"] == (90 if kept else None)
    assert context.params["namespaces"] == (("served-a", "served-b") if kept else ())
    assert (context.params["out"] is not None) is kept


@pytest.mark.parametrize("case", ["audit", "audit-kept"])
def test_its_pod_is_restricted_and_is_none_of_the_operator_s(case: str) -> None:
    template = pod(case)
    spec, (container,) = template["spec"], template["spec"]["containers"]
    operator = of_kind(rendered(case), "Deployment", "trimtab")["spec"]["selector"]["matchLabels"]
    assert not operator.items() <= template["metadata"]["labels"].items()
    assert spec["serviceAccountName"] == ACCOUNT
    assert spec["restartPolicy"] == "Never"
    assert spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert mounted == {one["name"] for one in spec["volumes"]}
    assert ("reports" in mounted) is (case == "audit-kept")


@pytest.mark.parametrize("formats", [["html"], ["md", "json"]])
def test_pages_of_html_and_several_formats_need_a_claim(formats: list[str]) -> None:
    with pytest.raises(HelmError, match=r"existingClaim"):
        render({"audit": {"enabled": True, "formats": formats}})


@pytest.mark.parametrize("schedule", ["daily", "0 6 * *", "0 6 * * 1 2026"])
def test_a_schedule_that_is_none_is_refused(schedule: str) -> None:
    with pytest.raises(HelmError, match="schedule"):
        render({"audit": {"enabled": True, "schedule": schedule}})


def test_what_may_be_shown_reaches_the_operator_and_the_audit() -> None:
    settings = of_kind(rendered("audit"), "ConfigMap", "trimtab")["data"]["settings.yaml"]
    assert 'privacy: {"labels":["namespace","team"]}' in settings
    assert any(one.get("configMap", {}).get("name") == "trimtab" for one in pod("audit")["spec"]["volumes"])
    assert of_kind(rendered("audit"), "ServiceAccount", ACCOUNT)["metadata"]["namespace"] == NAMESPACE
