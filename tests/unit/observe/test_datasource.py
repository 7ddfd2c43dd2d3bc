"""Datasource settings: what an administrator may say, and which labels own a metric."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trimtab.api.datasource import Datasource, Tenancy, TenancyOverride, TenantHeader, TenantLabels


def test_camel_case_settings_are_read_with_safe_defaults() -> None:
    source = Datasource.model_validate({
        "name": "main",
        "url": "https://mimir.example/prometheus/",
        "tenantHeader": {"value": "team-a"},
        "tenancy": {"label": "ns", "overrides": [{"metricPattern": "istio_.*", "label": "destination_namespace"}]},
    })  # fmt: skip
    assert source.url == "https://mimir.example/prometheus"
    assert source.tenant_header == TenantHeader(name="X-Scope-OrgID", value="team-a")
    assert (source.insecure_skip_verify, source.timeout_seconds, source.scrape_interval_seconds) == (False, 10.0, 30.0)


@pytest.mark.parametrize(
    "url",
    [
        "", "prometheus:9090", "ftp://prometheus", "file:///etc/passwd", "http://", "http://:9090", "http://u:p@prom",
        "http://u@prom", "http://prom/?a=b", "http://prom/#x", "http://prom/a b", "http://prom\r\nHost: x",
        "http://prom:99999", "http://[::1", "gopher://prom",
    ],
)  # fmt: skip
def test_only_plain_http_addresses_are_taken(url: str) -> None:
    with pytest.raises(ValidationError):
        Datasource(name="main", url=url)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "Main"},
        {"name": "a" * 64},
        {"timeoutSeconds": 0},
        {"timeoutSeconds": "inf"},
        {"timeoutSeconds": "nan"},
        {"maxConcurrency": 0},
        {"maxResponseBytes": 1},
        {"clientCertFile": "/tls.crt"},
        {"clientKeyFile": "/tls.key"},
        {"insecureSkipVerify": True, "caFile": "/ca.crt"},
        {"headerFiles": {"Authorization": "/a"}},
        {"headerFiles": {"Host": "/a"}},
        {"headerFiles": {"a: b": "/a"}},
        {"tenantHeader": {"value": "a\r\nb: c"}},
        {"tenantHeader": {"value": ""}},
        {"tenancy": {"label": "name space"}},
        {"tenancy": {"label": 'a"}'}},
        {"unknown": 1},
    ],
)
def test_settings_that_can_not_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Datasource.model_validate({"name": "main", "url": "http://prom", **settings})


@pytest.mark.parametrize(
    "pattern", ["", "(?i)a", "a**", "a++", "a?+", "[", "(", "a)", "\\d+", "a{2}", "a b", 'a"', "[a[b]"]
)
def test_patterns_on_which_engines_differ_are_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        TenancyOverride(metric_pattern=pattern, label="ns")
    with pytest.raises(ValidationError):
        Tenancy(allow_unlabelled=(pattern,))


def test_the_first_matching_override_gives_the_labels_and_patterns_are_anchored() -> None:
    tenancy = Tenancy(
        overrides=(
            TenancyOverride(metric_pattern="kube_.*", label="exported_namespace"),
            TenancyOverride(metric_pattern="istio_.*", label="destination_namespace", pod_label="destination_pod"),
            TenancyOverride(metric_pattern=".*_info", label="other"),
        )
    )
    exported = TenantLabels(label="exported_namespace", pod_label="exported_pod", container_label="exported_container")
    assert tenancy.labels_for("kube_pod_info") == exported
    assert tenancy.labels_for("istio_x") == TenantLabels(label="destination_namespace", pod_label="destination_pod")
    assert tenancy.labels_for("my_kube_x") == TenantLabels()
    assert tenancy.labels_for(None) == TenantLabels()
    assert tenancy.overridden_names == "(?:kube_.*)|(?:istio_.*)|(?:.*_info)"


def test_the_allow_list_wins_over_overrides() -> None:
    tenancy = Tenancy(overrides=(TenancyOverride(metric_pattern=".*", label="x"),), allow_unlabelled=("cluster:.*",))
    assert tenancy.labels_for("cluster:load") is None
    assert tenancy.labels_for("xcluster:load") is not None


def test_datasources_do_not_change_after_reading() -> None:
    source = Datasource(name="main", url="http://prom", bearer_token_file=Path("/token"))
    with pytest.raises(ValidationError):
        source.url = "http://evil"  # type: ignore[misc]
