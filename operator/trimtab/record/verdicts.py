"""The nine conditions of a resource, each from an ordered chain of small checks: the first that holds speaks.

Ready, Reconciling and Stalled follow kstatus (sigs.k8s.io/cli-utils/pkg/kstatus): Flux and Argo CD read them.
"""

from trimtab.api.answers import AnswerKind
from trimtab.api.conditions import ConditionStatus, ConditionType, Finding
from trimtab.api.reasons import CONFLICTS, Reason
from trimtab.api.status import AlertState
from trimtab.decide.observation import Block
from trimtab.record.facts import Facts, MetricFact

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def verdicts(facts: Facts) -> tuple[Finding, ...]:
    """All nine conditions of this tick, always in the same order."""
    return (
        _ready(facts),
        _reconciling(facts),
        _stalled(facts),
        _target_found(facts),
        _metrics_available(facts),
        _tuning(facts),
        _limited(facts),
        _conflicted(facts),
        _alerting(facts),
    )


def _broken(facts: Facts) -> tuple[Reason, str] | None:
    """What a person has to mend before Trimtab can go on."""
    if facts.problems:
        field, reason, message = facts.problems[0]
        more = f" (and {len(facts.problems) - 1} more)" if len(facts.problems) > 1 else ""
        return reason, f"{field}: {message}{more}"
    if facts.target is not None and facts.target[0] is not Reason.TARGET_FOUND:
        return facts.target
    return None


def _ready(facts: Facts) -> Finding:
    if broken := _broken(facts):
        return Finding(ConditionType.READY, FALSE, *broken)
    if facts.target is None:
        return Finding(ConditionType.READY, UNKNOWN, Reason.PENDING, "Not looked at yet.")
    unknown = _unknown_metrics(facts)
    if unknown:
        return Finding(ConditionType.READY, FALSE, unknown[0].reason, f"{unknown[0].name}: {unknown[0].answer.message}")
    return Finding(ConditionType.READY, TRUE, Reason.UP_TO_DATE, "Observed and decided in this generation.")


def _reconciling(facts: Facts) -> Finding:
    if broken := _broken(facts):
        return Finding(ConditionType.RECONCILING, FALSE, broken[0], "Stalled.")
    if facts.target is None:
        return Finding(ConditionType.RECONCILING, TRUE, Reason.PROGRESSING, "Not looked at yet.")
    if facts.converging:
        return Finding(
            ConditionType.RECONCILING,
            TRUE,
            Reason.PROGRESSING,
            "Running pods are on their way to the set point.",
        )
    return Finding(ConditionType.RECONCILING, FALSE, Reason.UP_TO_DATE, "Nothing is under way.")


def _stalled(facts: Facts) -> Finding:
    if broken := _broken(facts):
        return Finding(ConditionType.STALLED, TRUE, *broken)
    if facts.target is None:
        return Finding(ConditionType.STALLED, UNKNOWN, Reason.PENDING, "Not looked at yet.")
    return Finding(ConditionType.STALLED, FALSE, Reason.UP_TO_DATE, "Nothing is in the way.")


def _target_found(facts: Facts) -> Finding:
    if facts.target is None:
        return Finding(ConditionType.TARGET_FOUND, UNKNOWN, Reason.PENDING, "Not looked at yet.")
    reason, message = facts.target
    return Finding(ConditionType.TARGET_FOUND, TRUE if reason is Reason.TARGET_FOUND else FALSE, reason, message)


def _metrics_available(facts: Facts) -> Finding:
    if facts.target is None or not facts.metrics:
        return Finding(ConditionType.METRICS_AVAILABLE, UNKNOWN, Reason.PENDING, "No query was made yet.")
    if unknown := _unknown_metrics(facts):
        named = " ".join(f"{fact.name}: {(fact.answer.message or fact.reason).rstrip('.')}." for fact in unknown[:3])
        more = f" And {len(unknown) - 3} more." if len(unknown) > 3 else ""
        return Finding(ConditionType.METRICS_AVAILABLE, FALSE, unknown[0].reason, named + more)
    declared = [fact for fact in facts.metrics if fact.declared]
    if not declared:
        return Finding(
            ConditionType.METRICS_AVAILABLE,
            TRUE,
            Reason.NO_METRICS_DECLARED,
            "Built-in metrics only; declare a latency metric to tune towards a target.",
        )
    idle = [fact.name for fact in declared if fact.answer.kind == AnswerKind.NO_TRAFFIC]
    if idle:
        return Finding(
            ConditionType.METRICS_AVAILABLE,
            TRUE,
            Reason.NO_TRAFFIC,
            f"{', '.join(idle[:3])}: no requests now; the target counts as met.",
        )
    return Finding(
        ConditionType.METRICS_AVAILABLE,
        TRUE,
        Reason.ALL_METRICS_KNOWN,
        f"{len(declared)} of {len(declared)} declared metrics have a number.",
    )


