"""History out of Prometheus: bounded, resumable, and honest about what is missing."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.backtest.scene import DAY, END, MIB, FakeHistory, daily
from trimtab.backtest import queries
from trimtab.backtest.keep import Keep, KeepError
from trimtab.backtest.reader import KSM, NAMES, PATIENCE, SCHEDULER, SLOW_SECONDS, Past, Reader
from trimtab.backtest.tracks import STEP
from trimtab.decide.columns import F8
from trimtab.observe.selectors import Triple
from trimtab.observe.source import SourceError, SourceReason

WEB = ("shop", "web-6b7f8c9d5f-x2v4k", "app")
WEB2 = ("shop", "web-6b7f8c9d5f-z9v4k", "app")


def shop(**more: object) -> FakeHistory:
    return FakeHistory({WEB: daily(0.1, 0.5), WEB2: daily(0.2, 0.4)}, **more)  # type: ignore[arg-type]


async def read(
    source: FakeHistory, keep: Keep | None = None, days: int = 4, names: list[str] | None = None, **more: object
) -> Past:
    async def sleep(seconds: float) -> None:
        source.now += seconds

    reader = Reader(source, keep or Keep(), clock=source.clock, sleep=sleep, **more)  # type: ignore[arg-type]
    chosen = names or await reader.namespaces(END, days)
    return await reader.read(chosen, END, days, lambda _name, _share: None)


async def test_pods_of_one_workload_become_one_track_with_the_busiest_of_them() -> None:
    past = await read(shop())
    (track,) = past.fleet.tracks
    assert track.name == "shop/web/app"
    times = past.fleet.times
    expected = np.maximum(daily(0.1, 0.5)(times), daily(0.2, 0.4)(times))
    np.testing.assert_allclose(track.cpu, expected, rtol=1e-5)
    assert set(track.pods) == {2.0}
    assert len(times) == 4 * DAY / STEP


async def test_requests_and_owners_come_from_kube_state_metrics_where_it_runs() -> None:
    source = shop(
        owners={("shop", WEB[1]): ("StatefulSet", "really"), ("shop", WEB2[1]): ("StatefulSet", "really")},
        requests={WEB: 0.5, WEB2: 0.75},
    )
    past = await read(source)
    (track,) = past.fleet.tracks
    assert track.name == "shop/really/app"
    assert set(track.cpu_request) == {0.75}
    assert set(track.memory_request) == {0.75 * 512 * MIB}
    assert (past.sources["shop"].owners, past.sources["shop"].requests) == (KSM, KSM)


async def test_without_it_they_come_from_the_scheduler_and_from_names() -> None:
    past = await read(shop(pod_requests={("shop", WEB[1]): 0.5, ("shop", WEB2[1]): 0.5}))
    assert (past.sources["shop"].owners, past.sources["shop"].requests) == (NAMES, SCHEDULER)
    assert set(past.fleet.tracks[0].cpu_request) == {0.5}


async def test_a_pods_request_is_not_guessed_apart_over_several_containers() -> None:
    source = shop(pod_requests={("shop", WEB[1]): 0.5})
    source.pods[("shop", WEB[1], "sidecar")] = daily(0.01, 0.02)
    past = await read(source)
    assert past.sources["shop"].requests == ""
    assert all(np.isnan(track.cpu_request).all() for track in past.fleet.tracks)


async def test_no_query_gives_more_samples_than_allowed() -> None:
    source = shop(most=100)
    past = await read(source, max_samples=100)
    assert np.isfinite(past.fleet.tracks[0].cpu).all()


async def test_a_range_that_the_server_calls_too_large_is_asked_for_in_halves() -> None:
    source = shop(most=50)
    past = await read(source)
    assert not past.unread
    assert np.isfinite(past.fleet.tracks[0].cpu).all()


@pytest.mark.parametrize("refusal", [SourceReason.BAD_QUERY, SourceReason.TOO_LARGE, SourceReason.TIMEOUT])
async def test_owners_and_requests_are_asked_for_in_halves_as_well(refusal: SourceReason) -> None:
    told: list[str] = []
    owners = {("shop", WEB[1]): ("StatefulSet", "really"), ("shop", WEB2[1]): ("StatefulSet", "really")}
    source = shop(most=50, refusal=refusal, owners=owners, requests={WEB: 0.5, WEB2: 0.75})
    past = await read(source, told=told.append)
    assert not past.unread
    (track,) = past.fleet.tracks
    assert track.name == "shop/really/app"
    assert set(track.cpu_request) == {0.75}
    assert any("timed out" in line for line in told) == (refusal is SourceReason.TIMEOUT)


async def test_owners_and_requests_give_no_more_samples_than_allowed() -> None:
    source = shop(owners={("shop", pod): ("StatefulSet", "really") for _, pod, _ in (WEB, WEB2)}, requests={WEB: 0.5})
    await read(source, max_samples=60, days=14)
    assert max(source.sizes[1:]) <= 60, "but the first, which gives a series a namespace"


async def test_what_is_refused_for_a_single_moment_is_named_with_a_remedy() -> None:
    past = await read(shop(most=1, refusal=SourceReason.BAD_QUERY), names=["shop"])
    assert "a single moment" in past.unread["shop"]
    assert past.fleet.tracks == []


async def test_an_outage_of_some_minutes_is_waited_for_and_a_person_is_told() -> None:
    told: list[str] = []
    source = shop(took=0.5, away=(6.0, 6.0 + PATIENCE / 2))
    source.pods[("lab", "db-0", "db")] = daily(0.1, 0.2)
    past = await read(source, told=told.append)
    assert not past.unread
    assert [track.name for track in past.fleet.tracks] == ["lab/db/db", "shop/web/app"]
    assert any("can't be reached" in line and "again in" in line for line in told)


async def test_a_longer_outage_leaves_namespaces_out_whole_and_waits_once() -> None:
    source = shop(took=0.5, away=(10.0, 1e9))
    for name in ("b", "c", "d"):
        source.pods[(name, "db-0", "db")] = daily(0.1, 0.2)
    past = await read(source)
    assert list(past.unread) == ["b", "c", "d", "shop"]
    assert past.fleet.tracks == [], "a namespace of which a part was read is not judged by that part"
    assert past.sources == {}
    assert source.now < 2 * PATIENCE + 100


async def test_a_server_that_never_answered_is_not_waited_for() -> None:
    source = shop(away=(0.0, 1e9))
    with pytest.raises(SourceError, match="can't be reached"):
        await read(source)
    with pytest.raises(SourceError, match="can't be reached"):
        await read(source, names=["shop"])
    assert source.now == 0.0


async def test_matchers_are_in_every_query() -> None:
    source = shop(owners={("shop", WEB[1]): ("StatefulSet", "really")}, tells_reasons=True, kills={WEB: np.ones_like})
    source.pod_requests = {("shop", WEB[1]): 0.5}
    await read(source, matchers=[("cluster", "=", 'a"b'), ("zone", "!=", "")])
    assert len(set(source.asked)) >= 10
    assert all(text.count('{cluster="a\\"b",zone!="",') == 1 == text.count("{") for text in source.asked)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cluster=prod", ("cluster", "=", "prod")),
        ('cluster="prod"', ("cluster", "=", "prod")),
        ("cluster=~a|b=c", ("cluster", "=~", "a|b=c")),
        ("a.b!=", ("a.b", "!=", "")),
        ("x!~y", ("x", "!~", "y")),
    ],
)
def test_a_matcher_is_read_as_it_is_written_in_promql(text: str, found: Triple) -> None:
    assert queries.matcher(text) == found


@pytest.mark.parametrize("text", ["", "cluster", "=prod", "clu ster=prod", "namespace=shop", 'a=b",c="d', "a=~("])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"cluster=|namespace"):
        queries.matcher(text)


async def test_kills_of_todays_settings_are_counted_where_the_reason_is_told() -> None:
    def restarts(times: F8) -> F8:
        return np.asarray(5.0 + np.floor((times - (END - 2 * DAY)) / DAY), dtype=np.float64)

    past = await read(shop(tells_reasons=True, kills={WEB: restarts}))
    (track,) = past.fleet.tracks
    assert past.sources["shop"].kills == KSM
    assert track.kills.sum() == 3
    past = await read(shop(tells_reasons=True))
    assert past.fleet.tracks[0].kills.sum() == 0
    past = await read(shop())
    assert past.sources["shop"].kills == ""
    assert np.isnan(past.fleet.tracks[0].kills).all()


async def test_the_time_that_was_measured_is_the_nodes() -> None:
    past = await read(shop(nodes=True))
    assert past.fleet.told
    assert past.fleet.known.all()
    assert not (await read(shop())).fleet.told


async def test_a_slow_server_is_given_as_long_a_rest_as_it_took_and_a_person_is_told() -> None:
    told: list[str] = []
    source = shop(took=SLOW_SECONDS + 1)
    await read(source, told=told.append)
    assert source.now == pytest.approx(2 * (SLOW_SECONDS + 1) * len(source.asked))
    assert len(told) == len(source.asked)
    assert "waiting" in told[0]


async def test_a_namespace_that_cannot_be_read_is_named_and_the_others_go_on() -> None:
    source = shop(down={"shop"})
    source.pods[("lab", "db-0", "db")] = daily(0.1, 0.2)
    past = await read(source)
    assert list(past.unread) == ["shop"]
    assert [track.name for track in past.fleet.tracks] == ["lab/db/db"]


async def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    source = shop()
    whole = await read(source)
    source.down = {"shop"}
    broken = shop(down={"shop"})
    keep = Keep(tmp_path)
    await read(broken, keep)
    first = shop()
    resumed = await read(first, keep)
    np.testing.assert_array_equal(resumed.fleet.tracks[0].cpu, whole.fleet.tracks[0].cpu)
    again = shop()
    await read(again, keep)
    assert again.asked == []


def test_a_folder_of_another_backtest_is_refused(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    first = {"url": "http://a", "days": 14, "end": 1.0}
    assert keep.run(first) == first
    assert keep.run({**first, "end": 9.0}) == first
    with pytest.raises(KeepError, match="another backtest"):
        keep.run({**first, "days": 7})


def test_a_damaged_part_is_read_again(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    keep.save([], "a question")
    (file,) = tmp_path.glob("*.npz")
    assert keep.load("a question") == []
    file.write_bytes(b"PK no archive")
    assert keep.load("a question") is None
