import asyncio
import csv
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from load import (
    MAX_REQUESTS,
    Driver,
    LoadError,
    Outcome,
    Plan,
    Reporter,
    check_target,
    main,
    make_plan,
    quantiles,
    shape_rate,
    write_csv,
)

SHAPES = ("steps", "diurnal", "spiky")


def plan_at_once(count: int) -> Plan:
    """A plan whose queries are all due at the start."""
    return Plan(np.zeros(count), np.arange(count), np.zeros_like, duration=1.0)


@asynccontextmanager
async def server(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/query", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/query"
    await runner.cleanup()


@given(
    shape=st.sampled_from(SHAPES),
    seed=st.integers(0, 2**31),
    duration=st.floats(1, 1000),
    base=st.floats(0, 20),
    more=st.floats(0.1, 20),
)
def test_every_shape_stays_between_base_and_peak(
    shape: str, seed: int, duration: float, base: float, more: float
) -> None:
    peak = base + more
    rate = shape_rate(shape, seed=seed, duration=duration, base=base, peak=peak)(np.linspace(0, duration, 500))
    assert rate.min() >= base - 1e-9
    assert rate.max() <= peak + 1e-9


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_low_at_first_and_reaches_its_peak(shape: str) -> None:
    rate = shape_rate(shape, seed=7, duration=400, base=1, peak=9)(np.linspace(0, 400, 4001))
    assert rate[0] == pytest.approx(1)
    assert rate.max() == pytest.approx(9, rel=1e-3)


@given(shape=st.sampled_from(SHAPES), seed=st.integers(0, 1000), duration=st.floats(1, 500), peak=st.floats(0.1, 40))
def test_a_plan_is_ordered_bounded_and_the_same_for_the_same_seed(
    shape: str, seed: int, duration: float, peak: float
) -> None:
    plan, again = (make_plan(shape, seed=seed, duration=duration, base=peak / 10, peak=peak) for _ in range(2))
    np.testing.assert_array_equal(plan.arrivals, again.arrivals)
    np.testing.assert_array_equal(plan.queries, again.queries)
    assert len(plan.arrivals) == len(plan.queries) <= MAX_REQUESTS
    assert (np.diff(plan.arrivals) >= 0).all()
    assert ((plan.arrivals >= 0) & (plan.arrivals <= duration)).all()


def test_another_seed_gives_another_plan() -> None:
    first, second = (make_plan("spiky", seed=seed, duration=100, base=1, peak=5) for seed in (1, 2))
    assert first.arrivals.tolist() != second.arrivals.tolist()


def test_arrivals_follow_the_rate_and_some_queries_are_far_more_popular() -> None:
    plan = make_plan("steps", seed=1, duration=1000, base=2, peak=20)
    low = np.count_nonzero(plan.arrivals < 150) / 150
    high = np.count_nonzero((plan.arrivals > 220) & (plan.arrivals < 650)) / 430
    assert low == pytest.approx(2, rel=0.2)
    assert high == pytest.approx(20, rel=0.05)
    popular = Counter(plan.queries.tolist()).most_common(10)
    assert sum(count for _, count in popular) > 0.3 * len(plan.queries)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peak": 500.0}, "0 < peak <= 200"),
        ({"peak": float("nan")}, "finite"),
        ({"duration": float("inf")}, "finite"),
        ({"duration": 0.0}, "above zero"),
        ({"base": 20.0}, "base <= peak"),
        ({"base": -1.0}, "0 <= base"),
        ({"duration": 36_000.0}, "may be 360000 requests"),
    ],
)
def test_a_load_out_of_bounds_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        make_plan("steps", seed=1, **({"duration": 60.0, "base": 1.0, "peak": 10.0} | changes))


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(LoadError, match="'sawtooth' is unknown"):
        make_plan("sawtooth", seed=1, duration=60, base=1, peak=10)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/query"),
        ("http://localhost:8080/", "http://127.0.0.1:8080/query"),
        ("http://10.96.0.7", "http://10.96.0.7:80/query"),
        ("http://172.16.4.4:80", "http://172.16.4.4:80/query"),
        ("http://192.168.1.9:80", "http://192.168.1.9:80/query"),
        ("http://[fd00::1]:8080", "http://[fd00::1]:8080/query"),
    ],
)
def test_loopback_and_private_addresses_are_accepted(url: str, target: str) -> None:
    assert check_target(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.216.34",
        "http://example.com",
        "http://localhost.example.com",
        "http://0.0.0.0:80",
        "http://169.254.169.254",
        "http://172.32.0.1",
        "http://[2001:db8::1]",
        "http://[::ffff:8.8.8.8]:80",
        "https://127.0.0.1",
        "http://127.0.0.1@8.8.8.8",
        "http://user@127.0.0.1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1/path",
        "http://2130706433",
        "http://",
        "127.0.0.1:80",
        "",
    ],
)
def test_every_other_target_is_refused(url: str) -> None:
    with pytest.raises(LoadError, match="target"):
        check_target(url)


