"""The tick: what a bad one does, when nothing is decided, what is learned, and what is told once."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.loop.rooms import KEY, NOW, House, resource
from trimtab.api.reasons import Reason
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Outcome
from trimtab.kube.errors import Unavailable
from trimtab.loop import CONFIRM_SECONDS, MAX_STALENESS
from trimtab.observe.conflicts import Hold

ROOMS = ("eyes", "hands", "scribe")


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("room", ROOMS)
async def test_a_tick_that_fails_is_counted_and_the_next_one_works(house: House, room: str) -> None:
    def between(tick: int) -> None:
        getattr(house, room).failure = RuntimeError("no luck") if tick == 1 else None

    house.between = between
    await house.run(3)
    assert house.eyes.looks == 3
    assert house.scribe.failed_ticks() == 1
    assert len(house.scribe.recorded) == 2
    assert house.health.alive()


async def test_a_loop_whose_ticks_all_fail_is_reported_dead(house: House) -> None:
    house.eyes.failure = RuntimeError("no luck")
    house.health.lead()
    await house.run(10)
    assert house.scribe.failed_ticks() == 10
    assert not house.health.alive()


async def test_the_time_that_mirrors_take_to_sync_is_not_held_against_the_first_tick(house: House) -> None:
    async def synced() -> None:
        house.now += 100

    house.world.wait_synced = synced  # type: ignore[method-assign]
    house.eyes.failure = RuntimeError("no luck")
    house.health.lead()
    await house.run(1)
    assert house.scribe.failed_ticks() == 1
    assert house.health.staleness() == 15.0


@settings(deadline=None)
@given(faults=st.lists(st.sampled_from(["", "stale", *ROOMS]), min_size=1, max_size=12))
def test_whatever_fails_the_loop_goes_on_and_good_ticks_are_carried_out(faults: list[str]) -> None:
    async def all_of_it() -> None:
        house = House()

        def between(tick: int) -> None:
            fault = faults[tick] if tick < len(faults) else ""
            house.world.staleness = MAX_STALENESS + 1 if fault == "stale" else 0.0
            for room in ROOMS:
                getattr(house, room).failure = RuntimeError(fault) if fault == room else None

        between(0)
        house.between = between
        await house.run(len(faults))
        assert house.scribe.failed_ticks() == sum(fault in ROOMS for fault in faults)
        assert len(house.scribe.recorded) == faults.count("")
        assert len(house.hands.plans) == faults.count("") + faults.count("scribe")

    asyncio.run(all_of_it())


async def test_with_old_mirrors_nothing_is_observed_decided_or_told(house: House) -> None:
    house.world.staleness = MAX_STALENESS + 1
    await house.tick()
    assert (house.eyes.looks, house.hands.plans, house.scribe.recorded) == (0, [], [])
    house.world.staleness = MAX_STALENESS
    await house.tick()
    assert (house.eyes.looks, len(house.hands.plans), len(house.scribe.recorded)) == (1, 1, 1)


async def test_before_the_resources_were_listed_once_nothing_is_done(house: House) -> None:
    house.api.down = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            await house.tick()
    assert (house.eyes.looks, house.hands.plans) == (0, [])
    house.api.down = False
    await house.tick()
    assert list(house.scribe.recorded[-1]) == [KEY]


async def test_a_list_that_fails_later_takes_nothing_for_deleted_and_is_tried_again(house: House) -> None:
    await house.tick()
    house.api.down = True
    await house.tick(CONFIRM_SECONDS)
    await house.tick()
    assert [list(told) for told in house.scribe.recorded] == [[KEY]] * 3
    assert house.api.lists == 3, "every tick, until it works again"
    assert house.scribe.told == []


async def test_a_deletion_that_the_watch_missed_is_found_by_the_list(house: House) -> None:
    await house.tick()
    house.api.items = []
    await house.tick()
    assert list(house.scribe.recorded[-1]) == [KEY]
    await house.tick(CONFIRM_SECONDS)
    assert house.scribe.recorded[-1] == {}
    assert [reason for _, reason, _ in house.scribe.told] == [Reason.CONFIG_DELETED]


@pytest.mark.parametrize(("fate", "said"), [("Keep", "running pods stay"), ("Revert", "running pods go back to it")])
async def test_rule_18_a_deleted_resource_is_told_once_with_what_becomes_of_its_pods(
    house: House, fate: str, said: str
) -> None:
    house.api.items = [resource(onDelete=fate)]
    await house.tick()
    house.loop.store.gone("shop", "web", "uid-1")
    for _ in range(3):
        await house.tick()
    ((key, reason, note),) = house.scribe.told
    assert (key, reason) == (KEY, Reason.CONFIG_DELETED)
    assert said in note
    assert house.hands.configs[-1] == {}, "and act may clear what it had"


@pytest.mark.parametrize(("gone", "stays"), [("twin", "web"), ("web", "twin")])
async def test_a_deleted_resource_names_the_other_one_that_tunes_its_workload(
    house: House, gone: str, stays: str
) -> None:
    house.api.items = [resource(), resource("twin", "uid-2", targetRef={"name": "web"})]
    await house.tick()
    house.loop.store.gone("shop", gone, "uid-2" if gone == "twin" else "uid-1")
    await house.tick()
    ((_, _, note),) = house.scribe.told
    assert note == f"No longer counts: PerformanceConfig {stays} has the workload."


async def test_a_resource_that_can_no_longer_be_read_keeps_what_it_has(house: House) -> None:
    await house.tick()
    house.loop.store.see(resource() | {"spec": {"targetRef": "web"}})
    await house.tick()
    assert KEY in house.hands.configs[-1], "or act would clear its profile"
    assert house.hands.targets[-1] == {}
    assert house.scribe.recorded[-1][KEY].problems
    assert house.scribe.told == []


async def test_history_is_read_beside_the_ticks_and_learned_once(house: House) -> None:
    house.library.unread = [KEY]
    await house.tick()
    await house.library.reading.wait()
    await house.tick()
    assert house.covered == 0
    house.library.may_end.set()
    for _ in range(3):
        await asyncio.sleep(0)  # the reading ends
    await house.tick()
    assert house.covered == pytest.approx(3600)
    for _ in range(3):
        await house.tick()
    assert house.covered == pytest.approx(3600)
    assert house.library.reads == 1


@pytest.mark.parametrize(("deleted", "known"), [(False, 3600.0), (True, 0.0)])
async def test_what_was_learned_outlives_an_invalid_spec_and_never_goes_to_a_namesake(
    house: House, deleted: bool, known: float
) -> None:
    house.library.unread = [KEY]
    house.library.may_end.set()
    await house.tick()
    for _ in range(3):
        await asyncio.sleep(0)  # the reading ends
    await house.tick()
    assert house.covered == pytest.approx(3600)
    if deleted:
        house.loop.store.gone("shop", "web", "uid-1")
    else:
        house.loop.store.see(resource() | {"spec": {"targetRef": "web"}})
    await house.tick()
    await house.tick()
    assert len(house.loop.state.containers) == 0
    house.loop.store.see(resource(uid="uid-2" if deleted else "uid-1"))
    await house.tick()
    assert house.covered == pytest.approx(known)


async def test_a_reading_that_fails_costs_one_tick_at_most(house: House) -> None:
    house.library.unread, house.library.failure = [KEY], RuntimeError("no luck")
    house.library.may_end.set()
    await house.run(5)
    assert house.scribe.failed_ticks() <= 1
    assert len(house.scribe.recorded) >= 4


async def test_two_ticks_never_overlap_and_a_slow_one_is_waited_for(house: House) -> None:
    house.hands.may_end = asyncio.Event()
    running = asyncio.create_task(house.run(2))
    for _ in range(20):
        await asyncio.sleep(0)
    assert (house.eyes.looks, house.slept) == (1, []), "the first tick is still acting"
    house.hands.may_end.set()
    await running
    assert house.eyes.looks == 2


async def test_the_next_tick_begins_a_cadence_after_the_last_one_began(house: House) -> None:
    await house.run(3)
    assert all(14.0 < seconds <= 15.0 for seconds in house.slept)


async def test_a_resource_that_wants_more_samples_a_minute_makes_the_ticks_follow_each_other_faster(
    house: House,
) -> None:
    house.api.items = [resource(), resource("eager", "uid-2", monitoring={"sampleRate": 12})]
    await house.run(3)
    assert all(4.0 < seconds <= 5.0 for seconds in house.slept)


@pytest.mark.parametrize(("took", "rest"), [(1.0, 4.0), (3.0, 6.0), (5.0, 10.0), (9.0, 6.0), (40.0, 0.0)])
async def test_the_faster_pace_gives_way_where_ticks_take_long(house: House, took: float, rest: float) -> None:
    house.api.items = [resource(monitoring={"sampleRate": 12})]
    await house.run(1)
    assert house.loop._rest(took) == rest


async def test_the_end_of_leadership_ends_everything(house: House) -> None:
    house.library.unread = [KEY]
    await house.run(2)
    assert house.eyes.closed
    assert not house.world.running
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "history"]


async def test_rule_14_a_persons_scale_is_told_when_it_is_fresh(house: House) -> None:
    house.eyes.hold = Hold(NOW + 3600, "kubectl", 5, True)
    await house.tick()
    house.eyes.hold = Hold(NOW + 3600, "kubectl", 5, False)
    await house.tick()
    ((_, reason, note),) = house.scribe.told
    assert reason is Reason.HUMAN_SCALED
    assert "kubectl set 5 replicas" in note


async def test_replicas_that_were_written_are_known_to_observe_and_refused_ones_are_not(house: House) -> None:
    house.eyes.workload = {"replicas_min": 1, "replicas_max": 9, "replicas": 3}
    house.hands.outcomes = [Outcome(KEY, Lever.REPLICAS, "", True, Reason.SCALED_UP, "")]
    await house.tick()
    assert house.eyes.written == [(KEY, 3.0)]
    house.hands.outcomes = [Outcome(KEY, Lever.REPLICAS, "", False, Reason.SCALE_FORBIDDEN, "may not")]
    await house.tick()
    assert house.eyes.written == [(KEY, 3.0)]
    assert house.scribe.recorded[-1][KEY].outcomes == tuple(house.hands.outcomes)


async def test_what_was_decided_is_announced_before_it_is_carried_out(house: House) -> None:
    """Whatever ends the process while it acts, its successor knows what was begun."""
    house.eyes.container = {"oom_at": house.now + 14, "oom_limit": 512.0 * 2**20}
    house.hands.failure = RuntimeError("killed")
    with pytest.raises(RuntimeError, match="killed"):
        await house.tick()
    assert [made.reason for made in house.scribe.announced] == [Reason.RAISED_AFTER_OOM]
    assert house.scribe.recorded == []
