"""What outlives the process: a kill between decide and checkpoint, checkpoints that can't be read, kept inputs."""

import asyncio
import base64
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.loop.rooms import KEY, MIB, NOW, Eyes, House, Library, resource
from tests.unit.record.shelf import Shelf, path
from trimtab.api.checkpoint import TuningJournalSpec
from trimtab.api.reasons import Reason
from trimtab.decide.observation import Samples
from trimtab.decide.replay import again, recall
from trimtab.kube.errors import Unavailable
from trimtab.memory import READ_PATIENCE, Memory
from trimtab.observe.config import ConfigRecord
from trimtab.observe.facts import Seen
from trimtab.observe.history import Past
from trimtab.record.checkpoints import Checkpoints
from trimtab.record.journals import Journals, decode

CONTAINER = f"{KEY}/app"
DOWN = Unavailable(0, "Timeout", "no answer", request="GET")
ROUND = 60.0


class Watching(Eyes):
    """Sees a sample of every container in each tick."""

    memory = 100 * MIB

    async def observe(self, configs: Mapping[str, ConfigRecord], now: float) -> Seen:
        seen = await super().observe(configs, now)
        rows = [{"container": row, "time": now, "cpu": 0.1, "memory": self.memory} for row in range(len(configs))]
        return replace(seen, observation=replace(seen.observation, samples=Samples.of(rows)))


