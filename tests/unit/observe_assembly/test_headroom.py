"""What nodes have left, and what is lent, as they get into the Observation."""

import copy
import math
from typing import Any

import pytest

from tests.unit.observe_assembly.bench import deployment, node, pod, replica_set, shop
from tests.unit.observe_assembly.scene import PROFILE, Bench, profile
from trimtab.kube.loans import NO_LOAN, Lent
from trimtab.kube.records import ContainerSpec, ContainerState, NodeRecord, PodRecord
from trimtab.observe.headroom import free_cpu, node_free_cpu, room

BORROWED = {"cpu": "500m", "createdBefore": "2027-01-14T12:00:00Z", "until": "2027-01-15T08:05:00Z"}


def pod_on(name: str, cpu: float, where: str = "n1", **more: Any) -> PodRecord:
    values: dict[str, Any] = {"ready": True, "phase": "Running", "containers": (ContainerSpec("app", cpu=cpu),)} | more
    return PodRecord("shop", name, f"uid-{name}", "1", 0.0, node=where, **values)


def lending() -> dict[str, Any]:
    entry = copy.deepcopy(PROFILE)
    entry["containers"][0]["lent"] = BORROWED  # type: ignore[index]
    entry["containers"][0]["templateEnv"] = {}  # type: ignore[index]
    entry["containers"][0]["env"] = {}  # type: ignore[index]
    return entry


async def test_the_room_of_a_workload_is_what_requests_leave_of_the_node_by_its_pods(bench: Bench) -> None:
    shop(bench.client)
    other = deployment("other")
    bench.client.put(pod(replica_set(other), "x"))
    await bench.start()
    seen = (await bench.look()).observation
    assert seen.workloads.node_free_cpu[0] == pytest.approx((8.0 - 3 * 0.5) / 2)


async def test_the_fullest_node_counts(bench: Bench) -> None:
    owner = shop(bench.client)
    sets = replica_set(owner)
    small = pod(sets, "pod9")
    small["spec"]["nodeName"] = "node-2"
    sets["metadata"]["uid"] = next(iter(bench.client.objects["/apis/apps/v1/replicasets"].values()))["metadata"]["uid"]
    small["metadata"]["ownerReferences"][0]["uid"] = sets["metadata"]["uid"]
    bench.client.put(node("node-2", cpu="1"), small)
    await bench.start()
    seen = (await bench.look()).observation
    assert seen.workloads.node_free_cpu[0] == pytest.approx(0.5)


async def test_a_node_that_is_not_known_leaves_the_room_unknown(bench: Bench) -> None:
    shop(bench.client)
    bench.client.remove(node())
    await bench.start()
    seen = (await bench.look()).observation
    assert math.isnan(seen.workloads.node_free_cpu[0])


async def test_a_loan_is_read_from_the_profile(bench: Bench) -> None:
    shop(bench.client)
    bench.client.put(profile(lending()))
    await bench.start()
    seen = (await bench.look()).observation.containers
    assert seen.lent[0] == 0.5
    assert seen.lent_before[0] == 1_799_928_000.0
    assert seen.lent_until[0] == 1_800_000_300.0
    assert seen.borrowers[0] == 2
    assert seen.cpu_limit[0] == 1.0


async def test_pods_that_lack_what_was_lent_to_them_are_off(bench: Bench) -> None:
    shop(bench.client)
    bench.client.put(profile(lending()))
    await bench.start()
    assert (await bench.look()).observation.containers.off[0] == 2


async def test_without_a_loan_nothing_is_lent(bench: Bench) -> None:
    shop(bench.client)
    await bench.start()
    seen = (await bench.look()).observation.containers
    assert (seen.lent[0], seen.borrowers[0], seen.lent_until[0]) == (0.0, 0, 0.0)


def test_a_pod_that_is_being_resized_takes_the_larger_of_what_it_has_and_what_it_asks_for() -> None:
    resizing = pod_on("a", 0.5, states=(ContainerState("app", cpu=2.0),))
    assert free_cpu([NodeRecord("n1", 8.0)], [resizing]) == {"n1": 6.0}


def test_pods_that_ended_take_nothing() -> None:
    assert free_cpu([NodeRecord("n1", 8.0)], [pod_on("a", 1.0, phase="Succeeded")]) == {"n1": 8.0}


def test_a_full_node_has_no_room_and_never_less() -> None:
    assert node_free_cpu([pod_on("a", 1.0)], {"n1": -2.0}) == 0.0


def test_pods_that_start_share_the_room_of_their_node() -> None:
    pods = [pod_on("a", 1.0), pod_on("b", 1.0, ready=False)]
    assert node_free_cpu(pods, {"n1": 3.0}) == 1.5


def test_without_a_ready_pod_there_is_no_room_to_speak_of() -> None:
    assert math.isnan(node_free_cpu([pod_on("a", 1.0, ready=False)], {"n1": 3.0}))


def test_where_only_some_namespaces_can_be_seen_the_room_is_not_known() -> None:
    seen = room([NodeRecord("n1", 8.0, 16.0)], None)
    assert (seen.cpu, seen.memory, seen.free) == (8.0, 16.0, {})


def test_a_loan_reaches_pods_that_were_created_before_it_alone() -> None:
    lent = Lent(0.5, before=100.0, until=200.0)
    assert lent.reaches(PodRecord("shop", "a", "u", "1", created=99.0))
    assert not lent.reaches(PodRecord("shop", "a", "u", "1", created=100.0))
    assert not NO_LOAN.reaches(PodRecord("shop", "a", "u", "1", created=0.0))
