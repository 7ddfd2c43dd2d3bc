"""Built-in measurements per container and pod, one query a namespace each (RULES 22).

The metrics are cAdvisor's, as the kubelet serves them at /metrics/cadvisor
(https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md); their names are the same on cgroup v1 and
v2. Restarts are kube-state-metrics'. Every query has the tenant matcher of the datasource.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trimtab.api.answers import AnswerKind
from trimtab.api.datasource import Tenancy, TenantLabels
from trimtab.observe.selectors import Triple, duration, written
from trimtab.observe.source import Sample, Series

# Labels that differ between incarnations or parts of one container, and never between two containers.
_PARTS = "id, name, image, cpu, device, interface"
# cAdvisor stamps its samples itself and measures each container every 10 to 20 s (its pace and a jitter as long), apart
# from the scrape.
HOUSEKEEPING_SECONDS = 20.0
BACKFILL_STEP_SECONDS = 300.0
BACKFILL_CHUNK_POINTS = 288
Key = tuple[str, str]
"""Pod and container; the container is empty where a measurement is of the whole pod."""


class Builtin(StrEnum):
    """What is measured. The comment gives the unit."""

    CPU = "Cpu"
    """Cores used, mean over the window."""
    MEMORY = "Memory"
    """Working set, bytes, maximum over the window."""
    THROTTLED = "Throttled"
    """Share of CFS periods that were throttled, 0 to 1; no series for a container without a CPU limit."""
    OOM = "Oom"
    """Kills by the OOM killer in the window."""
    RESTARTS = "Restarts"
    """Restarts in the window."""
    FS_USAGE = "FsUsage"
    """Bytes on the writable layer and the logs."""
    FS_READS = "FsReads"
    """Bytes a second read."""
    FS_WRITES = "FsWrites"
    """Bytes a second written."""
    RECEIVED = "Received"
    """Bytes a second received, by pod; the node's for a pod on the host network."""
    TRANSMITTED = "Transmitted"
    """Bytes a second sent, by pod; the node's for a pod on the host network."""
    SAMPLED = "Sampled"
    """Unix time of the newest memory sample: tells a live container from a remembered one."""


BY_POD = frozenset({Builtin.RECEIVED, Builtin.TRANSMITTED})
_METRIC: dict[Builtin, str] = {
    Builtin.CPU: "container_cpu_usage_seconds_total",
    Builtin.MEMORY: "container_memory_working_set_bytes",
    Builtin.THROTTLED: "container_cpu_cfs_throttled_periods_total",
    Builtin.OOM: "container_oom_events_total",
    Builtin.RESTARTS: "kube_pod_container_status_restarts_total",
    Builtin.FS_USAGE: "container_fs_usage_bytes",
    Builtin.FS_READS: "container_fs_reads_bytes_total",
    Builtin.FS_WRITES: "container_fs_writes_bytes_total",
    Builtin.RECEIVED: "container_network_receive_bytes_total",
    Builtin.TRANSMITTED: "container_network_transmit_bytes_total",
    Builtin.SAMPLED: "container_memory_working_set_bytes",
}
_PERIODS = "container_cpu_cfs_periods_total"
_Shape = Callable[[Callable[[str], str], str, str], str]


def _rate(selector: Callable[[str], str], metric: str, window: str) -> str:
    return f"sum without ({_PARTS}) (rate({selector(metric)}[{window}]))"


def _increase(selector: Callable[[str], str], metric: str, window: str) -> str:
    return f"sum without ({_PARTS}) (increase({selector(metric)}[{window}]))"


def _throttled(selector: Callable[[str], str], metric: str, window: str) -> str:
    return f"{_rate(selector, metric, window)} / {_rate(selector, _PERIODS, window)}"


def _peak(selector: Callable[[str], str], metric: str, window: str) -> str:
    # max by (…) over incarnations: the remembered one of a restarted container must not be added to the live one.
    return f"max_over_time({selector(metric)}[{window}])"


def _total(selector: Callable[[str], str], metric: str, window: str) -> str:
    return f"sum without ({_PARTS}) ({selector(metric)})"


def _stamp(selector: Callable[[str], str], metric: str, window: str) -> str:
    return f"timestamp({selector(metric)})"


_SHAPE: dict[Builtin, _Shape] = {
    Builtin.CPU: _rate,
    Builtin.MEMORY: _peak,
    Builtin.THROTTLED: _throttled,
    Builtin.OOM: _increase,
    Builtin.RESTARTS: _increase,
    Builtin.FS_USAGE: _total,
    Builtin.FS_READS: _rate,
    Builtin.FS_WRITES: _rate,
    Builtin.RECEIVED: _rate,
    Builtin.TRANSMITTED: _rate,
    Builtin.SAMPLED: _stamp,
}


@dataclass(frozen=True)
class BuiltinQuery:
    """PromQL for one measurement of a whole namespace, and the labels that tell its results apart."""

    builtin: Builtin
    text: str
    labels: TenantLabels


