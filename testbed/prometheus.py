"""Prometheus of a bed: scrapes the kubelet, the scheduler and annotated pods."""

from __future__ import annotations

import json
from typing import Any

from testbed.bed import API_PORT, PROMETHEUS_PORT, Bed
from testbed.node import apply_manifest
from testbed.probe import answers
from testbed.processes import running, start, wait_ready
from testbed.run import step

NAMESPACE = "monitoring"
TOKEN_LIFE = "8760h"
RETENTION = "60d"


def start_prometheus(bed: Bed, scrape_seconds: int) -> None:
    """Start Prometheus and the Service `prometheus.monitoring`, and return once it answers queries."""
    if running(bed, "prometheus"):
        return
    with step("prometheus"):
        apply_manifest(bed, "prometheus.yaml", ADDRESS=bed.address)
        token = bed.path("prometheus-token")
        made = ("create", "token", "prometheus", f"--namespace={NAMESPACE}", f"--duration={TOKEN_LIFE}")
        token.write_text(bed.kubectl(*made))
        token.chmod(0o600)
        config = bed.path("prometheus.json")
        config.write_text(json.dumps(scrape_config(bed, scrape_seconds), indent=1) + "\n")
        start(
            bed,
            "prometheus",
            [
                bed.bin_dir / "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={bed.path('prometheus')}",
                f"--storage.tsdb.retention.time={RETENTION}",
                f"--web.listen-address={bed.address}:{PROMETHEUS_PORT}",
                "--web.enable-admin-api",  # tests delete series
                "--web.enable-lifecycle",
            ],
        )
        wait_ready(bed, "prometheus", lambda: answers(f"{bed.prometheus_url}/-/ready"))


def scrape_config(bed: Bed, scrape_seconds: int) -> dict[str, Any]:
    """Return Prometheus's configuration; the labels are those of the kube-prometheus charts.

    Two of the kubelet's paths have `container_cpu_usage_seconds_total`: as there, the label `metrics_path`
    tells them apart.
    """
    api = {"api_server": f"https://{bed.address}:{API_PORT}", **_credentials(bed)}

    def discover(role: str) -> list[dict[str, Any]]:
        return [{"role": role, **api}]

    def kubelet(path: str) -> dict[str, Any]:
        return {
            "job_name": f"kubelet{path.removeprefix('/metrics').replace('/', '-')}",
            "scheme": "https",
            "metrics_path": path,
            **_credentials(bed),
            "kubernetes_sd_configs": discover("node"),
            "relabel_configs": [
                {"target_label": "job", "replacement": "kubelet"},
                {"source_labels": ["__metrics_path__"], "target_label": "metrics_path"},
                {"source_labels": ["__meta_kubernetes_node_name"], "target_label": "node"},
            ],
        }

    return {
        "global": {
            "scrape_interval": f"{scrape_seconds}s",
            "scrape_timeout": f"{scrape_seconds}s",
            "evaluation_interval": f"{scrape_seconds}s",
        },
        "scrape_configs": [
            kubelet("/metrics"),
            kubelet("/metrics/cadvisor"),
            kubelet("/metrics/resource"),
            {
                "job_name": "kube-scheduler",
                "scheme": "https",
                "metrics_path": "/metrics/resources",
                **_credentials(bed),
                "static_configs": [{"targets": [f"{bed.address}:10259"]}],
                # its labels `namespace` and `pod` name the pod whose request it is
                "honor_labels": True,
            },
            {
                "job_name": "pods",
                # an application that names no content type still speaks the text format
                "fallback_scrape_protocol": "PrometheusText0.0.4",
                "kubernetes_sd_configs": discover("pod"),
                "relabel_configs": _pod_relabelling(),
            },
        ],
    }


def _credentials(bed: Bed) -> dict[str, Any]:
    return {
        "authorization": {"credentials_file": str(bed.path("prometheus-token"))},
        "tls_config": {"ca_file": str(bed.path("pki", "ca.crt"))},
    }


def _pod_relabelling() -> list[dict[str, Any]]:
    """Return the rules for the annotations prometheus.io/scrape, scheme, path and port.

    A pod with several ports and `prometheus.io/port` gives equal targets, which Prometheus merges.
    """
    meta = "__meta_kubernetes_pod_"
    annotation = f"{meta}annotation_prometheus_io_"
    return [
        {"source_labels": [f"{annotation}scrape"], "regex": "true", "action": "keep"},
        {"source_labels": [f"{meta}phase"], "regex": "Pending|Succeeded|Failed", "action": "drop"},
        {"source_labels": [f"{meta}container_init"], "regex": "true", "action": "drop"},
        {"source_labels": [f"{annotation}scheme"], "regex": "(https?)", "target_label": "__scheme__"},
        {"source_labels": [f"{annotation}path"], "regex": "(.+)", "target_label": "__metrics_path__"},
        {
            "source_labels": [f"{meta}ip", f"{annotation}port"],
            "regex": r"(.+);(\d+)",
            "replacement": "$1:$2",
            "target_label": "__address__",
        },
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": [f"{meta}name"], "target_label": "pod"},
        {"source_labels": [f"{meta}node_name"], "target_label": "node"},
    ]
