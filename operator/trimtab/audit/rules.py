"""The rules that a resource, and the operator, are run by, in words."""

from trimtab.api.conditions import ConditionType
from trimtab.api.resource import PerformanceConfig
from trimtab.api.settings import OperatorSettings
from trimtab.audit.model import Rules


def rules_of(config: PerformanceConfig) -> Rules:
    """Targets, bounds, budgets and presets of one resource."""
    spec = config.spec
    optimization, monitoring = spec.optimization, spec.monitoring
    tuning = next((one for one in config.status.conditions if one.type == ConditionType.TUNING), None)
    acts = "autoTune is on" if optimization.auto_tune else "recommends only"
    if not monitoring.enabled:
        acts = "switched off"
    return Rules(
        resource=config.metadata.name,
        target=f"{spec.target_ref.kind} {spec.target_ref.name}",
        acts=f"{acts}; Tuning: {tuning.reason}" if tuning else acts,
        targets=", ".join(f"{name} {value}" for name, value in sorted(optimization.target_metrics.items())) or "none",
        bounds=_bounds(config),
        budgets=_budgets(config),
        presets=sorted({metric.preset for metric in monitoring.metrics if metric.preset}),
        retention_days=monitoring.retention_days,
    )


def _bounds(config: PerformanceConfig) -> str:
    constraints, ceilings = config.spec.optimization.constraints, config.spec.resources
    parts = []
    if constraints.replicas:
        parts.append(f"replicas {constraints.replicas.min} to {constraints.replicas.max}")
    for one in constraints.containers:
        for what, bounds in (("CPU", one.cpu), ("memory", one.memory)):
            if bounds:
                parts.append(f"{one.name} {what} {bounds.min or 0} to {bounds.max}")
    parts += [f"{knob.name} {knob.min} to {knob.max}" for knob in constraints.knobs]
    for name, value in (
        ("maxMemory", ceilings.max_memory),
        ("maxConcurrency", ceilings.max_concurrency),
        ("maxBatchSize", ceilings.max_batch_size),
    ):
        if value is not None:
            parts.append(f"{name} {value}")
    return ", ".join(parts) or "none: nothing may be moved"


def _budgets(config: PerformanceConfig) -> str:
    disruption = config.spec.optimization.constraints.disruption
    parts = [f"{disruption.max_moves_per_day} moves and {disruption.max_resizes_per_day} resizes a day"]
    parts += [
        f"{window.effect} {window.cron} ({window.time_zone}) for {window.duration_seconds / 3600:g} h"
        for window in disruption.windows
    ]
    return f"{', '.join(parts)}, prefers {config.spec.optimization.prefer.value}"


def operator_lines(settings: OperatorSettings) -> list[str]:
    """What the administrator set, without URLs and files."""
    names = ", ".join(one.name for one in settings.datasources) or "none"
    served = ", ".join(settings.namespaces) or "all"
    return [
        f"Mode {settings.mode}; namespaces served: {served}; datasources: {names}.",
        f"At most {settings.max_changes_per_minute} changes a minute over the fleet; it stops when more than "
        f"{settings.rollback_stop_share:.0%} of the last moves were rolled back.",
        f"Knob trials {'may' if settings.knobs_enabled else 'may not'} be made; new pods "
        f"{'start' if settings.admission_policy_enabled else 'do not start'} right-sized.",
    ]
