"""A cluster and a Prometheus in memory: raw objects in, the real World and Observer over them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import yaml

from trimtab.api.datasource import Datasource
from trimtab.api.settings import OperatorSettings
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.kube.errors import NotFound
from trimtab.kube.world import World
from trimtab.observe.config import ConfigRecord
from trimtab.observe.source import Sample, Series, SourceError

Json = dict[str, Any]
NOW = 1_800_000_000.0
STARTED = "2027-01-14T00:00:00Z"  # well before NOW (2027-01-15T08:00:00Z)
_uids = itertools.count(1)

PLURALS = {
    "Deployment": "/apis/apps/v1/deployments",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "ReplicaSet": "/apis/apps/v1/replicasets",
    "Pod": "/api/v1/pods",
    "Node": "/api/v1/nodes",
    "Namespace": "/api/v1/namespaces",
    "LimitRange": "/api/v1/limitranges",
    "ResourceQuota": "/api/v1/resourcequotas",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/horizontalpodautoscalers",
    "PodDisruptionBudget": "/apis/policy/v1/poddisruptionbudgets",
    "ScaledObject": "/apis/keda.sh/v1alpha1/scaledobjects",
    "VerticalPodAutoscaler": "/apis/autoscaling.k8s.io/v1/verticalpodautoscalers",
    "TuningProfile": "/apis/trimtab.dev/v1alpha1/tuningprofiles",
}
OPTIONAL = {
    "ScaledObject": "/apis/keda.sh/v1alpha1",
    "VerticalPodAutoscaler": "/apis/autoscaling.k8s.io/v1",
    "TuningProfile": "/apis/trimtab.dev/v1alpha1",
}


class FakeClient:
    """The reading half of KubeClient over a dict; refuses what a test forbids."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Json]] = {path: {} for path in PLURALS.values()}
        self.gets: dict[str, Json | Exception] = {
            "/version": {"gitVersion": "v1.36.3"},
            "/api/v1": _resources(("pods", "Pod"), ("pods/resize", "Pod")),
            "/apis/admissionregistration.k8s.io/v1": _resources(
                ("mutatingadmissionpolicies", "MutatingAdmissionPolicy"), namespaced=False
            ),
            "/apis/trimtab.dev/v1alpha1": _resources(("tuningprofiles", "TuningProfile")),
        }
        self.refused: dict[str, Exception] = {}
        self.watchers: dict[str, list[asyncio.Queue[Json]]] = {}

    def put(self, *objects: Json) -> None:
        for raw in objects:
            path = PLURALS[raw["kind"]]
            meta = raw["metadata"]
            known = self.objects[path]
            key = f"{meta.get('namespace', '')}/{meta['name']}"
            kind = "MODIFIED" if key in known else "ADDED"
            known[key] = raw
            for queue in self.watchers.get(path, []):
                queue.put_nowait({"type": kind, "object": raw})

    def remove(self, raw: Json) -> None:
        path = PLURALS[raw["kind"]]
        del self.objects[path][f"{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"]
        for queue in self.watchers.get(path, []):
            queue.put_nowait({"type": "DELETED", "object": raw})

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> Json:
        found = self.gets.get(path)
        if found is None:
            raise NotFound(404, "NotFound", "not found", request=f"GET {path}")
        if isinstance(found, Exception):
            raise found
        return found

    async def stream_watch(
        self, path: str, params: Mapping[str, str] | None = None, *, idle_timeout: float = 90.0
    ) -> AsyncIterator[Json]:
        if path in self.refused:
            raise self.refused[path]
        cluster_path, namespace = _split(path)
        queue: asyncio.Queue[Json] = asyncio.Queue()
        self.watchers.setdefault(cluster_path, []).append(queue)
        for raw in list(self.objects[cluster_path].values()):
            if not namespace or raw["metadata"].get("namespace") == namespace:
                yield {"type": "ADDED", "object": raw}
        end = {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}
        yield {"type": "BOOKMARK", "object": {"metadata": end}}
        while True:
            event = await queue.get()
            if not namespace or event["object"]["metadata"].get("namespace") == namespace:
                yield event
            queue.task_done()

    async def settle(self) -> None:
        """Return when every event put so far was taken in."""
        for queue in itertools.chain(*self.watchers.values()):
            await queue.join()


def _split(path: str) -> tuple[str, str]:
    before, mark, rest = path.partition("/namespaces/")
    if not mark or not rest:
        return path, ""
    namespace, _, plural = rest.partition("/")
    return f"{before}/{plural}", namespace


def _resources(*entries: tuple[str, str], namespaced: bool = True) -> Json:
    return {"resources": [{"name": name, "kind": kind, "namespaced": namespaced} for name, kind in entries]}


async def patient(seconds: float) -> None:
    """A sleep whose long waits never end and whose short ones give way once: no real time in tests."""
    if seconds >= 1:
        await asyncio.Event().wait()
    await asyncio.sleep(0)


async def started_world(client: FakeClient, **options: Any) -> World:
    world = World(client, clock=lambda: 0.0, sleep=patient, **options)  # type: ignore[arg-type]
    await world.start()
    async with asyncio.timeout(5):
        await world.wait_synced()
    return world


def meta(name: str, namespace: str = "shop", **more: Any) -> Json:
    return {"name": name, "namespace": namespace, "uid": f"uid-{next(_uids)}", "resourceVersion": "7", **more}


def template(*, cpu: str = "500m", memory: str = "256Mi", env: Mapping[str, str] | None = None, **spec: Any) -> Json:
    container: Json = {
        "name": "app",
        "image": "app:1",
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
    }
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container], **spec}}


