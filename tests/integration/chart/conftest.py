"""A cluster of one's own: the chart's CRDs and roles belong to the whole cluster, and other tests have theirs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from tests.conftest import bed_name, bring_up, run_testbed


@pytest.fixture(scope="session")
def own_cluster() -> Iterator[Bed]:
    """A fresh bed with an API server and controllers, where nobody has installed anything."""
    name = f"{bed_name()[:14]}-chart"
    run_testbed("down", "--name", name)
    yield bring_up(name, "api")
    if os.environ.get("TRIMTAB_KEEP_BED") != "1":
        done = run_testbed("down", "--name", name)
        assert done.returncode == 0, done.stderr
