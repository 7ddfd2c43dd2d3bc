"""What the chart renders: valid settings and presets for every set of values, and clear refusals."""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.chart.helm import (
    CASES,
    CHART,
    DATASOURCE,
    PRESET,
    HelmError,
    Manifest,
    helm,
    of_kind,
    program,
    render,
    rendered,
)
from trimtab.api.datasource import Datasource, Tenancy, TenancyOverride, TenantHeader
from trimtab.api.settings import Mode, OperatorSettings, StaticPrices, load_settings
from trimtab.kube.lease_settings import LeaseSettings
from trimtab.observe.presets import Preset, load_presets
from trimtab.record.metrics import OperatorMetrics

SOURCES = CHART.parents[1] / "operator" / "trimtab"
SCHEMA = yaml.safe_load((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())


def settings_of(manifests: Sequence[Manifest], folder: Path) -> OperatorSettings:
    """The operator's settings as it reads them from the chart's ConfigMap."""
    file = folder / "settings.yaml"
    file.write_text(of_kind(manifests, "ConfigMap", "trimtab")["data"]["settings.yaml"])
    return load_settings(file)


def promtool(*arguments: str | Path) -> None:
    command = [program("promtool"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_passes_helm_lint() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART)


@pytest.mark.parametrize("case", CASES)
def test_the_operator_reads_the_settings_of_every_case(case: str, tmp_path: Path) -> None:
    values = CASES[case]
    settings = settings_of(rendered(case), tmp_path)
    assert settings.mode == values.get("mode", Mode.ACT)
    assert settings.tick_seconds == values.get("tickSeconds", 15)
    assert settings.namespaces == values.get("namespaces", [])
    assert settings.knobs_enabled is values.get("knobs", {}).get("enabled", True)
    assert settings.admission_policy_enabled is values.get("admissionPolicy", {}).get("enabled", True)
    assert settings.max_changes_per_minute == values.get("limits", {}).get("maxChangesPerMinute", 60)
    assert settings.lease.name == "trimtab"
    LeaseSettings(settings.lease.duration_seconds, settings.lease.renew_seconds, settings.lease.retry_seconds)


@pytest.mark.parametrize("case", CASES)
def test_presets_of_every_case_are_read_over_the_built_in_ones(case: str, tmp_path: Path) -> None:
    for name, text in (of_kind(rendered(case), "ConfigMap", "trimtab-presets").get("data") or {}).items():
        (tmp_path / name).write_text(text)
    found = load_presets(tmp_path)
    assert set(CASES[case].get("presets", {})) <= set(found)
    assert "http-server-p95" in found


@pytest.mark.parametrize("case", CASES)
def test_objects_of_every_case_are_named_once(case: str) -> None:
    keys = [(m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"]) for m in rendered(case)]
    assert len(keys) == len(set(keys))


def test_a_rich_datasource_arrives_as_it_was_written(tmp_path: Path) -> None:
    (source,) = settings_of(rendered("datasources"), tmp_path).datasources
    assert source == Datasource.model_validate(DATASOURCE)


def test_the_bundled_prometheus_becomes_the_default_datasource_and_others_stay(tmp_path: Path) -> None:
    url = "http://trimtab-prometheus.trimtab-system.svc:9090"
    alone = settings_of(rendered("bundled-alone"), tmp_path).datasources
    assert [(source.name, source.url) for source in alone] == [("default", url)]
    beside = settings_of(rendered("bundled-beside"), tmp_path).datasources
    assert [source.name for source in beside] == ["default", "mimir"]
    own = {"datasources": [{"name": "default", "url": "http://unused:9090", "maxQueriesPerSecond": 5}]}
    (default,) = settings_of(render(own | {"prometheus": {"enabled": True}}), tmp_path).datasources
    assert (default.url, default.max_queries_per_second, default.scrape_interval_seconds) == (url, 5, 15)


def test_secrets_are_mounted_where_datasources_look_for_them() -> None:
    spec = of_kind(rendered("datasources"), "Deployment")["spec"]["template"]["spec"]
    mounts = {m["mountPath"]: m["name"] for m in spec["containers"][0]["volumeMounts"]}
    volumes = {v["name"]: v for v in spec["volumes"]}
    assert volumes[mounts["/etc/trimtab/secrets/mimir"]]["secret"]["secretName"] == "mimir"


def test_new_settings_start_new_pods_and_the_same_settings_do_not() -> None:
    def annotations(values: Any) -> Any:
        return of_kind(render(values), "Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert annotations({"mode": "Act"}) == annotations({})
    assert annotations({"mode": "Observe"}) != annotations({})
    assert annotations({"presets": {"mine": PRESET}}) != annotations({})


def test_the_schema_knows_every_field_of_a_datasource_and_of_a_preset_and_no_other() -> None:
    def fields(model: Any) -> set[str]:
        return {field.alias or name for name, field in model.model_fields.items()}

    source = SCHEMA["properties"]["datasources"]["items"]["properties"]
    assert set(source) == fields(Datasource)
    assert set(source["tenancy"]["properties"]) == fields(Tenancy)
    assert set(source["tenancy"]["properties"]["overrides"]["items"]["properties"]) == fields(TenancyOverride)
    assert set(source["tenantHeader"]["properties"]) == fields(TenantHeader)
    (preset,) = SCHEMA["properties"]["presets"]["patternProperties"].values()
    # The name is the key.
    assert set(preset["properties"]) == fields(Preset) - {"name"}


def test_the_schema_and_the_values_have_the_same_fields() -> None:
    def compare(values: Any, schema: Any, path: str) -> None:
        known = schema.get("properties")
        if known is None or not isinstance(values, dict):
            return
        assert set(values) == set(known) - {"global"}, path
        assert schema["additionalProperties"] is False, path
        for key, value in values.items():
            compare(value, known[key], f"{path}.{key}")

    compare(DEFAULTS, SCHEMA, "values")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"mode": "act"}, "/mode"),
        ({"tickSeconds": 0}, "/tickSeconds"),
        ({"tickSeconds": "15s"}, "/tickSeconds"),
        ({"namespaces": "shop"}, "/namespaces"),
        ({"namespaces": ["Shop"]}, "/namespaces/0"),
        ({"namespaces": ["a", "a"]}, "/namespaces"),
        ({"image": {"repository": ""}}, "/image/repository"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"image": {"name": "x"}}, "/image"),
        ({"replicas": 0}, "/replicas"),
        ({"replicas": 2.5}, "/replicas"),
        ({"runAsUser": 0}, "/runAsUser"),
        ({"podLabels": {"a": 1}}, "/podLabels/a"),
        ({"datasources": [{"name": "default"}]}, "/datasources/0"),
        ({"datasources": [{"name": "default", "url": "prometheus:9090"}]}, "/datasources/0/url"),
        ({"datasources": [{"name": "default", "url": "http://me:secret@prom:9090"}]}, "/datasources/0/url"),
        ({"datasources": [{"name": "default", "url": "http://p", "token": "x"}]}, "/datasources/0"),
        ({"datasources": [{"name": "default", "url": "http://p", "tenancy": {"label": "a-b"}}]}, "/tenancy/label"),
        ({"datasources": [{"name": "d", "url": "http://p", "clientCertFile": "/c"}]}, "/datasources/0"),
        ({"mountSecrets": ["../x"]}, "/mountSecrets/0"),
        ({"presets": {"Mine": PRESET}}, "/presets"),
        ({"datasources": [{"name": "d", "url": "http://p", "headerFiles": {"A B": "/c"}}]}, "/headerFiles"),
        ({"presets": {"mine": {"title": "x"}}}, "/presets/mine"),
        ({"presets": {"mine": PRESET | {"quantile": 95}}}, "/presets/mine/quantile"),
        ({"knobs": {"envAllowList": ["A-B"]}}, "/knobs/envAllowList/0"),
        ({"rbac": {"extraScaleTargets": [{"resource": "rollouts"}]}}, "/rbac/extraScaleTargets/0"),
        ({"limits": {"rollbackStopShare": 1.5}}, "/limits/rollbackStopShare"),
        ({"limits": {"maxChangesPerMinute": 0}}, "/limits/maxChangesPerMinute"),
        ({"lease": {"renewSeconds": 0}}, "/lease/renewSeconds"),
        ({"logFormat": "xml"}, "/logFormat"),
        ({"serviceMonitor": {"interval": "often"}}, "/serviceMonitor/interval"),
        ({"prometheus": {"retention": "long"}}, "/prometheus/retention"),
        ({"prometheus": {"storage": "8"}}, "/prometheus/storage"),
        ({"tickSecond": 15}, "tickSecond"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(values: Any, field: str) -> None:
    with pytest.raises(HelmError) as refused:
        render(values)
    assert re.search(rf"at '[^']*{re.escape(field)}|'{re.escape(field)}'", str(refused.value)), refused.value


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        ({}, ["--kube-version", "1.35.0"], "admissionPolicy.enabled needs Kubernetes 1.36 or newer, this is v1.35.0"),
        ({}, ["--kube-version", "1.32.0"], "requires kubeVersion: >=1.33.0-0"),
        ({"datasources": []}, [], "datasources is empty; name at least one Prometheus, or set prometheus.enabled=true"),
        ({"datasources": [DATASOURCE, DATASOURCE]}, [], "datasources has two named mimir"),
        ({"lease": {"renewSeconds": 15}}, [], "lease.durationSeconds must be above lease.renewSeconds"),
        ({"lease": {"retrySeconds": 9}}, [], "lease.renewSeconds must be above 1.2 times lease.retrySeconds"),
    ],
)
def test_values_that_do_not_go_together_are_refused_with_the_remedy(
    values: Any, arguments: list[str], message: str
) -> None:
    with pytest.raises(HelmError, match=re.escape(message)):
        render(values, *arguments)


@pytest.mark.parametrize("version", ["1.36.0", "1.36.3-gke.100", "1.36.0+k3s1"])
def test_vendors_versions_of_kubernetes_1_36_count_as_1_36(version: str) -> None:
    assert of_kind(render({}, "--kube-version", version), "MutatingAdmissionPolicy")


def test_rule_04_an_older_cluster_is_served_without_the_policy() -> None:
    manifests = render({"admissionPolicy": {"enabled": False}}, "--kube-version", "1.33.0")
    assert not [m for m in manifests if "AdmissionPolicy" in m["kind"]]


def test_crds_are_those_of_the_models_and_are_kept() -> None:
    for manifest in [m for m in render() if m["kind"] == "CustomResourceDefinition"]:
        assert manifest["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        del manifest["metadata"]["annotations"]
        file = CHART.parents[1] / "crds" / f"trimtab.dev_{manifest['spec']['names']['plural']}.yaml"
        assert manifest == yaml.safe_load(file.read_text())


def test_rule_15_the_notes_say_the_next_command_and_how_to_stop_everything() -> None:
    notes = helm("install", "trimtab", CHART, "--dry-run=client", "--namespace", "tt")
    assert "kubectl describe performanceconfig my-app" in notes
    assert "helm upgrade trimtab CHART -n tt --reuse-values --set mode=Observe" in notes
    assert "kind: PerformanceConfig" in notes


def test_the_stall_alert_leaves_room_for_long_ticks() -> None:
    groups = of_kind(rendered("monitoring"), "PrometheusRule")["spec"]["groups"]
    (stalled,) = [rule for group in groups for rule in group["rules"] if rule.get("alert") == "TrimtabNotTicking"]
    assert stalled["expr"] == "max(trimtab_tick_age_seconds) > 480"


@pytest.mark.parametrize("case", ["bundled", "bundled-namespaced"])
def test_the_bundled_prometheus_has_a_valid_configuration(case: str, tmp_path: Path) -> None:
    config = of_kind(rendered(case), "ConfigMap", "trimtab-prometheus")["data"]["prometheus.yml"]
    file = tmp_path / "prometheus.yml"
    file.write_text(config)
    promtool("check", "config", "--syntax-only", file)


def test_the_bundled_prometheus_keeps_every_metric_that_the_operator_asks_for() -> None:
    # kube-state-metrics' restarts are the one that the kubelet does not serve.
    config = yaml.safe_load(of_kind(rendered("bundled"), "ConfigMap", "trimtab-prometheus")["data"]["prometheus.yml"])
    (cadvisor,) = [job for job in config["scrape_configs"] if job["job_name"] == "cadvisor"]
    kept = re.compile(cadvisor["metric_relabel_configs"][0]["regex"])
    asked = set(re.findall(r"\"(container_[a-z_]+)\"", (SOURCES / "observe" / "builtin.py").read_text()))
    assert len(asked) > 5
    assert not [metric for metric in asked if not kept.fullmatch(metric)]


def test_rules_pass_promtool_and_fire_when_they_should(tmp_path: Path) -> None:
    promtool("check", "rules", CHART / "files" / "rules.yaml")
    cases = yaml.safe_load((Path(__file__).parent / "rules_test.yaml").read_text())
    # What is the same for every instance of an alert is not written down twice.
    groups = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["groups"]
    annotations = {rule["alert"]: rule["annotations"] for group in groups for rule in group["rules"] if "alert" in rule}
    for expected in (test for case in cases["tests"] for test in case["alert_rule_test"]):
        for alert in expected.get("exp_alerts", []):
            alert["exp_annotations"] = annotations[expected["alertname"]] | alert["exp_annotations"]
    file = tmp_path / "rules_test.yaml"
    file.write_text(yaml.safe_dump(cases | {"rule_files": [str(CHART / "files" / "rules.yaml")]}))
    promtool("test", "rules", file)


def test_prices_reach_the_operator_as_they_are_written(tmp_path: Path) -> None:
    prices = settings_of(rendered("prices"), tmp_path).prices
    assert (prices.currency, prices.cpu_hour, prices.storage_gib_hour) == ("EUR", 0.02, 1e-7)
    assert prices.memory_gib_hour == StaticPrices().memory_gib_hour
    assert settings_of(rendered("defaults"), tmp_path).prices == StaticPrices()


def test_dashboards_are_shipped_for_the_sidecar_as_they_are_in_the_repository() -> None:
    shipped = [m for m in rendered("prices") if "grafana_dashboard" in m["metadata"].get("labels", {})]
    data = {name: json.loads(text) for config in shipped for name, text in config["data"].items()}
    files = (CHART.parents[1] / "dashboards").glob("*.json")
    assert data == {f"trimtab-{path.name}": json.loads(path.read_text()) for path in files}
    assert all(config["metadata"]["annotations"] == {"grafana_folder": "Trimtab"} for config in shipped)
    assert not [m for m in rendered("defaults") if "dashboard" in m["metadata"]["name"]]


def test_rules_use_metrics_that_the_operator_exports() -> None:
    exported = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in OperatorMetrics.create().registry.collect()
    }
    used = set(re.findall(r"\btrimtab_[a-z_]+", (CHART / "files" / "rules.yaml").read_text()))
    assert used <= exported
