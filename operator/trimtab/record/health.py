"""HTTP for probes and Prometheus: /healthz, /readyz and /metrics, in leaders and followers alike."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


@dataclass(slots=True)
class Health:
    """Whether the process is alive and useful. A leader whose tick has stalled is not alive: restart it."""

    stall_seconds: float
    """A leading process without a finished tick for this long is reported dead."""
    clock: Callable[[], float] = time.monotonic
    leading: bool = False
    ready: bool = False
    """Configuration read and API server reached (followers included)."""
    _last_tick: float = field(default=0.0)

    def reached(self) -> None:
        """The API server answered."""
        self.ready = True

    def lead(self) -> None:
        """Leadership begins: the stall clock starts now."""
        self.leading = True
        self._last_tick = self.clock()

    def ticked(self) -> None:
        """A tick was finished."""
        self._last_tick = self.clock()

    def staleness(self) -> float:
        """Seconds since the last finished tick of a leader; 0 for a follower."""
        return self.clock() - self._last_tick if self.leading else 0.0

    def alive(self) -> bool:
        """False when this process leads and its tick has stalled."""
        return self.staleness() <= self.stall_seconds


def application(health: Health, registry: CollectorRegistry) -> web.Application:
    """The aiohttp application that serves the three paths."""

    async def healthz(_request: web.Request) -> web.Response:
        if health.alive():
            return web.Response(text="ok\n")
        return web.Response(status=503, text=f"no tick finished for {health.staleness():.0f} s\n")

    async def readyz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if health.ready else web.Response(status=503, text="starting\n")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    return app


async def serve(health: Health, registry: CollectorRegistry, port: int, host: str | None = None) -> web.AppRunner:
    """Start serving on `host`, by default on every address of both families; the caller awaits `cleanup()` of it."""
    runner = web.AppRunner(application(health, registry), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
