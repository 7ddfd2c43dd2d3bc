"""What must hold between fields: each rule as CEL for the API server and as Python for everybody else.

Both say the same; the table of wrong manifests in the tests is put to both. CEL: KEP-2876; its quantity
library is apiserver/pkg/cel/library/quantity.go. Rules that belong to a default of the schema guard each
field with has(), since defaults are checked before they are filled in.
"""

import re
from collections import Counter
from decimal import Decimal
from typing import Any

from trimtab.api.behavior import Behavior
from trimtab.api.constraints import (
    Bounds,
    Constraints,
    ContainerBounds,
    Knob,
    KnobRole,
    ReplicaBounds,
    Window,
)
from trimtab.api.cost import Cost, ModelPrice
from trimtab.api.model import ApiModel
from trimtab.api.monitoring import Alert, Metric, Monitoring, Objective
from trimtab.api.monitoring_rules import ALERT, METRIC, MONITORING, OBJECTIVE, unknown
from trimtab.api.rule import Rule, quantity
from trimtab.api.spec import Optimization, PerformanceConfigSpec, ResourceCeilings, TargetRef

# Variables that a loader, an interpreter or Kubernetes itself reads: even a number there changes what runs.
DENIED_ENV = (
    "^(LD_.*|DYLD_.*|KUBERNETES_.*|GIT_.*|BASH_.*|PYTHON[A-Z].*|PERL5.*|RUBY(OPT|LIB)|GLIBC_TUNABLES|GCONV_PATH"
    "|COR(ECLR)?_(ENABLE_)?PROFIL.*|DOTNET_STARTUP_HOOKS|(JDK)?_?JAVA_OPTIONS|JAVA_TOOL_OPTIONS|JAVA_OPTS"
    "|JVM_OPTS|CATALINA_OPTS|NODE_OPTIONS|NODE_PATH|PHP_INI_SCAN_DIR|PATH|HOME|USER|HOSTNAME|SHELL|IFS|ENV|PS4"
    "|PROMPT_COMMAND|(HTTP|HTTPS|ALL|NO)_PROXY|(http|https|all|no)_proxy)$"
)
_DENIED = re.compile(DENIED_ENV)
# Shape only: names of days and months, steps and ranges are cronsim's to judge.
_CRON = r"^[0-9A-Za-z*/,#-]+( +[0-9A-Za-z*/,#-]+){4}$"
_CRON_REGEX = re.compile(_CRON)
MEBI = Decimal(1 << 20)
MAX_CORES = Decimal(10_000)


def _within(bound: Bounds | None, low: Decimal, high: Decimal | None = None) -> bool:
    values = [] if bound is None else [q.value for q in (bound.min, bound.max) if q is not None]
    return all(low <= value and (high is None or value <= high) for value in values)


def _sides(field: str, test: str) -> str:
    """`test`, with {} for the quantity, on the min and max of the bounds in `field`, where they are given."""
    low, high = (test.format(quantity(f"self.{field}.{side}")) for side in ("min", "max"))
    return f"!has(self.{field}) || ((!has(self.{field}.min) || {low}) && {high})"


def _within_ceiling(knob: Knob, ceiling: int | None) -> bool:
    return ceiling is None or (knob.min <= ceiling and (knob.default is None or knob.default <= ceiling))


def _knob_ceiling(roles: tuple[KnobRole, ...], field: str) -> str:
    names = ", ".join(f"'{role.value}'" for role in roles)
    return (
        f"!has(self.resources) || !has(self.resources.{field}) || !has(self.optimization)"
        " || !has(self.optimization.constraints) || !has(self.optimization.constraints.knobs)"
        f" || self.optimization.constraints.knobs.all(k, !(k.role in [{names}])"
        f" || (k.min <= self.resources.{field} && (!has(k.default) || k.default <= self.resources.{field})))"
    )


def _ceiling_holds(spec: PerformanceConfigSpec, roles: tuple[KnobRole, ...], ceiling: int | None) -> bool:
    knobs = spec.optimization.constraints.knobs
    return all(_within_ceiling(knob, ceiling) for knob in knobs if knob.role in roles)


def _has_lever(constraints: Constraints) -> bool:
    return constraints.replicas is not None or bool(constraints.containers) or bool(constraints.knobs)


_BATCH = (KnobRole.BATCH,)
_CONCURRENT = (KnobRole.CONCURRENCY, KnobRole.POOL)

_TARGET_REF: tuple[Rule[TargetRef], ...] = (
    Rule(
        "self == oldSelf",
        "targetRef can't be changed; delete this PerformanceConfig and create one for the other workload",
        lambda ref: True,  # only an update can break it, and only the API server sees both sides of one
    ),
    Rule(
        "!has(self.apiVersion) || !(self.apiVersion in ['v1', 'batch/v1'])"
        " || (has(self.kind) && self.kind == 'ReplicationController')",
        "targetRef.kind must have replicas; name a Deployment, StatefulSet, DaemonSet or a kind with a scale"
        " subresource, with its apiVersion",
        lambda ref: ref.api_version not in {"v1", "batch/v1"} or ref.kind == "ReplicationController",
        ".kind",
    ),
)