def deployment(name: str = "web", *, replicas: int = 2, pod: Json | None = None, **more: Any) -> Json:
    return {
        "kind": "Deployment",
        "metadata": meta(name, **({"generation": 3} | more.pop("metadata", {}))),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod if pod is not None else template(),
            **more.pop("spec", {}),
        },
        "status": {
            "observedGeneration": 3,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
            **more.pop("status", {}),
        },
    }


def owned(owner: Json) -> list[Json]:
    return [
        {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}
    ]


def replica_set(owner: Json, hash_: str = "6bcf4d8f", revision: int = 1) -> Json:
    name = owner["metadata"]["name"]
    return {
        "kind": "ReplicaSet",
        "metadata": meta(
            f"{name}-{hash_}",
            labels={"pod-template-hash": hash_},
            annotations={"deployment.kubernetes.io/revision": str(revision)},
            ownerReferences=owned(owner),
        ),
        "spec": {"replicas": owner["spec"].get("replicas", 1)},
    }


def pod(owner: Json | None, suffix: str, spec: Json | None = None, *, ready: bool = True, **more: Any) -> Json:
    name = f"{owner['metadata']['name']}-{suffix}" if owner is not None else suffix
    references = owned(owner) if owner is not None else []
    return {
        "kind": "Pod",
        "metadata": meta(
            name,
            creationTimestamp=STARTED,
            **{"labels": {"app": "web"}, "ownerReferences": references, **more.pop("metadata", {})},
        ),
        "spec": {**(spec if spec is not None else template()["spec"]), "nodeName": "node-1"},
        "status": {
            "phase": "Running",
            "startTime": STARTED,
            "qosClass": "Burstable",
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": STARTED}],
            "containerStatuses": [{"name": "app", "restartCount": 0}],
            **more.pop("status", {}),
        },
    }


def node(name: str = "node-1", cpu: str = "8", memory: str = "16Gi", system: str = "linux") -> Json:
    return {
        "kind": "Node",
        "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
        "status": {"allocatable": {"cpu": cpu, "memory": memory}, "nodeInfo": {"operatingSystem": system}},
    }


def shop(client: FakeClient, count: int = 2, pod_template: Json | None = None) -> Json:
    """A Deployment `web` in namespace `shop` with its ReplicaSet and ready pods on one node."""
    owner = deployment(replicas=count, pod=pod_template)
    sets = replica_set(owner)
    spec = owner["spec"]["template"]["spec"]
    client.put(owner, sets, node(), *(pod(sets, f"pod{index}", spec) for index in range(count)))
    return owner


SPEC = """
targetRef: {kind: Deployment, name: web}
monitoring:
  metrics:
  - {name: totalLatency, query: 'histogram_quantile(0.95, sum by (le) (rate(dur_bucket[2m])))', unit: seconds}
optimization:
  autoTune: true
  targetMetrics: {totalLatency: "0.3"}
  constraints:
    replicas: {min: 1, max: 10}
    containers: [{name: app, cpu: {min: 100m, max: "2"}, memory: {min: 128Mi, max: 2Gi}}]
"""


def config(
    text: str = SPEC, *, name: str = "web", namespace: str = "shop", created: float = 1.0, **more: Any
) -> ConfigRecord:
    return ConfigRecord(
        namespace=namespace,
        name=name,
        uid=more.pop("uid", f"uid-{namespace}-{name}"),
        generation=more.pop("generation", 1),
        created=created,
        spec=PerformanceConfigSpec.model_validate(yaml.safe_load(text)),
        **more,
    )


def settings(**more: Any) -> OperatorSettings:
    source = Datasource(name="default", url="http://prometheus.test", scrape_interval_seconds=15)
    return OperatorSettings(datasources=[source], **more)


class FakePrometheus:
    """Answers by a function of the query; counts what was asked, and can be slow or down."""

    name = "default"
    scrape_interval_seconds = 15.0

    def __init__(self, answer: Callable[[str, float], list[Sample]]) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.error: SourceError | None = None
        self.gate: asyncio.Event | None = None
        self.ranges: list[tuple[str, float, float]] = []
        self.series: Callable[[str, float, float], list[Series]] = lambda text, start, end: []

    async def query(self, promql: str, at: float) -> list[Sample]:
        self.asked.append(promql)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.answer(promql, at)

    async def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        self.ranges.append((promql, start, end))
        if self.error is not None:
            raise self.error
        return self.series(promql, start, end)


def usage(
    pods: Mapping[str, float], *, memory: float = 100e6, latency: float = 0.2, rate: float = 50.0, age: float = 1.0
) -> Callable[[str, float], list[Sample]]:
    """What a Prometheus says of these pods (name → cores of container app)."""

    def answer(text: str, at: float) -> list[Sample]:
        def each(value: Callable[[str], float], container: bool = True) -> list[Sample]:
            labels = {"container": "app"} if container else {}
            return [Sample({"pod": pod, **labels}, value(pod), at) for pod in pods]

        if "trimtab_probe" in text:
            return [Sample({"trimtab_probe": str(place)}, at - age, at) for place in range(text.count("label_replace"))]
        if "timestamp(container_memory" in text:
            return each(lambda pod: at - age)
        if "container_cpu_usage" in text:
            return each(lambda pod: pods[pod])
        if "working_set" in text:
            return each(lambda pod: memory)
        if "throttled_periods" in text:
            return each(lambda pod: 0.1)
        if "oom_events" in text:
            return each(lambda pod: 0.0)
        if "network" in text:
            return each(lambda pod: 1000.0, container=False)
        if "container_fs" in text:
            return each(lambda pod: 10.0)
        if "histogram_quantile" in text:
            return [Sample({}, latency, at)]
        if "_count" in text:
            return [Sample({}, rate, at)]
        return []

    return answer
