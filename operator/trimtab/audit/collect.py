"""What an audit is made from: resources and journals as the API server gave them, by namespace."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trimtab.api.resource import Invalid, PerformanceConfig, parse_config
from trimtab.api.status import DecisionStatus
from trimtab.record.journal import unix
from trimtab.record.journals import Entry, merged
from trimtab.record.owned import belongs, key_of
from trimtab.record.reading import entries_of

Json = Mapping[str, Any]
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Member:
    """One resource."""

    config: PerformanceConfig | Invalid
    decisions: tuple[DecisionStatus, ...] = ()
    """Newest first, none older than retentionDays."""

    @property
    def name(self) -> str:
        """Name of the resource."""
        return self.config.metadata.name


@dataclass(slots=True)
class Gathered:
    """One namespace."""

    members: list[Member] = field(default_factory=list)
    """By name."""
    notes: list[str] = field(default_factory=list)

    @property
    def retention_days(self) -> int:
        """Days that the report of this namespace may be kept: as long as the shortest retention of what is in it."""
        days = [
            m.config.spec.monitoring.retention_days for m in self.members if isinstance(m.config, PerformanceConfig)
        ]
        return min(days, default=14)


def collect(configs: Iterable[Json], journals: Iterable[Json], at: float) -> dict[str, Gathered]:
    """The namespaces of these objects, in order; `at` is Unix time. A journal that can't be read is a note."""
    by_key = {key_of(raw): raw for raw in journals}
    found: dict[str, Gathered] = {}
    for raw in sorted(configs, key=key_of):
        config = parse_config(raw)
        namespace = found.setdefault(config.metadata.namespace, Gathered())
        journal, entries = by_key.get(key_of(raw)), list[Entry]()
        if journal is not None and belongs(journal, config.metadata.uid):
            entries, problem = entries_of(journal)
            if problem:
                namespace.notes.append(f"The journal of {config.metadata.name} can't be read: {problem}.")
        shown = merged(entries, (Entry(decision) for decision in config.status.decisions))
        days = config.spec.monitoring.retention_days if isinstance(config, PerformanceConfig) else 14
        kept = (entry.decision for entry in shown if unix(entry.decision.time) >= at - days * DAY)
        namespace.members.append(Member(config, tuple(kept)))
    return dict(sorted(found.items()))
