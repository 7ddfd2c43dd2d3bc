"""Where Go comes from on a machine that has none."""

import dataclasses
import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from testbed import golang
from testbed.golang import Archive
from testbed.run import BedError


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """A machine without Go, and a pinned toolchain whose `go` is a shell script that a curl of our own copies."""
    draft = Archive("1.26.0", "amd64", "")
    file = tmp_path / "served.zip"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr(f"{draft.module}/bin/go", "#!/bin/sh\necho go1.26.0\n")
        made.writestr(f"{draft.module}/pkg/tool/linux_amd64/compile", "compiler")
        made.writestr(f"{draft.module}/VERSION", "go1.26.0")
    archive = dataclasses.replace(draft, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    programs = tmp_path / "programs"
    programs.mkdir()
    curl = programs / "curl"
    curl.write_text(f'#!/bin/sh\necho "$4" >{tmp_path}/asked\n/bin/cp {file} "$3"\n')
    curl.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GOPROXY", "https://modules.example/,direct")
    monkeypatch.setattr(golang, "USUAL", tmp_path / "nowhere")
    monkeypatch.setattr(golang, "ARCHIVES", {os.uname().machine: archive})
    return archive


def test_without_go_the_pinned_one_is_fetched_once_and_used(served: Archive, tmp_path: Path) -> None:
    env = golang.environment("1.26.0")
    home = tmp_path / "cache" / "go1.26.0-amd64"
    assert env["PATH"].startswith(f"{home}/bin:")
    assert os.access(home / "pkg/tool/linux_amd64/compile", os.X_OK)
    assert (tmp_path / "asked").read_text().strip() == (
        "https://modules.example/golang.org/toolchain/@v/v0.0.1-go1.26.0.linux-amd64.zip"
    )
    (tmp_path / "asked").unlink()
    assert golang.environment("1.26.0")["PATH"] == env["PATH"]
    assert not (tmp_path / "asked").exists()


def test_an_archive_that_is_not_the_pinned_one_is_not_used(
    served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(served, sha256="0" * 64)
    monkeypatch.setattr(golang, "ARCHIVES", {os.uname().machine: other})
    with pytest.raises(BedError, match="pinned is 0000"):
        golang.environment("1.26.0")
    assert not (tmp_path / "cache" / "go1.26.0-amd64").exists()


def test_a_machine_for_which_none_is_pinned_is_told_where_to_get_one(
    served: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golang, "ARCHIVES", {})
    with pytest.raises(BedError, match=r"install it from go\.dev/dl"):
        golang.environment("1.26.0")


def test_a_file_that_would_land_outside_is_refused(tmp_path: Path) -> None:
    archive = Archive("1", "amd64", "")
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as made:
        made.writestr(f"{archive.module}/../../outside", "x")
    archive = dataclasses.replace(archive, sha256=hashlib.sha256((tmp_path / "bad.zip").read_bytes()).hexdigest())
    with pytest.raises(BedError, match="would land outside"):
        golang.unpack(archive, tmp_path / "bad.zip", tmp_path / "home")
    assert not (tmp_path / "outside").exists()


def test_without_a_proxy_of_its_own_go_s_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", "off")
    assert golang.proxy() == golang.PROXY
