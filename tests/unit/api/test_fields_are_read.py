"""No field of the spec without effect: each is read outside the contract itself, most of them in any two ticks."""

import ast
import sys
from pathlib import Path
from typing import Any

import pytest

import trimtab
from tests.golden.manifests import change, good
from tests.unit.observe_assembly.bench import NOW, deployment, node, pod, replica_set, template
from tests.unit.observe_assembly.scene import Bench
from trimtab.api.rules import RULES
from trimtab.api.spec import ApiModel, PerformanceConfigSpec
from trimtab.observe.config import ConfigRecord

SOURCE = Path(trimtab.__file__).parent
ELSEWHERE = {("PerformanceConfigSpec", "on_delete"), ("Monitoring", "retention_days")}
"""Read by act and by history only. No other model of the spec has a field of such a name, so the name alone tells."""

Field = tuple[str, str]


def _models(model: type[ApiModel]) -> set[type[ApiModel]]:
    """The model and all below it."""
    found = {model}
    for info in model.model_fields.values():
        waiting = [info.annotation]
        while waiting:
            kind = waiting.pop()
            waiting.extend(getattr(kind, "__args__", ()))
            if isinstance(kind, type) and issubclass(kind, ApiModel):
                found |= _models(kind)
    return found


MODELS = _models(PerformanceConfigSpec)
FIELDS = {(model.__name__, field) for model in MODELS for field in model.model_fields}


def _attributes_read() -> set[str]:
    """Every name that is read as an attribute in the package, api apart."""
    return {
        node.attr
        for path in SOURCE.rglob("*.py")
        if "api" not in path.relative_to(SOURCE).parts
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[Field]:
    """Fields of the spec that code outside the contract has read so far."""
    found: set[Field] = set()
    plain = ApiModel.__getattribute__

    def spy(model: ApiModel, name: str) -> Any:
        if (type(model).__name__, name) in FIELDS:
            module = sys._getframe(1).f_globals.get("__name__", "")
            if module.startswith("trimtab.") and not module.startswith("trimtab.api."):
                found.add((type(model).__name__, name))
        return plain(model, name)

    monkeypatch.setattr(ApiModel, "__getattribute__", spy)
    return found


def test_every_model_with_rules_is_part_of_the_spec() -> None:
    assert set(RULES) <= MODELS


def test_what_is_read_elsewhere_has_a_name_of_its_own() -> None:
    names = [field for _, field in FIELDS]
    for model, field in ELSEWHERE:
        assert names.count(field) == 1, f"{model}.{field}"
        assert field in _attributes_read(), f"nothing reads {model}.{field}; make it work or take it out"


MORE: dict[str, Any] = {
    "spec.monitoring.alerts[1]": {"name": "thin", "metric": "memoryUsage", "below": "1Mi"},
    "spec.monitoring.objectives[2]": {"name": "busy", "metric": "totalLatency", "atLeast": "1", "target": "0.9"},
}
"""What the good manifest lacks, since of some fields there may be only one."""


async def test_every_other_field_is_read_within_two_ticks(read: set[Field]) -> None:
    bench = Bench()
    configs = []
    for kind in ("Deployment", "StatefulSet"):
        changes = MORE | {"spec.targetRef.kind": kind, "metadata.name": kind.lower()}
        spec = PerformanceConfigSpec.model_validate(change(good(), changes)["spec"])
        configs.append(_record(kind.lower(), spec))
        bench.client.put(*_workload(kind))
    bench.client.put(node(), _hpa())
    await bench.start()
    try:
        for tick in range(2):
            await bench.look(*configs, now=NOW + 15 * tick)
    finally:
        await bench.observer.close()
        await bench.world.stop()
    unread = sorted(f"{model}.{field}" for model, field in FIELDS - read - ELSEWHERE)
    assert unread == [], "nothing reads these; make them work or take them out"


def _record(name: str, spec: PerformanceConfigSpec) -> ConfigRecord:
    return ConfigRecord(namespace="shop", name=name, uid=f"uid-{name}", generation=1, created=1.0, spec=spec)


def _workload(kind: str) -> list[dict[str, Any]]:
    """The manifest's target, of this kind, with two pods."""
    shape = template(env={"BATCH_SIZE": "8", "CONCURRENCY": "4"})
    owner = deployment("rag-api", pod=shape) | {"kind": kind}
    above = replica_set(owner) if kind == "Deployment" else owner
    between = [above] if kind == "Deployment" else []
    return [owner, *between, *(pod(above, f"{kind.lower()}-{n}", shape["spec"]) for n in range(2))]


def _hpa() -> dict[str, Any]:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "rag-api"}
    meta = {"name": "theirs", "namespace": "shop", "uid": "uid-hpa", "resourceVersion": "7"}
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": meta,
        "spec": {"scaleTargetRef": target, "metrics": [metric]},
    }
