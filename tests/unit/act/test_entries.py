"""Entries of the profile: complete, valid, learned from the template; the profile's bounds (RULES 2–5)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sure import sure
from tests.unit.act.shop import MI, NAN, Shop, container, planned, spec
from trimtab.act import profile
from trimtab.act.entries import in_force, quantity, wanted_entry
from trimtab.act.profile import fitting
from trimtab.act.targets import Sizes, TargetInfo, set_points
from trimtab.api.quantity import Quantity
from trimtab.api.reasons import Reason
from trimtab.api.tuningprofile import ProfileEntry
from trimtab.kube.records import ProfileRecord


def entry_for(info: TargetInfo, current: ProfileEntry | None = None, **wish: Any) -> ProfileEntry | None:
    plan, seen = planned(info, 0.0, 64 * MI, **wish)
    return wanted_entry(info, set_points(plan, seen)[info.key], current, [])


def test_no_entry_is_needed_for_the_templates_own_values() -> None:
    info = Shop().info()
    assert entry_for(info) is None
    assert entry_for(info, app={"cpu": 0.1, "memory": 128 * MI}, knob=8) is None


def test_rule_02_an_entry_is_a_complete_set() -> None:
    entry = entry_for(Shop().info(), app={"cpu": 0.2})
    assert entry is not None
    (part,) = entry.containers
    assert part.requests == {"cpu": Quantity("200m"), "memory": Quantity("128Mi")}
    assert part.limits == {"memory": Quantity("512Mi")}
    assert part.env == {}


def test_what_the_plan_leaves_open_stays_as_it_is_in_force() -> None:
    info = Shop().info()
    first = entry_for(info, app={"cpu": 0.2}, knob=16)
    assert entry_for(info, first, app={"cpu": NAN}, knob=16) == first


def test_rule_03_an_entry_of_another_template_counts_for_nothing() -> None:
    shop = Shop()
    first = entry_for(shop.info(), app={"cpu": 0.2})
    resources: dict[str, Any] = {"requests": {"cpu": "150m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
    work = shop.cluster.objects["deployments", "shop", "web"]
    work["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
    info = shop.info()
    assert in_force(info, first, [])["app"].sizes.same(Sizes(0.15, 128 * MI, NAN, 512 * MI))
    assert entry_for(info, first) is None


def test_a_templates_odd_amounts_are_not_rounded() -> None:
    resources: dict[str, Any] = {"requests": {"cpu": "100m", "memory": "100M"}, "limits": {"memory": "300M"}}
    info = Shop(containers=[container(**resources)]).info()
    assert entry_for(info, app={"cpu": 0.1, "memory": 100e6}) is None
    entry = entry_for(info, app={"cpu": 0.2, "memory": 100e6})
    assert entry is not None
    assert entry.containers[0].requests["memory"] == Quantity("100M")
    assert entry.containers[0].template_limits == {"memory": Quantity("300M")}


def test_rule_02_a_knob_that_is_set_by_other_means_is_never_in_an_entry() -> None:
    source = {"name": "BATCH", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    info = Shop(containers=[container() | {"env": [source]}]).info()
    assert entry_for(info, knob=16) is None


def test_rule_05_a_missing_variable_is_learned_as_missing() -> None:
    info = Shop(containers=[container() | {"env": []}]).info()
    entry = entry_for(info, knob=16)
    assert entry is not None
    assert entry.containers[0].env == {"BATCH": 16}
    assert entry.containers[0].template_env == {}


@given(value=st.integers(1, 10**12))
def test_quantities_are_exact(value: int) -> None:
    assert float(quantity("memory", float(value))) == value
    assert float(quantity("memory", value / 1000)) == value / 1000
    cores = min(value, 10**7) / 1000  # no node has more than the 10,000 cores that a spec may ask for
    assert float(quantity("cpu", cores)) == cores


async def refused(shop: Shop, **wish: Any) -> Reason:
    outcomes = await shop.tick(**wish)
    assert shop.entry() is None
    assert not any(o.ok for o in outcomes)
    (reason,) = {o.reason for o in outcomes}
    return reason


async def test_rule_02_a_request_above_its_limit_is_not_written() -> None:
    assert await refused(Shop(), app={"memory": 600 * MI}) is Reason.MOVE_FAILED


async def test_rule_02_the_qos_class_of_new_pods_is_kept() -> None:
    resources: dict[str, Any] = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    assert await refused(Shop(containers=[container(**resources)]), app={"cpu": 0.5}) is Reason.MOVE_FAILED
    shop = Shop(containers=[container(**resources)])
    await shop.tick(app={"cpu": 0.5, "cpu_limit": 0.5})
    assert shop.entry() is not None


def limit_range(shop: Shop, kind: str = "Container", **rules: Any) -> None:
    shop.cluster.put("limitranges", {"metadata": {"name": "lr"}, "spec": {"limits": [{"type": kind, **rules}]}})


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        ("Container", {"max": {"cpu": "150m"}}),
        ("Container", {"min": {"cpu": "300m"}}),
        ("Container", {"max": {"memory": "256Mi"}}),
        ("Container", {"maxLimitRequestRatio": {"memory": "2"}}),
        ("Pod", {"max": {"cpu": "150m"}}),
    ],
)
async def test_rule_02_nothing_outside_a_limit_range_is_written(kind: str, rules: dict[str, Any]) -> None:
    shop = Shop()
    limit_range(shop, kind, **rules)
    assert await refused(shop, app={"cpu": 0.2}) is Reason.LIMIT_RANGE


async def test_rule_02_an_entry_that_a_new_limit_range_forbids_is_taken_out() -> None:
    shop = Shop(replicas=1)
    await shop.tick(app={"cpu": 0.2})
    limit_range(shop, max={"cpu": "150m"})
    outcomes = await shop.tick()
    assert Reason.LIMIT_RANGE in {o.reason for o in outcomes}
    assert shop.entry() is None, "new pods would not start"
    assert shop.requests() == ["200m"], "what runs is left alone"


async def test_rule_02_defaults_of_a_limit_range_are_learned_as_the_template() -> None:
    shop = Shop(containers=[container(requests={"cpu": "100m"})])
    limit_range(shop, default={"memory": "256Mi"}, defaultRequest={"memory": "64Mi"})
    await shop.tick(app={"cpu": 0.2})
    part = sure(shop.entry())["containers"][0]
    assert part["templateRequests"] == {"cpu": "100m", "memory": "64Mi"}
    assert part["templateLimits"] == {"memory": "256Mi"}


@pytest.mark.parametrize(("hard", "fits"), [("600m", True), ("599m", False)])
async def test_rule_02_a_move_stays_inside_the_quotas_headroom(hard: str, fits: bool) -> None:
    shop = Shop(replicas=3)
    status = {"hard": {"requests.cpu": hard}, "used": {"requests.cpu": "300m"}}
    shop.cluster.put("resourcequotas", {"metadata": {"name": "q"}, "spec": {}, "status": status})
    if fits:
        await shop.tick(app={"cpu": 0.2})
        assert shop.entry() is not None
    else:
        assert await refused(shop, app={"cpu": 0.2}) is Reason.QUOTA_EXCEEDED


async def test_rule_09_a_profile_that_somebody_wrote_meanwhile_is_not_overwritten() -> None:
    shop = Shop()
    await shop.tick(app={"cpu": 0.2})
    stale = shop.cluster.profile("shop")
    shop.cluster._bump(shop.cluster.objects["tuningprofiles", "shop", "trimtab"])
    shop.cluster.profile = lambda namespace: stale  # type: ignore[method-assign]
    outcomes = await shop.tick(app={"cpu": 0.3})
    assert {o.ok for o in outcomes} == {False}
    assert shop.requests() == ["200m"] * 3


async def test_a_profile_that_can_not_be_read_is_written_anew() -> None:
    shop = Shop()
    await shop.tick(app={"cpu": 0.2})
    shop.cluster.objects["tuningprofiles", "shop", "trimtab"]["spec"] = {"workloads": {"Deployment/web": 7}}
    await shop.tick(app={"cpu": 0.2})
    assert sure(shop.entry())["containers"][0]["requests"]["cpu"] == "200m"


async def test_one_write_a_namespace_whatever_changes() -> None:
    shop = Shop()
    await shop.tick(app={"cpu": 0.2})
    shop.configs["shop/tune"] = spec(onDelete="Revert")
    before = len(shop.cluster.writes)
    await shop.tick(app={"cpu": 0.3}, knob=16, settle=False)
    profile_writes = [p for _, p in shop.cluster.writes[before:] if "tuningprofiles" in p]
    assert len(profile_writes) == 1
    assert sure(shop.entry())["onDelete"] == "Revert"


def record(entries: dict[str, ProfileEntry]) -> ProfileRecord:
    from trimtab.api.tuningprofile import TuningProfileSpec

    return ProfileRecord("shop", "trimtab", "u", "1", TuningProfileSpec(workloads=entries))


def test_a_full_profile_takes_changes_and_removals_but_nothing_new() -> None:
    full = {f"Deployment/w{n}": ProfileEntry(config="c") for n in range(1000)}
    changes = {"Deployment/new": ProfileEntry(config="c"), "Deployment/w1": ProfileEntry(config="d")}
    kept, refused_ = fitting(record(full), changes)
    assert list(kept) == ["Deployment/w1"]
    assert list(refused_) == ["Deployment/new"]
    kept, refused_ = fitting(record(full), changes | {"Deployment/w2": None})
    assert set(kept) == {"Deployment/w1", "Deployment/w2", "Deployment/new"}


def test_the_profiles_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "MAX_BYTES", 500)
    changes: dict[str, ProfileEntry | None] = {f"Deployment/w{n}": ProfileEntry(config="c") for n in range(100)}
    kept, refused_ = fitting(None, changes)
    assert 0 < len(kept) < 100
    assert len(kept) + len(refused_) == 100
