"""`trimtab run`: the operator. Waits for the lease, then runs the tick and kopf's frame until a signal."""

import asyncio
import logging
import math
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from pythonjsonlogger.json import JsonFormatter

from trimtab.act.actuator import Actuator
from trimtab.act.gate import WRITE_SECONDS, Gate, Priority
from trimtab.api.privacy import Privacy
from trimtab.api.settings import OperatorSettings, SettingsError, load_settings
from trimtab.backfill import Backfill
from trimtab.handlers import run_frame
from trimtab.kube.client import KubeClient
from trimtab.kube.errors import Unavailable
from trimtab.kube.lease import LeaderElector
from trimtab.kube.lease_settings import LeaseSettings, unique_identity
from trimtab.kube.raw import moment
from trimtab.kube.world import World
from trimtab.loop import Loop, Rooms
from trimtab.memory import Memory
from trimtab.observe.configs import ConfigStore
from trimtab.observe.costhistory import CostHistory
from trimtab.observe.counted import CountedSource
from trimtab.observe.errors import PresetError
from trimtab.observe.goalhistory import GoalHistory
from trimtab.observe.history import History
from trimtab.observe.observer import Observer
from trimtab.observe.presets import Preset, load_presets
from trimtab.observe.prometheus import PrometheusSource
from trimtab.record.checkpoints import Checkpoints
from trimtab.record.events import EventRecorder
from trimtab.record.health import Health, serve
from trimtab.record.journals import Journals
from trimtab.record.metrics import OperatorMetrics
from trimtab.record.recorder import Recorder

STALLED_TICKS = 8
"""A leader that finished no tick for this many (and at least two minutes) is restarted by its probe."""

RESUME_ANNOTATION = "trimtab.dev/resume"
"""On the operator's Lease: when a person let a fleet that had stopped itself go on (RULES 15)."""

_log = logging.getLogger(__name__)
_LOG_FIELDS = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


@click.command()
@click.option("--settings", "settings_path", type=click.Path(path_type=Path), help="The administrator's YAML file.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Default: the service account, or $KUBECONFIG.")
@click.option("--namespace", help="Namespace of the lease. Default: the pod's own, or trimtab-system.")
@click.option("--dry-run", is_flag=True, help="Send every write to workloads as a server dry run.")
def run(settings_path: Path | None, kubeconfig: Path | None, namespace: str | None, dry_run: bool) -> None:
    """Run the operator until SIGTERM."""
    try:
        settings = load_settings(settings_path)
        presets = load_presets(settings.presets_dir)
    except (SettingsError, PresetError) as error:
        raise click.ClickException(str(error)) from error
    configure_logging(settings.log_format, Privacy(frozenset(settings.privacy.labels)))
    if kubeconfig is not None:
        os.environ["KUBECONFIG"] = str(kubeconfig)
    namespace = namespace or os.environ.get("POD_NAMESPACE") or "trimtab-system"
    identity = os.environ.get("POD_NAME") or socket.gethostname()
    try:
        asyncio.run(operate(settings, presets, namespace, identity, dry_run=dry_run))
    except Unavailable as error:
        raise click.ClickException(f"no API server: {error}; check the kubeconfig or the service account") from error


class TextFormatter(logging.Formatter):
    """Plain text with what a line is about (resource, decision, reason, …) at its end."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        """The line without its traceback."""
        about = {key: value for key, value in vars(record).items() if key not in _LOG_FIELDS}
        return super().formatMessage(record) + "".join(f" {key}={value}" for key, value in about.items())


class PrivateFormatter(logging.Formatter):
    """Another formatter's lines without personal data, tracebacks included."""

    def __init__(self, inner: logging.Formatter, privacy: Privacy) -> None:
        super().__init__()
        self._inner, self._privacy = inner, privacy

    def format(self, record: logging.LogRecord) -> str:
        """The line, cleaned."""
        return self._privacy.clean(self._inner.format(record))


def configure_logging(log_format: str, privacy: Privacy | None = None) -> None:
    """Structured logs on stderr: JSON for machines, or plain text. kopf's own are kept to warnings."""
    handler = logging.StreamHandler(sys.stderr)
    inner = (
        JsonFormatter("{asctime}{levelname}{name}{message}", style="{", rename_fields={"levelname": "level"})
        if log_format == "json"
        else TextFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    handler.setFormatter(PrivateFormatter(inner, privacy or Privacy()))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)


