"""E-mail addresses and tokens fed through labels, query errors and names are in no status, event, log or report."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.unit.audit.scene import condition, decision, resource
from tests.unit.backtest.scene import FakeHistory, daily
from tests.unit.cli.test_explain_and_audit import BASE, Server
from tests.unit.observe.fakes import Exchange, http_server
from tests.unit.observe.sources import source_at
from tests.unit.record.builders import NOW, alert, facts, metric
from tests.unit.record.builders import decision as made_decision
from tests.unit.record.test_recorder import Api, recorder
from trimtab.api.answers import AnswerKind, no_value
from trimtab.api.privacy import DEFAULT_LABELS
from trimtab.api.reasons import Reason
from trimtab.api.status import OutcomeState
from trimtab.cli.main import main
from trimtab.cli.run import configure_logging
from trimtab.decide.observation import Block, Lever
from trimtab.decide.plan import Outcome
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import Forbidden
from trimtab.observe.answers import failed
from trimtab.observe.source import SourceError, SourceReason

EMAIL = "alice@example.com"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
KEY = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
CUSTOMER = "Alice Example"
PERSONAL = (EMAIL, TOKEN, KEY, CUSTOMER)
DIRTY = f'{EMAIL} sent Bearer {TOKEN} and {KEY} for up{{customer="{CUSTOMER}",namespace="shop"}}'


def assert_clean(text: str) -> None:
    assert [secret for secret in PERSONAL if secret in text] == []


async def test_a_datasource_s_errors_and_labels_are_not_repeated() -> None:
    def refuse(exchange: Exchange) -> None:
        body = {"status": "error", "errorType": EMAIL, "error": DIRTY}
        exchange.send(422, json.dumps(body).encode())

    with http_server(refuse) as url:
        async with source_at(url) as source:
            with pytest.raises(SourceError) as caught:
                await source.query(f'up{{customer="{CUSTOMER}"}}', NOW)
    assert_clean(failed(caught.value).message)


async def test_status_and_events_hold_none_of_it() -> None:
    api = Api()
    tell = recorder(api)
    made = made_decision(message=DIRTY, predicted=DIRTY).ended(OutcomeState.ROLLED_BACK, DIRTY)
    told = facts(
        target=(Reason.TARGET_FOUND, DIRTY),
        metrics=(metric(answer=no_value(AnswerKind.ERROR, DIRTY)), metric("queryLatency")),
        blocks=(Block(Lever.REPLICAS, Reason.HPA_OWNS_REPLICAS, DIRTY),),
        outcomes=(Outcome("shop/rag", Lever.CPU, "app", False, Reason.MOVE_FAILED, DIRTY),),
        alerts=(alert(metric="totalLatency"),),
    )
    await tell.record({"shop/rag": told}, [made], NOW)
    await tell.tell(told, Reason.HUMAN_SCALED, f"{EMAIL} set 3 replicas", NOW)
    broken = facts(key="shop/broken", spec=None, problems=(("spec.x", Reason.SPEC_INVALID, DIRTY),))
    await tell.record({"shop/rag": told, "shop/broken": broken}, [], NOW + 60)
    assert len(api.statuses) == 2
    assert len(api.events) >= 3
    assert_clean(json.dumps([api.statuses, api.events], ensure_ascii=False))
    assert "namespace=" in json.dumps(api.statuses)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_logs_hold_none_of_it(
    log_format: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    monkeypatch.setattr(logging.getLogger("kopf"), "level", logging.NOTSET)
    configure_logging(log_format)
    log = logging.getLogger("trimtab.test")
    log.warning("refused: %s", DIRTY, extra={"resource": "shop/web", "error": str(Forbidden(403, "Forbidden", DIRTY))})
    try:
        raise ValueError(DIRTY)
    except ValueError:
        log.exception("a tick failed")
    text = capsys.readouterr().err
    assert "shop/web" in text
    assert "a tick failed" in text
    assert_clean(text)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A resource that an older Trimtab, or a person, wrote all of it into."""
    server = Server()

    async def connect(_path: Any = None) -> Server:
        return server

    monkeypatch.setattr(KubeClient, "connect", connect)
    monkeypatch.setattr("trimtab.cli.audit.time.time", lambda: NOW)
    dirty = resource(
        "web",
        decisions=[decision("d1", "2027-01-14T08:00:00Z", message=DIRTY, predicted=DIRTY, outcomeMessage=DIRTY)],
        conditions=[
            condition("Limited", "True", "HpaOwnsReplicas", DIRTY),
            condition("Tuning", "True", "Active", DIRTY),
        ],
        alerts=[{"name": DIRTY, "state": "Firing", "firing": True}],
        metrics={"unknown": [{"name": EMAIL, "reason": "MetricsError", "message": DIRTY}]},
        cost={"currency": "USD", "prices": "Static", "problems": [DIRTY]},
    )
    server.objects[f"{BASE}/performanceconfigs"] = [dirty]
    server.objects[f"{BASE}/tuningjournals"] = Forbidden(403, "Forbidden", DIRTY)
    server.objects[f"{BASE}/namespaces/shop/performanceconfigs/web"] = dirty
    server.objects[f"{BASE}/namespaces/shop/tuningjournals/web"] = Forbidden(403, "Forbidden", DIRTY)
    return server


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "shop/web"],
        ["explain", "shop/web", "-o", "json"],
        ["explain", "shop/web", "-o", "yaml"],
        ["audit", "--days", "365"],
        ["audit", "--days", "365", "--format", "html"],
        ["audit", "--days", "365", "-o", "json"],
    ],
    ids=" ".join,
)
def test_explain_and_audit_hold_none_of_it(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "d1" in result.output or "CPU/app" in result.output
    assert_clean(result.output)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("command", [["explain", "shop/web"], ["audit", "--days", "365"]], ids=" ".join)
def test_a_label_that_is_asked_for_is_shown_and_nothing_else(command: list[str]) -> None:
    assert CUSTOMER not in CliRunner().invoke(main, command).output
    shown = CliRunner().invoke(main, [*command, "--show-label", "customer"]).output
    assert f'customer="{CUSTOMER}"' in shown
    assert [secret for secret in (EMAIL, TOKEN, KEY) if secret in shown] == []


def test_what_is_exported_holds_none_of_it(server: Server) -> None:
    tuned = {"name": "app", "requests": {"cpu": "1"}, "limits": {}, "env": {"BATCH": 8}}
    dirty = server.objects[f"{BASE}/namespaces/shop/performanceconfigs/web"]
    dirty["status"]["applied"] = {"containers": [tuned]}
    dirty["metadata"]["annotations"] = {"owner": DIRTY}
    dirty["metadata"]["labels"] = {"contact": EMAIL}
    for form in ([], ["-o", "json"], ["-o", "yaml"]):
        result = CliRunner().invoke(main, ["export", "shop/web", *form])
        assert result.exit_code == 0, result.output
        assert "BATCH" in result.output
        assert_clean(result.output)


def test_the_chart_and_the_commands_show_the_same_labels() -> None:
    values = yaml.safe_load((Path(__file__).parents[2] / "charts" / "trimtab" / "values.yaml").read_text())
    assert tuple(values["privacy"]["labels"]) == DEFAULT_LABELS


def test_the_promises_of_an_sla_page_hold_none_of_it(server: Server) -> None:
    goal = {"name": "answered", "good": DIRTY.partition(" for ")[2], "total": "count(up)", "target": "0.9"}
    spec = {"monitoring": {"objectives": [goal]}}
    server.objects[f"{BASE}/namespaces/shop/performanceconfigs/web"] = resource("web", spec=spec)
    for arguments in (["sla", "shop/web"], ["sla", "shop/web", "-o", "json"], ["sla", "shop/web", "-o", "yaml"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert "answered" in result.output
        assert_clean(result.output)


@pytest.mark.parametrize("command", ["export", "sla"])
def test_a_refusal_is_told_without_it(command: str, server: Server) -> None:
    server.objects[f"{BASE}/namespaces/shop/performanceconfigs/web"] = Forbidden(403, "Forbidden", DIRTY)
    result = CliRunner().invoke(main, [command, "shop/web"])
    assert result.exit_code == 1
    assert_clean(result.output)


def test_a_backtest_holds_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = FakeHistory({(EMAIL, f"{KEY}-0", TOKEN): daily(0.1, 0.5), ("shop", "web-0", "app"): daily(0.1, 0.5)})
    history.pods[f"broken {EMAIL}", "db-0", "db"] = daily(0.1, 0.5)
    history.owners[EMAIL, f"{KEY}-0"] = (EMAIL, KEY)
    history.down.add(f"broken {EMAIL}")
    fails = SourceError(SourceReason.UNAUTHORIZED, DIRTY)
    monkeypatch.setattr(history, "failure", fails)
    monkeypatch.setattr("trimtab.cli.backtest.PrometheusSource", lambda *_: history)
    files = {kind: tmp_path / f"report.{kind}" for kind in ("html", "json", "csv")}
    words = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    result = CliRunner().invoke(
        main, ["backtest", "--prometheus", "http://127.0.0.1:9", "--days", "3", "--end", "2027-01-15T08:00:00", *words]
    )
    assert result.exit_code == 1
    assert "1 namespaces are not in this report" in result.output
    for text in (result.output, *(file.read_text() for file in files.values())):
        assert "shop/web" in text
        assert_clean(text)


def test_a_refusal_of_the_api_server_is_told_without_it(server: Server) -> None:
    server.objects[f"{BASE}/performanceconfigs"] = Forbidden(403, "Forbidden", DIRTY)
    result = CliRunner().invoke(main, ["audit"])
    assert result.exit_code == 1
    assert_clean(result.output)
