"""`trimtab explain` and `trimtab audit` against an API server that answers from a dictionary."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.unit.audit.scene import decision, resource
from tests.unit.audit.scene import journal as journal_of
from tests.unit.explain.scene import busy, config
from tests.unit.explain.scene import resource as busy_resource
from trimtab.api.checkpoint import TuningJournalSpec
from trimtab.cli.main import main
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import Forbidden, KubeError, NotFound, Unavailable
from trimtab.record.journals import FORM, encode
from trimtab.record.owned import Owner, manifest

BASE = "/apis/trimtab.dev/v1alpha1"


class Server:
    """The client, with objects and refusals by path."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def get(self, path: str) -> Any:
        found = self.objects.get(path, NotFound(404, "NotFound", "not found"))
        if isinstance(found, KubeError):
            raise found
        return found

    async def pages(self, path: str) -> Any:
        found = self.objects.get(path, [])
        if isinstance(found, KubeError):
            raise found
        yield {"items": found[:1]}
        yield {"items": found[1:]}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()

    async def connect(_path: Path | None = None) -> Server:
        return server

    monkeypatch.setattr(KubeClient, "connect", connect)
    return server


@pytest.fixture
def tuned(server: Server) -> Server:
    """A resource with a journal."""
    entries = busy().entries
    spec = TuningJournalSpec(version=FORM, entries=encode(entries)).model_dump(mode="json", by_alias=True)
    server.objects[f"{BASE}/namespaces/shop/performanceconfigs/api"] = busy_resource(busy())
    server.objects[f"{BASE}/namespaces/shop/tuningjournals/api"] = manifest(
        "TuningJournal", Owner("shop/api", "u1"), spec
    )
    return server


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.usefixtures("tuned")
def test_the_newest_decision_is_explained_in_text_without_colours() -> None:
    code, text = run("explain", "shop/api")
    assert code == 0
    assert "the same decision" in text
    assert busy().entries[0].decision.id in text
    assert "\x1b" not in text


@pytest.mark.usefixtures("tuned")
def test_an_explanation_is_a_document_for_machines() -> None:
    made = next(entry.decision for entry in busy().entries if entry.decision.reason == "ScaledUp")
    code, text = run("explain", "shop/api", "--decision", made.id, "--what-if", "replicas.max=2", "-o", "json")
    found = json.loads(text)
    assert (code, found["decision"]["id"], found["equal"], found["source"]) == (0, made.id, True, "Inputs")
    assert found["whatIf"]["changes"] == ["replicas.max=2"]
    assert [check["step"] for check in found["checks"]][:2] == ["OOM kills", "CPU throttling"]
    assert (
        yaml.safe_load(run("explain", "shop/api", "--decision", made.id, "-o", "yaml")[1])["decision"]["id"] == made.id
    )


@pytest.mark.parametrize(
    ("journal", "note"),
    [
        (None, "no TuningJournal of it yet"),
        (Forbidden(403, "Forbidden", "no"), "may not read TuningJournals"),
        ({"metadata": {"ownerReferences": [{"uid": "another"}]}, "spec": {}}, "of an earlier resource"),
        ({"metadata": {"ownerReferences": [{"uid": "u1"}]}, "spec": {"version": 99, "entries": ""}}, "version 99"),
        ({"metadata": {"ownerReferences": [{"uid": "u1"}]}, "spec": 3}, "no spec of a journal"),
    ],
)
def test_without_a_readable_journal_it_explains_from_the_status_and_says_so(
    tuned: Server, journal: Any, note: str
) -> None:
    tuned.objects[f"{BASE}/namespaces/shop/tuningjournals/api"] = journal or NotFound(404, "NotFound", "")
    code, text = run("explain", "shop/api")
    assert code == 0
    assert note in text
    assert "From the status alone." in text


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["api"], "not of the form NAMESPACE/NAME"),
        (["shop/gone"], "namespace shop has no PerformanceConfig gone"),
        (["shop/api", "--decision", "nope"], "no decision 'nope' is known"),
        (["shop/api", "--what-if", "replicas"], "PATH=VALUE"),
    ],
)
@pytest.mark.usefixtures("tuned")
def test_what_can_t_be_explained_is_refused_in_one_sentence(arguments: list[str], problem: str) -> None:
    code, text = run("explain", *arguments)
    assert code == 1
    assert problem in text
    assert "Traceback" not in text


