"""The images of this project: a Debian base with Python, locked dependencies, and the code on top."""

from __future__ import annotations

import compileall
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from py_compile import PycInvalidationMode

from testbed.bed import Bed, cache_root
from testbed.build import build
from testbed.images import architecture, load_archive, write_image
from testbed.layers import Layer, write_layer
from testbed.run import BedError, run, step

PROJECT = Path(__file__).parent.parent
SUITE = "bookworm"
IMAGE_PYTHON = (3, 11)  # Debian bookworm's
PACKAGES = ("python3", "ca-certificates", "libc6", "libstdc++6", "tzdata")
DROPPED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache", "var/lib/apt")
LIBRARIES = "opt/lib"
ACCOUNTS = {
    "etc/passwd": b"root:x:0:0:root:/root:/sbin/nologin\n",  # the user of the pods has no name, as in Docker's images
    "etc/group": b"root:x:0:\n",
}
_WHEEL_PLATFORMS = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(36, 16, -1)))


@dataclass(frozen=True)
class Recipe:
    """How one image is made: `lock` is a requirements file with hashes, `app` writes the code into a folder.

    `programs` are static ones of the test bed, by their path in the image; such an image holds nothing else.
    """

    image: str
    entrypoint: Sequence[str]
    command: Sequence[str] = ()
    lock: Path | None = None
    app: Callable[[Path], None] | None = None
    app_path: str = "app"
    workdir: str = "/"
    env: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)


def _operator(folder: Path) -> None:
    """Build the project's wheel and unpack it, as a user's `pip install` does."""
    with tempfile.TemporaryDirectory() as wheels:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", wheels]
        run(command, cwd=PROJECT, timeout=120)
        (wheel,) = Path(wheels).glob("*.whl")
        _pip("--no-deps", wheel, target=folder)


def _rag_api(folder: Path) -> None:
    shutil.copytree(
        PROJECT / "examples" / "rag-api",
        folder,
        dirs_exist_ok=True,
        ignore=lambda _, names: [name for name in names if not name.endswith(".py")],
    )


RECIPES = {
    "python": Recipe("trimtab/python:dev", ["python3"]),
    "operator": Recipe(
        "trimtab/operator:dev",
        ["python3", "-m", "trimtab.cli.main"],
        command=["run"],
        lock=PROJECT / "requirements" / "operator.txt",
        app=_operator,
        app_path="opt/app",
        env={"PYTHONPATH": f"/opt/app:/{LIBRARIES}"},
    ),
    "rag-api": Recipe(
        "trimtab/rag-api:dev",
        ["python3", "/app/app.py"],
        lock=PROJECT / "examples" / "rag-api" / "requirements.txt",
        app=_rag_api,
        workdir="/app",
        env={"OPENBLAS_NUM_THREADS": "1"},
    ),
    # Laid out as prom/prometheus, for the chart's bundled Prometheus.
    "prometheus": Recipe(
        "trimtab/prometheus:dev", ["/bin/prometheus"], programs={"bin/prometheus": "prometheus"}, workdir="/prometheus"
    ),
}


def build_recipe(name: str, output: Path | None = None) -> Path:
    """Build the image of the recipe `name` into `output` (default: the cache) and return the tar's path.

    Only the code's layer is made each time; base and dependencies are cached by their contents.
    Raises BedError when the recipe is unknown or one of its files is missing.
    """
    if name not in RECIPES:
        raise BedError(f"No recipe {name!r}; there are {', '.join(RECIPES)}.")
    recipe = RECIPES[name]
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"/{LIBRARIES}",
        "HOME": "/tmp",
    } | dict(recipe.env)
    layers = [programs_layer(recipe.programs)] if recipe.programs else [base_layer()]
    if recipe.lock is not None:
        layers.append(dependencies_layer(recipe.lock))
    archive = output or _cache() / f"{name}.tar"
    with step(f"image {recipe.image}"), tempfile.TemporaryDirectory() as folder:
        if recipe.app is not None:
            recipe.app(Path(folder))
            _compile(Path(folder), f"/{recipe.app_path}")
            layers.append(write_layer(Path(folder + ".layer"), {recipe.app_path: Path(folder)}, {}))
        try:
            write_image(
                archive,
                recipe.image,
                layers,
                entrypoint=recipe.entrypoint,
                command=recipe.command,
                env=env,
                workdir=recipe.workdir,
            )
        finally:
            Path(folder + ".layer").unlink(missing_ok=True)
    return archive


