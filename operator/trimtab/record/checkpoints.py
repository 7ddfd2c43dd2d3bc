"""TuningCheckpoints in the API server: read when a resource is met, written in turns, compared before writing.

A checkpoint that can't be used (damaged, too large, of a later version, somebody else's) is told and learned anew.
"""

import asyncio
import base64
import binascii
import logging
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from trimtab.api.checkpoint import TuningCheckpointSpec
from trimtab.api.group import CHECKPOINT_KIND, CHECKPOINT_PLURAL, GROUP, VERSION
from trimtab.decide.checkpoint import Saved, largest
from trimtab.decide.pack import VERSION as FORM
from trimtab.decide.pack import Fault
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import Forbidden, KubeError, NotFound
from trimtab.kube.paths import resource_path
from trimtab.record.journal import iso, unix
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.owned import Owner, belongs, key_of, manifest
from trimtab.record.turns import Turns

BUDGET_SECONDS = 5.0
"""Time for writing in one tick; who is left over has its turn in the next one."""
MOST_A_TICK = 100
CONCURRENCY = 4
FEW = 20
"""Up to so many are read one by one, more by listing them all."""
PAGE = 50
"""Objects a page: of the largest, 1.8 MB."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint as it was found."""

    data: bytes = b""
    at: float = 0.0
    """Unix time at which it was taken, whole seconds."""
    fault: Fault | None = None
    problem: str = ""
    """Why it can't be used; empty: it can."""


@dataclass(slots=True)
class Checkpoints:
    """`may_write` waits for the write budget, False where this process does not lead. `clock` is monotonic."""

    client: KubeClient
    metrics: OperatorMetrics
    may_write: Callable[[], Awaitable[bool]]
    seconds: float = 600.0
    namespaces: tuple[str, ...] = ()
    write_seconds: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _turns: Turns = field(init=False)
    _digests: dict[str, int] = field(default_factory=dict)
    """Checksum of what was written last."""

    def __post_init__(self) -> None:
        self._turns = Turns(self.seconds)

    async def read(self, wanted: Mapping[str, str]) -> AsyncIterator[dict[str, Stored]]:
        """The checkpoints of these resources (key → uid), a page at a time; those that have none are left out.

        Raises:
            KubeError: they could not be read; nothing is known of those that were not yielded.
        """
        try:
            if len(wanted) <= FEW:
                found = [await self._get(key) for key in wanted]
                yield self._page([raw for raw in found if raw is not None], wanted)
                return
            for namespace in self.namespaces or (None,):
                path = resource_path(GROUP, VERSION, CHECKPOINT_PLURAL, namespace)
                async for page in self.client.pages(path, limit=PAGE):
                    yield self._page(page["items"], wanted)
        except (NotFound, Forbidden) as error:
            # A chart of an earlier version: without the kind, or without the right. Tuning does not depend on it.
            _log.warning("checkpoints can't be read; install the CRDs and roles of this version", exc_info=error)

    async def _get(self, key: str) -> Mapping[str, Any] | None:
        namespace, _, name = key.partition("/")
        try:
            return await self.client.get(resource_path(GROUP, VERSION, CHECKPOINT_PLURAL, namespace, name))
        except NotFound:
            return None

    def _page(self, items: Collection[Mapping[str, Any]], wanted: Mapping[str, str]) -> dict[str, Stored]:
        return {key: _stored(raw) for raw in items if (key := key_of(raw)) in wanted and belongs(raw, wanted[key])}

    async def write(
        self, owners: Mapping[str, Owner], save: Callable[[str], Saved | None], settings: str, now: float
    ) -> None:
        """Write the checkpoints whose turn it is; `save` makes one, `settings` is the digest of the engine's constants.

        Failures are told and tried again in the next round.
        """
        until, gate = self.clock() + BUDGET_SECONDS, asyncio.Semaphore(CONCURRENCY)

        async def one(key: str) -> None:
            async with gate:
                if self.clock() >= until:
                    return
                self._turns.took(key, now)
                await self._write(owners[key], save(key), settings, now)

        for gone in self._digests.keys() - owners.keys():
            del self._digests[gone]
        await asyncio.gather(*(one(key) for key in self._turns.due(owners.keys(), now)[:MOST_A_TICK]))

    async def _write(self, owner: Owner, saved: Saved | None, settings: str, now: float) -> None:
        if saved is None:
            self.metrics.errors.labels("checkpoint").inc()
            _log.warning("what was learned does not fit its bound; no checkpoint", extra={"resource": owner.key})
            return
        digest = zlib.crc32(saved.data)
        if self._digests.get(owner.key) == digest or not await self.may_write():
            return
        if saved.dropped:
            _log.info("a checkpoint lacks columns to fit its bound: %s", saved.dropped, extra={"resource": owner.key})
        spec = TuningCheckpointSpec(
            version=FORM,
            time=iso(now),
            settings=settings,
            containers=saved.containers,
            learned=base64.b64encode(saved.data).decode(),
        )
        path = resource_path(GROUP, VERSION, CHECKPOINT_PLURAL, owner.namespace, owner.name)
        body = manifest(CHECKPOINT_KIND, owner, spec.model_dump(mode="json", by_alias=True))
        try:
            await self.client.apply(path, body, force=True, timeout_seconds=self.write_seconds)
        except KubeError as error:
            self.metrics.errors.labels("checkpoint").inc()
            _log.warning("checkpoint not written", extra={"resource": owner.key, "error": str(error)})
            return
        self.metrics.writes.labels("checkpoint").inc()
        self._digests[owner.key] = digest


def _stored(raw: Mapping[str, Any]) -> Stored:
    try:
        spec = TuningCheckpointSpec.model_validate(raw.get("spec"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return Stored(fault=Fault.CORRUPT, problem=f"spec.{where}: {first['msg']}")
    if spec.version > FORM:
        return Stored(fault=Fault.NEWER, problem=f"its form is version {spec.version}, this Trimtab reads {FORM}")
    try:
        data = base64.b64decode(spec.learned, validate=True)
    except binascii.Error as error:
        return Stored(fault=Fault.CORRUPT, problem=f"spec.learned is no base64 ({error})")
    if len(data) > largest(spec.containers):
        most = largest(spec.containers)
        return Stored(
            fault=Fault.OVERSIZED, problem=f"{len(data)} bytes, at most {most} for {spec.containers} containers"
        )
    return Stored(data, unix(spec.time))