def builtin_query(builtin: Builtin, tenancy: Tenancy, namespace: str, window: float) -> BuiltinQuery:
    """The query of one namespace over ``window`` seconds.

    Several scrapers of the same kubelet give the same container twice: the inner aggregation keeps their labels
    (job, instance, replica), the outer takes the largest, so that nothing is counted double. The pause container
    appears as ``POD`` or with an empty name, and is left out.

    Raises:
        ValueError: the administrator's allow-list exempts the metric from the tenant label.
    """
    metric = _METRIC[builtin]
    labels = tenancy.labels_for(metric)
    if labels is None:
        raise ValueError(f"allowUnlabelled must not match {metric}; take it off the datasource's list")

    def selector(name: str) -> str:
        matchers: list[Triple] = [(labels.label, "=", namespace), (labels.pod_label, "!=", "")]
        if builtin in BY_POD:
            matchers.append(("interface", "!=", "lo"))
        else:
            matchers += [(labels.container_label, "!=", ""), (labels.container_label, "!=", "POD")]
        return f"{name}{{{','.join(written(matcher) for matcher in matchers)}}}"

    inner = _SHAPE[builtin](selector, metric, duration(window))
    by = labels.pod_label if builtin in BY_POD else f"{labels.pod_label}, {labels.container_label}"
    return BuiltinQuery(builtin, f"max by ({by}) ({inner})", labels)


@dataclass(frozen=True)
class Readings:
    """Results by container. ``values`` holds the finite, fresh ones only; ``kinds`` says for every container that
    was seen what its answer was."""

    values: dict[Key, float]
    kinds: dict[Key, AnswerKind]


def readings(
    query: BuiltinQuery,
    samples: Iterable[Sample],
    sampled: Mapping[Key, float] | None = None,
    at: float = math.nan,
    scrape_interval: float = math.nan,
) -> Readings:
    """Sort a result of ``query`` by container.

    With ``sampled`` (the values of Builtin.SAMPLED), ``at`` and ``scrape_interval``, a container whose newest sample
    is older than two scrape intervals plus cAdvisor's own pace is STALE. Samples with explicit times, as cAdvisor's
    are, do not end when a container does: without this check a dead one lives on for five minutes.
    """
    values: dict[Key, float] = {}
    kinds: dict[Key, AnswerKind] = {}
    oldest = at - 2.0 * scrape_interval - HOUSEKEEPING_SECONDS
    live = None if sampled is None else {key for key, time in sampled.items() if not time < oldest}
    live_pods = None if live is None else {pod for pod, _ in live}
    for sample in samples:
        key = _key(query, sample.labels)
        if key in kinds:
            kinds[key] = AnswerKind.AMBIGUOUS
            values.pop(key, None)
            continue
        kinds[key] = kind = _kind(query, key, sample.value, live, live_pods)
        if kind is AnswerKind.VALUE:
            values[key] = sample.value
    return Readings(values, kinds)


def _key(query: BuiltinQuery, labels: Mapping[str, str]) -> Key:
    container = "" if query.builtin in BY_POD else labels.get(query.labels.container_label, "")
    return labels.get(query.labels.pod_label, ""), container


def _kind(query: BuiltinQuery, key: Key, value: float, live: set[Key] | None, live_pods: set[str] | None) -> AnswerKind:
    if live is not None and live_pods is not None:
        fresh = key[0] in live_pods if query.builtin in BY_POD else key in live
        if not fresh:
            return AnswerKind.STALE
    if math.isnan(value):
        # 0/0 periods: nothing ran in the window, so nothing was held back either.
        return AnswerKind.NO_TRAFFIC if query.builtin is Builtin.THROTTLED else AnswerKind.NAN
    return AnswerKind.INF if math.isinf(value) else AnswerKind.VALUE


def backfill_query(builtin: Builtin, tenancy: Tenancy, namespace: str) -> BuiltinQuery:
    """The query for range requests over history: CPU as rate[5m], memory as its 5-minute maximum, at a 5-minute
    step, so that every sample counts exactly once and no spike is averaged over an hour."""
    return builtin_query(builtin, tenancy, namespace, BACKFILL_STEP_SECONDS)


def backfill_chunks(start: float, end: float) -> list[tuple[float, float]]:
    """Parts (start, end) of a back-fill, newest first, a day each, on multiples of the step; no point twice."""
    step = BACKFILL_STEP_SECONDS
    first, last = math.ceil(start / step), math.floor(end / step)
    chunks = []
    while last >= first:
        begin = max(first, last - BACKFILL_CHUNK_POINTS + 1)
        chunks.append((begin * step, last * step))
        last = begin - 1
    return chunks


def history(
    query: BuiltinQuery, series: Iterable[Series]
) -> dict[Key, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Range results by container: times (Unix seconds) and values, points that are not finite left out."""
    columns: dict[Key, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for one in series:
        finite = np.isfinite(one.values)
        columns[_key(query, one.labels)] = (one.times[finite], one.values[finite])
    return columns
