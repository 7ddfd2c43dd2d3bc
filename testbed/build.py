"""Building the control plane and the tools from Go modules, once per version."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from testbed import golang
from testbed.bed import cache_root
from testbed.run import BedError, run, say

GO_ROOT = Path(__file__).parent / "go"
KUBERNETES_VERSION = "1.36.3"
BUILD_SECONDS = 3600.0
_VERSION_FLAGS = " ".join(
    f"-X k8s.io/component-base/version.{field}={value}"
    for field, value in zip(
        ("gitVersion", "gitMajor", "gitMinor"),
        (f"v{KUBERNETES_VERSION}", *KUBERNETES_VERSION.split(".")[:2]),
        strict=True,
    )
)


@dataclass(frozen=True)
class Binary:
    """One program: the Go module (a folder under go/) and the package in it."""

    name: str
    module: str
    package: str
    tags: str = ""

    @property
    def ldflags(self) -> str:
        """The linker's flags: no symbols, and the version where the program reports one."""
        return f"-s -w {_VERSION_FLAGS}" if self.package.startswith("k8s.io/kubernetes/") else "-s -w"


def _kubernetes(name: str) -> Binary:
    return Binary(name, "control-plane", f"k8s.io/kubernetes/cmd/{name}")


def _prometheus(name: str) -> Binary:
    # Debian's Prometheus has no Kubernetes service discovery; here it is the only one.
    package = f"github.com/prometheus/prometheus/cmd/{name}"
    return Binary(name, "prometheus", package, tags="remove_all_sd,enable_kubernetes_sd")


BINARIES = {
    binary.name: binary
    for binary in (
        Binary("etcd", "control-plane", "./etcd"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kubectl"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        Binary("pause", "pause", "."),
        Binary("coredns", "coredns", "."),
        _prometheus("prometheus"),
        _prometheus("promtool"),
        Binary("helm", "helm", "helm.sh/helm/v4/cmd/helm"),
    )
}
TOOLS = {
    binary.name: binary
    for binary in (
        # What a peer of the lab is compared with; no bed needs it, so only `build vpa-recommender` makes it.
        Binary("vpa-recommender", "vpa", "k8s.io/autoscaler/vertical-pod-autoscaler/pkg/recommender"),
        # Servers that a backtest may read from; no bed needs them either.
        Binary("thanos", "thanos", "github.com/thanos-io/thanos/cmd/thanos", tags="slicelabels"),
        Binary("mimir", "mimir", "github.com/grafana/mimir/cmd/mimir", tags="stringlabels"),
    )
}
_KNOWN = BINARIES | TOOLS
API_BINARIES = ("etcd", "kube-apiserver", "kubectl", "kube-controller-manager")


def module_key(module: str) -> str:
    """Return the hash of what a module's binaries depend on: go.mod, go.sum, own sources, flags."""
    folder = GO_ROOT / module
    digest = hashlib.sha256(f"{_VERSION_FLAGS} {os.uname().machine}".encode())
    for source in sorted(folder.rglob("*")):
        if source.name in {"go.mod", "go.sum"} or source.suffix == ".go":
            digest.update(str(source.relative_to(folder)).encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def path_of(name: str) -> Path:
    """Return where the cache keeps a program, built or not."""
    binary = _KNOWN[name]
    return cache_root() / "bin" / f"{binary.module}-{module_key(binary.module)}" / name


def build(names: Iterable[str] = tuple(BINARIES)) -> list[Path]:
    """Build the programs that the cache lacks, and return the paths of all `names`.

    Prints each program with its seconds. Raises BedError when Go is too old or can't be had, or a build fails.
    """
    wanted = list(names)
    unknown = sorted(set(wanted) - set(_KNOWN))
    if unknown:
        raise BedError(f"No such program: {', '.join(unknown)}; there are {', '.join(_KNOWN)}.")
    missing = [name for name in wanted if not path_of(name).exists()]
    if missing:
        env = golang.environment(_module_go_version())
        say(f"Building {len(missing)} programs into {cache_root() / 'bin'} (all: 15 minutes on 2 cores, once):")
        for name in missing:
            _build_one(_KNOWN[name], env)
    return [path_of(name) for name in wanted]


def _build_one(binary: Binary, env: dict[str, str]) -> None:
    target = path_of(binary.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{binary.name}.{os.getpid()}")
    start = time.monotonic()
    say(f"  {binary.name}: building")
    command = ["nice", "go", "build", "-trimpath", "-buildvcs=false", "-p", _jobs()]
    command += ["-tags", binary.tags, "-ldflags", binary.ldflags, "-o", str(partial), binary.package]
    try:
        run(command, timeout=BUILD_SECONDS, env=env, cwd=GO_ROOT / binary.module)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    say(f"  {binary.name}: {time.monotonic() - start:.1f} s")


def _jobs() -> str:
    return os.environ.get("TRIMTAB_BUILD_JOBS") or str(min(os.cpu_count() or 1, 8))


def _module_go_version() -> str:
    """Return the newest Go version that one of the modules asks for."""
    found = [re.search(r"^go (\S+)$", file.read_text(), re.MULTILINE) for file in GO_ROOT.glob("*/go.mod")]
    versions = [one[1] for one in found if one is not None]
    if not versions:
        raise BedError(f"No go.mod with a `go` line under {GO_ROOT}: restore it from the repository.")
    return max(versions, key=lambda version: [int(part) for part in version.split(".")])
