"""Leader election over a Lease, without a moment of two leaders.

The protocol is client-go's (tools/leaderelection): a candidate takes a Lease (coordination.k8s.io/v1) that
it has seen unchanged for the lease's duration on its own monotonic clock, and a leader that has not renewed
for `renew_seconds` stops. Wall clocks are written for people to read and are never compared.

It is written here over `KubeClient`, a read and a conditional write, because kubernetes.aio.leaderelection
cannot be made safe from outside: a request that hangs outlasts its renew deadline, its work is cancelled
without being awaited, and nothing is released. What keeps two leaders apart:

- a term is counted from before the renewing request was sent, and a candidate's wait from after it saw the
result, so
  between the end of a term and the next leader's begin lie at least lease_seconds - renew_seconds;
- `still_leading` compares clocks and asks nobody: it is False after a stall or a suspension, before any code
of ours
  runs again;
- every write carries the resourceVersion that it is based on.

A write that was checked with `still_leading()` and whose own timeout is at most lease_seconds -
renew_seconds has ended, one way or the other, before another may lead.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from trimtab.kube.errors import Conflict, KubeError, NotFound
from trimtab.kube.lease_settings import LeaseSettings, boot_clock
from trimtab.kube.paths import resource_path
from trimtab.kube.raw import strings
from trimtab.kube.transport import Json

_MICRO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
_RECORD = ("holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions")

_log = logging.getLogger(__name__)


class LeaseApi(Protocol):
    """What an elector needs of a client."""

    async def get(self, path: str) -> Json:
        """The object at `path`; raises KubeError."""
        ...

    async def create(self, path: str, body: Mapping[str, object]) -> Json:
        """POST; raises AlreadyExists and other KubeErrors."""
        ...

    async def replace(self, path: str, body: Mapping[str, object]) -> Json:
        """PUT with metadata.resourceVersion; raises Conflict and other KubeErrors."""
        ...


class LeaderElector:
    """One candidate for one Lease.

    `identity` must be this process's alone (`unique_identity`). `clock` is monotonic seconds; `wall` is what
    is written for people; `chance` in [0, 1) spreads candidates; `answered` is called after each attempt that
    the API server answered, whoever leads.
    """

    def __init__(
        self,
        client: LeaseApi,
        namespace: str,
        name: str,
        identity: str,
        settings: LeaseSettings | None = None,
        clock: Callable[[], float] = boot_clock,
        *,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
        answered: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._collection = resource_path("coordination.k8s.io", "v1", "leases", namespace)
        self.path = resource_path("coordination.k8s.io", "v1", "leases", namespace, name)
        self._metadata = {"name": name, "namespace": namespace}
        self.identity = identity
        self.settings = settings or LeaseSettings()
        self._clock = clock
        self._wall = wall
        self._chance = chance
        self._answered = answered
        self._term_ends = -math.inf
        self._lease: Json | None = None  # as last read or written; the base of the next write
        self._observed: tuple[object, ...] | None = None
        self._observed_at = -math.inf
        self._may_hold = False  # a write of ours was sent whose result may stand
        self._last_error = ""

    @property
    def is_leader(self) -> bool:
        """Whether this process leads now."""
        return self.still_leading()

    @property
    def holder(self) -> str:
        """Identity that the Lease was last seen to name, "" for none."""
        return _holder(self._lease)

    def annotation(self, name: str) -> str:
        """An annotation of the Lease as last read or written, "" for none. Renewals leave them as they are."""
        return strings(self._lease, "metadata", "annotations").get(name, "")

    def still_leading(self, margin: float = 0.0) -> bool:
        """Whether the term lasts at least `margin` seconds more.

        Asks only the local clock; call before each write.
        """
        return self._clock() + margin < self._term_ends

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, run `work` while it is held; return when the lease is lost or `work` has ended.

        On every way out, cancellation included, `work` is cancelled and awaited for `stop_seconds`; only
        when it has truly ended is the lease released. What `work` raises by itself is raised. Run once: the
        process exits after.
        """
        task: asyncio.Future[None] | None = None
        ended_by_itself = False
        try:
            await self._acquire()
            _log.info("%s leads by %s", self.identity, self.path)
            task = asyncio.ensure_future(work())
            await self._keep(task)
            ended_by_itself = task.done()
        finally:
            if task is None or await self._stop(task):
                await self._release()
            self._term_ends = -math.inf
        if ended_by_itself and not task.cancelled():
            task.result()

    async def _acquire(self) -> None:
        while True:
            began = self._clock()
            if await self._attempt() and self.still_leading():
                return
            # client-go spreads candidates too (JitterFactor), so that they do not write at once for ever.
            pause = self.settings.retry_seconds * (1.0 + 0.2 * self._chance())
            await asyncio.sleep(max(0.0, pause - (self._clock() - began)))

    async def _keep(self, task: asyncio.Future[None]) -> None:
        """Renew until the work ends or the term does."""
        began = self._clock()
        while True:
            now = self._clock()
            next_attempt = min(began + self.settings.retry_seconds, self._term_ends)
            await asyncio.wait({task}, timeout=max(0.0, next_attempt - now))
            if task.done():
                _log.info("%s ends its work and gives %s back", self.identity, self.path)
                return
            if not self.still_leading():
                _log.error("%s lost %s (held by %r) and stops", self.identity, self.path, self.holder)
                return
            began = self._clock()
            await self._attempt()

    async def _attempt(self) -> bool:
        """One attempt to acquire or renew, within `retry_seconds` and the term.

        True when the lease is ours.
        """
        began = self._clock()
        bound = self.settings.retry_seconds
        if self.still_leading():
            bound = min(bound, self._term_ends - began)
        try:
            async with asyncio.timeout(bound):
                held = await self._try()
        except (KubeError, OSError) as error:  # TimeoutError is an OSError
            text = str(error) or "no answer in time"
            if text != self._last_error:
                _log.warning("%s cannot renew or read %s and tries on: %s", self.identity, self.path, text)
            self._last_error = text
            return False
        self._last_error = ""
        self._answered()
        if held:
            # From before the request was sent: whoever reads its result, reads it later.
            self._term_ends = began + self.settings.renew_seconds
        return held

    async def _try(self) -> bool:
        if self.still_leading() and self._lease is not None:
            # The usual case: nobody else wrote. Half the requests of reading first (client-go does the same).
            try:
                await self._hold(self._lease)
                return True
            except (Conflict, NotFound):
                pass
        try:
            lease = await self._client.get(self.path)
        except NotFound:
            # Deleted by hand while someone holds it: the holder does not know yet and must be waited for.
            if self._must_wait():
                return False
            await self._create()
            return True
        self._observe(lease)
        if _holder(lease) not in ("", self.identity):
            self._term_ends = -math.inf
            if self._must_wait():
                return False
        await self._hold(lease)
        return True

    async def _create(self) -> None:
        body: Json = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": self._metadata}
        body["spec"] = self._spec({}) | {"leaseTransitions": 0}
        self._may_hold = True
        self._observe(await self._client.create(self._collection, body))

    async def _hold(self, lease: Json) -> None:
        """Write our name and a new renewTime over `lease`, if it is still the current one."""
        self._may_hold = True
        self._observe(await self._client.replace(self.path, _with_spec(lease, self._spec(_spec(lease)))))

    def _spec(self, before: Mapping[str, Any]) -> Json:
        now = self._stamp(before.get("renewTime"))
        spec = dict(before)
        if before.get("holderIdentity") != self.identity:
            transitions = before.get("leaseTransitions")
            spec["acquireTime"] = now
            spec["leaseTransitions"] = transitions + 1 if isinstance(transitions, int) else 1
        spec["holderIdentity"] = self.identity
        spec["leaseDurationSeconds"] = math.ceil(self.settings.lease_seconds)
        spec["renewTime"] = now
        return spec

    def _stamp(self, previous: object) -> str:
        """RFC 3339 with microseconds, never twice the same.

        A renewal that changes nothing is no change to the API server, and others would see the lease expire:
        a wall clock that stands still must not do that.
        """
        now = self._wall().astimezone(UTC)
        text = now.strftime(_MICRO_TIME)
        return text if text != previous else (now + timedelta(microseconds=1)).strftime(_MICRO_TIME)

    def _observe(self, lease: Json) -> None:
        """Remember the Lease, and by our own clock when its record last changed."""
        self._lease = lease
        spec = _spec(lease)
        record = tuple(spec.get(field) for field in _RECORD)
        if record != self._observed:
            self._observed = record
            self._observed_at = self._clock()

    def _must_wait(self) -> bool:
        """Whether another holder's lease, as last observed, may still be in force."""
        if self._lease is None or self.holder in ("", self.identity):
            return False
        duration = _spec(self._lease).get("leaseDurationSeconds")
        # The holder's own setting counts, whatever ours is.
        seconds = float(duration) if isinstance(duration, int) and duration > 0 else self.settings.lease_seconds
        return self._clock() < self._observed_at + seconds

    async def _stop(self, task: asyncio.Future[None]) -> bool:
        """Cancel the work and wait for its end. False when it did not end in time."""
        if task.done():
            return True
        task.cancel()
        await asyncio.wait({task}, timeout=self.settings.stop_seconds)
        if not task.done():
            _log.error("the work did not stop in %s s; %s is left to expire", self.settings.stop_seconds, self.path)
            return False
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the work failed while it was stopped", exc_info=error)
        return True

    async def _release(self) -> None:
        """Give the lease back if it is ours, so that the next leader need not wait. Best effort, bounded."""
        # First of all: after the write below another may lead at any moment.
        self._term_ends = -math.inf
        if not self._may_hold:
            return
        try:
            async with asyncio.timeout(self.settings.retry_seconds):
                # Read first: an attempt that was cut short may have been applied.
                lease = await self._client.get(self.path)
                if _holder(lease) != self.identity:
                    return
                spec = _spec(lease)
                free = {
                    "holderIdentity": None,
                    "leaseDurationSeconds": 1,
                    "renewTime": self._stamp(spec.get("renewTime")),
                }
                await self._client.replace(self.path, _with_spec(lease, spec | free))
        except (KubeError, OSError) as error:
            _log.warning("%s could not be released and will expire: %s", self.path, error or "no answer in time")


def _spec(lease: Json | None) -> Json:
    spec = (lease or {}).get("spec")
    return spec if isinstance(spec, dict) else {}


def _holder(lease: Json | None) -> str:
    holder = _spec(lease).get("holderIdentity")
    return holder if isinstance(holder, str) else ""


def _with_spec(lease: Json, spec: Json) -> Json:
    metadata = {key: value for key, value in lease.get("metadata", {}).items() if key != "managedFields"}
    return {**lease, "metadata": metadata, "spec": spec}
