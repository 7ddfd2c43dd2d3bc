"""`trimtab lab loop`: the table, the files, what is refused."""

import json
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.unit.lab.loop.small import run, surge, trimtab
from trimtab.lab.loop import command
from trimtab.lab.loop.command import busiest, loop
from trimtab.lab.loop.figures import COLUMNS, hpa_best, plots
from trimtab.lab.loop.rivals import HpaPolicy
from trimtab.lab.loop.scenario import Window, scenarios
from trimtab.lab.traces import Arrivals

FEW = ("--scenario", "surge", "--policy", "trimtab", "--policy", "hpa-70")


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    folder = tmp_path / "traces" / "rps"
    folder.mkdir(parents=True)
    (folder / "steady.txt").write_text("50\n" * 240)
    (folder / "long.txt").write_text("50\n" * 8000)
    (folder / "notes.md").write_text("not a recording\n")
    return folder.parent


def lab(*arguments: str | Path, processes: int = 1) -> Result:
    given = [str(argument) for argument in ("--processes", processes, *arguments)]
    return CliRunner().invoke(loop, given, catch_exceptions=False)


def test_it_prints_a_row_for_every_policy_and_names_what_was_left_out(traces: Path) -> None:
    result = lab("--traces", traces, *FEW)
    assert result.exit_code == 0, result.output
    for text in ("steady", "trimtab", "hpa-70", "Over target", "notes.md", "long", "Settings"):
        assert text in result.output


def test_the_json_is_the_same_bytes_every_time_and_the_page_stands_alone(traces: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    page = tmp_path / "page.html"
    assert lab("--traces", traces, *FEW, "--json", files[0], "--html", page).exit_code == 0
    assert lab("--traces", traces, *FEW, "--json", files[1], processes=2).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    rows = json.loads(files[0].read_text())["rows"]
    assert [row["policy"] for row in rows] == ["trimtab", "hpa-70"]
    assert set(rows[0]) == {column.key for column in COLUMNS}
    text = page.read_text()
    assert "CPU limit of a pod" in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_of_a_long_recording_the_two_hours_around_its_busiest_minute_are_run() -> None:
    rate = np.ones(86400)
    rate[50000] = 9.0
    cut = busiest(Arrivals("day", rate, 1.0))
    assert len(cut.rate) == 7200
    assert int(np.argmax(cut.rate)) == pytest.approx(0.6 * 7200, abs=1)
    assert len(busiest(Arrivals("hour", rate[:3600], 1.0)).rate) == 3600


def test_a_folder_without_arrivals_is_an_error(traces: Path) -> None:
    for name in ("steady.txt", "long.txt"):
        (traces / "rps" / name).unlink()
    assert lab("--traces", traces, *FEW).exit_code == 1


def test_an_unknown_recording_is_an_error_that_names_those_that_are_there(traces: Path) -> None:
    result = lab("--traces", traces, "--trace", "nothing", *FEW)
    assert result.exit_code == 1
    assert "steady" in result.output


def test_a_broken_recording_is_an_error_with_its_line(traces: Path) -> None:
    (traces / "rps" / "steady.txt").write_text("50\nmany\n")
    result = lab("--traces", traces, *FEW)
    assert result.exit_code == 1
    assert "line 2" in result.output


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    assert lab("--traces", tmp_path / "nowhere", *FEW).exit_code == 1


def test_a_file_that_cannot_be_read_is_an_error(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "rps/steady.txt")

    monkeypatch.setattr(command, "read_arrivals", refused)
    result = lab("--traces", traces, *FEW)
    assert result.exit_code == 1
    assert "Permission denied: 'rps/steady.txt'" in result.output


def test_a_worker_that_died_is_an_error_with_a_remedy(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def died(*_: object) -> None:
        raise BrokenProcessPool

    monkeypatch.setattr(command, "run_all", died)
    result = lab("--traces", traces, *FEW)
    assert result.exit_code == 1
    assert "--processes 1" in result.output


def test_what_is_not_run_is_named_with_its_ending(traces: Path) -> None:
    (traces / "rps" / "silent.txt").write_text("0\n" * 240)
    said = lab("--traces", traces, *FEW).output
    assert "Skipped rps/silent.txt: holds no arrivals." in said
    assert "Skipped rps/long.txt: not named" in said


def test_hindsight_takes_the_cheapest_target_that_keeps_one_percent_over() -> None:
    some = run(HpaPolicy(70), surge(300))
    tried = [
        replace(some, policy="hpa-50", violations=0.002, core_hours=30.0),
        replace(some, policy="hpa-60", violations=0.009, core_hours=25.0),
        replace(some, policy="hpa-70", violations=0.02, core_hours=20.0),
    ]
    assert [hpa_best(tried), hpa_best(tried[2:]), hpa_best([])] == [tried[1], tried[2], None]


def test_the_plots_of_a_case_share_one_time_axis() -> None:
    found = plots([run(trimtab(), surge(600))])
    assert len({plot.times.tobytes() for plot in found}) == 1
    assert [plot.title.rpartition(": ")[2] for plot in found] == [
        "load",
        "latency",
        "CPU limit of a pod",
        "ready pods",
        "CPU requested",
        "share over the target",
    ]


def test_kills_loans_and_roll_outs_are_marked_where_they_cost_something() -> None:
    some = run(trimtab(), surge(300))
    zeros = np.zeros(len(some.series.time))
    kills, lent, revision = zeros.copy(), zeros.copy(), zeros.copy()
    kills[3], lent[5:9], revision[7:] = 2, 1.5, 1
    made = replace(some, series=replace(some.series, kills=kills, lent=lent, revision=revision))
    found = {
        plot.title.rpartition(": ")[2]: [(m.label, m.times.tolist()) for m in plot.marks] for plot in plots([made])
    }
    at = some.series.time
    assert found["CPU limit of a pod"] == [("loans", [at[5]])]
    assert found["ready pods"] == [("OOM kills", [at[3]]), ("roll-outs", [at[7]])]
    assert not found["latency"]


def test_kills_and_roll_outs_of_a_run_are_in_its_series() -> None:
    series = run(HpaPolicy(70), surge(300), hungry=Window(0.3, 1.0), deploy_at=0.5).series
    assert series.kills.sum() > 0
    assert series.revision[-1] == 1.0


def test_every_fault_is_a_scenario_of_its_own() -> None:
    made = scenarios()
    kinds = {made[name].metrics for name in made}
    assert {"lost", "nan", "zero", "tenfold", "late"} <= kinds
    assert {"node-full", "slow-start", "oom-loop", "deploy", "step"} <= made.keys()
