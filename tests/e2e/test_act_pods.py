"""Acting on real pods: resize without restart, swap without a dip, budgets held, crashes survived."""

from __future__ import annotations

from typing import Any

import pytest

from testbed import cgroups
from testbed.bed import Bed
from tests.e2e.acting import MI, Stage, stage
from tests.integration.act.policy import install
from tests.unit.act.fake import Crash
from tests.unit.act.shop import spec
from trimtab.api.reasons import Reason
from trimtab.kube.paths import resource_path

pytestmark = pytest.mark.pods


@pytest.fixture(scope="module")
def bed(pods_cluster: Bed) -> Bed:
    install(pods_cluster)
    return pods_cluster


def deployment(on: Stage) -> str:
    return resource_path("apps", "v1", "deployments", on.namespace, "web")


def states(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["status"]["containerStatuses"][0]["resources"]
    return found


def memory_limit_in_cgroup(bed: Bed, pod: dict[str, Any]) -> int:
    """What the kernel enforces, in bytes."""
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    root = cgroups.ROOT if cgroups.unified() else cgroups.ROOT / "memory"
    (folder,) = (root / bed.tag).rglob(container)
    return int((folder / ("memory.max" if cgroups.unified() else "memory.limit_in_bytes")).read_text())


async def budget(on: Stage, minimum: int) -> str:
    path = resource_path("policy", "v1", "poddisruptionbudgets", on.namespace)
    body = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"minAvailable": minimum, "selector": {"matchLabels": {"app": "web"}}},
    }
    await on.client.create(path, body)
    return f"{path}/web"


async def test_a_resize_reaches_the_cgroup_of_every_pod_without_a_restart(bed: Bed) -> None:
    async with stage(bed, replicas=2) as on:
        before = {p["metadata"]["uid"] for p in await on.pods()}
        wish = {"app": {"cpu": 0.03, "memory": 24 * MI, "memory_limit": 48 * MI}}

        async def done() -> bool:
            want = {"requests": {"cpu": "30m", "memory": "24Mi"}, "limits": {"memory": "48Mi"}}
            return all(states(p) == want for p in await on.pods())

        await on.until(done, "the kubelet reports the new sizes", **wish)
        pods = await on.pods()
        assert {p["metadata"]["uid"] for p in pods} == before
        assert {p["status"]["containerStatuses"][0]["restartCount"] for p in pods} == {0}
        for pod in pods:
            assert memory_limit_in_cgroup(bed, pod) == 48 * MI
        generation = (await on.client.get(deployment(on)))["metadata"]["generation"]
        assert generation == 1, "the Deployment's template is never touched"
        await on.until(lambda: on.last == [], "nothing is left to do", **wish)


