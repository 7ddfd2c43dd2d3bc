"""Outcome rows from what happened, and typed errors of the API server in words a person can act on."""

import logging
import math
from collections.abc import Iterable, Mapping

from trimtab.act.bounds import Refusal
from trimtab.act.gate import HeldError
from trimtab.act.targets import Sizes
from trimtab.api.reasons import Reason
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Outcome
from trimtab.kube.errors import Conflict, Forbidden, KubeError, TooManyRequests, Unavailable

_log = logging.getLogger(__name__)
Failure = KubeError | HeldError
"""What a write can end with."""


def explain(error: Failure) -> Refusal:
    """Reason and message of a write that was not made."""
    if isinstance(error, HeldError):
        return Refusal(error.reason, error.message)
    if error.node_capacity:
        return Refusal(Reason.RESIZE_INFEASIBLE, f"larger than the node: {error.message}")
    if isinstance(error, TooManyRequests) and error.disruption_budget:
        return Refusal(Reason.PDB_BLOCKS, error.message)
    if isinstance(error, Forbidden) and "exceeded quota" in error.message:
        return Refusal(Reason.QUOTA_EXCEEDED, error.message)
    if isinstance(error, Conflict):
        return Refusal(Reason.PROGRESSING, f"somebody else wrote first, next try with fresh data: {error.message}")
    if isinstance(error, Unavailable) and not error.status:
        # Its words are a library's and hold the API server's address: for the log, not for a status.
        _log.warning("a write got no usable answer: %s", error)
        return Refusal(Reason.MOVE_FAILED, f"the API server gave no usable answer ({error.reason}); it is tried again")
    return Refusal(Reason.MOVE_FAILED, str(error))


def sizes_levers(sizes: Mapping[str, Sizes]) -> list[tuple[Lever, str]]:
    """Levers and containers that these sizes move; NaN: not moved."""
    found = []
    for name, s in sizes.items():
        if not (math.isnan(s.cpu) and math.isnan(s.cpu_limit)):
            found.append((Lever.CPU, name))
        if not (math.isnan(s.memory) and math.isnan(s.memory_limit)):
            found.append((Lever.MEMORY, name))
    return found


def rows(
    workload: str, levers: Iterable[tuple[Lever, str]], ok: bool, refusal: Refusal, pods: int = 0
) -> list[Outcome]:
    """An outcome for each lever and subject."""
    return [
        Outcome(workload, lever, subject, ok, refusal.reason, refusal.message, pods)
        for lever, subject in dict.fromkeys(levers)
    ]
