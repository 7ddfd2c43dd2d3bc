"""Rows of the Observation's tables out of one View."""

import math
from collections.abc import Sequence

from trimtab.api.answers import Answer, AnswerKind
from trimtab.api.behavior import PolicyType, ScalingRules, SelectPolicy
from trimtab.api.constraints import ContainerBounds, Knob, KnobRole, LimitsPolicy
from trimtab.api.monitoring import Better, Severity
from trimtab.api.quantity import Quantity
from trimtab.api.spec import Prefer
from trimtab.decide.observation import INF, NAN
from trimtab.kube.loans import borrowers
from trimtab.kube.records import LimitRangeRecord, PodRecord
from trimtab.observe.builtin import Builtin
from trimtab.observe.headroom import Room, has_sizes, node_free_cpu
from trimtab.observe.measure import (
    cpu_per_request,
    fast_readings,
    has_full_window,
    imbalance,
    startup_seconds,
    throttled,
    working_set,
    workload_cpu,
)
from trimtab.observe.ooms import OomWatch
from trimtab.observe.targets import is_rolling_out
from trimtab.observe.view import View

Row = dict[str, object]
_SELECT = {SelectPolicy.MAX: 0, SelectPolicy.MIN: 1, SelectPolicy.DISABLED: 2}
SIMPLE_ALERT_SECONDS = 300.0
_DEFAULT_UTILIZATION = 70
"""Percent, where the resource does not say: where learning starts."""
NO_ANSWER = math.inf
_ROOM = {Prefer.COST: 0.02, Prefer.BALANCED: 0.08, Prefer.LATENCY: 0.25}
_UTILIZATION = {Prefer.COST: 0.10, Prefer.BALANCED: 0.0, Prefer.LATENCY: -0.15}
"""What optimization.prefer means: room kept below a latency target before a cut, and points on the utilisation."""


def workload_row(view: View, nodes: Room, now: float) -> Row:
    """A row of Workloads."""
    spec, target = view.config.spec, view.target
    constraints, behavior = spec.optimization.constraints, spec.optimization.behavior
    bounds = constraints.replicas
    ceiling = spec.resources.max_memory
    return {
        "key": view.config.key,
        "template": target.template_hash,
        "acting": view.stopped is None,
        "recommending": view.recommends,
        "due": view.due,
        "rollout": is_rolling_out(target),
        "window_closed": view.window.closed,
        "allowed": view.levers.allowed,
        "replicas": target.replicas,
        "ready": sum(1 for pod in view.live if pod.ready),
        "replicas_min": bounds.min if bounds is not None else 0,
        "replicas_max": bounds.max if bounds is not None else 0,
        "human_hold_until": view.hold.until if view.hold is not None else 0.0,
        "arrival_rate": view.arrival,
        "cpu_usage": workload_cpu(view, now),
        "cpu_per_pod": _cpu_per_pod(view),
        "target_utilization": _utilization(behavior.target_utilization_percent, spec.optimization.prefer),
        "utilization_fixed": behavior.target_utilization_percent is not None,
        "startup_seconds": startup_seconds(view.live),
        "room": _ROOM[spec.optimization.prefer],
        "verify_seconds": float(behavior.verify_seconds),
        "trial_seconds": float(behavior.trial_seconds),
        "min_history_seconds": float(behavior.min_history_seconds),
        "cpu_overrun_rate": float(behavior.cpu_overrun_rate) if behavior.cpu_overrun_rate is not None else math.nan,
        "moves_per_day": constraints.disruption.max_moves_per_day,
        "resizes_per_day": constraints.disruption.max_resizes_per_day,
        "max_memory": float(ceiling) if ceiling is not None else INF,
        "extra_pods": len(view.live_trials),
        "node_cpu": nodes.cpu,
        "node_memory": nodes.memory,
        **_cost(view),
        "imbalance": imbalance(view, now),
        # Pods that somebody scaled to zero say nothing, which is no fault to wake people for.
        "metrics_lost": sum(
            _lost(view.metrics.get(plan.metric.name))
            for plan in view.plans.metrics
            if view.target.replicas > 0 or not plan.by_pod
        ),
        "node_free_cpu": node_free_cpu(view.live, nodes.free),
        **_policies("up", behavior.scale_up),
        **_policies("down", behavior.scale_down),
    }


def target_rows(view: View, workload: int, now: float) -> list[Row]:
    """Rows of Targets."""
    plans = {plan.metric.name: plan for plan in view.plans.metrics}
    rows: list[Row] = []
    for name, limit in view.config.spec.optimization.target_metrics.items():
        plan, answer = plans.get(name), view.metrics.get(name)
        rows.append(
            {
                "workload": workload,
                "name": name,
                **_answered(answer),
                "age": now - answer.at if answer is not None and math.isfinite(answer.at) else NO_ANSWER,
                "limit": float(limit),
                "higher_is_better": plan is not None and plan.better is Better.HIGHER,
                "latency": plan is not None and plan.latency,
                "unit": plan.unit if plan is not None else "",
            }
        )
    return rows