async def test_new_pods_of_a_scale_up_start_with_the_profiles_values(bed: Bed) -> None:
    async with stage(bed, replicas=1) as on:
        await on.tick(app={"cpu": 0.03}, knob=16)

        async def scaled() -> bool:
            pods = await on.pods()
            return len(pods) >= 3 and sum(p["spec"]["containers"][0]["env"][0]["value"] == "16" for p in pods) >= 2

        await on.until(scaled, "two more pods with the knob's value", app={"cpu": 0.03}, knob=16, replicas=3)
        newest = max(await on.pods(), key=lambda p: p["metadata"]["creationTimestamp"])
        assert newest["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "30m"


async def test_a_trial_and_its_roll_never_lower_the_number_of_ready_pods(bed: Bed) -> None:
    async with stage(bed) as on:
        await budget(on, 3)
        template = (await on.client.get(deployment(on)))["spec"]["template"]
        async with on.lowest() as counts:

            async def tried() -> bool:
                return await on.batches() == ["16", "8", "8", "8"] and on.info().trials[0].ready

            await on.until(tried, "a trial pod runs beside the others", trial=16)
            await on.tick(knob=16, keep=True)

            async def rolled() -> bool:
                pods = await on.pods()
                values = [p["spec"]["containers"][0]["env"][0]["value"] for p in pods]
                marks = [k for p in pods for k in p["metadata"].get("annotations", {}) if "deletion" in k]
                return values == ["16"] * 3 and not marks

            await on.until(rolled, "all pods have the value and no deletion cost", knob=16)
        assert min(counts) >= 3
        assert max(counts) <= 5
        live = await on.client.get(deployment(on))
        assert live["spec"]["template"] == template
        assert live["metadata"]["generation"] == 1


async def test_a_trial_that_is_dropped_leaves_nothing(bed: Bed) -> None:
    async with stage(bed) as on:
        names = {p["metadata"]["name"] for p in await on.pods()}

        async def tried() -> bool:
            return await on.batches() == ["16", "8", "8", "8"]

        async def gone() -> bool:
            return {p["metadata"]["name"] for p in await on.pods()} == names

        await on.until(tried, "a trial pod is there", trial=16)
        await on.until(gone, "only the old pods are left")


async def test_a_budget_that_allows_no_disruption_holds_the_swap(bed: Bed) -> None:
    async with stage(bed) as on:
        path = await budget(on, 4)
        await on.until(
            lambda: any(o.reason is Reason.PDB_BLOCKS for o in on.last), "the budget is said to block", knob=16
        )
        assert (await on.batches()).count("8") == 3
        await on.client.delete(path)

        async def rolled() -> bool:
            return await on.batches() == ["16"] * 3

        await on.until(rolled, "the roll goes on without the budget", knob=16)


async def test_a_process_that_dies_after_any_write_of_a_swap_is_succeeded(bed: Bed) -> None:
    async with stage(bed) as on:
        async with on.lowest() as counts:
            on.dying.left = 1

            async def rolled() -> bool:
                if on.dying.left is None:  # it has just died: a successor takes over, and will die one write later
                    on.actuator = on.new_actuator()
                    on.dying.left = 1
                pods = await on.pods()
                marks = [k for p in pods for k in p["metadata"].get("annotations", {}) if "trimtab" in k]
                return await on.batches() == ["16"] * 3 and not marks

            await on.until(rolled, "all pods have the value", knob=16)
        assert min(counts) >= 3
        assert on.dying.writes >= 7


async def test_more_than_the_node_has_is_refused_and_nothing_moves(bed: Bed) -> None:
    async with stage(bed, replicas=1) as on:
        await on.until(
            lambda: any(o.reason is Reason.RESIZE_INFEASIBLE for o in on.last),
            "said to be infeasible",
            app={"memory": 4e12, "memory_limit": 4e12},
        )
        (pod,) = await on.pods()
        assert pod["spec"]["containers"][0]["resources"]["requests"]["memory"] == "16Mi"
        before = on.dying.writes
        await on.tick(app={"memory": 4e12, "memory_limit": 4e12})
        assert on.dying.writes == before, "not tried again at once"


async def test_a_raise_that_the_node_defers_is_taken_back_after_five_minutes(bed: Bed) -> None:
    async with stage(bed, replicas=2) as on:
        node = on.world.nodes()[0]
        wish = {"app": {"cpu": node.cpu * 0.7}}
        await on.until(lambda: "Deferred" in {p.resize for p in on.info().pods}, "one of the two does not fit", **wish)
        await on.tick(**wish)
        assert any(o.reason is Reason.RESIZE_DEFERRED for o in on.last)
        on.later = 301.0

        async def back() -> bool:
            found = [p["spec"]["containers"][0]["resources"]["requests"]["cpu"] for p in await on.pods()]
            return "20m" in found

        await on.until(back, "the deferred pod has its old request back", **wish)
        assert any(o.reason is Reason.RESIZE_DEFERRED and "taken back" in o.message for o in on.last)


async def test_a_statefulset_rolls_its_knob_from_the_highest_ordinal(bed: Bed) -> None:
    async with stage(bed, kind="StatefulSet") as on:
        seen: list[list[str]] = []

        async def values() -> bool:
            pods = sorted(await on.pods(), key=lambda p: p["metadata"]["name"])
            found = [p["spec"]["containers"][0]["env"][0]["value"] for p in pods]
            if len(found) == 3 and (not seen or seen[-1] != found):
                seen.append(found)
            return found == ["16"] * 3

        await on.until(values, "all pods have the value", knob=16)
        order = [["8", "8", "8"], ["8", "8", "16"], ["8", "16", "16"], ["16", "16", "16"]]
        assert [found for found in order if found in seen] == seen


async def test_rule_18_revert_brings_running_pods_back_before_the_profile_goes(bed: Bed) -> None:
    async with stage(bed, replicas=2) as on:
        on.configs = {on.key: spec(onDelete="Revert")}
        wish = {"app": {"memory": 24 * MI, "memory_limit": 48 * MI}}

        async def raised() -> bool:
            return all(states(p)["limits"]["memory"] == "48Mi" for p in await on.pods())

        await on.until(raised, "the pods are larger", **wish)
        await on.until(lambda: on.world.profile(on.namespace) is not None, "the mirror has the profile", **wish)
        on.configs = {}

        async def reverted() -> bool:
            small = all(states(p)["limits"]["memory"] == "32Mi" for p in await on.pods())
            return small and on.world.profile(on.namespace) is None

        await on.until(reverted, "the pods are back and the profile is gone")


async def test_a_dead_process_is_only_pretended(bed: Bed) -> None:
    async with stage(bed, replicas=1) as on:
        on.dying.left = 1
        with pytest.raises(Crash):
            await on.tick(app={"cpu": 0.03})