_REPLICAS: tuple[Rule[ReplicaBounds], ...] = (
    Rule(
        "!has(self.min) || self.min <= self.max",
        "replicas.min is above replicas.max; lower min or raise max",
        lambda bounds: bounds.min <= bounds.max,
        ".min",
    ),
)

_BOUNDS: tuple[Rule[Bounds], ...] = (
    Rule(
        f"!has(self.min) || {quantity('self.min')}.compareTo({quantity('self.max')}) <= 0",
        "min is above max; lower min or raise max",
        lambda bounds: bounds.min is None or bounds.min.value <= bounds.max.value,
        ".min",
    ),
)

_CONTAINER: tuple[Rule[ContainerBounds], ...] = (
    Rule(
        "has(self.cpu) || has(self.memory)",
        "a container needs cpu or memory bounds to be tuned; add one or remove the container",
        lambda box: box.cpu is not None or box.memory is not None,
    ),
    Rule(
        _sides("cpu", "({0}.compareTo(quantity('1m')) >= 0 && {0}.compareTo(quantity('10k')) <= 0)"),
        "cpu min and max are cores from 1m to 10k; write 500m for half a core",
        lambda box: _within(box.cpu, Decimal("0.001"), MAX_CORES),
        ".cpu",
    ),
    Rule(
        _sides("memory", "{0}.compareTo(quantity('1Mi')) >= 0"),
        "memory min and max are bytes, at least 1Mi; write 512Mi, not 512",
        lambda box: _within(box.memory, MEBI),
        ".memory",
    ),
)

_KNOB: tuple[Rule[Knob], ...] = (
    Rule(
        "self.min <= self.max",
        "knob min is above max; lower min or raise max",
        lambda knob: knob.min <= knob.max,
        ".min",
    ),
    Rule(
        "!has(self.default) || (self.min <= self.default && self.default <= self.max)",
        "knob default is outside min and max; move it inside or leave it out",
        lambda knob: knob.default is None or knob.min <= knob.default <= knob.max,
        ".default",
    ),
    Rule(
        f"!self.env.matches('{DENIED_ENV}')",
        "env is read by the loader, an interpreter or Kubernetes and can't be a knob; use a variable of the"
        " application's own",
        lambda knob: _DENIED.fullmatch(knob.env) is None,
        ".env",
    ),
)

_CONSTRAINTS: tuple[Rule[Constraints], ...] = (
    Rule(
        "!has(self.knobs) || self.knobs.all(a, self.knobs.exists_one(b, a.container == b.container && a.env == b.env))",
        "two knobs set the same env of the same container; remove one of them",
        lambda bounds: max(Counter((k.container, k.env) for k in bounds.knobs).values(), default=0) <= 1,
        ".knobs",
    ),
)

_WINDOW: tuple[Rule[Window], ...] = (
    Rule(
        f"self.cron.matches('{_CRON}')",
        "cron has five fields (minute, hour, day, month, weekday), such as 0 9 * * 1-5; correct it",
        lambda window: _CRON_REGEX.fullmatch(window.cron) is not None,
        ".cron",
    ),
)

_OPTIMIZATION: tuple[Rule[Optimization], ...] = (
    Rule(
        "!has(self.autoTune) || !self.autoTune || (has(self.constraints) && (has(self.constraints.replicas)"
        " || (has(self.constraints.containers) && size(self.constraints.containers) > 0)"
        " || (has(self.constraints.knobs) && size(self.constraints.knobs) > 0)))",
        "autoTune is true but constraints allow nothing to be moved; add replicas, containers or knobs to"
        " spec.optimization.constraints, or set autoTune to false",
        lambda opt: not opt.auto_tune or _has_lever(opt.constraints),
        ".autoTune",
    ),
    Rule(
        "!has(self.constraints) || !has(self.constraints.knobs) || size(self.constraints.knobs) == 0"
        " || (has(self.targetMetrics) && size(self.targetMetrics) > 0)",
        "knobs are judged by a target; add one to spec.optimization.targetMetrics or remove the knobs",
        lambda opt: not opt.constraints.knobs or bool(opt.target_metrics),
        ".targetMetrics",
    ),
    Rule(
        "!has(self.targetMetrics) || self.targetMetrics.all(k,"
        f" {quantity('self.targetMetrics[k]')}.isGreaterThan(quantity('0')))",
        "targetMetrics must be above 0; write a positive quantity such as 300m",
        lambda opt: all(target.value > 0 for target in opt.target_metrics.values()),
        ".targetMetrics",
    ),
)

