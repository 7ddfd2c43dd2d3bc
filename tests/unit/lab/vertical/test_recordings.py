"""What is claimed of `trimtab` on recordings: held on the folder that TRIMTAB_TRACES names, where it does."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from trimtab.cli.main import main
from trimtab.lab.vertical import command

TRACES = os.environ.get("TRIMTAB_TRACES", "")


@pytest.mark.skipif(not TRACES, reason="TRIMTAB_TRACES names no folder of recordings")
def test_on_every_recording_no_more_overruns_and_kills_than_vpa_and_at_most_50_changes_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "families", list)
    file = tmp_path / "v.json"
    words = ["lab", "vertical", "--traces", TRACES, "--policy", "trimtab", "vpa", "--json", str(file)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    rows = json.loads(file.read_text("utf-8"))["rows"]
    by_trace = {(row["trace"], row["resource"], row["policy"]): row for row in rows}
    own = {key[:2]: row for key, row in by_trace.items() if key[2] == "trimtab"}
    assert own
    for (trace, resource), row in own.items():
        vpa = by_trace[trace, resource, "vpa"]
        assert row["overrun"] <= vpa["overrun"], trace
        assert row["ooms"] <= vpa["ooms"], trace
        assert row["changes_per_day"] <= 50, trace
