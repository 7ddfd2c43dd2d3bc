"""What outlives the process: learned state and decisions, read when a resource is met, written in turns.

Between the rooms like `telling`: the loop asks, `record` reads and writes, `decide` says what is worth keeping.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trimtab.api.reasons import Reason
from trimtab.decide.checkpoint import Places, Resumed, Saved, resume, save
from trimtab.decide.pack import PackError
from trimtab.decide.plan import Decision, Plan
from trimtab.decide.replay import capture
from trimtab.decide.settings import DAY, Settings
from trimtab.decide.state import State
from trimtab.kube.errors import KubeError
from trimtab.observe.facts import Seen
from trimtab.observe.history import History
from trimtab.record.checkpoints import Checkpoints, Stored
from trimtab.record.facts import Facts
from trimtab.record.journals import Journals
from trimtab.record.owned import Owner
from trimtab.record.recorder import Recorder

READ_PATIENCE = 60.0
"""Seconds after which a resource whose checkpoint can't be read is tuned without."""

INPUTS_UP_TO = 20_000
"""Containers up to which the state is copied each tick, so that inputs can be kept: 50 MB, 15 ms."""
MOST_CAPTURED = 50
"""Workloads a tick, a few milliseconds each; a fleet makes 60 changes a minute."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Memory:
    """Reads and writes what must not be forgotten."""

    checkpoints: Checkpoints
    journals: Journals
    history: History
    recorder: Recorder
    _since: dict[str, float] = field(default_factory=dict)
    """Unix time since when a resource waits for its checkpoint to be read."""

    async def recall(
        self, state: State, seen: Seen, keys: Iterable[str], settings: Settings
    ) -> tuple[State, dict[str, float]]:
        """`state` with the checkpoints of these resources, and for each that had one the Unix time it was taken.

        `state` is given up. What is missing since then is left for the history to read; a checkpoint that can't be
        used is told and learned anew.

        Raises:
            KubeError: the API server did not answer, and the patience for it has not run out. Nothing is lost: the
                same call may be made again.
        """
        now = seen.observation.now
        wanted = {key: seen.facts[key].config.uid for key in keys}
        taken: dict[str, float] = {}
        try:
            async for page in self.checkpoints.read(wanted):
                state = await self._take(state, seen, page, settings, taken)
        except KubeError:
            waited = now - min(self._since.setdefault(key, now) for key in wanted)
            if waited < READ_PATIENCE:
                raise
            _log.warning("checkpoints could not be read for %d s; learning anew", waited, exc_info=True)
        for key in wanted:
            self._since.pop(key, None)
        return state, taken

    async def _take(
        self, state: State, seen: Seen, page: Mapping[str, Stored], settings: Settings, taken: dict[str, float]
    ) -> State:
        usable = {key: stored.data for key, stored in page.items() if not stored.problem}
        state, outcomes = resume(state, seen.observation, usable, settings, reuse=True)
        for key, stored in page.items():
            outcome = outcomes.get(key)
            if isinstance(outcome, Resumed):
                taken[key] = stored.at
                self.history.known(key, outcome.sampled_at)
                self.recorder.metrics.checkpoints.labels("Resumed").inc()
                if outcome.ignored:
                    _log.info(
                        "a checkpoint has columns of another version: %s", outcome.ignored, extra={"resource": key}
                    )
                continue
            fault, problem = stored.fault, stored.problem
            if isinstance(outcome, PackError):
                fault, problem = outcome.fault, str(outcome)
            self.recorder.metrics.checkpoints.labels(str(fault)).inc()
            _log.warning("a checkpoint can't be used: %s", problem, extra={"resource": key})
            config = seen.facts[key].config
            note = f"What was learned before can't be used: {problem}. It is learned anew from Prometheus."
            await self.recorder.tell(
                Facts(key, config.uid, config.generation, config.spec),
                Reason.CHECKPOINT_REBUILT,
                note,
                seen.observation.now,
            )
        return state

    def keeps_inputs(self, seen: Seen) -> bool:
        """Whether the fleet is small enough to hold the state from before a decide until its inputs are noted."""
        return len(seen.observation.containers) <= INPUTS_UP_TO

    def note(self, plan: Plan, seen: Seen, before: State | None, settings: Settings) -> None:
        """Take in what a tick decided; `before` is the state it was decided from, None where that is gone.

        The inputs of the first MOST_CAPTURED workloads are kept; of the others the journal has the numbers alone.
        """
        now, inputs = seen.observation.now, dict[str, bytes]()
        if before is not None:
            for made in plan.decisions:
                if made.time == now and made.workload not in inputs and len(inputs) < MOST_CAPTURED:
                    row = seen.facts[made.workload].row
                    inputs[made.workload] = capture(seen.observation, before, settings, row)
        self.journals.note(plan.decisions, settings.digest(), inputs)

    def told(self, decisions: Iterable[Decision]) -> None:
        """Take in decisions that a status shows: the journal may lack them after a restart."""
        self.journals.note(decisions, "", {})

    async def keep(self, state: State, seen: Seen, settings: Settings) -> None:
        """Write the checkpoints and journals whose turn it is; `state` is that of the last decide. Raises nothing."""
        rows = {key: facts.row for key, facts in seen.facts.items() if facts.row >= 0}
        places = Places.of(seen.observation)

        def one(key: str) -> Saved | None:
            return save(state, places, rows[key])

        def retention(key: str) -> float:
            return DAY * seen.facts[key].config.spec.monitoring.retention_days

        owners = {key: Owner(key, seen.facts[key].config.uid) for key in rows}
        await self.checkpoints.write(owners, one, settings.digest(), seen.observation.now)
        owners = {key: Owner(key, facts.config.uid) for key, facts in seen.facts.items()}
        await self.journals.write(owners, retention, seen.observation.now)
