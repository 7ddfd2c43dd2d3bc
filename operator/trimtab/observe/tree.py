"""One walk over a PromQL tree: what it selects, how far it reaches, and whether that is within bounds."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import promql_parser as pp

from trimtab.observe.errors import PromQLError
from trimtab.observe.selectors import seconds

MAX_DEPTH = 64
MAX_SELECTORS = 32
MAX_LOOKBACK_SECONDS = 30 * 86_400.0
MAX_SUBQUERY_STEPS = 11_000
# Prometheus takes its global evaluation interval where a subquery gives no step; 1 min is the default.
DEFAULT_STEP_SECONDS = 60.0


@dataclass
class Survey:
    """What a walk found. ``lookback_seconds`` is how far before the evaluation time samples are read, ``moments``
    are the fixed ``@`` times (Unix seconds)."""

    tree: pp.Expr
    selectors: list[pp.VectorSelector] = field(default_factory=list)
    lookback_seconds: float = 0.0
    moments: list[float] = field(default_factory=list)


def children(node: pp.Expr) -> Iterator[pp.Expr]:
    """The operands of a node, in a fixed order.

    Raises:
        PromQLError: a node of a kind that is not known here; what is not understood is not sent.
    """
    match node:
        case pp.BinaryExpr():
            yield node.lhs
            yield node.rhs
        case pp.AggregateExpr():
            if node.param is not None:
                yield node.param
            yield node.expr
        case pp.Call():
            yield from node.args
        case pp.ParenExpr() | pp.UnaryExpr() | pp.SubqueryExpr():
            yield node.expr
        case pp.MatrixSelector():
            yield node.vector_selector
        case pp.VectorSelector() | pp.NumberLiteral() | pp.StringLiteral():
            return
        case _:
            raise PromQLError(f"The query uses {type(node).__name__}, which is not supported; write it otherwise.")


def survey(tree: pp.Expr) -> Survey:
    """Walk the tree.

    Raises:
        PromQLError: it gives no number, or goes past a bound.
    """
    top = tree
    while isinstance(top, pp.ParenExpr):
        top = top.expr
    if isinstance(top, pp.MatrixSelector | pp.SubqueryExpr):
        raise PromQLError(
            "The query gives a range of samples; wrap it in a function such as rate() or avg_over_time()."
        )
    if isinstance(top, pp.StringLiteral):
        raise PromQLError("The query gives a string; write PromQL that gives one number.")
    found = Survey(tree)
    _visit(tree, found, depth=1, reach=0.0, steps=1.0)
    return found


def _visit(node: pp.Expr, found: Survey, depth: int, reach: float, steps: float) -> None:
    if depth > MAX_DEPTH:
        raise PromQLError(f"The query nests deeper than {MAX_DEPTH} levels; simplify it.")
    if isinstance(node, pp.StringLiteral):
        check_text(node.val)
    elif isinstance(node, pp.Call) and node.func.name == "info":
        raise PromQLError("info() reads series that no selector names; join with * on (…) group_left (…) instead.")
    elif isinstance(node, pp.SubqueryExpr):
        _note_time(node, found)
        length = seconds(node.range)
        reach += seconds(node.offset) + length
        steps *= max(1.0, length / (seconds(node.step) or DEFAULT_STEP_SECONDS))
        if steps > MAX_SUBQUERY_STEPS:
            raise PromQLError(
                f"The subqueries take {steps:.0f} steps, at most {MAX_SUBQUERY_STEPS} are taken; use longer steps."
            )
    elif isinstance(node, pp.MatrixSelector):
        reach += seconds(node.range)
    elif isinstance(node, pp.VectorSelector):
        _note_time(node, found)
        reach += seconds(node.offset)
        _note_selector(node, found)
    if reach > MAX_LOOKBACK_SECONDS:
        raise PromQLError(
            f"The query reaches {reach / 86_400.0:.1f} days back, at most 30 are taken; shorten its ranges and offsets."
        )
    found.lookback_seconds = max(found.lookback_seconds, reach)
    for child in children(node):
        _visit(child, found, depth + 1, reach, steps)


def _note_time(node: pp.VectorSelector | pp.SubqueryExpr, found: Survey) -> None:
    if seconds(node.offset) < 0.0:
        raise PromQLError("A negative offset looks into the future, which has no samples; remove it.")
    moment = fixed_moment(node)
    if moment is not None:
        found.moments.append(moment)


def fixed_moment(node: pp.VectorSelector | pp.SubqueryExpr) -> float | None:
    """The Unix time of ``@ <time>``; None without it and for ``@ start()`` and ``@ end()``."""
    if node.at is None or node.at.type != pp.AtModifierType.At or node.at.at is None:
        return None
    return node.at.at.timestamp()


def _note_selector(node: pp.VectorSelector, found: Survey) -> None:
    found.selectors.append(node)
    if len(found.selectors) > MAX_SELECTORS:
        raise PromQLError(f"The query has more than {MAX_SELECTORS} selectors; use fewer, or recording rules.")
    for matcher in [*node.matchers.matchers, *(m for group in node.matchers.or_matchers for m in group)]:
        check_text(matcher.name)
        check_text(matcher.value)


def check_text(text: str) -> None:
    """Refuse control characters, which servers may read in different ways.

    Raises:
        PromQLError: there are some.
    """
    if any((ord(char) < 0x20 and char not in "\t\n\r") or 0x7F <= ord(char) < 0xA0 for char in text):
        raise PromQLError("A string in the query holds a control character; remove it.")
