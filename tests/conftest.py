"""Fixtures for tests that need a real API server (`cluster`) or real pods (`pods_cluster`).

The bed is named by TRIMTAB_BED (default: test). Test runs at the same time share it, and the last one to end
takes it down. A bed that was up before any test stays up, as does any with TRIMTAB_KEEP_BED=1.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from testbed import bed as beds
from testbed.bed import Bed

ROOT = Path(__file__).parent.parent
# How long an example takes says how busy the machine is, and nothing about the code.
# CI judges a change by examples that stay the same; whoever runs the tests elsewhere looks at others each time.
settings.register_profile("trimtab", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("trimtab")
UP_SECONDS = 3600.0  # the first start on a machine builds the control plane


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: many ticks; `make test` runs it without measuring coverage")


def bed_name() -> str:
    return os.environ.get("TRIMTAB_BED") or "test"


def run_testbed(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m testbed` in a process of its own: what it starts must not be a child of pytest."""
    command = [sys.executable, "-m", "testbed", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=UP_SECONDS, check=False)


def bring_up(name: str, level: str) -> Bed:
    """Start a bed; a machine that cannot run it fails the test with what is missing."""
    done = run_testbed("up", "--name", name, "--level", level)
    found = beds.load(name)
    if done.returncode != 0 or found is None:
        pytest.fail(f"The test bed did not start:\n{done.stderr}", pytrace=False)
    return found


@pytest.fixture(scope="session")
def _bed() -> Iterator[str]:
    name = bed_name()
    locks = beds.state_root() / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / f"{name}.tests").open("w") as in_use:
        fcntl.flock(in_use, fcntl.LOCK_SH)
        was_up = run_testbed("status", "--name", name).returncode == 0
        ours = beds.state_folder(name) / "started-by-tests"
        if not was_up:
            bring_up(name, "api")
            ours.touch()
        yield name
        try:
            fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another run uses it, and will take it down
        if ours.exists() and os.environ.get("TRIMTAB_KEEP_BED") != "1":
            done = run_testbed("down", "--name", name)
            assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def cluster(_bed: str) -> Bed:
    """A bed with an API server and controllers; pods stay Pending unless another test asked for a node."""
    return bring_up(_bed, "api")


@pytest.fixture(scope="session")
def pods_cluster(_bed: str) -> Bed:
    """A bed that runs pods, with Prometheus."""
    return bring_up(_bed, "pods")
