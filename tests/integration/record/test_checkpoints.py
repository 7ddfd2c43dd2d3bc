"""Checkpoints and journals on a real API server: written, read by pages, bounded, refused, removed with their owner."""

import asyncio
import base64
from typing import Any

import pytest

from tests.integration.record.conftest import make
from trimtab.api.checkpoint import MAX_JOURNAL, MAX_LEARNED, TuningJournalSpec
from trimtab.api.reasons import Reason
from trimtab.decide.checkpoint import Saved, largest
from trimtab.decide.observation import Lever
from trimtab.decide.pack import Fault, pack
from trimtab.decide.plan import Decision
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import Invalid, NotFound
from trimtab.kube.paths import resource_path
from trimtab.record.checkpoints import FEW, Checkpoints, Stored
from trimtab.record.journals import Journals, decode
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.owned import Owner

pytestmark = pytest.mark.cluster
NOW = 1_800_000_000.0
DATA = pack({}, {"reference": NOW})
GONE_SECONDS = 60


async def leads() -> bool:
    return True


def checkpoints(client: KubeClient, **options: Any) -> Checkpoints:
    return Checkpoints(client, OperatorMetrics.create(), leads, seconds=60.0, **options)


async def write(one: Checkpoints, owners: dict[str, Owner], data: bytes = DATA, containers: int = 1) -> None:
    for later in (0.0, 60.0):
        await one.write(owners, lambda _: Saved(data, containers), "digest", NOW + later)


async def read(one: Checkpoints, *owners: Owner) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    async for page in one.read({owner.key: owner.uid for owner in owners}):
        found |= page
    return found


def where(kind: str, owner: Owner) -> str:
    return resource_path("trimtab.dev", "v1alpha1", kind, owner.namespace, owner.name)


async def patch(client: KubeClient, owner: Owner, **spec: Any) -> None:
    await client.merge_patch(where("tuningcheckpoints", owner), {"spec": spec})


async def test_a_checkpoint_is_written_changed_and_read_again(client: KubeClient, owner: Owner) -> None:
    one = checkpoints(client)
    await write(one, {owner.key: owner})
    assert await read(one, owner) == {owner.key: Stored(DATA, NOW + 60)} or await read(one, owner) == {
        owner.key: Stored(DATA, NOW)
    }
    other = pack({}, {"reference": 1.0})
    await write(checkpoints(client), {owner.key: owner}, other)
    assert (await read(one, owner))[owner.key].data == other


async def test_the_largest_that_the_engine_makes_is_taken_and_a_larger_one_refused(
    client: KubeClient, owner: Owner
) -> None:
    one = checkpoints(client)
    await write(one, {owner.key: owner}, bytes(largest(16)), 16)
    assert len((await read(one, owner))[owner.key].data) == largest(16)
    with pytest.raises(Invalid):
        await patch(client, owner, learned="A" * (MAX_LEARNED + 4))
    await patch(client, owner, containers=1)
    found = (await read(one, owner))[owner.key]
    assert found.fault is Fault.OVERSIZED
    await write(one, {owner.key: owner}, DATA)


async def test_one_that_was_damaged_by_hand_or_written_by_a_later_version_is_told(
    client: KubeClient, owner: Owner
) -> None:
    one = checkpoints(client)
    await write(one, {owner.key: owner})
    with pytest.raises(Invalid):
        await patch(client, owner, learned="not base64!")
    await patch(client, owner, learned=base64.b64encode(b"TT\x01 junk").decode())
    assert (await read(one, owner))[owner.key].problem == "", "the container is sound: what is in it is unpack's matter"
    await patch(client, owner, version=99)
    assert (await read(one, owner))[owner.key].fault is Fault.NEWER


async def test_many_are_listed_page_by_page(client: KubeClient, namespace: str) -> None:
    owners = [await make(client, namespace, f"w{n}") for n in range(FEW + 40)]
    one = checkpoints(client)
    await write(one, {owner.key: owner for owner in owners})
    assert len(await read(one, *owners)) == len(owners)
    assert len(await read(checkpoints(client, namespaces=(namespace,)), *owners)) == len(owners)


async def test_they_go_with_their_performance_config(client: KubeClient, owner: Owner) -> None:
    await write(checkpoints(client), {owner.key: owner})
    one = Journals(client, OperatorMetrics.create(), leads, 60.0)
    one.note([decision(owner, 1)], "digest", {})
    for later in (0.0, 60.0):
        await one.write({owner.key: owner}, lambda _: 86_400.0, NOW + later)
    paths = [where("tuningcheckpoints", owner), where("tuningjournals", owner)]
    for path in paths:
        await client.get(path)
    await client.delete(where("performanceconfigs", owner))
    async with asyncio.timeout(GONE_SECONDS):
        for path in paths:
            await gone(client, path)


async def gone(client: KubeClient, path: str) -> None:
    """Return when nothing is at `path`."""
    try:
        raw = await client.get(path)
    except NotFound:
        return
    collection, _, name = path.rpartition("/")
    params = {"fieldSelector": f"metadata.name={name}", "resourceVersion": raw["metadata"]["resourceVersion"]}
    async for event in client.stream_watch(collection, params):
        if event["type"] == "DELETED":
            return


def decision(owner: Owner, number: int, words: str = "p95 of CPU is 0.2 cores.") -> Decision:
    return Decision(
        id=f"d{number}",
        workload=owner.key,
        time=NOW + number,
        lever=Lever.CPU,
        subject="app",
        before=0.4,
        after=0.3,
        reason=Reason.CUT_UNUSED,
        message=words,
        inputs={"p95": 0.2},
    )


async def test_a_journal_grows_over_restarts_and_two_writers_lose_nothing(client: KubeClient, owner: Owner) -> None:
    for number in range(4):
        one = Journals(client, OperatorMetrics.create(), leads, 60.0)
        one.note([decision(owner, number)], "digest", {owner.key: b"inputs"})
        for later in (0.0, 60.0):
            await one.write({owner.key: owner}, lambda _: 14 * 86_400.0, NOW + later)
    raw = await client.get(where("tuningjournals", owner))
    spec = TuningJournalSpec.model_validate(raw["spec"])
    assert [entry.decision.id for entry in decode(spec)] == ["d3", "d2", "d1", "d0"]
    assert (spec.count, len(spec.entries) < MAX_JOURNAL) == (4, True)


async def test_a_journal_larger_than_its_bound_is_refused_by_the_schema(client: KubeClient, owner: Owner) -> None:
    one = Journals(client, OperatorMetrics.create(), leads, 60.0)
    one.note([decision(owner, 1)], "digest", {})
    for later in (0.0, 60.0):
        await one.write({owner.key: owner}, lambda _: 86_400.0, NOW + later)
    with pytest.raises(Invalid):
        await client.merge_patch(where("tuningjournals", owner), {"spec": {"entries": "A" * (MAX_JOURNAL + 4)}})
