"""Objects read from a bed's API server over a connection that is kept.

A wait asks many times a second; a `kubectl` for each time would be a process and a TLS handshake, and most of what a
test run costs.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import urllib3

from testbed.bed import Bed
from testbed.run import BedError
from trimtab.kube.paths import resource_path

Json = dict[str, Any]
SECONDS = 60.0
"""For one answer, which is late only on a machine that is very busy."""
KINDS = {
    "pods": ("", "v1"),
    "deployments": ("apps", "v1"),
    "statefulsets": ("apps", "v1"),
    "leases": ("coordination.k8s.io", "v1"),
    "horizontalpodautoscalers": ("autoscaling", "v2"),
    "performanceconfigs": ("trimtab.dev", "v1alpha1"),
    "tuningprofiles": ("trimtab.dev", "v1alpha1"),
    "tuningcheckpoints": ("trimtab.dev", "v1alpha1"),
}


def one(bed: Bed, kind: str, namespace: str, name: str) -> Json:
    """An object; empty when it is not there. `kind` is a name of KINDS, or PLURAL.GROUP."""
    return _ask(bed, _path(bed, kind, namespace, name))


def several(bed: Bed, kind: str, namespace: str, selector: str = "") -> list[Json]:
    """The objects of a kind in a namespace."""
    found: list[Json] = _ask(bed, _path(bed, kind, namespace), {"labelSelector": selector}).get("items", [])
    return found


def _path(bed: Bed, kind: str, namespace: str, name: str | None = None) -> str:
    plural, _, group = kind.partition(".")
    if group:
        version = str(_ask(bed, f"/apis/{group}")["preferredVersion"]["version"])
    else:
        plural = plural if plural in KINDS else f"{plural}s"
        group, version = KINDS[plural]
    return resource_path(group, version, plural, namespace, name)


def _ask(bed: Bed, path: str, query: Mapping[str, str] | None = None) -> Json:
    pool = _pool(bed, bed.kubeconfig.stat().st_mtime_ns)
    try:
        answer = pool.request("GET", bed.api_url + path, fields=query, timeout=SECONDS)
    except urllib3.exceptions.HTTPError as error:
        raise BedError(f"The API server of bed {bed.name} did not answer {path}: {error}") from error
    if answer.status == 404:
        return {}
    if answer.status != 200:
        raise BedError(f"The API server of bed {bed.name} answered {path} with {answer.status}: {answer.data[:500]!r}")
    found: Json = json.loads(answer.data)
    return found


@cache
def _pool(bed: Bed, started: int) -> urllib3.PoolManager:
    """Connections as administrator; a bed that is started anew has new certificates."""
    context = ssl.create_default_context(cafile=str(bed.path("pki", "ca.crt")))
    context.load_cert_chain(bed.path("pki", "admin.crt"), bed.path("pki", "admin.key"))
    return urllib3.PoolManager(ssl_context=context)
