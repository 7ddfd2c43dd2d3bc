"""Rules of other controllers (7, 9): what is opted in beside an HPA, and who keeps setting our values back."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.act.shop import Shop, planned
from tests.unit.observe_assembly.bench import NOW, config, meta, shop, template
from tests.unit.observe_assembly.scene import KNOBS, PROFILE, Bench, profile
from trimtab.act.targets import HANDS_OFF
from trimtab.api.reasons import CONFLICTS, Reason
from trimtab.decide.observation import Block, Lever
from trimtab.decide.plan import Outcome

OPTED_IN = KNOBS.replace("\nresources:", "\n    besideHpa: {opted}\nresources:")


@pytest.fixture
async def bench() -> Any:
    made = Bench()
    yield made
    await made.observer.close()
    await made.world.stop()


def hpa() -> dict[str, Any]:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "metrics": [metric]}
    return {"kind": "HorizontalPodAutoscaler", "metadata": meta("theirs"), "spec": spec}


@pytest.mark.parametrize(
    ("opted", "allowed"),
    [
        ("{}", (False, False, True, False)),
        ("{knobs: true}", (False, False, True, True)),
        ("{requests: true}", (False, True, True, False)),
        ("{knobs: true, requests: true}", (False, True, True, True)),
    ],
)
async def test_rule_07_and_09_beside_an_hpa_knobs_and_its_denominator_rest_unless_opted_in(
    bench: Bench, opted: str, allowed: tuple[bool, ...]
) -> None:
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    bench.client.put(hpa())
    await bench.start()
    seen = await bench.look(config(OPTED_IN.replace("{opted}", opted)))
    assert tuple(seen.observation.workloads.allowed[0]) == allowed, "replicas are the HPA's whatever is opted in"
    messages = " ".join(block.message for block in seen.observation.blocks[0])
    assert ("constraints.besideHpa.knobs" in messages) is not allowed[Lever.KNOB]
    assert ("constraints.besideHpa.requests" in messages) is not allowed[Lever.CPU]


def written(manager: str, at: float, subresource: str = "", spec: Any = None) -> dict[str, Any]:
    """An entry of managedFields."""
    entry = {"manager": manager, "operation": "Update", "time": datetime.fromtimestamp(at, UTC).isoformat()}
    return entry | {"fieldsV1": {"f:spec": spec or {"f:containers": {}}}, "subresource": subresource}


def resized(bench: Bench, manager: str, requests: dict[str, str], at: float) -> None:
    """Somebody resizes the first pod."""
    pod = bench.client.objects["/api/v1/pods"]["shop/web-6bcf4d8f-pod0"]
    container = pod["spec"]["containers"][0]
    fields = [written(manager, at, "resize")]
    spec = {**pod["spec"], "containers": [{**container, "resources": {**container["resources"], "requests": requests}}]}
    bench.client.put({**pod, "metadata": {**pod["metadata"], "managedFields": fields}, "spec": spec})


async def reasons(bench: Bench, now: float, generation: int = 1) -> dict[Lever, str]:
    """Levers in a war, and what is said of it. A war that a look finds is in the next one's blocks."""
    for _ in range(2):
        seen = await bench.look(config(KNOBS, generation=generation), now=now)
    blocks = seen.facts["shop/web"].blocks
    return {block.lever: block.message for block in blocks if block.reason is Reason.REVERT_WAR}


async def test_rule_09_a_manager_that_sets_a_pods_resources_back_twice_is_named_and_left_alone(bench: Bench) -> None:
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    await bench.start()
    for turn in range(2):
        now = NOW + 60 * turn
        resized(bench, "trimtab", {"cpu": "500m", "memory": "256Mi"}, now)
        assert await reasons(bench, now) == {}
        resized(bench, "node-tuner", {"cpu": "900m", "memory": "256Mi"}, now + 15)
        wars = await reasons(bench, now + 15)
    assert set(wars) == {Lever.CPU}, "the memory is as it was"
    assert "node-tuner set the CPU of Deployment web back twice" in wars[Lever.CPU]
    assert Reason.REVERT_WAR in CONFLICTS & HANDS_OFF
    assert await reasons(bench, NOW + 120, generation=2) == {}, "a change of the spec ends it"


