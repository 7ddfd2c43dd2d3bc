"""Clauses that several parts of an explanation need."""

import math

from trimtab.decide import text
from trimtab.decide.observation import Lever
from trimtab.decide.plan import Decision
from trimtab.record.journal import amount, lever_name

LEVERS = {Lever.REPLICAS: "replicas", Lever.CPU: "CPU", Lever.MEMORY: "memory", Lever.KNOB: "knobs"}


def change(made: Decision) -> str:
    """`CPU/app 500m → 620m`."""
    return f"{lever_name(made)} {amount(made.lever, made.before)} → {amount(made.lever, made.after)}"


def sized(lever: Lever, value: float) -> str:
    """Cores or bytes; `none` for no number."""
    return text.cores(value) if lever is Lever.CPU else text.memory(value)


def sentence(clause: str) -> str:
    """A clause with a full stop."""
    clause = clause.strip()
    return clause if not clause or clause.endswith((".", "!", "?", "…")) else f"{clause}."


def listed(words: list[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def known(value: float) -> bool:
    """Whether it is a number."""
    return math.isfinite(value)
