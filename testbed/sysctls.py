"""Kernel settings that the kubelet changes machine-wide, kept so that the last `down` puts them back."""

from __future__ import annotations

import json
from pathlib import Path

from testbed.bed import known_names, load, state_root
from testbed.net import locked

PROC = Path("/proc/sys")
# pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables
SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def _file() -> Path:
    return state_root() / ".sysctls.json"


def keep() -> None:
    """Record the settings, unless another bed has done so already."""
    with locked(".sysctl"):
        if not _file().exists():
            values = {name: (PROC / name).read_text().strip() for name in SETTINGS if (PROC / name).exists()}
            _file().write_text(json.dumps(values, indent=1) + "\n")


def restore(leaving: str) -> None:
    """Put the settings back when no bed but `leaving` has a kubelet."""
    with locked(".sysctl"):
        others = [bed for bed in map(load, known_names()) if bed is not None and bed.name != leaving]
        if not _file().exists() or any(bed.level == "pods" for bed in others):
            return
        for name, value in json.loads(_file().read_text()).items():
            if name in SETTINGS and (PROC / name).read_text().strip() != value:
                (PROC / name).write_text(value)
        _file().unlink()
