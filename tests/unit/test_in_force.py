"""What new pods get is said twice, for observing and for acting: both say the same of every template and entry."""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.act.shop import Shop, spec
from trimtab.act import entries
from trimtab.api.constraints import Knob
from trimtab.api.tuningprofile import ProfileEntry
from trimtab.kube.records import ContainerSpec
from trimtab.observe import inforce, rows

AMOUNTS = ("cpu", "memory", "cpu_limit", "memory_limit")
KNOB = {"name": "batch", "container": "app", "env": "BATCH", "role": "Batch", "min": 1, "max": 64, "default": 4}
STATED: dict[str, Any] = {
    "requests": {"cpu": "200m", "memory": "200Mi"},
    "limits": {"memory": "400Mi"},
    "env": {"BATCH": 16},
    "templateRequests": {"cpu": "100m", "memory": "128Mi"},
    "templateLimits": {"memory": "512Mi"},
    "templateEnv": {"BATCH": "8"},
}
TEMPLATE = ContainerSpec("app", 0.1, 128.0 * (1 << 20), memory_limit=512.0 * (1 << 20), env={"BATCH": "8"})


def entry(**changes: Any) -> ProfileEntry:
    return ProfileEntry.model_validate({"config": "tune", "containers": [{"name": "app"} | STATED | changes]})


def agree(template: ContainerSpec, stated: ProfileEntry | None) -> inforce.InForce:
    """Ask both, and compare sizes, variables and the value of the knob."""
    info = Shop().info()
    info = replace(info, spec=spec(), workload=replace(info.workload, containers=(template,)))
    acted = entries.in_force(info, stated, [])["app"]
    observed = inforce.in_force(template, stated)
    for amount in AMOUNTS:
        ours, theirs = getattr(observed, amount), getattr(acted.sizes, amount)
        assert (math.isnan(ours) and math.isnan(theirs)) or math.isclose(ours, theirs), amount
    assert dict(observed.env) == dict(acted.env)
    knob = Knob.model_validate(KNOB)
    view = SimpleNamespace(forces={"app": observed}, target=info.workload)
    value = acted.env.get(knob.env, entries.knob_value(template, knob))
    assert rows.knob_value(cast(Any, view), knob) == value
    return observed


CASES: list[tuple[Mapping[str, Any], Mapping[str, Any], bool]] = [
    ({}, {}, True),
    ({"cpu": 0.1 + 1e-12}, {}, True),
    ({"cpu": 0.11}, {}, False),
    ({"cpu": math.nan}, {}, False),
    ({"cpu_limit": 1.0}, {}, False),
    ({"env": {"BATCH": "9"}}, {}, False),
    ({"env": {}}, {}, False),
    ({"env": {}}, {"templateEnv": {}}, True),
    ({}, {"templateEnv": {}}, False),
    ({}, {"templateEnv": {"BATCH": "8", "POOL": "1"}}, False),
    ({"env": {"BATCH": "8", "OTHER": "1"}}, {}, True),
    ({}, {"requests": {"cpu": "200m"}}, True),
    ({}, {"limits": {}, "env": {}}, True),
    ({"memory_limit": math.nan}, {"templateLimits": {}}, True),
]


@pytest.mark.parametrize(("template", "stated", "holds"), CASES)
def test_an_entry_holds_for_both_or_for_none(
    template: Mapping[str, Any], stated: Mapping[str, Any], holds: bool
) -> None:
    found = agree(replace(TEMPLATE, **template), entry(**stated))
    assert (found.applied, found.outdated) == (holds, not holds)


def test_without_an_entry_both_say_the_template() -> None:
    assert not agree(TEMPLATE, None).applied
    assert not agree(replace(TEMPLATE, env={}), None).applied


CPU = st.sampled_from([math.nan, 0.1, 0.2])
MEMORY = st.sampled_from([math.nan, 1e8, 128.0 * (1 << 20)])
SIDE = st.fixed_dictionaries(
    {}, optional={"cpu": st.sampled_from(["100m", "0.1", "200m"]), "memory": st.sampled_from(["100M", "128Mi"])}
)
BATCH = st.fixed_dictionaries({}, optional={"BATCH": st.sampled_from(["8", "16"])})


@given(
    template=st.fixed_dictionaries(
        {"cpu": CPU, "memory": MEMORY, "cpu_limit": CPU, "memory_limit": MEMORY, "env": BATCH}
    ),
    stated=st.fixed_dictionaries(
        {
            "requests": SIDE,
            "limits": SIDE,
            "env": st.sampled_from([{}, {"BATCH": 16}]),
            "templateRequests": SIDE,
            "templateLimits": SIDE,
            "templateEnv": BATCH,
        }
    ),
)
def test_whatever_the_template_and_the_entry_are_both_agree(template: dict[str, Any], stated: dict[str, Any]) -> None:
    agree(replace(TEMPLATE, **template), entry(**stated))
