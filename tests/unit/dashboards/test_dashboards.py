"""The dashboards: as their generator says, in PromQL that parses, on metrics that exist."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from scripts.dashboards import DASHBOARDS, ROOT, files, main
from trimtab.record.metrics import OperatorMetrics

FILES = sorted((ROOT / "dashboards").glob("*.json"))


def panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in json.loads(path.read_text())["panels"] if panel["type"] != "row"]


QUERIES = [
    (path.stem, panel["title"], target["expr"])
    for path in FILES
    for panel in panels(path)
    for target in panel["targets"]
]


def concrete(query: str) -> str:
    """With the variables as Grafana puts values in."""
    return re.sub(r"\$\w+", "shop", query)


def test_the_files_are_as_the_generator_says() -> None:
    assert main(["--check"]) == 0
    assert {path.stem for path in FILES} == set(DASHBOARDS)
    assert len(files()) == 2 * len(DASHBOARDS)


@pytest.mark.parametrize(("dashboard", "title", "query"), QUERIES, ids=[f"{d}: {t}" for d, t, _ in QUERIES])
def test_every_panel_is_promql(dashboard: str, title: str, query: str) -> None:
    promql_parser.parse(concrete(query))


def test_every_metric_of_ours_is_one_that_the_operator_exports() -> None:
    exported = set()
    for metric in OperatorMetrics.create().registry.collect():
        exported |= {metric.name, f"{metric.name}_total"} if metric.type == "counter" else {metric.name}
        if metric.type == "histogram":
            exported |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    used = {name for _, _, query in QUERIES for name in re.findall(r"\btrimtab_[a-z_]+", query)}
    assert used <= exported, used - exported


@pytest.mark.parametrize(("dashboard", "title", "query"), QUERIES, ids=[f"{d}: {t}" for d, t, _ in QUERIES])
def test_no_panel_shows_a_number_where_nothing_is_known(dashboard: str, title: str, query: str) -> None:
    assert not re.search(r"\bvector\(", query), "without an operator this is a good number"
    for fallback in query.split(" or ")[1:]:
        assert "0 * max(trimtab_leader)" in fallback, "nothing happened: only while an operator says so"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_panel_without_series_says_so_in_words(path: Path) -> None:
    assert {panel["fieldConfig"]["defaults"]["noValue"] for panel in panels(path)} == {"No data"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_do_not_overlap_and_have_numbers_of_their_own(path: Path) -> None:
    board = json.loads(path.read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_panel_takes_the_datasource_that_the_viewer_chose(path: Path) -> None:
    board = json.loads(path.read_text())
    assert board["templating"]["list"][0]["type"] == "datasource"
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels(path))
