"""What is refused by the API server is found without it, too; and what only run time can see."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.golden.manifests import change, good
from tests.golden.wrong_manifests import CONSTRAINTS, LATER, WRONG, Wrong
from trimtab.api.checks import check_spec
from trimtab.api.reasons import Reason
from trimtab.api.resource import parse_spec
from trimtab.api.spec import PerformanceConfigSpec


def _problems(changes: dict[str, Any]) -> dict[str, str]:
    """Field to message."""
    found = parse_spec(change(good(), changes).get("spec"))
    assert isinstance(found, list), "no problem found"
    return {problem.field: problem.message for problem in found}


def _spec(changes: dict[str, Any]) -> PerformanceConfigSpec:
    spec = parse_spec(change(good(), changes)["spec"])
    assert isinstance(spec, PerformanceConfigSpec), spec
    return spec


def test_the_good_manifest_has_no_problem() -> None:
    assert check_spec(_spec({})) == []


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_what_the_api_server_refuses_is_found_without_it(wrong: Wrong) -> None:
    assert (wrong.offline_field or wrong.field) in _problems(wrong.changes)


@pytest.mark.parametrize(("name", "changes", "field", "word"), LATER, ids=[row[0] for row in LATER])
def test_what_the_api_server_can_not_see_is_found(name: str, changes: dict[str, Any], field: str, word: str) -> None:
    assert word in _problems(changes)[field], name


def test_a_window_that_can_not_be_read_has_its_own_reason() -> None:
    changes = {f"{CONSTRAINTS}.disruption.windows[0].timeZone": "Nowhere"}
    found = parse_spec(change(good(), changes)["spec"])

    assert isinstance(found, list)
    assert [problem.reason for problem in found] == [Reason.WINDOW_INVALID]


@pytest.mark.parametrize(
    "cron", ["0 9 * * 1-5", "*/15 0-6,22-23 * * *", "0 0 1 JAN-MAR MON", "30 4 L * *", "0 9 * * MON#1", "0  9 * * 1"]
)
def test_usual_cron_fields_are_taken(cron: str) -> None:
    assert _spec({f"{CONSTRAINTS}.disruption.windows[0].cron": cron})


@pytest.mark.parametrize(
    "env", ["BATCH_SIZE", "LDAP_POOL_SIZE", "CORE_THREADS", "PERLIN_SIZE", "GOMAXPROCS", "HOME_PAGE_LIMIT", "workers"]
)
def test_variables_of_the_application_are_taken(env: str) -> None:
    assert _spec({f"{CONSTRAINTS}.knobs[0].env": env})


@given(low=st.integers(1, 10_000), high=st.integers(1, 10_000))
def test_replica_bounds_are_taken_exactly_when_they_are_in_order(low: int, high: int) -> None:
    found = parse_spec(
        change(good(), {f"{CONSTRAINTS}.replicas": {"min": low, "max": high}, "spec.resources": {}})["spec"]
    )

    assert isinstance(found, PerformanceConfigSpec) == (low <= high)


@given(low=st.integers(1, 10_000_000), high=st.integers(1, 10_000_000))
def test_cpu_bounds_are_compared_as_amounts_not_as_text(low: int, high: int) -> None:
    bounds = {"min": f"{low}m", "max": f"{high}000000n"}
    found = parse_spec(change(good(), {f"{CONSTRAINTS}.containers[0].cpu": bounds})["spec"])

    assert isinstance(found, PerformanceConfigSpec) == (low <= high)


def test_memory_that_just_fits_under_the_ceiling_is_taken() -> None:
    assert _spec({"spec.resources.maxMemory": "256Mi"})
    assert "spec.resources.maxMemory" in _problems({"spec.resources.maxMemory": "255Mi"})


def test_every_problem_is_told_at_once() -> None:
    changes = {f"{CONSTRAINTS}.replicas.min": 30, f"{CONSTRAINTS}.knobs[0].env": "PATH"}

    assert set(_problems(changes)) == {f"{CONSTRAINTS}.replicas.min", f"{CONSTRAINTS}.knobs[0].env"}
