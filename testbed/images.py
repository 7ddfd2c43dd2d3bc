"""Images without a registry: OCI layouts in a tar, imported straight into the bed's containerd."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.bed import Bed, cache_root
from testbed.build import path_of
from testbed.layers import Layer, write_layer
from testbed.run import BedError

PAUSE_IMAGE = "docker.io/trimtab/pause:dev"
USER = 65532  # "nonroot" of the common minimal images
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI = "application/vnd.oci.image"


def full_name(name: str) -> str:
    """Return an image's name as the kubelet asks containerd for it: `a/b:t` is `docker.io/a/b:t`."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def architecture() -> str:
    """Return this machine's architecture in OCI's words; raise BedError for one that is not supported."""
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        raise BedError(f"Architecture {machine} is not supported: use one of {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[machine]


def write_image(
    output: Path,
    name: str,
    layers: Sequence[Layer],
    *,
    entrypoint: Sequence[str],
    command: Sequence[str] = (),
    env: Mapping[str, str],
    user: int = USER,
    workdir: str = "/",
) -> Path:
    """Write an image as a tar of an OCI layout (image-spec 1.0) to `output`, and return that path."""
    digests = [layer.digest for layer in layers]
    config = _encode(
        {
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "User": str(user),
                "Env": [f"{key}={value}" for key, value in env.items()],
                "Entrypoint": list(entrypoint),
                "Cmd": list(command),
                "WorkingDir": workdir,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        }
    )
    manifest = _encode(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor(f"{_OCI}.config.v1+json", config),
            "layers": [
                {
                    "mediaType": f"{_OCI}.layer.v1.tar",
                    "digest": f"sha256:{digest}",
                    "size": layer.path.stat().st_size,
                }
                for layer, digest in zip(layers, digests, strict=True)
            ],
        }
    )
    names = {"io.containerd.image.name": full_name(name)}
    top = _descriptor(f"{_OCI}.manifest.v1+json", manifest) | {"annotations": names}
    small = {
        "oci-layout": _encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": _encode({"schemaVersion": 2, "manifests": [top]}),
        _blob(config): config,
        _blob(manifest): manifest,
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(output, "w") as tar:
        for path, content in small.items():
            header = tarfile.TarInfo(path)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
        for layer, digest in zip(layers, digests, strict=True):
            header = tarfile.TarInfo(f"blobs/sha256/{digest}")
            header.size = layer.path.stat().st_size
            with layer.path.open("rb") as file:
                tar.addfile(header, file)
    return output


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _blob(content: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def load_archive(bed: Bed, archive: Path) -> None:
    """Import an image's tar into the bed; pods use it with `imagePullPolicy: Never` or `IfNotPresent`."""
    bed.ctr("images", "import", archive, timeout=300.0)


def load_pause(bed: Bed) -> None:
    """Import the image whose container holds a pod's namespaces."""
    program = path_of("pause")
    folder = cache_root() / "images"
    layer = write_layer(folder / f"{program.parent.name}.layer.tar", {}, {"pause": program})
    archive = folder / f"{program.parent.name}.tar"
    load_archive(bed, write_image(archive, PAUSE_IMAGE, [layer], entrypoint=["/pause"], env={}))
