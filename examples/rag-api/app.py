"""A small retrieve-then-generate service whose speed depends on its settings. Run: python app.py."""

import asyncio
import json
import os
import signal
import sys
from typing import Any


def main() -> int:
    """Read the environment and serve until SIGTERM or SIGINT. Returns 2 when a setting can't be used."""
    # One process, one CPU-bound thread: more BLAS threads would only fight for the same CPU quota. OpenBLAS
    # reads this when numpy is first imported, so the imports come after it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from settings import SettingsError, from_environment

    try:
        settings = from_environment(os.environ)
    except SettingsError as error:
        print(f"rag-api can't start: {error}", file=sys.stderr)
        return 2

    from generation import Model
    from service import Service, serve
    from telemetry import Telemetry

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(
            Service(settings, Telemetry(), Model(settings.model)),
            stop,
            lambda port: _log("listening", port=port, batch_size=settings.batch_size),
            drain=lambda: asyncio.sleep(settings.drain_seconds),
        )

    asyncio.run(run())
    _log("stopped")
    return 0


def _log(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
