"""Probes: a leader whose tick has stalled is dead, a follower is alive."""

import socket
from contextlib import suppress

from aiohttp.test_utils import TestClient, TestServer

from trimtab.record.health import Health, application, serve
from trimtab.record.metrics import OperatorMetrics


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def status_of(health: Health, path: str) -> tuple[int, str]:
    async with TestClient(TestServer(application(health, OperatorMetrics.create().registry))) as client:
        answer = await client.get(path)
        return answer.status, await answer.text()


async def test_a_follower_is_alive_however_long_it_waits() -> None:
    clock = Clock()
    health = Health(60, clock)
    clock.now = 1e6
    assert (await status_of(health, "/healthz"))[0] == 200


async def test_a_leader_without_a_tick_is_reported_dead_with_the_time() -> None:
    clock = Clock()
    health = Health(60, clock)
    clock.now = 1000
    health.lead()
    clock.now = 1059
    assert (await status_of(health, "/healthz"))[0] == 200
    clock.now = 1061
    status, text = await status_of(health, "/healthz")
    assert status == 503
    assert "61 s" in text
    health.ticked()
    assert (await status_of(health, "/healthz"))[0] == 200


async def test_ready_follows_the_configuration() -> None:
    health = Health(60)
    assert (await status_of(health, "/readyz"))[0] == 503
    health.ready = True
    assert (await status_of(health, "/readyz"))[0] == 200


async def test_a_process_is_ready_once_the_api_server_answered() -> None:
    health = Health(60)
    health.reached()
    assert (await status_of(health, "/readyz"))[0] == 200


async def test_probes_are_served_on_every_address_family_that_the_host_has() -> None:
    server = await serve(Health(60), OperatorMetrics.create().registry, 0)
    try:
        assert {address[0] for address in server.addresses} == any_addresses()
    finally:
        await server.cleanup()


def any_addresses() -> set[str]:
    found = set()
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with suppress(OSError), socket.socket(family) as probe:
            probe.bind((address, 0))
            found.add(address)
    return found


async def test_metrics_are_in_prometheus_text() -> None:
    status, text = await status_of(Health(60), "/metrics")
    assert status == 200
    assert "# TYPE trimtab_leader gauge" in text
