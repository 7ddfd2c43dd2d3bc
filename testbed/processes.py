"""Starting, recording and checking the long-running processes of a bed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from testbed import cgroups
from testbed.bed import Bed
from testbed.run import BedError, tail, wait_until

# A process joins the bed's cgroup before it becomes the program, so that no child of it can be outside.
_JOIN = 'echo $$ > "$0" && exec "$@"'


@dataclass(frozen=True)
class Record:
    """A started process; `start_time` (clock ticks since boot) tells a reused id from the process."""

    name: str
    pid: int
    start_time: int
    command: list[str]

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return _start_time(self.pid) == self.start_time

    def resident_mib(self) -> float:
        """Return the memory the process has resident, in MiB; 0 when it is gone."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _start_time(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def log_path(bed: Bed, name: str) -> Path:
    """Return the file that takes what a process prints."""
    return bed.path("logs", f"{name}.log")


_COLLECT_LESS = {"GOGC": "400"}
"""Garbage collection of the Go programs: a sixth less CPU of the API server for 130 MiB more of it."""


def start(bed: Bed, name: str, command: Sequence[str | Path]) -> Record:
    """Start `command` in the bed's namespace and cgroup, detached from this process, and record it."""
    words = [str(word) for word in command]
    log_path(bed, name).parent.mkdir(exist_ok=True)
    with log_path(bed, name).open("ab") as log:
        process = subprocess.Popen(
            ["sh", "-c", _JOIN, str(cgroups.procs_file(bed.name)), *bed.inside(*words)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**_COLLECT_LESS, **os.environ},
            cwd=bed.state,
            start_new_session=True,
        )
    started = _start_time(process.pid)
    if started is None:
        raise BedError(f"{name} ended at once: {tail(log_path(bed, name))}")
    record = Record(name, process.pid, started, words)
    folder = bed.path("processes")
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(asdict(record), indent=1) + "\n")
    process.returncode = 0  # it outlives this program by design: no warning about an unawaited child
    return record


def records(state: Path) -> list[Record]:
    """Return what was started in the bed whose folder is `state`, by name."""
    found = []
    for file in sorted((state / "processes").glob("*.json")):
        with suppress(ValueError, TypeError):  # half written in a crash
            found.append(Record(**json.loads(file.read_text())))
    return found


def running(bed: Bed, name: str) -> bool:
    """Tell whether the bed's process called `name` runs."""
    return any(record.name == name and record.alive for record in records(bed.state))


def require_running(bed: Bed, name: str) -> None:
    """Raise BedError with the end of its log unless the process runs."""
    if not running(bed, name):
        raise BedError(f"{name} of bed {bed.name} ended: {tail(log_path(bed, name))}")


def wait_ready(bed: Bed, name: str, condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a process to become ready; raise BedError with its log when it ends or takes too long."""

    def ready() -> bool:
        require_running(bed, name)
        return condition()

    def log() -> str:
        return tail(log_path(bed, name))

    wait_until(ready, seconds=seconds, what=f"{name} becoming ready", detail=log, poll=0.05)


def kill_recorded(state: Path, seconds: float = 10.0) -> None:
    """End the recorded processes that still are the ones recorded."""
    alive = [record for record in records(state) if record.alive]
    for record in alive:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(record.pid)
            try:
                if record.alive:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)
    wait_until(
        lambda: not any(record.alive for record in alive),
        seconds=seconds,
        what=f"The end of {', '.join(record.name for record in alive)}",
    )
