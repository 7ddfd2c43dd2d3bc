"""The annotation of the Lease that lets a stopped fleet go on (RULES 15)."""

import math

import pytest

from trimtab.cli.run import release_age

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


@pytest.mark.parametrize(
    ("value", "age"),
    [
        ("2027-01-15T07:59:00Z", 60.0),
        ("2027-01-15T08:59:00+01:00", 60.0),
        ("2027-01-15T08:00:00Z", 0.0),
        ("2027-01-15T08:00:01Z", math.inf),
        ("true", math.inf),
        ("", math.inf),
    ],
)
def test_rule_15_a_release_counts_from_the_time_it_says_and_only_once_that_has_come(value: str, age: float) -> None:
    assert release_age(value, NOW) == age
