"""Totals: ratios to VPA over the same recordings."""

import pytest

from trimtab.lab.vertical.score import Row
from trimtab.lab.vertical.totals import totals


def row(trace: str, policy: str, slack: float, overrun: float = 0.0, ooms: int = 0, changes: float = 1.0) -> Row:
    return Row(trace, "cpu", policy, slack, overrun, 0.0, ooms, changes)


VPA = [row("a", "vpa", 1.0, 0.02), row("b", "vpa", 4.0, 0.01, 1)]
OWN = [row("a", "own", 0.5, 0.01, 1, 2.0), row("b", "own", 3.0, 0.03, 1, 5.0)]


def test_ratios_are_the_mean_the_worst_and_of_the_sums() -> None:
    (own,) = totals(OWN, VPA)
    assert own.ratio_mean == pytest.approx((0.5 + 0.75) / 2)
    assert own.ratio_worst == pytest.approx(0.75)
    assert own.ratio_total == pytest.approx(3.5 / 5.0)
    assert (own.slack_mean, own.slack_worst) == (1.75, 3.0)


def test_recordings_with_more_overruns_or_kills_than_vpa_are_counted() -> None:
    (own,) = totals(OWN, VPA)
    assert (own.more_overruns, own.more_ooms, own.ooms) == (1, 1, 2)
    assert (own.overrun_worst, own.changes_per_day_worst) == (0.03, 5.0)


def test_vpa_against_itself_is_one() -> None:
    (vpa,) = totals(VPA, VPA)
    assert (vpa.ratio_mean, vpa.ratio_worst, vpa.ratio_total) == (1.0, 1.0, 1.0)
    assert vpa.more_overruns == vpa.more_ooms == 0


def test_without_vpa_there_is_no_ratio() -> None:
    (own,) = totals(OWN, [])
    assert (own.ratio_mean, own.ratio_worst, own.ratio_total) == (None, None, None)


def test_where_vpa_wastes_nothing_there_is_no_ratio() -> None:
    (own,) = totals(OWN[:1], [row("a", "vpa", 0.0)])
    assert own.ratio_mean is None


def test_resources_and_policies_are_totalled_apart() -> None:
    found = totals([*OWN, *VPA], VPA)
    assert [(t.resource, t.policy, t.traces) for t in found] == [("cpu", "own", 2), ("cpu", "vpa", 2)]
