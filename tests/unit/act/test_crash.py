"""Any process may die at any write: the next one converges to the same state."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.act.fake import Crash
from tests.unit.act.shop import MI, Shop

STEPS: tuple[dict[str, Any], ...] = (
    {"app": {"cpu": 0.25, "memory": 200 * MI}},
    {"trial": 16},
    {"trial": 16},
    {"knob": 16, "keep": True},
    *[{"knob": 16}] * 7,
    {"knob": 16, "replicas": 5},
    {"knob": 16, "app": {"cpu": 0.05, "cpu_limit": float("nan")}},
    *[{"knob": 16}] * 7,
)

CALM: list[object] = []
"""State after a run without a crash, computed once."""


def state(shop: Shop) -> object:
    """What counts in the end: sizes, values, marks and the entry; not the names of pods."""
    pods = [
        (
            p["spec"]["containers"][0]["resources"],
            p["spec"]["containers"][0]["env"],
            sorted(p["metadata"]["annotations"].items()),
            sorted(p["metadata"]["labels"].items()),
            [o["controller"] for o in p["metadata"]["ownerReferences"]],
        )
        for p in shop.cluster.pods()
    ]
    return sorted(pods, key=repr), shop.entry(), shop.cluster.objects["deployments", "shop", "web"]["spec"]["replicas"]


async def run(crashes: list[int]) -> tuple[Shop, int]:
    shop = Shop()
    done = 0
    left = sorted(set(crashes))
    for wish in STEPS:
        for _ in range(20):
            before = len(shop.cluster.writes)
            shop.cluster.crash_after = next((c for c in left if c > before), None)
            try:
                await shop.tick(**wish)
                break
            except Crash:
                shop.gate = shop.new_gate()
                shop.actuator = shop.new_actuator()
                shop.cluster.settle()
                shop.time.now += 30
                done += 1
    return shop, done


async def test_the_calm_run_ends_where_it_should() -> None:
    shop, _ = await run([])
    assert shop.batches() == ["16"] * 5
    assert shop.requests() == ["50m"] * 5
    assert shop.requests("memory") == ["200Mi"] * 5
    assert shop.marks() == []
    assert shop.cluster.lowest_ready >= 3


async def test_a_crash_after_each_single_write_ends_in_the_same_state() -> None:
    calm, _ = await run([])
    for write in range(1, len(calm.cluster.writes) + 1):
        shop, crashes = await run([write])
        assert crashes == 1
        assert state(shop) == state(calm), f"crash after write {write}: {calm.cluster.writes[write - 1]}"
        assert shop.cluster.lowest_ready >= 3


@settings(max_examples=20, deadline=None)
@given(crashes=st.lists(st.integers(1, 40), min_size=2, max_size=6))
async def test_several_crashes_end_in_the_same_state(crashes: list[int]) -> None:
    if not CALM:
        CALM.append(state((await run([]))[0]))
    shop, _ = await run(crashes)
    assert state(shop) == CALM[0]
    assert shop.cluster.lowest_ready >= 3
