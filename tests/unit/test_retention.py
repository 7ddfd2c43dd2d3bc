"""retentionDays is honoured by every record that is kept: status, journal, reports, and files of reports."""

from pathlib import Path
from typing import Any

from tests.unit.audit.scene import decision as shown_decision
from tests.unit.audit.scene import journal, resource
from tests.unit.record.builders import NOW, decision, facts
from tests.unit.record.shelf import Shelf, path
from tests.unit.record.test_recorder import Api, recorder
from trimtab.api.checkpoint import TuningJournalSpec
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.audit.collect import collect
from trimtab.audit.keep import file_name, prune
from trimtab.audit.report import report
from trimtab.record.journal import iso
from trimtab.record.journals import Journals, decode
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.owned import Owner

DAY, DAYS = 86_400.0, 3
SPEC = PerformanceConfigSpec.model_validate({"targetRef": {"name": "rag-api"}, "monitoring": {"retentionDays": DAYS}})


async def test_a_decision_leaves_the_status_when_its_time_is_over_though_nothing_else_changes() -> None:
    api = Api()
    tell = recorder(api)
    told = {"shop/rag": facts(spec=SPEC)}
    await tell.record(told, [decision(1)], NOW + 1)
    await tell.record(told, [], NOW + DAYS * DAY)
    assert [one["id"] for one in api.statuses[-1]["status"]["decisions"]] == ["d1"]
    await tell.record(told, [], NOW + DAYS * DAY + 15)
    assert api.statuses[-1]["status"]["decisions"] == []
    assert "CutUnused" not in api.statuses[-1]["status"].get("summary", "")


async def test_a_decision_leaves_the_journal_when_its_time_is_over_though_nothing_else_changes() -> None:
    shelf = Shelf()
    client: Any = shelf

    async def may_write() -> bool:
        return True

    journals = Journals(client, OperatorMetrics.create(), may_write, 60.0, clock=lambda: 0.0)
    journals.note([decision(1)], "digest", {"shop/rag": b"inputs"})
    owners = {"shop/rag": Owner("shop/rag", "uid-1")}
    for now in (NOW, NOW + 60, NOW + DAYS * DAY - 60):
        await journals.write(owners, lambda _: DAYS * DAY, now)
    where = path("tuningjournals", "shop/rag")
    assert len(decode(TuningJournalSpec.model_validate(shelf.objects[where]["spec"]))) == 1
    await journals.write(owners, lambda _: DAYS * DAY, NOW + DAYS * DAY + 60)
    assert decode(TuningJournalSpec.model_validate(shelf.objects[where]["spec"])) == []


def test_a_decision_leaves_the_reports_and_reports_leave_their_folder(tmp_path: Path) -> None:
    old, new = iso(NOW - (DAYS + 1) * DAY), iso(NOW - DAY)
    config = resource(
        spec={"monitoring": {"retentionDays": DAYS}},
        decisions=[shown_decision("new", new), shown_decision("old", old)],
    )
    gathered = collect([config], [journal(config, [shown_decision("older", old)])], NOW)["shop"]
    assert [one.decision.id for one in report("shop", gathered, NOW, days=365).decisions] == ["new"]
    for age in range(6):
        (tmp_path / file_name("shop", NOW - age * DAY, "md")).write_text("x")
    prune(tmp_path, NOW, {"shop": gathered.retention_days})
    left = sorted(one.name for one in tmp_path.iterdir())
    assert left == sorted(file_name("shop", NOW - age * DAY, "md") for age in range(DAYS + 1))
