"""Thanos and Mimir on loopback, with a past of two days, where their programs are built.

`python -m testbed build thanos mimir` makes them; tests that need one are skipped where it is missing.
"""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from testbed.build import path_of
from tests.integration.observe.bed import DEADLINE_SECONDS, Prometheus, free_port, import_past, wait_for
from trimtab.cli.backtest import backtest

DAYS, SCRAPE, PODS = 2, 120, 3
MIB = 2**20


@dataclass(frozen=True)
class Sample:
    """One sample; `at` is Unix time."""

    name: str
    labels: dict[str, str]
    value: float
    at: int


def samples(
    cores: float, end: int, *, gap: tuple[int, int] = (0, 0), more: dict[str, str] | None = None
) -> list[Sample]:
    """Three pods of `shop` that use `cores` each and ask for twice that; nothing between the two times of `gap`."""
    made = []
    for at in range(end - DAYS * 86400, end + 1, SCRAPE):
        if gap[0] <= at < gap[1]:
            continue
        made.append(Sample("machine_cpu_cores", {"node": "a", **(more or {})}, 64, at))
        for number in range(PODS):
            labels = {"namespace": "shop", "pod": f"db-{number}", "container": "db", **(more or {})}
            used = cores * (at - end + DAYS * 86400)
            made.append(Sample("container_cpu_usage_seconds_total", labels, used, at))
            made.append(Sample("container_memory_working_set_bytes", labels, 200 * MIB, at))
            for resource, value in (("cpu", 2 * cores), ("memory", 512 * MIB)):
                asked = {**labels, "resource": resource}
                made.append(Sample("kube_pod_container_resource_requests", asked, value, at))
    return made


def openmetrics(made: Sequence[Sample]) -> str:
    """The samples as `promtool tsdb create-blocks-from openmetrics` reads them."""
    families: dict[str, list[str]] = {}
    for one in sorted(made, key=lambda one: (one.name, sorted(one.labels.items()), one.at)):
        labels = ",".join(f'{name}="{value}"' for name, value in one.labels.items())
        families.setdefault(one.name, []).append(f"{one.name}{{{labels}}} {one.value} {one.at}")
    lines = []
    for name, found in families.items():
        counter = name.endswith("_total")
        lines += [f"# TYPE {name.removesuffix('_total')} {'counter' if counter else 'gauge'}", *found]
    return "\n".join([*lines, "# EOF\n"])


def program(name: str) -> Path:
    """The program in the test bed's cache; skips the test where nobody built it."""
    path = path_of(name)
    if not path.exists():
        pytest.skip(f"no {name} at {path}: python -m testbed build {name}")
    return path


def fetched(url: str, headers: dict[str, str] | None = None) -> Any:
    """The JSON of an address; None where nobody answers there yet."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=5.0) as response:
            text = response.read()
    except (urllib.error.URLError, OSError):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text.decode()


@contextmanager
def running(command: Sequence[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended at the end."""
    with log.open("ab") as file:
        process = subprocess.Popen([str(word) for word in command], stdout=file, stderr=file, cwd=log.parent)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def prometheus(folder: Path, external: dict[str, str], past: Sequence[Sample]) -> Iterator[Prometheus]:
    """A Prometheus with these external labels and this past."""
    folder.mkdir()
    server = Prometheus(folder, {})
    config = {"global": {"external_labels": external}}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    (folder / "past.om").write_text(openmetrics(past))
    import_past(folder / "past.om", server.data)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def sidecar(of: Prometheus) -> Iterator[str]:
    """Thanos' sidecar of this Prometheus; yields its gRPC address."""
    grpc = f"127.0.0.1:{free_port()}"
    words = ["sidecar", f"--prometheus.url={of.url}", f"--tsdb.path={of.data}", f"--grpc-address={grpc}"]
    with running([program("thanos"), *words, f"--http-address=127.0.0.1:{free_port()}"], of.folder / "sidecar.log"):
        yield grpc


@contextmanager
def querier(folder: Path, stores: Sequence[str], *flags: str) -> Iterator[str]:
    """Thanos' querier over these stores; yields its URL once it knows the labels of each."""
    url = f"http://127.0.0.1:{free_port()}"
    words = ["query", f"--grpc-address=127.0.0.1:{free_port()}", f"--http-address={url.removeprefix('http://')}"]
    words += [*(f"--endpoint={store}" for store in stores), "--query.replica-label=replica", *flags]

    def known() -> bool:
        found = (fetched(f"{url}/api/v1/stores") or {}).get("data") or {}
        return len([one for one in found.get("sidecar", []) if one["labelSets"]]) == len(stores)

    with running([program("thanos"), *words], folder / f"query-{url[-5:]}.log"):
        wait_for(known)
        yield url


@contextmanager
def thanos(folder: Path, pasts: Sequence[tuple[dict[str, str], Sequence[Sample]]]) -> Iterator[list[str]]:
    """A Prometheus with a sidecar for each of (external labels, past); yields the sidecars' addresses."""
    program("thanos")
    with ExitStack() as stack:
        servers = [
            stack.enter_context(prometheus(folder / f"prometheus-{number}", external, past))
            for number, (external, past) in enumerate(pasts)
        ]
        yield [stack.enter_context(sidecar(server)) for server in servers]


def run(url: str, end: int, file: Path, *words: str) -> Result:
    """`trimtab backtest` of the two days."""
    until = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    asked = ["--prometheus", url, "--days", str(DAYS), "--end", until, "--json", str(file), *words]
    return CliRunner().invoke(backtest, asked)


def today(file: Path, resource: str = "cpu") -> dict[str, Any]:
    """What the report says of today's settings."""
    rows = json.loads(file.read_text())["rows"]
    (row,) = [row for row in rows if (row["resource"], row["policy"]) == (resource, "today")]
    found: dict[str, Any] = row
    return found
