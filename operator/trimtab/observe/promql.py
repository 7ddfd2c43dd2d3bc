"""Declared PromQL: parsed, bounded, and confined to the series of one namespace (RULES 20 and 21)."""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import promql_parser as pp

from trimtab.api.datasource import Tenancy
from trimtab.observe.companions import Freshness, freshness_of, traffic_of
from trimtab.observe.errors import PromQLError, PromQLSyntaxError
from trimtab.observe.podmatcher import PodMatcher
from trimtab.observe.selectors import Selector, duration, forced_matchers, seconds, written
from trimtab.observe.tree import MAX_DEPTH, MAX_LOOKBACK_SECONDS, Survey, fixed_moment, survey

MAX_LENGTH = 4096
_CACHED_CONFINEMENTS = 4
T = TypeVar("T")
# A string, or a comment, or one character that matters to the pre-check.
_TOKEN = re.compile(
    r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`|#[^\n]*|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<past>@\s*-)',
    re.DOTALL,
)


@dataclass(frozen=True)
class ConfinedQuery:
    """A query that may be sent.

    ``text`` is PromQL whose every selector holds the forced matchers; ``forced`` says in short which these are;
    ``freshness`` how to find the time of the samples behind it; ``traffic`` PromQL of rates that tell a NaN for
    want of traffic (all 0) from another NaN, empty when none can be derived.
    """

    text: str
    forced: str
    freshness: Freshness | None
    traffic: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Query:
    """A parsed query, to be kept as long as its text lives; compared by identity."""

    text: str
    tree: pp.Expr
    found: Survey
    _confined: "OrderedDict[tuple[int, str, PodMatcher | None], tuple[Tenancy, ConfinedQuery]]" = field(
        default_factory=OrderedDict, repr=False
    )

    @property
    def metric_names(self) -> frozenset[str]:
        """Metrics named exactly; a selector by pattern adds nothing here."""
        selectors = [Selector.of(node) for node in self.found.selectors]
        named = (selector.metric(index) for selector in selectors for index in range(len(selector.groups)))
        return frozenset(name for name in named if name is not None)

    @property
    def is_scalar(self) -> bool:
        """Whether the query selects no series at all, such as ``1 + 1`` or ``time()``."""
        return not self.found.selectors

    @property
    def lookback_seconds(self) -> float:
        """How far before its evaluation time the query reads."""
        return self.found.lookback_seconds

    def confine(
        self, tenancy: Tenancy, namespace: str, pods: PodMatcher | None, at: float | None = None
    ) -> ConfinedQuery:
        """Force the namespace, and the pods unless None, into every selector.

        ``at`` (Unix seconds), where given, bounds ``@`` times to 30 days around it. The last few results are kept,
        as the pods of a workload seldom change from one query to the next.

        Raises:
            PromQLError: an ``@`` time out of bounds, or a query that can't be confined.
        """
        if at is not None and any(abs(moment - at) > MAX_LOOKBACK_SECONDS for moment in self.found.moments):
            raise PromQLError("An @ time lies more than 30 days away; use offset, or a nearer time.")
        key = (id(tenancy), namespace, pods)
        if key in self._confined:
            self._confined.move_to_end(key)
            return self._confined[key][1]
        confined = self._confine(tenancy, namespace, pods)
        self._confined[key] = (tenancy, confined)  # holds the tenancy, so that its id stays its own
        if len(self._confined) > _CACHED_CONFINEMENTS:
            self._confined.popitem(last=False)
        return confined

    def _confine(self, tenancy: Tenancy, namespace: str, pods: PodMatcher | None) -> ConfinedQuery:
        def forced_in(node: pp.Expr) -> pp.Expr | None:
            if not isinstance(node, pp.VectorSelector):
                return None
            return _with_times(Selector.of(node).confined(tenancy, namespace, pods), node)

        tree = _guarded(lambda: pp.transform(self.tree, None, forced_in))
        text = _one_line(_guarded(tree.prettify))
        # Never trust the rewriting: what is sent is parsed once more, and each selector in it is looked at.
        sent = survey(_guarded(lambda: pp.parse(text)))
        kept = [Selector.of(node).confined(tenancy, namespace, pods) for node in self.found.selectors]
        selectors = [Selector.of(node) for node in sent.selectors]
        if [selector.sorted() for selector in selectors] != [selector.sorted() for selector in kept] or not all(
            _holds(selector, tenancy, namespace, pods) for selector in selectors
        ):
            raise PromQLError("The query can't be confined to its namespace; write it in a simpler form.")
        return ConfinedQuery(
            text=text,
            forced=_described(kept, tenancy, namespace, pods),
            freshness=freshness_of(sent.tree),
            traffic=traffic_of(sent.tree),
        )


def parse(text: str) -> Query:
    """Parse and bound a query.

    Refused are: what is no PromQL, what gives a range or a string, ``info()`` (it reads series that no selector
    names), more than 4,096 characters, 64 levels or 32 selectors, and reaching back more than 30 days.

    Raises:
        PromQLError: what is wrong and what to do, for the user who wrote it.
    """
    if len(text) > MAX_LENGTH:
        raise PromQLError(f"The query has {len(text)} characters, at most {MAX_LENGTH} are taken; shorten it.")
    if not text.strip():
        raise PromQLError("The query is empty; write PromQL that gives one number.")
    for position, char in enumerate(text):
        if (ord(char) < 0x20 and char not in "\t\n\r") or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000:
            raise PromQLError(f"The query holds a control character at position {position}; remove it.")
    _check_nesting(text)
    tree = _guarded(lambda: pp.parse(text))
    return Query(text, tree, _guarded(lambda: survey(tree)))


def _check_nesting(text: str) -> None:
    """Before parsing: deep nesting is refused from the text, as the parser recurses."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token["past"]:
            raise PromQLError(f"The @ time at position {token.start()} lies before 1970; use offset.")
        depth += 1 if token["open"] else -1 if token["close"] else 0
        if depth > MAX_DEPTH:
            raise PromQLError(
                f"The query nests deeper than {MAX_DEPTH} levels at position {token.start()}; simplify it."
            )


def _guarded(call: Callable[[], T]) -> T:
    """Call into the parser: its errors, and the panics of its Rust code, become PromQLError."""
    try:
        return call()
    except PromQLError:
        raise
    except (ValueError, OverflowError) as error:
        raise PromQLSyntaxError(f"The query is no PromQL: {_shortened(str(error))}; correct it.") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # derives from BaseException, and has no public name
            raise
        raise PromQLError("The query holds a value that the parser can't take; write it otherwise.") from None


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:157] + "..."


def _with_times(selector: Selector, node: pp.VectorSelector) -> pp.VectorSelector:
    """The selector as a node, with the offset and @ of the original."""
    text = str(selector)
    if node.offset:
        text += f" offset {duration(seconds(node.offset))}"
    if node.at is not None:
        moment = fixed_moment(node)
        start = node.at.type == pp.AtModifierType.Start
        text += f" @ {moment:.3f}" if moment is not None else " @ start()" if start else " @ end()"
    replaced = pp.parse(text)
    if not isinstance(replaced, pp.VectorSelector):
        raise PromQLError("A selector of the query can't be confined; write its label values in a simpler form.")
    return replaced


def _one_line(pretty: str) -> str:
    # Newlines inside strings are written as \\n, so a real one is always layout.
    return re.sub(r"\n *", " ", pretty).strip()


def _holds(selector: Selector, tenancy: Tenancy, namespace: str, pods: PodMatcher | None) -> bool:
    return all(
        matcher in group
        for index, group in enumerate(selector.groups)
        for matcher in forced_matchers(tenancy, selector.metric(index), namespace, pods)
    )


def _described(selectors: list[Selector], tenancy: Tenancy, namespace: str, pods: PodMatcher | None) -> str:
    """The forced matchers in short; a long expression over pods is said in words."""
    seen: dict[str, None] = {}
    for selector in selectors:
        for index in range(len(selector.groups)):
            labels = tenancy.labels_for(selector.metric(index))
            if labels is not None:
                seen[written((labels.label, "=", namespace))] = None
                if pods is not None:
                    short = len(pods.regex) <= 40
                    seen[
                        written((labels.pod_label, "=~", pods.regex)) if short else f"{labels.pod_label}: {pods.title}"
                    ] = None
    return ", ".join(seen) or "no matcher"
