import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp

APP = Path(__file__).parents[3] / "examples" / "rag-api" / "app.py"
QUERIES = 12


async def seen(session: aiohttp.ClientSession, url: str) -> float:
    """Queries that the service has taken in: answered or inside."""
    async with session.get(f"{url}/metrics") as response:
        lines = (await response.text()).splitlines()
    names = ("http_server_request_duration_seconds_count{", "http_server_active_requests{")
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(names))


async def test_a_process_told_to_end_answers_every_query_that_it_has_taken_and_exits_with_0() -> None:
    environment = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": "0", "DRAIN_SECONDS": "0"}
    size = {"BATCH_SIZE": "1", "MODEL_WIDTH": "128", "CORPUS_DOCUMENTS": "500", "CONTEXT_TOKENS": "64"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(APP), env=environment | size, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            url = f"http://127.0.0.1:{json.loads(await process.stdout.readline())['port']}"
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:

                async def ask(number: int) -> int:
                    async with session.post(f"{url}/query", json={"query": f"query {number}"}) as response:
                        await response.read()
                        return response.status

                queries = [asyncio.create_task(ask(number)) for number in range(QUERIES)]
                while await seen(session, url) < QUERIES:
                    pass
                process.send_signal(signal.SIGTERM)
                assert await asyncio.gather(*queries) == [200] * QUERIES
            assert await process.wait() == 0
            assert json.loads(await process.stdout.readline()) == {"event": "stopped"}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
