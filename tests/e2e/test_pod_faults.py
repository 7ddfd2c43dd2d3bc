"""Pods that are killed while Trimtab works on them: a trial pod, pods in mid-roll, pods in mid-resize."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from testbed.bed import Bed
from tests.e2e.operating import Crew, Json, Shop, config, knob, opened, ready, requests, variable, workload
from tests.e2e.settled import CUT, MEMORY, consistent, generation, marks, newest

pytestmark = pytest.mark.pods

NAMESPACE = f"killed-{os.getpid()}"


@pytest.fixture(scope="module")
def shop(pods_cluster: Bed) -> Iterator[Shop]:
    """All workloads, running. Trimtab only watches them until a test lets it act."""
    with opened(pods_cluster, NAMESPACE) as made:
        made.apply(workload("tried", 2, BATCH=8), config("tried", knobs=[knob(1, 64)]))
        made.apply(workload("rolled", 3, BATCH=8), config("rolled", knobs=[knob(1, 64)]))
        made.apply(workload("resized", 4), config("resized"))
        yield made


@pytest.fixture(scope="module", autouse=True)
def crew(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """The operator."""
    made = Crew(shop.bed, NAMESPACE, tmp_path_factory.mktemp("operators"), shop.bed.prometheus_url)
    made.start()
    for name in ("tried", "rolled", "resized"):
        shop.kubectl("rollout", "status", f"deployment/{name}", "--timeout=180s", timeout=200)
    yield made
    assert made.one.end() == 0, made.one.log


def kill(shop: Shop, *pods: Json) -> None:
    """Delete pods at once, as a node that dies does."""
    names = [pod["metadata"]["name"] for pod in pods]
    shop.kubectl("delete", "pod", *names, "--grace-period=0", "--force", "--wait=true", timeout=90)


def names(shop: Shop, name: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in shop.pods(name)}


def serving(shop: Shop, name: str) -> list[bool]:
    return [ready(pod) for pod in shop.pods(name)]


def test_a_trial_whose_pod_is_killed_ends_without_a_change_and_leaves_nothing(shop: Shop) -> None:
    before, old = generation(shop, "tried"), names(shop, "tried")
    shop.auto("tried")
    shop.until(lambda: any(map(ready, shop.clones("tried"))), "a trial pod runs")
    kill(shop, *shop.clones("tried"))
    ended = {"RolledBack", "Failed", "Confounded"}
    shop.until(lambda: newest(shop, "tried")[1] in ended, "the trial has ended, and its end is told")
    shop.auto("tried", False)
    shop.until(lambda: not shop.clones("tried"), "no trial pod is left")
    assert names(shop, "tried") == old
    assert serving(shop, "tried") == [True, True]
    assert {variable(pod) for pod in shop.pods("tried")} == {"8"}
    assert not any(map(marks, shop.pods("tried")))
    assert shop.entry("tried") == {}
    assert shop.status("tried")["applied"]["containers"][0]["env"] == {"BATCH": 8}
    assert generation(shop, "tried") == before


def test_pods_killed_in_the_middle_of_a_roll_come_back_with_the_value_and_it_goes_on(shop: Shop) -> None:
    before = generation(shop, "rolled")
    spec = {"optimization": {"autoTune": True, "constraints": {"knobs": [knob(1, 4)]}}}
    shop.kubectl("patch", "performanceconfig", "rolled", "--type=merge", "-p", json.dumps({"spec": spec}))

    def having(value: str) -> list[Json]:
        return [pod for pod in shop.pods("rolled") if variable(pod) == value]

    shop.until(lambda: having("4") and having("8"), "the roll has begun")
    kill(shop, having("4")[0], having("8")[0])
    shop.until(lambda: len(having("4")) == 3 and not having("8") and not shop.clones("rolled"), "every pod has it")
    shop.until(lambda: serving(shop, "rolled") == [True] * 3, "every pod serves")
    shop.until(lambda: not any(map(marks, shop.pods("rolled"))), "no mark is left on them")
    assert shop.entry("rolled")["env"] == {"BATCH": 4}
    assert shop.status("rolled")["applied"]["containers"][0]["env"] == {"BATCH": 4}
    assert generation(shop, "rolled") == before


def test_pods_killed_in_the_middle_of_a_resize_come_back_with_the_new_size_and_it_goes_on(shop: Shop) -> None:
    before = generation(shop, "resized")
    shop.auto("resized")
    shop.until(lambda: any(requests(pod) == CUT for pod in shop.pods("resized")), "a first pod was resized")
    found = shop.pods("resized")
    old = [pod for pod in found if pod["spec"]["containers"][0]["resources"]["requests"] == MEMORY]
    assert old, "the kill came too late"
    kill(shop, old[0], next(pod for pod in found if requests(pod) == CUT))
    shop.until(lambda: consistent(shop, "resized", CUT) and len(names(shop, "resized")) == 4, "all have the new size")
    shop.until(lambda: serving(shop, "resized") == [True] * 4, "every pod serves")
    moves = [made["reason"] for made in shop.decisions("resized") if made["outcome"] != "Recommended"]
    assert moves == ["CutUnused"], "the kills made no move of their own"
    assert generation(shop, "resized") == before