_BEHAVIOR: tuple[Rule[Behavior], ...] = (
    Rule(
        f"!has(self.cpuOverrunRate) || (!{quantity('self.cpuOverrunRate')}.isLessThan(quantity('0.001'))"
        f" && !{quantity('self.cpuOverrunRate')}.isGreaterThan(quantity('0.2')))",
        'cpuOverrunRate is a share of minutes from 0.001 to 0.2; write "0.01" for one in a hundred, or leave it out',
        lambda behavior: (
            behavior.cpu_overrun_rate is None or Decimal("0.001") <= behavior.cpu_overrun_rate.value <= Decimal("0.2")
        ),
        ".cpuOverrunRate",
    ),
)

_CEILINGS: tuple[Rule[ResourceCeilings], ...] = (
    Rule(
        f"!has(self.maxMemory) || {quantity('self.maxMemory')}.compareTo(quantity('1Mi')) >= 0",
        "maxMemory is bytes, at least 1Mi; write 16Gi, not 16",
        lambda ceilings: ceilings.max_memory is None or ceilings.max_memory.value >= MEBI,
        ".maxMemory",
    ),
)

_COST: tuple[Rule[Cost], ...] = (
    Rule(
        f"!has(self.monthlyBudget) || {quantity('self.monthlyBudget')}.isGreaterThan(quantity('0'))",
        'monthlyBudget must be above 0; write an amount such as "400", or leave it out',
        lambda cost: cost.monthly_budget is None or cost.monthly_budget.value > 0,
        ".monthlyBudget",
    ),
)

_MODEL: tuple[Rule[ModelPrice], ...] = (
    Rule(
        f"!{quantity('self.inputPerMillion')}.isLessThan(quantity('0'))"
        f" && !{quantity('self.outputPerMillion')}.isLessThan(quantity('0'))",
        'a price is below 0; write what a million tokens cost, such as "2.5"',
        lambda model: model.input_per_million.value >= 0 and model.output_per_million.value >= 0,
    ),
)

_SPEC: tuple[Rule[PerformanceConfigSpec], ...] = (
    Rule(
        "!has(self.optimization) || !has(self.optimization.targetMetrics)"
        " || self.optimization.targetMetrics.all(k, has(self.monitoring) && has(self.monitoring.metrics)"
        " && self.monitoring.metrics.exists(m, m.name == k))",
        "targetMetrics names a metric that is not declared; add it to spec.monitoring.metrics",
        lambda spec: not unknown(spec.optimization.target_metrics, spec.monitoring),
        ".optimization.targetMetrics",
    ),
    Rule(
        _knob_ceiling(_BATCH, "maxBatchSize"),
        "a Batch knob has min or default above spec.resources.maxBatchSize; lower them or raise maxBatchSize",
        lambda spec: _ceiling_holds(spec, _BATCH, spec.resources.max_batch_size),
        ".resources.maxBatchSize",
    ),
    Rule(
        _knob_ceiling(_CONCURRENT, "maxConcurrency"),
        "a Concurrency or Pool knob has min or default above spec.resources.maxConcurrency; lower them or"
        " raise maxConcurrency",
        lambda spec: _ceiling_holds(spec, _CONCURRENT, spec.resources.max_concurrency),
        ".resources.maxConcurrency",
    ),
    Rule(
        "!has(self.optimization) || !has(self.optimization.behavior)"
        " || !has(self.optimization.behavior.minHistorySeconds)"
        " || !has(self.monitoring) || !has(self.monitoring.retentionDays)"
        " || self.optimization.behavior.minHistorySeconds <= self.monitoring.retentionDays * 86400",
        "minHistorySeconds is longer than spec.monitoring.retentionDays; raise retentionDays or lower"
        " minHistorySeconds",
        lambda spec: spec.optimization.behavior.min_history_seconds <= spec.monitoring.retention_days * 86_400,
        ".optimization.behavior.minHistorySeconds",
    ),
)

RULES: dict[type[ApiModel], tuple[Rule[Any], ...]] = {
    TargetRef: _TARGET_REF,
    Metric: METRIC,
    Alert: ALERT,
    Objective: OBJECTIVE,
    Monitoring: MONITORING,
    ReplicaBounds: _REPLICAS,
    Bounds: _BOUNDS,
    ContainerBounds: _CONTAINER,
    Knob: _KNOB,
    Constraints: _CONSTRAINTS,
    Window: _WINDOW,
    Optimization: _OPTIMIZATION,
    Behavior: _BEHAVIOR,
    ResourceCeilings: _CEILINGS,
    Cost: _COST,
    ModelPrice: _MODEL,
    PerformanceConfigSpec: _SPEC,
}
"""The rules of each model."""
