"""Parts of a report: numbers, JSON and plots."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from trimtab.lab.report.document import ReportError, encode, write
from trimtab.lab.report.page import LONG, page
from trimtab.lab.report.plot import COLUMNS, Line, Marks, Plot, svg
from trimtab.lab.report.tables import Column, Table, percent, plain, rate, ratio, show, terminal


@pytest.mark.parametrize(
    ("shown", "value", "text"),
    [
        (plain, 12345.678, "1.235e+04"),
        (plain, 7, "7"),
        (plain, None, "–"),
        (ratio, 0.12345, "0.123"),
        (ratio, None, "–"),
        (percent, 0.01234, "1.23%"),
        (rate, 1.005, "1.00"),
    ],
)
def test_numbers_read_like_this(shown: object, value: object, text: str) -> None:
    assert callable(shown)
    assert shown(value) == text


def test_json_holds_nine_digits_and_null_for_what_is_no_number() -> None:
    encoded = encode({"a": 1 / 3, "b": [float("nan"), float("inf")], "c": {"d": 2}, "é": (True,)})
    assert (
        encoded.decode()
        == '{\n "a": 0.333333333,\n "b": [\n  null,\n  null\n ],\n "c": {\n  "d": 2\n },\n "é": [\n  true\n ]\n}\n'
    )


def test_a_file_that_can_not_be_written_is_a_report_error(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="name a file in a folder that exists"):
        write(tmp_path / "no" / "a.json", b"")


def test_names_from_files_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("T [bold]", [Column("name", "[red]name", number=False)], [{"name": "[link]x"}, {"name": "y"}], "name")
    show(terminal(), table)
    printed = capsys.readouterr().out
    for text in ("T [bold]", "[red]name", "[link]x"):
        assert text in printed


def drawn(plot: Plot) -> ElementTree.Element:
    return ElementTree.fromstring(svg(plot, {"usage": "#888", "a&b": "#00f"}))


def plot_of(n: int) -> Plot:
    times = 60.0 * np.arange(float(n))
    usage = 1 + np.sin(np.arange(n) / 7) ** 2
    level = np.where(np.arange(n) % 50 < 25, 2.5, 3.0)
    lines = [Line("usage", usage, area=True), Line("a&b", level, shown=False)]
    marks = [Marks("a&b", "OOM kills", times[:2], level[:2])]
    return Plot("t<1>", times, lines, marks, "cores", shaded_until=120.0)


@pytest.mark.parametrize("n", [1, 2, 500, 20_000])
def test_a_plot_is_sound_xml_of_bounded_size(n: int) -> None:
    root = drawn(plot_of(n))
    names = [group.get("data-s") for group in root.iter("g")]
    assert names == ["usage", "a&b"]
    assert len(svg(plot_of(n), {})) < 60 * COLUMNS + 5000
    assert "nan" not in svg(plot_of(n), {})


def test_hidden_lines_are_hidden_with_their_marks() -> None:
    group = list(drawn(plot_of(100)).iter("g"))[1]
    assert group.get("style") == "display:none"
    assert [title.text for title in group.iter("title")] == ["OOM kills: 2"]


def test_of_many_events_one_a_pixel_is_drawn_and_all_are_counted() -> None:
    times = np.arange(20_000.0)
    marks = [Marks("a", "overruns", times, np.ones(20_000))]
    drawing = svg(Plot("p", times, [Line("a", np.ones(20_000))], marks), {})
    assert "<title>overruns: 20000</title>" in drawing
    assert len(drawing) < 60 * COLUMNS


def test_a_level_is_drawn_as_steps_and_unknown_ones_are_left_out() -> None:
    times = np.arange(6.0)
    levels = np.array([np.nan, 1.0, 1.0, 2.0, 2.0, 1.0])
    root = ElementTree.fromstring(svg(Plot("p", times, [Line("a", levels)]), {}))
    (group,) = root.iter("g")
    (path,) = group.iter("path")
    assert str(path.get("d")).count("V") == 2


def test_a_spike_survives_the_thinning() -> None:
    n = 50_000
    values = np.ones(n)
    values[31_234] = 10.0
    plot = Plot("p", np.arange(float(n)), [Line("usage", values, area=True)])
    path = next(iter(next(iter(ElementTree.fromstring(svg(plot, {})).iter("g"))).iter("path")))
    heights = {float(point.split(" ")[1]) for point in str(path.get("d"))[1:-1].split("L")}
    assert len(heights) == 3


@pytest.mark.parametrize(
    ("days", "labels"),
    [
        (14, ["Jan 16", "Jan 18", "Jan 20", "Jan 22", "Jan 24", "Jan 26", "Jan 28"]),
        (4, ["12:00", "Jan 16", "12:00", "Jan 17", "12:00", "Jan 18", "12:00", "Jan 19"]),
        (0.25, ["08:00", "09:00", "10:00", "11:00", "12:00", "13:00", "14:00"]),
    ],
)
def test_a_plot_with_a_start_has_dates_on_its_axis(days: float, labels: list[str]) -> None:
    times = np.linspace(0.0, days * 86400.0, 50)
    plot = Plot("p", times, [Line("usage", np.ones(50), area=True)], start=1_800_000_000.0)
    texts = [one.text for one in ElementTree.fromstring(svg(plot, {})).iter("text") if one.get("y") == "292"]
    assert texts == labels


def test_long_tables_are_folded_and_totals_are_not_searched() -> None:
    columns = [Column("name", "name", number=False)]
    many = Table("Many", columns, [{"name": str(number)} for number in range(LONG + 1)])
    few = Table("Few", columns, [{"name": "a"}], searched=False)
    made = page("T", ["note"], [few, many], [])
    assert '<details class="t"><summary>Many (31 rows)</summary><div class="scroll q">' in made
    assert '<h2>Few</h2><div class="scroll"><table>' in made


def test_nothing_known_is_an_empty_plot() -> None:
    assert "nan" not in svg(Plot("p", np.empty(0), [Line("a", np.empty(0)), Line("u", np.empty(0), area=True)]), {})
    flat = Plot("p", np.zeros(1), [Line("a", np.full(1, np.nan)), Line("u", np.zeros(1), area=True)])
    ElementTree.fromstring(svg(flat, {}))
