"""The benches run by their paths, as a person would; and what the bench of a tick says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import tick
from trimtab.decide.settings import Settings

FILE = Path(tick.__file__)


def run(*words: str, cwd: Path, name: str = "tick") -> str:
    file = FILE.with_name(f"{name}.py")
    done = subprocess.run([sys.executable, str(file), *words], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_small_fleet_gives_time_memory_table_and_checkpoints(tmp_path: Path) -> None:
    sizes = ("--configs", "20", "--containers", "200", "--ticks", "2")
    found = json.loads(run(*sizes, "--json", "--no-day", cwd=tmp_path))
    assert {"tick_seconds_p50", "rss_mib", "table", "checkpoints"} <= found.keys()
    assert 0 < found["tick_seconds_p50"] < 60
    assert 10 < found["rss_mib"] < 2000
    (row,) = found["table"]
    assert (row["configs"], row["containers"], row["ticks"]) == (20, 200, 2)
    assert row["bytes_a_container"] > 0
    assert (found["checkpoints"]["count"], found["settings"]) == (20, Settings().digest())
    assert "writes" not in found


@pytest.mark.parametrize(
    ("name", "option"),
    [("tick", "--configs"), ("constraints", "--states"), ("surge", "--bed"), ("admission", "--workloads")],
)
def test_every_bench_runs_by_its_path_wherever_it_is_called_from(name: str, option: str, tmp_path: Path) -> None:
    assert option in run("--help", cwd=tmp_path, name=name)


def test_the_table_for_people_ends_with_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    part = {"configs": 2, "containers": 20, "tick_seconds_p50": 0.01, "tick_seconds_max": 0.02, "cpu_seconds_p50": 0.01}
    part |= {"microseconds_a_container": 5.0, "rss_mib": 60.0, "bytes_a_container": 9.0, "state_bytes_a_container": 8.0}
    kept = {"count": 2, "bytes_p50": 10, "bytes_max": 12, "bytes_a_container": 1.0, "bytes": 20}
    kept |= {"write_seconds": 0.1, "read_seconds": 0.1}
    tick.show({"table": [part], "checkpoints": kept, "settings": "abc123"})
    assert capsys.readouterr().out.splitlines()[-1] == "settings abc123"