def load_recipe(bed: Bed, name: str) -> None:
    """Build the image of the recipe `name` and import it into the bed."""
    with tempfile.TemporaryDirectory(dir=_cache()) as folder:
        archive = build_recipe(name, Path(folder, "image.tar"))
        with step(f"loading {name} into bed {bed.name}"):
            load_archive(bed, archive)


def base_layer() -> Layer:
    """Return the layer with Debian's Python, made once per list of packages."""
    key = hashlib.sha256(repr((SUITE, PACKAGES, DROPPED, ACCOUNTS, architecture())).encode()).hexdigest()[:16]
    target = _cache() / f"base-{key}.layer.tar"
    if target.exists():
        return Layer(target)
    with step(f"base layer (Debian {SUITE})"), tempfile.TemporaryDirectory() as temporary:
        archive, root = Path(temporary, "root.tar"), Path(temporary, "root")
        included = f"--include={','.join(PACKAGES)}"
        env = {**os.environ, "SOURCE_DATE_EPOCH": "0"}
        run(["mmdebstrap", "--variant=extract", included, SUITE, archive], timeout=600, env=env)
        with tarfile.open(archive) as tar:
            tar.extractall(root, filter="tar")
        for dropped in DROPPED:
            shutil.rmtree(root / dropped, ignore_errors=True)
        authorities = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
        bundle = b"".join(path.read_bytes() for path in authorities)
        _compile(root / "usr/lib/python3.11", "/usr/lib/python3.11")
        kept = [entry for entry in root.iterdir() if entry.is_dir() and entry.name not in {"dev", "tmp"}]
        folders = {entry.name: entry for entry in kept}
        return write_layer(target, folders, {"etc/ssl/certs/ca-certificates.crt": bundle, **ACCOUNTS})


def programs_layer(programs: Mapping[str, str]) -> Layer:
    """Return the layer with programs of the test bed (built if need be) by their paths in the image."""
    paths = dict(zip(programs, build(programs.values()), strict=True))
    key = hashlib.sha256(repr(sorted((name, str(path)) for name, path in paths.items())).encode()).hexdigest()[:16]
    target = _cache() / f"programs-{key}.layer.tar"
    return Layer(target) if target.exists() else write_layer(target, {}, {**ACCOUNTS, **paths})


def dependencies_layer(lock: Path) -> Layer:
    """Return the layer with the wheels a lock file names, made once per content of it."""
    if not lock.exists():
        raise BedError(f"{lock} is missing: the image's dependencies are read from it.")
    key = hashlib.sha256(lock.read_bytes() + repr((IMAGE_PYTHON, architecture())).encode()).hexdigest()[:16]
    target = _cache() / f"deps-{key}.layer.tar"
    if target.exists():
        return Layer(target)
    with step(f"dependencies of {lock.relative_to(PROJECT)}"), tempfile.TemporaryDirectory() as folder:
        _pip("--require-hashes", "--requirement", lock, target=Path(folder))
        shutil.rmtree(Path(folder, "bin"), ignore_errors=True)  # scripts that name this machine's interpreter
        _compile(Path(folder), f"/{LIBRARIES}")
        return write_layer(target, {LIBRARIES: Path(folder)}, {})


def _cache() -> Path:
    folder = cache_root() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _pip(*arguments: str | Path, target: Path) -> None:
    """Install wheels for the image's Python, whichever Python runs this."""
    machine = os.uname().machine
    command: list[str | Path] = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    command += ["--disable-pip-version-check", "--root-user-action=ignore", "--only-binary=:all:"]
    command += [f"--python-version={'.'.join(map(str, IMAGE_PYTHON))}", "--implementation=cp"]
    command += [f"--platform={platform}_{machine}" for platform in _WHEEL_PLATFORMS]
    run([*command, f"--target={target}", *arguments], timeout=600)


def _compile(folder: Path, path_in_image: str) -> None:
    """Write bytecode that is valid whatever the files' times are: containers cannot write theirs.

    Needs the image's Python version; under another one containers start a few seconds more slowly.
    """
    if sys.version_info[:2] != IMAGE_PYTHON:
        return
    with redirect_stdout(StringIO()):
        compileall.compile_dir(
            folder,
            quiet=2,
            stripdir=str(folder),
            prependdir=path_in_image,
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        )
