"""An audit report as data."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from trimtab.api.spec import ApiModel
from trimtab.api.status import DecisionStatus


class Made(ApiModel):
    """A decision and whose it is."""

    resource: str
    decision: DecisionStatus


class AlertLine(ApiModel):
    """An alert that is not quiet."""

    resource: str
    name: str
    state: str
    severity: str
    since: str = ""
    value: str = ""
    threshold: str = ""


class ObjectiveLine(ApiModel):
    """A service level objective."""

    resource: str
    name: str
    target: str
    window_days: int
    attainment: str = ""
    """Empty: nothing is known."""
    budget_left: str = ""
    unknown: str = ""
    verdict: str
    """kept, missed or not known."""


class CostLine(ApiModel):
    """What a resource costs and saves a month."""

    resource: str
    currency: str
    per_month: str = ""
    budget_used: str = ""
    savings: str = ""
    problems: list[str] = []


class ChangeKind(StrEnum):
    """Why a change is worth making."""

    HELPS = "Helps"
    SAVES = "Saves"


class Change(ApiModel):
    """A recommendation that is not in force."""

    resource: str
    lever: str
    from_: Annotated[str, Field(alias="from")]
    to: str
    kind: ChangeKind
    money_per_month: str
    """What it saves (or costs, where it helps), at the prices of the report."""
    why: str


class Binding(ApiModel):
    """Something that holds a lever."""

    resource: str
    condition: str
    reason: str
    message: str


class Lack(ApiModel):
    """Data that is missing."""

    resource: str
    what: str
    message: str


class Rules(ApiModel):
    """What a resource is run by."""

    resource: str
    target: str
    acts: str
    """autoTune, and what Tuning says."""
    targets: str
    bounds: str
    budgets: str
    presets: list[str] = []
    retention_days: int


class Report(ApiModel):
    """The audit of one namespace."""

    namespace: str
    at: str
    """RFC 3339."""
    days: int
    """The decisions are those of the last so many days, less where a resource keeps them shorter."""
    resources: int
    engine: str
    """Digest of the engine's constants of the trimtab that made the report."""
    currency: str
    """Of the prices that the changes are valued at."""
    operator: list[str] = []
    """What the administrator set, where the settings file is at hand."""
    outcomes: dict[str, int] = {}
    """Decisions by outcome."""
    levers: dict[str, int] = {}
    """Decisions by lever."""
    decisions: list[Made] = []
    left_out: int = 0
    """Decisions beyond the most that a report lists; they are counted above."""
    rollbacks: list[Made] = []
    alerts: list[AlertLine] = []
    objectives: list[ObjectiveLine] = []
    costs: list[CostLine] = []
    changes: list[Change] = []
    """At most five, those that help most first, then those that save most."""
    binding: list[Binding] = []
    without_data: list[Lack] = []
    rules: list[Rules] = []
    notes: list[str] = []
