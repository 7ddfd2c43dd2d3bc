"""`trimtab lab horizontal`: rows, totals, files, resuming."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.unit.lab.horizontal.cases import waves
from trimtab.lab.horizontal import command, tasks
from trimtab.lab.horizontal.command import horizontal
from trimtab.lab.horizontal.figures import plots
from trimtab.lab.horizontal.roster import HPAS, POLICIES, needed
from trimtab.lab.horizontal.score import Row, best_hpa, completed, totals
from trimtab.lab.horizontal.tasks import Finished, Kept, Part, parts, run_all, run_part
from trimtab.lab.traces import Arrivals

FEW = ("--service", "two-10", "--startup-seconds", "45", "--policy", "hpa-70", "--policy", "keda-rps")


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    folder = tmp_path / "traces" / "rps"
    folder.mkdir(parents=True)
    rates = waves(12).rate
    lines = [f"2026-01-01 00:{minute:02},{round(60 * rate)}" for minute, rate in enumerate(rates)]
    (folder / "waves.csv").write_text("time,count\n" + "\n".join(lines) + "\n")
    (folder / "steady.txt").write_text("50\n" * 600)
    (folder / "notes.md").write_text("not a recording\n")
    return folder.parent


def lab(*arguments: str | Path) -> Result:
    given = [str(argument) for argument in ("--processes", "1", *arguments)]
    return CliRunner().invoke(horizontal, given, catch_exceptions=False)


def test_it_prints_rows_and_totals_and_names_what_was_skipped(traces: Path) -> None:
    result = lab("--traces", traces, *FEW)
    assert result.exit_code == 0, result.output
    for text in ("waves", "steady", "hpa-70", "keda-rps", "Totals", "notes.md", "Settings"):
        assert text in result.output
    assert "oracle" not in result.output.replace("Oracle's", "").replace("/oracle", "")


def test_the_json_has_the_rows_asked_for_and_the_same_bytes_every_time(traces: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.json", "b.json", "c.json")]
    for file, processes in zip(files, ("1", "1", "2"), strict=True):
        assert lab("--traces", traces, *FEW, "--json", file, "--processes", processes).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes() == files[2].read_bytes()
    document = json.loads(files[0].read_text())
    rows = document["rows"]
    assert [(row["trace"], row["policy"]) for row in rows] == [
        (trace, policy) for trace in ("steady", "waves") for policy in ("hpa-70", "keda-rps")
    ]
    assert set(rows[0]) == {
        "trace",
        "service",
        "seed",
        "policy",
        "startup_seconds",
        "violations",
        "pod_hours",
        "core_hours",
        "oracle_pod_hours",
        "changes_per_day",
    }
    assert all(0 < row["oracle_pod_hours"] < row["pod_hours"] for row in rows)
    assert [total["policy"] for total in document["totals"]] == ["hpa-70", "keda-rps"]
    assert document["totals"][0]["pods_to_hpa70"] == 1.0
    assert document["skipped"] == [{"file": "rps/notes.md", "why": "neither a .txt nor a .csv file"}]


def test_hpa_best_is_run_and_shown_without_the_hpas_it_is_chosen_from(traces: Path, tmp_path: Path) -> None:
    lab(
        "--traces",
        traces,
        "--service",
        "two-10",
        "--startup-seconds",
        "45",
        "--policy",
        "hpa-best",
        "--json",
        tmp_path / "j",
    )
    rows = json.loads((tmp_path / "j").read_text())["rows"]
    assert {row["policy"] for row in rows} == {"hpa-best"}


def test_the_page_stands_alone_and_has_two_plots_a_case(traces: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert lab("--traces", traces, *FEW, "--html", page).exit_code == 0
    text = page.read_text()
    assert text.count("<svg") == 4
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text


def test_minutes_that_were_late_are_marked_after_the_warm_up_only() -> None:
    made = Finished(
        row("hpa-70", 0.1, 10.0),
        {
            "requests": [60.0] * 8,
            "violations": [0.5, 0.0, 0.0, 0.02, 0.005, 0.0, 0.3, 0.0],
            "replicas": [2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0],
            "ready": [2.0] * 8,
        },
    )
    pods, share = plots([made], ("hpa-70",))
    (mark,) = pods.marks
    assert (mark.name, mark.label) == ("hpa-70", "minutes over 1%")
    assert (mark.times.tolist(), mark.values.tolist()) == ([180.0, 360.0], [2.0, 4.0])
    assert not share.marks


def test_seeds_services_and_start_ups_multiply(traces: Path, tmp_path: Path) -> None:
    chosen = ("--service", "two-10", "--service", "random-10", "--seed", "0", "--seed", "1", "--startup-seconds", "30")
    lab("--traces", traces, *chosen, "--policy", "static-peak", "--json", tmp_path / "j")
    rows = json.loads((tmp_path / "j").read_text())["rows"]
    assert len(rows) == 2 * 2 * 2
    assert {row["startup_seconds"] for row in rows} == {30.0}


def test_a_full_run_keeps_finished_cases_beside_the_json_and_resumes_from_them(
    traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated: list[Part] = []

    def counted(part: Part, told: Callable[[float], None]) -> list[Finished]:
        simulated.append(part)
        return run_part(part, told)

    monkeypatch.setattr(tasks, "run_part", counted)
    given = ("--traces", traces, "--full", *FEW, "--seed", "0", "--json", tmp_path / "a.json")
    first = lab(*given)
    assert first.exit_code == 0, first.output
    assert "kept in" in first.output
    kept = tmp_path / "a.json.rows"
    assert len(kept.read_text().splitlines()) == len(simulated) == 2
    bytes_of_first = (tmp_path / "a.json").read_bytes()

    kept.write_text(kept.read_text().splitlines()[0] + "\n" + '{"part": "half-writ')  # as a stopped run leaves it
    assert lab(*given).exit_code == 0
    assert len(simulated) == 3
    assert lab(*given).exit_code == 0
    assert len(simulated) == 3
    assert (tmp_path / "a.json").read_bytes() == bytes_of_first


def test_a_full_run_without_a_file_says_that_it_cannot_be_resumed(traces: Path, tmp_path: Path) -> None:
    full = ("--traces", traces, "--full", *FEW, "--seed", "0")
    assert "can't be resumed. Name --json FILE or --resume FILE" in lab(*full).output
    assert f"kept in {tmp_path / 'rows'}" in lab(*full, "--resume", tmp_path / "rows").output.replace("\n", "")
    assert "resume" not in lab("--traces", traces, *FEW).output


@pytest.mark.parametrize(
    ("broken", "says"),
    [("waves.csv", "no number"), ("steady.txt", "no number")],
)
def test_a_broken_recording_is_an_error_with_its_line(traces: Path, broken: str, says: str) -> None:
    file = traces / "rps" / broken
    lines = file.read_text().splitlines()
    lines[4] = lines[4].rpartition(",")[0] + "," * ("," in lines[4]) + "many"
    file.write_text("\n".join(lines) + "\n")
    result = lab("--traces", traces, *FEW)
    assert result.exit_code == 1
    assert f"{broken}, line 5" in result.output.replace("\n", " ")
    assert says in result.output


def test_a_missing_folder_and_an_empty_one_are_errors(tmp_path: Path) -> None:
    assert "no such folder" in lab("--traces", tmp_path / "nowhere").output
    (tmp_path / "rps").mkdir()
    result = lab("--traces", tmp_path)
    assert result.exit_code == 1
    assert "holds no recording" in result.output


def test_a_silent_recording_is_skipped_by_name(traces: Path) -> None:
    (traces / "rps" / "silent.txt").write_text("0\n" * 600)
    assert "rps/silent.txt: holds no arrivals" in lab("--traces", traces, *FEW).output


def test_two_recordings_of_one_name_are_two_cases_with_loads_of_their_own(traces: Path, tmp_path: Path) -> None:
    (traces / "rps" / "waves.txt").write_text("50\n" * 600)
    (traces / "rps" / "steady.txt").unlink()
    assert lab("--traces", traces, *FEW, "--json", tmp_path / "j").exit_code == 0
    document = json.loads((tmp_path / "j").read_text())
    hours = {row["trace"]: row["pod_hours"] for row in document["rows"] if row["policy"] == "hpa-70"}
    assert set(hours) == {"waves.csv", "waves.txt"}
    assert hours["waves.csv"] != hours["waves.txt"]
    assert document["totals"][0]["cases"] == 2


def recordings() -> list[Arrivals]:
    return [waves(8, "a"), waves(8, "b"), waves(24, "c")]


def test_parts_hold_every_case_once_and_weigh_about_the_same() -> None:
    made = parts(recordings(), ("two-10",), (0, 1), (45.0, 150.0), ("hpa-70",))
    assert len(made) == 4
    seen = sorted((a.name, startup, part.seed) for part in made for a, startup in part.cases)
    assert seen == sorted((n, s, seed) for n in "abc" for s in (45.0, 150.0) for seed in (0, 1))
    weights = [part.weight for part in made]
    assert max(weights) < 1.5 * min(weights)


def test_finished_parts_are_not_run_again_and_a_torn_line_is(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    made = parts(recordings()[:2], ("two-10",), (0,), (45.0,), ("hpa-70", "oracle"))
    first = run_all(made, Kept(file), processes=1)
    assert [Kept(file).of(part.digest()) is not None for part in made] == [True, True]
    told: list[float] = []
    assert run_all(made, Kept(file), told.append, processes=1) == first
    assert told == []
    lines = file.read_text().splitlines()
    file.write_text(lines[0] + "\n" + lines[1][:100])
    assert [Kept(file).of(part.digest()) is not None for part in made] == [True, False]
    assert run_all(made, Kept(file), processes=1) == first


def test_a_part_of_other_options_or_other_data_is_another_part() -> None:
    def digest(arrivals: Sequence[Arrivals], startup: float = 45.0, policy: str = "hpa-70", seed: int = 0) -> str:
        return parts(arrivals, ("two-10",), (seed,), (startup,), (policy,))[0].digest()

    base = digest([waves()])
    changed = Arrivals("waves", waves().rate + 1e-6, 60.0)
    others = [
        digest([changed]),
        digest([waves()], 46.0),
        digest([waves()], policy="hpa-75"),
        digest([waves()], seed=1),
    ]
    assert base == digest([waves()])
    assert len({base, *others}) == 5


def test_progress_of_a_part_rises_to_the_whole() -> None:
    (part,) = parts([waves(12)], ("two-10",), (0,), (45.0,), ("hpa-70", "oracle"))
    told: list[float] = []
    run_part(part, told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def row(policy: str, violations: float, hours: float, changes: float = 100.0, trace: str = "a") -> Row:
    return Row(trace, "two-40", 0, policy, 45.0, violations, hours, hours, 8.0, changes)


def test_hpa_best_is_the_cheapest_within_one_percent_else_the_one_with_fewest_violations() -> None:
    within = [row("hpa-50", 0.0, 20), row("hpa-70", 0.01, 14), row("hpa-80", 0.011, 12), row("keda-rps", 0.0, 5)]
    assert best_hpa(within) == within[1]
    beyond = [row("hpa-50", 0.03, 20), row("hpa-70", 0.02, 14), row("hpa-80", 0.2, 12)]
    assert best_hpa(beyond) == beyond[1]
    assert best_hpa([row("keda-rps", 0.0, 5)]) is None


def test_totals_count_cases_and_compare_with_hpa_70_hpa_best_and_the_oracle() -> None:
    rows = [
        *(row("hpa-70", v, h, 50.0, t) for t, v, h in (("a", 0.0, 10), ("b", 0.05, 10))),
        *(row("hpa-60", 0.0, h, 100.0, t) for t, h in (("a", 12), ("b", 16))),
        *(row("oracle", 0.005, 8, 10.0, t) for t in "ab"),
    ]
    everything = completed(rows, POLICIES)
    found = {total.policy: total for total in totals(everything, POLICIES)}
    assert (found["hpa-70"].over_budget, found["hpa-70"].worst) == (1, 0.05)
    assert found["hpa-60"].pods_to_hpa70 == pytest.approx((1.2 * 1.6) ** 0.5)
    assert found["hpa-60"].changes_to_hpa70 == 2.0
    assert found["hpa-best"].pods_to_oracle == pytest.approx((10 / 8 * 16 / 8) ** 0.5)
    assert found["hpa-60"].pods_to_best == pytest.approx(1.2**0.5)


def test_what_is_shown_decides_what_is_simulated() -> None:
    assert needed(("keda-rps",)) == ("hpa-70", "keda-rps", "oracle")
    assert set(needed(("hpa-best",))) == {*HPAS, "oracle"}
    assert "hpa-best" not in needed(POLICIES)


def test_rates_of_one_length_of_zero_minutes_still_score() -> None:
    short = Arrivals("short", np.full(30, 5.0), 1.0)
    (part,) = parts([short], ("two-10",), (0,), (45.0,), ("hpa-70", "oracle"))
    finished = run_part(part)
    assert [one.row.policy for one in finished] == ["hpa-70", "oracle"]
    assert all(np.isfinite(one.row.changes_per_day) for one in finished)


def test_a_worker_that_died_is_an_error_with_a_remedy(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def died(*_: object, **__: object) -> None:
        raise BrokenProcessPool

    monkeypatch.setattr(command, "run_all", died)
    result = lab("--traces", traces, *FEW)
    assert result.exit_code == 1
    assert "--processes 1" in result.output
