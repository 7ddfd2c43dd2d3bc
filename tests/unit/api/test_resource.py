"""Whatever is stored, reading it gives a resource or a list of problems, never an exception."""

import datetime
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.golden.manifests import change, good
from tests.golden.wrong_manifests import CONSTRAINTS, MONITORING
from trimtab.api.reasons import Reason
from trimtab.api.resource import MAX_PROBLEMS, Invalid, PerformanceConfig, parse_config
from trimtab.api.status import PerformanceConfigStatus

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=10), below, max_size=4),
    max_leaves=20,
)


def _paths(value: Any, path: str) -> list[str]:
    if isinstance(value, dict):
        below = [p for key, item in value.items() for p in _paths(item, f"{path}.{key}")]
    elif isinstance(value, list):
        below = [p for index, item in enumerate(value) for p in _paths(item, f"{path}[{index}]")]
    else:
        below = []
    return [path, *below]


PATHS = _paths(good()["spec"], "spec")


def test_a_good_resource_is_read_with_its_defaults() -> None:
    raw = good()
    raw["metadata"] |= {
        "namespace": "shop",
        "uid": "u-1",
        "generation": 3,
        "resourceVersion": "7",
        "annotations": {"trimtab.dev/pause": "true"},
    }

    config = parse_config(raw)

    assert isinstance(config, PerformanceConfig)
    assert (config.metadata.namespace, config.metadata.name) == ("shop", "rag-api")
    assert (config.metadata.generation, config.metadata.resource_version) == (3, "7")
    assert config.metadata.annotations == {"trimtab.dev/pause": "true"}
    assert config.spec.optimization.behavior.trial_seconds == 600
    assert config.status == PerformanceConfigStatus()


def test_an_object_from_before_a_stricter_schema_says_which_field_and_what_to_do() -> None:
    config = parse_config(change(good(), {f"{CONSTRAINTS}.replicas.min": 30, f"{MONITORING}.sampleRate": 4}))

    assert isinstance(config, Invalid)
    assert config.reason is Reason.SPEC_INVALID
    assert config.message == (f"{CONSTRAINTS}.replicas.min: replicas.min is above replicas.max; lower min or raise max")
    assert config.metadata.name == "rag-api"


def test_a_missing_field_is_named_with_its_remedy() -> None:
    config = parse_config({"metadata": {"name": "x"}, "spec": {"targetRef": {}}})

    assert isinstance(config, Invalid)
    assert config.message == "spec.targetRef.name: is required; add it"


def test_many_problems_make_one_short_message() -> None:
    config = parse_config(change(good(), {f"{MONITORING}.metrics": [{"name": "a b"}] * 30}))

    assert isinstance(config, Invalid)
    assert len(config.problems) == MAX_PROBLEMS
    assert config.message.endswith(f"and {MAX_PROBLEMS - 3} more")
    assert len(config.message) < 1024


@given(JSON)
def test_any_json_as_a_resource_is_survived(raw: Any) -> None:
    assert isinstance(parse_config(raw), Invalid)


@given(st.sampled_from(PATHS), JSON)
def test_any_json_in_any_field_is_survived(path: str, value: Any) -> None:
    result = parse_config(change(good(), {path: value}))

    if isinstance(result, Invalid):
        assert result.problems
        assert all(problem.field.startswith("spec") and problem.message for problem in result.problems)


@given(JSON, JSON)
def test_any_json_as_metadata_and_status_is_survived(metadata: Any, status: Any) -> None:
    result = parse_config({**good(), "metadata": metadata, "status": status})

    assert isinstance(result, PerformanceConfig)


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


@pytest.mark.parametrize(
    "value",
    [
        _deep(100_000),
        "x" * 1_000_000,
        "9" * 1_000_000,
        10**9,
        10**5000,
        -(2**70),
        math.nan,
        math.inf,
        "\ud800",
        "\x00",
        "\u202e",
        b"bytes",
        datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        {1: 2},
        {(1, 2): 3},
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "path", ["spec", "spec.monitoring", f"{MONITORING}.metrics", f"{MONITORING}.alerts[0].above", "status", "metadata"]
)
def test_hostile_values_are_survived(path: str, value: Any) -> None:
    assert isinstance(parse_config(change(good(), {path: value})), Invalid | PerformanceConfig)


@pytest.mark.parametrize("raw", [None, [], "text", 1, {}])
def test_what_is_no_object_is_told(raw: Any) -> None:
    config = parse_config(raw)

    assert isinstance(config, Invalid)
    assert "write spec with a targetRef" in config.message


def test_null_means_absent() -> None:
    config = parse_config(change(good(), {"spec.resources": None, f"{MONITORING}.sampleRate": None}))

    assert isinstance(config, PerformanceConfig)
    assert config.spec.monitoring.sample_rate == 4


def test_a_whole_number_with_a_point_is_a_whole_number() -> None:
    config = parse_config(change(good(), {f"{MONITORING}.sampleRate": 6.0}))

    assert isinstance(config, PerformanceConfig)
    assert config.spec.monitoring.sample_rate == 6


def test_a_status_of_another_version_is_begun_anew() -> None:
    config = parse_config({**good(), "status": {"conditions": "none", "replicas": 3}})

    assert isinstance(config, PerformanceConfig)
    assert config.status == PerformanceConfigStatus()


def test_a_status_comes_back_as_it_was_written() -> None:
    status = PerformanceConfigStatus.model_validate({"replicas": 3, "metrics": {"timing": {"totalLatency": "210m"}}})

    config = parse_config({**good(), "status": status.model_dump(mode="json", by_alias=True)})

    assert config.status == status


def test_a_text_that_is_too_long_for_the_status_is_cut_not_refused() -> None:
    status = PerformanceConfigStatus(summary="x" * 1000)

    assert len(status.summary) == 253
    assert status.summary.endswith("x…")
