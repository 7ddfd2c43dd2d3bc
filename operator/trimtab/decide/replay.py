"""The inputs of a decision, small enough to keep, and the plan made from them again.

`decide` treats each workload by itself, so its rows of the Observation and of the State before are all that a decision
was made from. They are kept exactly: the same engine with the same settings gives the same plan.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from trimtab.api.reasons import find_reason
from trimtab.api.status import OutcomeState
from trimtab.decide.columns import I8, Table
from trimtab.decide.engine import decide
from trimtab.decide.observation import Lever, Observation, Samples
from trimtab.decide.pack import Fault, PackError, pack, unpack
from trimtab.decide.plan import Decision, Plan
from trimtab.decide.settings import Settings
from trimtab.decide.standing import Standing
from trimtab.decide.state import State, Trial, Verify
from trimtab.decide.tally import Tally

_SEEN, _HELD, _STANDING = "seen.", "state.", "state.standing."
_LIKE = {"builtin": "workloads", "costs": "workloads", "loads": "workloads", "trends": "containers"}
"""Tables of the state whose rows are those of another one."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one workload's decisions of one tick were made from."""

    seen: Observation
    state: State
    settings: str
    """Digest of the constants; with others the plan may be another."""


def capture(seen: Observation, state: State, settings: Settings, w: int) -> bytes:
    """The inputs of workload `w` as bytes. `state` is in the order of `seen`, and what `decide` was given."""
    part = of_one(seen, state, w)
    tables = dict(_tables(part.seen, part.state))
    key = str(seen.workloads.key[w])
    head = {
        "now": seen.now,
        "settings": settings.digest(),
        "pending": [_plain(verify) for verify in state.pending.get(key, ())],
        "trial": _plain(state.trials[key]) if key in state.trials else None,
    }
    return pack(tables, head, exact=True)


def of_one(seen: Observation, state: State, w: int) -> Inputs:
    """The rows of workload `w`; workloads that are away are of no account."""
    rows = {
        f.name: np.flatnonzero(getattr(getattr(seen, f.name), "workload") == w)  # noqa: B009
        for f in fields(seen)
        if isinstance(getattr(seen, f.name), Table) and hasattr(getattr(seen, f.name), "workload")
    }
    rows["workloads"] = np.array([w])
    tables = {name: getattr(seen, name).take(found) for name, found in rows.items()}
    for name, table in tables.items():
        if name != "workloads":
            table.workload[:] = 0
    tables["samples"] = _samples(seen.samples, rows["containers"])
    key = str(seen.workloads.key[w])
    held = {f.name: _of(getattr(state, f.name), rows, f.name) for f in fields(state) if _is_table(state, f.name)}
    standing = {f.name: _of(getattr(state.standing, f.name), rows, f.name) for f in fields(state.standing)}
    alone = State(
        pending={key: state.pending[key]} if key in state.pending else {},
        trials={key: state.trials[key]} if key in state.trials else {},
        standing=Standing(**standing),
        **held,
    )
    return Inputs(Observation(seen.now, **tables), alone, "")


def recall(data: bytes) -> Inputs:
    """The inputs in these bytes.

    Raises:
        PackError: they are damaged, or of a later version.
    """
    seen, state = Observation(0.0), State()
    kinds = {title: type(table) for title, table in _tables(seen, state)}
    bundle = unpack(data, kinds)
    head, tables = bundle.head, bundle.tables

    def under(prefix: str) -> dict[str, Any]:
        found = {title.removeprefix(prefix): table for title, table in tables.items() if title.startswith(prefix)}
        return {name: table for name, table in found.items() if "." not in name}

    try:
        key = str(under(_SEEN)["workloads"].key[0])
        pending = tuple(_verify(one) for one in head["pending"])
        trial = _trial(head["trial"]) if head["trial"] else None
        return Inputs(
            Observation(float(head["now"]), **under(_SEEN)),
            State(
                pending={key: pending} if pending else {},
                trials={key: trial} if trial else {},
                standing=Standing(**under(_STANDING)),
                **under(_HELD),
            ),
            str(head["settings"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PackError(
            Fault.CORRUPT, f"these are no inputs of a decision ({type(error).__name__}: {error})"
        ) from error


def again(inputs: Inputs, settings: Settings) -> Plan:
    """The plan that these inputs lead to; with the same settings and engine the one that was made."""
    return decide(inputs.seen, inputs.state, settings)[0]


def _tables(seen: Observation, state: State) -> Iterator[tuple[str, Table]]:
    for prefix, whole in ((_SEEN, seen), (_HELD, state), (_STANDING, state.standing)):
        for f in fields(whole):
            table = getattr(whole, f.name)
            if isinstance(table, Table):
                yield f"{prefix}{f.name}", table


def _is_table(state: State, name: str) -> bool:
    return isinstance(getattr(state, name), Table)


def _of(table: Table, rows: Mapping[str, I8], name: str) -> Any:
    return table.take(rows[_LIKE.get(name, name)]) if len(table) else table


def _samples(samples: Samples, containers: I8) -> Samples:
    kept = samples.take(np.flatnonzero(np.isin(samples.container, containers)))
    kept.container[:] = np.searchsorted(containers, kept.container)
    return kept


def _plain(value: Verify | Trial) -> Any:
    return json.loads(json.dumps(asdict(value)))


def _decision(raw: Mapping[str, Any]) -> Decision:
    reason = find_reason(raw["reason"])
    if reason is None:
        raise ValueError(f"no reason {raw['reason']}")
    made = Decision(**{**raw, "reason": reason})
    return replace(made, lever=Lever(made.lever), outcome=OutcomeState(made.outcome))


def _verify(raw: Mapping[str, Any]) -> Verify:
    return Verify(**{**raw, "decision": _decision(raw["decision"])})


def _trial(raw: Mapping[str, Any]) -> Trial:
    tallies = {name: Tally(**raw[name]) for name in ("latency", "cost", "level")}
    filling = tuple(Tally(**one) for one in raw["filling"])
    return Trial(**{**raw, **tallies, "decision": _decision(raw["decision"]), "filling": filling})
