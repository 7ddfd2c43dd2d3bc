"""Datasources: the Prometheus servers an administrator configured, and whose series a namespace may read there."""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

LABEL_NAME = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
HEADER_NAME = r"^[A-Za-z0-9-]{1,64}$"
# A subset on which RE2 (Prometheus) and Python's re agree; groups with (?…), escapes and stacked repeats do not.
_PATTERN = re.compile(r"^[A-Za-z0-9_:.*+?|()\[\]-]{1,256}$")
_OUTSIDE_SUBSET = re.compile(r"\(\?|[*+?][*+?]|\[\^?[^\]]*\[")
_RESERVED_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "authorization"}
)

LabelName = Annotated[str, Field(pattern=LABEL_NAME, max_length=128)]
HeaderName = Annotated[str, Field(pattern=HEADER_NAME)]


def _metric_pattern(pattern: str) -> str:
    if not _PATTERN.match(pattern) or _OUTSIDE_SUBSET.search(pattern):
        raise ValueError(
            f"metric pattern {pattern!r} goes beyond letters, digits, _ : . * + ? | ( ) [ ] -; "
            "use a plain anchored expression such as 'istio_.*'"
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"metric pattern {pattern!r} is no regular expression ({error}); correct it") from error
    return pattern


class _Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


class TenantLabels(_Model):
    """The labels by which a series belongs to a namespace, a pod and a container."""

    label: LabelName = "namespace"
    """Label that holds the Kubernetes namespace."""
    pod_label: LabelName = "pod"
    """Label that holds the pod's name."""
    container_label: LabelName = "container"
    """Label that holds the container's name."""


class TenancyOverride(_Model):
    """Metrics that carry their owner in other labels."""

    metric_pattern: Annotated[str, Field(min_length=1)]
    """Anchored regular expression over metric names, such as 'kube_.*'."""
    label: LabelName
    """Label that holds the Kubernetes namespace on these metrics."""
    pod_label: LabelName | None = None
    """Label that holds the pod; default: exported_pod where label starts with exported_, otherwise the usual one."""
    container_label: LabelName | None = None
    """Label that holds the container; default as for podLabel."""

    _check = field_validator("metric_pattern")(_metric_pattern)


class Tenancy(_Model):
    """Which label confines a namespace to its own series (RULES 20)."""

    label: LabelName = "namespace"
    """Label that holds the Kubernetes namespace, forced into every selector of every query."""
    pod_label: LabelName = "pod"
    """Label that holds the pod's name."""
    container_label: LabelName = "container"
    """Label that holds the container's name."""
    overrides: Annotated[tuple[TenancyOverride, ...], Field(max_length=32)] = ()
    """Metrics with other labels; the first match wins."""
    allow_unlabelled: Annotated[tuple[str, ...], Field(max_length=32)] = ()
    """Name patterns of recording rules without a tenant label that every namespace may read as they are."""

    @field_validator("allow_unlabelled")
    @classmethod
    def _check_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_metric_pattern(pattern) for pattern in patterns)

    @cached_property
    def _usual(self) -> TenantLabels:
        return TenantLabels(label=self.label, pod_label=self.pod_label, container_label=self.container_label)

    def labels_for(self, metric: str | None) -> TenantLabels | None:
        """The labels to force for one metric; None where the administrator allows it unlabelled.

        A selector that names no single metric (``metric`` None) gets the usual labels; ``overridden_names`` must
        then be shut out of it, because the usual label means something else on those metrics.
        """
        if metric is None:
            return self._usual
        if any(re.fullmatch(pattern, metric) for pattern in self.allow_unlabelled):
            return None
        for override in self.overrides:
            if re.fullmatch(override.metric_pattern, metric):
                exported = override.label.startswith("exported_")
                return TenantLabels(
                    label=override.label,
                    pod_label=override.pod_label or ("exported_pod" if exported else self.pod_label),
                    container_label=override.container_label
                    or ("exported_container" if exported else self.container_label),
                )
        return self._usual

    @cached_property
    def overridden_names(self) -> str:
        """Anchored RE2 alternation of all overridden metrics, empty when there are none."""
        return "|".join(f"(?:{override.metric_pattern})" for override in self.overrides)


class TenantHeader(_Model):
    """The header by which Mimir, Loki's family or Cortex choose a tenant."""

    name: HeaderName = "X-Scope-OrgID"
    """Header name."""
    value: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$")]
    """Tenant."""


class Datasource(_Model):
    """One Prometheus (or Thanos, Mimir, VictoriaMetrics) server. Only an administrator sets it: users name it."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name that spec.monitoring.datasource refers to."""
    url: Annotated[str, Field(max_length=2048)]
    """Base address, http or https, with a path prefix where there is one: https://mimir.example/prometheus."""
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    """A whole request, from connecting to the last byte."""
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 3.0
    """Connecting."""
    tenant_header: TenantHeader | None = None
    """Tenant header, for servers that need one."""
    bearer_token_file: Path | None = None
    """Mounted file with a bearer token; read again when it changes."""
    header_files: Annotated[dict[HeaderName, Path], Field(max_length=16)] = {}
    """Headers whose values stand in mounted files, such as an API key."""
    ca_file: Path | None = None
    """Mounted PEM file with the certificate authorities to trust."""
    client_cert_file: Path | None = None
    """Mounted PEM file with a client certificate (needs clientKeyFile)."""
    client_key_file: Path | None = None
    """Mounted PEM file with the client certificate's key."""
    insecure_skip_verify: bool = False
    """true trusts any certificate: for trials only."""
    tenancy: Tenancy = Tenancy()
    """How series are confined to a namespace."""
    scrape_interval_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """The longest scrape or rule interval of what is queried; samples older than two of these are stale."""
    max_queries_per_second: Annotated[float, Field(gt=0, le=10_000)] = 50.0
    """Rate limit."""
    max_concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Requests in flight."""
    max_response_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 32 << 20
    """Longest answer read, after decompression; a longer one is dropped."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            port_ok = parts.port is None or parts.port > 0
        except ValueError:
            parts, port_ok = urlsplit(""), False
        if parts.scheme not in {"http", "https"} or not parts.hostname or not port_ok:
            raise ValueError("a datasource's url must be http:// or https:// with a host; correct it")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a datasource's url can't hold credentials; use bearerTokenFile or headerFiles")
        if parts.query or parts.fragment or re.search(r"[\s\x00-\x1f\x7f]", url):
            raise ValueError("a datasource's url can't hold a query, a fragment or blanks; give the base address")
        return url.rstrip("/")

    @field_validator("header_files")
    @classmethod
    def _check_headers(cls, headers: dict[str, Path]) -> dict[str, Path]:
        for name in headers:
            if name.lower() in _RESERVED_HEADERS:
                raise ValueError(f"header {name} is set by Trimtab itself; use bearerTokenFile or another header")
        return headers

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if (self.client_cert_file is None) != (self.client_key_file is None):
            raise ValueError("clientCertFile and clientKeyFile come together; give both or neither")
        if self.insecure_skip_verify and self.ca_file is not None:
            raise ValueError("insecureSkipVerify makes caFile useless; drop one of them")
        return self
