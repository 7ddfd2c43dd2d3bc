"""Bringing a bed up and taking it down."""

from __future__ import annotations

import shutil
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from testbed import bed as beds
from testbed import build, cgroups, check, control_plane, net, node, processes, prometheus, sysctls
from testbed.bed import Bed, Level
from testbed.certs import make_certificates
from testbed.run import BedError, run, say, step, wait_until

SCRAPE_SECONDS = 5
# Folders that these programs have compiled in.
POD_LOG_LINKS = Path("/var/log/containers")  # kubelet
KUBELET_PLUGIN_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
CNI_RESULTS = (Path("/var/lib/cni/results"), Path("/var/lib/cni/cache/results"))
SHIM_SOCKETS = Path("/run/containerd/s")
KEPT_FOLDERS = (Path("/var/log"),)


def up(name: str, level: Level = "pods", scrape_seconds: int = SCRAPE_SECONDS) -> Bed:
    """Bring the bed called `name` up to `level` and return it; a bed that is up already stays as it is.

    What a crash or a restart of the machine left behind is removed first. Raises BedError with the missing
    part when the machine cannot run it, or with the log of the process that failed.
    """
    with net.locked(beds.check_name(name)):
        found = _usable(name)
        if found is not None and (found.level == "pods" or level == "api"):
            say(f"Bed {name} is up already (level {found.level}).")
            return found
        check.require(level)
        programs = build.build(build.API_BINARIES if level == "api" else build.BINARIES)
        say(f"Bed {name}, level {level}:")
        if found is None:
            _clean(name)
            found = _prepare(name)
        found.path("ready").unlink(missing_ok=True)  # until the end: a start cut short is not taken for a bed
        _link_programs(found, programs)
        control_plane.start_api(found)
        if level == "pods":
            found = replace(found, level="pods")
            found.save()
            if not processes.running(found, "kube-scheduler"):
                control_plane.start_scheduler(found)
            node.start_node(found, scrape_seconds)
            prometheus.start_prometheus(found, scrape_seconds)
        found.path("ready").touch()
        return found


def down(name: str) -> bool:
    """Take the bed called `name` down; return whether there was anything to remove."""
    with net.locked(beds.check_name(name)):
        existed = beds.state_folder(name).exists() or net.exists(name)
        _clean(name)
        return existed


def _usable(name: str) -> Bed | None:
    """Return the bed when it is up and whole; otherwise None, said with the reason."""
    found = beds.load(name)
    if found is None:
        return None
    if found.boot_id != beds.boot_id():
        say(f"Bed {name} is from before the machine was started anew: starting over.")
        return None
    dead = [record.name for record in processes.records(found.state) if not record.alive]
    if dead or not net.exists(name) or not found.path("ready").exists():
        say(f"Bed {name} is not whole ({', '.join(dead) or 'its start was cut short'}): starting over.")
        return None
    return found


def _prepare(name: str) -> Bed:
    found = net.allocate(name, "api")
    with step("network namespace, cgroup, certificates"):
        net.create(found)
        cgroups.create(name)
        make_certificates(found)
    return found


def _link_programs(bed: Bed, programs: list[Path]) -> None:
    bed.bin_dir.mkdir(exist_ok=True)
    for program in programs:
        link = bed.bin_dir / program.name
        link.unlink(missing_ok=True)
        link.symlink_to(program)


def _clean(name: str) -> None:
    """Remove all traces of the bed called `name`, in whatever state it is."""
    state = beds.state_folder(name)
    if not state.exists() and not net.exists(name):
        return
    found = beds.load(name)
    this_boot = found is None or found.boot_id == beds.boot_id()
    with step(f"removing bed {name}"):
        sockets = _shim_sockets(state)
        if this_boot:  # ids recorded before a restart of the machine mean nothing
            processes.kill_recorded(state)
        cgroups.kill_members(name)
        _unmount_below(state)
        net.remove(name)
        cgroups.remove(name)
        for shim_socket in sockets:
            shim_socket.unlink(missing_ok=True)
        _remove_leftovers(name, state)
        sysctls.restore(leaving=name)
        if state.exists():
            shutil.rmtree(state)


def _shim_sockets(state: Path) -> list[Path]:
    """Return the sockets of the containers' shims: containerd keeps them outside its folders."""
    tasks = state / "containerd" / "state" / "io.containerd.runtime.v2.task"
    found = []
    for file in tasks.glob("*/*/address"):
        path = Path(file.read_text().strip().removeprefix("unix://"))
        if path.parent == SHIM_SOCKETS:
            found.append(path)
    return found


def _unmount_below(folder: Path) -> None:
    def mounts() -> list[str]:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
        return [point for point in points if Path(point).is_relative_to(folder)]

    def unmounted() -> bool:
        for point in reversed(mounts()):
            run(["umount", point], check=False)
        return not mounts()

    wait_until(unmounted, seconds=15, what=f"Unmounting {folder}", detail=lambda: f"Still mounted: {mounts()}")


def _remove_leftovers(name: str, state: Path) -> None:
    """Remove what kubelet, CNI and containerd write outside the bed's folder, as far as it is this bed's."""
    if POD_LOG_LINKS.is_dir():
        for link in POD_LOG_LINKS.iterdir():
            if link.is_symlink() and link.readlink().is_relative_to(state):
                link.unlink()
    for results in CNI_RESULTS:
        for result in results.glob("*"):
            if result.name.startswith(f"{beds.tag_of(name)}-") or str(state) in result.read_text(errors="replace"):
                result.unlink()
    if KUBELET_PLUGIN_SOCKET.is_socket() and not _is_listened_to(KUBELET_PLUGIN_SOCKET):
        KUBELET_PLUGIN_SOCKET.unlink()
    for folder in (POD_LOG_LINKS, *CNI_RESULTS, KUBELET_PLUGIN_SOCKET.parent, SHIM_SOCKETS):
        for empty in (folder, folder.parent):
            if empty not in KEPT_FOLDERS:
                with suppress(OSError):  # absent, or with something of others in it
                    empty.rmdir()


def _is_listened_to(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def require_up(name: str, level: Level = "api") -> Bed:
    """Return the bed called `name`; raise BedError with the command that starts it unless it is up."""
    found = beds.load(name)
    if found is None or found.boot_id != beds.boot_id():
        raise BedError(f"Bed {name} is not up: run `python -m testbed up --name {name} --level {level}`.")
    if level == "pods" and found.level != "pods":
        raise BedError(f"Bed {name} runs no pods: run `python -m testbed up --name {name} --level pods`.")
    return found
