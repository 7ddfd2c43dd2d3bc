"""The Go toolchain: the machine's own, or one fetched into the cache from the Go module proxy."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from testbed.bed import cache_root
from testbed.run import BedError, run, step

OLDEST = (1, 21)  # the first that downloads a newer toolchain by itself
USUAL = Path("/usr/local/go/bin/go")
PROXY = "https://proxy.golang.org"
FETCH_SECONDS = 900.0


@dataclass(frozen=True)
class Archive:
    """A toolchain as the module proxy serves it (go.dev/ref/mod, golang.org/toolchain), and its SHA-256."""

    version: str
    machine: str
    sha256: str

    @property
    def module(self) -> str:
        """Name and version of the module, which all files in the archive lie under."""
        return f"golang.org/toolchain@v0.0.1-go{self.version}.linux-{self.machine}"

    def url(self, proxy: str) -> str:
        """Where this proxy has it."""
        name, _, version = self.module.partition("@")
        return f"{proxy.rstrip('/')}/{name}/@v/{version}.zip"


ARCHIVES = {
    "x86_64": Archive("1.26.0", "amd64", "38461905b98c59173672814302e222ab43b652274bc0c95817b08b71ab66b705"),
    "aarch64": Archive("1.26.0", "arm64", "4c3f961bc257ff52e7a425166f9f75015f645dff071d01a81823455ffe646609"),
}


def environment(needed: str) -> dict[str, str]:
    """The environment for `go build`, with a Go on its PATH that is, or fetches, version `needed` or newer.

    Raises BedError when the machine's Go is too old to do so, or one can't be had.
    """
    env = {**os.environ, "CGO_ENABLED": "0"}
    program = shutil.which("go") or (str(USUAL) if USUAL.exists() else None) or str(fetched())
    env["PATH"] = f"{Path(program).parent}:{env.get('PATH', '')}"
    said = run([program, "env", "GOVERSION"], cwd=Path("/"), env=env).stdout.strip()
    found = re.match(r"go(\d+)\.(\d+)", said)
    have = (int(found[1]), int(found[2])) if found else (0, 0)
    if have < OLDEST:
        raise BedError(
            f"Go {said or '(unknown version)'} is too old: install Go {needed}, or any from 1.21 on, which fetches it, "
            "or remove it, and one is fetched."
        )
    if have < tuple(int(part) for part in needed.split(".")[:2]):
        env["GOTOOLCHAIN"] = "auto"
    return env


def fetched() -> Path:
    """The `go` of the cache, downloaded, checked and unpacked where it is not there yet.

    Raises BedError where there is none for this machine, the download fails, or it is not what was pinned.
    """
    archive = ARCHIVES.get(os.uname().machine)
    if archive is None:
        raise BedError(f"Go is not installed and none is pinned for {os.uname().machine}: install it from go.dev/dl.")
    home = cache_root() / f"go{archive.version}-{archive.machine}"
    program = home / "bin" / "go"
    if not program.exists():
        cache_root().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_root()) as folder:
            file = Path(folder) / "go.zip"
            with step(f"Go {archive.version} is not installed: fetching it into {home}"):
                run(["curl", "-sSfL", "-o", file, archive.url(proxy())], timeout=FETCH_SECONDS)
                unpack(archive, file, Path(folder) / "go")
                shutil.rmtree(home, ignore_errors=True)
                (Path(folder) / "go").rename(home)
    return program


def proxy() -> str:
    """The module proxy that GOPROXY names first, else Go's own."""
    words = re.split(r"[,|]", os.environ.get("GOPROXY", ""))
    return next((word for word in words if word.startswith(("http://", "https://"))), PROXY)


def unpack(archive: Archive, file: Path, home: Path) -> None:
    """Check the archive and unpack it; module archives keep no modes, so its programs are made executable.

    Raises BedError when its hash is another than the pinned one.
    """
    with file.open("rb") as data:
        found = hashlib.file_digest(data, "sha256").hexdigest()
    if found != archive.sha256:
        raise BedError(f"{archive.module}: its SHA-256 is {found}, pinned is {archive.sha256}; it is not used.")
    prefix = f"{archive.module}/"
    with zipfile.ZipFile(file) as held:
        for name in held.namelist():
            target = (home / name.removeprefix(prefix)).resolve()
            if not name.startswith(prefix) or not target.is_relative_to(home.resolve()):
                raise BedError(f"{archive.module}: the file {name!r} would land outside {home}; it is not used.")
            target.parent.mkdir(parents=True, exist_ok=True)
            with held.open(name) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            if target.parent.name == "bin" or "pkg/tool" in target.as_posix():
                target.chmod(target.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
