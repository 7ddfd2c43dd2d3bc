"""Presets as data: ours are sound, an administrator's are checked and override ours."""

from pathlib import Path

import pytest

from trimtab.api.datasource import Tenancy
from trimtab.observe.errors import PresetError
from trimtab.observe.presets import PresetKind, load_presets
from trimtab.observe.promql import parse

OURS = load_presets()
NEEDED = {
    "http-server-p95", "http-server-rate", "http-server-inflight", "gen-ai-operation-p95", "gen-ai-token-usage-rate",
    "vllm-e2e-p95", "vllm-ttft-p95", "vllm-waiting", "vllm-running", "db-client-p95", "redis-hit-ratio",
    "pgvector-search-mean", "rag-retrieval-p95", "rag-generation-p95",
}  # fmt: skip
GOOD = """
name: mine
title: Mine
unit: seconds
better: Lower
source: https://example.com
kind: Quantile
metric: my_duration_seconds
quantile: 0.9
"""


def test_the_promised_presets_are_there() -> None:
    assert set(OURS) >= NEEDED


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_preset_is_documented_and_gives_one_confined_number(name: str) -> None:
    preset = OURS[name]
    assert preset.source.startswith("https://")
    query = parse(preset.promql(300.0))
    confined = query.confine(Tenancy(), "shop", None)
    assert confined.freshness is not None
    assert not query.is_scalar
    if preset.kind in {PresetKind.QUANTILE, PresetKind.RATIO, PresetKind.QUERY}:
        assert confined.traffic


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_file_is_named_after_its_preset(name: str) -> None:
    folder = Path(__file__).parents[3] / "operator/trimtab/observe/presets"
    assert (folder / f"{name}.yaml").is_file()


def test_the_names_are_those_that_exporters_use() -> None:
    assert OURS["http-server-p95"].promql() == (
        "histogram_quantile(0.95, sum by (le) (rate(http_server_request_duration_seconds_bucket[120s])))"
    )
    assert OURS["vllm-ttft-p95"].promql(60.0) == (
        "histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[60s])))"
    )
    assert OURS["redis-hit-ratio"].promql() == (
        "(sum(rate(redis_keyspace_hits_total[300s]))) / "
        "(sum(rate(redis_keyspace_hits_total[300s])) + sum(rate(redis_keyspace_misses_total[300s])))"
    )
    assert OURS["vllm-waiting"].promql() == "sum(vllm:num_requests_waiting)"
    assert OURS["rag-generation-p95"].promql().count('{gen_ai_operation_name="chat"}') == 1


def test_an_administrators_preset_adds_and_overrides_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yml").write_text(GOOD.replace("mine", "http-server-p95").replace("0.9", "0.5"))
    (tmp_path / "README.md").write_text("not a preset")
    presets = load_presets(tmp_path)
    assert presets["mine"].promql(60.0) == (
        "histogram_quantile(0.9, sum by (le) (rate(my_duration_seconds_bucket[60s])))"
    )
    assert presets["http-server-p95"].quantile == 0.5
    assert len(presets) == len(OURS) + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no mapping"),
        ("- a\n", "no mapping"),
        ("a: [", "not readable as YAML"),
        ("a: !!python/object/apply:os.system [true]", "not readable as YAML"),
        (GOOD.replace("name: mine\n", ""), "name: Field required"),
        (GOOD.replace("name: mine", "name: My Metric"), "name: "),
        (GOOD.replace("Lower", "Smaller"), "better: "),
        (GOOD + "surprise: 1\n", "surprise: Extra"),
        (GOOD.replace("quantile: 0.9\n", ""), "needs quantile"),
        (GOOD.replace("0.9", "95"), "quantile: "),
        (GOOD + "query: up\n", "can't have query"),
        (GOOD.replace("my_duration_seconds", "a{b='c'}"), "metric: "),
        (GOOD + "group: latency\n", "group: "),
        (
            GOOD.replace("Quantile", "Query").replace("metric: my_duration_seconds\nquantile: 0.9", "query: 'up['"),
            "no PromQL",
        ),
        (
            GOOD.replace("Quantile", "Query").replace("metric: my_duration_seconds\nquantile: 0.9", "query: up[5m]"),
            "range of",
        ),
        (
            GOOD.replace("Quantile", "Query").replace("metric: my_duration_seconds\nquantile: 0.9", "query: up")
            + "matchers: {a: b}\n",
            "can't have matchers",
        ),
        ("x" * 70_000, "longer than"),
    ],
)
def test_a_wrong_preset_names_its_file_the_field_and_the_remedy(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(PresetError) as caught:
        load_presets(tmp_path)
    assert str(caught.value).startswith("wrong.yaml: ")
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(PresetError, match="not readable"):
        load_presets(tmp_path)


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    with pytest.raises(PresetError, match="another file already has a preset mine"):
        load_presets(tmp_path)


def test_a_folder_that_is_not_mounted_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="check the mount"):
        load_presets(tmp_path / "absent")


def test_a_query_preset_takes_the_window(tmp_path: Path) -> None:
    text = GOOD.replace("Quantile", "Query").replace(
        "metric: my_duration_seconds\nquantile: 0.9", "query: sum(rate(a[{{window}}]))"
    )
    (tmp_path / "q.yaml").write_text(text)
    preset = load_presets(tmp_path)["mine"]
    assert (preset.promql(), preset.promql(30.0)) == ("sum(rate(a[120s]))", "sum(rate(a[30s]))")
    assert not preset.by_pod
