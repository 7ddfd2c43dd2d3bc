"""The command line: `python -m testbed COMMAND`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from testbed import bed as beds
from testbed import build, check, lifecycle, processes, recipes
from testbed.bed import Bed
from testbed.images import load_archive
from testbed.run import BedError, run, say, step, tail


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the process's exit code: 0, or 1 with one line that says what is wrong."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except BedError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; `python -m testbed down` removes what was started.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testbed", description=sys.modules["testbed"].__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(command=command)
        return sub

    def add_bed(sub: argparse.ArgumentParser) -> None:
        default = os.environ.get("TRIMTAB_BED") or beds.DEFAULT_NAME
        sub.add_argument("--name", default=default, help=f"the bed (default: {default})")

    up = add("up", _up, "Start a bed, or say that it is up.")
    up.add_argument("--level", choices=("api", "pods"), default="pods", help="api: API server and controllers only")
    up.add_argument("--scrape-seconds", type=int, default=lifecycle.SCRAPE_SECONDS, help="Prometheus's interval")
    down = add("down", _down, "End a bed and remove all it made.")
    down.add_argument("--all", action="store_true", help="every bed")
    status = add("status", _status, "Show a bed's processes.")
    env = add("env", _env, 'Print variables for a shell: eval "$(python -m testbed env)".')
    logs = add("logs", _logs, "Show what a process of the bed printed.")
    logs.add_argument("component", nargs="?", help="for example kubelet; without it: the list")
    logs.add_argument("--lines", type=int, default=50)
    execute = add("exec", _exec, "Run a command in the bed's network namespace.")
    for sub in (up, down, status, env, logs, execute):
        add_bed(sub)
    execute.add_argument("words", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command")

    image = add("image", _image, "Build an image, and load it into a bed.")
    image.add_argument("action", choices=("build", "load", "list"))
    image.add_argument("what", nargs="*", help=f"{', '.join(recipes.RECIPES)}; for load also a tar's path")
    image.add_argument("--output", type=Path, help="where `build` writes the tar of one image")
    add_bed(image)

    build_ = add("build", _build, "Build the programs into the cache.")
    build_.add_argument(
        "names", nargs="*", help=f"{', '.join(build.BINARIES)} (default: all of these); {', '.join(build.TOOLS)}"
    )
    check_ = add("check", _check, "Say what this machine lacks.")
    check_.add_argument("--level", choices=("api", "pods"), default="pods")
    deps = add("deps", _deps, "Install the Debian packages of packages.txt.")
    deps.add_argument("more", nargs="*", help="further packages, each named like the program it brings")
    return parser


def _up(options: argparse.Namespace) -> int:
    start = time.monotonic()
    bed = lifecycle.up(options.name, options.level, options.scrape_seconds)
    say(f"Bed {bed.name} is ready after {time.monotonic() - start:.1f} s.")
    say(f"  API server: {bed.api_url} (KUBECONFIG={bed.kubeconfig})")
    if bed.level == "pods":
        say(f"  Prometheus: {bed.prometheus_url} (from pods: http://prometheus.monitoring:9090)")
    say(f'  In a shell: eval "$(python -m testbed env --name {bed.name})"')
    return 0


def _down(options: argparse.Namespace) -> int:
    for name in beds.known_names() if options.all else [options.name]:
        if not lifecycle.down(name):
            say(f"Bed {name} is not there; nothing to do.")
    return 0


def _status(options: argparse.Namespace) -> int:
    bed = beds.load(options.name)
    if bed is None:
        print(f"Bed {options.name} is not up. Beds: {', '.join(beds.known_names()) or 'none'}.")
        return 1
    print(f"Bed {bed.name}, level {bed.level}, {bed.state}")
    whole = True
    for record in processes.records(bed.state):
        whole = whole and record.alive
        state = f"pid {record.pid}, {record.resident_mib():.0f} MiB" if record.alive else "ended"
        print(f"  {record.name:24} {state:24} {processes.log_path(bed, record.name)}")
    return 0 if whole else 1


def _environment(bed: Bed) -> dict[str, str]:
    variables = {"TRIMTAB_BED": bed.name, "KUBECONFIG": str(bed.kubeconfig)}
    if bed.level == "pods":
        variables["PROMETHEUS_URL"] = bed.prometheus_url
    return variables


def _env(options: argparse.Namespace) -> int:
    bed = lifecycle.require_up(options.name)
    for key, value in _environment(bed).items():
        print(f"export {key}={shlex.quote(value)};")
    print(f'export PATH={shlex.quote(str(bed.bin_dir))}:"$PATH";')
    return 0


def _logs(options: argparse.Namespace) -> int:
    bed = beds.load(options.name)
    folder = beds.state_folder(options.name) / "logs"
    known = sorted(path.stem for path in folder.glob("*.log"))
    if options.component is None:
        print("\n".join(known))
        return 0
    if bed is None or options.component not in known:
        raise BedError(f"Bed {options.name} has no log of {options.component!r}, only: {', '.join(known)}.")
    print(tail(processes.log_path(bed, options.component), options.lines))
    return 0


def _exec(options: argparse.Namespace) -> int:
    bed = lifecycle.require_up(options.name)
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise BedError("Say which command: python -m testbed exec -- CMD ARG…")
    path = f"{bed.bin_dir}:{os.environ.get('PATH', '/usr/bin:/bin')}"
    command = bed.inside(*words)
    os.execvpe(command[0], command, {**os.environ, **_environment(bed), "PATH": path})


def _image(options: argparse.Namespace) -> int:
    if options.action == "list":
        print(lifecycle.require_up(options.name, "pods").ctr("images", "list", "--quiet"), end="")
        return 0
    if not options.what:
        raise BedError(f"Say which image: {', '.join(recipes.RECIPES)}.")
    if options.action == "build":
        if options.output is not None and len(options.what) > 1:
            raise BedError("--output takes the tar of one image: build them one at a time.")
        for name in options.what:
            print(recipes.build_recipe(name, options.output))
        return 0
    bed = lifecycle.require_up(options.name, "pods")
    for name in options.what:
        if name.endswith(".tar"):
            with step(f"loading {name} into bed {bed.name}"):
                load_archive(bed, Path(name))
        else:
            recipes.load_recipe(bed, name)
    return 0


def _build(options: argparse.Namespace) -> int:
    for path in build.build(options.names or build.BINARIES):
        print(path)
    return 0


def _check(options: argparse.Namespace) -> int:
    parts = check.parts(options.level)
    for part in parts:
        print(f"{'missing' if part.problem else 'ok':8} {part.name}" + (f": {part.problem}" if part.problem else ""))
    return 1 if any(part.problem for part in parts) else 0


def _deps(options: argparse.Namespace) -> int:
    packages = check.missing_packages() + [name for name in options.more if shutil.which(name) is None]
    if not packages:
        say("Nothing to install.")
        return 0
    if not Path("/usr/bin/apt-get").exists():
        raise BedError(f"This is not Debian or Ubuntu: install the equivalents of {', '.join(packages)}.")
    if os.geteuid() != 0:
        raise BedError(
            f"Installing {', '.join(packages)} needs root: run `sudo python -m testbed deps {' '.join(options.more)}`."
        )
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step("apt-get update"):
        run(["apt-get", "update", "--quiet"], timeout=300, env=env)
    with step(f"apt-get install {' '.join(packages)}"):
        # --no-remove: Docker's containerd.io conflicts with Debian's, and is not ours to take away
        command = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", "--no-remove"]
        run([*command, *packages], timeout=900, env=env)
    return 0
