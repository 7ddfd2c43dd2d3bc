"""The resize state machine: sizes, refusals, waves and back-outs (RULES 8, 11)."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sure import sure
from tests.unit.act.shop import MI, NAN, Shop, container
from trimtab.act.entries import Wanted
from trimtab.act.resize import State, body, step
from trimtab.act.targets import Sizes
from trimtab.api.reasons import Reason
from trimtab.kube.records import ContainerSpec, ContainerState, PodRecord

NOW = 1000.0
APP = ContainerSpec("app", 0.1, 128 * MI, NAN, 512 * MI)


def pod(*specs: ContainerSpec, states: tuple[ContainerState, ...] | None = None, **changes: Any) -> PodRecord:
    specs = specs or (APP,)
    stated = tuple(ContainerState(c.name, 0, 0.0, c.cpu, c.memory, c.cpu_limit, c.memory_limit) for c in specs)
    record = PodRecord("shop", "web-1", "u1", "1", 0.0, qos="Burstable", containers=specs)
    return replace(record, states=stated if states is None else states, **changes)


def want(**sizes: float) -> dict[str, Wanted]:
    return {"app": Wanted(Sizes(**sizes))}


def ask(record: PodRecord, wanted: dict[str, Wanted], used: float = 64 * MI, *, raises: bool = False) -> Any:
    return step(record, wanted, {"app": used}, NOW, raises=raises)


def test_a_pod_that_has_what_is_wanted_is_done() -> None:
    assert ask(pod(), want(cpu=0.1, memory=128 * MI)).state is State.DONE


def test_only_what_differs_is_sent_by_list_and_name() -> None:
    side = ContainerSpec("side", 0.1, sidecar=True)
    wanted = want(cpu=0.2, memory=128 * MI) | {"side": Wanted(Sizes(memory=32 * MI))}
    todo = step(pod(APP, side), wanted, {}, NOW, raises=False)
    assert todo.state is State.SEND
    assert body(pod(APP, side), todo.sizes) == {
        "spec": {
            "containers": [{"name": "app", "resources": {"requests": {"cpu": "200m"}}}],
            "initContainers": [{"name": "side", "resources": {"requests": {"memory": "32Mi"}}}],
        }
    }


def test_done_means_that_the_kubelet_says_so() -> None:
    behind = (ContainerState("app", 0, 0.0, 0.1, 128 * MI, NAN, 512 * MI),)
    larger = replace(APP, cpu=0.2)
    assert ask(pod(larger, states=behind), want(cpu=0.2)).state is State.WAIT
    assert ask(pod(larger, resize="InProgress"), want(cpu=0.2)).state is State.WAIT
    assert ask(pod(larger), want(cpu=0.2)).state is State.DONE


def test_a_deferred_raise_waits_five_minutes_and_is_then_taken_back() -> None:
    behind = (ContainerState("app", 0, 0.0, 0.1, 128 * MI, NAN, 512 * MI),)
    larger = pod(replace(APP, cpu=4.0), states=behind, resize="Deferred", resize_since=NOW - 300)
    assert ask(larger, want(cpu=4.0)).state is State.WAIT
    todo = ask(replace(larger, resize_since=NOW - 301), want(cpu=4.0))
    assert todo.state is State.BACK_OUT
    assert todo.sizes["app"].same(Sizes(cpu=0.1))
    assert todo.refusal.reason is Reason.RESIZE_DEFERRED


def test_an_infeasible_raise_is_taken_back_at_once() -> None:
    behind = (ContainerState("app", 0, 0.0, 0.1, 128 * MI, NAN, 512 * MI),)
    todo = ask(pod(replace(APP, cpu=64.0), states=behind, resize="Infeasible"), want(cpu=64.0))
    assert (todo.state, todo.refusal.reason) == (State.BACK_OUT, Reason.RESIZE_INFEASIBLE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"qos": "BestEffort"}, Reason.RESIZE_BEST_EFFORT),
        ({"os": "windows"}, Reason.RESIZE_WINDOWS),
        ({"has_resource_claims": True}, Reason.RESIZE_DYNAMIC_RESOURCES),
    ],
)
def test_rule_08_pods_that_can_not_be_resized_are_refused(change: dict[str, Any], reason: Reason) -> None:
    todo = ask(pod(**change), want(cpu=0.2))
    assert (todo.state, todo.refusal.reason) == (State.REFUSED, reason)


def test_rule_08_the_qos_class_is_kept() -> None:
    guaranteed = ContainerSpec("app", 1.0, MI, 1.0, MI)
    record = pod(guaranteed, qos="Guaranteed")
    assert ask(record, want(cpu=2.0, cpu_limit=3.0)).state is State.REFUSED
    assert ask(record, want(cpu=2.0, cpu_limit=2.0)).state is State.SEND
    burstable = ContainerSpec("app", 1.0, MI, 2.0, MI)
    assert ask(pod(burstable), want(cpu=2.0)).state is State.REFUSED


def test_rule_08_requests_and_limits_are_never_removed() -> None:
    todo = ask(pod(), want(cpu=0.1))
    assert todo.state is State.DONE, "a size that is not wanted stays"


def test_rule_08_a_request_never_passes_its_limit() -> None:
    assert ask(pod(), want(memory=600 * MI)).state is State.REFUSED
    assert ask(pod(), want(memory=600 * MI, memory_limit=600 * MI)).state is State.SEND


@pytest.mark.parametrize(("used", "state"), [(64 * MI, State.SEND), (256 * MI, State.REFUSED), (NAN, State.REFUSED)])
def test_rule_08_a_memory_limit_is_never_lowered_below_the_working_set(used: float, state: State) -> None:
    assert ask(pod(), want(memory_limit=256 * MI), used).state is state


@pytest.mark.parametrize("resource", ["cpu", "memory"])
def test_rule_08_a_resize_that_restarts_counts_as_a_cut(resource: str) -> None:
    spec = replace(APP, restart_on_cpu=resource == "cpu", restart_on_memory=resource == "memory")
    larger = {"cpu": 0.2} if resource == "cpu" else {"memory": 256 * MI}
    assert ask(pod(spec), want(**larger)).cut
    assert not ask(pod(), want(**larger)).cut


def test_rule_11_where_cuts_are_frozen_raises_go_on() -> None:
    todo = ask(pod(), want(cpu=0.2, memory=64 * MI), raises=True)
    assert todo.sizes["app"].same(Sizes(cpu=0.2))
    assert ask(pod(), want(memory=64 * MI), raises=True).state is State.DONE
    assert ask(pod(), want(cpu_limit=1.0), raises=True).state is State.DONE, "a limit where there was none takes"


amounts = st.one_of(st.just(NAN), st.integers(1, 4000).map(lambda m: m / 1000))
sizes = st.builds(lambda a, b, c, d: Sizes(a, b * 1e9, c, d * 1e9), amounts, amounts, amounts, amounts)


@given(has=sizes, wanted=sizes, used=amounts, raises=st.booleans())
def test_whatever_is_wanted_nothing_invalid_is_sent(has: Sizes, wanted: Sizes, used: float, raises: bool) -> None:
    spec = ContainerSpec("app", has.cpu, has.memory, has.cpu_limit, has.memory_limit)
    todo = step(pod(spec), {"app": Wanted(wanted)}, {"app": used * 1e9}, NOW, raises=raises)
    if todo.state is not State.SEND:
        return
    after = todo.sizes["app"].over(has)
    assert not after.cpu > after.cpu_limit
    assert not after.memory > after.memory_limit
    for name in ("cpu", "memory", "cpu_limit", "memory_limit"):
        old, new = getattr(has, name), getattr(after, name)
        assert math.isnan(old) or not math.isnan(new)
        if raises:
            assert not new < old
    lowered = after.memory_limit < (has.memory_limit if not math.isnan(has.memory_limit) else math.inf)
    if lowered and not math.isnan(has.memory_limit):
        assert after.memory_limit > used * 1e9


async def test_a_deferred_pod_is_backed_out_held_and_tried_again_later() -> None:
    shop = Shop(replicas=2)
    full = shop.cluster.pods()[0]["metadata"]["name"]
    shop.cluster.kubelet = lambda p: "Deferred" if p["metadata"]["name"] == full else ""
    wish: dict[str, Any] = {"app": {"cpu": 2.0}}
    await shop.tick(**wish)
    assert shop.requests() == ["2", "2"]
    outcomes = await shop.tick(**wish, seconds=301)
    assert [o.reason for o in outcomes] == [Reason.RESIZE_DEFERRED] * len(outcomes)
    await shop.tick(**wish)
    assert shop.requests() == ["100m", "2"], "it held room on the node for nothing"
    await shop.tick(**wish)
    assert shop.requests() == ["100m", "2"]
    shop.cluster.kubelet = lambda p: ""
    shop.time.now += 300
    await shop.tick(**wish)
    assert shop.requests() == ["2", "2"]


async def test_best_effort_pods_shape_only_new_ones() -> None:
    bare = container(resources={}) | {"resources": {}}
    shop = Shop(replicas=1, containers=[bare])
    outcomes = await shop.tick(app={"cpu": 0.2, "memory": 64 * MI})
    assert Reason.RESIZE_BEST_EFFORT in {o.reason for o in outcomes}
    assert sure(shop.entry())["containers"][0]["requests"] == {"cpu": "200m", "memory": "64Mi"}
    await shop.tick(replicas=2)
    assert shop.requests() == ["", "200m"]
