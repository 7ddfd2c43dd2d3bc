"""Tell: the journal, the status, the events and the operator's metrics of every resource, once a tick."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trimtab.api.conditions import ConditionType
from trimtab.api.group import API_VERSION, CONFIG_KIND, CONFIG_PLURAL, GROUP, VERSION
from trimtab.api.monitoring import Severity
from trimtab.api.privacy import TEXTS, Privacy
from trimtab.api.reasons import Reason, find_reason
from trimtab.api.status import AlertState, Condition, OutcomeState, PerformanceConfigStatus
from trimtab.decide.plan import Decision
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import KubeError, NotFound
from trimtab.kube.paths import resource_path
from trimtab.record.events import EventRecorder, Regarding
from trimtab.record.facts import AlertFact, Facts
from trimtab.record.journal import Journal, amount, lever_name
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.status import (
    DAY,
    NUMBERS_EVERY,
    Written,
    build,
    document_of,
    numbers_every,
    with_moves,
    worth_writing,
)

_log = logging.getLogger(__name__)

CONCURRENCY = 8
BUDGET_SECONDS = 10.0
"""Time for writing in one tick; what is left over is written in the next ones, the longest unwritten first."""
ANNOUNCE_SECONDS = 2.0
"""Time in which new moves are written before they are carried out: an emergency waits no longer for a record of it."""
_OUTCOME_REASONS = {
    OutcomeState.KEPT: Reason.MOVE_KEPT,
    OutcomeState.ROLLED_BACK: Reason.MOVE_ROLLED_BACK,
    OutcomeState.CONFOUNDED: Reason.MOVE_CONFOUNDED,
    OutcomeState.FAILED: Reason.MOVE_FAILED,
}
QUIET = frozenset({OutcomeState.KEPT, OutcomeState.CONFOUNDED})
_WARNINGS = frozenset({Reason.MOVE_ROLLED_BACK, Reason.MOVE_FAILED, Reason.RAISED_AFTER_OOM})
# A change of these conditions to this status is worth an event: (type, status) → warning.
_TELLING: dict[tuple[str, str], bool] = {
    (ConditionType.STALLED, "True"): True,
    (ConditionType.CONFLICTED, "True"): True,
    (ConditionType.METRICS_AVAILABLE, "False"): True,
    (ConditionType.LIMITED, "True"): False,
    (ConditionType.TUNING, "False"): False,
}


@dataclass(slots=True)
class Recorder:
    """Holds what was last said of each resource, so that nothing is said twice.

    `may_write(urgent)` is asked before each write of a status: it waits for the write budget, an alert's before
    others', and is False where this process does not lead. `write_seconds` bounds one write. `clock` is monotonic.
    """

    client: KubeClient
    events: EventRecorder
    metrics: OperatorMetrics
    may_write: Callable[[bool], Awaitable[bool]]
    write_seconds: float = 5.0
    announce_seconds: float = ANNOUNCE_SECONDS
    clock: Callable[[], float] = time.monotonic
    privacy: Privacy = field(default_factory=Privacy)
    """What texts of a status may show."""
    journal: Journal = field(default_factory=Journal)
    _uids: dict[str, str] = field(default_factory=dict)
    _written: dict[str, Written] = field(default_factory=dict)
    _conditions: dict[str, list[Condition]] = field(default_factory=dict)
    _series: dict[str, list[str]] = field(default_factory=dict)
    _until: float = math.inf

    def resume(self, key: str, uid: str, status: PerformanceConfigStatus, decisions: Iterable[Decision]) -> None:
        """Take over what an earlier process said of a resource."""
        self._meet(key, uid)
        self._conditions[key] = list(status.conditions)
        self._written[key] = Written(document_of(status), -math.inf)
        # Oldest first: `note` puts each on top.
        self.journal.note(sorted(decisions, key=lambda decision: decision.time))

    def last(self, key: str) -> PerformanceConfigStatus | None:
        """The status that was last written of a resource; None before the first one."""
        written = self._written.get(key)
        return PerformanceConfigStatus.model_validate(written.document) if written is not None else None

    async def announce(self, decisions: Iterable[Decision], now: float) -> None:
        """Write new moves into the statuses before they are carried out.

        A process that dies between a write to pods and the next status leaves to its successor what it has to go on
        with and to watch. What can't be written in time is told by `record`, after the fact.
        """
        moves: dict[str, list[Decision]] = {}
        for decision in decisions:
            if decision.outcome is OutcomeState.PENDING and not self.journal.knows(decision):
                moves.setdefault(decision.workload, []).append(decision)
        gate = asyncio.Semaphore(CONCURRENCY)

        async def one(key: str, new: list[Decision]) -> None:
            async with gate:
                if (status := self.last(key)) is not None:
                    await self._put(key, with_moves(status, new), now, urgent=True)

        try:
            async with asyncio.timeout(self.announce_seconds):
                await asyncio.gather(*(one(key, new) for key, new in moves.items()))
        except TimeoutError:
            _log.warning("new moves could not be written before they are carried out", extra={"moves": len(moves)})

    async def record(self, facts: Mapping[str, Facts], decisions: Iterable[Decision], now: float) -> None:
        """Say what is new about every resource. One resource's failure never stops the others."""
        decided: dict[str, list[Decision]] = {}
        for decision in decisions:
            decided.setdefault(decision.workload, []).append(decision)
        for key, fact in facts.items():
            self._meet(key, fact.uid)
        self.journal.note(decision for made in decided.values() for decision in made)
        gate = asyncio.Semaphore(CONCURRENCY)

        async def one(fact: Facts) -> None:
            async with gate:
                try:
                    await self._record_one(fact, decided.get(fact.key, []), now)
                except Exception:
                    self.metrics.errors.labels("record").inc()
                    _log.exception("record failed", extra={"resource": fact.key})

        self._until = self.clock() + BUDGET_SECONDS

        def turn(fact: Facts) -> tuple[bool, float]:
            written = self._written.get(fact.key)
            quiet = fact.key not in decided and not any(alert.changed for alert in fact.alerts)
            return quiet, written.at if written else -math.inf

        await asyncio.gather(*(one(fact) for fact in sorted(facts.values(), key=turn)))
        for key in self._uids.keys() - facts.keys():
            self.forget(key)

    def _meet(self, key: str, uid: str) -> None:
        """A namesake that was deleted and created anew between two ticks has no past here."""
        if self._uids.get(key, uid) != uid:
            self.forget(key)
        self._uids[key] = uid

    def forget(self, key: str) -> None:
        """Drop everything that is remembered of a resource that is gone."""
        self._uids.pop(key, None)
        self.journal.forget(key)
        self._written.pop(key, None)
        self._conditions.pop(key, None)
        namespace, _, name = key.partition("/")
        self.metrics.forget(namespace, name, self._series.pop(key, []))

    async def _record_one(self, facts: Facts, decisions: list[Decision], now: float) -> None:
        self._export(facts, decisions)
        retention = facts.spec.monitoring.retention_days * DAY if facts.spec else 14 * DAY
        shown = self.journal.of(facts.key, now - retention)
        before = self._conditions.get(facts.key, [])
        status = build(facts, shown, before, now)
        regarding = Regarding(API_VERSION, CONFIG_KIND, facts.namespace, facts.name, facts.uid)
        for decision in decisions:
            await self._tell_decision(regarding, decision, now)
        for alert in facts.alerts:
            if alert.changed:
                await self._tell_alert(regarding, alert, now)
        if self.clock() >= self._until:
            return  # as if this tick had not been: the next one tells it
        await self._tell_conditions(regarding, before, status.conditions, now)
        self._conditions[facts.key] = list(status.conditions)
        await self._write(facts, document_of(status), now)

    async def _write(self, facts: Facts, document: dict[str, Any], now: float) -> None:
        if not worth_writing(self._written.get(facts.key), document, now, numbers_every(len(self._uids))):
            return
        await self._put(facts.key, document, now, urgent=any(alert.changed for alert in facts.alerts))

    async def _put(self, key: str, document: dict[str, Any], now: float, *, urgent: bool) -> None:
        if not await self.may_write(urgent):
            return
        namespace, _, name = key.partition("/")
        body = {
            "apiVersion": API_VERSION,
            "kind": CONFIG_KIND,
            # The uid makes the write fail for a namesake that was created in the meantime.
            "metadata": {"name": name, "namespace": namespace, "uid": self._uids[key]},
            "status": self.privacy.cleaned(document, texts=TEXTS),
        }
        path = resource_path(GROUP, VERSION, CONFIG_PLURAL, namespace, name, "status")
        try:
            await self.client.apply(path, body, force=True, timeout_seconds=self.write_seconds)
        except NotFound:
            return
        except KubeError as error:
            self.metrics.errors.labels("status").inc()
            _log.warning("status not written", extra={"resource": key, "error": str(error)})
            return
        self.metrics.writes.labels("status").inc()
        self._written[key] = Written(document, now)

    async def _tell_decision(self, regarding: Regarding, decision: Decision, now: float) -> None:
        before, after = amount(decision.lever, decision.before), amount(decision.lever, decision.after)
        change = f"{lever_name(decision)} {before} → {after}"
        outcome = _OUTCOME_REASONS.get(decision.outcome)
        if outcome is None:
            # That it is in force now is no news of its own: the condition Tuning says so, and an event is a write.
            if decision.outcome in (OutcomeState.PENDING, OutcomeState.RECOMMENDED):
                reason, note = decision.reason, f"{change}: {decision.message} [{decision.id}]"
                await self._emit(regarding, reason, note, now)
            return
        if decision.outcome in QUIET and numbers_every(len(self._uids)) > NUMBERS_EVERY:
            return  # in a large fleet, what did no harm is told by the status and the journal alone
        await self._emit(regarding, outcome, f"{change}: {decision.outcome_message} [{decision.id}]", now)

    async def _tell_alert(self, regarding: Regarding, alert: AlertFact, now: float) -> None:
        side = "below" if alert.below else "above"
        who, value = f"{alert.name} ({alert.severity})", f"{alert.metric} is {alert.value:.3g}"
        match alert.state:
            case AlertState.FIRING:
                note = f"{who}: {value}, {side} {alert.threshold:.3g}."
                quiet = alert.severity == Severity.INFO
                await self._emit(regarding, Reason.ALERT_FIRING, note, now, warning=not quiet, series=alert.name)
            case AlertState.INACTIVE:
                note = f"{who}: {value}, no longer {side} {alert.threshold:.3g}."
                await self._emit(regarding, Reason.ALERT_RESOLVED, note, now, series=alert.name)
            case AlertState.UNKNOWN if alert.firing:
                note = f"{who}: no data for {alert.metric}; it was firing and is not resolved."
                await self._emit(regarding, Reason.ALERT_UNKNOWN, note, now, series=alert.name)

    async def _tell_conditions(
        self, regarding: Regarding, before: list[Condition], after: list[Condition], now: float
    ) -> None:
        known = {condition.type: (condition.status, condition.reason) for condition in before}
        for condition in after:
            key = (condition.type, condition.status)
            reason = find_reason(condition.reason)
            if reason and key in _TELLING and known.get(condition.type) != (condition.status, condition.reason):
                await self._emit(regarding, reason, condition.message, now, warning=_TELLING[key])

    async def _emit(
        self,
        regarding: Regarding,
        reason: Reason,
        note: str,
        now: float,
        *,
        warning: bool = False,
        series: str | None = None,
    ) -> None:
        loud = warning or reason in _WARNINGS
        if await self.events.emit(regarding, reason, note, now, warning=loud, series=series):
            self.metrics.writes.labels("event").inc()

    async def tell(self, facts: Facts, reason: Reason, note: str, now: float) -> None:
        """An event that is neither a decision nor an alert, such as a person's `kubectl scale`."""
        await self._emit(Regarding(API_VERSION, CONFIG_KIND, facts.namespace, facts.name, facts.uid), reason, note, now)

    def _export(self, facts: Facts, decisions: list[Decision]) -> None:
        for decision in decisions:
            lever = lever_name(decision).partition("/")[0]
            if decision.outcome in (OutcomeState.PENDING, OutcomeState.RECOMMENDED):
                self.metrics.decisions.labels(lever, decision.reason.value).inc()
            else:
                self.metrics.outcomes.labels(lever, decision.outcome.value).inc()
        where = (facts.namespace, facts.name)
        alerts = {alert.name: (alert.severity, alert.state, alert.firing) for alert in facts.alerts}
        self.metrics.set_alerts(*where, alerts)
        self.metrics.set_objectives(*where, facts.objectives)
        self.metrics.set_cost(*where, facts.cost)
        knobs = {knob.env: knob.name for knob in facts.spec.optimization.constraints.knobs} if facts.spec else {}
        self.metrics.set_points(*where, facts.applied, facts.recommendation, knobs)
        if facts.ready is not None:
            self.metrics.replicas.labels(*where).set(facts.ready)
        # A metric that is no longer declared would go on standing there with its last number.
        for gone in set(self._series.get(facts.key, ())) - {fact.name for fact in facts.metrics}:
            self.metrics.forget_metric(*where, gone)
        for fact in facts.metrics:
            self.metrics.metric_value.labels(*where, fact.name).set(fact.answer.value)
            self.metrics.set_target(*where, fact.name, fact.target)
        self._series[facts.key] = [fact.name for fact in facts.metrics]
