"""What measures one metric of one resource: a declared query, a preset read by pod, or a fault with its remedy."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.api.answers import Answer, AnswerKind, no_value
from trimtab.api.datasource import Datasource
from trimtab.api.monitoring import Better, Metric, Objective, Scope
from trimtab.api.reasons import Reason
from trimtab.api.spec import PerformanceConfigSpec
from trimtab.observe.arrivals import REQUEST_UNITS, arrival_preset, arrival_query
from trimtab.observe.errors import PromQLError, PromQLSyntaxError
from trimtab.observe.presetbatch import PresetBatch
from trimtab.observe.presets import Preset
from trimtab.observe.promql import Query, parse
from trimtab.observe.source import Sample
from trimtab.observe.tokens import token_queries

_MILLISECONDS = frozenset({"ms", "millisecond", "milliseconds"})
_TIMES = frozenset({"s", "sec", "second", "seconds"}) | _MILLISECONDS


@dataclass(frozen=True, slots=True)
class PresetMeter:
    """A preset, asked for the whole namespace at once and read for any set of its pods."""

    batch: PresetBatch
    variant: str = ""
    """Tells what was derived from a preset from the preset itself."""

    @property
    def key(self) -> tuple[str, ...]:
        """The same for all resources of the namespace that use this preset."""
        return "preset", self.batch.namespace, self.batch.preset.name, self.variant


@dataclass(frozen=True, slots=True)
class QueryMeter:
    """PromQL, confined anew whenever the pods change."""

    query: Query
    by_pod: bool
    """Whether the pods of the workload are forced into it (scope: Workload)."""


@dataclass(frozen=True, slots=True)
class Broken:
    """No measurement, and why."""

    answer: Answer


Meter = PresetMeter | QueryMeter | Broken


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """One declared metric, ready to be asked."""

    metric: Metric
    meter: Meter
    better: Better
    latency: bool
    """Lower is better and it is a time: what knobs and verification go by."""
    unit: str
    """How a latency is told: s or ms."""

    @property
    def by_pod(self) -> bool:
        """Whether it can be measured for some of the pods."""
        return isinstance(self.meter, PresetMeter) or (isinstance(self.meter, QueryMeter) and self.meter.by_pod)


@dataclass(frozen=True, slots=True)
class Goal:
    """One service level objective, ready to be measured: from a metric's answers, or by two queries of its own."""

    objective: Objective
    digest: str
    """Tells this definition from an edited one."""
    metric: MetricPlan | None = None
    """The declared metric; None for a built-in one, and for queries of its own."""
    good: Meter | None = None
    total: Meter | None = None


@dataclass(frozen=True, slots=True)
class Plans:
    """Every declared metric of one resource; made once for each generation of its spec."""

    datasource: Datasource | None
    metrics: tuple[MetricPlan, ...] = ()
    arrival: Meter | None = None
    """Requests a second of the workload; None where no metric tells."""
    arrival_name: str = ""
    """The declared metric that is the arrival rate itself; empty where it is derived."""
    judged: MetricPlan | None = None
    """The target metric that trials go by: the first latency by pod."""
    goals: tuple[Goal, ...] = ()
    """Service level objectives."""
    tokens: Mapping[str, Meter] = field(default_factory=dict)
    """What LLM tokens cost, by the names of tokens.py; empty without prices."""


def plan_metrics(
    spec: PerformanceConfigSpec,
    namespace: str,
    datasources: Mapping[str, Datasource],
    presets: Mapping[str, Preset],
) -> Plans:
    """How to measure what a spec declares. What can't be measured is a Broken meter, never an exception."""
    datasource = datasources.get(spec.monitoring.datasource)
    plans = tuple(_plan(metric, spec, namespace, datasource, presets) for metric in spec.monitoring.metrics)
    targets = [plan for plan in plans if plan.metric.name in spec.optimization.target_metrics]
    by_pod = [plan for plan in targets if plan.by_pod]
    judged = next((plan for plan in by_pod if plan.latency), None) or next(iter(by_pod), None)
    arrival, name = _arrival(plans, judged, datasource, presets, namespace)
    goals = tuple(_goal(objective, plans, datasource) for objective in spec.monitoring.objectives)
    tokens: dict[str, Meter] = {
        name: _query_meter(text, by_pod=True) for name, text in token_queries(spec.cost).items()
    }
    return Plans(datasource, plans, arrival, name, judged, goals, tokens)


