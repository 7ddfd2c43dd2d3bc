"""Selectors of a PromQL tree: written out safely, and with forced matchers.

``str()`` of a promql_parser selector does not escape quotes in values (0.12), which would let a value end the
string early; so selectors are written here, and the rest of the tree by ``prettify``, which does escape.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

import promql_parser as pp

from trimtab.api.datasource import Tenancy
from trimtab.observe.podmatcher import PodMatcher

METRIC_NAME = re.compile(r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
LABEL_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]*$")
# promql_parser's enumeration has equality, but no hash.
_OPERATORS = (
    (pp.MatchOp.Equal, "="),
    (pp.MatchOp.NotEqual, "!="),
    (pp.MatchOp.Re, "=~"),
    (pp.MatchOp.NotRe, "!~"),
)
Triple = tuple[str, str, str]
"""A matcher: label name, operator, value."""


def quoted(value: str) -> str:
    """A PromQL string literal (Go's rules for double quotes)."""
    out = value.replace("\\", r"\\").replace('"', r"\"")
    return '"' + out.replace("\n", r"\n").replace("\t", r"\t").replace("\r", r"\r") + '"'


def written(matcher: Triple) -> str:
    """A matcher as PromQL; label names outside the classic alphabet are quoted (UTF-8 names)."""
    name, operator, value = matcher
    return f"{name if LABEL_NAME.match(name) else quoted(name)}{operator}{quoted(value)}"


@dataclass(frozen=True)
class Selector:
    """What a vector selector selects: a bare metric name, and alternatives of matchers that must all hold."""

    name: str | None
    groups: tuple[tuple[Triple, ...], ...]

    @classmethod
    def of(cls, node: pp.VectorSelector) -> "Selector":
        """Read it from the tree."""
        matchers = node.matchers
        groups = matchers.or_matchers or [matchers.matchers]
        common = tuple(_triple(matcher) for matcher in matchers.matchers) if matchers.or_matchers else ()
        return cls(node.name, tuple(common + tuple(_triple(m) for m in group) for group in groups))

    def metric(self, group: int) -> str | None:
        """The one metric that an alternative names, None when it may match several."""
        if self.name is not None:
            return self.name
        return next((value for name, op, value in self.groups[group] if (name, op) == ("__name__", "=")), None)

    def confined(self, tenancy: Tenancy, namespace: str, pods: PodMatcher | None) -> "Selector":
        """With the forced matchers in every alternative."""
        groups = tuple(
            group + forced_matchers(tenancy, self.metric(index), namespace, pods)
            for index, group in enumerate(self.groups)
        )
        return Selector(self.name, groups)

    def sorted(self) -> "Selector":
        """With the matchers of each alternative in order, to compare two selectors that select the same."""
        return Selector(self.name, tuple(tuple(sorted(group)) for group in self.groups))

    def __str__(self) -> str:
        """As PromQL, without offset and @."""
        name = self.name or ""
        inside = " or ".join(",".join(written(matcher) for matcher in group) for group in self.groups)
        if name and not METRIC_NAME.match(name):
            name, inside = "", ",".join(part for part in (quoted(name), inside) if part)
        return f"{name}{{{inside}}}" if inside or not name else name


def forced_matchers(
    tenancy: Tenancy, metric: str | None, namespace: str, pods: PodMatcher | None
) -> tuple[Triple, ...]:
    """The matchers a selector of ``metric`` must have; none for names the administrator allows unlabelled.

    A selector without one exact name must not reach metrics whose owner stands in another label: there the usual
    label may hold the exporter's namespace, and all tenants' series with it.
    """
    labels = tenancy.labels_for(metric)
    if labels is None:
        return ()
    forced: list[Triple] = [(labels.label, "=", namespace)]
    if pods is not None:
        forced.append((labels.pod_label, "=~", pods.regex))
    if metric is None and tenancy.overridden_names:
        forced.append(("__name__", "!~", tenancy.overridden_names))
    return tuple(forced)


def _triple(matcher: pp.Matcher) -> Triple:
    return matcher.name, next(text for op, text in _OPERATORS if op == matcher.op), matcher.value


def seconds(delta: timedelta | None) -> float:
    """Seconds of an optional duration."""
    return 0.0 if delta is None else delta.total_seconds()


def duration(length: float) -> str:
    """Seconds as a PromQL duration, to the millisecond."""
    return f"{max(1, round(length * 1000.0))}ms" if length % 1.0 else f"{int(length)}s"
