"""`trimtab lab vertical`: what it prints and writes, and how it fails."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from trimtab.cli.lab import spread
from trimtab.cli.main import main
from trimtab.decide.settings import Settings
from trimtab.lab.report.progress import Bar
from trimtab.lab.vertical import command
from trimtab.lab.vertical.generated import families

ROW = ["trace", "resource", "policy", "slack", "overrun", "overrun_depth", "ooms", "changes_per_day"]


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """One recording of CPU with a hostile name, one of memory, and a file of another kind."""
    folder = tmp_path / "traces"
    (folder / "usage").mkdir(parents=True)
    random = np.random.default_rng(1)
    for name, level in (("web<b>&", 40.0), ("mem-web", 2e9)):
        values = level * (1 + 0.3 * np.sin(np.arange(600) / 46) + random.exponential(0.1, 600))
        text = "".join(f"{300 * i},{value:.6g}\n" for i, value in enumerate(values))
        (folder / "usage" / f"{name}.csv").write_text("ts,value\n" + text)
    (folder / "usage" / "notes.md").write_text("x")
    return folder


@pytest.fixture(autouse=True)
def fewer_families(monkeypatch: pytest.MonkeyPatch) -> None:
    steady = families([1])[0]
    short = replace(steady, times=steady.times[:1200], values=steady.values[:1200])
    monkeypatch.setattr(command, "families", lambda: [short])


def lab(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["lab", "vertical", *map(str, words)])


PEERS = [word for name in ("krr", "static-max", "vpa") for word in ("--policy", name)]


def test_rows_have_exactly_the_promised_keys_and_generated_memory_stands_apart(traces: Path, tmp_path: Path) -> None:
    file = tmp_path / "v.json"
    done = lab("--traces", traces, "--json", file, *PEERS)
    assert done.exit_code == 0, done.output
    found = json.loads(file.read_text("utf-8"))
    assert all(list(row) == ROW for row in [*found["rows"], *found["generated"]["rows"]])
    assert {row["trace"] for row in found["rows"]} == {"web<b>&", "mem-web"}
    assert [row["policy"] for row in found["rows"][:3]] == ["krr", "static-max", "vpa"]
    assert {row["trace"] for row in found["generated"]["rows"]} == {"generated/steady-1"}
    assert found["skipped"] == [{"file": "usage/notes.md", "why": "not a .csv file"}]
    assert {(t["resource"], t["policy"]) for t in found["totals"]} == {
        (resource, policy) for resource in ("cpu", "memory") for policy in ("krr", "static-max", "vpa")
    }


def test_the_same_recordings_give_the_same_bytes(traces: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("1.json", "1.html", "2.json", "2.html")]
    for json_file, html_file in (files[:2], files[2:]):
        assert lab("--traces", traces, "--json", json_file, "--html", html_file, *PEERS).exit_code == 0
    assert files[0].read_bytes() == files[2].read_bytes()
    assert files[1].read_bytes() == files[3].read_bytes()


def test_the_table_names_every_recording_and_what_was_skipped(traces: Path) -> None:
    done = lab("--traces", traces, *PEERS)
    for text in ("web<b>&", "mem-web", "generated/steady-1", "usage/notes.md", "static-max", "÷vpa"):
        assert text in done.output
    assert done.output.splitlines()[-1] == f"Settings {Settings().digest()}"


def test_trimtabs_own_policies_give_the_same_bytes_twice(traces: Path, tmp_path: Path) -> None:
    files = [tmp_path / "1.json", tmp_path / "2.json"]
    for file in files:
        done = lab("--traces", traces, "--json", file, "--policy", "trimtab")
        assert done.exit_code == 0, done.output
    assert files[0].read_bytes() == files[1].read_bytes()
    rows = json.loads(files[0].read_text("utf-8"))["rows"]
    assert [(row["trace"], row["policy"]) for row in rows] == [("mem-web", "trimtab"), ("web<b>&", "trimtab")]
    assert all(0 < row["slack"] < 2 for row in rows)


def test_the_bar_moves_within_a_policy_on_a_terminal_and_is_absent_elsewhere(
    traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: dict[str, list[float]] = {}
    part = Bar.part

    def noted(self: Bar, name: str, share: float) -> None:
        shares.setdefault(name, []).append(share)
        part(self, name, share)

    monkeypatch.setattr(Bar, "part", noted)
    few = ("--traces", traces, "--policy", "trimtab", "krr", "autopilot")
    silent = lab(*few)
    assert silent.exit_code == 0, silent.output
    assert silent.stderr == ""
    for name in ("trimtab", "krr", "autopilot"):
        of_cpu = shares[name][: shares[name].index(0.5)]
        assert len(of_cpu) >= 2
        assert of_cpu == sorted(of_cpu)
        assert 0 < of_cpu[0] < 0.5
        assert max(shares[name]) == 1.0
    monkeypatch.setenv("FORCE_COLOR", "1")
    watched = lab(*few[:-2])
    assert watched.exit_code == 0
    assert "trimtab on recordings" in watched.stderr
    assert "Settings" not in watched.stderr


def test_the_page_marks_overruns_and_kills(traces: Path, tmp_path: Path) -> None:
    file = tmp_path / "v.html"
    burst = [1.0] * 500 + [9.0] * 3 + [1.0] * 50 + [9.0] + [1.0] * 46
    for name in ("web", "mem-web"):
        text = "".join(f"{300 * i},{value * 1e9:.6g}\n" for i, value in enumerate(burst))
        (traces / "usage" / f"{name}.csv").write_text("ts,value\n" + text)
    (traces / "usage" / "web<b>&.csv").unlink()
    assert lab("--traces", traces, "--html", file, "--policy", "static-max").exit_code == 0
    page = file.read_text("utf-8")
    assert "<title>overruns: 2</title>" in page
    assert "<title>OOM kills: 4</title>" in page


def test_ratios_to_vpa_are_there_even_where_vpa_is_not_shown(traces: Path, tmp_path: Path) -> None:
    file = tmp_path / "v.json"
    assert lab("--traces", traces, "--json", file, "--policy", "krr").exit_code == 0
    found = json.loads(file.read_text("utf-8"))
    assert {row["policy"] for row in found["rows"]} == {"krr"}
    assert all(total["ratio_mean"] > 0 for total in found["totals"])


class Page(HTMLParser):
    """Counts elements, and what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, int] = {}
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.fetched += [value or "" for key, value in attrs if key in {"src", "href"}]
        if tag not in {"meta", "input", "rect", "path"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"rect", "path"}:
            assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_escapes_names(traces: Path, tmp_path: Path) -> None:
    file = tmp_path / "v.html"
    assert lab("--traces", traces, "--html", file, *PEERS).exit_code == 0
    text = file.read_text("utf-8")
    page = Page()
    page.feed(text)
    assert page.seen["svg"] == 3
    assert page.seen["table"] == 5
    assert not page.fetched
    assert "web<b>&" not in text
    assert "web&lt;b&gt;&amp;" in text
    assert 'name="viewport"' in text
    assert "nan" not in text.split("<script>")[0].split("<svg")[1]


