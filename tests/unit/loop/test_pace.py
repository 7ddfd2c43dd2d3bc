"""How often a resource is looked at, and how soon what a watch tells is answered (RULES 27)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.observe_assembly.bench import NOW, SPEC, config, deployment, pod, replica_set, shop
from tests.unit.observe_assembly.scene import Bench
from trimtab.api.reasons import Reason
from trimtab.decide.engine import decide
from trimtab.decide.plan import Plan
from trimtab.decide.settings import Settings
from trimtab.decide.state import State, align
from trimtab.observe.config import ConfigRecord, pace

TICK = 15.0
MIB = float(2**20)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.observer.close()
    await made.world.stop()


def sampled(rate: int, name: str = "web") -> ConfigRecord:
    """A resource that wants so many samples a minute."""
    text = SPEC.replace("monitoring:", f"monitoring:\n  sampleRate: {rate}").replace("name: web}", f"name: {name}}}")
    return config(text, name=name)


async def due(bench: Bench, minutes: int, *configs: ConfigRecord) -> dict[str, int]:
    """Ticks in which each was due."""
    every = pace(configs, TICK)
    counts = dict.fromkeys((one.key for one in configs), 0)
    for tick in range(int(minutes * 60 / every)):
        seen = await bench.look(*configs, now=NOW + tick * every)
        rows = seen.observation.workloads
        for key, is_due in zip(rows.key, rows.due, strict=True):
            counts[key] += bool(is_due)
    return counts


@pytest.mark.parametrize(("rate", "times"), [(1, 1), (2, 2), (3, 4), (4, 4)])
async def test_rule_27_a_resource_is_due_as_often_a_minute_as_its_sample_rate_says_to_the_nearest_tick(
    bench: Bench, rate: int, times: int
) -> None:
    shop(bench.client)
    await bench.start()
    assert await due(bench, 5, sampled(rate)) == {"shop/web": 5 * times}


async def test_rule_27_of_two_resources_the_one_with_the_higher_sample_rate_is_due_more_often(bench: Bench) -> None:
    shop(bench.client)
    bench.client.put(deployment("calm"))
    await bench.start()
    assert await due(bench, 3, sampled(12), sampled(2, "calm")) == {"shop/web": 36, "shop/calm": 6}


async def test_rule_27_numbers_are_taken_in_when_due_only(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    taken = []
    for tick in range(8):
        seen = await bench.look(sampled(1), now=NOW + tick * TICK)
        taken.append(len(seen.observation.samples) > 0)
    assert taken == [True, False, False, False] * 2


async def test_rule_27_what_a_watch_tells_between_two_ticks_is_answered_by_the_next_one(bench: Bench) -> None:
    owner = deployment(replicas=1)
    sets = replica_set(owner)
    bench.client.put(owner, sets)
    bench.client.put(running := pod(sets, "pod0"))
    await bench.start()
    state, settings = State(), Settings()

    async def tick(now: float) -> Plan:
        nonlocal state
        seen = await bench.look(sampled(1), now=now)
        state = align(state, seen.observation, settings)
        plan, state = decide(seen.observation, state, settings)
        return plan

    before = await tick(NOW)
    assert not [made for made in before.decisions if made.reason is Reason.RAISED_AFTER_OOM]
    bench.client.put(killed(running))
    plan = await tick(NOW + TICK)
    raised = [made for made in plan.decisions if made.reason is Reason.RAISED_AFTER_OOM]
    assert raised, "though its sampleRate makes it due in 45 s only"
    assert plan.containers.memory[0] > 256 * MIB, "more than the template asks for"


def killed(running: dict[str, Any]) -> dict[str, Any]:
    """The pod after its container was killed for want of memory, five seconds after the first tick."""
    state = {"terminated": {"reason": "OOMKilled", "finishedAt": "2027-01-15T08:00:05Z"}}
    status = {"name": "app", "restartCount": 1, "lastState": state, "resources": {"limits": {"memory": "512Mi"}}}
    return running | {"status": running["status"] | {"containerStatuses": [status]}}
