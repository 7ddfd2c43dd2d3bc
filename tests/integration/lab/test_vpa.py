"""The `vpa` peer agrees with the real VPA recommender on the same samples.

Runs where the recommender is built: `python -m testbed build vpa-recommender`, or TRIMTAB_VPA_RECOMMENDER names it.
With TRIMTAB_RECORD=1 what it says becomes the record that the unit test compares with.
"""

import json
import os
from pathlib import Path

import pytest

from testbed import build
from testbed.bed import Bed
from tests.integration.lab.recommender import after_oom_kill, recommendations, running
from tests.unit.lab.peers.vpa_cases import CASES, KILLED, assert_agreement

RECORD = Path(__file__).parents[2] / "unit" / "lab" / "peers" / "vpa_recorded.json"
VERSION = "1.8.1"


@pytest.fixture
def recommender() -> Path:
    """The real one, or the test is skipped."""
    path = Path(os.environ.get("TRIMTAB_VPA_RECOMMENDER") or build.path_of("vpa-recommender"))
    if not path.is_file():
        pytest.skip(f"no VPA recommender at {path}: python -m testbed build vpa-recommender")
    return path


@pytest.mark.cluster
def test_the_peer_agrees_with_the_real_recommender_within_one_bucket(
    recommender: Path, cluster: Bed, tmp_path: Path
) -> None:
    with running(cluster, recommender, [*CASES, KILLED], tmp_path / "recommender.log"):
        rows = [*recommendations(cluster, [*CASES, KILLED]), after_oom_kill(cluster)]
    if os.environ.get("TRIMTAB_RECORD") == "1":
        text = ",\n".join(f"  {json.dumps(row)}" for row in rows)
        RECORD.write_text(f'{{"version": "{VERSION}", "rows": [\n{text}\n]}}\n', "utf-8")
    assert_agreement(rows)
