"""Recordings that are too short, too coarse or too empty to learn from: every policy names a size, none gives up."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from trimtab.cli.main import main
from trimtab.lab.traces import DAY, ResourceName, Usage
from trimtab.lab.vertical import command
from trimtab.lab.vertical.policies import known
from trimtab.lab.vertical.replay import Replay, Told, replay_cpu, replay_memory
from trimtab.lab.vertical.scale import normalised
from trimtab.lab.vertical.score import score

NOISE = np.random.default_rng(5).uniform(1.0, 2.0, 40)
VALUES = {"two": NOISE[:2], "ten": NOISE[:10], "constant": np.ones(40), "zeros": np.zeros(40), "forty": NOISE}


def replayed(name: str, resource: ResourceName, times: np.ndarray, values: np.ndarray, step: float) -> Replay:
    usage, _ = normalised(Usage("made", resource, 1e9 + times, values, step))
    run = replay_cpu if resource == "cpu" else replay_memory
    (done,) = run(known()[name](), [usage])
    return done


@pytest.mark.parametrize("name", list(known()))
@pytest.mark.parametrize("resource", ["cpu", "memory"])
@pytest.mark.parametrize("step", [1.0, 15.0, 60.0, 300.0, 3600.0])
@pytest.mark.parametrize("kind", list(VALUES))
def test_every_policy_sizes_a_short_recording(name: str, resource: ResourceName, step: float, kind: str) -> None:
    values = VALUES[kind]
    row = score(replayed(name, resource, step * np.arange(len(values)), values, step))
    assert np.isfinite([row.slack, row.overrun, row.overrun_depth, row.changes_per_day]).all()


@pytest.mark.parametrize("name", list(known()))
@pytest.mark.parametrize("resource", ["cpu", "memory"])
@pytest.mark.parametrize("step", [1.0, 60.0, 3600.0])
def test_one_sample_is_replayed_and_not_scored(name: str, resource: ResourceName, step: float) -> None:
    done = replayed(name, resource, np.zeros(1), np.ones(1), step)
    assert done.levels.shape == (1,)
    assert not done.killed.any()


@pytest.mark.parametrize("name", list(known()))
@pytest.mark.parametrize("resource", ["cpu", "memory"])
def test_after_a_gap_longer_than_any_memory_there_is_still_a_size(name: str, resource: ResourceName) -> None:
    times = np.concatenate(([0.0], 40 * DAY + 300.0 * np.arange(30)))
    row = score(replayed(name, resource, times, NOISE[:31], 300.0))
    assert np.isfinite(row.slack)


@pytest.fixture(autouse=True)
def no_families(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "families", list)


def lab(folder: Path, files: dict[str, str]) -> Result:
    (folder / "usage").mkdir()
    for file, text in files.items():
        (folder / "usage" / file).write_text("ts,value\n" + text)
    return CliRunner().invoke(main, ["lab", "vertical", "--traces", str(folder)], catch_exceptions=False)


@pytest.mark.parametrize("step", [1, 60, 3600])
@pytest.mark.parametrize("prefix", ["", "mem-"])
def test_the_lab_runs_on_ten_samples_of_any_step(tmp_path: Path, step: int, prefix: str) -> None:
    text = "".join(f"{step * i},{value:.4f}\n" for i, value in enumerate(NOISE[:10]))
    done = lab(tmp_path, {f"{prefix}short.csv": text})
    assert done.exit_code == 0, done.output
    assert "autopilot" in done.output


def test_the_lab_skips_one_sample_by_name(tmp_path: Path) -> None:
    done = lab(tmp_path, {"one.csv": "0,1\n", "two.csv": "0,1\n60,2\n"})
    assert done.exit_code == 0, done.output
    assert "usage/one.csv" in done.output


def test_a_policy_that_gives_no_size_ends_the_run_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost:
        name = "lost"

        def cpu(self, usages: list[Usage], told: Told) -> list[np.ndarray]:
            return [np.full(len(usage), np.nan) for usage in usages]

    monkeypatch.setattr(command, "known", lambda: {"lost": Lost, **known()})
    done = lab(tmp_path, {"short.csv": "0,1\n60,2\n120,3\n"})
    assert done.exit_code == 1
    assert "lost gave the level nan" in done.output
