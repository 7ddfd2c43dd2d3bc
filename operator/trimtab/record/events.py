"""Events on the resource (events.k8s.io/v1): repeats become one event with a count.

client-go's rule for a noisy object is kept: a burst of 25 an object, then one in 300 s (client-go tools/record,
EventSourceObjectSpamFilter).
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from trimtab.api.privacy import Privacy
from trimtab.api.reasons import Reason
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import KubeError, NotFound
from trimtab.kube.paths import resource_path

_log = logging.getLogger(__name__)

SERIES_SECONDS = 600.0
"""A repeat within this time counts up the event that exists (client-go: 10 minutes)."""
BURST = 25
REFILL_SECONDS = 300.0
MAX_SERIES = 10_000
MAX_NOTE_BYTES = 1024
"""Bytes of UTF-8, not characters (kube-apiserver, pkg/apis/core/validation/events.go)."""


async def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object an event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> str:
        """namespace/name, for the log."""
        return f"{self.namespace}/{self.name}"


@dataclass(slots=True)
class _Series:
    name: str
    first: float
    last: float
    written: float
    count: int = 1


@dataclass(slots=True)
class _Bucket:
    tokens: float = float(BURST)
    at: float = 0.0


@dataclass(slots=True)
class EventRecorder:
    """Writes events; the same (object, reason, note) within ten minutes is counted on one event.

    `allowed` is asked before each write, and waits for the write budget; a refused event is dropped: events are
    advice. `write_seconds` bounds one write.
    """

    client: KubeClient
    instance: str
    allowed: Callable[[], Awaitable[bool]] = _always
    write_seconds: float = 5.0
    privacy: Privacy = field(default_factory=Privacy)
    """What notes may show."""
    write_every: float = 60.0
    """A counted repeat is written at most this often; the count in between is kept."""
    _series: OrderedDict[str, _Series] = field(default_factory=OrderedDict)
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    async def emit(
        self,
        regarding: Regarding,
        reason: Reason,
        note: str,
        now: float,
        *,
        warning: bool = False,
        action: str = "Tune",
        series: str | None = None,
    ) -> bool:
        """Emit one event; returns whether something was written. Never raises for a refused write.

        Repeats are told by `series`, by default the note: one whose numbers differ each time needs a name of its own.
        """
        note = _clipped(self.privacy.clean(note))
        identity = "\n".join((regarding.uid, reason, note if series is None else series))
        key = hashlib.sha256(identity.encode()).hexdigest()[:16]
        known = self._series.get(key)
        if known is not None and now - known.last <= SERIES_SECONDS:
            known.count += 1
            known.last = now
            if now - known.written < self.write_every:
                return False
            known.written = now
            return await self._count(regarding, known)
        if not self._take(regarding.uid, now) or not await self.allowed():
            return False
        # Cut short, a name may end in what no part of a name may end in.
        name = f"{regarding.name[:200].rstrip('-.')}.{key}.{int(now * 1000):x}"
        self._remember(key, _Series(name, now, now, now))
        if await self._create(regarding, reason, note, now, name, warning, action):
            return True
        self._series.pop(key, None)  # a repeat has nothing to count on
        return False

    def _take(self, uid: str, now: float) -> bool:
        bucket = self._buckets.setdefault(uid, _Bucket(at=now))
        self._buckets.move_to_end(uid)
        while len(self._buckets) > MAX_SERIES:
            self._buckets.popitem(last=False)
        bucket.tokens = min(float(BURST), bucket.tokens + (now - bucket.at) / REFILL_SECONDS)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _remember(self, key: str, series: _Series) -> None:
        self._series[key] = series
        self._series.move_to_end(key)
        while len(self._series) > MAX_SERIES:
            self._series.popitem(last=False)

    async def _create(
        self,
        regarding: Regarding,
        reason: Reason,
        note: str,
        now: float,
        name: str,
        warning: bool,
        action: str,
    ) -> bool:
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": regarding.namespace},
            "eventTime": micro_time(now),
            "reportingController": "trimtab.dev/operator",
            "reportingInstance": self.instance[:128],
            "action": action,
            "reason": reason.value,
            "regarding": {
                "apiVersion": regarding.api_version,
                "kind": regarding.kind,
                "namespace": regarding.namespace,
                "name": regarding.name,
                "uid": regarding.uid,
            },
            "note": note,
            "type": "Warning" if warning else "Normal",
        }
        try:
            path = resource_path("events.k8s.io", "v1", "events", regarding.namespace)
            await self.client.create(path, body, timeout_seconds=self.write_seconds)
        except KubeError as error:
            extra = {"resource": regarding.key, "reason": reason.value, "error": str(error)}
            _log.warning("event not written", extra=extra)
            return False
        return True

    async def _count(self, regarding: Regarding, series: _Series) -> bool:
        if not await self.allowed():
            return False
        path = resource_path("events.k8s.io", "v1", "events", regarding.namespace, series.name)
        patch = {"series": {"count": series.count, "lastObservedTime": micro_time(series.last)}}
        try:
            await self.client.merge_patch(path, patch, timeout_seconds=self.write_seconds)
        except NotFound:
            self._series = OrderedDict((k, s) for k, s in self._series.items() if s is not series)
            return False
        except KubeError as error:
            _log.warning("event count not written", extra={"resource": regarding.key, "error": str(error)})
            return False
        return True


def _clipped(note: str) -> str:
    raw = note.encode("utf-8", "replace")
    if len(raw) <= MAX_NOTE_BYTES:
        return raw.decode()
    return raw[: MAX_NOTE_BYTES - 3].decode("utf-8", "ignore") + "…"


def micro_time(now: float) -> str:
    """Unix time as metav1.MicroTime: microseconds and Z are required by events.k8s.io/v1."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
