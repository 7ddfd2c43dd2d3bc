"""The quick start as it is written: every command block runs, in order, in one shell on a cluster of its own.

The blocks for a cluster of one's own need Docker and a registry; of those, what Helm is given is rendered.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.build import build

pytestmark = pytest.mark.pods

ROOT = Path(__file__).parents[2]
BED = "quickstart"
WATCH_SECONDS = 3
PRELUDE = f"""
set -euo pipefail
kubectl() {{
  case " $* " in
    *" --watch "*) timeout {WATCH_SECONDS} "$KUBECTL" "$@" || true ;;
    *) "$KUBECTL" "$@" ;;
  esac
}}
"""


def sections() -> dict[str, list[str]]:
    """Heading → its console blocks."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", (ROOT / "docs" / "quickstart.md").read_text(), flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        found[heading] = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    tools = f"{build(['helm'])[0].parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "TRIMTAB_BED": BED, "PATH": tools}
    environment.pop("KUBECONFIG", None)
    yield environment
    subprocess.run([ROOT / ".venv/bin/python", "-m", "testbed", "down"], cwd=ROOT, env=environment, check=False)


def test_every_command_of_the_quick_start_runs_on_the_test_bed(environment: dict[str, str]) -> None:
    blocks = sections()
    own = next(heading for heading in blocks if heading.endswith("your own"))
    script = [PRELUDE]
    for heading, commands in blocks.items():
        if heading == own:
            continue
        for block in commands:
            script += [f"echo '== {heading}'", block]
            if "testbed env" in block:
                script.append("KUBECTL=$(type -P kubectl) && export KUBECTL")
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "MetricsAvailable" in done.stdout


def test_the_charts_of_the_way_to_a_cluster_of_ones_own_can_be_rendered(environment: dict[str, str]) -> None:
    blocks = next(commands for heading, commands in sections().items() if heading.endswith("your own"))
    installs = [block for block in blocks if "helm install" in block]
    assert len(installs) >= 2
    for block in installs:
        template = block.replace("helm install", "helm template").replace("--wait", "")
        rendered = subprocess.run(
            ["bash", "-euc", template],
            cwd=ROOT,
            env={**environment, "REGISTRY": "registry.example.com/me"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert rendered.returncode == 0, rendered.stderr
        assert "registry.example.com/me/trimtab:0" in rendered.stdout
