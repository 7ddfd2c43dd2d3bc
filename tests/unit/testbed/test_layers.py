"""Image layers and archives of the test bed."""

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from testbed.images import full_name, write_image
from testbed.layers import Layer, write_layer


def tree(root: Path, time: int) -> Path:
    (root / "lib").mkdir(parents=True)
    (root / "lib" / "code.py").write_text("print(1)\n")
    program = root / "run"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    (root / "link").symlink_to("run")
    for path in root.rglob("*"):
        os.utime(path, (time, time), follow_symlinks=False)
    return root


def test_the_same_files_give_the_same_layer_whatever_their_times_are(tmp_path: Path) -> None:
    first = write_layer(tmp_path / "1.tar", {"opt/app": tree(tmp_path / "a", 1)}, {"etc/passwd": b"root\n"})
    second = write_layer(tmp_path / "2.tar", {"opt/app": tree(tmp_path / "b", 10**9)}, {"etc/passwd": b"root\n"})
    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_layer_belongs_to_root_and_everyone_can_read_it(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "1.tar", {"opt/app": tree(tmp_path / "a", 1)}, {"etc/passwd": b"root\n"})
    with tarfile.open(layer.path) as tar:
        members = {member.name: member for member in tar}
    assert {(one.uid, one.gid, one.mtime) for one in members.values()} == {(0, 0, 0)}
    assert {name: oct(one.mode) for name, one in members.items()} == {
        "etc": "0o755",
        "etc/passwd": "0o644",
        "opt": "0o755",
        "opt/app": "0o755",
        "opt/app/lib": "0o755",
        "opt/app/lib/code.py": "0o644",
        "opt/app/link": "0o777",
        "opt/app/run": "0o755",
    }
    assert members["opt/app/link"].linkname == "run"


def test_an_image_names_each_blob_by_its_digest_and_runs_as_an_ordinary_user(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "1.tar", {}, {"etc/passwd": b"root\n"})
    archive = write_image(tmp_path / "image.tar", "a/b:dev", [layer], entrypoint=["/run"], env={"A": "1"})
    with tarfile.open(archive) as tar:
        content = {one.name: file.read() for one in tar if (file := tar.extractfile(one)) is not None}
    for name, blob in content.items():
        if name.startswith("blobs/sha256/"):
            assert name == f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}"
    (top,) = json.loads(content["index.json"])["manifests"]
    manifest = json.loads(content["blobs/" + top["digest"].replace(":", "/")])
    config = json.loads(content["blobs/" + manifest["config"]["digest"].replace(":", "/")])
    assert top["annotations"] == {"io.containerd.image.name": "docker.io/a/b:dev"}
    assert config["rootfs"]["diff_ids"] == [f"sha256:{Layer(layer.path).digest}"]
    assert (config["config"]["User"], config["config"]["Env"]) == ("65532", ["A=1"])


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("a:dev", "docker.io/library/a:dev"),
        ("trimtab/a:dev", "docker.io/trimtab/a:dev"),
        ("localhost/a:dev", "localhost/a:dev"),
        ("host:5000/a:dev", "host:5000/a:dev"),
        ("ghcr.io/o/a:dev", "ghcr.io/o/a:dev"),
    ],
)
def test_an_images_name_is_completed_as_the_kubelet_does(name: str, full: str) -> None:
    assert full_name(name) == full
