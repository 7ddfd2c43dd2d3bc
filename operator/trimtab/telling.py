"""From what was seen, decided and done to the facts that the record is made of: the one place that knows both sides."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from trimtab.api.quantity import Quantity, format_cpu, format_memory
from trimtab.api.status import (
    AlertState,
    Applied,
    ContainerResources,
    KnobValue,
    PerformanceConfigStatus,
    Recommendation,
    Resources,
    Savings,
)
from trimtab.decide.observation import Observation
from trimtab.decide.plan import Outcome, Plan
from trimtab.decide.restore import Prior, PriorAlert
from trimtab.decide.settings import DAY
from trimtab.decide.slo import week_number, week_start
from trimtab.observe import facts as seen_facts
from trimtab.observe.configs import InvalidRecord
from trimtab.record.facts import AlertFact, CostFact, Facts, Hold, MetricFact, ObjectiveFact, UnitCostFact
from trimtab.record.journal import from_status, unix

NAN = float("nan")
_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
"""Names of decide.slo.WINDOWS."""


def facts_of(
    seen: seen_facts.Seen, plan: Plan, outcomes: Iterable[Outcome], invalid: Mapping[str, InvalidRecord]
) -> dict[str, Facts]:
    """Facts for the record, by key: every resource that exists, those that can't be used included."""
    by_key: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_key[outcome.workload].append(outcome)
    told = {key: _facts(key, fact, seen, plan, tuple(by_key[key])) for key, fact in seen.facts.items()}
    for key, record in invalid.items():
        problems = tuple((p.field, p.reason, p.message) for p in record.invalid.problems)
        told[key] = Facts(key, record.uid, record.generation, None, problems=problems)
    return told


def _facts(key: str, fact: seen_facts.Facts, seen: seen_facts.Seen, plan: Plan, outcomes: tuple[Outcome, ...]) -> Facts:
    config, row = fact.config, fact.row
    found = fact.found
    target = found.target
    base = Facts(
        key,
        config.uid,
        config.generation,
        config.spec,
        target=(found.reason, found.message),
        hold=Hold(*fact.stopped) if fact.stopped else None,
        metrics=_metrics(fact),
        blocks=fact.blocks,
        remarks=fact.remarks,
        outcomes=outcomes,
        ready=None,
        template_hash=target.template_hash if target else "",
        sampled_at=fact.sampled_at,
    )
    if row < 0:
        return base
    observation, workloads = seen.observation, seen.observation.workloads
    ready, replicas = int(workloads.ready[row]), int(workloads.replicas[row])
    rolling = bool(workloads.rollout[row]) or bool(observation.knobs.off_value[observation.knobs.workload == row].any())
    # Where nothing may be moved nothing is under way, whatever the pods have.
    resizing = bool(workloads.acting[row]) and bool(
        observation.containers.off[observation.containers.workload == row].any()
    )
    wanted = int(plan.workloads.replicas[row])
    scaling = ready != replicas or (wanted > 0 and wanted != replicas)
    return Facts(
        **{name: getattr(base, name) for name in base.__slots__}
        | {
            "remarks": (*plan.remarks.get(row, ()), *fact.remarks),
            "cost": _cost(fact, plan, row),
            "objectives": tuple(_objectives(fact, observation, plan, row)),
            "alerts": (*_alerts(observation, plan, row), *_derived(plan, row)),
            "recommendation": _recommendation(observation, plan, row),
            "applied": _applied(fact, observation, row),
            "ready": ready,
            "converging": rolling or resizing or scaling or bool(fact.trials),
            "met": bool(plan.workloads.met[row]),
            "missed": bool(plan.workloads.missed[row]),
            "history_seconds": float(plan.workloads.history_seconds[row]),
            "moves_today": int(plan.workloads.moves_today[row]),
            "resizes_today": int(plan.workloads.resizes_today[row]),
        }
    )


