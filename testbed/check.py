"""What this machine has of what a bed needs, and the remedy for what it lacks."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testbed import cgroups
from testbed.bed import Level, state_root
from testbed.run import BedError, run

PACKAGES = Path(__file__).parent / "packages.txt"
API_PROGRAMS = ("ip", "nsenter", "openssl")
CNI_PLUGINS = Path("/usr/lib/cni")
CNI_PROGRAMS = ("ptp", "host-local", "loopback")


@dataclass(frozen=True)
class Part:
    """One thing a bed needs; `problem` is empty when the machine has it."""

    name: str
    problem: str = ""


def parts(level: Level) -> list[Part]:
    """Check everything that `level` needs and return a Part for each; changes nothing on the machine."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Linux", _linux),
        ("root", _root),
        ("programs", lambda: _programs(level)),
        ("network namespaces", _namespaces),
        ("cgroups", _cgroups),
    ]
    if level == "pods":
        checks += [
            ("CNI plugins", _cni),
            ("nftables", _nftables),
            ("overlay file system", _overlay),
            ("kernel messages", _kernel_messages),
        ]
    found: list[Part] = []
    for name, test in checks:
        problem = test()
        found.append(Part(name, problem))
        if problem and name in {"Linux", "root"}:  # the rest cannot be judged without
            break
    return found


def require(level: Level) -> None:
    """Raise BedError that names every missing part with its remedy, if any."""
    missing = [f"{part.name}: {part.problem}" for part in parts(level) if part.problem]
    if missing:
        raise BedError(f"This machine cannot run a bed of level {level}. " + " ".join(missing))


def _linux() -> str:
    system = os.uname().sysname
    if system == "Linux":
        return ""
    return f"this is {system}; use a Linux machine, or kind (kind-config.yaml) with CLUSTER=kind."


def _root() -> str:
    if os.geteuid() == 0:
        return ""
    return "network namespaces and cgroups need root; run with sudo, or use kind with CLUSTER=kind."


def missing_packages() -> list[str]:
    """Return the Debian packages whose program or file this machine lacks."""
    lines = [line.split() for line in PACKAGES.read_text().splitlines() if not line.startswith("#")]
    return [package for package, brings in lines if not _present(brings)]


def _present(program_or_path: str) -> bool:
    if program_or_path.startswith("/"):
        return Path(program_or_path).exists()
    return shutil.which(program_or_path) is not None


def _programs(level: Level) -> str:
    missing = (
        [f"package {name}" for name in missing_packages()]
        if level == "pods"
        else [name for name in API_PROGRAMS if not _present(name)]
    )
    return f"{', '.join(missing)} not found; run `python -m testbed deps` as root." if missing else ""


def _cni() -> str:
    missing = [name for name in CNI_PROGRAMS if not (CNI_PLUGINS / name).exists()]
    if not missing:
        return ""
    return f"{', '.join(missing)} not in {CNI_PLUGINS}; run `python -m testbed deps` as root."


def _namespaces() -> str:
    """Make a namespace with a link in it, and remove both."""
    if shutil.which("ip") is None:
        return "ip not found; run `python -m testbed deps` as root."
    tag = f"ttcheck{uuid.uuid4().hex[:8]}"
    try:
        run(["ip", "netns", "add", tag])
    except BedError as error:
        return f"{error} Give the container CAP_SYS_ADMIN, or run on the machine itself."
    try:
        run(["ip", "link", "add", tag, "type", "veth", "peer", "name", "host0", "netns", tag])
    except BedError as error:
        return f"{error} Load the kernel module veth (`modprobe veth`)."
    finally:
        run(["ip", "netns", "delete", tag])
    return ""


def _cgroups() -> str:
    missing = cgroups.missing_controllers()
    if missing:
        return f"no controller {', '.join(missing)} in {cgroups.ROOT}; mount it, or run on the machine itself."
    closed = [str(path) for path in cgroups.hierarchies() if not os.access(path, os.W_OK)]
    return f"{', '.join(closed)} cannot be written; run the container with writable cgroups." if closed else ""


def _nftables() -> str:
    if shutil.which("nft") is None:
        return "nft not found; run `python -m testbed deps` as root."
    try:
        run(["nft", "list", "tables"])
    except BedError as error:
        return f"{error} Load the kernel module nf_tables (`modprobe nf_tables`)."
    return ""


def _overlay() -> str:
    state_root().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state_root(), prefix=".check-") as folder:
        for name in ("lower", "upper", "work", "merged"):
            Path(folder, name).mkdir()
        options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        merged = Path(folder, "merged")
        done = run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=False)
        if done.returncode != 0:
            said = done.stderr.strip()
            return f"{said}; set TRIMTAB_STATE to a folder on ext4 or xfs (not on an overlay)."
        run(["umount", merged])
    return ""


def _kernel_messages() -> str:
    if Path("/dev/kmsg").exists():
        return ""
    return "/dev/kmsg is absent (the kubelet reads out-of-memory kills there); share it with the container."