def test_an_unknown_policy_is_a_usage_error_that_lists_the_known_ones(traces: Path) -> None:
    done = lab("--traces", traces, "--policy", "vpn")
    assert done.exit_code == 2
    assert "no policy 'vpn'; there are" in done.output
    assert "static-max" in done.output


def test_a_broken_line_ends_the_run_with_its_file_and_line(traces: Path) -> None:
    (traces / "usage" / "bad.csv").write_text("ts,value\n0,1\n60,what\n")
    done = lab("--traces", traces, *PEERS)
    assert done.exit_code == 1
    assert "bad.csv, line 3" in done.output


@pytest.mark.parametrize("made", ["nothing", "folder", "usage"])
def test_a_folder_without_recordings_says_what_to_do(tmp_path: Path, made: str) -> None:
    if made != "nothing":
        (tmp_path / "t" / ("usage" if made == "usage" else "")).mkdir(parents=True)
    done = lab("--traces", tmp_path / "t")
    assert done.exit_code == 1
    assert "Error: " in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_several_policies_may_follow_one_option(traces: Path, tmp_path: Path) -> None:
    file = tmp_path / "v.json"
    assert lab("--policy", "krr", "static-max", "--traces", traces, "--json", file).exit_code == 0
    assert {row["policy"] for row in json.loads(file.read_text("utf-8"))["rows"]} == {"krr", "static-max"}
    assert spread(["--policy", "a", "b", "c", "--json", "f"]) == [
        *["--policy", "a", "--policy", "b"],
        "--policy",
        "c",
        "--json",
        "f",
    ]
    assert spread(["--policy"]) == ["--policy"]


def test_the_group_lists_the_labs_that_are_there() -> None:
    done = CliRunner().invoke(main, ["lab", "--help"])
    assert done.exit_code == 0
    assert "vertical" in done.output
    assert CliRunner().invoke(main, ["lab", "diagonal"]).exit_code == 2
