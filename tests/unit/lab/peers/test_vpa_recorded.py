"""The `vpa` peer beside what the real VPA recommender said to the same samples (recorded by the integration test)."""

import json
from pathlib import Path

import pytest

from tests.unit.lab.peers.vpa_cases import CASES, KILLED, assert_agreement

RECORD = json.loads((Path(__file__).parent / "vpa_recorded.json").read_text("utf-8"))


def test_the_record_is_of_vpa_1_8_and_of_every_case_and_of_an_oom_kill() -> None:
    assert RECORD["version"].startswith("1.8.")
    said = [(row["case"], row["resource"]) for row in RECORD["rows"]]
    assert said[:-1] == [(case.name, resource) for case in (*CASES, KILLED) for resource in ("cpu", "memory")]
    assert said[-1] == ("killed, killed", "memory")


@pytest.mark.parametrize("row", RECORD["rows"], ids=lambda row: f"{row['case']}-{row['resource']}")
def test_target_and_bounds_are_those_of_the_real_recommender_within_one_bucket(row: dict[str, object]) -> None:
    assert_agreement([row])
