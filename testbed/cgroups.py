"""The bed's cgroup: holds every process of the bed, pods included, on cgroup v1 and v2."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from testbed.bed import tag_of
from testbed.run import BedError, wait_until

ROOT = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "cpuset", "memory", "pids")  # what the kubelet asks for
TRACKED_V1 = "pids"  # the v1 hierarchy in which membership is read


def unified() -> bool:
    """Tell whether this machine has the v2 hierarchy alone."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[Path]:
    """Return the roots in which a bed needs a folder: one on v2, one per controller on v1."""
    return [ROOT] if unified() else _mounted("cgroup")


def _mounted(*kinds: str) -> list[Path]:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted({Path(fields[1]) for fields in mounts if fields[2] in kinds})


def missing_controllers() -> list[str]:
    """Return which of the needed controllers this machine lacks."""
    if unified():
        have = set((ROOT / "cgroup.controllers").read_text().split())
    else:
        have = {path.name for path in hierarchies()} | {part for path in hierarchies() for part in path.name.split(",")}
    return [name for name in NEEDED if name not in have]


def create(name: str) -> None:
    """Make the bed's cgroup in every hierarchy, with a leaf `system` for processes that are not pods."""
    for root in hierarchies():
        for folder in (root / tag_of(name), root / tag_of(name) / "system"):
            folder.mkdir(exist_ok=True)
            for setting in (
                "cpuset.cpus",
                "cpuset.mems",
            ):  # v1: empty in a new cgroup, which then takes no process
                own = folder / setting
                if not unified() and own.exists():
                    own.write_text((folder.parent / setting).read_text())
        if unified():
            for parent in (root, root / tag_of(name)):
                (parent / "cgroup.subtree_control").write_text(" ".join(f"+{one}" for one in NEEDED))


def procs_file(name: str) -> Path:
    """Return the file that a process of the bed writes its id to."""
    return _tracked(name) / "system" / "cgroup.procs"


def _tracked(name: str) -> Path:
    return (ROOT if unified() else ROOT / TRACKED_V1) / tag_of(name)


def members(name: str) -> Iterator[int]:
    """Yield the ids of all processes in the bed's cgroup and below."""
    for folder, _, _ in os.walk(_tracked(name)):
        with suppress(OSError):  # removed since
            yield from map(int, Path(folder, "cgroup.procs").read_text().split())


def kill_members(name: str, seconds: float = 20.0) -> None:
    """End every process of the bed at once. Its state is thrown away, so nothing needs to end in order.

    A process file descriptor is taken before membership is read again: an id that was given to a process
    outside meanwhile is never signalled.
    """

    def gone() -> bool:
        pids = set(members(name))
        for pid in pids:
            with suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                try:
                    if pid in set(members(name)):
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                finally:
                    os.close(handle)
        return not pids

    wait_until(
        gone,
        seconds=seconds,
        what=f"The end of all processes of bed {name}",
        detail=lambda: f"{[*members(name)]}",
    )


def remove(name: str, seconds: float = 10.0) -> None:
    """Remove the bed's cgroups, deepest first; none needs to exist."""

    def gone() -> bool:
        clean = True
        for root in _mounted("cgroup", "cgroup2"):  # with v1, runc makes folders in an empty v2 hierarchy as well
            for folder, _, _ in os.walk(root / tag_of(name), topdown=False):
                try:
                    Path(folder).rmdir()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        raise BedError(f"Cannot remove cgroup {folder}: {error.strerror}.") from error
                    clean = False
        return clean

    wait_until(gone, seconds=seconds, what=f"The removal of the cgroups of bed {name}")