def test_a_resource_that_can_t_be_used_or_read_is_told(server: Server) -> None:
    path = f"{BASE}/namespaces/shop/performanceconfigs/api"
    server.objects[path] = {"metadata": {"name": "api", "namespace": "shop"}, "spec": {}}
    assert "spec.targetRef: is required" in run("explain", "shop/api")[1]
    server.objects[path] = Unavailable(0, "Timeout", "no answer")
    assert "the API server did not give shop/api" in run("explain", "shop/api")[1]


@pytest.fixture
def fleet(server: Server) -> Server:
    configs = [resource("a", "shop"), resource("b", "shop"), resource("a", "lab")]
    server.objects[f"{BASE}/performanceconfigs"] = configs
    server.objects[f"{BASE}/tuningjournals"] = [journal_of(configs[0], [decision("d1", "2027-01-14T08:00:00Z")])]
    server.objects[f"{BASE}/namespaces/shop/performanceconfigs"] = configs[:2]
    return server


@pytest.mark.usefixtures("fleet")
def test_all_namespaces_are_reported_and_one_where_it_is_named() -> None:
    code, text = run("audit")
    assert code == 0
    assert text.count("# Audit of namespace ") == 2
    assert run("audit", "-n", "shop")[1].count("# Audit of namespace ") == 1
    found = json.loads(run("audit", "-o", "json")[1])
    assert [one["namespace"] for one in found] == ["lab", "shop"]
    assert yaml.safe_load(run("audit", "-o", "yaml")[1]) is not None
    assert run("audit", "-n", "shop", "--format", "html")[1].startswith("<!doctype html>")
    assert "needs a folder" in run("audit", "--format", "html")[1]
    assert "give --out" in run("audit", "--format", "md", "--format", "json")[1]


@pytest.mark.usefixtures("fleet")
def test_reports_are_files_and_old_ones_of_ours_go(tmp_path: Path) -> None:
    old = tmp_path / "trimtab-audit-shop-2020-01-01.md"
    other = tmp_path / "report-2020-01-01.md"
    for path in (old, other):
        path.write_text("x")
    code, text = run("audit", "--out", str(tmp_path), "--format", "html")
    assert code == 0
    assert "removed trimtab-audit-shop-2020-01-01.md" in text
    names = sorted(path.name.rpartition("-20")[0] for path in tmp_path.iterdir())
    assert names == ["report", "trimtab-audit-lab", "trimtab-audit-shop"]
    assert other.exists()


@pytest.mark.usefixtures("fleet")
def test_in_a_folder_a_report_is_markdown_html_and_json(tmp_path: Path) -> None:
    assert run("audit", "-n", "shop", "--out", str(tmp_path))[0] == 0
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".html", ".json", ".md"]
    assert run("audit", "-n", "shop", "--out", str(tmp_path / "json"), "-o", "json")[0] == 0
    (only,) = (tmp_path / "json").iterdir()
    assert json.loads(only.read_text())["namespace"] == "shop"


def test_journals_that_may_not_be_read_are_a_note_and_a_refusal_is_told(fleet: Server) -> None:
    fleet.objects[f"{BASE}/tuningjournals"] = Forbidden(403, "Forbidden", "no")
    assert "TuningJournals can't be read" in run("audit")[1]
    fleet.objects[f"{BASE}/performanceconfigs"] = Forbidden(403, "Forbidden", "no")
    code, text = run("audit")
    assert code == 1
    assert "did not give the PerformanceConfigs" in text


def test_without_a_resource_it_says_so(server: Server) -> None:
    server.objects[f"{BASE}/performanceconfigs"] = []
    code, text = run("audit")
    assert code == 0
    assert "no PerformanceConfig to report on" in text


@pytest.mark.usefixtures("fleet")
def test_wrong_settings_and_folders_are_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "settings.yaml"
    wrong.write_text("mode: Faster\n")
    assert "mode" in run("audit", "--settings", str(wrong))[1]
    wrong.write_text("privacy: {labels: [namespace]}\nmode: Observe\n")
    assert "Mode Observe" in run("audit", "--settings", str(wrong))[1]
    (tmp_path / "file").write_text("x")
    assert "can't be written" in run("audit", "--out", str(tmp_path / "file" / "below"))[1]


def test_the_scene_is_a_resource() -> None:
    assert config().metadata.uid == "u1"