def container_rows(
    view: View, workload: int, ooms: OomWatch, ranges: Sequence[LimitRangeRecord], now: float
) -> list[Row]:
    """Rows of Containers: those that the constraints list and the template has."""
    templates = {container.name: container for container in view.target.containers}
    qos = next((pod.qos for pod in view.live if pod.qos), view.target.qos)
    rows: list[Row] = []
    for bounds in view.config.spec.optimization.constraints.containers:
        template = templates.get(bounds.name)
        if template is None:
            continue
        key, force = container_key(view, bounds.name), view.forces[bounds.name]
        kill = ooms.last(key)
        rows.append(
            {
                "key": key,
                "name": bounds.name,
                "workload": workload,
                "template_cpu": template.cpu,
                "template_memory": template.memory,
                "template_cpu_limit": template.cpu_limit,
                "template_memory_limit": template.memory_limit,
                "cpu": force.cpu,
                "memory": force.memory,
                "cpu_limit": force.cpu_limit,
                "memory_limit": force.memory_limit,
                **container_bounds(bounds, ranges),
                "cpu_allowed": bounds.name in view.levers.cpu,
                "memory_allowed": bounds.name in view.levers.memory,
                "scale_limits": bounds.limits is LimitsPolicy.SCALE,
                "limit_below_template": bounds.allow_memory_limit_below_template,
                "guaranteed": qos == "Guaranteed",
                "throttled": throttled(view, bounds.name, now),
                "working_set": working_set(view, bounds.name, now),
                "off": sum(1 for pod in view.live if not has_sizes(pod, bounds.name, force)),
                "lent": force.lent.cpu,
                "lent_before": force.lent.before if force.lent.cpu > 0 else 0.0,
                "lent_until": force.lent.until,
                "borrowers": borrowers(view.live, force.lent),
                "oom_at": kill.at,
                "oom_limit": kill.limit,
            }
        )
    return rows


def container_bounds(bounds: ContainerBounds, ranges: Sequence[LimitRangeRecord]) -> Row:
    """Bounds of a container's requests: the user's, inside what the namespace's LimitRanges allow."""
    row: Row = {}
    for name, given in (("cpu", bounds.cpu), ("memory", bounds.memory)):
        if given is None:
            continue
        low = max([_number(given.min, 0.0), *(one.container_min[name] for one in ranges if name in one.container_min)])
        high = min([float(given.max), *(one.container_max[name] for one in ranges if name in one.container_max)])
        # Where the two leave nothing, the LimitRange is what the API server enforces.
        row |= {f"{name}_min": min(low, high), f"{name}_max": high}
    return row


def sample_rows(view: View, first: int, count: int, now: float, span: float) -> list[Row]:
    """Rows of Samples for the `count` containers from row `first` on; none unless the readings are new this tick."""
    if view.fast is None:
        return []
    cpu, memory = fast_readings(view, Builtin.CPU, now), fast_readings(view, Builtin.MEMORY, now)
    at = view.fast.at
    rows: list[Row] = []
    for pod in (*view.live, *view.live_trials):
        whole = has_full_window(view, pod, at)
        for offset, name in enumerate(view.tuned[:count]):
            used, held = cpu.get((pod.name, name), NAN) if whole else NAN, memory.get((pod.name, name), NAN)
            if used >= 0 or held >= 0:
                rows.append({"container": first + offset, "time": at, "cpu": used, "memory": held, "span": span})
    return rows


def knob_rows(view: View, workload: int, now: float) -> list[Row]:
    """Rows of Knobs: those whose container the template has."""
    return [
        _knob_row(view, workload, knob, now)
        for knob in view.config.spec.optimization.constraints.knobs
        if knob.container in view.forces
    ]


def _knob_row(view: View, workload: int, knob: Knob, now: float) -> Row:
    trial, value = _trial_of(view, knob), knob_value(view, knob)
    row: Row = {
        "key": f"{view.config.key}/{knob.name}",
        "name": knob.name,
        "workload": workload,
        "role": knob.role.value,
        "value": value,
        "minimum": knob.min,
        "maximum": knob.max,
        "ceiling": _ceiling(view, knob),
        "allowed": knob.name in view.levers.knobs,
        "trials": view.target.kind == "Deployment",
        "off_value": sum(1 for pod in view.live if _has(pod, knob, value) is False),
    }
    if trial is None:
        return row
    base = [pod for pod in view.live if pod.ready]
    return row | {
        "trial": trial[1],
        "trial_ready": trial[0].ready,
        "trial_since": trial[0].ready_since if trial[0].ready else INF,
        "trial_latency": view.trial_latency,
        "base_latency": view.base_latency,
        "trial_cost": cpu_per_request(view, [pod for pod in view.live_trials if pod.ready], view.trial_rate, now),
        "base_cost": cpu_per_request(view, base, view.base_rate, now),
    }


