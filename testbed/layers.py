"""Deterministic tar layers: the same files give the same bytes, so the same digest."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DIRECTORY_MODE, FILE_MODE, PROGRAM_MODE = 0o755, 0o644, 0o755


@dataclass(frozen=True)
class Layer:
    """An uncompressed tar and its digest, which for such a layer is its `diff_id` as well."""

    path: Path

    @property
    def digest(self) -> str:
        """The SHA-256 of the tar, as hex digits."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def write_layer(target: Path, folders: Mapping[str, Path], files: Mapping[str, bytes | Path]) -> Layer:
    """Write a layer with whole `folders` and single `files`, each under its path in the image.

    Everything belongs to root, has time 0 and mode 644, or 755 for directories and programs. The target
    appears complete or not at all.
    """
    entries: dict[str, bytes | Path] = {}
    for prefix, folder in folders.items():
        entries[prefix.strip("/")] = folder
        for path in folder.rglob("*"):
            entries[f"{prefix.strip('/')}/{path.relative_to(folder)}"] = path
    entries |= {name.strip("/"): content for name, content in files.items()}
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
        for parent in sorted({str(one) for name in entries for one in Path(name).parents} - {"."} - set(entries)):
            tar.addfile(_header(parent, tarfile.DIRTYPE, DIRECTORY_MODE))
        for name in sorted(entries):
            _add(tar, name, entries[name])
    partial.replace(target)
    return Layer(target)


def _header(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.mode = kind, mode  # owner root and time 0 are TarInfo's defaults
    return header


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    if isinstance(content, bytes):
        header = _header(name, tarfile.REGTYPE, FILE_MODE)
        header.size = len(content)
        tar.addfile(header, io.BytesIO(content))
    elif content.is_symlink():
        header = _header(name, tarfile.SYMTYPE, 0o777)
        header.linkname = str(content.readlink())
        tar.addfile(header)
    elif content.is_dir():
        tar.addfile(_header(name, tarfile.DIRTYPE, DIRECTORY_MODE))
    else:
        status = content.stat()
        header = _header(name, tarfile.REGTYPE, PROGRAM_MODE if status.st_mode & 0o100 else FILE_MODE)
        header.size = status.st_size
        with content.open("rb") as file:
            tar.addfile(header, file)