def _metrics(fact: seen_facts.Facts) -> tuple[MetricFact, ...]:
    spec = fact.config.spec
    declared = {metric.name for metric in spec.monitoring.metrics}
    targets = {name: float(value) for name, value in spec.optimization.target_metrics.items()}
    shown: dict[str, str] = {name: name for name in fact.metrics if name not in fact.groups}
    # Two presets of one group: the second keeps its own name, or the API server would refuse the whole status.
    for name, group in fact.groups.items():
        shown[name] = name if group in shown.values() or (group in fact.metrics and group != name) else group
    return tuple(
        MetricFact(shown[name], answer, targets.get(name), name in declared) for name, answer in fact.metrics.items()
    )


def _alerts(observation: Observation, plan: Plan, row: int) -> Iterable[AlertFact]:
    rules, states = observation.alerts, plan.alerts
    for a in np.flatnonzero(rules.workload == row):
        yield AlertFact(
            name=str(rules.name[a]),
            metric=str(rules.metric[a]),
            state=str(states.state[a]),
            severity=str(rules.severity[a]),
            firing=bool(states.firing[a]),
            since=float(states.since[a]),
            cleared_since=float(states.cleared_since[a]),
            breach_since=float(states.breach_since[a]),
            value=float(rules.value[a]),
            threshold=float(rules.threshold[a]),
            below=bool(rules.below[a]),
            changed=bool(states.changed[a]),
        )


def _derived(plan: Plan, row: int) -> Iterable[AlertFact]:
    shown = plan.derived
    for a in np.flatnonzero(shown.workload == row):
        yield AlertFact(
            name=str(shown.name[a]),
            metric=str(shown.metric[a]),
            state=str(shown.state[a]),
            severity=str(shown.severity[a]),
            firing=bool(shown.firing[a]),
            since=float(shown.since[a]),
            cleared_since=float(shown.cleared_since[a]),
            breach_since=float(shown.breach_since[a]),
            value=float(shown.value[a]),
            threshold=float(shown.threshold[a]),
            below=False,
            changed=bool(shown.changed[a]),
            derived=True,
        )


def _cost(fact: seen_facts.Facts, plan: Plan, row: int) -> CostFact | None:
    spent, held = fact.spent, plan.costs
    if spent is None or row >= len(held):
        return None
    return CostFact(
        currency=spent.currency,
        prices=spent.source,
        problems=spent.problems,
        mean=float(held.mean[row]),
        parts={"compute": spent.compute, "storage": spent.storage, "api": spent.api},
        bill=spent.bill,
        budget_used=float(held.budget_used[row]),
        verdict=str(held.verdict[row]),
        by_requests=bool(held.by_requests[row]),
        saved=float(held.saved[row]),
        low=float(held.low[row]),
        high=float(held.high[row]),
        freed_cpu=float(held.freed_cpu[row]),
        freed_memory=float(held.freed_memory[row]),
        bill_reduced=float(held.bill_reduced[row]),
        baseline=UnitCostFact(*map(float, held.baseline[row])),
        actual=UnitCostFact(*map(float, held.actual[row])),
        cpu_hour=spent.cpu_price,
        memory_gib_hour=spent.memory_price,
    )


def _objectives(fact: seen_facts.Facts, observation: Observation, plan: Plan, row: int) -> Iterable[ObjectiveFact]:
    """The objectives of a resource; no week is told of that ended before its retentionDays."""
    kept_from = observation.now - (fact.config.spec.monitoring.retention_days + 7) * DAY
    rows, held = observation.objectives, plan.objectives
    week = week_number(observation.now)
    for o in np.flatnonzero(rows.workload == row):
        burn = {name: float(rate) for name, rate in zip(_WINDOWS, held.burn[o], strict=True) if np.isfinite(rate)}
        weeks = tuple(
            (week_start(week - age), float(share), float(held.week_known[o, age]))
            for age, share in enumerate(held.week_attainment[o])
            if np.isfinite(share) and week_start(week - age) > kept_from
        )
        target, share = float(rows.target[o]), float(held.attainment[o])
        yield ObjectiveFact(str(rows.name[o]), target, share, float(held.known[o]), burn, weeks)


def _resources(cpu: float, memory: float) -> Resources:
    return Resources(
        cpu=Quantity(format_cpu(cpu)) if np.isfinite(cpu) else None,
        memory=Quantity(format_memory(memory)) if np.isfinite(memory) else None,
    )