async def test_every_query_of_the_plan_is_sent_on_a_connection_of_its_own_in_turn() -> None:
    ports: set[object] = set()
    hits: Counter[str] = Counter()

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        hits[request.host] += 1
        return web.json_response({})

    async with server(answer) as first, server(answer) as second:
        driver = Driver(plan_at_once(20), [first, second], timeout=30, max_in_flight=100)
        await driver.run(asyncio.Event())
    assert sorted(hits.values()) == [10, 10]
    assert len(ports) == 20
    assert Counter(outcome.result for outcome in driver.outcomes) == {"ok": 20}


async def test_no_more_than_the_cap_are_in_flight_and_the_rest_is_dropped_and_counted() -> None:
    arrived, release = asyncio.Event(), asyncio.Event()
    inside = 0

    async def hold(_: web.Request) -> web.Response:
        nonlocal inside
        inside += 1
        if inside == 3:
            arrived.set()
        await release.wait()
        return web.json_response({})

    async with server(hold) as url:
        driver = Driver(plan_at_once(10), [url], timeout=30, max_in_flight=3)
        run = asyncio.create_task(driver.run(asyncio.Event()))
        await arrived.wait()
        release.set()
        await run
    assert (inside, driver.sent, driver.dropped) == (3, 3, 7)


async def test_failures_are_told_apart_and_redirects_are_not_followed() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({}, status=503)

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/")

    async def result(url: str) -> str:
        driver = Driver(plan_at_once(1), [url], timeout=30, max_in_flight=1)
        await driver.run(asyncio.Event())
        return driver.outcomes[0].result

    async with server(refuse) as busy, server(elsewhere) as moved:
        assert [await result(busy), await result(moved)] == ["503", "302"]
    assert await result(busy) == "ClientConnectorError"


async def test_a_query_without_an_answer_in_time_is_a_timeout() -> None:
    release = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await release.wait()
        return web.json_response({})

    async with server(hang) as url:
        driver = Driver(plan_at_once(1), [url], timeout=0.05, max_in_flight=1)
        await driver.run(asyncio.Event())
        release.set()
    assert driver.outcomes[0].result == "timeout"
    assert driver.outcomes[0].latency >= 0.05


async def test_a_stop_ends_a_load_before_its_time() -> None:
    stop = asyncio.Event()
    stop.set()
    far = Plan(np.array([3600.0]), np.array([0]), np.zeros_like, duration=3600)
    driver = Driver(far, ["http://127.0.0.1:1/query"], timeout=1, max_in_flight=1)
    await driver.run(stop)
    assert driver.sent == 0


def test_a_line_counts_since_the_last_one_and_quantiles_cover_ten_seconds() -> None:
    driver = Driver(make_plan("steps", seed=1, duration=100, base=2, peak=4), [], timeout=1, max_in_flight=1)
    reporter = Reporter(driver, as_json=True)
    driver.outcomes += [Outcome(0.0, 0.1, "ok"), Outcome(0.1, 0.3, "ok"), Outcome(0.2, 0.0, "503")]
    driver.sent = 3
    first = json.loads(reporter.line(1.0))
    assert (first["sent"], first["answered"], first["errors"]) == (3, 2, 1)
    assert first["planned_rps"] == 2
    assert (first["p50_seconds"], first["p95_seconds"]) == (pytest.approx(0.2), pytest.approx(0.29))
    second = json.loads(reporter.line(5.0))
    assert (second["sent"], second["answered"], second["p50_seconds"]) == (0, 0, pytest.approx(0.2))
    assert json.loads(reporter.line(20.0))["p50_seconds"] is None


def test_a_line_for_people_has_the_same_fields() -> None:
    driver = Driver(make_plan("steps", seed=1, duration=100, base=2, peak=4), [], timeout=1, max_in_flight=1)
    assert "p95_seconds=None" in Reporter(driver, as_json=False).line(1.0)


def test_no_latencies_have_no_quantiles() -> None:
    assert quantiles([]) == (None, None)


def test_the_csv_has_a_row_a_query_in_order(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    write_csv(path, [Outcome(2.0, 0.5, "ok"), Outcome(1.0, 0.25, "timeout")])
    with path.open() as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["due_seconds", "latency_seconds", "result"],
        ["1.0000", "0.2500", "timeout"],
        ["2.0000", "0.5000", "ok"],
    ]


def test_the_command_refuses_a_public_target_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://8.8.8.8"]) == 2
    assert capsys.readouterr().err.startswith("load refused: target 'http://8.8.8.8' is not loopback")


def test_the_command_prints_lines_and_a_summary_and_fails_when_nothing_answers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "load.csv"
    arguments = ["--url", "http://127.0.0.1:1", "--duration", "0.2", "--base", "50", "--peak", "50", "--json"]
    assert main([*arguments, "--csv", str(path)]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert set(lines[-1]["summary"]["results"]) == {"ClientConnectorError"}
    assert len(path.read_text().splitlines()) == 1 + lines[-1]["summary"]["results"]["ClientConnectorError"]