class Remembering(Library):
    """Reads what no checkpoint knows, a sample a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.since: dict[str, Mapping[str, float]] = {}
        self.may_end.set()

    def known(self, key: str, until: Mapping[str, float]) -> None:
        self.since[key] = until

    async def read(self, seen: Seen, keys: Collection[str], now: float) -> Past:
        past = await super().read(seen, keys, now)
        fresh = past.samples.time > max(self.since.get(key, {}).get(CONTAINER, 0.0) for key in keys)
        return Past(past.samples.take(np.flatnonzero(fresh)), past.keys)


class Home(House):
    """A House with a real Memory over an API server that is a shelf."""

    def __init__(self, shelf: Shelf, now: float = NOW) -> None:
        super().__init__()
        self.now, self.shelf = now, shelf
        self.eyes, self.remembering = Watching(), Remembering()
        self.library = self.remembering
        client: Any = shelf
        scribe: Any = self.scribe
        library: Any = self.library
        checkpoints = Checkpoints(client, scribe.metrics, self.leads, ROUND)
        self.archive = Memory(checkpoints, Journals(client, scribe.metrics, self.leads, ROUND), library, scribe)
        self.loop = self.new_loop()

    async def leads(self) -> bool:
        return True

    @property
    def known(self) -> float:
        return float(self.loop.state.containers.sampled_at[0])


async def lived(shelf: Shelf, minutes: int = 20) -> Home:
    home = Home(shelf)
    for _ in range(4 * minutes):
        await home.tick()
    return home


def results(home: Home) -> dict[str, float]:
    registry = home.scribe.metrics.registry
    kinds = ("Resumed", "Corrupt", "Newer", "Oversized")
    found = {kind: registry.get_sample_value("trimtab_checkpoints_read_total", {"result": kind}) for kind in kinds}
    return {kind: value for kind, value in found.items() if value}


def weights(home: Home) -> np.ndarray:
    return np.asarray(home.loop.state.containers.memory[0] > 0)


async def test_after_a_kill_the_learned_state_is_that_of_the_checkpoint_plus_the_gap_read_back() -> None:
    shelf = Shelf()
    home = await lived(shelf)
    at = shelf.objects[path("tuningcheckpoints", KEY)]["spec"]["time"]
    written = len(shelf.writes)
    home.eyes.memory = 300 * MIB  # type: ignore[attr-defined]
    decided = home.loop.state
    # Killed in the tick after the last checkpoint: what it decided and learned since is lost with the process.
    assert home.known > NOW
    last = float(decided.containers.sampled_at[0])

    successor = Home(shelf, now=home.now + 600)
    successor.library.unread = [KEY]
    await successor.tick()
    assert results(successor) == {"Resumed": 1.0}
    held = successor.remembering.since[KEY]
    assert 0 <= last - held[CONTAINER] <= ROUND + 15
    await asyncio.sleep(0)
    await successor.library.reading.wait()
    await successor.tick()
    assert successor.library.reads == 1
    covered = float(decided.containers.covered[0])
    gap = successor.now - held[CONTAINER]
    assert float(successor.loop.state.containers.covered[0]) == pytest.approx(covered + gap, rel=0.1)
    assert (weights(successor) >= weights(home)).all(), "nothing that was learned is lost"
    assert at
    assert len(shelf.writes) >= written


async def test_without_a_checkpoint_learning_starts_at_nothing_and_nothing_is_told() -> None:
    home = Home(Shelf())
    await home.tick()
    assert results(home) == {}
    assert home.remembering.since == {}
    assert home.scribe.told == []


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({"learned": "AAAA"}, "Corrupt"),
        ({"learned": base64.b64encode(b"TT\x01 not a stream").decode()}, "Corrupt"),
        ({"version": 7}, "Newer"),
        ({"learned": base64.b64encode(b"TT\x09" + bytes(50)).decode()}, "Newer"),
        ({"learned": base64.b64encode(bytes(20_000)).decode()}, "Oversized"),
    ],
)
async def test_a_checkpoint_that_can_t_be_used_is_told_and_rebuilt(changes: dict[str, Any], result: str) -> None:
    shelf = Shelf()
    home = await lived(shelf, 5)
    where = path("tuningcheckpoints", KEY)
    shelf.objects[where]["spec"] |= changes
    successor = Home(shelf, now=home.now + 15)
    await successor.tick()
    assert results(successor) == {result: 1.0}
    ((key, reason, note),) = successor.scribe.told
    assert (key, reason) == (KEY, Reason.CHECKPOINT_REBUILT)
    assert note.startswith("What was learned before can't be used: ")
    assert successor.remembering.since == {}, "all of its history is read back"
    for _ in range(12):
        await successor.tick()
    third = Home(shelf, now=successor.now + 15)
    await third.tick()
    assert results(third) == {"Resumed": 1.0}


async def test_while_checkpoints_can_t_be_read_nothing_is_decided_and_the_first_answer_ends_it() -> None:
    shelf = Shelf()
    home = await lived(shelf, 5)
    successor = Home(shelf, now=home.now)
    shelf.broken = DOWN
    for _ in range(3):
        with pytest.raises(Unavailable):
            await successor.tick()
    assert successor.hands.plans == []
    shelf.broken = None
    await successor.tick()
    assert results(successor) == {"Resumed": 1.0}
    assert successor.scribe.resumed == [(KEY, "uid-1", 0)]
    assert len(successor.hands.plans) == 1


async def test_patience_with_checkpoints_that_can_t_be_read_ends_before_the_probe_does() -> None:
    shelf = Shelf()
    home = Home(shelf)
    shelf.broken = DOWN
    failed = 0
    while not home.hands.plans:
        try:
            await home.tick()
        except Unavailable:
            failed += 1
    assert 15.0 * failed == pytest.approx(READ_PATIENCE, abs=15)
    await home.tick()
    assert len(home.hands.plans) == 2


async def test_a_namesake_of_a_deleted_resource_starts_without_its_checkpoint() -> None:
    shelf = Shelf()
    home = await lived(shelf, 5)
    successor = Home(shelf, now=home.now)
    successor.api.items = [resource(uid="uid-2")]
    await successor.tick()
    assert results(successor) == {}
    assert successor.loop.state.containers.covered[0] < 60


async def test_a_decision_can_be_made_again_from_the_journal() -> None:
    home = Home(Shelf())
    home.eyes.container = {"memory": 128 * MIB, "memory_limit": 128 * MIB, "oom_at": NOW + 20, "oom_limit": 128 * MIB}
    for _ in range(12):
        await home.tick()
    spec = home.shelf.objects[path("tuningjournals", KEY)]["spec"]
    entries = decode(TuningJournalSpec.model_validate(spec))
    assert entries
    found = entries[-1]
    assert found.decision.reason == Reason.RAISED_AFTER_OOM.value
    assert found.settings == home.loop.settings.digest()
    made = again(recall(base64.b64decode(found.inputs)), home.loop.settings).decisions
    assert [(one.id, one.message) for one in made] == [(found.decision.id, found.decision.message)]
