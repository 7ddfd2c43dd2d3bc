"""Helm from the cache of programs: rendering without a cluster, releases on a bed, and values to try."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from testbed.bed import Bed
from testbed.build import build

CHART = Path(__file__).parents[3] / "charts" / "trimtab"
NAMESPACE = "trimtab-system"
SECONDS = 180.0
Manifest = dict[str, Any]
Values = Mapping[str, Any]

DATASOURCE = {
    "name": "mimir",
    "url": "https://mimir.example/prometheus",
    "timeoutSeconds": 20,
    "tenantHeader": {"value": "team-a"},
    "bearerTokenFile": "/etc/trimtab/secrets/mimir/token",
    "caFile": "/etc/trimtab/secrets/mimir/ca.crt",
    "tenancy": {
        "label": "namespace",
        "overrides": [{"metricPattern": "istio_.*", "label": "destination_workload_namespace"}],
        "allowUnlabelled": ["cluster:.*"],
    },
}
PRESET = {
    "title": "Checkout duration, 95th percentile",
    "unit": "seconds",
    "better": "Lower",
    "group": "totalLatency",
    "source": "https://example.com/metrics",
    "kind": "Query",
    "query": "histogram_quantile(0.95, sum by (le) (rate(checkout_seconds_bucket[{{window}}])))",
}
CASES: dict[str, Values] = {
    "defaults": {},
    "observe": {"mode": "Observe", "logFormat": "text", "tickSeconds": 60.5},
    "namespaced": {"namespaces": ["served-a", "served-b"]},
    "no-knobs": {"knobs": {"enabled": False}},
    "no-policy": {"admissionPolicy": {"enabled": False}},
    "no-crds": {"crds": {"install": False}},
    "no-rbac": {"rbac": {"create": False}, "serviceAccount": {"create": False, "name": "own"}},
    "scale-targets": {"rbac": {"extraScaleTargets": [{"apiGroup": "argoproj.io", "resource": "rollouts"}]}},
    "large-numbers": {"limits": {"maxChangesPerMinute": 1_000_000, "writesPerSecond": 1_000_000}},
    "monitoring": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prom"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prom"}},
        "tickSeconds": 120,
    },
    "prices": {
        "prices": {"currency": "EUR", "cpuHour": 0.02, "storageGibHour": 0.0000001},
        "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Trimtab"}},
    },
    "bundled": {"prometheus": {"enabled": True}},
    "bundled-alone": {"datasources": [], "prometheus": {"enabled": True, "persistent": True}},
    "bundled-beside": {"datasources": [DATASOURCE], "prometheus": {"enabled": True}, "mountSecrets": ["mimir"]},
    "bundled-namespaced": {
        "prometheus": {"enabled": True, "runAsUser": None},
        "namespaces": ["served-a"],
        "networkPolicy": {"enabled": True},
        "podDisruptionBudget": {"enabled": False},
        "runAsUser": None,
    },
    "datasources": {"datasources": [DATASOURCE], "mountSecrets": ["mimir"], "presets": {"checkout-p95": PRESET}},
    "audit": {
        "audit": {"enabled": True},
        "privacy": {"labels": ["namespace", "team"]},
    },
    "audit-kept": {
        "audit": {
            "enabled": True,
            "schedule": "@daily",
            "timeZone": "Europe/Paris",
            "days": 30,
            "formats": ["html", "json"],
            "existingClaim": "reports",
            "retentionDays": 90,
        },
        "namespaces": ["served-a", "served-b"],
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "runAsUser": None,
    },
    "pods": {
        "image": {"repository": "registry.example/trimtab", "tag": "1", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "replicas": 1,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "infra"},
        "priorityClassName": "system-cluster-critical",
        "serviceAccount": {"annotations": {"c": "d"}},
        "knobs": {"envAllowList": ["BATCH_SIZE"]},
    },
}


class HelmError(Exception):
    """Helm refused; the text is what it said."""


@cache
def program(name: str) -> Path:
    """Path of a program of the test bed, built if need be."""
    (path,) = build([name])
    return path


def render(values: Values | None = None, *arguments: str, release: str = "trimtab") -> list[Manifest]:
    """The objects of the chart, in Helm's order. Raises HelmError."""
    text = helm("template", release, CHART, "--namespace", NAMESPACE, *arguments, values=values)
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document is not None]


@cache
def rendered(case: str) -> tuple[Manifest, ...]:
    """The objects of one of CASES, rendered once; not to be changed."""
    return tuple(render(CASES[case]))


def of_kind(manifests: Sequence[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The one object of a kind (and name)."""
    (found,) = [m for m in manifests if m["kind"] == kind and name in (None, m["metadata"]["name"])]
    return found


def helm(*arguments: str | Path, values: Values | None = None, bed: Bed | None = None) -> str:
    """Run Helm and return its standard output. Raises HelmError."""
    with tempfile.TemporaryDirectory() as folder:
        home = {f"HELM_{kind}_HOME": str(bed.path("helm", kind) if bed else Path(folder, kind)) for kind in _HOMES}
        command: list[str] = [str(program("helm")), *map(str, arguments)]
        if values is not None:
            file = Path(folder, "values.yaml")
            file.write_text(json.dumps(values))
            command += ["--values", str(file)]
        if bed is not None:
            command += ["--kubeconfig", str(bed.kubeconfig)]
        env = {**os.environ, **home}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise HelmError(done.stderr)
    return done.stdout


_HOMES = ("CACHE", "CONFIG", "DATA")