def _unknown_metrics(facts: Facts) -> list[MetricFact]:
    return [fact for fact in facts.metrics if fact.declared and fact.unknown]


def _tuning(facts: Facts) -> Finding:
    if broken := _broken(facts):
        return Finding(ConditionType.TUNING, FALSE, broken[0], "Nothing is moved.")
    if facts.target is None:
        return Finding(ConditionType.TUNING, UNKNOWN, Reason.PENDING, "Not looked at yet.")
    if facts.hold is not None:
        return Finding(ConditionType.TUNING, FALSE, facts.hold.reason, facts.hold.message)
    remark = next((remark for remark in facts.remarks if remark.condition == "Tuning"), None)
    if remark is not None:
        frozen = remark.reason in (Reason.TEMPLATE_CHANGED, Reason.FLEET_STOPPED, Reason.LATENCY_UNKNOWN)
        return Finding(ConditionType.TUNING, FALSE if frozen else TRUE, remark.reason, remark.message)
    return Finding(ConditionType.TUNING, TRUE, Reason.ACTIVE, "Observing, deciding and acting.")


def _limited(facts: Facts) -> Finding:
    if facts.target is None:
        return Finding(ConditionType.LIMITED, UNKNOWN, Reason.PENDING, "Not looked at yet.")
    limits: list[tuple[Reason, str]] = [
        (o.reason, o.message) for o in facts.outcomes if not o.ok and o.reason is not Reason.PROGRESSING
    ]
    limits += [(r.reason, r.message) for r in facts.remarks if r.condition == "Limited"]
    limits += [(b.reason, b.message) for b in facts.blocks if b.reason not in CONFLICTS]
    if not limits:
        return Finding(ConditionType.LIMITED, FALSE, Reason.WITHIN_LIMITS, "Every wanted move is allowed.")
    # How moves are made where the cluster lacks an API is the least of it.
    limits.sort(key=lambda limit: limit[0] is Reason.ADMISSION_POLICY_MISSING)
    messages = list(dict.fromkeys(_sentence(message) for _, message in limits))
    return Finding(ConditionType.LIMITED, TRUE, limits[0][0], " ".join(messages[:4]))


def _conflicted(facts: Facts) -> Finding:
    if facts.target is None:
        return Finding(ConditionType.CONFLICTED, UNKNOWN, Reason.PENDING, "Not looked at yet.")
    conflicts: list[Block] = [block for block in facts.blocks if block.reason in CONFLICTS]
    if not conflicts:
        return Finding(ConditionType.CONFLICTED, FALSE, Reason.NO_CONFLICT, "Nobody else moves the same levers.")
    messages = list(dict.fromkeys(block.message for block in conflicts))
    return Finding(ConditionType.CONFLICTED, TRUE, conflicts[0].reason, " ".join(messages[:3]))


def _alerting(facts: Facts) -> Finding:
    firing = [alert for alert in facts.alerts if alert.firing]
    if firing:
        named = ", ".join(alert.name for alert in firing[:5])
        unknown = " (no data now)" if any(alert.state == AlertState.UNKNOWN for alert in firing) else ""
        return Finding(ConditionType.ALERTING, TRUE, Reason.ALERT_FIRING, f"Firing: {named}{unknown}.")
    # What no derived alert knows is told by MetricsAvailable; a declared one is a question that a person asked.
    unknown_alerts = [alert.name for alert in facts.alerts if alert.state == AlertState.UNKNOWN and not alert.derived]
    if unknown_alerts:
        return Finding(
            ConditionType.ALERTING,
            UNKNOWN,
            Reason.ALERT_UNKNOWN,
            f"No data for {', '.join(unknown_alerts[:5])}.",
        )
    if facts.target is None:
        return Finding(ConditionType.ALERTING, UNKNOWN, Reason.PENDING, "Not looked at yet.")
    return Finding(ConditionType.ALERTING, FALSE, Reason.NO_ALERTS, "Every alert is inside its threshold.")


def _sentence(text: str) -> str:
    """The text as a sentence that others can follow."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
