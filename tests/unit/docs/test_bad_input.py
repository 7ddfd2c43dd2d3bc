"""Each row of "Bad input" in docs/troubleshooting.md is held by tests, and names conditions and alerts that exist."""

import re
from pathlib import Path

import pytest

from trimtab.api.builtin_alerts import BUILTIN_ALERT_NAMES
from trimtab.api.conditions import ConditionType
from trimtab.api.reasons import find_reason

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "tests" / "unit"
HELD_BY = {
    "gaps": {
        "observe/test_answers.py": ["test_samples_older_than_two_scrape_intervals_are_stale"],
        "decide/estimator/test_bad_input.py": ["test_nothing_is_learned_in_a_gap_and_the_level_stays"],
        "decide/test_alerts.py": ["test_no_data_is_unknown_and_never_resolves_a_firing_alert"],
    },
    "duplicates": {
        "decide/estimator/test_bad_input.py": ["test_samples_that_come_twice_count_once"],
        "observe/test_answers.py": ["test_many_series_are_ambiguous_and_say_what_to_do"],
    },
    "out of order": {
        "decide/estimator/test_bad_input.py": [
            "test_samples_in_any_order_are_learned_by_their_times",
            "test_a_sample_older_than_the_newest_finished_one_changes_nothing",
        ]
    },
    "NaN, infinity": {
        "observe/test_answers.py": [
            "test_nan_and_infinity_are_no_numbers",
            "test_nan_is_no_traffic_only_where_the_rate_exists_at_zero",
        ]
    },
    "negative": {
        "decide/estimator/test_bad_input.py": [
            "test_a_counter_that_starts_over_gives_a_negative_rate_which_is_left_out_and_a_spike_only_raises"
        ],
        "decide/test_burst.py": [
            "test_ready_pods_that_use_no_cpu_at_all_are_a_broken_metric",
            "test_a_rate_of_nothing_is_no_traffic_and_a_negative_one_is_not_known",
        ],
    },
    "constant": {"decide/estimator/test_bad_input.py": ["test_a_constant_series_is_covered_closely_and_never_overrun"]},
    "another unit": {
        "decide/estimator/test_bad_input.py": [
            "test_usage_that_falls_a_thousandfold_at_once_is_doubted_for_six_hours",
            "test_usage_that_rises_a_thousandfold_is_followed_at_once",
        ]
    },
    "10,000 series": {
        "observe/test_answers.py": ["test_many_series_are_ambiguous_and_say_what_to_do"],
        "observe/test_source_http.py": ["test_an_answer_past_the_byte_cap_is_dropped_while_it_arrives"],
    },
    "a workload that was renamed": {
        "observe_assembly/test_observer_stops.py": ["test_a_resource_without_a_row_says_why_and_asks_nothing"]
    },
    "a clock that jumps": {
        "decide/test_alerts.py": [
            "test_a_clock_that_jumps_an_hour_ahead_satisfies_no_for_at_once",
            "test_a_clock_that_is_set_back_an_hour_delays_nothing",
        ],
        "decide/test_cost.py": ["test_a_clock_that_jumps_an_hour_costs_no_hour"],
        "decide/test_slo.py": ["test_a_clock_that_jumps_an_hour_ends_no_page_at_once_and_makes_no_hour_of_errors"],
    },
    "a target that can't be met": {
        "decide/test_missed_target.py": [
            "test_rule_12_three_futile_raises_are_taken_back_and_the_target_is_called_unreachable"
        ]
    },
}


def rows() -> dict[str, str]:
    """What is seen, by input."""
    text = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    table = text.partition("## Bad input")[2].partition("\n## ")[0]
    found = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| ([^|]+?) \|$", table, re.M)
    return {name: seen for name, _, seen in found if name != "input"}


def test_the_rows_are_those_that_tests_hold() -> None:
    assert rows().keys() == HELD_BY.keys()


@pytest.mark.parametrize("name", HELD_BY)
def test_the_tests_of_a_row_are_there(name: str) -> None:
    for path, tests in HELD_BY[name].items():
        text = (UNIT / path).read_text("utf-8")
        assert [test for test in tests if f"def {test}(" not in text] == [], path


@pytest.mark.parametrize("name", HELD_BY)
def test_what_a_row_says_is_seen_exists(name: str) -> None:
    known = {*BUILTIN_ALERT_NAMES, *ConditionType, "NaN"}
    words = re.findall(r"\b[A-Z][a-z]+(?:[A-Z][A-Za-z]+)+\b", re.sub(r"`[^`]*`", "", rows()[name]))
    assert [word for word in words if word not in known and find_reason(word) is None] == []
