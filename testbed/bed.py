"""What a bed is: its name, its folder, its addresses, and how a test talks to it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from testbed.run import BedError, run

Level = Literal["api", "pods"]

DEFAULT_NAME = "trimtab"
DEFAULT_STATE = Path("/var/lib/trimtab/beds")
NAME_PATTERN = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
API_PORT = 6443
PROMETHEUS_PORT = 9090
BEDS_AT_ONCE = 32  # each takes eight /24 of the 10.x network chosen in net.py


def state_root() -> Path:
    """Return the folder that holds one folder per bed (environment variable TRIMTAB_STATE)."""
    return Path(os.environ.get("TRIMTAB_STATE") or DEFAULT_STATE)


def cache_root() -> Path:
    """Return the folder of what outlives beds: binaries and image layers (TRIMTAB_CACHE, XDG_CACHE_HOME)."""
    own = os.environ.get("TRIMTAB_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trimtab"


@dataclass(frozen=True)
class Bed:
    """One bed: a Kubernetes cluster of one node in a network namespace of its own.

    `network` is the index of its addresses and `octet` the second octet of its 10.x network. `boot_id` tells
    whether the machine was started anew since. Everything else is derived from the name.
    """

    name: str
    level: Level
    network: int
    octet: int
    boot_id: str

    @property
    def state(self) -> Path:
        """The folder with everything the bed writes."""
        return state_folder(self.name)

    def path(self, *parts: str) -> Path:
        """Return a path in the bed's folder."""
        return self.state.joinpath(*parts)

    @property
    def tag(self) -> str:
        """The name of the bed's network namespace and cgroup, unlike that of any other bed."""
        return tag_of(self.name)

    @property
    def host_interface(self) -> str:
        """The host's end of the link to the bed (an interface's name has at most 15 characters)."""
        return host_interface_of(self.name)

    @property
    def host_address(self) -> str:
        """The host's address on the link to the bed."""
        return f"10.{self.octet}.{self.network * 8}.1"

    @property
    def address(self) -> str:
        """The bed's address: API server, kubelet, DNS and Prometheus listen on it."""
        return f"10.{self.octet}.{self.network * 8}.2"

    @property
    def pod_range(self) -> str:
        """The addresses of pods; the host has a route to them."""
        return f"10.{self.octet}.{self.network * 8 + 1}.0/24"

    @property
    def service_range(self) -> str:
        """The addresses of Services; the host has a route to them."""
        return f"10.{self.octet}.{self.network * 8 + 4}.0/22"

    @property
    def api_cluster_ip(self) -> str:
        """The address of the Service `kubernetes`: the first of the range."""
        return f"10.{self.octet}.{self.network * 8 + 4}.1"

    @property
    def node(self) -> str:
        """The name of the only node."""
        return f"{self.name}-node"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; it works from the host and from inside."""
        return self.path("kubeconfig", "admin.json")

    @property
    def bin_dir(self) -> Path:
        """The folder with kubectl, helm and the rest."""
        return self.path("bin")

    @property
    def api_url(self) -> str:
        """Where the API server answers."""
        return f"https://{self.address}:{API_PORT}"

    @property
    def prometheus_url(self) -> str:
        """Where Prometheus answers, from the host and from pods (level pods)."""
        return f"http://{self.address}:{PROMETHEUS_PORT}"

    @property
    def containerd_socket(self) -> Path:
        """The socket of the bed's own containerd."""
        return self.path("containerd.sock")

    def inside(self, *command: str | Path) -> list[str]:
        """Return `command` so that it runs in the bed's network namespace.

        Not `ip netns exec`: that mounts /sys anew and hides the cgroups.
        """
        return ["nsenter", f"--net=/run/netns/{self.tag}", "--", *map(str, command)]

    def kubectl(self, *args: str, input: str | None = None, check: bool = True, timeout: float = 60.0) -> str:
        """Run kubectl as administrator and return its standard output.

        Raises BedError with what kubectl said when it fails and `check` is set.
        """
        command = [str(self.bin_dir / "kubectl"), f"--kubeconfig={self.kubeconfig}", *args]
        env = {**os.environ, "KUBECACHEDIR": str(self.path("kubectl-cache"))}
        return run(command, stdin=input, check=check, timeout=timeout, env=env).stdout

    def ctr(self, *args: str | Path, timeout: float = 120.0) -> str:
        """Run containerd's client in the namespace of Kubernetes and return its standard output."""
        address = ("--address", self.containerd_socket, "--namespace", "k8s.io")
        return run(["ctr", *address, *args], timeout=timeout).stdout

    def save(self) -> None:
        """Write the bed's record; `load` reads it."""
        self.path("bed.json").write_text(json.dumps(asdict(self), indent=1) + "\n")


def check_name(name: str) -> str:
    """Return `name`; raise BedError unless it can name a bed."""
    if not NAME_PATTERN.fullmatch(name):
        raise BedError(f"{name!r} cannot name a bed: use 1 to 20 of a-z, 0-9 and - (not at either end).")
    return name


def state_folder(name: str) -> Path:
    """Return the folder of the bed called `name`."""
    return state_root() / check_name(name)


def tag_of(name: str) -> str:
    """Return the name of a bed's network namespace and cgroup; beds under another TRIMTAB_STATE differ."""
    root = state_root()
    if root == DEFAULT_STATE:
        return f"trimtab-{name}"
    return f"trimtab-{name}-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:6]}"


def host_interface_of(name: str) -> str:
    """Return the name of the host's end of the link to the bed."""
    return "tt" + hashlib.sha256(tag_of(name).encode()).hexdigest()[:10]


def load(name: str) -> Bed | None:
    """Return the recorded bed, or None when there is none (or its record is unreadable after a crash)."""
    try:
        return Bed(**json.loads((state_folder(name) / "bed.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def known_names() -> list[str]:
    """Return the names of all beds that have a folder."""
    root = state_root()
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and NAME_PATTERN.fullmatch(entry.name))


def boot_id() -> str:
    """Return the kernel's id of this start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
