"""What stands in for an answer that has not come yet: the last one, unless it was about other pods."""

import asyncio
from typing import Any

import pytest

from tests.unit.observe_assembly.bench import NOW, FakePrometheus, usage
from trimtab.api.answers import AnswerKind
from trimtab.api.datasource import Datasource
from trimtab.observe.asker import Asker, Population
from trimtab.observe.meters import QueryMeter
from trimtab.observe.promql import parse
from trimtab.observe.source import Sample

METER = QueryMeter(parse("max(latency_seconds)"), by_pod=True)
WIDE = QueryMeter(parse("max(latency_seconds)"), by_pod=False)


class Round:
    """One metric of one workload, asked for whichever pods a test names."""

    def __init__(self) -> None:
        others = usage({"a": 0.1})
        self.prometheus = FakePrometheus(
            lambda text, at: [Sample({}, 0.2, at)] if text.startswith("max") else others(text, at)
        )
        source = Datasource(name="default", url="http://prometheus.test")
        self.asker = Asker({"default": self.prometheus}, {"default": source})
        self.now = NOW

    async def answer(self, *pods: str, meter: Any = METER, seconds: float = 5.0) -> Any:
        # The query of a kind without a naming rule names its pods one by one.
        population = Population("shop", "Rollout", "web", pods)
        self.now += 15.0
        self.asker.begin()
        self.asker.want("key", "default", meter, population, 15.0)
        await self.asker.round(self.now, 15.0, seconds)
        return self.asker.answer("key", "default", meter, population, 15.0, self.now)

    def silence(self) -> None:
        self.prometheus.gate = asyncio.Event()


@pytest.fixture
async def round_() -> Any:
    made = Round()
    yield made
    await made.asker.close()


async def test_while_the_source_is_slow_the_last_answer_about_some_of_the_same_pods_stands(round_: Round) -> None:
    assert (await round_.answer("a", "b")).known
    round_.silence()
    assert (await round_.answer("b", "c", seconds=0)).known


async def test_an_answer_about_the_trial_before_is_none_about_this_one(round_: Round) -> None:
    assert (await round_.answer("a")).known
    round_.silence()
    found = await round_.answer("b", seconds=0)
    assert found.kind is AnswerKind.EMPTY
    assert "has not answered yet" in found.message
    assert found.at != found.at, "the time of the other pods' number is not its own"


async def test_what_is_no_answer_about_pods_stands_whatever_pods_there_are(round_: Round) -> None:
    assert (await round_.answer("a", meter=WIDE)).known
    round_.silence()
    assert (await round_.answer("b", meter=WIDE, seconds=0)).known


async def test_a_stand_in_does_not_become_an_answer_about_the_pods_it_stood_in_for(round_: Round) -> None:
    assert (await round_.answer("a")).known
    round_.silence()
    assert (await round_.answer("a", "b", seconds=0)).known
    assert not (await round_.answer("b", seconds=0)).known
