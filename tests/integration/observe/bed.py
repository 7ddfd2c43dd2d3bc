"""A real Prometheus on loopback, an exporter it scrapes every second, and a way to wait for what it sees."""

import asyncio
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from testbed.build import build
from tests.unit.observe.fakes import Exchange, http_server

T = TypeVar("T")
DEADLINE_SECONDS = 60.0


class Exporter:
    """What is scraped: text by name of a page, and whether it answers at all."""

    def __init__(self) -> None:
        self.pages: dict[str, Callable[[], str]] = {}
        self.alive: dict[str, bool] = {}
        self.scrapes: dict[str, int] = {}

    def add(self, page: str, text: Callable[[], str]) -> None:
        self.pages[page] = text
        self.alive[page] = True
        self.scrapes[page] = 0

    def answer(self, exchange: Exchange) -> None:
        page = exchange.path.strip("/")
        if not self.alive.get(page, False):
            exchange.send(503)
            return
        self.scrapes[page] += 1
        exchange.send(200, self.pages[page]().encode(), Content_Type="text/plain; version=0.0.4")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


class Prometheus:
    """A Prometheus process over a folder of its own; it may be killed and started again."""

    def __init__(self, folder: Path, targets: dict[str, str], flags: Sequence[str] = ()) -> None:
        self.folder = folder
        self.flags = flags
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        jobs = "".join(
            f"  - {{job_name: {page}, honor_labels: true, metrics_path: /{page}, "
            f"static_configs: [{{targets: ['{address}']}}]}}\n"
            for page, address in targets.items()
        )
        (folder / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nscrape_configs:\n{jobs}"
        )

    def start(self) -> None:
        (program,) = build(["prometheus"])
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program,
                    f"--config.file={self.folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.data}",
                    "--storage.tsdb.retention.time=60d",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--log.level=warn",
                    *self.flags,
                ],
                stdout=log,
                stderr=log,
            )
        wait_for(self._ready)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1.0) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE_SECONDS)
            self._process = None


def wait_for(condition: Callable[[], bool]) -> None:
    """Ask until it holds, each time after a short wait on a socket pair that stays silent."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(0.05)
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come to hold in time"
            try:
                left.recv(1)
            except TimeoutError:
                continue


async def eventually(ask: Callable[[], Awaitable[T]], fits: Callable[[T], bool]) -> T:
    """The first answer that fits, asked again every 100 ms until the deadline."""
    never = asyncio.Event()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        answer = await ask()
        if fits(answer):
            return answer
        assert time.monotonic() < deadline, f"the last answer was {answer}"
        try:
            await asyncio.wait_for(never.wait(), 0.1)
        except TimeoutError:
            continue


def import_past(source: Path, data: Path) -> None:
    """Put samples in OpenMetrics text into the folder of a Prometheus that does not run.

    promtool reads the whole text once for every block: blocks of two hours would take twenty times as long.
    """
    (promtool,) = build(["promtool"])
    command = [promtool, "tsdb", "create-blocks-from", "--max-block-duration=768h", "openmetrics", source, data]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


@contextmanager
def bed(folder: Path, exporter: Exporter, history: str = "", flags: Sequence[str] = ()) -> Iterator[Prometheus]:
    """A running Prometheus that scrapes every page of the exporter, with OpenMetrics text as its past, and more flags
    of its command line."""
    with http_server(exporter.answer) as url:
        prometheus = Prometheus(folder, dict.fromkeys(exporter.pages, url.removeprefix("http://")), flags)
        if history:
            source = folder / "history.om"
            source.write_text(history)
            import_past(source, prometheus.data)
        prometheus.start()
        try:
            yield prometheus
        finally:
            prometheus.stop()
