"""Built-in measurements: their PromQL, and how results are sorted by container."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.api.answers import AnswerKind
from trimtab.api.datasource import Tenancy, TenancyOverride
from trimtab.observe.builtin import (
    BACKFILL_STEP_SECONDS,
    BY_POD,
    Builtin,
    backfill_chunks,
    backfill_query,
    builtin_query,
    history,
    readings,
)
from trimtab.observe.promql import parse
from trimtab.observe.source import Sample, Series

# Names that a kubelet serves at /metrics/cadvisor, recorded on cgroup v1 and on v2 (what only one of them has left in).
CGROUP_V1 = {
    "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total",
    "container_cpu_cfs_throttled_seconds_total", "container_cpu_usage_seconds_total", "container_fs_reads_bytes_total",
    "container_fs_usage_bytes", "container_fs_writes_bytes_total", "container_memory_failcnt",
    "container_memory_working_set_bytes", "container_network_receive_bytes_total",
    "container_network_transmit_bytes_total", "container_oom_events_total",
}  # fmt: skip
CGROUP_V2 = (CGROUP_V1 - {"container_memory_failcnt"}) | {"container_pressure_cpu_waiting_seconds_total"}


@pytest.mark.parametrize("builtin", list(Builtin))
def test_every_query_is_promql_confined_to_the_namespace_and_leaves_the_pause_container_out(builtin: Builtin) -> None:
    text = builtin_query(builtin, Tenancy(), "shop", 60.0).text
    query = parse(text)
    assert query.confine(Tenancy(), "shop", None).text.count('namespace="shop"') == 2 * text.count('namespace="shop"')
    if builtin in BY_POD:
        assert 'interface!="lo"' in text
    else:
        assert 'container!="",container!="POD"' in text
    assert 'pod!=""' in text


@pytest.mark.parametrize("names", [CGROUP_V1, CGROUP_V2])
def test_the_metrics_exist_on_both_cgroup_versions(names: set[str]) -> None:
    for builtin in Builtin:
        if builtin is not Builtin.RESTARTS:
            assert parse(builtin_query(builtin, Tenancy(), "shop", 60.0).text).metric_names <= names


def test_a_namespace_is_written_as_data() -> None:
    text = builtin_query(Builtin.CPU, Tenancy(), 'a"} or up{b="', 60.0).text
    assert parse(text).metric_names == {"container_cpu_usage_seconds_total"}


def test_restarts_follow_the_labels_of_kube_state_metrics() -> None:
    tenancy = Tenancy(overrides=(TenancyOverride(metric_pattern="kube_.*", label="exported_namespace"),))
    query = builtin_query(Builtin.RESTARTS, tenancy, "shop", 60.0)
    assert query.text.startswith("max by (exported_pod, exported_container)")
    sample = Sample({"exported_pod": "web-1", "exported_container": "app"}, 2.0, 0.0)
    assert readings(query, [sample]).values == {("web-1", "app"): 2.0}


def test_a_metric_that_is_exempt_from_tenancy_is_refused() -> None:
    with pytest.raises(ValueError, match="allowUnlabelled"):
        builtin_query(Builtin.CPU, Tenancy(allow_unlabelled=("container_.*",)), "shop", 60.0)


def sample(pod: str, container: str, value: float) -> Sample:
    return Sample({"pod": pod, "container": container}, value, 0.0)


def test_only_finite_numbers_are_values_and_every_container_has_a_kind() -> None:
    query = builtin_query(Builtin.CPU, Tenancy(), "shop", 60.0)
    result = readings(query, [sample("a", "x", 0.0), sample("b", "x", math.nan), sample("c", "x", math.inf)])
    assert result.values == {("a", "x"): 0.0}
    assert result.kinds == {
        ("a", "x"): AnswerKind.VALUE,
        ("b", "x"): AnswerKind.NAN,
        ("c", "x"): AnswerKind.INF,
    }


def test_no_periods_to_throttle_is_no_traffic() -> None:
    query = builtin_query(Builtin.THROTTLED, Tenancy(), "shop", 60.0)
    assert readings(query, [sample("a", "x", math.nan)]).kinds == {("a", "x"): AnswerKind.NO_TRAFFIC}


def test_a_container_that_comes_twice_is_ambiguous() -> None:
    query = builtin_query(Builtin.CPU, Tenancy(), "shop", 60.0)
    result = readings(query, [sample("a", "x", 1.0), sample("a", "x", 2.0)])
    assert result.values == {}
    assert result.kinds == {("a", "x"): AnswerKind.AMBIGUOUS}


def test_a_container_remembered_from_before_is_stale() -> None:
    query = builtin_query(Builtin.CPU, Tenancy(), "shop", 60.0)
    sampled = {("a", "x"): 990.0, ("b", "x"): 950.0, ("c", "x"): 949.0}
    rows = [sample(pod, "x", 1.0) for pod in "abcd"]
    result = readings(query, rows, sampled, at=1000.0, scrape_interval=15.0)
    assert set(result.values) == {("a", "x"), ("b", "x")}
    assert result.kinds["c", "x"] is result.kinds["d", "x"] is AnswerKind.STALE


def test_network_is_by_pod_and_as_fresh_as_any_container_of_the_pod() -> None:
    query = builtin_query(Builtin.RECEIVED, Tenancy(), "shop", 60.0)
    rows = [Sample({"pod": "a"}, 5.0, 0.0), Sample({"pod": "b"}, 5.0, 0.0)]
    result = readings(query, rows, {("a", "x"): 1000.0, ("b", "x"): 1.0}, at=1000.0, scrape_interval=15.0)
    assert result.values == {("a", ""): 5.0}
    assert result.kinds["b", ""] is AnswerKind.STALE


def test_backfill_reads_five_minute_windows() -> None:
    assert "[300s]" in backfill_query(Builtin.CPU, Tenancy(), "shop").text
    assert "max_over_time" in backfill_query(Builtin.MEMORY, Tenancy(), "shop").text


@given(st.floats(1, 1e7), st.floats(-1e4, 1e7))
def test_backfill_chunks_cover_every_step_once_newest_first(start: float, length: float) -> None:
    step = BACKFILL_STEP_SECONDS
    chunks = backfill_chunks(start, start + length)
    points = [point for begin, end in chunks for point in np.arange(begin, end + 1, step)]
    assert len(points) == len(set(points))
    assert all(start <= point <= start + length for point in points)
    assert len(points) == max(0, math.floor((start + length) / step) - math.ceil(start / step) + 1)
    assert [begin for begin, _ in chunks] == sorted((begin for begin, _ in chunks), reverse=True)
    assert all((end - begin) / step < 288 for begin, end in chunks)


def test_history_leaves_out_what_is_not_finite() -> None:
    query = backfill_query(Builtin.CPU, Tenancy(), "shop")
    series = Series({"pod": "a", "container": "x"}, np.array([1.0, 2.0, 3.0]), np.array([1.0, math.nan, math.inf]))
    times, values = history(query, [series])["a", "x"]
    np.testing.assert_array_equal(times, [1.0])
    np.testing.assert_array_equal(values, [1.0])