def alert_rows(view: View, workload: int) -> list[Row]:
    """Rows of Alerts: the declared ones, and one for each of alertThresholds."""
    monitoring = view.config.spec.monitoring
    better = {plan.metric.name: plan.better for plan in view.plans.metrics}
    rows: list[Row] = []
    for alert in monitoring.alerts:
        threshold = alert.above if alert.above is not None else alert.below
        rows.append(
            {
                "workload": workload,
                "name": alert.name,
                "metric": alert.metric,
                "severity": alert.severity.value,
                **_answered(view.metrics.get(alert.metric)),
                "threshold": _number(threshold, NAN),
                "below": alert.above is None,
                "for_seconds": float(alert.for_seconds),
                "keep_seconds": float(alert.keep_firing_for_seconds),
            }
        )
    for name, threshold in monitoring.alert_thresholds.items():
        rows.append(
            {
                "workload": workload,
                "name": name,
                "metric": name,
                "severity": Severity.WARNING.value,
                **_answered(view.metrics.get(name)),
                "threshold": float(threshold),
                "below": better.get(name) is Better.HIGHER,
                "for_seconds": SIMPLE_ALERT_SECONDS,
                "keep_seconds": SIMPLE_ALERT_SECONDS,
            }
        )
    return rows


def container_key(view: View, name: str) -> str:
    """Identity of a container: namespace/config/container."""
    return f"{view.config.key}/{name}"


def knob_value(view: View, knob: Knob) -> int:
    """Value that new pods get: the profile's, the template's, or the knob's default."""
    force = view.forces[knob.container]
    if knob.env in force.env:
        return force.env[knob.env]
    stated = next((c.env.get(knob.env) for c in view.target.containers if c.name == knob.container), None)
    return int(stated) if stated is not None else (knob.default if knob.default is not None else knob.min)


def _has(pod: PodRecord, knob: Knob, value: int) -> bool | None:
    """Whether a pod runs with this value of a knob; None when it lacks the container.

    A pod without the variable runs with the program's own default, which is `default` where that is said.
    """
    for container in pod.containers:
        if container.name == knob.container:
            return int(container.env.get(knob.env, knob.default if knob.default is not None else -1)) == value
    return None


def _trial_of(view: View, knob: Knob) -> tuple[PodRecord, int] | None:
    """The trial pod of a knob and the value it has, from its annotation `<knob>=<value>`."""
    for pod in view.live_trials:
        name, _, value = pod.trial_knob.partition("=")
        if name == knob.name and value.isascii() and value.isdecimal() and len(value) < 11:
            return pod, int(value)
    return None


def _ceiling(view: View, knob: Knob) -> float:
    ceilings = view.config.spec.resources
    if knob.role is KnobRole.BATCH:
        return INF if ceilings.max_batch_size is None else float(ceilings.max_batch_size)
    if knob.role in (KnobRole.CONCURRENCY, KnobRole.POOL):
        return INF if ceilings.max_concurrency is None else float(ceilings.max_concurrency)
    return INF


def _cpu_per_pod(view: View) -> float:
    """Cores one pod can use: of each measured container its limit, or the template's request where it has none."""
    parts = [
        container.cpu if math.isnan(view.forces[container.name].cpu_limit) else view.forces[container.name].cpu_limit
        for container in view.target.containers
        if container.name in view.measured
    ]
    return math.fsum(parts) if parts else NAN


def _policies(side: str, rules: ScalingRules) -> Row:
    return {
        f"{side}_window": _number(rules.stabilization_window_seconds, NAN),
        f"{side}_select": _SELECT[rules.select_policy],
        f"{side}_value": [float(policy.value) for policy in rules.policies],
        f"{side}_percent": [policy.type is PolicyType.PERCENT for policy in rules.policies],
        f"{side}_period": [float(policy.period_seconds) for policy in rules.policies],
    }


def _cost(view: View) -> Row:
    budget, spent = view.config.spec.cost.monthly_budget, view.spent
    row: Row = {"monthly_budget": _number(budget, NAN), "tuned": any(one.applied for one in view.forces.values())}
    if spent is not None:
        row |= {"cost_per_hour": spent.total, "cost_cpu": spent.cores}
        row |= {"cost_memory": spent.memory, "nodes_cost": spent.bill, "prices": 1 if spent.source == "OpenCost" else 2}
    return row


def _utilization(stated: int | None, prefer: Prefer) -> float:
    return min(max((stated or _DEFAULT_UTILIZATION) / 100.0 + _UTILIZATION[prefer], 0.10), 0.95)


def _lost(answer: Answer | None) -> bool:
    return answer is None or answer.kind not in (AnswerKind.VALUE, AnswerKind.NO_TRAFFIC)


def _answered(answer: Answer | None) -> Row:
    kind = answer.kind if answer is not None else AnswerKind.EMPTY
    return {"kind": int(kind), "value": answer.value if answer is not None else NAN}


def _number(quantity: Quantity | int | None, otherwise: float) -> float:
    return float(quantity) if quantity is not None else otherwise