async def operate(
    settings: OperatorSettings,
    presets: Mapping[str, Preset],
    namespace: str,
    identity: str,
    *,
    dry_run: bool = False,
) -> None:
    """Serve probes, wait for the lease, lead, and return when the lease is lost or a signal came.

    Raises:
        Unavailable: there are no credentials for an API server.
    """
    metrics = OperatorMetrics.create()
    health = Health(stall_seconds=max(120.0, STALLED_TICKS * settings.tick_seconds))
    metrics.tick_age.set_function(health.staleness)
    server = await serve(health, metrics.registry, settings.port)
    client = await KubeClient.connect()
    lease = settings.lease
    elector = LeaderElector(
        client,
        namespace,
        lease.name,
        unique_identity(identity),
        LeaseSettings(
            lease_seconds=lease.duration_seconds, renew_seconds=lease.renew_seconds, retry_seconds=lease.retry_seconds
        ),
        answered=health.reached,
    )
    metrics.leader.set_function(lambda: float(elector.is_leader))

    def listen() -> None:
        """A signal ends the candidacy, and with it the work."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, candidacy.cancel)

    process = Process(settings, presets, namespace, identity, client, elector, health, metrics, dry_run, listen)

    async def lead() -> None:
        health.lead()
        await process.work()

    candidacy = asyncio.create_task(elector.run(lead), name="candidacy")
    listen()
    try:
        with suppress(asyncio.CancelledError):
            await candidacy
    finally:
        await client.close()
        await server.cleanup()
    _log.info("stopped")


def release_age(value: str, now: float) -> float:
    """Seconds since the time (RFC 3339) that the annotation of the Lease says; infinite for none and for later ones."""
    at = moment(value)
    return now - at if 0 < at <= now else math.inf


@dataclass(frozen=True, slots=True)
class Process:
    """What a leader works with."""

    settings: OperatorSettings
    presets: Mapping[str, Preset]
    namespace: str
    identity: str
    client: KubeClient
    elector: LeaderElector
    health: Health
    metrics: OperatorMetrics
    dry_run: bool
    listen: Callable[[], None]

    async def work(self) -> None:
        """A leader's work: the tick and kopf's frame; when one ends, so does the other."""
        store = ConfigStore.within(self.settings.namespaces)
        sources = {one.name: PrometheusSource(one, random.Random()) for one in self.settings.datasources}
        loop = Loop(store, self._rooms(sources), tick_seconds=self.settings.tick_seconds)
        # The tick starts first: kopf cancels whatever task was made after it started. Its own way out at a signal waits
        # five seconds for such tasks, in which nobody leads: so signals are ours again once it runs.
        tasks = [
            asyncio.create_task(loop.run(), name="tick"),
            asyncio.create_task(run_frame(store, self.settings.namespaces, self.listen), name="frame"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for source in sources.values():
                await source.aclose()
        for task in done:
            if not task.cancelled():
                task.result()

    def _rooms(self, sources: Mapping[str, PrometheusSource]) -> Rooms:
        """The rooms, wired together."""
        settings, client = self.settings, self.client
        privacy = Privacy(frozenset(settings.privacy.labels))
        # A write may take as long as others wait for after this process stopped renewing (kube/lease.py).
        write_seconds = min(WRITE_SECONDS, settings.lease.duration_seconds - settings.lease.renew_seconds)
        world = World(client, namespaces=settings.namespaces)
        gate = Gate(
            mode=settings.mode,
            leading=self.elector.still_leading,
            writes_per_second=settings.writes_per_second,
            changes_per_minute=settings.max_changes_per_minute,
            rollback_stop_share=settings.rollback_stop_share,
            dry_run=self.dry_run,
            write_seconds=write_seconds,
            released=lambda: release_age(self.elector.annotation(RESUME_ANNOTATION), time.time()),
        )
        events = EventRecorder(
            client,
            self.identity,
            allowed=lambda: gate.tell(Priority.STATUS),
            write_seconds=write_seconds,
            privacy=privacy,
        )
        counted = {name: CountedSource(source, self._counter(name)) for name, source in sources.items()}
        history = History(counted, settings.datasources)
        recorder = Recorder(
            client,
            events,
            self.metrics,
            may_write=lambda urgent: gate.tell(Priority.ALERT if urgent else Priority.STATUS),
            write_seconds=write_seconds,
            privacy=privacy,
        )
        turn = partial(gate.tell, Priority.CHECKPOINT)
        every = settings.checkpoint_seconds
        checkpoints = Checkpoints(client, self.metrics, turn, every, tuple(settings.namespaces), write_seconds)
        journals = Journals(client, self.metrics, turn, every, write_seconds)
        observer = Observer(world, counted, self.presets, settings, own_namespace=self.namespace)
        return Rooms(
            client=client,
            world=world,
            observer=observer,
            history=history,
            actuator=Actuator(
                client,
                world,
                gate,
                time.time,
                discovery=world.discovery,
                knobs_enabled=settings.knobs_enabled,
                shapes_new_pods=lambda: settings.admission_policy_enabled and world.capabilities.shapes_new_pods,
            ),
            gate=gate,
            recorder=recorder,
            health=self.health,
            memory=Memory(checkpoints, journals, history, recorder),
            backfill=Backfill(
                GoalHistory(counted, settings.datasources, observer.plans),
                CostHistory(counted, settings.datasources, observer.plans),
            ),
        )

    def _counter(self, datasource: str) -> Callable[[str], None]:
        return lambda kind: self.metrics.queries.labels(datasource, kind).inc()
