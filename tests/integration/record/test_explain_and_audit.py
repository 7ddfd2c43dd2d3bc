"""`trimtab explain` and `trimtab audit` on a real API server: a journal is written, read, explained and reported."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from testbed.bed import Bed
from tests.integration.record.conftest import make
from tests.unit.explain.scene import busy
from trimtab.cli.main import main
from trimtab.kube.client import KubeClient
from trimtab.kube.paths import resource_path
from trimtab.record.journal import from_status, unix
from trimtab.record.journals import Journals
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.owned import Owner

pytestmark = pytest.mark.cluster


async def leads() -> bool:
    return True


async def run(*arguments: str) -> tuple[int, str]:
    """The command in a thread: it runs a loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def found_in(folder: Path) -> list[tuple[str, str]]:
    """Name without its date, and first line, of every file."""
    return [(path.name.rsplit("-", 3)[0], path.read_text("utf-8").splitlines()[0]) for path in folder.iterdir()]


async def record(client: KubeClient, owner: Owner) -> list[str]:
    """Journal and status of a simulated workload, as the operator writes them; the identities, newest first."""
    recorded, journals = busy(), Journals(client, OperatorMetrics.create(), leads, seconds=60.0)
    inputs = {made.id: packed for made, packed in recorded.made}
    for entry in reversed(recorded.entries):
        made = from_status(owner.key, entry.decision)
        assert made is not None
        journals.note([made], entry.settings, {owner.key: inputs[made.id]})
    last = unix(recorded.entries[0].decision.time)
    for later in (0.0, 60.0):
        await journals.write({owner.key: owner}, lambda _: 14 * 86_400.0, last + later)
    shown: list[Any] = [
        one.decision.model_dump(mode="json", by_alias=True, exclude_none=True) for one in recorded.entries[:10]
    ]
    path = resource_path("trimtab.dev", "v1alpha1", "performanceconfigs", owner.namespace, owner.name, "status")
    await client.merge_patch(path, {"status": {"decisions": shown}})
    return [one["id"] for one in shown]


async def test_rule_24_a_decision_is_explained_from_the_journal_of_a_real_cluster(
    bed: Bed, client: KubeClient, owner: Owner
) -> None:
    identities = await record(client, owner)
    where = ("--kubeconfig", str(bed.kubeconfig))
    for identity in identities:
        code, text = await run("explain", owner.key, "--decision", identity, "-o", "json", *where)
        found = json.loads(text)
        assert (code, found["equal"], found["source"]) == (0, True, "Inputs"), found["missing"]
    code, text = await run("explain", owner.key, "--what-if", "replicas.max=1", *where)
    assert code == 0
    assert "With replicas.max=1" in text
    await client.delete(resource_path("trimtab.dev", "v1alpha1", "tuningjournals", owner.namespace, owner.name))
    code, text = await run("explain", owner.key, *where)
    assert code == 0
    assert "There is no TuningJournal of it yet" in text


async def test_it_is_a_plugin_of_a_real_kubectl(bed: Bed, client: KubeClient, owner: Owner) -> None:
    """kubectl finds `kubectl-trimtab` on the PATH, where the package installs it, and asks it for completions."""
    identities = await record(client, owner)
    scripts = Path(sys.executable).parent
    path = os.pathsep.join([str(scripts), str(bed.bin_dir), "/usr/bin", "/bin"])
    env = {**os.environ, "PATH": path, "KUBECONFIG": str(bed.kubeconfig)}

    async def kubectl(*words: str) -> str:
        command = [str(bed.bin_dir / "kubectl"), *words]
        done = await asyncio.to_thread(
            subprocess.run, command, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(scripts / "kubectl-trimtab") in await kubectl("plugin", "list")
    found = json.loads(await kubectl("trimtab", "explain", owner.key, "-o", "json"))
    assert (found["decision"]["id"], found["equal"]) == (identities[0], True)
    assert "explain" in await kubectl("__complete", "trimtab", "ex")
    _, text = await run("explain", owner.key, "--kubeconfig", str(bed.kubeconfig))
    assert await kubectl("trimtab", "explain", owner.key) == text


async def test_a_namespace_is_audited_with_its_journals(
    bed: Bed, client: KubeClient, owner: Owner, tmp_path: Path
) -> None:
    await record(client, owner)
    await make(client, owner.namespace, "idle")
    where = ("-n", owner.namespace, "--kubeconfig", str(bed.kubeconfig))
    code, text = await run("audit", "-o", "json", *where)
    (found,) = json.loads(text)
    assert (code, found["namespace"], found["resources"]) == (0, owner.namespace, 2)
    assert {lack["resource"] for lack in found["withoutData"]} >= {"idle"}
    code, _ = await run("audit", "--format", "html", "--out", str(tmp_path), *where)
    assert code == 0
    assert found_in(tmp_path) == [(f"trimtab-audit-{owner.namespace}", "<!doctype html>")]
