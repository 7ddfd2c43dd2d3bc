"""The replay of a fleet, and what is said of it."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.unit.backtest.scene import DAY, END, MIB, daily
from trimtab.backtest import notes, report
from trimtab.backtest.owners import Workload
from trimtab.backtest.reader import KSM, Past, Sources
from trimtab.backtest.replay import CORE_PRICE, MONTH_HOURS, TODAY, Prices, Result, replay
from trimtab.backtest.tracks import STEP, Fleet
from trimtab.backtest.workloads import workloads
from trimtab.decide.columns import F8
from trimtab.lab.peers.vpa_updater import Vpa
from trimtab.lab.report.document import encode
from trimtab.lab.traces import Usage
from trimtab.lab.vertical.replay import Told, untold

WEB = Workload("shop", "Deployment", "web")
DAYS = 6
PEERS = ("krr", "vpa")


def fleet(cores: float | None = 2.0, name: str = "web", gaps: bool = False) -> Fleet:
    made = Fleet(END, int(DAYS * DAY / STEP))
    times = made.times
    usage = daily(0.1, 0.5)(times)
    kept = np.flatnonzero(times % DAY > DAY / 5) if gaps else np.arange(len(times))
    workload = Workload("shop", "Deployment", name)
    made.add_usage(workload, "app", "cpu", times[kept], usage[kept])
    made.add_usage(workload, "app", "memory", times[kept], 200 * MIB * (1 + usage[kept]))
    made.add_usage(workload, "app", "memory", times[kept], 150 * MIB * (1 + usage[kept]))
    if cores is not None:
        made.add_request(workload, "app", "cpu", times, np.full(len(times), cores))
        made.add_request(workload, "app", "memory", times, np.full(len(times), 1024 * MIB))
    return made


@pytest.fixture(scope="module")
def result() -> Result:
    return replay(fleet(), Prices(), policies=PEERS)


def past(made: Fleet) -> Past:
    return Past(made, {"shop": Sources(KSM, KSM)})


def test_todays_requests_are_judged_beside_the_policies_and_priced_for_all_pods(result: Result) -> None:
    cpu = next(one for one in result.judged if one.usage.resource == "cpu")
    assert list(cpu.verdicts) == [TODAY, *PEERS]
    today = cpu.verdicts[TODAY]
    assert today.level == 2.0
    assert today.overrun == 0.0
    assert today.monthly_cost == pytest.approx(2.0 * 2 * CORE_PRICE * MONTH_HOURS)
    assert cpu.verdicts["vpa"].monthly_cost < today.monthly_cost


def test_without_known_requests_nothing_is_said_of_today() -> None:
    found = replay(fleet(None), Prices(), policies=PEERS)
    assert all(TODAY not in one.verdicts for one in found.judged)
    assert all(row["saved"] is None and row["today"] is None for row in report.rows(found))
    assert {row["resource"] for row in report.totals(found)} == {"cpu, request unknown", "memory, request unknown"}


def test_gaps_are_counted_and_said_and_not_scored() -> None:
    made = fleet(gaps=True)
    found = replay(made, Prices(), policies=("vpa",))
    assert all(0.15 < one.gap < 0.25 for one in found.judged)
    assert any("gaps are not scored" in note for note in notes.notes(past(made), found, DAYS))


def test_a_short_constant_zero_or_empty_history_is_not_judged_and_said_why() -> None:
    made = Fleet(END, int(DAYS * DAY / STEP))
    times = made.times
    made.add_usage(Workload("a", "Pod", "short"), "app", "cpu", times[:20], np.ones(20))
    made.add_usage(Workload("a", "Pod", "zero"), "app", "cpu", times, np.zeros(len(times)))
    found = replay(made, Prices(), policies=("vpa",))
    assert not found.judged
    why = {(one.name, one.resource): one.why for one in found.unjudged}
    assert "20 samples" in why["a/short/app", "cpu"]
    assert "broken metric" in why["a/zero/app", "cpu"]
    assert "no sample" in why["a/zero/app", "memory"]


def test_what_matters_comes_first(result: Result) -> None:
    saved = [abs(row["saved"]) for row in report.rows(replay(two(), Prices(), policies=("trimtab",)))]
    assert saved == sorted(saved, reverse=True)
    assert len(saved) == 4


def two() -> Fleet:
    made = fleet(8.0, "wasteful")
    small = fleet(0.6, "small")
    made._tracks.update(small._tracks)
    return made


def test_the_same_history_gives_the_same_bytes_for_machines_and_people(result: Result) -> None:
    again = replay(fleet(), Prices(), policies=PEERS)
    here = past(fleet())
    assert encode(report.document(here, result, DAYS)) == encode(report.document(here, again, DAYS))
    assert report.html(here, result, DAYS, "USD") == report.html(here, again, DAYS, "USD")
    document: dict[str, Any] = json.loads(encode(report.document(here, result, DAYS)))
    assert {"name", "resource", "policy", "slack", "overrun", "ooms", "monthly_cost"} <= set(document["rows"][0])
    lines = list(csv.DictReader(io.StringIO(report.table_file(result))))
    assert len(lines) == len(document["rows"]) == 6


def test_a_recording_that_a_policy_has_no_answer_to_is_named_and_the_others_are_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Odd(Vpa):
        def cpu(self, usages: Sequence[Usage], told: Told = untold) -> list[F8]:
            levels = super().cpu(usages)
            for usage, one in zip(usages, levels, strict=True):
                if "odd" in usage.name:
                    one[-1] = np.inf
            return levels

    monkeypatch.setattr("trimtab.backtest.replay.known", lambda: {"odd": Odd})
    made = fleet(name="odd")
    for name in ("a", "b", "c"):
        made._tracks.update(fleet(name=name)._tracks)
    found = replay(made, Prices(), policies=("odd",))
    (left,) = found.unjudged
    assert (left.name, left.resource) == ("shop/odd/app", "cpu")
    assert "gave the level inf" in left.why
    assert len(found.judged) == 7
    alone = replay(fleet(name="a"), Prices(), policies=("odd",)).judged[0].verdicts["odd"]
    assert next(one.verdicts["odd"] for one in found.judged if one.track.name == "shop/a/app") == alone


def test_a_workload_is_a_row_with_its_costs_slack_and_kills() -> None:
    made = fleet()
    times = made.times
    made.add_usage(WEB, "sidecar", "cpu", times, np.full(len(times), 0.01))
    made.counted("shop")
    made.add_kills(WEB, "app", times[-100:-98], np.array([1.0, 2.0]))
    made.add_kills(WEB, "app", times[:1], np.array([7.0]))  # within the warm-up
    found = replay(made, Prices(), policies=("trimtab", "vpa"))
    (row,) = workloads(found)
    assert (row["name"], row["kind"], row["requests_known"]) == ("shop/web", "Deployment", "2 of 3")
    shared = [one for one in found.judged if TODAY in one.verdicts]
    for policy in (TODAY, "trimtab", "vpa"):
        assert row[f"cost_{policy}"] == pytest.approx(sum(one.verdicts[policy].monthly_cost for one in shared))
    assert row["saved"] == pytest.approx(row["cost_today"] - row["cost_trimtab"])
    slack = [one.verdicts[TODAY].slack for one in shared]
    assert min(slack) < row["slack_today"] < max(slack)
    assert row["ooms_today"] == 3
    names = [table.title for table in report.tables(found, "USD")]
    assert names.index("Workloads, what matters first") < names.index("Containers, what matters first")
    assert "OOM kills: 3" in report.html(past(made), found, DAYS, "USD"), "in the plot, those of the warm-up as well"
    assert report.document(past(made), found, DAYS)["workloads"] == [row]


def test_kills_of_today_are_not_known_without_the_metric_that_tells_them(result: Result) -> None:
    memory = next(one for one in result.judged if one.usage.resource == "memory")
    assert memory.verdicts[TODAY].ooms is None
    (row,) = workloads(result)
    assert row["ooms_today"] is None
    assert "not known" in report.html(past(fleet()), result, DAYS, "USD")


def test_names_are_text_on_the_page() -> None:
    made = fleet(name="<script>alert(1)</script>")
    found = replay(made, Prices(), policies=("vpa",))
    page = report.html(past(made), found, DAYS, "USD")
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
