"""What the demo needs is looked for before anything is begun."""

from pathlib import Path

import pytest

from demo.tools import DemoError, Tools


def test_every_program_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    there = tmp_path / "kubectl"
    there.touch(mode=0o755)
    tools = Tools({"PATH": str(tmp_path)})
    tools.need("kubectl")
    with pytest.raises(
        DemoError, match=r"Not installed: docker, kind\. Install what is missing, or use CLUSTER=testbed"
    ):
        tools.need("docker", "kind", "kubectl")