def _recommendation(observation: Observation, plan: Plan, row: int) -> Recommendation:
    replicas = int(plan.workloads.recommended_replicas[row])
    containers = [
        ContainerResources(
            name=str(observation.containers.name[c]),
            requests=_resources(
                float(plan.containers.recommended_cpu[c]), float(plan.containers.recommended_memory[c])
            ),
        )
        for c in np.flatnonzero(observation.containers.workload == row)
    ]
    knobs = [
        KnobValue(name=str(observation.knobs.name[k]), value=int(plan.knobs.recommended[k]))
        for k in np.flatnonzero(observation.knobs.workload == row)
    ]
    return Recommendation(replicas=replicas if replicas > 0 else None, containers=containers, knobs=knobs)


def _applied(fact: seen_facts.Facts, observation: Observation, row: int) -> Applied:
    """What is in force: from the profile where it holds an entry of this resource, the template's otherwise."""
    spec, table = fact.config.spec, observation.containers
    values: dict[str, dict[str, int]] = defaultdict(dict)
    knobs = {knob.name: knob for knob in spec.optimization.constraints.knobs}
    for k in np.flatnonzero(observation.knobs.workload == row):
        knob = knobs.get(str(observation.knobs.name[k]))
        if knob is not None:
            values[knob.container][knob.env] = int(observation.knobs.value[k])
    names = {str(table.name[c]): c for c in np.flatnonzero(table.workload == row)}
    containers = [
        ContainerResources(
            name=name,
            requests=_resources(float(table.cpu[names[name]]), float(table.memory[names[name]]))
            if name in names
            else Resources(),
            limits=_resources(float(table.cpu_limit[names[name]]), float(table.memory_limit[names[name]]))
            if name in names
            else Resources(),
            env=values.get(name, {}),
        )
        for name in dict.fromkeys((*names, *values))
    ]
    return Applied(replicas=int(observation.workloads.replicas[row]), containers=containers)


def prior_of(key: str, status: PerformanceConfigStatus, learned_at: float = 0.0) -> Prior:
    """What a status says that an earlier process knew: open moves, alert clocks, budgets, the template learned from.

    `learned_at` is the Unix time of the checkpoint that was taken up before; 0: none.
    """
    decisions = [decision for shown in status.decisions if (decision := from_status(key, shown)) is not None]
    alerts = {
        alert.name: PriorAlert(
            alert.state,
            alert.firing,
            unix(alert.since) if alert.since else NAN,
            unix(alert.cleared_since) if alert.cleared_since else NAN,
            unix(alert.breach_since) if alert.breach_since else NAN,
        )
        for alert in status.alerts
    }
    learning = status.learning
    return Prior(
        template=learning.template_hash,
        decisions=tuple(decisions),
        alerts=alerts,
        costs=_costs(status.savings),
        moves_today=learning.moves_today,
        resizes_today=learning.resizes_today,
        learned_at=learned_at,
    )


def unseen_alerts(status: PerformanceConfigStatus) -> tuple[AlertFact, ...]:
    """Alerts of a resource whose workload can't be looked at: what was firing is unknown now, and not resolved."""
    return tuple(
        AlertFact(
            name=alert.name,
            metric=alert.name,
            state=AlertState.UNKNOWN.value,
            severity=alert.severity.value,
            firing=True,
            since=unix(alert.since) if alert.since else NAN,
            cleared_since=NAN,
            value=NAN,
            threshold=float(alert.threshold) if alert.threshold is not None else NAN,
            below=False,
            changed=alert.state is not AlertState.UNKNOWN,
        )
        for alert in status.alerts
        if alert.firing
    )


def _costs(savings: Savings | None) -> tuple[tuple[float, ...], tuple[float, ...], bool] | None:
    if savings is None or (savings.baseline is None and savings.actual is None):
        return None
    sides = [
        (0.0,) * 7
        if side is None
        else tuple(map(float, (side.hours, side.cost, side.units, side.error, side.cpu, side.memory, side.nodes)))
        for side in (savings.baseline, savings.actual)
    ]
    return sides[0], sides[1], savings.unit == "Requests"