async def test_rule_09_a_set_back_before_the_next_look_counts_when_we_say_what_we_wrote(bench: Bench) -> None:
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    await bench.start()
    for turn in range(3):
        now = NOW + 30 * turn
        resized(bench, "node-tuner", {"cpu": "900m", "memory": "256Mi"}, now)
        wars = await reasons(bench, now)
        bench.observer.wrote("shop/web", Lever.CPU, 0.0, "app")
    assert set(wars) == {Lever.CPU}


async def test_rule_09_a_mirror_that_lags_and_a_new_set_point_are_no_reverts(bench: Bench) -> None:
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))
    await bench.start()
    resized(bench, "node-tuner", {"cpu": "500m", "memory": "256Mi"}, NOW)
    for turn in range(6):  # the same old resize is seen again and again, whatever we write and wish
        assert await reasons(bench, NOW + 15 * turn) == {}
        bench.observer.wrote("shop/web", Lever.CPU, 0.0, "app", shaped=turn % 2 == 0)
        known: dict[str, Any] = copy.deepcopy(PROFILE)
        known["containers"][0]["requests"] = {"cpu": f"{300 + turn}m", "memory": "256Mi"}
        bench.client.put(profile(known))


@pytest.mark.parametrize(
    ("owned", "lever"),
    [
        ({"f:requests": {"f:cpu": {}}}, Lever.CPU),
        ({"f:limits": {"f:memory": {}}}, Lever.MEMORY),
        ({"f:env": {"f:BATCH": {}}}, Lever.KNOB),
    ],
)
async def test_rule_09_a_manager_that_sets_an_entry_of_the_profile_back_twice_is_named(
    bench: Bench, owned: dict[str, Any], lever: Lever
) -> None:
    shop(bench.client, pod_template=template(env={"BATCH": "8"}))

    def put(generation: int, manager: str) -> None:
        ours: dict[str, Any] = {"f:workloads": {"f:Deployment/web": {"f:config": {}}}}
        theirs = {"f:workloads": {"f:Deployment/web": {"f:containers": {'k:{"name":"app"}': {".": {}, **owned}}}}}
        fields = [written("trimtab", NOW, spec=ours), written(manager, NOW, spec=theirs)]
        body = {"kind": "TuningProfile", "spec": {"workloads": {"Deployment/web": PROFILE}}}
        bench.client.put(body | {"metadata": meta("trimtab", generation=generation, managedFields=fields)})

    put(1, "trimtab")
    await bench.start()
    for turn in range(2):
        now = NOW + 60 * turn
        put(2 + 2 * turn, "trimtab")
        assert await reasons(bench, now) == {}
        put(3 + 2 * turn, "argocd-controller")
        wars = await reasons(bench, now + 15)
    assert set(wars) == {lever}
    assert "argocd-controller" in wars[lever]


async def act(world: Shop, reason: Reason | None, levers: tuple[Lever, ...], **wish: Any) -> list[Outcome]:
    """One tick with these levers blocked for this reason."""
    info = world.info()
    plan, seen = planned(info, world.time.now, 64 * 2**20, **wish)
    if reason is not None:
        seen.blocks[0] = tuple(Block(lever, reason, "somebody else moves it") for lever in levers)
    found = await world.actuator.act(plan, seen, {info.key: info}, world.configs)
    world.cluster.settle()
    world.time.now += 15
    return found


@pytest.mark.parametrize("reason", sorted(HANDS_OFF))
async def test_rule_09_hands_off_is_per_lever_on_running_pods_too(reason: Reason) -> None:
    world = Shop()
    await act(world, None, (), app={"cpu": 0.2, "memory": 256 * 2.0**20})
    assert (world.requests(), world.requests("memory")) == (["200m"] * 3, ["256Mi"] * 3)
    for pod in world.cluster.pods():
        pod["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "150m", "memory": "200Mi"}
    await act(world, reason, (Lever.CPU,))
    assert world.requests() == ["150m"] * 3, "theirs stays"
    assert world.requests("memory") == ["256Mi"] * 3, "the other lever goes on"
    await act(world, None, ())
    assert world.requests() == ["200m"] * 3, "afterwards ours is brought back"


async def test_rule_09_no_pod_is_swapped_over_a_knob_that_somebody_else_sets() -> None:
    world = Shop()
    for _ in range(6):
        await act(world, Reason.REVERT_WAR, (Lever.KNOB,), knob=16)
    assert world.batches() == ["8"] * 3
    assert not [path for verb, path in world.cluster.writes if verb in ("EVICT", "POST") and "/pods" in path]
