"""A namespace `shop` with a workload `web` and its PerformanceConfig, ready to be acted on."""

from collections.abc import Mapping
from typing import Any

from tests.unit.act.fake import FakeCluster
from trimtab.act.actuator import Actuator
from trimtab.act.gate import Gate
from trimtab.act.targets import TargetInfo
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.decide.observation import Containers, Knobs, Observation, Workloads
from trimtab.decide.plan import AlertPlan, ContainerPlan, Decision, KnobPlan, Outcome, Plan, WorkloadPlan

MI = float(1 << 20)
NAN = float("nan")
START = 1_800_000_000.0


class Time:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def container(name: str = "app", **resources: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": "x",
        "resources": resources or {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "env": [{"name": "BATCH", "value": "8"}],
    }


def spec(kind: str = "Deployment", **changes: Any) -> PerformanceConfigSpec:
    bounds = {"min": "10m", "max": "8"}
    memory = {"min": "16Mi", "max": "8Gi"}
    constraints = {
        "replicas": {"min": 1, "max": 10},
        "containers": [{"name": "app", "cpu": bounds, "memory": memory}],
        "knobs": [{"name": "batch", "container": "app", "env": "BATCH", "role": "Batch", "min": 1, "max": 64}],
    }
    raw = {
        "targetRef": {"kind": kind, "name": "web"},
        "optimization": {"autoTune": True, "constraints": constraints},
    } | changes
    return PerformanceConfigSpec.model_validate(raw)


def planned(
    info: TargetInfo,
    now: float,
    working_set: float,
    *,
    acting: bool = True,
    rollout: bool = False,
    replicas: int = -1,
    app: Mapping[str, float] | None = None,
    knob: int = 8,
    trial: int = -1,
    keep: bool = False,
    decisions: tuple[Decision, ...] = (),
) -> tuple[Plan, Observation]:
    """A plan with these wishes for one workload, and the observation it belongs to."""
    row = {"key": info.key, "template": info.workload.template_hash, "acting": acting, "rollout": rollout}
    seen = Observation(
        now,
        Workloads.of([row | {"replicas": info.workload.replicas}]),
        containers=Containers.of([{"key": f"{info.key}/app", "name": "app", "working_set": working_set}]),
        knobs=Knobs.of([{"key": f"{info.key}/batch", "name": "batch", "value": 8}]),
    )
    plan = Plan(
        WorkloadPlan.of([{"replicas": replicas}]),
        ContainerPlan.of([dict(app or {})]),
        KnobPlan.of([{"value": knob, "trial": trial, "keep_trial": keep}]),
        AlertPlan.of([]),
        decisions=decisions,
    )
    return plan, seen


class Shop:
    """The cluster, its time, and one tick of acting on it."""

    def __init__(
        self, replicas: int = 3, kind: str = "Deployment", containers: list[dict[str, Any]] | None = None
    ) -> None:
        self.time = Time()
        self.cluster = FakeCluster(self.time)
        self.kind = kind
        self.configs = {"shop/tune": spec(kind)}
        self.memory: dict[str, float] = {"app": 64 * MI}
        labels = {"app": "web"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": containers or [container()]}}
        work: dict[str, Any] = {
            "metadata": {"name": "web"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
        }
        if kind == "Deployment":
            work["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
            deployment = self.cluster.put("deployments", work)
            self.add_revision(deployment, "abc12", 1)
        else:
            self.cluster.put(f"{kind.lower()}s", work)
        self.cluster.settle()
        self.cluster.lowest_ready = replicas
        self.gate = self.new_gate()
        self.actuator = self.new_actuator()

    def add_revision(self, deployment: dict[str, Any], pod_hash: str, revision: int) -> None:
        template = {**deployment["spec"]["template"]}
        labels = template["metadata"]["labels"] | {"pod-template-hash": pod_hash}
        owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "web",
            "uid": deployment["metadata"]["uid"],
            "controller": True,
        }
        self.cluster.put(
            "replicasets",
            {
                "metadata": {
                    "name": f"web-{pod_hash}",
                    "labels": labels,
                    "annotations": {"deployment.kubernetes.io/revision": str(revision)},
                    "ownerReferences": [owner],
                },
                "spec": {
                    "replicas": deployment["spec"]["replicas"],
                    "selector": {"matchLabels": labels},
                    "template": template | {"metadata": {"labels": labels}},
                },
            },
        )

    def new_gate(self, **settings: Any) -> Gate:
        values: dict[str, Any] = {"writes_per_second": 1e6} | settings
        return Gate(clock=self.time, sleep=self.time.sleep, **values)

    def new_actuator(self, **settings: Any) -> Actuator:
        return Actuator(self.cluster, self.cluster, self.gate, self.time, **settings)

    def info(self, key: str = "shop/tune") -> TargetInfo:
        workload = self.cluster.target("shop", "apps/v1", self.kind, "web")
        assert workload is not None
        current = self.cluster.current_replicaset(workload) if self.kind == "Deployment" else None
        pods, trials = self.cluster.pods_of(workload), self.cluster.trial_pods("shop", key.partition("/")[2])
        return TargetInfo(key, self.configs[key], workload, tuple(pods), tuple(trials), current)

    async def tick(
        self,
        *,
        key: str = "shop/tune",
        acting: bool = True,
        rollout: bool = False,
        replicas: int = -1,
        app: Mapping[str, float] | None = None,
        knob: int = 8,
        trial: int = -1,
        keep: bool = False,
        decisions: tuple[Decision, ...] = (),
        seconds: float = 15.0,
        settle: bool = True,
    ) -> list[Outcome]:
        """Plan what is given, act on it, let the cluster answer, and move the time on."""
        info = self.info(key)
        plan, seen = planned(
            info,
            self.time.now,
            self.memory["app"],
            acting=acting,
            rollout=rollout,
            replicas=replicas,
            app=app,
            knob=knob,
            trial=trial,
            keep=keep,
            decisions=decisions,
        )
        found = await self.actuator.act(plan, seen, {key: info}, self.configs)
        if settle:
            self.cluster.settle()
        self.time.now += seconds
        return found

    async def idle(self) -> list[Outcome]:
        """A tick without any target: leftovers and orphans only."""
        nothing = Plan(WorkloadPlan.blank(0), ContainerPlan.blank(0), KnobPlan.blank(0), AlertPlan.blank(0))
        found = await self.actuator.act(nothing, Observation(self.time.now), {}, self.configs)
        self.cluster.settle()
        self.time.now += 15
        return found

    def requests(self, resource: str = "cpu") -> list[str]:
        return sorted(
            p["spec"]["containers"][0]["resources"].get("requests", {}).get(resource, "") for p in self.cluster.pods()
        )

    def batches(self) -> list[str]:
        return sorted(p["spec"]["containers"][0]["env"][0]["value"] for p in self.cluster.pods())

    def marks(self) -> list[str]:
        return sorted(k for p in self.cluster.pods() for k in p["metadata"].get("annotations", {}))

    def entry(self) -> dict[str, Any] | None:
        profile = self.cluster.objects.get(("tuningprofiles", "shop", "trimtab"))
        return profile["spec"]["workloads"].get(f"{self.kind}/web") if profile else None