def _goal(objective: Objective, plans: Sequence[MetricPlan], datasource: Datasource | None) -> Goal:
    metric = next((plan for plan in plans if plan.metric.name == objective.metric), None)
    stated = (objective.model_dump_json(exclude={"target"}), metric.metric.model_dump_json() if metric else "")
    digest = hashlib.sha256("\n".join(stated).encode()).hexdigest()[:8]
    if objective.good is None or objective.total is None:
        return Goal(objective, digest, metric)
    by_pod = objective.scope is Scope.WORKLOAD
    if datasource is None:
        return Goal(objective, digest)
    sides = {
        side: _query_meter(text, by_pod=by_pod) for side, text in (("good", objective.good), ("total", objective.total))
    }
    return Goal(objective, digest, None, sides["good"], sides["total"])


def _plan(
    metric: Metric,
    spec: PerformanceConfigSpec,
    namespace: str,
    datasource: Datasource | None,
    presets: Mapping[str, Preset],
) -> MetricPlan:
    preset = presets.get(metric.preset) if metric.preset is not None else None
    unit = (metric.unit or (preset.unit if preset is not None else "")).lower()
    better = metric.better if preset is None or "better" in metric.model_fields_set else preset.better
    latency = better is Better.LOWER and (unit in _TIMES or metric.name.endswith(("Latency", "Duration")))
    meter = _meter(metric, spec, namespace, datasource, preset)
    return MetricPlan(metric, meter, better, latency, "ms" if unit in _MILLISECONDS else "s")


def _meter(
    metric: Metric,
    spec: PerformanceConfigSpec,
    namespace: str,
    datasource: Datasource | None,
    preset: Preset | None,
) -> Meter:
    if datasource is None:
        return _broken(
            Reason.DATASOURCE_UNKNOWN,
            f"No datasource is called {spec.monitoring.datasource}; use a name of datasources in the chart's values.",
        )
    if metric.preset is not None and preset is None:
        return _broken(
            Reason.PRESET_UNKNOWN,
            f"No preset is called {metric.preset}; `trimtab presets` lists them.",
        )
    if preset is not None and preset.by_pod:
        try:
            return PresetMeter(
                PresetBatch.build(preset, datasource.tenancy, namespace, datasource.scrape_interval_seconds)
            )
        except ValueError:
            pass  # its metrics have different tenant labels: asked one workload at a time
    if preset is not None:
        return _query_meter(preset.promql(), by_pod=True)
    return _query_meter(metric.query or "", by_pod=metric.scope is Scope.WORKLOAD)


def _query_meter(text: str, *, by_pod: bool) -> Meter:
    try:
        return QueryMeter(parse(text), by_pod)
    except PromQLError as error:
        reason = Reason.PROMQL_INVALID if isinstance(error, PromQLSyntaxError) else Reason.PROMQL_REFUSED
        return _broken(reason, str(error))


def _broken(reason: Reason, message: str) -> Broken:
    return Broken(no_value(AnswerKind.ERROR, message, reason=reason.value))


def _arrival(
    plans: Sequence[MetricPlan],
    judged: MetricPlan | None,
    datasource: Datasource | None,
    presets: Mapping[str, Preset],
    namespace: str,
) -> tuple[Meter | None, str]:
    """A declared rate of requests, or the count behind the latency that is judged."""
    for plan in plans:
        preset = presets.get(plan.metric.preset or "")
        unit = plan.metric.unit or (preset.unit if preset is not None else "")
        if plan.by_pod and unit.lower() in REQUEST_UNITS:
            return plan.meter, plan.metric.name
    if judged is None or datasource is None:
        return None, ""
    if isinstance(judged.meter, PresetMeter):
        derived = arrival_preset(judged.meter.batch.preset)
        if derived is None:
            return None, ""
        batch = PresetBatch.build(derived, datasource.tenancy, namespace, datasource.scrape_interval_seconds)
        return PresetMeter(batch, "count"), ""
    if isinstance(judged.meter, QueryMeter):
        query = arrival_query(judged.meter.query)
        return (QueryMeter(query, True), "") if query is not None else (None, "")
    return None, ""


@dataclass(frozen=True, slots=True)
class PresetResult:
    """What came back for a preset of a whole namespace, sorted by pod so that a workload reads only its own."""

    parts: Mapping[str, Mapping[str, Sequence[Sample]]]
    """Part of the batch → pod → samples."""

    @classmethod
    def sort(cls, batch: PresetBatch, results: Mapping[str, Iterable[Sample]]) -> "PresetResult":
        """Sort the samples of each part by pod."""
        parts: dict[str, dict[str, list[Sample]]] = {}
        for part, samples in results.items():
            by_pod = parts.setdefault(part, {})
            for sample in samples:
                by_pod.setdefault(sample.labels.get(batch.pod_label, ""), []).append(sample)
        return cls(parts)

    def answer(self, batch: PresetBatch, pods: Collection[str], at: float) -> Answer:
        """The preset's number for these pods."""
        own = {part: [sample for pod in pods for sample in by_pod.get(pod, ())] for part, by_pod in self.parts.items()}
        return batch.answer(own, pods, at)
