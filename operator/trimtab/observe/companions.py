"""Companion questions of a query: how old its samples are, and whether there was traffic at all.

A rate over five minutes goes on giving numbers for five minutes after its exporter died, and a quantile of no
requests is NaN just as a broken one is. Both are told apart by asking about the selectors inside (RULES 19).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import promql_parser as pp

from trimtab.observe.selectors import Selector, duration, seconds
from trimtab.observe.tree import children, fixed_moment

RATES = frozenset({"rate", "irate", "increase"})
ABSENCE = frozenset({"absent", "absent_over_time"})
QUANTILES = frozenset({"histogram_quantile", "histogram_fraction", "histogram_avg"})


@dataclass(frozen=True)
class Newest:
    """The newest sample of a selector (PromQL with its offset), moved forward by that offset in seconds."""

    selector: str
    shift: float


@dataclass(frozen=True)
class Every:
    """Operands that are all needed: the oldest one counts."""

    parts: "tuple[Freshness, ...]"


@dataclass(frozen=True)
class Either:
    """Operands of ``or``: the newest one counts."""

    parts: "tuple[Freshness, ...]"


Freshness = Newest | Every | Either


def selectors_in(freshness: Freshness | None) -> Iterator[str]:
    """The selectors whose newest samples are to be asked for."""
    if isinstance(freshness, Newest):
        yield freshness.selector
    elif freshness is not None:
        for part in freshness.parts:
            yield from selectors_in(part)


def sample_time(freshness: Freshness, newest: Mapping[str, float]) -> float:
    """The Unix time of the samples behind a query, given each selector's newest; NaN where one is gone."""
    if isinstance(freshness, Newest):
        return newest.get(freshness.selector, math.nan) + freshness.shift
    times = [sample_time(part, newest) for part in freshness.parts]
    if isinstance(freshness, Either):
        return max((time for time in times if not math.isnan(time)), default=math.nan)
    return math.nan if any(math.isnan(time) for time in times) else min(times)


def freshness_of(node: pp.Expr, offset: float = 0.0) -> Freshness | None:
    """How to find the time of the samples behind a tree; None where it rests on none, or on fixed ``@`` times."""
    match node:
        case pp.VectorSelector():
            if fixed_moment(node) is not None:
                return None
            shift = offset + seconds(node.offset)
            suffix = f" offset {duration(shift)}" if shift else ""
            return Newest(f"{Selector.of(node)}{suffix}", shift)
        case pp.SubqueryExpr():
            return None if fixed_moment(node) is not None else freshness_of(node.expr, offset + seconds(node.offset))
        case pp.Call() if node.func.name in ABSENCE:
            return None  # these answer when there is no sample
        case pp.BinaryExpr() if str(node.op) == "unless":
            return freshness_of(node.lhs, offset)
    parts = dict.fromkeys(part for child in children(node) if (part := freshness_of(child, offset)) is not None)
    if len(parts) < 2:
        return next(iter(parts), None)
    either = isinstance(node, pp.BinaryExpr) and str(node.op) == "or"
    return Either(tuple(parts)) if either else Every(tuple(parts))


def newest_sample(selector: str, scrape_interval: float, by: str = "") -> str:
    """PromQL for the Unix time of a selector's newest sample (by a label), in sight for a while after its end.

    A failed scrape ends its series at once, but two intervals are allowed: so the last four are looked at, too.
    ``timestamp()`` gives the sample's own time only straight on a selector.
    """
    step = duration(max(1.0, scrape_interval))
    window = duration(4.0 * max(1.0, scrape_interval))
    stamp = f"timestamp({selector})"
    newest = f"max by ({by})" if by else "max"
    return f"{newest} ({stamp}) or {newest} (max_over_time({stamp}[{window}:{step}]))"


def traffic_of(tree: pp.Expr) -> tuple[str, ...]:
    """PromQL of the rates that quantiles and ratios divide by; one that is 0 explains a NaN. Empty: none found."""
    return tuple(dict.fromkeys(_traffic(tree)))


def _traffic(node: pp.Expr) -> Iterator[str]:
    divisor: list[str] = []
    if isinstance(node, pp.Call) and node.func.name in QUANTILES:
        divisor = list(_rates(node.args[-1], histogram=True))
    elif isinstance(node, pp.BinaryExpr) and str(node.op) == "/":
        divisor = list(_rates(node.rhs, histogram=False))
    if divisor:
        yield " + ".join(dict.fromkeys(divisor))
    for child in children(node):
        yield from _traffic(child)


def _rates(node: pp.Expr, histogram: bool) -> Iterator[str]:
    """Sums of the rates below a node, with their own ranges and offsets."""
    if isinstance(node, pp.SubqueryExpr):
        return
    if isinstance(node, pp.Call) and node.func.name in RATES and isinstance(node.args[0], pp.MatrixSelector):
        matrix = node.args[0]
        selector = matrix.vector_selector
        if fixed_moment(selector) is None:
            offset = f" offset {duration(seconds(selector.offset))}" if selector.offset else ""
            rate = f"rate({Selector.of(selector)}[{duration(seconds(matrix.range))}]{offset})"
            native = histogram and selector.name is not None and not selector.name.endswith("_bucket")
            yield f"sum(histogram_count({rate}))" if native else f"sum({rate})"
        return
    for child in children(node):
        yield from _rates(child, histogram)
